// tokenizer/split_regex.c - a pre-tokenizer pattern that is not one of ours, run by PCRE2.
// SPDX-License-Identifier: MIT
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/split.h"

#include <pcre2.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

// A pattern from a file may not run away: the engine gives up on a word after this much backtracking, and so does the
// call of encode.
#define MATCH_LIMIT 1000000
#define PATTERN_LIMIT 16384
#define SPELLED_SPACE 64 // bytes that \s can become for each of its own

// PCRE2 frees without saying how much: each block remembers its size in front of it.
typedef struct block {
    const rt_host *host;
    size_t size;
    max_align_t data[];
} block;

static void *allocate_block(size_t size, void *user)
{
    const rt_host *host = user;
    size_t total;
    if (!rti_size_add(size, sizeof(block), &total))
        return NULL;
    block *b = rti_allocate(host, total);
    if (!b)
        return NULL;
    b->host = host;
    b->size = total;
    return b->data;
}

static void release_block(void *pointer, void *user)
{
    (void)user;
    if (!pointer)
        return;
    block *b = (block *)((char *)pointer - offsetof(block, data));
    rti_release(b->host, b, b->size);
}

// What an encode call owns: match data and the limits.
typedef struct regex_match {
    rt_host host;
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
    int error; // of the first match that failed otherwise than by finding nothing
} regex_match;

rt_result rti_split_match_result(const rt_host *host, const void *match)
{
    const regex_match *m = match;
    if (!m || m->error == 0)
        return RT_OK;
    if (m->error == PCRE2_ERROR_NOMEMORY)
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "tokenizer: no memory to split the text into words");
    PCRE2_UCHAR words[160] = {0};
    pcre2_get_error_message(m->error, words, sizeof(words));
    return rti_fail(host, RT_ERROR_TOO_LARGE, "tokenizer: the pre-tokenizer's pattern gave up on this text: %s",
                    (const char *)words);
}

void rti_split_match_release(void *match)
{
    regex_match *m = match;
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_general_context_free(m->general);
    rt_host host = m->host;
    rti_release(&host, m, sizeof(*m));
}

void *rti_split_match_create(const rt_host *host)
{
    regex_match *m = rti_allocate_zeroed(host, sizeof(*m));
    if (!m)
        return NULL;
    m->host = *host;
    m->general = pcre2_general_context_create(allocate_block, release_block, &m->host);
    if (m->general) {
        m->context = pcre2_match_context_create(m->general);
        m->data = pcre2_match_data_create(1, m->general);
    }
    if (!m->context || !m->data) {
        rti_split_match_release(m);
        return NULL;
    }
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_depth_limit(m->context, MATCH_LIMIT);
    pcre2_set_heap_limit(m->context, 64 * 1024); // KiB
    return m;
}

static const char *next_word(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    regex_match *m = match;
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    PCRE2_SIZE size = (PCRE2_SIZE)(end - begin), offset = (PCRE2_SIZE)(at - begin);
    int found = pcre2_match(step->code, (PCRE2_SPTR)begin, size, offset, options, m->data, m->context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) // the interpreter has the heap instead
        found = pcre2_match(step->code, (PCRE2_SPTR)begin, size, offset, options | PCRE2_NO_JIT, m->data, m->context);
    if (found < 0) {
        if (found != PCRE2_ERROR_NOMATCH && m->error == 0)
            m->error = found;
        return end; // nothing more to isolate
    }
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(m->data);
    const char *first = begin + range[0], *last = begin + range[1];
    if (first > at && first <= end)
        return first; // what lies before the match is a word of its own
    return last > at && last <= end ? last : end;
}

// PCRE2's \s has U+180E, which Unicode took out of white space; the engines that these patterns were written for follow
// Unicode. Spells \s and \S out. `out` has room for SPELLED_SPACE times the pattern and a zero.
static size_t spell_spaces(const char *pattern, size_t size, char *out)
{
    static const char spaces[] = "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
    size_t used = 0;
    bool class = false;
    for (size_t i = 0; i < size; i++) {
        char c = pattern[i];
        if (c == '\\' && i + 1 < size) {
            char escape = pattern[++i];
            bool negated = escape == 'S' && !class;
            if (escape != 's' && !negated) {
                out[used++] = c;
                out[used++] = escape;
                continue;
            }
            const char *open = class ? "" : negated ? "[^" : "[", *close = class ? "" : "]";
            used += (size_t)sprintf(out + used, "%s%s%s", open, spaces, close);
            continue;
        }
        // A class may begin with "]" or "^]", which do not end it.
        if (c == '[' && !class)
            class = true;
        else if (c == ']' && class && !(pattern[i - 1] == '[' || (pattern[i - 1] == '^' && i >= 2 && pattern[i - 2] == '[')))
            class = false;
        out[used++] = c;
    }
    out[used] = 0;
    return used;
}

rt_result rti_split_regex_create(const rt_host *host, const char *path, const char *pattern, size_t size,
                                 rti_split_step *step)
{
    if (size > PATTERN_LIMIT)
        return rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: a pre-tokenizer pattern of %zu bytes (the limit is %d)", path, size,
                        PATTERN_LIMIT);
    size_t room = size * SPELLED_SPACE + 1;
    char *spelled = rti_allocate(host, room);
    if (!spelled)
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the pre-tokenizer's pattern", path);
    // The code must not hold on to this host: it outlives the call, so it uses the C library's allocator.
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)spelled, spell_spaces(pattern, size, spelled), PCRE2_UTF | PCRE2_UCP,
                                     &error, &offset, NULL);
    rti_release(host, spelled, room);
    if (!code) {
        PCRE2_UCHAR words[160] = {0};
        pcre2_get_error_message(error, words, sizeof(words));
        return rti_fail(host, error == PCRE2_ERROR_NOMEMORY ? RT_ERROR_OUT_OF_MEMORY : RT_ERROR_UNSUPPORTED,
                        "%s: pre-tokenizer pattern, at character %zu: %s; name a known one with pre_tokenizer", path,
                        (size_t)offset, (const char *)words);
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // without it the interpreter runs
    *step = (rti_split_step){.next = next_word, .code = code};
    return RT_OK;
}

void rti_split_regex_release(rti_split_step *step)
{
    pcre2_code_free(step->code);
    step->code = NULL;
}
