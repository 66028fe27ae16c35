// Messages to a prompt, by a format's table.
// SPDX-License-Identifier: MIT
#include "prompt/builder.h"

#include <stdint.h>
#include <string.h>

typedef struct renderer {
    rpi_builder builder;
    const rp_format *format;
    const rp_message *messages;
    int32_t count;
    rp_text tools;       // the array, empty where there are none
    bool system_in_turn; // the system text goes with a user turn
    bool system_gathers;
    int32_t head_count; // system messages at the front that the head takes
    int32_t tool_turn,
        system_turn; // first message of the user turn that takes them; -1: a turn of its own at the front
} renderer;

// A result in a format that has none is said by the user.
static rp_role role_of(const renderer *r, int32_t index)
{
    rp_role role = r->messages[index].role;
    return role == RP_ROLE_RESULT && !r->format->result_prefix ? RP_ROLE_USER : role;
}

static bool has_contexts(const renderer *r)
{
    for (int32_t i = 0; i < r->count; i++)
        if (r->messages[i].role == RP_ROLE_CONTEXT)
            return true;
    return false;
}

static rt_result bad_tools(renderer *r, const char *what)
{
    return rpi_prompt_fail(
        &r->builder.text.host, RT_ERROR_BAD_TEXT,
        "prompt: tools: %s: give a JSON array of {\"type\":\"function\",\"function\":{\"name\",...}}", what);
}

// {"type": "function", "function": {"name", "description", "parameters"}}, in the order that models were trained on.
// The order is kept by writing the tool afresh; `strict` and other keys are not for the model.
static void write_tool(renderer *r, rp_text tool)
{
    rpi_text *text = &r->builder.text;
    rp_text function = rpi_json_member(tool, "function");
    if (function.size == 0)
        function = tool;
    rp_text name = rpi_json_member(function, "name"), description = rpi_json_member(function, "description");
    rp_text parameters = rpi_json_member(function, "parameters");
    if (rpi_json_kind(name) != '"') {
        if (r->builder.result == RT_OK)
            r->builder.result = bad_tools(r, "one has no name");
        return;
    }
    // Built compactly behind the prompt's end, then written again in the format's layout.
    rpi_text flat = {.host = text->host};
    rpi_text_add_string(&flat, "{\"type\":\"function\",\"function\":{\"name\":");
    rpi_text_add(&flat, name.data, name.size);
    if (rpi_json_kind(description) == '"') {
        rpi_text_add_string(&flat, ",\"description\":");
        rpi_text_add(&flat, description.data, description.size);
    } else if (r->format->tool_description_always) {
        rpi_text_add_string(&flat, ",\"description\":\"\"");
    }
    rpi_text_add_string(&flat, ",\"parameters\":");
    if (rpi_json_kind(parameters) == '{')
        rpi_text_add(&flat, parameters.data, parameters.size);
    else
        rpi_text_add_string(&flat, "{\"type\":\"object\",\"properties\":{}}");
    rpi_text_add_string(&flat, "}}");
    if (flat.result != RT_OK)
        text->result = flat.result;
    else
        rpi_json_write(text, (rp_text){flat.data, flat.size}, r->format->tools_indent, 0);
    rpi_text_free(&flat);
}

static void write_tools(renderer *r)
{
    const rp_format *f = r->format;
    if (r->tools.size == 0)
        return;
    rpi_builder_format(&r->builder, f->tools_prefix);
    rpi_json_walk walk = rpi_json_begin(r->tools);
    for (bool first = true; rpi_json_next(&walk); first = false) {
        if (!first)
            rpi_builder_format(&r->builder, f->tool_join);
        rpi_builder_format(&r->builder, f->tool_prefix);
        size_t start = r->builder.text.size;
        write_tool(r, walk.value);
        rpi_builder_written(&r->builder, start);
        rpi_builder_format(&r->builder, f->tool_suffix);
    }
    rpi_builder_format(&r->builder, f->tools_suffix);
}

// The system texts that belong together, joined; contexts too where the format has no place of their own for them.
static bool write_system_texts(renderer *r, bool strip)
{
    const rp_format *f = r->format;
    const char *join = f->join && !f->system_lead ? f->join : f->system_lead ? "" : "\n\n";
    bool any = false;
    for (int32_t i = 0; i < r->count; i++) {
        const rp_message *m = &r->messages[i];
        if (m->role != RP_ROLE_SYSTEM || (!r->system_gathers && i >= r->head_count))
            continue;
        if (m->content.size == 0 && r->system_gathers)
            continue;
        if (any)
            rpi_builder_format(&r->builder, join);
        rpi_builder_format(&r->builder, f->system_lead);
        rpi_builder_content(&r->builder, m->content, strip);
        any = true;
    }
    if (!any && f->default_system) {
        rpi_builder_format(&r->builder, f->system_lead);
        rpi_builder_format(&r->builder, f->default_system);
        any = true;
    }
    for (int32_t i = 0; i < r->count && !f->context_prefix; i++) {
        if (r->messages[i].role != RP_ROLE_CONTEXT)
            continue;
        rpi_builder_format(&r->builder, any ? "\n\n" : f->system_lead);
        rpi_builder_content(&r->builder, r->messages[i].content, strip);
        any = true;
    }
    return any;
}

static bool has_system_text(const renderer *r)
{
    if (r->format->default_system)
        return true;
    for (int32_t i = 0; i < r->count; i++) {
        if (r->messages[i].role == RP_ROLE_CONTEXT && !r->format->context_prefix)
            return true;
        if (r->messages[i].role != RP_ROLE_SYSTEM)
            continue;
        if (r->system_gathers ? r->messages[i].content.size > 0 : i < r->head_count)
            return true;
    }
    return false;
}

static void write_contexts(renderer *r, bool after_tools)
{
    const rp_format *f = r->format;
    if (!f->context_prefix || !has_contexts(r))
        return;
    if (after_tools)
        rpi_builder_format(&r->builder, f->context_join);
    for (int32_t i = 0; i < r->count; i++) {
        if (r->messages[i].role != RP_ROLE_CONTEXT)
            continue;
        rpi_builder_format(&r->builder, f->context_prefix);
        rpi_builder_content(&r->builder, r->messages[i].content, f->strip_content);
        rpi_builder_format(&r->builder, f->context_suffix);
    }
}

static void write_head(renderer *r)
{
    const rp_format *f = r->format;
    if (f->tools_place == RP_TOOLS_AT_HEAD)
        write_tools(r);
    if (r->system_in_turn)
        return;
    bool tools = r->tools.size && f->tools_place == RP_TOOLS_IN_SYSTEM;
    bool contexts = f->context_prefix && has_contexts(r);
    if (!f->system_always && !tools && !contexts && !has_system_text(r))
        return;
    rpi_builder_format(&r->builder, f->system_prefix);
    if (r->tools.size)
        rpi_builder_format(&r->builder, f->tools_notice);
    rpi_builder_format(&r->builder, f->system_opening);
    bool any = write_system_texts(r, f->strip_content);
    if (any && (tools || contexts))
        rpi_builder_format(&r->builder, f->tools_join);
    if (tools)
        write_tools(r);
    write_contexts(r, tools);
    rpi_builder_format(&r->builder, f->system_suffix);
}

// "NAME: result", for models that were never taught what a result is.
static void write_named_result(renderer *r, const rp_message *m)
{
    if (m->name.size) {
        rpi_builder_content(&r->builder, m->name, false);
        rpi_builder_format(&r->builder, ": ");
    }
    rpi_builder_content(&r->builder, m->content, true);
}

static void write_user(renderer *r, int32_t first, int32_t end)
{
    const rp_format *f = r->format;
    if (r->tools.size && f->tools_place == RP_TOOLS_BEFORE_LAST_USER && r->tool_turn == first)
        write_tools(r);
    rpi_builder_format(&r->builder, f->user_prefix);
    if (r->tools.size && f->tools_place == RP_TOOLS_IN_FIRST_USER && r->tool_turn == first)
        write_tools(r);
    if (r->system_in_turn && r->system_turn == first && write_system_texts(r, false))
        rpi_builder_format(&r->builder, "\n\n");
    for (int32_t i = first; i < end; i++) {
        if (i > first)
            rpi_builder_format(&r->builder, f->join);
        if (r->messages[i].role == RP_ROLE_RESULT)
            write_named_result(r, &r->messages[i]);
        else
            rpi_builder_content(&r->builder, r->messages[i].content, f->strip_content);
    }
    rpi_builder_format(&r->builder, f->user_suffix);
    if (f->separate_runs)
        rpi_builder_cut(&r->builder);
}

static void write_call(renderer *r, rp_text call)
{
    const rp_format *f = r->format;
    rpi_text *text = &r->builder.text;
    rp_text name = rpi_json_member(call, "name"), arguments = rpi_json_member(call, "arguments");
    rp_text id = rpi_json_member(call, "id");
    if (rpi_json_kind(name) != '"') {
        r->builder.result = rpi_prompt_fail(&text->host, RT_ERROR_BAD_TEXT, "prompt: calls: one has no name");
        return;
    }
    rpi_builder_format(&r->builder, f->call_prefix);
    size_t start = text->size;
    rpi_text_add_string(text, "{\"name\": ");
    rpi_json_write(text, name, 0, 0);
    rpi_text_add_string(text, ", \"");
    rpi_text_add_string(text, f->call_arguments ? f->call_arguments : "arguments");
    rpi_text_add_string(text, "\": ");
    if (arguments.size)
        rpi_json_write(text, arguments, 0, 0);
    else
        rpi_text_add_string(text, "{}");
    if (f->call_ids && rpi_json_kind(id) == '"') {
        rpi_text_add_string(text, ", \"id\": ");
        rpi_json_write(text, id, 0, 0);
    }
    rpi_text_add_string(text, "}");
    rpi_builder_written(&r->builder, start);
    rpi_builder_format(&r->builder, f->call_suffix);
}

// `open`: the turn of a reply is open already, the calls follow in it.
static void write_calls(renderer *r, const rp_message *m, bool open)
{
    const rp_format *f = r->format;
    if (!f->calls_prefix)
        return;
    if (!rpi_json_is_value(m->content.data, m->content.size) || rpi_json_kind(m->content) != '[') {
        if (r->builder.result == RT_OK)
            r->builder.result = rpi_prompt_fail(&r->builder.text.host, RT_ERROR_BAD_TEXT,
                                                "prompt: calls: not a JSON array of {\"name\", \"arguments\", \"id\"}");
        return;
    }
    rpi_builder_format(&r->builder, open ? f->calls_after_reply : f->calls_prefix);
    rpi_json_walk walk = rpi_json_begin(m->content);
    for (bool first = true; rpi_builder_result(&r->builder) == RT_OK && rpi_json_next(&walk); first = false) {
        if (!first && f->call_join)
            rpi_builder_format(&r->builder, f->call_join);
        if (!first && !f->call_join) {
            rpi_builder_format(&r->builder, f->calls_suffix);
            rpi_builder_format(&r->builder, f->calls_prefix);
        }
        write_call(r, walk.value);
    }
    rpi_builder_format(&r->builder, f->calls_suffix);
}

static void write_reply(renderer *r, int32_t first, int32_t end)
{
    const rp_format *f = r->format;
    rpi_builder_format(&r->builder, f->reply_prefix);
    for (int32_t i = first; i < end; i++) {
        rp_text content = r->messages[i].content;
        if (i > first)
            rpi_builder_format(&r->builder, f->join);
        if (f->strip_reply_spaces && i + 1 == end)
            while (content.size && content.data[content.size - 1] == ' ')
                content.size--;
        rpi_builder_content(&r->builder, content, f->strip_content);
    }
    bool calls_follow =
        end < r->count && r->messages[end].role == RP_ROLE_CALLS && f->calls_after_reply && f->calls_prefix;
    if (!calls_follow)
        rpi_builder_format(&r->builder, f->reply_suffix);
}

// What a result is in JSON: JSON where it parses as such, {} where it is empty, a string otherwise.
static void write_result_value(rpi_text *text, rp_text content)
{
    if (content.size == 0)
        rpi_text_add_string(text, "{}");
    else if (rpi_json_is_value(content.data, content.size))
        rpi_json_write(text, content, 0, 0);
    else
        rpi_json_write_string(text, content.data, content.size);
}

static void write_result(renderer *r, const rp_message *m)
{
    const rp_format *f = r->format;
    rpi_text *text = &r->builder.text;
    rpi_builder_format(&r->builder, f->result_prefix);
    size_t start = text->size;
    switch (f->result_form) {
    case RP_RESULT_TEXT: rpi_builder_content(&r->builder, m->content, f->strip_content); break;
    case RP_RESULT_NAMED: write_named_result(r, m); break;
    case RP_RESULT_CALL_OBJECT:
        rpi_text_add_string(text, "{\"content\": ");
        write_result_value(text, m->content);
        rpi_text_add_string(text, ", \"call_id\": ");
        rpi_json_write_string(text, m->call_id.data, m->call_id.size);
        rpi_text_add_string(text, "}");
        break;
    case RP_RESULT_JSON_STRING: rpi_json_write_string(text, m->content.data, m->content.size); break;
    case RP_RESULT_NAME_OBJECT:
        rpi_text_add_string(text, "{\"name\": ");
        rpi_json_write_string(text, m->name.data, m->name.size);
        rpi_text_add_string(text, ", \"content\": ");
        write_result_value(text, m->content);
        rpi_text_add_string(text, "}");
        break;
    }
    if (f->result_form >= RP_RESULT_CALL_OBJECT)
        rpi_builder_written(&r->builder, start);
    rpi_builder_format(&r->builder, f->result_suffix);
}

static void write_results(renderer *r, int32_t first, int32_t end)
{
    rpi_builder_format(&r->builder, r->format->results_prefix);
    for (int32_t i = first; i < end; i++)
        write_result(r, &r->messages[i]);
    rpi_builder_format(&r->builder, r->format->results_suffix);
}

// The end of the group of neighbours that `first` begins: turns that the format joins, results in any case.
static int32_t group_end(const renderer *r, int32_t first)
{
    rp_role role = role_of(r, first);
    int32_t end = first + 1;
    bool joins = role == RP_ROLE_RESULT || ((role == RP_ROLE_USER || role == RP_ROLE_REPLY) && r->format->join);
    while (joins && end < r->count && role_of(r, end) == role)
        end++;
    return end;
}

// Finds which user turn takes the system text and which the tools.
static void find_turns(renderer *r)
{
    const rp_format *f = r->format;
    int32_t first_user = -1, last_user = -1, first_turn = -1;
    for (int32_t i = 0; i < r->count; i = group_end(r, i)) {
        rp_role role = role_of(r, i);
        if (role == RP_ROLE_SYSTEM || role == RP_ROLE_CONTEXT)
            continue;
        if (first_turn < 0)
            first_turn = i;
        if (role != RP_ROLE_USER)
            continue;
        if (first_user < 0)
            first_user = i;
        last_user = i;
    }
    // Where a conversation does not begin with a user turn, and system text or tools need one, it gets an empty one (-1).
    bool empty_first = first_user < 0 || (f->system_in_last_user && first_user != first_turn);
    r->system_turn = f->system_in_last_user ? last_user : empty_first ? -1 : first_user;
    r->tool_turn = f->tools_place == RP_TOOLS_BEFORE_LAST_USER ? last_user : empty_first ? -1 : first_user;
    bool needed = f->system_in_last_user || (r->system_in_turn && has_system_text(r)) ||
                  (r->tools.size && f->tools_place == RP_TOOLS_IN_FIRST_USER);
    if (empty_first && needed)
        write_user(r, -1, -1);
}

static void write_turns(renderer *r, bool open_reply)
{
    const rp_format *f = r->format;
    bool reply_open = false;
    for (int32_t i = 0; i < r->count && rpi_builder_result(&r->builder) == RT_OK;) {
        int32_t end = group_end(r, i);
        bool after_reply = reply_open;
        reply_open = false;
        switch (role_of(r, i)) {
        case RP_ROLE_SYSTEM:
            if (r->system_gathers || i < r->head_count)
                break;
            rpi_builder_format(&r->builder, f->system_prefix);
            rpi_builder_content(&r->builder, r->messages[i].content, f->strip_content);
            rpi_builder_format(&r->builder, f->system_suffix);
            break;
        case RP_ROLE_USER: write_user(r, i, end); break;
        case RP_ROLE_REPLY:
            write_reply(r, i, end);
            reply_open =
                end < r->count && r->messages[end].role == RP_ROLE_CALLS && f->calls_after_reply && f->calls_prefix;
            break;
        case RP_ROLE_CALLS: write_calls(r, &r->messages[i], after_reply); break;
        case RP_ROLE_RESULT: write_results(r, i, end); break;
        case RP_ROLE_CONTEXT: break;
        }
        i = end;
    }
    if (open_reply) {
        rpi_builder_format(&r->builder, f->reply_prefix);
        rpi_builder_format(&r->builder, f->reply_opening);
    }
}

static void write_begin(renderer *r)
{
    if (r->format->begin) {
        rpi_builder_format(&r->builder, r->format->begin);
        return;
    }
    rt_token bos = r->builder.tokenizer ? rt_tokenizer_bos(r->builder.tokenizer) : RT_TOKEN_NONE;
    if (bos != RT_TOKEN_NONE && rt_tokenizer_adds_bos(r->builder.tokenizer))
        rpi_builder_format(&r->builder, rt_tokenizer_spelling(r->builder.tokenizer, bos));
}

static rt_result check_arguments(const rp_format *format, const rt_host *host, const rp_message *messages,
                                 int32_t count)
{
    if (!format || count < 0 || (count && !messages))
        return rpi_prompt_fail(host, RT_ERROR_INVALID_ARGUMENT,
                               "rp_prompt_render: a format, and messages where count is not 0");
    for (int32_t i = 0; i < count; i++) {
        const rp_message *m = &messages[i];
        bool hollow = (m->content.size && !m->content.data) || (m->call_id.size && !m->call_id.data) ||
                      (m->name.size && !m->name.data);
        if ((unsigned)m->role > RP_ROLE_CONTEXT || hollow)
            return rpi_prompt_fail(host, RT_ERROR_INVALID_ARGUMENT,
                                   "rp_prompt_render: message %d: no such role, or a null text", (int)i);
    }
    return RT_OK;
}

static rt_result render(renderer *r, const char *tools, bool open_reply)
{
    const rp_format *f = r->format;
    r->system_in_turn = !f->system_prefix || f->system_in_last_user;
    r->system_gathers = r->system_in_turn || f->system_gathers;
    while (r->head_count < r->count && r->head_count < 1 && r->messages[r->head_count].role == RP_ROLE_SYSTEM)
        r->head_count++;
    if (tools && f->tools_place != RP_TOOLS_NOWHERE) {
        rp_text array = {tools, strlen(tools)};
        if (!rpi_json_is_value(array.data, array.size) || rpi_json_kind(array) != '[')
            return bad_tools(r, "not a JSON array");
        rpi_json_walk walk = rpi_json_begin(array);
        if (rpi_json_next(&walk))
            r->tools = array;
    }
    write_begin(r);
    write_head(r);
    find_turns(r);
    write_turns(r, open_reply);
    rpi_builder_cut(&r->builder);
    rpi_text_add(&r->builder.text, "", 0); // there is a terminating zero, also in an empty prompt
    return rpi_builder_result(&r->builder);
}

rt_result rp_prompt_begin(const rp_format *format, const rt_tokenizer *tokenizer, const rp_message *messages, int32_t count,
                          const char *tools, bool open_reply, rp_prompt *prompt)
{
    if (!prompt)
        return rpi_prompt_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_prompt_begin: no prompt");
    prompt->count = prompt->text_size = prompt->piece_count = prompt->next_piece = prompt->next_byte = 0;
    rt_result result = check_arguments(format, &prompt->host, messages, count);
    if (result != RT_OK)
        return result;
    renderer r = {
        .builder = {.format = format,
                    .tokenizer = tokenizer,
                    .text = {.data = prompt->text, .capacity = prompt->text_capacity, .host = prompt->host},
                    .pieces = prompt->pieces,
                    .capacity = prompt->piece_capacity},
        .format = format,
        .messages = messages,
        .count = count,
    };
    result = render(&r, tools, open_reply);
    prompt->pieces = r.builder.pieces;
    prompt->piece_capacity = r.builder.capacity;
    prompt->text = r.builder.text.data;
    prompt->text_capacity = r.builder.text.capacity;
    if (result == RT_OK) {
        prompt->piece_count = r.builder.count;
        prompt->text_size = r.builder.text.size;
    }
    return result;
}
