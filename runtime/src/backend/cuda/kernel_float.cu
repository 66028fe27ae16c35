// Matrix products: which kernel takes which matrices; and the plain one for float32 weights, and every type in exact mode.
// SPDX-License-Identifier: MIT
#include "backend/cuda/matrix.cuh"

// ---------------------------------------------------------------------------------------------------------------------
// Float activations: a warp an output row, lanes over columns
// ---------------------------------------------------------------------------------------------------------------------

#define FLOAT_ROWS 8 // activation rows a warp carries at once

static __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP)
matrix_float(rti_device_matrix m, const float *values, int output_begin, int output_end, rti_matrix_work work, rti_pass_rows rows)
{
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(header)) return;
    int row_count = work.logits_rows ? header.logits_count : header.row_count;
    int row_begin = (int)blockIdx.y * FLOAT_ROWS;
    int output_row = output_begin + (int)blockIdx.x * RTI_PARTIALS + (int)threadIdx.x / RTI_WARP;
    if (row_begin >= row_count || output_row >= output_end || output_row >= m.rows) return;
    const rti_share share = {NULL, NULL, work.shares[0].bias, NULL, work.shares[0].y, m.rows, 0, 0}; // elements have their row's scale
    int lane = (int)threadIdx.x % RTI_WARP;
    float sum[FLOAT_ROWS] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int column = lane; column < m.columns; column += RTI_WARP) {
        float w = rti_element(m, output_row, column);
        for (int r = 0; r < FLOAT_ROWS; r++)
            if (row_begin + r < row_count) sum[r] = __fmaf_rn(w, values[(size_t)(row_begin + r) * (size_t)m.columns + (size_t)column], sum[r]);
    }
    const unsigned seen = rti_look_far(rows);
    for (int r = 0; r < FLOAT_ROWS; r++) {
        float total = rti_warp_sum(sum[r]);
        if (lane == 0 && row_begin + r < row_count) rti_finish(work, share, output_row, row_begin + r, total);
    }
    rti_leave_word(rows, header, seen);
}

static void launch_float(const rti_device_matrix &m, const rti_matrix_work &work, const float *values, const rti_pass_rows &rows, int max_rows,
                         cudaStream_t stream)
{
    const rti_matrix_share &share = work.shares[0];
    int outputs = (share.group_end - share.group_begin) * RTI_GROUP;
    dim3 grid((unsigned)((outputs + RTI_PARTIALS - 1) / RTI_PARTIALS), (unsigned)((max_rows + FLOAT_ROWS - 1) / FLOAT_ROWS));
    RTI_LAUNCH(matrix_float, grid, RTI_PARTIALS * RTI_WARP, 0, stream, m, values, share.group_begin * RTI_GROUP, share.group_end * RTI_GROUP, work, rows);
}

// ---------------------------------------------------------------------------------------------------------------------
// Launching
// ---------------------------------------------------------------------------------------------------------------------

static bool is_tiled(const rti_device_matrix &m, const rti_activations &in)
{
    return m.by_tensor_cores || (m.layout < RTI_LAYOUT_F32 && in.rounded.planes > 0);
}

static bool is_alike(const rti_device_matrix &a, const rti_device_matrix &b)
{
    return a.layout == b.layout && a.scale_kind == b.scale_kind && a.has_offsets == b.has_offsets && a.by_tensor_cores == b.by_tensor_cores && a.blocks == b.blocks && a.columns == b.columns;
}

cudaError_t rti_launch_matrices(const rti_matrix_task *tasks, int count, const rti_activations &in, int y_stride, rti_matrix_output output, float softcap,
                                const rti_pass_rows &rows, int max_rows, bool logits_rows, cudaStream_t stream)
{
    for (int i = 0; i < count;) {
        const rti_device_matrix &m = *tasks[i].matrix;
        const bool in_tiles = is_tiled(m, in);
        rti_rounded values = in.rounded;
        if (m.by_tensor_cores) values.values = (int8_t *)in.rounded.split;
        rti_matrix_work work = rti_matrix_work();
        work.blocks = m.blocks, work.columns = m.columns, work.stride = y_stride, work.output = (int)output;
        work.softcap = softcap, work.logits_rows = logits_rows;
        do {
            const rti_matrix_task &t = tasks[i++];
            if (t.group_end <= t.group_begin) continue;
            work.shares[work.share_count++] = {t.matrix->values, t.matrix->supers, t.bias, t.matrix->row_scale, t.y, t.matrix->rows, t.group_begin,
                                               t.group_end};
        } while (i < count && in_tiles && work.share_count < RTI_MOST_SHARES && is_alike(*tasks[i].matrix, m));
        if (work.share_count == 0) continue;
        if (in_tiles) rti_launch_tiles(m, work, values, rows, max_rows, stream);
        else launch_float(m, work, in.values, rows, max_rows, stream);
        cudaError_t error = cudaGetLastError();
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}
