// The one symbol of the plugin, and how it raises errors.
// SPDX-License-Identifier: MIT
#include "backend/cuda/plugin.cuh"

#include <stdarg.h>
#include <stdio.h>

const rti_plugin_services *rti_cuda_services;

rt_result rti_cuda_fail(const rt_host *host, rt_result code, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return rti_cuda_services->raise(host, code, message);
}

rt_result rti_cuda_check(const rt_host *host, cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return RT_OK;
    rt_result code = error == cudaErrorMemoryAllocation ? RT_ERROR_OUT_OF_MEMORY : RT_ERROR_DEVICE;
    return rti_cuda_fail(host, code, "CUDA: %s: %s%s", what, cudaGetErrorString(error),
                         code == RT_ERROR_DEVICE ? ": destroy the context and the model, then use the CPU backend" : "");
}

static uint64_t weights_bytes(const rti_weights *weights)
{
    return weights->bytes;
}

static rt_isa weights_isa(const rti_weights *weights)
{
    (void)weights;
    return RT_ISA_SCALAR;
}

static rti_backend make_table(void)
{
    rti_backend b = rti_backend();
    b.name = "cuda";
    b.weights_create = rti_cuda_weights_create;
    b.weights_destroy = rti_cuda_weights_destroy;
    b.weights_bytes = weights_bytes;
    b.weights_isa = weights_isa;
    b.device_memory = rti_cuda_device_memory;
    b.device_create = rti_cuda_device_create;
    b.device_destroy = rti_cuda_device_destroy;
    b.block_bytes = rti_cuda_block_bytes;
    b.block_copy = rti_cuda_block_copy;
    b.block_read = rti_cuda_block_read;
    b.block_write = rti_cuda_block_write;
    b.pass_begin = rti_cuda_pass_begin;
    b.part_units = rti_cuda_part_units;
    b.part_work = rti_cuda_part_work;
    b.run = rti_cuda_run;
    b.poll = rti_cuda_poll;
    b.cancel = rti_cuda_cancel;
    b.logits = rti_cuda_logits;
    b.sample = rti_cuda_sample;
    b.pass_end = rti_cuda_pass_end;
    return b;
}

extern "C" RT_API const rti_backend *rti_backend_plugin(uint32_t abi, const rti_plugin_services *services, const rt_host *host)
{
    static const rti_backend table = make_table();
    if (abi != RTI_BACKEND_ABI || !services) return NULL;
    rti_cuda_services = services;
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return &table;
    rti_cuda_fail(host, RT_ERROR_DEVICE, "CUDA: no device: %s", error == cudaSuccess ? "none is installed" : cudaGetErrorString(error));
    return NULL;
}
