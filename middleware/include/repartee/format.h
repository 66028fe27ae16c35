// repartee/format.h - chat formats as data: how turns become a prompt that a model was trained on.
//
// Special tokens come from the format alone. Whatever players, scripts, memories and tool results contain is encoded as
// plain text, also where it spells a special token.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_FORMAT_H
#define REPARTEE_FORMAT_H

#include "repartee/ids.h"
#include "rt/model.h"
#include "rt/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_call_style {
    RP_CALLS_CHOOSE = 0,      // not trained for calls: a constrained choice before it speaks
    RP_CALLS_MISTRAL = 1,     // [AVAILABLE_TOOLS] [TOOL_CALLS] [TOOL_RESULTS]
    RP_CALLS_NEMOTRON = 2,    // <tool> <toolcall> <context>
    RP_CALLS_HERMES = 3,      // <tools> <tool_call> <tool_response> in ChatML
    RP_CALLS_LLAMA3 = 4,      // JSON in the reply, ipython role for results
} rp_call_style;

// A format is a table. Strings may name special tokens by their spelling: those between the tokens' own spellings are
// encoded as control tokens where the vocabulary has them ("<|im_start|>user\n").
typedef struct rp_format {
    const char *name;         // "chatml", "mistral-v3-tekken", ...
    const char *description;  // which models
    const char *detect[4];    // all of these (those not NULL) occur in the chat template -> this format
    const char *begin;        // once, before everything (BOS)
    const char *system_prefix, *system_suffix; // NULL prefix: no system role; the text joins the first (or last) user turn
    const char *user_prefix, *user_suffix;
    const char *reply_prefix, *reply_suffix;   // suffix ends a finished reply in the history
    const char *default_system;                // when no system message is given, or NULL
    const char *stop[4];                       // special tokens that end a reply
    const char *stop_text[4];                  // text that ends a reply (models that write their markers in plain text)
    bool system_in_last_user;                  // Mistral: system text and tools go with the last user turn
    bool strip_content;                        // leading and trailing white space of contents is dropped
    rp_call_style calls;
} rp_format;

// The formats this version knows, in the order in which detection tries them.
RT_API const rp_format *rp_format_list(int32_t *count);
RT_API const rp_format *rp_format_find(const char *name);
// By the tokenizer's chat template and special tokens. NOT_FOUND lists the known ones and names the option to set.
RT_API rt_result rp_format_detect(const rt_tokenizer *tokenizer, const rp_format **format);

typedef enum rp_role { RP_ROLE_SYSTEM = 0, RP_ROLE_USER, RP_ROLE_REPLY, RP_ROLE_CALLS, RP_ROLE_RESULT } rp_role;

typedef struct rp_message {
    rp_role role;
    rp_text content;  // text; RP_ROLE_CALLS: a JSON array [{"name":..,"arguments":{..},"id":..}]; RP_ROLE_RESULT: the result
    rp_text call_id;  // RP_ROLE_RESULT
    rp_text name;     // RP_ROLE_RESULT: of the tool
} rp_message;

// Renders messages to token ids (and, for reading, to text with special tokens spelled out). `tools` is a JSON array of
// {"type":"function","function":{"name","description","parameters"}} or NULL. `open_reply`: end with the reply's prefix.
// Buffers are allocated through `host` and given to the caller: free with rp_prompt_free.
typedef struct rp_prompt {
    rt_token *ids;
    size_t count;
    char *text; // zero-terminated
    size_t text_size;
    size_t ids_capacity, text_capacity; // private
    rt_host host;
} rp_prompt;

RT_API rt_result rp_prompt_render(const rp_format *format, const rt_tokenizer *tokenizer, const rt_host *host,
                                  const rp_message *messages, int32_t count, const char *tools, bool open_reply,
                                  rp_prompt *prompt);
RT_API void rp_prompt_free(rp_prompt *prompt);

#ifdef __cplusplus
}
#endif
#endif
