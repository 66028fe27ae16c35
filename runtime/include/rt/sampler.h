// rt/sampler.h - logits (and a mask) to one token, seeded.
//
// The order: repetition penalty, mask, temperature, top-k, top-p, min-p, draw. The draw is a pure function of
// (seed, step): the same seed gives the same line whatever else was going on. Greedy where temperature is 0; ties go to
// the lowest id.
//
// SPDX-License-Identifier: MIT
#ifndef RT_SAMPLER_H
#define RT_SAMPLER_H

#include "rt/base.h"
#include "rt/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt_sampler_def {
    float temperature;        // 0: greedy; at most 10
    int32_t top_k;            // keep the k likeliest; 0: all
    float top_p;              // nucleus (Holtzman et al. 2019, arXiv:1904.09751); 1: off
    float min_p;              // drop what is below min_p * the likeliest (Nguyen et al. 2024, arXiv:2407.01082); 0: off
    float repetition_penalty; // CTRL's (Keskar et al. 2019, arXiv:1909.05858); 1: off
    int32_t repetition_window; // tokens it looks back, 0 to 256
    uint64_t seed;
} rt_sampler_def;

// temperature 0.7, top_k 40, top_p 0.95, min_p 0.05, penalty 1.1 over 64 tokens, seed 0.
RT_API rt_sampler_def rt_default_sampler_def(void);

// INVALID_ARGUMENT names the field that is out of range.
RT_API rt_result rt_sampler_check(const rt_sampler_def *def);

typedef struct rt_sample_request {
    const rt_sampler_def *sampler;
    uint64_t step;           // number of the token in its turn: the draw depends on (seed, step) alone
    const rt_token *history; // the last tokens, oldest first, for the repetition penalty
    int32_t history_count;
    const uint32_t *mask; // allowed tokens, see rt/grammar.h; NULL: all
} rt_sample_request;

// Picks a token from `vocab_size` logits, in host memory. REJECTED when the mask allows none. `scratch` takes
// rt_sampler_scratch_bytes(vocab_size) bytes; the logits are not changed. Thread-safe.
RT_API rt_result rt_sample(const float *logits, int32_t vocab_size, const rt_sample_request *request, void *scratch,
                           rt_token *token);
RT_API size_t rt_sampler_scratch_bytes(int32_t vocab_size);

// Natural logarithm of the softmax probability of one token (mask NULL: all tokens). Fixed order of summation.
RT_API double rt_log_probability(const float *logits, int32_t vocab_size, const uint32_t *mask, rt_token token);

#ifdef __cplusplus
}
#endif
#endif
