// Which format a model wants, and whether a format that a game wrote makes sense.
// SPDX-License-Identifier: MIT
#include "prompt/builder.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define LONGEST_STRING 65536

static bool has_byte_tokens(const rt_tokenizer *tokenizer)
{
    int32_t count = rt_tokenizer_vocab_size(tokenizer);
    for (int32_t id = 0; id < count && id < 4096; id++) // they stand at the front of every SentencePiece vocabulary
        if (rt_tokenizer_kind(tokenizer, id) == RT_TOKEN_BYTE)
            return true;
    return false;
}

static bool matches(const rp_format *format, const rt_tokenizer *tokenizer, const char *chat_template, bool byte_tokens)
{
    if (format->detect_vocabulary == RP_VOCABULARY_BYTE_TOKENS && !byte_tokens)
        return false;
    if (format->detect_vocabulary == RP_VOCABULARY_NO_BYTE_TOKENS && byte_tokens)
        return false;
    bool any = false;
    if (chat_template) {
        for (size_t i = 0; i < COUNT(format->detect); i++) {
            if (format->detect[i] && !strstr(chat_template, format->detect[i]))
                return false;
            any = any || format->detect[i];
        }
        for (size_t i = 0; i < COUNT(format->detect_absent); i++)
            if (format->detect_absent[i] && strstr(chat_template, format->detect_absent[i]))
                return false;
        return any;
    }
    for (size_t i = 0; i < COUNT(format->detect_tokens); i++) {
        if (format->detect_tokens[i] && rt_tokenizer_special(tokenizer, format->detect_tokens[i]) == RT_TOKEN_NONE)
            return false;
        any = any || format->detect_tokens[i];
    }
    return any;
}

rt_result rp_format_detect(const rt_tokenizer *tokenizer, const rp_format **format)
{
    if (!tokenizer || !format)
        return rpi_prompt_fail(NULL, RT_ERROR_INVALID_ARGUMENT,
                               "rp_format_detect: a tokenizer and a place for the format");
    *format = NULL;
    const char *chat_template = rt_tokenizer_chat_template(tokenizer);
    bool byte_tokens = has_byte_tokens(tokenizer);
    int32_t count;
    const rp_format *list = rp_format_list(&count);
    for (int32_t i = 0; i < count; i++) {
        if (!matches(&list[i], tokenizer, chat_template, byte_tokens))
            continue;
        *format = &list[i];
        return RT_OK;
    }
    char names[400];
    size_t length = 0;
    for (int32_t i = 0; i < count && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", list[i].name);
    return rpi_prompt_fail(
        NULL, RT_ERROR_NOT_FOUND,
        "prompt: %s matches no format: name one with rp_world_def.format (--format in the command): %s",
        chat_template ? "the model's chat template" : "the vocabulary, without a chat template,", names);
}

static bool is_utf8(const char *string)
{
    // Overlong forms, surrogates and what lies past U+10FFFF are refused like any other broken text.
    const unsigned char *at = (const unsigned char *)string;
    while (*at) {
        int need = *at < 0x80                   ? 0
                   : *at >= 0xC2 && *at <= 0xDF ? 1
                   : (*at & 0xF0) == 0xE0       ? 2
                   : *at >= 0xF0 && *at <= 0xF4 ? 3
                                                : -1;
        if (need < 0)
            return false;
        if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F))
            return false;
        if ((at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F))
            return false;
        for (int i = 1; i <= need; i++)
            if ((at[i] & 0xC0) != 0x80)
                return false;
        at += need + 1;
    }
    return true;
}

static rt_result refuse(const rp_format *format, const char *field, const char *why)
{
    return rpi_prompt_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "format %s: %s: %s",
                           format->name ? format->name : "(no name)", field, why);
}

static rt_result check_strings(const rp_format *f)
{
    const struct {
        const char *field, *value;
    } strings[] = {
        {"name", f->name},
        {"description", f->description},
        {"begin", f->begin},
        {"system_prefix", f->system_prefix},
        {"system_suffix", f->system_suffix},
        {"user_prefix", f->user_prefix},
        {"user_suffix", f->user_suffix},
        {"reply_prefix", f->reply_prefix},
        {"reply_suffix", f->reply_suffix},
        {"reply_opening", f->reply_opening},
        {"default_system", f->default_system},
        {"stop[0]", f->stop[0]},
        {"stop[1]", f->stop[1]},
        {"stop[2]", f->stop[2]},
        {"stop[3]", f->stop[3]},
        {"stop_text[0]", f->stop_text[0]},
        {"stop_text[1]", f->stop_text[1]},
        {"stop_text[2]", f->stop_text[2]},
        {"stop_text[3]", f->stop_text[3]},
        {"system_lead", f->system_lead},
        {"system_opening", f->system_opening},
        {"tools_notice", f->tools_notice},
        {"join", f->join},
        {"tools_join", f->tools_join},
        {"tools_prefix", f->tools_prefix},
        {"tool_prefix", f->tool_prefix},
        {"tool_join", f->tool_join},
        {"tool_suffix", f->tool_suffix},
        {"tools_suffix", f->tools_suffix},
        {"context_join", f->context_join},
        {"context_prefix", f->context_prefix},
        {"context_suffix", f->context_suffix},
        {"calls_prefix", f->calls_prefix},
        {"call_prefix", f->call_prefix},
        {"call_suffix", f->call_suffix},
        {"calls_suffix", f->calls_suffix},
        {"call_join", f->call_join},
        {"calls_after_reply", f->calls_after_reply},
        {"call_arguments", f->call_arguments},
        {"results_prefix", f->results_prefix},
        {"result_prefix", f->result_prefix},
        {"result_suffix", f->result_suffix},
        {"results_suffix", f->results_suffix},
    };
    for (size_t i = 0; i < COUNT(strings); i++) {
        if (!strings[i].value)
            continue;
        if (strnlen(strings[i].value, LONGEST_STRING + 1) > LONGEST_STRING)
            return refuse(f, strings[i].field, "over 65536 bytes");
        if (!is_utf8(strings[i].value))
            return refuse(f, strings[i].field, "not UTF-8");
    }
    return RT_OK;
}

static rt_result check_calls(const rp_format *f)
{
    if ((unsigned)f->calls > RP_CALLS_LLAMA3)
        return refuse(f, "calls", "no such style");
    if ((unsigned)f->tools_place > RP_TOOLS_AT_HEAD)
        return refuse(f, "tools_place", "no such place");
    if ((unsigned)f->result_form > RP_RESULT_NAME_OBJECT)
        return refuse(f, "result_form", "no such form");
    if (f->tools_indent < 0 || f->tools_indent > 16)
        return refuse(f, "tools_indent", "0 to 16 spaces");
    if (f->calls == RP_CALLS_CHOOSE)
        return RT_OK;
    if (f->tools_place == RP_TOOLS_NOWHERE)
        return refuse(f, "tools_place", "a model that calls must be told its tools");
    if (!f->calls_prefix)
        return refuse(f, "calls_prefix", "a model that calls must see its calls again");
    bool is_marked = f->calls == RP_CALLS_NEMOTRON || f->calls == RP_CALLS_HERMES;
    if (is_marked && (!f->call_prefix || !f->call_prefix[0]))
        return refuse(f, "call_prefix", "the marker that begins a call");
    if (!f->call_arguments || !f->call_arguments[0] || strpbrk(f->call_arguments, "\"\\"))
        return refuse(f, "call_arguments", "a key, such as \"arguments\"");
    return RT_OK;
}

rt_result rp_format_check(const rp_format *format)
{
    if (!format)
        return rpi_prompt_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_format_check: no format");
    if (!format->name || !format->name[0])
        return refuse(format, "name", "every format has one");
    rt_result result = check_strings(format);
    if (result != RT_OK)
        return result;
    bool parted = (format->user_prefix && format->user_prefix[0]) || (format->user_suffix && format->user_suffix[0]);
    if (!parted)
        return refuse(format, "user_prefix", "nothing parts a user turn from a reply");
    bool ends = false;
    for (size_t i = 0; i < COUNT(format->stop); i++)
        ends = ends || (format->stop[i] && format->stop[i][0]) || (format->stop_text[i] && format->stop_text[i][0]);
    if (!ends)
        return refuse(format, "stop", "a special token or a text that ends a reply");
    if (format->system_in_last_user && format->tools_place == RP_TOOLS_IN_SYSTEM)
        return refuse(format, "tools_place", "there is no system block: RP_TOOLS_BEFORE_LAST_USER");
    if (!format->system_prefix && format->tools_place == RP_TOOLS_IN_SYSTEM)
        return refuse(format, "tools_place", "there is no system block: RP_TOOLS_IN_FIRST_USER");
    return check_calls(format);
}
