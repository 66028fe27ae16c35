// turn/compose.c - a turn's messages, from what changes least to what changes most, and their tokens.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/turn.h"

#include <string.h>

// Positions kept free beside prompt and reply; with functions also those of a call's arguments.
enum { SPARE_POSITIONS = 32, CALL_POSITIONS = 512 };

// Encoded in one piece: 10 to 40 microseconds, 150 for the very first text of a process.
enum { ENCODE_BYTES = 512 };

// What the player says in a prompt that is computed ahead of time.
static const char NO_LINE[] = "...";

// Adds a paragraph to the system text.
static bool add_paragraph(const rt_host *host, rpi_buffer *text, const char *paragraph)
{
    if (paragraph == NULL || paragraph[0] == '\0')
        return true;
    return (text->size == 0 || rpi_buffer_add(host, text, "\n\n", 2)) && rpi_buffer_add_text(host, text, paragraph);
}

static bool write_system(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    const rpi_character *character = slot->character;
    rpi_buffer_clear(&slot->text);
    bool fits = add_paragraph(host, &slot->text, world->lore) && add_paragraph(host, &slot->text, "You are ") &&
                rpi_buffer_add_text(host, &slot->text, character->name) && rpi_buffer_add_text(host, &slot->text, ". ") &&
                rpi_buffer_add_text(host, &slot->text, character->persona) &&
                add_paragraph(host, &slot->text, character->knowledge) &&
                add_paragraph(host, &slot->text, character->state);
    return fits;
}

// The tools as the models that were trained on calls read them; NULL where the format has none.
static bool write_tools(rp_world *world, rpi_slot *slot, const char **tools)
{
    *tools = NULL;
    if (!world->call_style->is_on || slot->offer_count == 0)
        return true;
    bool fits = rpi_native_write_tools(world, slot, false, &slot->scratch);
    *tools = slot->scratch.data;
    return fits;
}

static bool add_message(const rt_host *host, rpi_slot *slot, int32_t *count, const rp_message *message)
{
    void *messages = slot->messages;
    bool fits = rpi_array_reserve(host, &messages, &slot->message_capacity, (size_t)*count + 1, sizeof *slot->messages);
    slot->messages = messages;
    if (fits)
        slot->messages[(*count)++] = *message;
    return fits;
}

// The calls of one message, which begin at `at`, as one array; empty where none of them was answered.
static bool gather_calls(const rt_host *host, rpi_buffer *notes, rp_text actions, size_t at, uint32_t group, rp_text *calls)
{
    size_t start = notes->size;
    rpi_action action, next;
    bool fits = true;
    while (fits && rpi_action_read(actions, &at, &action) && action.is_result == false && action.group == group) {
        if (!rpi_action_read(actions, &at, &next) || !next.is_result)
            break;
        fits = rpi_buffer_add_text(host, notes, notes->size > start ? ", " : "[") &&
               rpi_buffer_add(host, notes, action.content.data + 1, action.content.size - 2);
    }
    if (notes->size > start)
        fits = fits && rpi_buffer_add_text(host, notes, "]");
    *calls = (rp_text){ notes->data + start, notes->size - start };
    return fits;
}

// What was called and what came of it, each message of calls behind what was said before it: `reply`, of which *said is
// moved on.
static bool add_actions(const rt_host *host, rpi_slot *slot, int32_t *count, rp_text actions, rp_text reply, size_t *said)
{
    rpi_action action;
    uint32_t group = 0;
    bool fits = true;
    for (size_t at = 0, begin = 0; fits && rpi_action_read(actions, &at, &action); begin = at) {
        if (action.is_result) {
            fits = add_message(host, slot, count, &(rp_message){ .role = RP_ROLE_RESULT, .content = action.content,
                                                                 .call_id = action.call_id, .name = action.name });
            continue;
        }
        if (action.group != 0 && action.group == group)
            continue;
        group = action.group;
        size_t end = RPI_MIN((size_t)action.said, reply.size);
        rp_message before = { .role = RP_ROLE_REPLY, .content = { reply.data + *said, end - *said } };
        rp_message calls = { .role = RP_ROLE_CALLS };
        fits = (end == *said || add_message(host, slot, count, &before)) &&
               gather_calls(host, &slot->notes, actions, begin, group, &calls.content) &&
               (calls.content.size == 0 || add_message(host, slot, count, &calls));
        *said = end;
    }
    return fits;
}

// A line with what the character did about it, for models that know no calls: told as what happens, in the speaker's own
// turn. Anything that looks like a protocol they would only imitate.
static bool add_line_with_outcome(const rt_host *host, rpi_slot *slot, int32_t *count, rp_text line, rp_text actions)
{
    rpi_buffer *notes = &slot->notes;
    size_t start = notes->size;
    bool fits = rpi_buffer_add(host, notes, line.data, line.size), any = false;
    rpi_action action;
    for (size_t at = 0; fits && rpi_action_read(actions, &at, &action);) {
        if (!action.is_result)
            continue;
        bool ends = action.content.size > 0 && strchr(".!?", action.content.data[action.content.size - 1]) != NULL;
        fits = rpi_buffer_add_text(host, notes, "\n\nWhat happens now: ") &&
               rpi_buffer_add(host, notes, action.content.data, action.content.size) &&
               rpi_buffer_add_text(host, notes, ends ? "" : ".");
        any = true;
    }
    if (fits && any)
        fits = rpi_buffer_add_text(host, notes, " What do you say?");
    rp_message message = { .role = RP_ROLE_USER, .content = { notes->data + start, notes->size - start } };
    return fits && add_message(host, slot, count, &message);
}

// What was said to the character and what it did about it; *said: how much of the reply came before that.
static bool add_line(const rp_world *world, rpi_slot *slot, int32_t *count, rp_text line, rp_text actions, rp_text reply,
                     size_t *said)
{
    const rt_host *host = &world->host;
    *said = 0;
    if (world->format->calls == RP_CALLS_CHOOSE && actions.size > 0)
        return add_line_with_outcome(host, slot, count, line, actions);
    return (line.size == 0 || add_message(host, slot, count, &(rp_message){ .role = RP_ROLE_USER, .content = line })) &&
           add_actions(host, slot, count, actions, reply, said);
}

// Messages point into the notes: they get all the room that they can need before. Turns that are not shown need none.
static bool reserve_notes(const rt_host *host, rpi_slot *slot, size_t first, rp_text line)
{
    const rpi_history *history = &slot->character->history;
    size_t hidden = 0, shown = history->count > first ? history->count - first : 0;
    for (size_t i = 0; i < first && i < history->count; i++)
        rpi_history_read(history, i, &hidden);
    rpi_buffer_clear(&slot->notes);
    return rpi_buffer_reserve(host, &slot->notes,
                              (history->bytes.size - hidden) * 2 + shown * 64 + slot->actions.size * 2 + line.size + 256);
}

static bool write_messages(rp_world *world, rpi_slot *slot, size_t first, rp_text line, int32_t *count)
{
    const rt_host *host = &world->host;
    const rpi_history *history = &slot->character->history;
    *count = 0;
    bool fits = reserve_notes(host, slot, first, line) && add_message(host, slot, count,
                            &(rp_message){ .role = RP_ROLE_SYSTEM, .content = { slot->text.data, slot->text.size } });
    size_t at = 0, said = 0;
    for (size_t i = 0; fits && i < history->count; i++) {
        rpi_exchange_text exchange = rpi_history_read(history, i, &at);
        if (i < first)
            continue;
        fits = add_line(world, slot, count, exchange.line, exchange.actions, exchange.reply, &said);
        rp_text reply = { exchange.reply.data + said, exchange.reply.size - said };
        for (; reply.size > 0 && said > 0 && *reply.data == ' '; reply.size--)
            reply.data++; // it parts what was said before a call from what was said behind it
        if (fits && reply.size > 0)
            fits = add_message(host, slot, count, &(rp_message){ .role = RP_ROLE_REPLY, .content = reply });
    }
    return fits && add_line(world, slot, count, line, (rp_text){ slot->actions.data, slot->actions.size },
                            (rp_text){ slot->reply.data, slot->reply.size }, &said);
}

// How many of the oldest exchanges have to go so that about `excess` tokens do, by their share of the text.
static size_t exchanges_to_drop(const rpi_history *history, size_t first, double bytes)
{
    size_t at = 0, dropped = 0;
    for (size_t i = 0; i < history->count && bytes > 0; i++) {
        size_t begin = at;
        rpi_history_read(history, i, &at);
        if (i < first)
            continue;
        bytes -= (double)(at - begin);
        dropped++;
    }
    return dropped;
}

// Writes the prompt with the conversation from `first` on.
static rt_result write_prompt(rp_world *world, rpi_slot *slot, size_t first)
{
    const rpi_character *character = slot->character;
    const char *tools, *line = slot->turn->line != NULL ? slot->turn->line : NO_LINE;
    int32_t count;
    slot->first_exchange = first;
    slot->exchanges = character->history.count;
    if (!write_system(world, slot) || !write_tools(world, slot, &tools) ||
        !write_messages(world, slot, first, (rp_text){ line, strlen(line) }, &count))
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "%s: a prompt: out of memory", character->name);
    return rp_prompt_begin(world->format, world->tokenizer, slot->messages, count, tools, true, &slot->prompt);
}

// Tokens that a prompt may have.
static int32_t most_tokens(const rp_world *world, const rpi_slot *slot)
{
    int32_t limit = world->context_size - slot->turn->max_reply_tokens - SPARE_POSITIONS;
    return slot->offer_count > 0 ? limit - RPI_MIN(CALL_POSITIONS, world->context_size / 4) : limit;
}

static rt_result forget_oldest(rp_world *world, rpi_slot *slot, size_t count)
{
    rpi_history_drop_oldest(&slot->character->history, count);
    if (slot->turn->is_warm)
        return RT_OK;
    rp_event event = { .kind = RP_EVENT_HISTORY_TRIMMED, .count = (int32_t)count,
                       .character = rpi_character_id(slot->character), .turn = rpi_turn_id(slot->turn) };
    return rpi_events_add(world, &event, NULL, 0)
               ? RT_OK
               : rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a prompt: events: out of memory");
}

double rpi_slot_compose_bytes(const rp_world *world, const rpi_slot *slot)
{
    (void)world;
    const rpi_character *character = slot->character;
    size_t bytes = slot->system_bytes + character->history.bytes.size + slot->actions.size;
    if (slot->turn->line != NULL)
        bytes += strlen(slot->turn->line);
    return (double)bytes;
}

double rpi_slot_encode_bytes(const rpi_slot *slot)
{
    return (double)RPI_MIN(rp_prompt_remaining(&slot->prompt), (size_t)ENCODE_BYTES);
}

rt_result rpi_slot_compose(rp_world *world, rpi_slot *slot)
{
    const rpi_character *character = slot->character;
    size_t first = 0;
    if (character->max_history_turns > 0 && character->history.count > (size_t)character->max_history_turns)
        first = character->history.count - (size_t)character->max_history_turns;
    slot->trimmed = 0;
    return write_prompt(world, slot, first);
}

// Too long: written again without the oldest exchanges.
static rt_result shorten(rp_world *world, rpi_slot *slot, int32_t limit)
{
    int32_t count = (int32_t)slot->prompt.count;
    if (slot->first_exchange >= slot->exchanges)
        return rpi_fail(&world->host, RT_ERROR_CONTEXT_FULL,
                        "%s: lore, persona and the line take %d tokens, %d positions are free beside the reply: "
                        "shorten them or raise kv_tokens",
                        slot->character->name, count, limit);
    // An eighth more than needed: the next turns then find their prompt's beginning in the cache again.
    double excess = count - limit * 0.875, bytes_a_token = (double)slot->prompt.text_size / count;
    size_t dropped = exchanges_to_drop(&slot->character->history, slot->first_exchange, excess * bytes_a_token);
    slot->trimmed = slot->first_exchange + RPI_MAX(dropped, (size_t)1);
    return write_prompt(world, slot, slot->trimmed);
}

rt_result rpi_slot_encode(rp_world *world, rpi_slot *slot, bool *done)
{
    int32_t limit = most_tokens(world, slot);
    bool encoded = false;
    *done = false;
    rt_result result = rp_prompt_continue(world->tokenizer, ENCODE_BYTES, &slot->prompt, &encoded);
    if (result != RT_OK || !encoded)
        return result;
    if (slot->prompt.count == 0)
        return rpi_fail(&world->host, RT_ERROR_INVALID_ARGUMENT, "a prompt: the format \"%s\" renders it empty", world->format->name);
    if ((int32_t)slot->prompt.count > limit)
        return shorten(world, slot, limit);
    *done = true;
    size_t trimmed = RPI_MIN(slot->trimmed, slot->character->history.count);
    return trimmed > 0 ? forget_oldest(world, slot, trimmed) : RT_OK;
}
