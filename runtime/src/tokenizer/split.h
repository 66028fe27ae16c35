// tokenizer/split.h - pre-tokenizers: text is cut into words before it is merged into tokens.
//
// The patterns of the common families are written out by hand (a regular expression engine would take most of the time
// of encoding); any other pattern that a tokenizer.json or tekken.json brings runs in PCRE2.
// SPDX-License-Identifier: MIT
#ifndef RTI_SPLIT_H
#define RTI_SPLIT_H

#include "base/base.h"

#define RTI_SPLIT_STEPS 8

// A step as a file has it: a regular expression (found words are isolated, and so is what lies between), or a kind.
typedef struct rti_split_source {
    const char *pattern; // NULL: individual digits, as the "Digits" step of tokenizer.json
    size_t size;
} rti_split_source;

typedef struct rti_split_step rti_split_step;

// The end of the word that begins at `at`, in the valid UTF-8 [begin, end), at < end.
typedef const char *rti_split_function(const rti_split_step *step, void *match, const char *begin, const char *at,
                                       const char *end);

struct rti_split_step {
    rti_split_function *next;
    void *code; // pcre2_code of a pattern that is not one of ours
};

// Steps are nested: each cuts the words of the one before. None: the text is one word.
typedef struct rti_split_plan {
    rti_split_step steps[RTI_SPLIT_STEPS];
    int32_t step_count;
    bool nfc;           // the family normalizes its text
    bool ignore_merges; // the family takes a word that is a token as that token
} rti_split_plan;

// From a name ("tekken", "llama-bpe") or, when that is NULL, from steps. UNSUPPORTED lists the known names.
rt_result rti_split_plan_create(const rt_host *host, const char *path, const char *name, const rti_split_source *steps,
                                int32_t step_count, rti_split_plan *plan);
void rti_split_plan_release(rti_split_plan *plan);

// Whether encoding needs match data, and making it: one for each call of encode, NULL when out of memory.
bool rti_split_plan_needs_match(const rti_split_plan *plan);
void *rti_split_match_create(const rt_host *host);
void rti_split_match_release(void *match);
// OK, or why a pattern could not be run to its end. `match` may be NULL.
rt_result rti_split_match_result(const rt_host *host, const void *match);

// The hand-written splitters of split_patterns.c, by the regular expression that they equal; NULL: none.
rti_split_function *rti_split_pattern_find(const char *pattern, size_t size);

// Named families, for split.c.
rti_split_function rti_split_gpt2, rti_split_llama3, rti_split_qwen2, rti_split_qwen35, rti_split_tekken,
    rti_split_gpt4o, rti_split_digit, rti_split_newlines;
// PCRE2 as a step.
rt_result rti_split_regex_create(const rt_host *host, const char *path, const char *pattern, size_t size,
                                 rti_split_step *step);
void rti_split_regex_release(rti_split_step *step);

#endif
