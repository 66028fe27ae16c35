// tokenizer/split_patterns.c - the pre-tokenizer patterns of the common families, written out.
//
// Each function finds what the regular expression above it would match first at `at`. They rely on three facts: the
// patterns cover every character, so words lie end to end; a greedy run followed by nothing never gives back; and where
// a run must give back ([\p{Lu}\p{Lm}..]*[\p{Ll}\p{Lm}..]+, \s+(?!\S)) the place it gives back to is known from one scan.
// SPDX-License-Identifier: MIT
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

#include <string.h>

// The end of the run of characters whose class has a bit of `any` and none of `none`.
static inline const char *run_of(const char *at, const char *end, uint32_t any, uint32_t none)
{
    while (at < end) {
        int length;
        uint32_t class = rti_class_at(at, &length);
        if (!(class & any) || (class & none))
            break;
        at += length;
    }
    return at;
}

// The end of the run of characters whose class has no bit of `none`.
static inline const char *run_without(const char *at, const char *end, uint32_t none)
{
    while (at < end) {
        int length;
        if (rti_class_at(at, &length) & none)
            break;
        at += length;
    }
    return at;
}

// 's|'t|'re|'ve|'m|'ll|'d at `at`: its length or 0. Folded: in any case, which for "s" includes U+017F (long s).
static inline int contraction(const char *at, const char *end, bool fold)
{
    if (end - at < 2 || at[0] != '\'')
        return 0;
    char first = at[1];
    if (fold && first >= 'A' && first <= 'Z')
        first = (char)(first + 32);
    switch (first) {
    case 's': case 't': case 'm': case 'd':
        return 2;
    case 'r': case 'v': case 'l': {
        if (end - at < 3)
            return 0;
        char second = at[2];
        if (fold && second >= 'A' && second <= 'Z')
            second = (char)(second + 32);
        return second == (first == 'l' ? 'l' : 'e') ? 3 : 0;
    }
    case '\xC5':
        return fold && end - at >= 3 && at[2] == '\xBF' ? 3 : 0;
    default:
        return 0;
    }
}

// \s*[\r\n]+|\s+(?!\S)|\s+ where `at` is white space; without the first branch when !newlines.
static inline const char *white_space(const char *at, const char *end, bool newlines)
{
    const char *last = at;       // the last character of the run
    const char *after_line = at; // behind the last line break
    const char *p = at;
    while (p < end) {
        int length;
        uint32_t class = rti_class_at(p, &length);
        if (!(class & RTI_CLASS_SPACE))
            break;
        last = p;
        p += length;
        if (class & RTI_CLASS_NEWLINE)
            after_line = p;
    }
    if (newlines && after_line > at)
        return after_line;
    // A run before a word leaves its last space to the word.
    return p == end || last == at ? p : last;
}

//  ?[^\s\p{L}\p{N}]+[\r\n]* (with `slash` [\r\n/]*), or NULL.
static inline const char *symbols(const char *at, const char *end, uint32_t none, bool newlines, bool slash)
{
    const char *begin = *at == ' ' ? at + 1 : at;
    const char *p = run_without(begin, end, none | RTI_CLASS_SPACE);
    if (p == begin)
        return NULL;
    while (newlines && p < end && (*p == '\r' || *p == '\n' || (slash && *p == '/')))
        p++;
    return p;
}

static inline const char *digits(const char *at, const char *end, int most)
{
    for (int i = 0; i < most && at < end; i++) {
        int length;
        if (!(rti_class_at(at, &length) & RTI_CLASS_NUMBER))
            break;
        at += length;
    }
    return at;
}

// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
const char *rti_split_gpt2(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    int length = contraction(at, end, false);
    if (length > 0)
        return at + length;
    const char *word = *at == ' ' ? at + 1 : at;
    if (word < end) {
        uint32_t class = rti_class_at(word, &length);
        if (class & RTI_CLASS_LETTER)
            return run_of(word + length, end, RTI_CLASS_LETTER, 0);
        if (class & RTI_CLASS_NUMBER)
            return run_of(word + length, end, RTI_CLASS_NUMBER, 0);
        if (!(class & RTI_CLASS_SPACE))
            return run_without(word + length, end, RTI_CLASS_LETTER | RTI_CLASS_NUMBER | RTI_CLASS_SPACE);
    }
    return white_space(at, end, false);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?LETTERS+|\p{N}{1,most}| ?[^\s LETTERS \p{N}]+[\r\n]*|...
static inline const char *plain_word(const char *at, const char *end, uint32_t letters, int most_digits)
{
    int length = contraction(at, end, true);
    if (length > 0)
        return at + length;
    uint32_t class = rti_class_at(at, &length);
    if (class & letters)
        return run_of(at + length, end, letters, 0);
    if (class & RTI_CLASS_NUMBER)
        return digits(at, end, most_digits);
    if (!(class & RTI_CLASS_NEWLINE) && at + length < end) {
        const char *word = run_of(at + length, end, letters, 0);
        if (word > at + length)
            return word;
    }
    const char *symbol = symbols(at, end, letters | RTI_CLASS_NUMBER, true, false);
    return symbol ? symbol : white_space(at, end, true);
}

// Llama 3 (and cl100k_base): LETTERS = \p{L}, numbers by three.
const char *rti_split_llama3(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    return plain_word(at, end, RTI_CLASS_LETTER, 3);
}

// Qwen 2 and 3: LETTERS = \p{L}, numbers one by one.
const char *rti_split_qwen2(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    return plain_word(at, end, RTI_CLASS_LETTER, 1);
}

// Qwen 3.5: LETTERS = [\p{L}\p{M}], numbers one by one.
const char *rti_split_qwen35(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    return plain_word(at, end, RTI_CLASS_LETTER | RTI_CLASS_MARK, 1);
}

// [UC]*[LC]+ at `at`, where U is upper case, L lower case and C what is neither (\p{Lm}\p{Lo}\p{M}), or NULL. The first
// run gives back until its last character is a C; *upper is the end of that run, which [UC]+[LC]* matches.
static inline const char *cased_word(const char *at, const char *end, const char **upper)
{
    const uint32_t both = RTI_CLASS_CASELESS | RTI_CLASS_MARK;
    const char *after_both = NULL;
    const char *p = at;
    uint32_t class = 0;
    int length = 0;
    for (; p < end; p += length) {
        class = rti_class_at(p, &length);
        if (!(class & (RTI_CLASS_UPPER | both)))
            break;
        if (class & both)
            after_both = p + length;
    }
    *upper = p;
    if (p < end && (class & RTI_CLASS_LOWER))
        return run_of(p + length, end, RTI_CLASS_LOWER | both, 0);
    return after_both;
}

// [^\r\n\p{L}\p{N}]?[UC]*[LC]+ | [^\r\n\p{L}\p{N}]?[UC]+[LC]*, or NULL.
static inline const char *optional_cased_word(const char *at, const char *end, uint32_t class, int length)
{
    const char *upper;
    if (class & RTI_CLASS_LETTER) {
        const char *word = cased_word(at, end, &upper);
        return word ? word : upper;
    }
    if (class & (RTI_CLASS_NUMBER | RTI_CLASS_NEWLINE))
        return NULL;
    const char *word = cased_word(at + length, end, &upper);
    if (word)
        return word;
    if (class & RTI_CLASS_MARK) { // the optional character gives way: the mark is a C itself
        const char *unused;
        return cased_word(at, end, &unused);
    }
    return upper > at + length ? upper : NULL;
}

// Tekken: [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|
//   [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|
//   \s*[\r\n]+|\s+(?!\S)|\s+
const char *rti_split_tekken(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    int length;
    uint32_t class = rti_class_at(at, &length);
    const char *word = optional_cased_word(at, end, class, length);
    if (word)
        return word;
    if (class & RTI_CLASS_NUMBER)
        return at + length;
    const char *symbol = symbols(at, end, RTI_CLASS_LETTER | RTI_CLASS_NUMBER, true, true);
    return symbol ? symbol : white_space(at, end, true);
}

// GPT-4o (o200k_base): as Tekken, with (?i:'s|'t|'re|'ve|'m|'ll|'d)? behind a word, and numbers by three.
const char *rti_split_gpt4o(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    int length;
    uint32_t class = rti_class_at(at, &length);
    const char *word = optional_cased_word(at, end, class, length);
    if (word)
        return word + contraction(word, end, true);
    if (class & RTI_CLASS_NUMBER)
        return digits(at, end, 3);
    const char *symbol = symbols(at, end, RTI_CLASS_LETTER | RTI_CLASS_NUMBER, true, true);
    return symbol ? symbol : white_space(at, end, true);
}

// One digit, or what lies before the next one: \p{N} isolated, in the Unicode version of `tokenizers`' Digits step.
const char *rti_split_digit(const rti_split_step *step, void *match, const char *begin, const char *at, const char *end)
{
    (void)step, (void)match, (void)begin;
    const uint32_t digit = RTI_CLASS_NUMBER | RTI_CLASS_NEW_NUMERAL;
    int length;
    if (rti_class_at(at, &length) & digit)
        return at + length;
    return run_without(at + length, end, digit);
}

// [^\n]+|[\n]+
const char *rti_split_newlines(const rti_split_step *step, void *match, const char *begin, const char *at,
                               const char *end)
{
    (void)step, (void)match, (void)begin;
    if (*at != '\n') {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        return line ? line : end;
    }
    while (at < end && *at == '\n')
        at++;
    return at;
}

// ---------------------------------------------------------------------------------------------------------------------

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define NO_WORD "[^\\r\\n\\p{L}\\p{N}]?"
#define TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define SLASH_TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES

// As the tokenizer files of these families spell them.
static const struct {
    const char *pattern;
    rti_split_function *next;
} patterns[] = {
    {CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", rti_split_gpt2},
    {CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)", rti_split_gpt2},
    {"(?i:" CONTRACTIONS ")|" NO_WORD "\\p{L}+|\\p{N}{1,3}|" TAIL, rti_split_llama3},
    {"'(?i:[sdmt]|ll|ve|re)|" NO_WORD "+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
     rti_split_llama3},
    {"(?i:" CONTRACTIONS ")|" NO_WORD "\\p{L}+|\\p{N}|" TAIL, rti_split_qwen2},
    {"(?i:" CONTRACTIONS ")|" NO_WORD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES,
     rti_split_qwen35},
    {NO_WORD UPPER "*" LOWER "+|" NO_WORD UPPER "+" LOWER "*|\\p{N}|" SLASH_TAIL, rti_split_tekken},
    {NO_WORD UPPER "*" LOWER "+(?i:" CONTRACTIONS ")?|" NO_WORD UPPER "+" LOWER "*(?i:" CONTRACTIONS
     ")?|\\p{N}{1,3}|" SLASH_TAIL,
     rti_split_gpt4o},
    {"\\p{N}", rti_split_digit},
    {"[^\\n]+|[\\n]+", rti_split_newlines},
};

rti_split_function *rti_split_pattern_find(const char *pattern, size_t size)
{
    for (size_t i = 0; i < RTI_COUNT(patterns); i++)
        if (strlen(patterns[i].pattern) == size && memcmp(patterns[i].pattern, pattern, size) == 0)
            return patterns[i].next;
    return NULL;
}
