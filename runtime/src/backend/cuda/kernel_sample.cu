// One token from a row of logits, where they are: the same token that rt_sample gives (sampler/sampler.c), to the bit.
//
// Candidates are 64-bit keys, the logit's order above and the id's below, so that no two are equal: the k likeliest are found by
// their digits from the top (radix selection), ranked, and drawn from in order. One thread block; a row of 131,072 logits is read
// some six times from the level-2 cache.
// SPDX-License-Identifier: MIT
#include "backend/cuda/arithmetic.cuh"

#define SAMPLE_THREADS 512
#define SAMPLE_WARPS (SAMPLE_THREADS / RTI_WARP)

typedef unsigned long long candidate; // 0: not allowed

// base/exact_math.c, operation by operation.
static __device__ double exact_exp(double x)
{
    if (!(x > -700.0)) return 0.0;
    if (x > 700.0) return __longlong_as_double(0x7ff0000000000000LL);
    const double shift = 6755399441055744.0; // 1.5 * 2^52
    double n = __dadd_rn(__fma_rn(x, 1.4426950408889634074, shift), -shift);
    double r = __fma_rn(n, -0.69314718055994528623, x);
    r = __fma_rn(n, -2.3190468138462995584e-17, r);
    double sum = 1.0 / 6227020800.0;
    sum = __fma_rn(sum, r, 1.0 / 479001600.0);
    sum = __fma_rn(sum, r, 1.0 / 39916800.0);
    sum = __fma_rn(sum, r, 1.0 / 3628800.0);
    sum = __fma_rn(sum, r, 1.0 / 362880.0);
    sum = __fma_rn(sum, r, 1.0 / 40320.0);
    sum = __fma_rn(sum, r, 1.0 / 5040.0);
    sum = __fma_rn(sum, r, 1.0 / 720.0);
    sum = __fma_rn(sum, r, 1.0 / 120.0);
    sum = __fma_rn(sum, r, 1.0 / 24.0);
    sum = __fma_rn(sum, r, 1.0 / 6.0);
    sum = __fma_rn(sum, r, 0.5);
    sum = __fma_rn(sum, r, 1.0);
    sum = __fma_rn(sum, r, 1.0);
    return __dmul_rn(sum, __longlong_as_double(((long long)n + 1023) << 52));
}

// Larger for likelier; of equals the lower id. Not a number counts as minus infinity, both zeros are one.
static __device__ __forceinline__ candidate candidate_of(float logit, int id)
{
    const float lowest = __uint_as_float(0xff800000u);
    if (!(logit >= lowest)) logit = lowest;
    unsigned bits = logit == 0.0f ? 0u : __float_as_uint(logit);
    unsigned order = bits >> 31 ? ~bits : bits | 0x80000000u;
    return (candidate)order << 32 | (unsigned)~id;
}

static __device__ __forceinline__ int id_of(candidate key)
{
    return (int)~(unsigned)key;
}

static __device__ __forceinline__ float logit_of(candidate key)
{
    unsigned order = (unsigned)(key >> 32);
    return __uint_as_float(order >> 31 ? order & 0x7fffffffu : ~order);
}

struct sample_scratch { // in shared memory
    candidate chosen[RTI_MOST_TOP_K], sorted[RTI_MOST_TOP_K];
    double weights[RTI_MOST_TOP_K];
    candidate best[SAMPLE_WARPS];
    int counts[256];
    int warp_counts[SAMPLE_WARPS];
    candidate prefix;
    int needed, chosen_count;
    bool is_found;
};

static __device__ __forceinline__ candidate read_candidate(const float *logits, const unsigned *mask, int id)
{
    if (mask && !(mask[id >> 5] >> (id & 31) & 1u)) return 0;
    return candidate_of(logits[id], id);
}

// A copy of the row with the repetition penalty: once for each token of the window, however often it occurs there.
static __device__ void penalise(const rti_sample_job &job, const float *logits, float *adjusted)
{
    for (int id = (int)threadIdx.x; id < job.vocab_size; id += SAMPLE_THREADS) adjusted[id] = logits[id];
    __syncthreads();
    int i = (int)threadIdx.x;
    if (i < job.recent_count) {
        int id = job.recent[i];
        bool is_first = id >= 0 && id < job.vocab_size;
        for (int j = 0; j < i && is_first; j++) is_first = job.recent[j] != id;
        if (is_first) {
            float logit = adjusted[id];
            adjusted[id] = logit > 0.0f ? __fdiv_rn(logit, job.penalty) : __fmul_rn(logit, job.penalty);
        }
    }
    __syncthreads();
}

// The likeliest candidate and how many there are.
static __device__ candidate find_best(const rti_sample_job &job, const float *logits, const unsigned *mask, sample_scratch *s, int *count)
{
    candidate best = 0;
    int allowed = 0;
    for (int id = (int)threadIdx.x; id < job.vocab_size; id += SAMPLE_THREADS) {
        candidate key = read_candidate(logits, mask, id);
        allowed += key != 0;
        best = key > best ? key : best;
    }
    for (int lanes = 16; lanes > 0; lanes >>= 1) {
        candidate other = __shfl_xor_sync(RTI_FULL_WARP, best, lanes);
        best = other > best ? other : best;
        allowed += __shfl_xor_sync(RTI_FULL_WARP, allowed, lanes);
    }
    if (threadIdx.x % RTI_WARP == 0) {
        s->best[threadIdx.x / RTI_WARP] = best;
        s->warp_counts[threadIdx.x / RTI_WARP] = allowed;
    }
    __syncthreads();
    *count = 0;
    for (int w = 0; w < SAMPLE_WARPS; w++) {
        best = s->best[w] > best ? s->best[w] : best;
        *count += s->warp_counts[w];
    }
    return best;
}

// The first thread: which digit the k-th candidate has, among those that begin with the prefix.
static __device__ void choose_digit(sample_scratch *s, int shift)
{
    int digit = 255;
    while (digit > 0 && s->counts[digit] < s->needed) s->needed -= s->counts[digit--];
    s->prefix |= (candidate)(unsigned)digit << shift;
    s->is_found = s->counts[digit] == s->needed; // all that begin like this are in
}

// The k likeliest to s->sorted, likeliest first.
static __device__ void choose_likeliest(const rti_sample_job &job, const float *logits, const unsigned *mask, int k, sample_scratch *s)
{
    int me = (int)threadIdx.x;
    if (me == 0) {
        s->prefix = 0;
        s->needed = k;
        s->chosen_count = 0;
        s->is_found = false;
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
        for (int i = me; i < 256; i += SAMPLE_THREADS) s->counts[i] = 0;
        __syncthreads();
        if (s->is_found) break; // the whole block agrees
        candidate prefix = s->prefix;
        for (int id = me; id < job.vocab_size; id += SAMPLE_THREADS) {
            candidate key = read_candidate(logits, mask, id);
            if (key != 0 && (shift == 56 || key >> (shift + 8) == prefix >> (shift + 8))) atomicAdd(&s->counts[(int)(key >> shift & 255u)], 1);
        }
        __syncthreads();
        if (me == 0) choose_digit(s, shift);
        __syncthreads();
    }
    for (int id = me; id < job.vocab_size; id += SAMPLE_THREADS) {
        candidate key = read_candidate(logits, mask, id);
        if (key != 0 && key >= s->prefix) s->chosen[atomicAdd(&s->chosen_count, 1)] = key;
    }
    __syncthreads();
    if (me < k) {
        int rank = 0;
        for (int i = 0; i < k; i++) rank += s->chosen[i] > s->chosen[me];
        s->sorted[rank] = s->chosen[me];
    }
    __syncthreads();
}

// What draw_sorted and walk of the CPU's sampler do, sum by sum.
static __device__ int draw(const rti_sample_job &job, const sample_scratch *s, int k)
{
    double total = 0.0, kept = 0.0, sum = 0.0;
    for (int i = 0; i < k; i++) total = __dadd_rn(total, s->weights[i]);
    int count = 0;
    while (count < k) {
        double w = s->weights[count];
        if (count > 0 && (w < (double)job.min_p || kept >= __dmul_rn((double)job.top_p, total))) break;
        kept = __dadd_rn(kept, w);
        count++;
    }
    double target = __dmul_rn(job.uniform, kept);
    int last = 0;
    for (int i = 0; i < count; i++) {
        if (s->weights[i] <= 0.0) continue;
        last = i;
        sum = __dadd_rn(sum, s->weights[i]);
        if (sum > target) break;
    }
    return id_of(s->sorted[last]);
}

static __global__ void __launch_bounds__(SAMPLE_THREADS)
sample_row(rti_sample_job job, const float *logits, float *adjusted, const unsigned *mask, int *token)
{
    RTI_SHARED(sample_scratch, s);
    int me = (int)threadIdx.x, count;
    if (job.recent_count > 0) {
        penalise(job, logits, adjusted);
        logits = adjusted;
    }
    candidate best = find_best(job, logits, mask, s, &count);
    if (count <= 1 || job.temperature == 0.0f) {
        if (me == 0) *token = count > 0 ? id_of(best) : -1;
        return;
    }
    int k = min(job.top_k, count);
    choose_likeliest(job, logits, mask, k, s);
    if (me < k) {
        double d = __dadd_rn((double)logit_of(s->sorted[me]), -(double)logit_of(best));
        s->weights[me] = exact_exp(__ddiv_rn(d, (double)job.temperature));
    }
    __syncthreads();
    if (me == 0) *token = draw(job, s, k);
}

cudaError_t rti_launch_sample(const rti_sample_job &job, const float *logits, float *adjusted, const unsigned *mask, int *token,
                              cudaStream_t stream)
{
    RTI_LAUNCH(sample_row, 1, SAMPLE_THREADS, sizeof(sample_scratch), stream, job, logits, adjusted, mask, token);
    return cudaGetLastError();
}
