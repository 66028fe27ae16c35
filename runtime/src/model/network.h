// model/network.h - what a model is, whatever file and family it came from: one description that every backend runs.
//
// An architecture (a row of the table in architecture.h and a small file) fills this in from named tensors. It points into
// the mapped file; backends pack what they want from it at load.
//
// A layer, with everything optional that some family lacks:
//
//   n = norm(x)                                            attention_norm
//   q, k, v = Wq n + bq, Wk n + bk, Wv n + bv
//   q, k = head_norm(q), head_norm(k)                      qwen3, gemma 3
//   q, k = rope(q), rope(k);  cache k, v
//   a = Wo attention(q, K, V) + bo;   a = norm(a)          post_attention_norm: gemma
//   x = x + a
//   n = norm(x)                                            feed_forward_norm
//   f = Wdown (act(Wgate n) * (Wup n))   or   Wdown act(Wup n);   f = norm(f)   post_feed_forward_norm: gemma
//   x = x + f
//
// SPDX-License-Identifier: MIT
#ifndef RTI_NETWORK_H
#define RTI_NETWORK_H

#include "file/file.h"

typedef enum rti_norm_kind {
    RTI_NORM_RMS = 0,   // x / sqrt(mean(x^2) + eps) * weight          (Zhang and Sennrich 2019, arXiv:1910.07467)
    RTI_NORM_LAYER = 1, // (x - mean) / sqrt(variance + eps) * weight + bias    (Ba et al. 2016, arXiv:1607.06450)
} rti_norm_kind;

typedef enum rti_activation {
    RTI_ACTIVATION_SILU = 0,         // gated: silu(gate) * up
    RTI_ACTIVATION_GELU_TANH = 1,    // gated: gelu(gate) * up, tanh form
    RTI_ACTIVATION_RELU_SQUARED = 2, // not gated: max(up, 0)^2
} rti_activation;

typedef enum rti_rope_order {
    RTI_ROPE_NEIGHBOURS = 0, // turns (2i, 2i+1): GGUF "llama", whose q and k rows are permuted
    RTI_ROPE_HALVES = 1,     // turns (i, i + n_rot/2): NEOX, and every safetensors file
} rti_rope_order;

// A matrix of `rows` outputs by `columns` inputs, or a vector (rows == 1). Row r begins r * (columns / block_values) blocks
// after data. Absent: data == NULL.
typedef struct rti_matrix {
    const void *data;
    rti_type type;
    int32_t rows, columns;
    const float *scale; // NULL, or weights are multiplied by scale[0] (scale_count 1) or scale[row] (scale_count rows): FP8
    int32_t scale_count;
    const char *name; // of the tensor, for messages
} rti_matrix;

// Norm weights and biases as float32, owned by the network (conventions such as "+ 1" are already applied).
typedef struct rti_vector {
    const float *values;
    int32_t count;
} rti_vector;

// Angles: position * frequency[i] in double, i < rotated / 2; cos and sin are multiplied by `magnitude`. All scaling
// (linear, YaRN, llama-3, factors of the file) is already in `frequency`.
typedef struct rti_rope {
    rti_rope_order order;
    int32_t rotated; // dims of a head that turn; the rest pass
    double *frequency;
    double magnitude;
    double base; // frequency[i] is base^(-2i / rotated) but for scaling
} rti_rope;

typedef struct rti_layer {
    rti_vector attention_norm, attention_norm_bias;
    rti_matrix query, key, value;              // [heads * head_size, hidden], [kv_heads * head_size, hidden]
    rti_vector query_bias, key_bias, value_bias;
    rti_vector query_norm, key_norm;           // head_size each, RMS
    rti_matrix attention_output;               // [hidden, heads * head_size]
    rti_vector attention_output_bias;
    rti_vector post_attention_norm;
    rti_vector feed_forward_norm, feed_forward_norm_bias;
    rti_matrix gate, up, down;                 // [ffn, hidden] x2, [hidden, ffn]; gate absent where not gated
    rti_vector post_feed_forward_norm;
    int32_t rope;           // index into rti_network.ropes
    int32_t sliding_window; // positions back that attention sees; 0: all
} rti_layer;

#define RTI_MAX_ROPES 2

typedef struct rti_network {
    const char *architecture;
    int32_t vocab_size, context_size, layer_count, hidden_size, head_count, kv_head_count, head_size, feed_forward_size;
    rti_norm_kind norm;
    float norm_epsilon;
    rti_activation activation;
    float attention_scale;      // 1/sqrt(head_size) unless the family says otherwise
    float attention_softcap;    // 0: none; else cap * tanh(score / cap)
    float logits_softcap;       // 0: none
    float embedding_scale;      // 1, gemma: sqrt(hidden)
    rti_rope ropes[RTI_MAX_ROPES];
    int32_t rope_count;
    rti_matrix embedding;       // [vocab, hidden]
    rti_vector output_norm, output_norm_bias;
    rti_matrix output;          // [vocab, hidden]; the embedding again where tied
    bool output_is_tied;
    rti_layer *layers;
    uint64_t fingerprint; // of shape, types, RoPE and a sample of weights: keys snapshots and the packed cache
    rt_host host;
    void *memory; // what the vectors and frequencies live in (private to model/)
    size_t memory_size;
} rti_network;

// Reads a network out of an open file by its architecture; checks that every tensor is there and has the right shape.
// Pointers go into the file: keep it open. On failure nothing is left behind.
rt_result rti_network_create(const rt_host *host, const rti_file *file, rti_network **network);
// The same for an application that will use at most `context_size` positions. Some files (phi-3 "longrope") have one set
// of RoPE factors for the original context and one for the long one: 0, or what fits the original context, takes the first
// (context_size of the network is then the original one).
rt_result rti_network_create_sized(const rt_host *host, const rti_file *file, int32_t context_size, rti_network **network);
void rti_network_destroy(rti_network *network);

#endif
