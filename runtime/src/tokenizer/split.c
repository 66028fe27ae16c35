// tokenizer/split.c - the table of pre-tokenizer families, and making a plan from a name or from a file's steps.
// SPDX-License-Identifier: MIT
#include "tokenizer/split.h"

#include "base/base.h"

#include <stdio.h>
#include <string.h>

typedef struct family {
    const char *name;
    rti_split_function *first, *second; // second: cuts the words of the first; NULL: one step
    const char *patterns[4];            // instead of functions, in PCRE2's language
    bool nfc, ignore_merges;
} family;

#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define DEEPSEEK3_PATTERN                                                                                                 \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"                    \
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

// The names that GGUF files use (tokenizer.ggml.pre). A name that several families share stands with each.
static const family families[] = {
    {"gpt-2", rti_split_gpt2, NULL, {NULL}, false, false},
    {"gpt2", rti_split_gpt2, NULL, {NULL}, false, false},
    {"phi-2", rti_split_gpt2, NULL, {NULL}, false, false},
    {"olmo", rti_split_gpt2, NULL, {NULL}, false, false},
    {"mpt", rti_split_gpt2, NULL, {NULL}, false, false},
    {"jais", rti_split_gpt2, NULL, {NULL}, false, false},
    {"trillion", rti_split_gpt2, NULL, {NULL}, false, false},
    {"exaone4", rti_split_gpt2, NULL, {NULL}, false, false},
    {"smollm", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"starcoder", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"refact", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"command-r", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"codeshell", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"exaone", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"minerva-7b", rti_split_digit, rti_split_gpt2, {NULL}, false, false},
    {"llama-bpe", rti_split_llama3, NULL, {NULL}, false, true},
    {"llama3", rti_split_llama3, NULL, {NULL}, false, true},
    {"llama-v3", rti_split_llama3, NULL, {NULL}, false, true},
    {"falcon3", rti_split_llama3, NULL, {NULL}, false, true},
    {"falcon-h1", rti_split_llama3, NULL, {NULL}, false, true},
    {"pixtral", rti_split_llama3, NULL, {NULL}, false, true},
    {"lfm2", rti_split_llama3, NULL, {NULL}, false, true},
    {"dbrx", rti_split_llama3, NULL, {NULL}, false, false}, // phi-4
    {"smaug-bpe", rti_split_llama3, NULL, {NULL}, false, false},
    {"glm4", rti_split_llama3, NULL, {NULL}, false, false},
    {"chatglm-bpe", rti_split_llama3, NULL, {NULL}, false, false},
    {"qwen2", rti_split_qwen2, NULL, {NULL}, true, false},
    {"deepseek-r1-qwen", rti_split_qwen2, NULL, {NULL}, true, false},
    {"stablelm2", rti_split_qwen2, NULL, {NULL}, false, false},
    {"hunyuan", rti_split_qwen2, NULL, {NULL}, false, false},
    {"megrez", rti_split_qwen2, NULL, {NULL}, false, false},
    {"qwen35", rti_split_qwen35, NULL, {NULL}, true, false},
    {"tekken", rti_split_tekken, NULL, {NULL}, false, true},
    {"gpt-4o", rti_split_gpt4o, NULL, {NULL}, false, false},
    {"llama4", rti_split_gpt4o, NULL, {NULL}, false, false},
    {"gemma4", rti_split_newlines, NULL, {NULL}, false, false},
    {"deepseek-llm", NULL, NULL,
     {"[\\r\\n]", "\\s?[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\p{L}]+", "\\s?\\p{P}+", "\\p{N}"},
     false, false},
    {"deepseek-coder", NULL, NULL, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "\\p{N}"}, false, false},
    {"deepseek-v3", NULL, NULL, {"\\p{N}{1,3}", CJK, DEEPSEEK3_PATTERN}, false, false},
    {"falcon", NULL, NULL, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2_PATTERN, "[0-9][0-9][0-9]"}, false, false},
    {"default", NULL, NULL, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_PATTERN, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false},
};

static const char *known_names(char *buffer, size_t capacity)
{
    size_t used = 0;
    buffer[0] = 0;
    for (size_t i = 0; i < RTI_COUNT(families); i++) {
        int wrote = snprintf(buffer + used, capacity - used, "%s%s", i ? ", " : "", families[i].name);
        if (wrote < 0 || (size_t)wrote >= capacity - used)
            break;
        used += (size_t)wrote;
    }
    return buffer;
}

static rt_result add_pattern(const rt_host *host, const char *path, const char *pattern, size_t size, rti_split_plan *plan)
{
    rti_split_step *step = &plan->steps[plan->step_count];
    *step = (rti_split_step){.next = rti_split_pattern_find(pattern, size)};
    if (!step->next) {
        rt_result result = rti_split_regex_create(host, path, pattern, size, step);
        if (result != RT_OK)
            return result;
    }
    plan->step_count += 1;
    return RT_OK;
}

static rt_result plan_from_name(const rt_host *host, const char *path, const char *name, rti_split_plan *plan)
{
    for (size_t i = 0; i < RTI_COUNT(families); i++) {
        const family *f = &families[i];
        if (strcmp(f->name, name) != 0)
            continue;
        plan->nfc = f->nfc;
        plan->ignore_merges = f->ignore_merges;
        if (f->first)
            plan->steps[plan->step_count++].next = f->first;
        if (f->second)
            plan->steps[plan->step_count++].next = f->second;
        for (size_t k = 0; k < RTI_COUNT(f->patterns) && f->patterns[k]; k++) {
            rt_result result = add_pattern(host, path, f->patterns[k], strlen(f->patterns[k]), plan);
            if (result != RT_OK)
                return result;
        }
        return RT_OK;
    }
    char names[768];
    return rti_fail(host, RT_ERROR_UNSUPPORTED,
                    "%s: pre-tokenizer \"%.64s\" is not known; name the right one with pre_tokenizer, one of: %s", path,
                    name, known_names(names, sizeof(names)));
}

rt_result rti_split_plan_create(const rt_host *host, const char *path, const char *name, const rti_split_source *steps,
                                int32_t step_count, rti_split_plan *plan)
{
    *plan = (rti_split_plan){0};
    rt_result result = RT_OK;
    if (name) {
        result = plan_from_name(host, path, name, plan);
    } else if (step_count > RTI_SPLIT_STEPS) {
        result = rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: a pre-tokenizer of %d steps (the limit is %d)", path,
                          (int)step_count, RTI_SPLIT_STEPS);
    } else {
        for (int32_t i = 0; i < step_count && result == RT_OK; i++) {
            if (steps[i].pattern)
                result = add_pattern(host, path, steps[i].pattern, steps[i].size, plan);
            else
                plan->steps[plan->step_count++].next = rti_split_digit;
        }
    }
    if (result != RT_OK)
        rti_split_plan_release(plan);
    return result;
}

void rti_split_plan_release(rti_split_plan *plan)
{
    for (int32_t i = 0; i < plan->step_count; i++)
        rti_split_regex_release(&plan->steps[i]);
    *plan = (rti_split_plan){0};
}

bool rti_split_plan_needs_match(const rti_split_plan *plan)
{
    for (int32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].code)
            return true;
    return false;
}
