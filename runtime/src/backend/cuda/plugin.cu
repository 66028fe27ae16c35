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

rt_result rti_cuda_no_context(const rt_host *host)
{
    return rti_cuda_fail(host, RT_ERROR_DEVICE, "CUDA: the model's context cannot be made current: it was destroyed, or the driver has shut down");
}

void rti_cuda_forget_error(void)
{
    (void)cudaGetLastError();
}

rt_result rti_cuda_check(const rt_host *host, cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return RT_OK;
    rti_cuda_forget_error();
    rt_result code = error == cudaErrorMemoryAllocation ? RT_ERROR_OUT_OF_MEMORY : RT_ERROR_DEVICE;
    return rti_cuda_fail(host, code, "CUDA: %s: %s%s", what, cudaGetErrorString(error),
                         code == RT_ERROR_DEVICE ? ": destroy the context and the model, then use the CPU backend" : "");
}

static uint64_t weights_bytes(const rti_weights *weights)
{
    return weights->device_bytes + weights->host_bytes;
}

static rt_isa weights_isa(const rti_weights *weights)
{
    (void)weights;
    return RT_ISA_SCALAR;
}

// The calls as the library makes them, on whatever thread: each inside the model's context. Where that cannot be made current nothing
// is called: the runtime would take the thread's own context, or make one.
template <auto function> struct scoped;
template <typename R, typename D, typename... A, R (*function)(D *, A...)> struct scoped<function> {
    static const rti_weights *weights_of(const rti_weights *weights) { return weights; }
    static const rti_weights *weights_of(const rti_device *device) { return device->weights; }
    static R call(D *object, A... arguments)
    {
        rti_cuda_scope scope(weights_of(object)->context);
        return scope.is_pushed ? function(object, arguments...) : rti_cuda_no_context(&weights_of(object)->host);
    }
};

static rt_result device_create(const rti_device_def *def, rti_device **device)
{
    rti_cuda_scope scope(def->weights->context);
    *device = NULL;
    return scope.is_pushed ? rti_cuda_device_create(def, device) : rti_cuda_no_context(&def->host);
}

static void device_destroy(rti_device *device)
{
    if (!device) return;
    rti_cuda_scope scope(device->weights->context);
    if (!scope.is_pushed) rti_cuda_device_forget(device);
    rti_cuda_device_destroy(device);
}

static rti_backend make_table(void)
{
    rti_backend b = rti_backend();
    b.name = "cuda";
    b.weights_create = rti_cuda_weights_create;
    b.weights_destroy = rti_cuda_weights_destroy;
    b.weights_bytes = weights_bytes;
    b.weights_isa = weights_isa;
    b.weights_measure = rti_cuda_weights_measure;
    b.weights_memory = rti_cuda_weights_memory;
    b.weights_resize = scoped<rti_cuda_weights_resize>::call;
    b.device_memory = rti_cuda_device_memory;
    b.device_create = device_create;
    b.device_destroy = device_destroy;
    b.block_bytes = rti_cuda_block_bytes;
    b.block_copy = scoped<rti_cuda_block_copy>::call;
    b.block_read = scoped<rti_cuda_block_read>::call;
    b.block_write = scoped<rti_cuda_block_write>::call;
    b.cache_resize = scoped<rti_cuda_cache_resize>::call;
    b.pass_begin = scoped<rti_cuda_pass_begin>::call;
    b.part_units = rti_cuda_part_units;
    b.part_work = rti_cuda_part_work;
    b.run = scoped<rti_cuda_run>::call;
    b.poll = scoped<rti_cuda_poll>::call;
    b.cancel = rti_cuda_cancel;
    b.logits = scoped<rti_cuda_logits>::call;
    b.sample = scoped<rti_cuda_sample>::call;
    b.pass_end = rti_cuda_pass_end;
    return b;
}

// The runtime says the same where there is no driver at all and where there is an old one.
static void fail_for_driver(const rt_host *host)
{
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    if (driver == 0) rti_cuda_fail(host, RT_ERROR_DEVICE, "CUDA: no device: there is no NVIDIA driver (libcuda.so.1)");
    else rti_cuda_fail(host, RT_ERROR_DEVICE, "CUDA: no device: the driver is for CUDA %d.%d and this plugin was built with %d.%d: install a newer driver, or build with an older CUDA toolkit",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
}

extern "C" RT_API const rti_backend *rti_backend_plugin(uint32_t abi, const rti_plugin_services *services, const rt_host *host)
{
    static const rti_backend table = make_table();
    if (abi != RTI_BACKEND_ABI || !services) return NULL;
    rti_cuda_services = services;
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return &table;
    rti_cuda_forget_error();
    if (error == cudaErrorInsufficientDriver) fail_for_driver(host);
    else rti_cuda_fail(host, RT_ERROR_DEVICE, "CUDA: no device: %s", error == cudaSuccess ? "none is installed" : cudaGetErrorString(error));
    return NULL;
}
