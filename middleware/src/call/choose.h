// call/choose.h - how a line is held against what somebody may have wanted with it; shared by the first choice and the next.
// SPDX-License-Identifier: MIT
#ifndef RPI_CHOOSE_H
#define RPI_CHOOSE_H

#include "tool/tool.h"
#include "turn/turn.h"

// A longer line counts with its end.
enum { RPI_CHOOSE_LINE_TOKENS = 64 };

// What stands between a wish and the line.
#define RPI_CHOOSE_LINE ": \""

// In nats, over the whole line: by how much better than small talk a tool has to explain it.
#define RPI_CHOOSE_MARGIN 1.75

// "Somebody speaks to Marta and", then " wants Marta to pour the guest a drink": the first sentence of the description as a
// wish, or the name where there is none. False: out of memory.
bool rpi_choose_head(rp_world *world, rpi_slot *slot); // into the slot's `scratch`
bool rpi_choose_wish(rp_world *world, rpi_buffer *text, const char *lead, const char *who, const rpi_tool *tool);

// Adds the tokens of a text that continues; of a line, at most its last `most`.
rt_result rpi_choose_encode(rp_world *world, rpi_tokens *tokens, const char *text, size_t size);
rt_result rpi_choose_encode_line(rp_world *world, rpi_tokens *tokens, const char *line, size_t most);

double rpi_choose_log_probability(const rp_world *world, const float *logits, rt_token token);

// Of a choice that was made: how likely each token of the line is behind a candidate; the best candidate that is no call.
float *rpi_choose_row(const rpi_slot *slot, int32_t candidate);
int32_t rpi_choose_other(const rpi_choice *choice);

#endif
