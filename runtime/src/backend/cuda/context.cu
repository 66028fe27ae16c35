// Which CUDA context is current: the game's own, or the device's primary one; and streams that keep to a share of the device.
// SPDX-License-Identifier: MIT
#include "backend/cuda/context.cuh"

#include "backend/cuda/plugin.cuh"

#if !defined(RTI_CUDA_EMULATION)

#include <dlfcn.h>

// The driver library is looked up by hand: a plugin that linked it could not even be opened where there is no driver.
static void *driver_symbol(const char *name)
{
    static void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : NULL;
}

template <typename F> static F *find(const char *name)
{
    F *function;
    void *symbol = driver_symbol(name);
    memcpy(&function, &symbol, sizeof function);
    return function;
}

const rti_cuda_driver *rti_cuda_driver_get(void)
{
    static const rti_cuda_driver driver = {
        find<CUresult(unsigned)>("cuInit"),
        find<CUresult(CUcontext)>("cuCtxPushCurrent_v2"),
        find<CUresult(CUcontext *)>("cuCtxPopCurrent_v2"),
        find<CUresult(CUdevice *)>("cuCtxGetDevice"),
        find<CUresult(CUcontext *, CUdevice)>("cuDevicePrimaryCtxRetain"),
        find<CUresult(CUdevice)>("cuDevicePrimaryCtxRelease_v2"),
    };
    // Asked once: a driver that was there is called to the end, when it may already answer that it has shut down.
    static const bool is_there = driver.init && driver.push && driver.pop && driver.device && driver.retain && driver.release &&
                                 driver.init(0) == CUDA_SUCCESS;
    return is_there ? &driver : NULL;
}

// One reference to a device's primary context stays to the end of the process. Without it the context, and with it all code that the
// runtime has loaded, would go with the last model and be made again, in a second or so, with the next.
static void keep_primary(const rti_cuda_driver *driver, CUdevice device)
{
    static unsigned long long kept;
    if (device < 0 || device >= 64 || __atomic_fetch_or(&kept, 1ull << device, __ATOMIC_ACQ_REL) >> device & 1) return;
    CUcontext context;
    driver->retain(&context, device);
}

#else

static void keep_primary(const rti_cuda_driver *, CUdevice)
{
}

#endif

rt_result rti_cuda_context_find(const rti_weights_def *def, rti_cuda_context *context)
{
    const rti_cuda_driver *driver = rti_cuda_driver_get();
    *context = rti_cuda_context();
    if (!driver) return rti_cuda_fail(&def->host, RT_ERROR_DEVICE, "CUDA: there is no driver");
    if (!def->cuda_context) {
        CUresult error = driver->retain(&context->handle, def->cuda_device);
        if (error != CUDA_SUCCESS)
            return rti_cuda_fail(&def->host, error == CUDA_ERROR_OUT_OF_MEMORY ? RT_ERROR_OUT_OF_MEMORY : RT_ERROR_DEVICE,
                                 "CUDA: device %d: its primary context cannot be had (the driver's error %d)", def->cuda_device, (int)error);
        keep_primary(driver, def->cuda_device);
        context->device = def->cuda_device;
        context->is_primary = true;
        return RT_OK;
    }
    CUcontext popped;
    CUresult error = driver->push((CUcontext)def->cuda_context);
    if (error == CUDA_SUCCESS) {
        error = driver->device(&context->device);
        driver->pop(&popped);
    }
    if (error != CUDA_SUCCESS)
        return rti_cuda_fail(&def->host, RT_ERROR_DEVICE, "CUDA: cuda_context is not a context that can be made current (the driver's error %d)", (int)error);
    context->handle = (CUcontext)def->cuda_context;
    return RT_OK;
}

void rti_cuda_context_release(const rti_cuda_context &context)
{
    if (context.is_primary) rti_cuda_driver_get()->release(context.device);
}

rti_cuda_scope::rti_cuda_scope(const rti_cuda_context &context)
{
    is_pushed = rti_cuda_driver_get()->push(context.handle) == CUDA_SUCCESS;
}

rti_cuda_scope::~rti_cuda_scope()
{
    CUcontext popped;
    if (is_pushed) rti_cuda_driver_get()->pop(&popped);
}

// ---------------------------------------------------------------------------------------------------------------------
// A share of the device
// ---------------------------------------------------------------------------------------------------------------------

#if !defined(RTI_CUDA_EMULATION) && CUDA_VERSION >= 12040

// Green contexts are shares of the device's primary context: a stream of one takes no kernels of another context.
static bool is_primary(const rti_cuda_context &context)
{
    const rti_cuda_driver *driver = rti_cuda_driver_get();
    CUcontext primary = NULL;
    if (context.is_primary) return true;
    if (driver->retain(&primary, context.device) != CUDA_SUCCESS) return false;
    driver->release(context.device);
    return primary == context.handle;
}

// Our events are of the model's context: whether this driver takes them in a stream of a green one is seen by trying.
static bool takes_events(cudaStream_t stream)
{
    cudaEvent_t event = NULL;
    bool is_fine = cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess && cudaEventRecord(event, stream) == cudaSuccess &&
                   cudaStreamSynchronize(stream) == cudaSuccess;
    if (event) cudaEventDestroy(event);
    if (!is_fine) rti_cuda_forget_error();
    return is_fine;
}

// False where driver or device have no green contexts, or none so small.
static bool green_stream(const rti_cuda_context &in, int percent, int priority, void **green, cudaStream_t *stream)
{
    const CUdevice device = in.device;
    typedef CUresult get_resource(CUdevice, CUdevResource *, CUdevResourceType);
    typedef CUresult split(CUdevResource *, unsigned *, const CUdevResource *, CUdevResource *, unsigned, unsigned);
    typedef CUresult describe(CUdevResourceDesc *, CUdevResource *, unsigned);
    typedef CUresult create(CUgreenCtx *, CUdevResourceDesc, CUdevice, unsigned);
    typedef CUresult create_stream(CUstream *, CUgreenCtx, unsigned, int);
    get_resource *get = find<get_resource>("cuDeviceGetDevResource");
    split *cut = find<split>("cuDevSmResourceSplitByCount");
    describe *make = find<describe>("cuDevResourceGenerateDesc");
    create *begin = find<create>("cuGreenCtxCreate");
    create_stream *flow = find<create_stream>("cuGreenCtxStreamCreate");
    if (!get || !cut || !make || !begin || !flow || !is_primary(in)) return false;
    CUdevResource all, ours, rest;
    CUdevResourceDesc description;
    unsigned groups = 1;
    if (get(device, &all, CU_DEV_RESOURCE_TYPE_SM) != CUDA_SUCCESS) return false;
    unsigned wanted = all.sm.smCount * (unsigned)percent / 100;
    if (cut(&ours, &groups, &all, &rest, 0, wanted > 0 ? wanted : 1) != CUDA_SUCCESS || groups < 1) return false;
    if (make(&description, &ours, 1) != CUDA_SUCCESS) return false;
    CUgreenCtx context;
    if (begin(&context, description, device, CU_GREEN_CTX_DEFAULT_STREAM) != CUDA_SUCCESS) return false;
    CUstream made;
    if (flow(&made, context, CU_STREAM_NON_BLOCKING, priority) != CUDA_SUCCESS) {
        rti_cuda_green_destroy(context);
        return false;
    }
    *green = context;
    *stream = made;
    if (takes_events(made)) return true;
    cudaStreamDestroy(made);
    rti_cuda_green_destroy(context);
    *green = NULL;
    *stream = NULL;
    return false;
}

void rti_cuda_green_destroy(void *green)
{
    CUresult (*destroy)(CUgreenCtx) = find<CUresult(CUgreenCtx)>("cuGreenCtxDestroy");
    if (green && destroy) destroy((CUgreenCtx)green);
}

#else

static bool green_stream(const rti_cuda_context &, int, int, void **, cudaStream_t *)
{
    return false;
}

void rti_cuda_green_destroy(void *)
{
}

#endif

rt_result rti_cuda_stream_create(const rt_host *host, const rti_weights *weights, int percent, void **green, cudaStream_t *stream)
{
    int least = 0, greatest = 0;
    rt_result result = rti_cuda_check(host, cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream priorities");
    if (result != RT_OK) return result;
    // The game's rendering goes first: ours is the lowest priority that there is.
    if (percent > 0 && percent < 100 && green_stream(weights->context, percent, least, green, stream)) return RT_OK;
    return rti_cuda_check(host, cudaStreamCreateWithPriority(stream, cudaStreamNonBlocking, least), "a stream");
}
