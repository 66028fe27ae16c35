// The runtime's and the driver's calls: memory, streams, events, graphs, and what can go wrong with them.
// SPDX-License-Identifier: MIT
#include "backend/cuda/emulation/emulation.h"
#include "backend/cuda/context.cuh"
#include "backend/cuda/emulation/check.h"
#include "backend/cuda/emulation/faults.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <stdlib.h>
#include <time.h>
#include <vector>

namespace rti_emulation {

// ---------------------------------------------------------------------------------------------------------------------
// Streams, graphs, launches
// ---------------------------------------------------------------------------------------------------------------------

struct graph { std::vector<std::function<int()>> nodes; };
struct event { double at_ms; bool is_recorded; };
struct stream {
    graph *capturing;
    std::vector<std::function<int()>> waiting; // while held
};

static thread_local cudaError_t last_error = cudaSuccess;
static bool held = false;
static int64_t allocations_left = -1, calls_left = -1;
static uint64_t allocations_to_fail;
static int64_t calls[RTI_EMULATED_CALL_COUNT], objects;
static std::map<void *, size_t> device_memory, all_memory; // the latter with the computer's, pinned
static std::vector<stream *> streams;
static std::recursive_mutex lock; // contexts live on threads of their own

static thread_local std::vector<CUcontext> contexts; // the driver's stack, a thread
static bool contexts_refused;
static thread_local int captures; // that this thread has begun and not ended

// Every call of the runtime begins with this. Outside any context it fails, as on a thread that never chose a device.
static cudaError_t enter(rti_emulated_call kind, bool needs_context = true)
{
    if (needs_context && contexts.empty()) return last_error = cudaErrorDeviceUninitialized;
    std::lock_guard<std::recursive_mutex> guard(lock);
    calls[RTI_EMULATED_ANY]++;
    if (kind != RTI_EMULATED_ANY) calls[kind]++;
    if (calls_left > 0) calls_left--;
    if (calls_left == 0) return last_error = cudaErrorLaunchFailure;
    // What would wait, or might, while this thread captures a stream.
    if (captures > 0 && (kind == RTI_EMULATED_ALLOCATING || kind == RTI_EMULATED_SYNCHRONISING)) return last_error = cudaErrorStreamCaptureUnsupported;
    if (kind == RTI_EMULATED_ALLOCATING && allocations_left >= 0 && allocations_left-- == 0) {
        allocations_left = 0;
        return last_error = cudaErrorMemoryAllocation;
    }
    if (kind == RTI_EMULATED_ALLOCATING) {
        bool fails = allocations_to_fail & 1;
        allocations_to_fail >>= 1;
        if (fails) return last_error = cudaErrorMemoryAllocation;
        objects++;
    }
    return cudaSuccess;
}

static void leave_object(void)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    objects--;
}

// Work for a stream: noted in a graph or for later, or done now.
static cudaError_t submit(stream *s, std::function<int()> node)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    if (s && s->capturing) {
        s->capturing->nodes.push_back(node);
        return cudaSuccess;
    }
    if (s && held) {
        s->waiting.push_back(node);
        return cudaSuccess;
    }
    return (cudaError_t)node();
}

static void drain(stream *s)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    std::vector<std::function<int()>> waiting;
    waiting.swap(s->waiting);
    for (auto &node : waiting) node();
}

int launch(dim3 grid, dim3 block, size_t shared_bytes, stream *s, std::function<void()> body)
{
    cudaError_t error = enter(RTI_EMULATED_LAUNCHING);
    if (error != cudaSuccess) return error;
    // A launch that succeeds clears no earlier error.
    return submit(s, [=]() { return run_blocks(grid, block, shared_bytes, body) ? cudaSuccess : last_error = cudaErrorLaunchFailure; });
}

} // namespace rti_emulation

using namespace rti_emulation;

// ---------------------------------------------------------------------------------------------------------------------
// The runtime's calls
// ---------------------------------------------------------------------------------------------------------------------

static cudaError_t give_memory(void **pointer, size_t bytes, bool is_device)
{
    *pointer = NULL;
    cudaError_t error = enter(RTI_EMULATED_ALLOCATING);
    if (error != cudaSuccess) return error;
    if (posix_memalign(pointer, 256, bytes ? bytes : 1) != 0) *pointer = NULL; // exactly so many: what lies behind is nobody's
    if (!*pointer) {
        leave_object();
        return last_error = cudaErrorMemoryAllocation;
    }
    memset(*pointer, 0xff, bytes); // no numbers, and indices of nothing
    std::lock_guard<std::recursive_mutex> guard(lock);
    all_memory[*pointer] = bytes;
    if (is_device) device_memory[*pointer] = bytes;
    return cudaSuccess;
}

static cudaError_t take_memory(void *pointer)
{
    if (!pointer) return cudaSuccess;
    {
        std::lock_guard<std::recursive_mutex> holding(lock);
        device_memory.erase(pointer);
        guard(pointer, all_memory[pointer], false);
        all_memory.erase(pointer);
    }
    leave_object();
    free(pointer);
    return enter(RTI_EMULATED_ANY);
}

template <typename T> static cudaError_t give_object(T **object, T *made)
{
    cudaError_t error = enter(RTI_EMULATED_ALLOCATING);
    if (error != cudaSuccess) delete made;
    *object = error == cudaSuccess ? made : NULL;
    return error;
}

template <typename T> static cudaError_t take_object(T *object)
{
    delete object;
    leave_object();
    return enter(RTI_EMULATED_ANY);
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorDeviceUninitialized: return "invalid device context";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    }
    return "unknown error";
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaDriverGetVersion(int *version) { *version = 13000; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { *version = 13000; return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return enter(RTI_EMULATED_ANY, false); }
cudaError_t cudaSetDevice(int device) { return device == 0 ? enter(RTI_EMULATED_ANY) : cudaErrorNoDevice; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    if (device != 0) return cudaErrorNoDevice;
    *properties = cudaDeviceProp{"emulated device", (size_t)4 << 30, 8, 0, 4, 99 * 1024};
    return enter(RTI_EMULATED_ANY);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr, int device)
{
    *value = 8;
    return device == 0 ? enter(RTI_EMULATED_ANY) : cudaErrorNoDevice;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *free_bytes = *total_bytes = (size_t)4 << 30;
    return enter(RTI_EMULATED_ANY);
}

cudaError_t cudaMalloc(void **pointer, size_t bytes) { return give_memory(pointer, bytes, true); }
cudaError_t cudaFree(void *pointer) { return take_memory(pointer); }
cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned) { return give_memory(pointer, bytes, false); }
cudaError_t cudaFreeHost(void *pointer) { return take_memory(pointer); }
cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned) { *device = host; return enter(RTI_EMULATED_ANY); }

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    cudaError_t error = enter(RTI_EMULATED_SYNCHRONISING);
    if (error != cudaSuccess) return error;
    memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t s)
{
    cudaError_t error = enter(RTI_EMULATED_ANY);
    return error != cudaSuccess ? error : submit(s, [=]() { memcpy(to, from, bytes); return 0; });
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t s)
{
    cudaError_t error = enter(RTI_EMULATED_ANY);
    return error != cudaSuccess ? error : submit(s, [=]() { memset(to, value, bytes); return 0; });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    *least = 0;
    *greatest = -5;
    return enter(RTI_EMULATED_ANY);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned, int)
{
    cudaError_t error = give_object(s, new stream{NULL, {}});
    std::lock_guard<std::recursive_mutex> guard(lock);
    if (error == cudaSuccess) streams.push_back(*s);
    return error;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    {
        std::lock_guard<std::recursive_mutex> guard(lock);
        streams.erase(std::find(streams.begin(), streams.end(), s));
    }
    drain(s);
    return take_object(s);
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    drain(s);
    return enter(RTI_EMULATED_SYNCHRONISING);
}

cudaError_t cudaDeviceSynchronize(void)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    for (stream *s : streams) drain(s);
    return enter(RTI_EMULATED_SYNCHRONISING);
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    cudaError_t error = enter(RTI_EMULATED_ANY);
    return error == cudaSuccess && !s->waiting.empty() ? last_error = cudaErrorNotReady : error;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    if (s->capturing) return cudaErrorInvalidValue;
    cudaError_t error = give_object(&s->capturing, new graph);
    if (error == cudaSuccess) captures++;
    return error;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    *g = s->capturing;
    s->capturing = NULL;
    if (*g) captures--;
    return *g ? enter(RTI_EMULATED_ANY) : cudaErrorInvalidValue;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t g, unsigned long long) { return give_object(executable, new graph(*g)); }

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return enter(RTI_EMULATED_ANY); }

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t s)
{
    cudaError_t error = enter(RTI_EMULATED_LAUNCHING);
    if (error != cudaSuccess) return error;
    return submit(s, [=]() {
        int failed = 0;
        for (auto &node : executable->nodes)
            if (!failed) failed = node();
        return failed;
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t g) { return take_object(g); }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return take_object(executable); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned) { return give_object(e, new event{0, true}); }
cudaError_t cudaEventDestroy(cudaEvent_t e) { return take_object(e); }

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    cudaError_t error = enter(RTI_EMULATED_ANY);
    if (error != cudaSuccess) return error;
    e->is_recorded = false;
    return submit(s, [=]() {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        e->at_ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
        e->is_recorded = true;
        return 0;
    });
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    cudaError_t error = enter(RTI_EMULATED_ANY);
    return error == cudaSuccess && !e->is_recorded ? last_error = cudaErrorNotReady : error;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    *milliseconds = (float)(end->at_ms - start->at_ms);
    return enter(RTI_EMULATED_ANY);
}

// ---------------------------------------------------------------------------------------------------------------------
// The driver
// ---------------------------------------------------------------------------------------------------------------------

struct CUctx_st { int retained; };
static CUctx_st primary;

static CUresult driver_init(unsigned) { return CUDA_SUCCESS; }

static CUresult driver_push(CUcontext context)
{
    if (!context || contexts_refused) return CUDA_ERROR_INVALID_CONTEXT;
    contexts.push_back(context);
    return CUDA_SUCCESS;
}

static CUresult driver_pop(CUcontext *context)
{
    if (contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    *context = contexts.back();
    contexts.pop_back();
    return CUDA_SUCCESS;
}

static CUresult driver_device(CUdevice *device)
{
    *device = 0;
    return contexts.empty() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

static CUresult driver_retain(CUcontext *context, CUdevice device)
{
    cudaError_t error = device == 0 ? enter(RTI_EMULATED_ALLOCATING, false) : cudaErrorNoDevice;
    if (error != cudaSuccess) return error == cudaErrorMemoryAllocation ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_CONTEXT;
    *context = &primary;
    return CUDA_SUCCESS;
}

static CUresult driver_release(CUdevice)
{
    leave_object();
    return CUDA_SUCCESS;
}

const rti_cuda_driver *rti_cuda_driver_get(void)
{
    static const rti_cuda_driver driver = {driver_init, driver_push, driver_pop, driver_device, driver_retain, driver_release};
    return &driver;
}

// ---------------------------------------------------------------------------------------------------------------------
// Faults
// ---------------------------------------------------------------------------------------------------------------------

static void fail_allocations_after(int64_t count) { allocations_left = count; }
static void fail_these_allocations(uint64_t bits) { allocations_to_fail = bits; }
static void lose_device_after(int64_t count) { calls_left = count < 0 ? -1 : count + 1; }
static int64_t count_calls(rti_emulated_call kind) { return calls[kind]; }
static int64_t count_objects(void) { return objects; }
static int64_t count_contexts(void) { return (int64_t)contexts.size(); }

static void refuse_contexts(bool refused) { contexts_refused = refused; }

static void hold_streams(bool hold)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    held = hold;
    for (stream *s : streams)
        if (!held) drain(s);
}

static uint64_t count_bytes(void)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    uint64_t bytes = 0;
    for (auto &one : device_memory) bytes += one.second;
    return bytes;
}

extern "C" __attribute__((visibility("default"))) const rti_emulation_faults *rti_emulation_faults_get(void)
{
    static const rti_emulation_faults table = {fail_allocations_after, fail_these_allocations, lose_device_after, hold_streams, count_calls, count_objects, count_bytes,
                                               count_contexts, refuse_contexts, rti_emulation_check};
    return &table;
}
