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

typedef enum rp_tools_place {
    RP_TOOLS_NOWHERE = 0,
    RP_TOOLS_IN_SYSTEM = 1,        // inside the system block, after its text
    RP_TOOLS_BEFORE_LAST_USER = 2, // right before the last user turn's prefix
    RP_TOOLS_IN_FIRST_USER = 3,    // right after the first user turn's prefix
    RP_TOOLS_AT_HEAD = 4,          // in front of the system block
} rp_tools_place;

typedef enum rp_result_form {
    RP_RESULT_TEXT = 0,        // as it is
    RP_RESULT_NAMED = 1,       // "NAME: result", for models that know no results
    RP_RESULT_CALL_OBJECT = 2, // {"content": result, "call_id": id}; a result that is JSON stands there as JSON
    RP_RESULT_JSON_STRING = 3, // as a JSON string
    RP_RESULT_NAME_OBJECT = 4, // {"name": name, "content": result}
} rp_result_form;

typedef enum rp_vocabulary_form {
    RP_VOCABULARY_ANY = 0,
    RP_VOCABULARY_BYTE_TOKENS = 1,    // with byte fallback (SentencePiece)
    RP_VOCABULARY_NO_BYTE_TOKENS = 2, // byte-level BPE, Tekken
} rp_vocabulary_form;

// A format is a table. Strings may name special tokens by their spelling: where the vocabulary has such a token it is
// encoded as that token ("<|im_start|>user\n"), else as text. What stands between two special tokens is encoded as one run
// of text, as in training. NULL strings are empty unless a comment says more. A game may bring its own: see rp_format_check.
typedef struct rp_format {
    const char *name;         // "chatml", "mistral-v3-tekken", ...
    const char *description;  // which models

    // Recognising a model. A row matches when its conditions hold; the first row that matches is taken.
    const char *detect[4];        // all of these (those not NULL) occur in the chat template -> this format
    const char *detect_absent[2]; // and none of these
    const char *detect_tokens[4]; // where the file has no template: all of these are special tokens of the vocabulary
    rp_vocabulary_form detect_vocabulary;

    const char *begin;        // once, before everything; NULL: BOS where the model's file asks for it; "": nothing
    const char *system_prefix, *system_suffix; // NULL prefix: no system role; the text joins the first (or last) user turn
    const char *user_prefix, *user_suffix;
    const char *reply_prefix, *reply_suffix;   // suffix ends a finished reply in the history
    const char *reply_opening;                 // after the prefix of the reply that the model is to write ("<think>..." closed)
    const char *default_system;                // when no system message is given, or NULL
    const char *stop[4];                       // special tokens that end a reply
    const char *stop_text[4];                  // text that ends a reply (models that write their markers in plain text)
    bool system_in_last_user;                  // Mistral: system text and tools go with the last user turn
    bool strip_content;                        // leading and trailing white space of contents is dropped
    rp_call_style calls;

    // The system block at the head.
    bool system_always;         // it stands even where nothing is in it
    bool system_gathers;        // all system messages go to the head, wherever they were said
    const char *system_lead;    // before the text, where there is one
    const char *system_opening; // right after the prefix of the head's block, always
    const char *tools_notice;   // before system_opening, where tools are given

    // Turns.
    const char *join;           // neighbouring turns of one role become one, with this between; NULL: they stay apart
    bool strip_reply_spaces;    // trailing spaces (not newlines) of a reply are dropped
    bool separate_runs;         // a reply is encoded apart from the turn before it, also where no special token parts them
    bool control_strips_right;  // white space after a special token has no tokens (Phi-3)
    const char *plain_markers[4]; // markers that are not special tokens: in contents they are broken up with a space

    // Tools: where they stand, and what stands around the list and around each.
    rp_tools_place tools_place;
    const char *tools_join;     // between the system text and the tools or the contexts, where there is a text
    const char *tools_prefix, *tool_prefix, *tool_join, *tool_suffix, *tools_suffix;
    int32_t tools_indent;       // spaces of each level of JSON; 0: on one line
    bool tool_description_always; // "description" stands even where a tool has none
    const char *context_join;   // between tools and contexts
    const char *context_prefix, *context_suffix; // around each RP_ROLE_CONTEXT; NULL: contexts are part of the system text

    // Calls. NULL calls_prefix: calls are left out of the prompt.
    const char *calls_prefix, *call_prefix, *call_suffix, *calls_suffix;
    const char *call_join;        // between two calls; NULL: each call is a turn of its own
    const char *calls_after_reply; // between a reply and the calls in the same turn; NULL: calls are a turn of their own
    const char *call_arguments;   // the key of the arguments: "arguments", "parameters"
    bool call_ids;                // calls carry their id

    // Results. NULL result_prefix: they are written as RP_RESULT_NAMED in a user turn.
    rp_result_form result_form;
    const char *results_prefix, *result_prefix, *result_suffix, *results_suffix; // around neighbours, around each
} rp_format;

// The formats this version knows, in the order in which detection tries them.
RT_API const rp_format *rp_format_list(int32_t *count);
RT_API const rp_format *rp_format_find(const char *name);
// By the tokenizer's chat template and special tokens. NOT_FOUND lists the known ones and names the option to set.
RT_API rt_result rp_format_detect(const rt_tokenizer *tokenizer, const rp_format **format);

// Whether a table that a game wrote can be rendered and parsed: name, prefixes, a way to end a reply, call markers that fit
// its style, valid UTF-8 throughout. INVALID_ARGUMENT names the field. Such a table is then given to rp_world_def.format;
// it must outlive the world. The formats of rp_format_list are good as they are.
RT_API rt_result rp_format_check(const rp_format *format);

typedef enum rp_role {
    RP_ROLE_SYSTEM = 0,
    RP_ROLE_USER = 1,
    RP_ROLE_REPLY = 2,
    RP_ROLE_CALLS = 3,
    RP_ROLE_RESULT = 4,
    RP_ROLE_CONTEXT = 5, // what was looked up for this conversation; stands with the system text wherever it is listed
} rp_role;

typedef struct rp_message {
    rp_role role;
    rp_text content;  // text; RP_ROLE_CALLS: a JSON array [{"name":..,"arguments":{..},"id":..}]; RP_ROLE_RESULT: the result
    rp_text call_id;  // RP_ROLE_RESULT
    rp_text name;     // RP_ROLE_RESULT: of the tool
} rp_message;

typedef struct rp_prompt {
    rt_token *ids;
    size_t count;
    char *text; // zero-terminated; for reading: contents that imitate a special token look like one here, never in `ids`
    size_t text_size;
    size_t ids_capacity, text_capacity; // private, and so are these: what of the text is still to be encoded
    struct rpi_prompt_piece *pieces;
    size_t piece_count, piece_capacity, next_piece, next_byte;
    rt_host host;
} rp_prompt;

// Renders messages to token ids and to text with special tokens spelled out. `tools` is a JSON array of
// {"type":"function","function":{"name","description","parameters"}} or NULL; where the format has no place for tools they
// are left out. `open_reply`: end with the reply's prefix. `tokenizer` NULL: text only.
// Buffers are allocated through `host` and given to the caller: free with rp_prompt_free. On failure *prompt is zeroed.
// Errors: INVALID_ARGUMENT, BAD_TEXT (tools or calls are not JSON of that shape), OUT_OF_MEMORY. Thread-safe.
RT_API rt_result rp_prompt_render(const rp_format *format, const rt_tokenizer *tokenizer, const rt_host *host,
                                  const rp_message *messages, int32_t count, const char *tools, bool open_reply,
                                  rp_prompt *prompt);

// The same into a prompt that was rendered before (or zeroed, with its host set): its buffers are used again, so that
// nothing is allocated once they are large enough. On failure the buffers stay, empty.
RT_API rt_result rp_prompt_render_again(const rp_format *format, const rt_tokenizer *tokenizer, const rp_message *messages,
                                        int32_t count, const char *tools, bool open_reply, rp_prompt *prompt);

// The same in steps, for frames: begin writes the text (some nanoseconds a byte), each continue encodes up to about `most_bytes`
// of it (some tens of nanoseconds a byte) where the vocabulary lets a text be cut (rt_tokenizer_cut), else a whole run between
// two special tokens. The ids are the same. `messages` and `tools` are read by begin only; the tokenizer is that of begin.
RT_API rt_result rp_prompt_begin(const rp_format *format, const rt_tokenizer *tokenizer, const rp_message *messages,
                                 int32_t count, const char *tools, bool open_reply, rp_prompt *prompt);
RT_API rt_result rp_prompt_continue(const rt_tokenizer *tokenizer, size_t most_bytes, rp_prompt *prompt, bool *done);
// Bytes that are not yet encoded.
RT_API size_t rp_prompt_remaining(const rp_prompt *prompt);

// Makes room ahead of time for a prompt of `bytes` bytes of text (its tokens are never more than that and a few).
RT_API rt_result rp_prompt_reserve(rp_prompt *prompt, size_t bytes);

RT_API void rp_prompt_free(rp_prompt *prompt); // zeroes it; a zeroed one is fine

#ifdef __cplusplus
}
#endif
#endif
