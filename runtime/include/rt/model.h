// rt/model.h - a language model's weights, opened once and shared by everything that talks with them.
//
// A model is immutable after it was opened: any number of contexts, on any threads, may use one at the same time.
//
// SPDX-License-Identifier: MIT
#ifndef RT_MODEL_H
#define RT_MODEL_H

#include "rt/base.h"
#include "rt/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt_model rt_model;

// How activations meet quantised weights.
typedef enum rt_precision {
    RT_PRECISION_FAST = 0,  // activations quantised to 8 bits a block of 32 (default)
    RT_PRECISION_EXACT = 1, // float32 activations; slower
} rt_precision;

typedef enum rt_backend_kind {
    RT_BACKEND_CPU = 0,
    RT_BACKEND_CUDA = 1, // an NVIDIA GPU through the plugin library; RT_ERROR_DEVICE where there is none
    RT_BACKEND_AUTO = 2, // CUDA where it works and the model fits, else CPU
} rt_backend_kind;

typedef struct rt_model_def {
    uint32_t cookie; // set by rt_default_model_def
    rt_host host;
    // A .gguf file (the first of a split set: its sisters are found beside it), or a folder with config.json, safetensors
    // and tokenizer files.
    const char *path;
    rt_precision precision;
    rt_backend_kind backend;
    rt_isa isa;               // CPU kernels; RT_ISA_AUTO
    int load_threads;         // threads that pack weights during rt_model_open, the caller included; 1 .. 64, default 1
    const char *cache_folder; // where packed weights may be kept between runs; NULL: packed at each load
    int32_t context_size;     // positions that will be used at most, 0: what the model was made for. Matters where a file has one
                              // set of RoPE factors for its original context and one for a longer one (phi-3 "longrope"): only a
                              // size past the original takes the second; info.context_size says what came of it
    const char *expected_sha256; // 64 hex digits; NULL: not checked. A mismatch is BAD_FILE and names both sums
    const char *tokenizer_path;  // where the tokenizer is; NULL: in `path`
    const char *pre_tokenizer;   // see rt_tokenizer_def
    const char *cuda_library;    // path of the plugin; NULL: beside this library, then the system's search path
    int cuda_device;             // device number; default 0
    void *cuda_context;          // a CUcontext to share; NULL: the device's primary context
    // Most VRAM that weights may take; 0: seven eighths of what is free. Layers that do not fit stay in the computer's memory,
    // pinned, and the GPU reads them over the bus: slower, and the same bits.
    size_t device_memory_bytes;
} rt_model_def;

RT_API rt_model_def rt_default_model_def(void);

// Maps the file, checks it, packs the weights for the backend. Blocks for as long as that takes (seconds for large models):
// call it on a loading thread. On failure *model is NULL and the message names file, tensor or key.
// Errors: IO, NOT_FOUND, BAD_FILE, UNSUPPORTED (architecture, tensor type), OUT_OF_MEMORY, DEVICE.
RT_API rt_result rt_model_open(const rt_model_def *def, rt_model **model);

// Drops the caller's reference; contexts keep their own. NULL is fine.
RT_API void rt_model_close(rt_model *model);
RT_API rt_model *rt_model_retain(rt_model *model); // thread-safe

typedef struct rt_model_info {
    const char *architecture; // "llama", "nemotron", ... as the file spells it
    const char *name;         // general.name, or the file's name
    const char *path;
    const char *backend;  // "cpu", "cuda"
    rt_isa isa;           // what the CPU backend runs, never AUTO
    rt_precision precision;
    int32_t vocab_size;   // rows of the output matrix: a mask or logits row has this many entries
    int32_t context_size; // positions the model was trained for
    int32_t layer_count, hidden_size, head_count, kv_head_count, head_size, feed_forward_size;
    uint64_t parameter_count;
    uint64_t file_bytes;           // of all weights files
    uint64_t packed_bytes;         // memory of packed weights
    uint64_t bytes_per_token;      // weight bytes that decoding one token reads
    uint64_t kv_bytes_per_token;   // of key-value cache a position takes, in F16
    uint64_t load_microseconds;    // that rt_model_open took
    uint64_t device_bytes;         // of packed_bytes, what lies in a GPU's memory
    int32_t device_layer_count;    // layers that do
} rt_model_info;

// Strings stay valid as long as the model.
RT_API void rt_model_get_info(const rt_model *model, rt_model_info *info);

// What rt_model_open would take, without packing anything: the file's headers are read. A context's part is
// rt_context_memory's, or kv_bytes_per_token for each position and some megabytes.
typedef struct rt_model_memory {
    uint64_t device_bytes, host_bytes; // of packed weights; a CPU model has only host_bytes, and those are an estimate
    int32_t device_layer_count;        // of layer_count
    int32_t layer_count;
    uint64_t kv_bytes_per_token;       // in F16
} rt_model_memory;
RT_API rt_result rt_model_measure(const rt_model_def *def, rt_model_memory *memory);

// Gives VRAM back to the game, or takes more: layers move between the GPU's and the computer's memory until the weights take at
// most `bytes` (0: seven eighths of what is free, beside what they have); the embedding and output matrices go last. Blocks for as
// long as the copies take. What the model says does not change by a bit.
// BUSY while any context of the model has a pass under way, and no other thread may begin one during the call. OUT_OF_MEMORY or
// DEVICE: some layers may have moved, all are valid. UNSUPPORTED for a model of the CPU.
RT_API rt_result rt_model_set_device_memory(rt_model *model, size_t bytes);

// The model's own tokenizer; lives as long as the model (retain it to keep it longer). NULL where `path` was a folder
// without tokenizer files: such a model takes and gives token ids only.
RT_API rt_tokenizer *rt_model_tokenizer(const rt_model *model);

// A metadata string of the file ("general.license"), or NULL.
RT_API const char *rt_model_metadata(const rt_model *model, const char *key);

#ifdef __cplusplus
}
#endif
#endif
