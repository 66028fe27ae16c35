// Whole layers as graphs, for passes of few rows, where launching costs as much as running. All are captured when the context is
// created: a pass captures nothing. What changes from pass to pass is read from device memory.
// SPDX-License-Identifier: MIT
#include "backend/cuda/launch.cuh"

static int least(int a, int b)
{
    return a < b ? a : b;
}

// A graph is for up to so many rows: the steps of the matrix kernels, and one row alone. The last is the most that a pass has.
static const int bucket_rows[] = {1, 8, 16, 32};

static int rows_of(const rti_device *d, int bucket)
{
    return least(bucket_rows[bucket], d->max_rows);
}

static int row_buckets(const rti_device *d)
{
    int count = 1;
    while (count < 4 && rows_of(d, count - 1) < d->max_rows) count++;
    return count;
}

static size_t graph_count(const rti_device *d)
{
    return (size_t)row_buckets(d) * (size_t)d->weights->network->layer_count;
}

static cudaGraphExec_t *graph_at(const rti_device *d, rti_cuda_slot *slot, int rows, int layer)
{
    return &slot->graphs[(size_t)rows * (size_t)d->weights->network->layer_count + (size_t)layer];
}

static void layer_parts(const rti_device *d, int layer, rt_part parts[5])
{
    for (int i = 0; i < 5; i++) {
        parts[i] = rt_part();
        parts[i].kind = (rt_part_kind)(RT_PART_QKV + i);
        parts[i].layer = layer;
        parts[i].unit_count = parts[i].unit_end = rti_cuda_part_units(d, 0, parts[i].kind, layer);
    }
}

static cudaError_t launch_layer(const rti_launch_context &c, const rt_part *parts)
{
    cudaError_t error = cudaSuccess;
    for (int i = 0; i < 5 && error == cudaSuccess; i++) error = rti_cuda_launch_part(c, parts[i]);
    return error;
}

static cudaError_t capture(const rti_launch_context &c, int layer, cudaGraphExec_t *executable)
{
    rt_part parts[5];
    cudaGraph_t graph = NULL;
    layer_parts(c.d, layer, parts);
    cudaError_t error = cudaStreamBeginCapture(c.d->stream, cudaStreamCaptureModeThreadLocal);
    if (error != cudaSuccess) return error;
    error = launch_layer(c, parts);
    cudaError_t ended = cudaStreamEndCapture(c.d->stream, &graph);
    if (error == cudaSuccess) error = ended;
    if (error == cudaSuccess) error = cudaGraphInstantiate(executable, graph, 0);
    if (error == cudaSuccess) error = cudaGraphUpload(*executable, c.d->stream); // else the first launch takes memory for it
    if (graph) cudaGraphDestroy(graph);
    return error;
}

// Every kernel that a pass may need once, over no rows: the driver loads code when it first runs, which is an allocation. Layers
// need not be of one kind.
static cudaError_t warm_up(rti_device *d, rti_cuda_slot *slot)
{
    static const int counts[] = {1, 8, 16, 32, RT_MAX_PASS_ROWS};
    cudaError_t error = cudaMemsetAsync(slot->inputs, 0, slot->inputs_bytes, d->stream);
    for (int i = 0; i < 5 && error == cudaSuccess; i++) {
        rti_launch_context c = {d, slot, least(counts[i], d->max_rows)};
        rt_part parts[5], other = rt_part();
        error = rti_cuda_launch_part(c, other); // the embedding
        for (int layer = 0; layer < d->weights->network->layer_count && error == cudaSuccess; layer++) {
            layer_parts(d, layer, parts);
            error = launch_layer(c, parts);
        }
        other.kind = RT_PART_LOGITS;
        other.unit_end = other.unit_count = rti_cuda_part_units(d, 0, RT_PART_LOGITS, 0);
        slot->logits_count = least(counts[i], d->max_logits_rows);
        if (error == cudaSuccess) error = rti_cuda_launch_part(c, other);
        slot->logits_count = 0;
    }
    rti_sample_job job = rti_sample_job();
    return error == cudaSuccess ? rti_launch_sample(job, slot->logits, d->adjusted, NULL, d->drawn, d->stream) : error;
}

static cudaError_t create_all(rti_device *d, rti_cuda_slot *slot)
{
    cudaError_t error = warm_up(d, slot);
    for (int rows = 0; rows < row_buckets(d) && error == cudaSuccess; rows++)
        for (int layer = 0; layer < d->weights->network->layer_count && error == cudaSuccess; layer++) {
            rti_launch_context c = {d, slot, rows_of(d, rows)};
            error = capture(c, layer, graph_at(d, slot, rows, layer));
        }
    return error;
}

rt_result rti_cuda_graphs_create(rti_device *d)
{
    d->generation = d->weights->generation;
    for (int i = 0; i < d->max_passes; i++) {
        d->slots[i].graphs = (cudaGraphExec_t *)rti_cuda_services->allocate(&d->host, graph_count(d) * sizeof(cudaGraphExec_t));
        if (!d->slots[i].graphs) return rti_cuda_fail(&d->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory for graphs");
        rt_result result = rti_cuda_check(&d->host, create_all(d, &d->slots[i]), "capturing the layers");
        if (result != RT_OK) return result;
    }
    return rti_cuda_check(&d->host, cudaStreamSynchronize(d->stream), "the first kernels");
}

void rti_cuda_graphs_forget(rti_device *d)
{
    for (int i = 0; i < RT_MAX_PASSES; i++)
        if (d->slots[i].graphs) memset(d->slots[i].graphs, 0, graph_count(d) * sizeof(cudaGraphExec_t));
}

void rti_cuda_graphs_destroy(rti_device *d)
{
    for (int i = 0; i < RT_MAX_PASSES; i++) {
        cudaGraphExec_t *graphs = d->slots[i].graphs;
        if (!graphs) continue;
        for (size_t k = 0; k < graph_count(d); k++)
            if (graphs[k]) cudaGraphExecDestroy(graphs[k]);
        rti_cuda_services->release(&d->host, graphs, graph_count(d) * sizeof(cudaGraphExec_t));
        d->slots[i].graphs = NULL;
    }
}

cudaError_t rti_cuda_run_layer(const rti_launch_context &c, const rt_part *parts)
{
    int rows = 0;
    while (rows < row_buckets(c.d) && rows_of(c.d, rows) < c.max_rows) rows++;
    if (rows == row_buckets(c.d)) return launch_layer(c, parts); // many rows: grids as large as they are
    return cudaGraphLaunch(*graph_at(c.d, c.slot, rows, parts[0].layer), c.d->stream);
}
