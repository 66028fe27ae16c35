// Work on one activation row at a time: embedding, norms, activation functions, rounding to 8 or 16 bits.
// SPDX-License-Identifier: MIT
#include "backend/cuda/matrix.cuh"

#define ROW_THREADS 256

// ---------------------------------------------------------------------------------------------------------------------
// Embedding
// ---------------------------------------------------------------------------------------------------------------------

static __global__ void __launch_bounds__(ROW_THREADS)
embed_rows(rti_device_matrix m, float scale, float *x, rti_pass_rows rows)
{
    int row = (int)blockIdx.x;
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= header.row_count) return;
    int token = rows.tokens[row];
    for (int c = (int)threadIdx.x; c < m.columns; c += ROW_THREADS)
        x[(size_t)row * (size_t)m.columns + (size_t)c] = __fmul_rn(rti_element(m, token, c), scale);
}

cudaError_t rti_launch_embed(const rti_device_matrix &m, float scale, float *x, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    RTI_LAUNCH(embed_rows, (unsigned)max_rows, ROW_THREADS, 0, stream, m, scale, x, rows);
    return cudaGetLastError();
}

// Cosine and sine of each row's rotation, once a pass: all layers and heads turn by the same. Angles in double: at position
// 131,071 a float has lost the third digit after the point.
static __global__ void __launch_bounds__(ROW_THREADS)
measure_angles(const double *frequency, int pairs, double magnitude, float2 *angles, rti_pass_rows rows)
{
    int row = (int)blockIdx.x;
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= header.row_count) return;
    double position = (double)rows.positions[row];
    for (int i = (int)threadIdx.x; i < pairs; i += ROW_THREADS) {
        double angle = __dmul_rn(position, frequency[i]);
        angles[(size_t)row * (size_t)pairs + (size_t)i] = make_float2((float)(cos(angle) * magnitude), (float)(sin(angle) * magnitude));
    }
}

cudaError_t rti_launch_angles(const double *frequency, int pairs, double magnitude, float2 *angles, const rti_pass_rows &rows, int max_rows,
                              cudaStream_t stream)
{
    if (pairs == 0) return cudaSuccess;
    RTI_LAUNCH(measure_angles, (unsigned)max_rows, ROW_THREADS, 0, stream, frequency, pairs, magnitude, angles, rows);
    return cudaGetLastError();
}

// ---------------------------------------------------------------------------------------------------------------------
// Norms
// ---------------------------------------------------------------------------------------------------------------------

struct row_output {
    float *y;
    rti_rounded rounded;
    int columns, blocks;
};

// Writes one value of a row (threads of a warp hold neighbours); past the end zeros fill the last block.
static __device__ __forceinline__ void put(const row_output &to, int row, int c, float value)
{
    if (c < to.columns) to.y[(size_t)row * (size_t)to.columns + (size_t)c] = value;
    if (c < to.blocks * 32) rti_put_block(c < to.columns ? value : 0.0f, (int)threadIdx.x % 32, row, c / 32, to.rounded);
}

// Mean and the factor that a row's values are multiplied by.
static __device__ void measure(const rti_norm &norm, const float *x, int columns, float *scratch, float *mean, float *factor)
{
    float sum = 0.0f;
    *mean = 0.0f;
    if (norm.kind == 1) {
        for (int c = (int)threadIdx.x; c < columns; c += ROW_THREADS) sum = __fadd_rn(sum, x[c]);
        *mean = __fdiv_rn(rti_block_sum(sum, scratch), (float)columns);
        sum = 0.0f;
    }
    for (int c = (int)threadIdx.x; c < columns; c += ROW_THREADS) {
        float d = __fadd_rn(x[c], -*mean);
        sum = __fmaf_rn(d, d, sum);
    }
    float variance = __fdiv_rn(rti_block_sum(sum, scratch), (float)columns);
    *factor = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(variance, norm.epsilon)));
}

static __device__ __forceinline__ float normalised(const rti_norm &norm, float value, int c, float mean, float factor)
{
    float n = __fmul_rn(__fadd_rn(value, -mean), factor);
    if (norm.weight) n = __fmul_rn(n, norm.weight[c]);
    return norm.bias ? __fadd_rn(n, norm.bias[c]) : n;
}

static __global__ void __launch_bounds__(ROW_THREADS)
norm_rows(rti_norm norm, const float *x, row_output to, bool gather, rti_pass_rows rows)
{
    RTI_SHARED(float, scratch);
    int row = (int)blockIdx.x;
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= (gather ? header.logits_count : header.row_count)) return;
    const float *in = x + (size_t)(gather ? rows.logits_rows[row] : row) * (size_t)to.columns;
    float mean, factor;
    measure(norm, in, to.columns, scratch, &mean, &factor);
    int padded = (to.columns + ROW_THREADS - 1) / ROW_THREADS * ROW_THREADS; // whole warps take part in each block's maximum
    for (int c = (int)threadIdx.x; c < padded; c += ROW_THREADS)
        put(to, row, c, c < to.columns ? normalised(norm, in[c], c, mean, factor) : 0.0f);
}

cudaError_t rti_launch_norm(const rti_norm &norm, const float *x, int columns, float *y, const rti_rounded &rounded, bool gather,
                             const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    row_output to = {y, rounded, columns, (columns + 31) / 32};
    RTI_LAUNCH(norm_rows, (unsigned)max_rows, ROW_THREADS, 33 * sizeof(float), stream, norm, x, to, gather, rows);
    return cudaGetLastError();
}

static __global__ void __launch_bounds__(ROW_THREADS)
norm_add_rows(rti_norm norm, const float *y, int columns, float *x, rti_pass_rows rows)
{
    RTI_SHARED(float, scratch);
    int row = (int)blockIdx.x;
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= header.row_count) return;
    const float *in = y + (size_t)row * (size_t)columns;
    float *out = x + (size_t)row * (size_t)columns;
    float mean, factor;
    measure(norm, in, columns, scratch, &mean, &factor);
    for (int c = (int)threadIdx.x; c < columns; c += ROW_THREADS) out[c] = __fadd_rn(out[c], normalised(norm, in[c], c, mean, factor));
}

cudaError_t rti_launch_norm_add(const rti_norm &norm, const float *y, int columns, float *x, const rti_pass_rows &rows, int max_rows,
                                cudaStream_t stream)
{
    RTI_LAUNCH(norm_add_rows, (unsigned)max_rows, ROW_THREADS, 33 * sizeof(float), stream, norm, y, columns, x, rows);
    return cudaGetLastError();
}

// ---------------------------------------------------------------------------------------------------------------------
// Activation functions
// ---------------------------------------------------------------------------------------------------------------------

static __device__ __forceinline__ float activate(int kind, float gate, float up)
{
    if (kind == 0) return __fmul_rn(__fdiv_rn(gate, __fadd_rn(1.0f, rti_expf(-gate))), up);
    if (kind == 1) {
        float inner = __fmul_rn(0.797884561f, __fmul_rn(gate, __fmaf_rn(__fmul_rn(0.044715f, gate), gate, 1.0f)));
        return __fmul_rn(__fmul_rn(__fmul_rn(0.5f, gate), __fadd_rn(1.0f, rti_tanhf(inner))), up);
    }
    float positive = up > 0.0f ? up : 0.0f;
    return __fmul_rn(positive, positive);
}

static __global__ void __launch_bounds__(ROW_THREADS)
activate_rows(int kind, const float *gate_up, row_output to, rti_pass_rows rows)
{
    int row = (int)blockIdx.x, c = (int)blockIdx.y * ROW_THREADS + (int)threadIdx.x;
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header) || row >= header.row_count) return;
    float value = 0.0f;
    if (c < to.columns) {
        const float *in = gate_up + (size_t)row * (size_t)to.columns * (kind == 2 ? 1u : 2u);
        value = kind == 2 ? activate(kind, 0.0f, in[c]) : activate(kind, in[c], in[to.columns + c]);
    }
    put(to, row, c, value);
}

cudaError_t rti_launch_activation(int kind, const float *gate_up, int columns, float *y, const rti_rounded &rounded,
                                  const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    row_output to = {y, rounded, columns, (columns + 31) / 32};
    dim3 grid((unsigned)max_rows, (unsigned)((columns + ROW_THREADS - 1) / ROW_THREADS));
    RTI_LAUNCH(activate_rows, grid, ROW_THREADS, 0, stream, kind, gate_up, to, rows);
    return cudaGetLastError();
}
