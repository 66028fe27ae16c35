// Rotation, the key-value cache, and attention over it in chunks of fixed positions.
//
// A chunk is RTI_CHUNK positions counted from position 0, whatever the sequence's length: its weighted values, sum and
// maximum do not depend on what else is attended to, and chunks are combined in ascending order (Dao et al. 2023,
// arXiv:2307.08691, without a split that depends on the load).
// SPDX-License-Identifier: MIT
#include "backend/cuda/arithmetic.cuh"

enum { KV_F16 = 0, KV_Q8_0 = 1, KV_F32 = 2 };

// One head's vector of a position: head_size values. Q8_0: blocks of a float16 scale and 32 bytes.
static __host__ __device__ __forceinline__ size_t vector_bytes(int kv_type, int head_size)
{
    if (kv_type == KV_F32) return (size_t)head_size * 4;
    if (kv_type == KV_F16) return (size_t)head_size * 2;
    return (size_t)(head_size + 31) / 32 * 34;
}

// The bytes of a head's key (which 0) or value (1) at a position: [layer][k or v][kv head][slot][head_size] in its block.
static __device__ __forceinline__ uint8_t *vector_at(const rti_attention_shape &s, const rti_pass_rows &rows, int row, int position, int which,
                                                     int kv_head)
{
    int entry = position / RTI_KV_BLOCK - rows.first_positions[row] / RTI_KV_BLOCK;
    unsigned block = rows.block_tables[(size_t)rows.row_tables[row] * (size_t)rows.table_size + (size_t)entry];
    size_t vector = (((size_t)s.layer * 2 + (size_t)which) * (size_t)s.kv_heads + (size_t)kv_head) * RTI_KV_BLOCK + (size_t)(position % RTI_KV_BLOCK);
    return s.cache + (size_t)block * s.block_bytes + vector * vector_bytes(s.kv_type, s.head_size);
}

static __device__ __forceinline__ float read_vector(int kv_type, const uint8_t *vector, int d)
{
    if (kv_type == KV_F16) return rti_half_bits_to_float(((const uint16_t *)vector)[d]);
    if (kv_type == KV_F32) return ((const float *)vector)[d];
    const uint8_t *block = vector + (size_t)(d / 32) * 34;
    uint16_t scale = (uint16_t)(block[0] | block[1] << 8);
    return __fmul_rn(rti_half_bits_to_float(scale), __int2float_rn((int)(int8_t)block[2 + d % 32]));
}

// ---------------------------------------------------------------------------------------------------------------------
// Rotation and the write to the cache: a warp a head
// ---------------------------------------------------------------------------------------------------------------------

#define MAX_HEAD_SIZE 256

static __device__ void normalise_head(float *head, int size, const float *weight, float epsilon, int lane)
{
    float sum = 0.0f;
    for (int d = lane; d < size; d += 32) sum = __fmaf_rn(head[d], head[d], sum);
    float mean = __fdiv_rn(rti_warp_sum(sum), (float)size);
    float factor = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(mean, epsilon)));
    for (int d = lane; d < size; d += 32) head[d] = __fmul_rn(__fmul_rn(head[d], factor), weight[d]);
    __syncwarp();
}

// Angles in double: at position 131,071 a float has lost the third digit after the point.
static __device__ void rotate_head(const rti_attention_shape &s, float *head, int position, int lane)
{
    for (int i = lane; i < s.rotated / 2; i += 32) {
        double angle = (double)position * s.frequency[i];
        float c = (float)(cos(angle) * (double)s.magnitude), n = (float)(sin(angle) * (double)s.magnitude);
        int first = s.neighbours ? 2 * i : i, second = s.neighbours ? 2 * i + 1 : i + s.rotated / 2;
        float a = head[first], b = head[second];
        head[first] = __fmaf_rn(a, c, -__fmul_rn(b, n));
        head[second] = __fmaf_rn(a, n, __fmul_rn(b, c));
    }
    __syncwarp();
}

static __device__ void write_vector(const rti_attention_shape &s, const float *head, uint8_t *vector, int lane)
{
    if (s.kv_type == KV_Q8_0) {
        for (int first = 0; first < s.head_size; first += 32) {
            uint8_t *block = vector + (size_t)(first / 32) * 34;
            float value = first + lane < s.head_size ? head[first + lane] : 0.0f;
            float step = __fdiv_rn(rti_warp_max(value < 0.0f ? -value : value), 127.0f);
            int q = step > 0.0f ? __float2int_rn(__fdiv_rn(value, step)) : 0;
            block[2 + lane] = (uint8_t)(int8_t)max(-127, min(127, q));
            if (lane == 0) {
                uint16_t bits = rti_float_to_half_bits(step);
                block[0] = (uint8_t)bits;
                block[1] = (uint8_t)(bits >> 8);
            }
        }
        return;
    }
    for (int d = lane; d < s.head_size; d += 32) {
        if (s.kv_type == KV_F16) ((uint16_t *)vector)[d] = rti_float_to_half_bits(head[d]);
        else ((float *)vector)[d] = head[d];
    }
}

static __global__ void __launch_bounds__(RTI_WARP) rope_store_heads(rti_attention_shape s, float *qkv, rti_pass_rows rows)
{
    int row = (int)blockIdx.x, head = (int)blockIdx.y, lane = (int)threadIdx.x;
    if (rti_stopped(rows) || row >= rows.header->row_count) return;
    int all = s.heads + 2 * s.kv_heads, position = rows.positions[row];
    float *x = qkv + ((size_t)row * (size_t)all + (size_t)head) * (size_t)s.head_size;
    bool is_query = head < s.heads, is_value = head >= s.heads + s.kv_heads;
    if (!is_value) {
        const float *weight = is_query ? s.query_norm : s.key_norm;
        if (weight) normalise_head(x, s.head_size, weight, s.norm_epsilon, lane);
        rotate_head(s, x, position, lane);
    }
    if (!is_query)
        write_vector(s, x, vector_at(s, rows, row, position, is_value ? 1 : 0, (head - s.heads) % s.kv_heads), lane);
}

cudaError_t rti_launch_rope_store(const rti_attention_shape &s, float *qkv, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    dim3 grid((unsigned)max_rows, (unsigned)(s.heads + 2 * s.kv_heads));
    RTI_LAUNCH(rope_store_heads, grid, RTI_WARP, 0, stream, s, qkv, rows);
    return cudaGetLastError();
}

// ---------------------------------------------------------------------------------------------------------------------
// Attention of one head to one chunk: a block of 128 threads, a position each for the scores, then a dim each for the values
// ---------------------------------------------------------------------------------------------------------------------

struct chunk_range {
    int begin, end; // positions attended to
};

static __device__ __forceinline__ chunk_range range_of(const rti_attention_shape &s, const rti_pass_rows &rows, int row, int chunk)
{
    int first = rows.first_positions[row], last = rows.positions[row];
    if (s.window > 0) first = max(first, last - s.window + 1);
    chunk_range range = {max(first, chunk * RTI_CHUNK), min(last + 1, (chunk + 1) * RTI_CHUNK)};
    return range;
}

static __device__ float score(const rti_attention_shape &s, const float *query, const uint8_t *key)
{
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int d = 0; d < s.head_size; d += 4)
        for (int i = 0; i < 4; i++) sums[i] = __fmaf_rn(query[d + i], read_vector(s.kv_type, key, d + i), sums[i]);
    float dot = __fmul_rn(__fadd_rn(__fadd_rn(sums[0], sums[1]), __fadd_rn(sums[2], sums[3])), s.scale);
    return s.softcap > 0.0f ? __fmul_rn(s.softcap, rti_tanhf(__fdiv_rn(dot, s.softcap))) : dot;
}

#define LOWEST -3.402823466e38f

static __global__ void __launch_bounds__(RTI_CHUNK)
attend_chunk(rti_attention_shape s, const float *qkv, float *partial, int max_chunks, int head_begin, rti_pass_rows rows)
{
    RTI_SHARED(float, shared); // [RTI_CHUNK] weights, [MAX_HEAD_SIZE] query, [33] scratch, 8 maxima
    float *weights = shared, *query = shared + RTI_CHUNK, *scratch = query + MAX_HEAD_SIZE, *maxima = scratch + 33;
    int row = (int)blockIdx.x, head = head_begin + (int)blockIdx.y, chunk = (int)blockIdx.z, me = (int)threadIdx.x;
    if (rti_stopped(rows) || row >= rows.header->row_count) return;
    chunk += rows.first_positions[row] / RTI_CHUNK; // chunks are counted from the sequence's first
    chunk_range range = range_of(s, rows, row, chunk);
    float *out = partial + (((size_t)row * (size_t)s.heads + (size_t)head) * (size_t)max_chunks + blockIdx.z) * (size_t)(s.head_size + 2);
    if (range.begin >= range.end) { // the whole block agrees
        if (me == 0) out[s.head_size] = 0.0f;
        if (me == 0) out[s.head_size + 1] = LOWEST;
        return;
    }
    int kv_head = head / (s.heads / s.kv_heads);
    const float *q = qkv + ((size_t)row * (size_t)(s.heads + 2 * s.kv_heads) + (size_t)head) * (size_t)s.head_size;
    for (int d = me; d < s.head_size; d += RTI_CHUNK) query[d] = q[d];
    __syncthreads();
    int position = chunk * RTI_CHUNK + me;
    bool is_seen = position >= range.begin && position < range.end;
    float mine = is_seen ? score(s, query, vector_at(s, rows, row, position, 0, kv_head)) : LOWEST;
    float warp_max = rti_warp_max(mine);
    if (me % 32 == 0) maxima[me / 32] = warp_max;
    __syncthreads();
    float top = maxima[0];
    for (int w = 1; w < RTI_CHUNK / 32; w++) top = maxima[w] > top ? maxima[w] : top;
    float weight = is_seen ? rti_expf(__fadd_rn(mine, -top)) : 0.0f;
    weights[me] = weight;
    float sum = rti_block_sum(weight, scratch); // its barriers also publish the weights
    for (int d = me; d < s.head_size; d += RTI_CHUNK) {
        float value = 0.0f;
        for (int p = range.begin; p < range.end; p++)
            value = __fmaf_rn(weights[p - chunk * RTI_CHUNK], read_vector(s.kv_type, vector_at(s, rows, row, p, 1, kv_head), d), value);
        out[d] = value;
    }
    if (me == 0) {
        out[s.head_size] = sum;
        out[s.head_size + 1] = top;
    }
}

cudaError_t rti_launch_attention(const rti_attention_shape &s, const float *qkv, float *partial, int max_chunks, int head_begin, int head_end,
                                 const rti_pass_rows &rows, int max_rows, int chunks, cudaStream_t stream)
{
    if (head_end <= head_begin) return cudaSuccess;
    dim3 grid((unsigned)max_rows, (unsigned)(head_end - head_begin), (unsigned)chunks);
    size_t shared = sizeof(float) * (RTI_CHUNK + MAX_HEAD_SIZE + 33 + 8);
    RTI_LAUNCH(attend_chunk, grid, RTI_CHUNK, shared, stream, s, qkv, partial, max_chunks, head_begin, rows);
    return cudaGetLastError();
}

// ---------------------------------------------------------------------------------------------------------------------
// Chunks together
// ---------------------------------------------------------------------------------------------------------------------

static __global__ void __launch_bounds__(256)
combine_chunks(rti_attention_shape s, const float *partial, int max_chunks, float *y, rti_rounded rounded, rti_pass_rows rows)
{
    int row = (int)blockIdx.x, columns = s.heads * s.head_size;
    int c = (int)blockIdx.y * 256 + (int)threadIdx.x;
    if (rti_stopped(rows) || row >= rows.header->row_count) return;
    float value = 0.0f;
    if (c < columns) {
        int head = c / s.head_size, d = c % s.head_size;
        int chunks = rows.positions[row] / RTI_CHUNK - rows.first_positions[row] / RTI_CHUNK + 1;
        const float *p = partial + ((size_t)row * (size_t)s.heads + (size_t)head) * (size_t)max_chunks * (size_t)(s.head_size + 2);
        float top = LOWEST, sum = 0.0f;
        for (int k = 0; k < chunks; k++, p += s.head_size + 2) {
            if (!(p[s.head_size] > 0.0f)) continue;
            float chunk_top = p[s.head_size + 1], higher = chunk_top > top ? chunk_top : top;
            float keep = rti_expf(__fadd_rn(top, -higher)), take = rti_expf(__fadd_rn(chunk_top, -higher));
            value = __fmaf_rn(p[d], take, __fmul_rn(value, keep));
            sum = __fmaf_rn(p[s.head_size], take, __fmul_rn(sum, keep));
            top = higher;
        }
        value = __fdiv_rn(value, sum);
        y[(size_t)row * (size_t)columns + (size_t)c] = value;
    }
    int blocks = (columns + 31) / 32;
    if (rounded.upper && c < blocks * 32)
        rti_round_block(c < columns ? value : 0.0f, (int)threadIdx.x % 32, (size_t)row * (size_t)blocks + (size_t)c / 32, rounded);
}

cudaError_t rti_launch_attention_combine(const rti_attention_shape &s, const float *partial, int max_chunks, float *y,
                                         const rti_rounded &rounded, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    dim3 grid((unsigned)max_rows, (unsigned)((s.heads * s.head_size + 255) / 256));
    RTI_LAUNCH(combine_chunks, grid, 256, 0, stream, s, partial, max_chunks, y, rounded, rows);
    return cudaGetLastError();
}
