// What comes back of a pass: a token drawn on the device, or a row of logits.
// SPDX-License-Identifier: MIT
#include "backend/cuda/plugin.cuh"
#include "sampler/uniform.h"

#include <sched.h>

cudaError_t rti_cuda_wait(cudaEvent_t event)
{
    cudaError_t error;
    while ((error = cudaEventQuery(event)) == cudaErrorNotReady) {
        rti_cuda_forget_error();
        sched_yield();
    }
    return error;
}

rt_result rti_cuda_logits(rti_device *d, int32_t number, int32_t logits_row, const float **logits)
{
    rti_cuda_slot *slot = &d->slots[number];
    if (logits_row < 0 || logits_row >= slot->logits_count)
        return rti_cuda_fail(&d->host, RT_ERROR_INVALID_ARGUMENT, "logits: row %d of %d", logits_row, slot->logits_count);
    size_t first = (size_t)logits_row * (size_t)d->weights->network->vocab_size;
    uint64_t bit = 1ull << logits_row % 64;
    if (!(slot->fetched[logits_row / 64] & bit)) {
        size_t bytes = (size_t)d->weights->network->vocab_size * sizeof(float);
        cudaError_t error = cudaMemcpyAsync(slot->host_logits + first, slot->logits + first, bytes, cudaMemcpyDeviceToHost, d->stream);
        if (error == cudaSuccess) error = cudaEventRecord(d->result_ready, d->stream);
        if (error == cudaSuccess) error = rti_cuda_wait(d->result_ready);
        if (error != cudaSuccess) return rti_cuda_check(&d->host, error, "fetching logits");
        slot->fetched[logits_row / 64] |= bit;
    }
    *logits = slot->host_logits + first;
    return RT_OK;
}

// False: for the CPU's sampler, which also says what is wrong with a def that is.
static bool make_job(const rt_sample_request *request, int vocab_size, rti_sample_job *job)
{
    const rt_sampler_def *def = request ? request->sampler : NULL;
    if (!def || !(def->temperature >= 0.0f && def->temperature <= 10.0f) || !(def->top_p > 0.0f && def->top_p <= 1.0f) ||
        !(def->min_p >= 0.0f && def->min_p <= 1.0f) || !(def->repetition_penalty > 0.0f && def->repetition_penalty <= 10.0f) ||
        def->repetition_window < 0 || def->repetition_window > 256 || def->top_k < 0)
        return false;
    if (def->temperature > 0.0f && (def->top_k < 1 || def->top_k > RTI_MOST_TOP_K)) return false;
    job->uniform = rti_uniform(def->seed, request->step);
    job->temperature = def->temperature;
    job->top_p = def->top_p;
    job->min_p = def->min_p;
    job->penalty = def->repetition_penalty;
    job->top_k = def->top_k;
    job->vocab_size = vocab_size;
    job->recent_count = 0;
    if (def->repetition_penalty == 1.0f || !request->history) return true;
    int count = request->history_count < def->repetition_window ? request->history_count : def->repetition_window;
    for (int i = 0; i < count; i++) job->recent[i] = request->history[request->history_count - count + i];
    job->recent_count = count > 0 ? count : 0;
    return true;
}

static cudaError_t draw(rti_device *d, const rti_sample_job &job, const float *logits, const uint32_t *mask)
{
    cudaError_t error = cudaSuccess;
    if (mask) {
        size_t bytes = ((size_t)job.vocab_size + 31) / 32 * sizeof(uint32_t);
        memcpy(d->host_mask, mask, bytes);
        error = cudaMemcpyAsync(d->mask, d->host_mask, bytes, cudaMemcpyHostToDevice, d->stream);
    }
    if (error == cudaSuccess) error = rti_launch_sample(job, logits, d->adjusted, mask ? d->mask : NULL, d->drawn, d->stream);
    if (error == cudaSuccess) error = cudaMemcpyAsync(d->host_drawn, d->drawn, sizeof(int), cudaMemcpyDeviceToHost, d->stream);
    if (error == cudaSuccess) error = cudaEventRecord(d->result_ready, d->stream);
    return error == cudaSuccess ? rti_cuda_wait(d->result_ready) : error;
}

rt_result rti_cuda_sample(rti_device *d, int32_t number, int32_t logits_row, const rt_sample_request *request, rt_token *token)
{
    rti_cuda_slot *slot = &d->slots[number];
    int vocab_size = d->weights->network->vocab_size;
    rti_sample_job job;
    *token = RT_TOKEN_NONE;
    if (!make_job(request, vocab_size, &job)) {
        const float *logits = NULL;
        rt_result result = rti_cuda_logits(d, number, logits_row, &logits);
        return result == RT_OK ? rti_cuda_services->sample(logits, vocab_size, request, d->sample_scratch, token) : result;
    }
    if (logits_row < 0 || logits_row >= slot->logits_count)
        return rti_cuda_fail(&d->host, RT_ERROR_INVALID_ARGUMENT, "sample: row %d of %d", logits_row, slot->logits_count);
    cudaError_t error = draw(d, job, slot->logits + (size_t)logits_row * (size_t)vocab_size, request->mask);
    if (error != cudaSuccess) return rti_cuda_check(&d->host, error, "drawing a token");
    if (*d->host_drawn < 0) return rti_cuda_fail(&d->host, RT_ERROR_REJECTED, "rt_sample: the mask allows no token");
    *token = *d->host_drawn;
    return RT_OK;
}
