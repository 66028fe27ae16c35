// rt/convert.h - making model files: quantising one, and writing one of random weights in a real model's shape.
//
// Both write GGUF version 3, under another name first; the file moves to its place when it is whole. They block for as long as
// that takes (minutes for large models) and are meant for tools, not for a game's loop.
//
// SPDX-License-Identifier: MIT
#ifndef RT_CONVERT_H
#define RT_CONVERT_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

// One tensor that was written. Strings are valid during the call.
typedef struct rt_tensor_report {
    const char *name;
    const char *from, *to;   // types: "BF16", "Q4_K"
    uint64_t rows, columns;
    uint64_t bytes;          // as written
    double relative_error;   // root of the sum of squared differences over the root of the sum of squares; 0: copied
    double largest_error;    // largest difference of one value
    size_t index, count;     // this is tensor `index` of `count`
} rt_tensor_report;

typedef void rt_tensor_report_function(void *user, const rt_tensor_report *report);

// ---------------------------------------------------------------------------------------------------------------------
// Quantising
// ---------------------------------------------------------------------------------------------------------------------

typedef struct rt_quantize_def {
    uint32_t cookie; // set by rt_default_quantize_def
    rt_host host;
    const char *input;  // a .gguf file, or a folder with config.json, safetensors and tokenizer files
    const char *output; // the .gguf file to write; not the input
    // "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K", "F16", "BF16" or "F32". Norms and biases stay F32. A matrix whose rows are no
    // whole number of blocks takes Q8_0 in place of a K-quant, and F16 in place of that. With Q4_0, Q4_1 and Q4_K the output
    // matrix is Q6_K (the embedding too, where the two are one): four bits hurt most there.
    const char *type;
    int threads;                     // 1 .. 64, the caller included; default 1
    rt_tensor_report_function *report; // called for each tensor, on the calling thread; may be NULL
    void *report_user;
} rt_quantize_def;

RT_API rt_quantize_def rt_default_quantize_def(void);

// Errors: as rt_model_open has them for the input; INVALID_ARGUMENT (type, threads, the same file twice), IO.
RT_API rt_result rt_quantize(const rt_quantize_def *def);

// ---------------------------------------------------------------------------------------------------------------------
// Synthetic models
// ---------------------------------------------------------------------------------------------------------------------

typedef struct rt_synthesize_def {
    uint32_t cookie; // set by rt_default_synthesize_def
    rt_host host;
    const char *architecture; // one of rt_synthetic_name()
    const char *type;         // as for rt_quantize
    const char *output;
    const char *tokenizer;    // a .gguf, tekken.json, tokenizer.json or tokenizer.model to put in; NULL: a plain one of bytes
    int32_t layers;           // 0: as many as the real model has
    uint64_t seed;            // the same seed gives the same file
    rt_tensor_report_function *report;
    void *report_user;
} rt_synthesize_def;

RT_API rt_synthesize_def rt_default_synthesize_def(void);

// Random weights of a plausible scale: such a model talks nonsense at the speed and in the memory of the real one.
RT_API rt_result rt_synthesize(const rt_synthesize_def *def);

// The shapes that rt_synthesize knows, "nemotron-mini-4b" and others; NULL past the last.
RT_API const char *rt_synthetic_name(int index);

#ifdef __cplusplus
}
#endif
#endif
