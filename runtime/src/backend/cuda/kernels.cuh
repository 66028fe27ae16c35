// cuda/kernels.cuh - what the kernels work on and how they are launched.
//
// The order of sums is fixed, so that a row's result depends on nothing but its own inputs: a matrix row's blocks of 32
// columns go to RTI_PARTIALS partial sums (block b to partial b mod RTI_PARTIALS, in ascending order, with fused
// multiply-adds) which are then added as a tree. How many rows are worked on together, and which share of a matrix a launch
// covers, changes nothing.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_KERNELS_CUH
#define RTI_CUDA_KERNELS_CUH

#include "backend/cuda/portable.cuh"

#define RTI_PARTIALS 8      // warps of a matrix block; partial sums of an output
#define RTI_GROUP 16        // output rows of one matrix tile: the M of a tensor-core product
#define RTI_BLOCK_COLUMNS 32
#define RTI_TOKEN_TILE 8    // activation rows of one tensor-core product
#define RTI_CHUNK 128       // positions of one share of attention
#define RTI_KV_BLOCK 32     // positions of a cache block

// How a matrix lies in device memory. The quantised ones (0 .. 2): quantised.cuh.
enum rti_layout {
    RTI_LAYOUT_INT4 = 0,      // four bits a weight, a scale (and offset) for 32 columns
    RTI_LAYOUT_INT8 = 1,      // a byte a weight
    RTI_LAYOUT_INT8_HALF = 2, // a byte a weight, a scale for 16 columns
    RTI_LAYOUT_F32 = 3,       // plain rows
    RTI_LAYOUT_F16 = 4,       // tiles of 16 rows, blocks of 32 columns, in the order of a tensor core's operand: see rti_halves_index
    RTI_LAYOUT_BF16 = 5,
    RTI_LAYOUT_F8 = 6,
};

// Where a block of a tile of the layouts F16, BF16 and F8 has its row r (0 .. 15) and column c (0 .. 31): lane after lane as
// mma.m16n8k16 wants them, so that a lane's share is one or two loads of 16 bytes.
static __host__ __device__ __forceinline__ int rti_halves_index(rti_layout layout, int r, int c)
{
    int half = c / 16, k = c % 16, lane = r % 8 * 4 + k % 8 / 2, part = r / 8 + k / 8 * 2;
    return ((layout == RTI_LAYOUT_F8 ? lane * 2 + half : half * 32 + lane) * 4 + part) * 2 + k % 2;
}

enum rti_scale_kind {
    RTI_SCALE_F16 = 0, // one float16 a scale
    RTI_SCALE_K = 1,   // a byte a scale, times a float16 for every 256 columns
};

struct rti_device_matrix {
    rti_layout layout;
    rti_scale_kind scale_kind;
    int rows, columns;     // as the network has them
    int groups;            // tiles of RTI_GROUP rows
    int blocks;            // blocks of 32 columns in a row
    bool has_offsets;      // the smallest value of a block: added as offset * sum of activations
    bool by_tensor_cores;  // F16, BF16, F8: products of bfloat16 (false: Turing, exact mode)
    const uint8_t *values; // quantised: [group][block] records
    const uint8_t *supers; // RTI_SCALE_K: [group][block / 8]
    const float *row_scale; // FP8: one a row, or NULL
};

// Activations rounded in blocks of 32 columns: a value is scale * a, where a is a byte (one plane), or 256 * upper + lower (two).
// The CPU backend's rounding, to the bit. They lie as tensor cores take them: see rti_rounded_index.
struct rti_rounded {
    int8_t *values;  // [block][padded row][32 * planes]
    float2 *steps;   // [block][padded row] {scale, scale * sum of the block's integers}
    int planes;      // 0: not wanted
    uint8_t *split;  // [block][padded row][128]: two bfloat16 each, for F16, BF16 and F8 on tensor cores; NULL: not wanted
    int padded_rows; // a multiple of RTI_ROW_PADDING: kernels read whole tiles
};

#define RTI_ROW_PADDING 64

// Where a row's block has column c (0 .. 31): columns 4t .. 4t+3 and 16+4t .. 16+4t+3 side by side, each t's lower plane 8 bytes
// behind its upper one.
static __host__ __device__ __forceinline__ int rti_rounded_index(int planes, int c)
{
    return c % 16 / 4 * 8 * planes + c / 16 * 4 + c % 4;
}

// Where `split` has column c's upper bfloat16; the lower one is 8 bytes behind. Lane t of a tensor core's operand has its four pairs
// of each 16 columns in 16 bytes.
static __host__ __device__ __forceinline__ int rti_split_index(int c)
{
    int half = c / 16, k = c % 16;
    return k % 8 / 2 * 32 + half * 16 + k / 8 * 4 + k % 2 * 2;
}

// Activations as a matrix product takes them.
struct rti_activations {
    const float *values; // [rows][columns], for the float layouts
    rti_rounded rounded; // for the others
};

// Read by every kernel of a pass, written once when it begins: graphs stay valid from pass to pass.
struct rti_pass_header { // 16 bytes: one load
    int row_count;
    int logits_count;
    unsigned number;  // of the pass, never 0
    unsigned stopped; // the same once the pass is to be dropped: what kernels read, where `stop` is far away
};

struct rti_pass_rows { // arrays of max_rows in device memory
    const rti_pass_header *header;
    const volatile unsigned *stop; // in host memory, mapped: the number of the pass to be dropped
    unsigned *stopped;             // the header's
    const int *tokens, *positions, *first_positions;
    const int *row_tables;        // row -> its sequence's table
    const unsigned *block_tables; // [table][table_size]
    int table_size;
    const int *logits_rows; // [logits row] -> row
};

enum rti_matrix_output {
    RTI_OUTPUT_STORE = 0, // y = Wx + b
    RTI_OUTPUT_ADD = 1,   // y += Wx + b
};

// Groups [group_begin, group_end) of one matrix: output o of row r goes to y[r * y_stride + o].
struct rti_matrix_task {
    const rti_device_matrix *matrix;
    int group_begin, group_end;
    const float *bias;
    float *y;
};

// Matrices of the same activations; neighbours of one kind are one launch. max_rows is what the grid is made for: the kernel
// looks up the true number of rows, or of logits rows.
cudaError_t rti_launch_matrices(const rti_matrix_task *tasks, int count, const rti_activations &input, int y_stride, rti_matrix_output output,
                                float softcap, const rti_pass_rows &rows, int max_rows, bool logits_rows, cudaStream_t stream);

// Token rows to activations, times scale.
cudaError_t rti_launch_embed(const rti_device_matrix &matrix, float scale, float *x, const rti_pass_rows &rows, int max_rows,
                             cudaStream_t stream);

// [row][pairs] of {cosine, sine}, times magnitude, for rti_launch_rope_store.
cudaError_t rti_launch_angles(const double *frequency, int pairs, double magnitude, float2 *angles, const rti_pass_rows &rows, int max_rows,
                              cudaStream_t stream);

// Norm of each row (kind 0 RMS, 1 LayerNorm; weight NULL: none at all), to float32 and rounded. `gather`: row i of the
// output is row logits_rows[i] of the input.
struct rti_norm {
    int kind;
    float epsilon;
    const float *weight, *bias;
};
cudaError_t rti_launch_norm(const rti_norm &norm, const float *x, int columns, float *y, const rti_rounded &rounded, bool gather,
                            const rti_pass_rows &rows, int max_rows, cudaStream_t stream);

// x += norm(y): the families that normalise what a sub-layer gives.
cudaError_t rti_launch_norm_add(const rti_norm &norm, const float *y, int columns, float *x, const rti_pass_rows &rows, int max_rows,
                                cudaStream_t stream);

// act(gate) * up (kind 0 SiLU, 1 GELU) or max(up, 0)^2 (kind 2): gate_up is [row][2 * columns] or [row][columns].
cudaError_t rti_launch_activation(int kind, const float *gate_up, int columns, float *y, const rti_rounded &rounded,
                                  const rti_pass_rows &rows, int max_rows, cudaStream_t stream);

struct rti_attention_shape {
    int heads, kv_heads, head_size;
    int rotated;       // dims that turn
    bool neighbours;   // order of the pairs
    const float2 *angles; // [row][rotated / 2]
    const float *query_norm, *key_norm; // head_size, or NULL
    float norm_epsilon;
    float scale, softcap;
    int window;
    int kv_type;       // rt_kv_type
    int layer;
    uint8_t *cache;    // of all blocks
    size_t block_bytes;
};

// Normalises and rotates queries (in place) and keys of qkv [row][(heads + 2 kv_heads) * head_size]; keys and values go to the cache.
cudaError_t rti_launch_rope_store(const rti_attention_shape &shape, float *qkv, const rti_pass_rows &rows, int max_rows, cudaStream_t stream);

// partial: [row][head][chunk][head_size + 2]: weighted values, sum, largest score of each chunk of RTI_CHUNK positions. Passes
// of more than RTI_SPLIT_ROWS rows, which fill the device as they are, put a row's chunks together at once and have one for each.
#define RTI_SPLIT_ROWS 32
cudaError_t rti_launch_attention(const rti_attention_shape &shape, const float *qkv, float *partial, int max_chunks, int head_begin,
                                 int head_end, const rti_pass_rows &rows, int max_rows, cudaStream_t stream);
// Chunks in ascending order to y [row][heads * head_size], and rounded.
cudaError_t rti_launch_attention_combine(const rti_attention_shape &shape, const float *partial, int max_chunks, float *y,
                                         const rti_rounded &rounded, const rti_pass_rows &rows, int max_rows, cudaStream_t stream);

// Drawing a token (kernel_sample.cu).
#define RTI_MOST_TOP_K 256
struct rti_sample_job {
    double uniform; // 0 .. 1, from seed and step
    float temperature, top_p, min_p, penalty;
    int top_k;      // 1 .. RTI_MOST_TOP_K; not looked at where the temperature is 0
    int vocab_size;
    int recent_count; // tokens that the penalty is for
    int recent[256];
};
// *token: -1 where the mask allows none. `adjusted` is room for a row of logits.
cudaError_t rti_launch_sample(const rti_sample_job &job, const float *logits, float *adjusted, const unsigned *mask, int *token,
                              cudaStream_t stream);

#endif
