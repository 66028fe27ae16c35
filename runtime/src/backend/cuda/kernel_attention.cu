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

// The bytes of a head's keys (which 0) or values (1) in a block, one position after another: [layer][k or v][kv head][slot][head_size].
static __device__ __forceinline__ uint8_t *vectors_in(const rti_attention_shape &s, unsigned block, int which, int kv_head)
{
    size_t vector = (((size_t)s.layer * 2 + (size_t)which) * (size_t)s.kv_heads + (size_t)kv_head) * RTI_KV_BLOCK;
    return s.cache + (size_t)block * s.block_bytes + vector * vector_bytes(s.kv_type, s.head_size);
}

// Number `index` of a row's table of blocks, which begins with its first position's.
static __device__ __forceinline__ unsigned block_of(const rti_pass_rows &rows, int row, int index)
{
    int entry = index - rows.first_positions[row] / RTI_KV_BLOCK;
    return rows.block_tables[(size_t)rows.row_tables[row] * (size_t)rows.table_size + (size_t)entry];
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

static __device__ void rotate_head(const rti_attention_shape &s, float *head, int row, int lane)
{
    for (int i = lane; i < s.rotated / 2; i += 32) {
        const float2 angle = s.angles[(size_t)row * (size_t)(s.rotated / 2) + (size_t)i]; // cosine, sine
        int first = s.neighbours ? 2 * i : i, second = s.neighbours ? 2 * i + 1 : i + s.rotated / 2;
        float a = head[first], b = head[second];
        head[first] = __fmaf_rn(a, angle.x, -__fmul_rn(b, angle.y));
        head[second] = __fmaf_rn(a, angle.y, __fmul_rn(b, angle.x));
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
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= header.row_count) return;
    int all = s.heads + 2 * s.kv_heads, position = rows.positions[row];
    float *x = qkv + ((size_t)row * (size_t)all + (size_t)head) * (size_t)s.head_size;
    bool is_query = head < s.heads, is_value = head >= s.heads + s.kv_heads;
    if (!is_value) {
        const float *weight = is_query ? s.query_norm : s.key_norm;
        if (weight) normalise_head(x, s.head_size, weight, s.norm_epsilon, lane);
        rotate_head(s, x, row, lane);
    }
    if (is_query) return;
    uint8_t *vectors = vectors_in(s, block_of(rows, row, position / RTI_KV_BLOCK), is_value ? 1 : 0, (head - s.heads) % s.kv_heads);
    write_vector(s, x, vectors + (size_t)(position % RTI_KV_BLOCK) * vector_bytes(s.kv_type, s.head_size), lane);
}

cudaError_t rti_launch_rope_store(const rti_attention_shape &s, float *qkv, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    dim3 grid((unsigned)max_rows, (unsigned)(s.heads + 2 * s.kv_heads));
    RTI_LAUNCH(rope_store_heads, grid, RTI_WARP, 0, stream, s, qkv, rows);
    return cudaGetLastError();
}

// ---------------------------------------------------------------------------------------------------------------------
// Attention of a few heads, which share their keys and values, to one chunk after another: a block of 128 threads, a position
// each for the scores, then four dims of every so many positions each for the values
// ---------------------------------------------------------------------------------------------------------------------

#define HEADS 4         // that a block works on together, at most
#define LOADS(kv) ((kv) == KV_F32 ? 4 : 8) // on their way while a thread waits for the first
#define CHUNK_WARPS (RTI_CHUNK / RTI_WARP)
#define CHUNK_BLOCKS (RTI_CHUNK / RTI_KV_BLOCK)
#define LOWEST -3.402823466e38f

// Four neighbouring values of a vector as they lie in the cache: F16 in two words, F32 in four, Q8_0 in one and its scale.
template <int KV> struct four { unsigned words[KV == KV_F32 ? 4 : 2]; };

template <int KV> static __device__ __forceinline__ four<KV> load_four(const uint8_t *vector, int d)
{
    four<KV> f;
    if (KV == KV_F16) {
        uint2 both = *(const uint2 *)(vector + (size_t)d * 2);
        f.words[0] = both.x, f.words[1] = both.y;
    } else if (KV == KV_F32) {
        uint4 all = *(const uint4 *)(vector + (size_t)d * 4);
        f.words[0] = all.x, f.words[1] = all.y, f.words[KV == KV_F32 ? 2 : 0] = all.z, f.words[KV == KV_F32 ? 3 : 0] = all.w;
    } else {
        const uint16_t *block = (const uint16_t *)(vector + (size_t)(d / 32) * 34);
        f.words[0] = (unsigned)block[1 + d % 32 / 2] | (unsigned)block[2 + d % 32 / 2] << 16;
        f.words[1] = block[0];
    }
    return f;
}

template <int KV> static __device__ __forceinline__ void unpack_four(const four<KV> &f, float values[4])
{
    if (KV == KV_Q8_0) {
        float scale = rti_half_bits_to_float((uint16_t)f.words[1]);
        for (int i = 0; i < 4; i++) values[i] = __fmul_rn(scale, __int2float_rn((int)(int8_t)(f.words[0] >> 8 * i)));
    } else if (KV == KV_F16) {
        for (int i = 0; i < 4; i++) values[i] = rti_half_bits_to_float((uint16_t)(f.words[i / 2] >> i % 2 * 16));
    } else {
        for (int i = 0; i < 4; i++) values[i] = __uint_as_float(f.words[KV == KV_F32 ? i : 0]);
    }
}

struct __align__(16) attention_scratch { // in shared memory
    float queries[HEADS][MAX_HEAD_SIZE];
    float weights[HEADS][RTI_CHUNK];
    float shares[RTI_CHUNK * 4 * HEADS]; // weighted values: [share of the positions][head][head_size]
    float maxima[HEADS][CHUNK_WARPS], sums[HEADS][CHUNK_WARPS];
    float top[HEADS], sum[HEADS], keep[HEADS], take[HEADS]; // of the chunks so far, and how the next one joins them
    const uint8_t *keys[CHUNK_BLOCKS], *values[CHUNK_BLOCKS];
};

// What a block is to do.
struct attention_job {
    int row, kv_head, head, count; // heads head .. head + count - 1
    int begin, end;                // positions of the chunk that are attended to, counted from its first
};

// The scores of one position.
template <int KV>
static __device__ __forceinline__ void score(const rti_attention_shape &s, const attention_scratch *shared, int count, const uint8_t *key, float scores[HEADS])
{
    float sums[HEADS][4];
    RTI_UNROLL
    for (int h = 0; h < HEADS; h++) sums[h][0] = sums[h][1] = sums[h][2] = sums[h][3] = 0.0f;
    for (int first = 0; first < s.head_size; first += 4 * LOADS(KV)) {
        four<KV> loaded[LOADS(KV)];
        RTI_UNROLL
        for (int k = 0; k < LOADS(KV); k++)
            if (first + 4 * k < s.head_size) loaded[k] = load_four<KV>(key, first + 4 * k);
        RTI_UNROLL
        for (int k = 0; k < LOADS(KV); k++) {
            if (first + 4 * k >= s.head_size) break;
            float x[4];
            unpack_four<KV>(loaded[k], x);
            RTI_UNROLL
            for (int h = 0; h < HEADS; h++) {
                if (h >= count) break;
                float4 q = *(const float4 *)&shared->queries[h][first + 4 * k];
                sums[h][0] = __fmaf_rn(q.x, x[0], sums[h][0]);
                sums[h][1] = __fmaf_rn(q.y, x[1], sums[h][1]);
                sums[h][2] = __fmaf_rn(q.z, x[2], sums[h][2]);
                sums[h][3] = __fmaf_rn(q.w, x[3], sums[h][3]);
            }
        }
    }
    RTI_UNROLL
    for (int h = 0; h < HEADS; h++) {
        float dot = __fmul_rn(__fadd_rn(__fadd_rn(sums[h][0], sums[h][1]), __fadd_rn(sums[h][2], sums[h][3])), s.scale);
        scores[h] = s.softcap > 0.0f ? __fmul_rn(s.softcap, rti_tanhf(__fdiv_rn(dot, s.softcap))) : dot;
    }
}

// A chunk's weights, their sums and maxima, to shared memory.
template <int KV>
static __device__ __forceinline__ void weigh(const rti_attention_shape &s, const attention_job &job, attention_scratch *shared)
{
    int me = (int)threadIdx.x, warp = me / RTI_WARP, lane = me % RTI_WARP;
    bool is_seen = me >= job.begin && me < job.end;
    float mine[HEADS] = {LOWEST, LOWEST, LOWEST, LOWEST};
    if (is_seen)
        score<KV>(s, shared, job.count, shared->keys[me / RTI_KV_BLOCK] + (size_t)(me % RTI_KV_BLOCK) * vector_bytes(KV, s.head_size), mine);
    RTI_UNROLL
    for (int h = 0; h < HEADS; h++) {
        float top = rti_warp_max(mine[h]);
        if (lane == 0) shared->maxima[h][warp] = top;
    }
    __syncthreads();
    RTI_UNROLL
    for (int h = 0; h < HEADS; h++) {
        float top = shared->maxima[h][0];
        for (int w = 1; w < CHUNK_WARPS; w++) top = shared->maxima[h][w] > top ? shared->maxima[h][w] : top;
        float weight = is_seen ? rti_expf(__fadd_rn(mine[h], -top)) : 0.0f;
        shared->weights[h][me] = weight;
        float sum = rti_warp_sum(weight);
        if (lane == 0) shared->sums[h][warp] = sum;
    }
    __syncthreads();
}

// The chunk's values by their weights: head_size / 4 threads have a share of the positions, every so many in ascending order.
template <int KV>
static __device__ __forceinline__ void add_values(const rti_attention_shape &s, const attention_job &job, int shares, attention_scratch *shared)
{
    int threads = s.head_size / 4, share = (int)threadIdx.x / threads, d = (int)threadIdx.x % threads * 4;
    if (share >= shares) return;
    float sums[HEADS][4];
    RTI_UNROLL
    for (int h = 0; h < HEADS; h++) sums[h][0] = sums[h][1] = sums[h][2] = sums[h][3] = 0.0f;
    int begin = share + (job.begin > share ? (job.begin - share + shares - 1) / shares * shares : 0);
    for (int first = begin; first < job.end; first += shares * LOADS(KV)) {
        four<KV> loaded[LOADS(KV)];
        RTI_UNROLL
        for (int k = 0; k < LOADS(KV); k++) {
            int p = first + shares * k;
            if (p < job.end) loaded[k] = load_four<KV>(shared->values[p / RTI_KV_BLOCK] + (size_t)(p % RTI_KV_BLOCK) * vector_bytes(KV, s.head_size), d);
        }
        RTI_UNROLL
        for (int k = 0; k < LOADS(KV); k++) {
            int p = first + shares * k;
            if (p >= job.end) break;
            float x[4];
            unpack_four<KV>(loaded[k], x);
            RTI_UNROLL
            for (int h = 0; h < HEADS; h++) {
                float weight = shared->weights[h][p];
                for (int i = 0; i < 4; i++) sums[h][i] = __fmaf_rn(weight, x[i], sums[h][i]);
            }
        }
    }
    RTI_UNROLL
    for (int h = 0; h < HEADS; h++) {
        if (h >= job.count) break;
        *(float4 *)&shared->shares[(share * HEADS + h) * s.head_size + d] = make_float4(sums[h][0], sums[h][1], sums[h][2], sums[h][3]);
    }
}

// Value d of a head: the shares in ascending order.
static __device__ __forceinline__ float gather(const rti_attention_shape &s, int shares, int head, int d, const attention_scratch *shared)
{
    float value = shared->shares[head * s.head_size + d];
    for (int i = 1; i < shares; i++) value = __fadd_rn(value, shared->shares[(i * HEADS + head) * s.head_size + d]);
    return value;
}

static __device__ __forceinline__ float sum_of(const attention_scratch *shared, int head)
{
    float sum = shared->sums[head][0];
    for (int w = 1; w < CHUNK_WARPS; w++) sum = __fadd_rn(sum, shared->sums[head][w]);
    return sum;
}

static __device__ __forceinline__ float top_of(const attention_scratch *shared, int head)
{
    float top = shared->maxima[head][0];
    for (int w = 1; w < CHUNK_WARPS; w++) top = shared->maxima[head][w] > top ? shared->maxima[head][w] : top;
    return top;
}

// How a chunk joins those before it: what there is is multiplied by *keep, the chunk by *take. The order of combine_chunks.
static __device__ __forceinline__ void join(float chunk_sum, float chunk_top, float *sum, float *top, float *keep, float *take)
{
    *keep = 1.0f, *take = 0.0f;
    if (!(chunk_sum > 0.0f)) return;
    float higher = chunk_top > *top ? chunk_top : *top;
    *keep = rti_expf(__fadd_rn(*top, -higher));
    *take = rti_expf(__fadd_rn(chunk_top, -higher));
    *sum = __fmaf_rn(chunk_sum, *take, __fmul_rn(*sum, *keep));
    *top = higher;
}

// Loads what a chunk needs beside keys and values; false: nothing of it is attended to (the whole block agrees).
static __device__ __forceinline__ bool begin_chunk(const rti_attention_shape &s, const rti_pass_rows &rows, int chunk, attention_job *job, attention_scratch *shared)
{
    int first = rows.first_positions[job->row], last = rows.positions[job->row], me = (int)threadIdx.x;
    if (s.window > 0) first = max(first, last - s.window + 1);
    job->begin = max(first - chunk * RTI_CHUNK, 0);
    job->end = min(last + 1 - chunk * RTI_CHUNK, RTI_CHUNK);
    if (job->begin >= job->end) return false;
    __syncthreads(); // the last chunk's may still be read
    if (me >= job->begin / RTI_KV_BLOCK && me < (job->end + RTI_KV_BLOCK - 1) / RTI_KV_BLOCK) {
        unsigned block = block_of(rows, job->row, chunk * CHUNK_BLOCKS + me);
        shared->keys[me] = vectors_in(s, block, 0, job->kv_head);
        shared->values[me] = vectors_in(s, block, 1, job->kv_head);
    }
    __syncthreads();
    return true;
}

// Which heads a block works on: blockIdx.y counts groups of at most HEADS from the first one that is wanted.
static __device__ __forceinline__ attention_job job_of(const rti_attention_shape &s, int head_begin, int head_end)
{
    int sharing = s.heads / s.kv_heads, groups = (sharing + HEADS - 1) / HEADS;
    attention_job job = attention_job();
    job.row = (int)blockIdx.x;
    job.kv_head = head_begin / sharing + (int)blockIdx.y / groups;
    int first = job.kv_head * sharing + (int)blockIdx.y % groups * HEADS;
    int last = min(min(first + HEADS, (job.kv_head + 1) * sharing), head_end);
    job.head = max(first, head_begin);
    job.count = last - job.head;
    return job;
}

// TOGETHER: the block goes through all chunks and puts them together; else each goes to its place in `partial`, and the
// blocks of blockIdx.z share them.
template <int KV, bool TOGETHER>
static __global__ void __launch_bounds__(RTI_CHUNK, 4)
attend_chunks(rti_attention_shape s, const float *qkv, float *partial, int max_chunks, int head_begin, int head_end, rti_pass_rows rows)
{
    RTI_SHARED(attention_scratch, shared);
    const rti_pass_header header = rti_read_header(rows);
    const unsigned seen = rti_look_far(rows);
    attention_job job = job_of(s, head_begin, head_end);
    int me = (int)threadIdx.x, shares = min(RTI_CHUNK / (s.head_size / 4), RTI_CHUNK), outputs = job.count * s.head_size;
    // All warps or none: what one puts into shared memory others follow as pointers, and the flag may change while they look.
    if (__syncthreads_or(rti_stopped(header)) || job.row >= header.row_count || job.count <= 0) return;
    int first = rows.first_positions[job.row] / RTI_CHUNK, chunks = rows.positions[job.row] / RTI_CHUNK - first + 1;
    if ((int)blockIdx.z >= chunks) return;
    const float *q = qkv + ((size_t)job.row * (size_t)(s.heads + 2 * s.kv_heads) + (size_t)job.head) * (size_t)s.head_size;
    for (int i = me; i < outputs; i += RTI_CHUNK) shared->queries[i / s.head_size][i % s.head_size] = q[i];
    if (me < HEADS) shared->sum[me] = 0.0f, shared->top[me] = LOWEST;
    const size_t stride = (size_t)(s.head_size + 2);
    float *row_out = partial + ((size_t)job.row * (size_t)s.heads + (size_t)job.head) * (size_t)max_chunks * stride;
    float together[HEADS * MAX_HEAD_SIZE / RTI_CHUNK];
    RTI_UNROLL
    for (int k = 0; k < HEADS * MAX_HEAD_SIZE / RTI_CHUNK; k++) together[k] = 0.0f;
    for (int chunk = (int)blockIdx.z; chunk < chunks; chunk += (int)gridDim.z) {
        bool is_seen = begin_chunk(s, rows, first + chunk, &job, shared);
        if (!is_seen && TOGETHER) continue;
        if (is_seen) {
            weigh<KV>(s, job, shared);
            add_values<KV>(s, job, shares, shared);
        }
        if (me < job.count) {
            float sum = is_seen ? sum_of(shared, me) : 0.0f, top = is_seen ? top_of(shared, me) : LOWEST;
            float *out = row_out + ((size_t)me * (size_t)max_chunks + (size_t)chunk) * stride + s.head_size;
            if (TOGETHER) join(sum, top, &shared->sum[me], &shared->top[me], &shared->keep[me], &shared->take[me]);
            else out[0] = sum, out[1] = top;
        }
        if (!is_seen) continue;
        __syncthreads();
        RTI_UNROLL
        for (int k = 0; k < HEADS * MAX_HEAD_SIZE / RTI_CHUNK; k++) {
            int i = k * RTI_CHUNK + me;
            if (i >= outputs) break;
            int h = i / s.head_size, d = i % s.head_size;
            float value = gather(s, shares, h, d, shared);
            if (TOGETHER) together[k] = __fmaf_rn(value, shared->take[h], __fmul_rn(together[k], shared->keep[h]));
            else row_out[((size_t)h * (size_t)max_chunks + (size_t)chunk) * stride + (size_t)d] = value;
        }
    }
    if constexpr (TOGETHER) {
        RTI_UNROLL
        for (int k = 0; k < HEADS * MAX_HEAD_SIZE / RTI_CHUNK; k++) {
            int i = k * RTI_CHUNK + me;
            if (i < outputs) row_out[(size_t)(i / s.head_size) * (size_t)max_chunks * stride + (size_t)(i % s.head_size)] = together[k];
        }
        if (me < job.count) {
            float *out = row_out + (size_t)me * (size_t)max_chunks * stride + s.head_size;
            out[0] = shared->sum[me], out[1] = shared->top[me];
        }
    }
    rti_leave_word(rows, header, seen);
}

template <int KV>
static void launch_attention(const rti_attention_shape &s, const float *qkv, float *partial, int max_chunks, int head_begin, int head_end,
                             const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    int sharing = s.heads / s.kv_heads, groups = (sharing + HEADS - 1) / HEADS;
    unsigned heads = (unsigned)(((head_end - 1) / sharing - head_begin / sharing + 1) * groups);
    // Chunks are shared by enough blocks to fill a device, whatever the context: graphs are made for a number of rows only.
    unsigned depth = (unsigned)min(max(128 / max_rows, 8), max_chunks);
    if (max_rows > RTI_SPLIT_ROWS) {
        RTI_LAUNCH((attend_chunks<KV, true>), dim3((unsigned)max_rows, heads, 1), RTI_CHUNK, sizeof(attention_scratch), stream, s, qkv, partial, 1,
                   head_begin, head_end, rows);
    } else {
        RTI_LAUNCH((attend_chunks<KV, false>), dim3((unsigned)max_rows, heads, depth), RTI_CHUNK, sizeof(attention_scratch), stream, s, qkv, partial,
                   max_chunks, head_begin, head_end, rows);
    }
}

cudaError_t rti_launch_attention(const rti_attention_shape &s, const float *qkv, float *partial, int max_chunks, int head_begin, int head_end,
                                 const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    if (head_end <= head_begin) return cudaSuccess;
    if (s.kv_type == KV_F16) launch_attention<KV_F16>(s, qkv, partial, max_chunks, head_begin, head_end, rows, max_rows, stream);
    else if (s.kv_type == KV_F32) launch_attention<KV_F32>(s, qkv, partial, max_chunks, head_begin, head_end, rows, max_rows, stream);
    else launch_attention<KV_Q8_0>(s, qkv, partial, max_chunks, head_begin, head_end, rows, max_rows, stream);
    return cudaGetLastError();
}

// ---------------------------------------------------------------------------------------------------------------------
// Chunks together
// ---------------------------------------------------------------------------------------------------------------------

// `are_together`: a row has one chunk, which is all of them.
static __global__ void __launch_bounds__(256)
combine_chunks(rti_attention_shape s, const float *partial, int max_chunks, bool are_together, float *y, rti_rounded rounded, rti_pass_rows rows)
{
    int row = (int)blockIdx.x, columns = s.heads * s.head_size;
    int c = (int)blockIdx.y * 256 + (int)threadIdx.x;
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= header.row_count) return;
    float value = 0.0f;
    if (c < columns) {
        int head = c / s.head_size, d = c % s.head_size;
        int chunks = are_together ? 1 : rows.positions[row] / RTI_CHUNK - rows.first_positions[row] / RTI_CHUNK + 1;
        const float *p = partial + ((size_t)row * (size_t)s.heads + (size_t)head) * (size_t)max_chunks * (size_t)(s.head_size + 2);
        float top = LOWEST, sum = 0.0f, keep, take;
        for (int k = 0; k < chunks; k++, p += s.head_size + 2) {
            if (!(p[s.head_size] > 0.0f)) continue; // its values were not written
            join(p[s.head_size], p[s.head_size + 1], &sum, &top, &keep, &take);
            value = __fmaf_rn(p[d], take, __fmul_rn(value, keep));
        }
        value = __fdiv_rn(value, sum);
        y[(size_t)row * (size_t)columns + (size_t)c] = value;
    }
    int blocks = (columns + 31) / 32;
    if (c < blocks * 32) rti_put_block(c < columns ? value : 0.0f, (int)threadIdx.x % 32, row, c / 32, rounded);
}

cudaError_t rti_launch_attention_combine(const rti_attention_shape &s, const float *partial, int max_chunks, float *y,
                                         const rti_rounded &rounded, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    dim3 grid((unsigned)max_rows, (unsigned)((s.heads * s.head_size + 255) / 256));
    bool are_together = max_rows > RTI_SPLIT_ROWS;
    RTI_LAUNCH(combine_chunks, grid, 256, 0, stream, s, partial, are_together ? 1 : max_chunks, are_together, y, rounded, rows);
    return cudaGetLastError();
}
