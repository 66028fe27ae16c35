// SPDX-License-Identifier: MIT
#include "backend/cuda/emulation/emulation.h"
#include "backend/cuda/context.cuh"
#include "backend/cuda/emulation/faults.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <stdlib.h>
#include <time.h>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

namespace rti_emulation {

thread_local thread_state current;

// ---------------------------------------------------------------------------------------------------------------------
// Changing stacks: a few registers, where the C library's swapcontext asks the kernel for the signal mask each time
// ---------------------------------------------------------------------------------------------------------------------

#if defined(__x86_64__)
typedef void *machine_context; // its stack pointer; what the callee must keep lies on the stack
extern "C" void rti_emulation_switch(void **from, void *to);
__asm__(".text\n"
        ".type rti_emulation_switch, @function\n"
        "rti_emulation_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size rti_emulation_switch, .-rti_emulation_switch\n");
static void switch_context(machine_context *from, machine_context *to) { rti_emulation_switch(from, *to); }
static void begin_context(machine_context *context, uint8_t *stack, size_t bytes, void (*entry)(void))
{
    void **top = (void **)(stack + bytes) - 2; // the ABI wants 16-byte alignment less 8 at entry
    top[0] = (void *)entry;
    top[1] = NULL;
    *context = top - 6;
}
#else
typedef ucontext_t machine_context;
static void switch_context(machine_context *from, machine_context *to) { swapcontext(from, to); }
static void begin_context(machine_context *context, uint8_t *stack, size_t bytes, void (*entry)(void))
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}
#endif

// ---------------------------------------------------------------------------------------------------------------------
// Fibers: the threads of the block that runs
// ---------------------------------------------------------------------------------------------------------------------

enum fiber_state { RUNNABLE, AT_BARRIER, AT_WARP, FINISHED };
static const size_t stack_bytes = 64 * 1024;
static const int most_threads = 1024;

struct fiber {
    machine_context context;
    fiber_state state;
    thread_state identity;
    uint8_t given[2][32]; // what it handed to its warp; two, so that a quick lane cannot overwrite what a slow one still reads
    int round;            // warp operations so far
};

struct block_runner {
    fiber *fibers;
    uint8_t *stacks;
    machine_context scheduler;
    int count, running;
    const std::function<void()> *body;
    void *scheduler_fake_stack;
    const void *scheduler_stack;
    size_t scheduler_stack_bytes;
};
static thread_local block_runner runner;

static void leave(fiber *f, bool for_good)
{
#if SANITIZED
    void *fake = NULL;
    __sanitizer_start_switch_fiber(for_good ? NULL : &fake, runner.scheduler_stack, runner.scheduler_stack_bytes);
#endif
    switch_context(&f->context, &runner.scheduler);
#if SANITIZED
    __sanitizer_finish_switch_fiber(fake, &runner.scheduler_stack, &runner.scheduler_stack_bytes);
#endif
    (void)for_good;
}

static void fiber_main(void)
{
#if SANITIZED
    __sanitizer_finish_switch_fiber(NULL, &runner.scheduler_stack, &runner.scheduler_stack_bytes);
#endif
    (*runner.body)();
    fiber *f = &runner.fibers[runner.running];
    f->state = FINISHED;
    leave(f, true);
}

static void resume(int index)
{
    fiber *f = &runner.fibers[index];
    runner.running = index;
    current = f->identity;
#if SANITIZED
    __sanitizer_start_switch_fiber(&runner.scheduler_fake_stack, runner.stacks + (size_t)index * stack_bytes, stack_bytes);
#endif
    switch_context(&runner.scheduler, &f->context);
#if SANITIZED
    __sanitizer_finish_switch_fiber(runner.scheduler_fake_stack, NULL, NULL);
#endif
}

static void wait_as(fiber_state state)
{
    fiber *f = &runner.fibers[runner.running];
    f->state = state;
    leave(f, false);
    current = f->identity;
}

void barrier(void)
{
    wait_as(AT_BARRIER);
}

void warp_publish(const void *mine, int bytes)
{
    fiber *f = &runner.fibers[runner.running];
    memcpy(f->given[f->round++ & 1], mine, (size_t)bytes);
    wait_as(AT_WARP);
}

const void *warp_peek(int lane)
{
    int index = runner.running, other = (index & ~31) + lane;
    const fiber *f = &runner.fibers[other < runner.count ? other : index];
    return f->given[(runner.fibers[index].round - 1) & 1];
}

// Releases the lanes of a warp once all that still live wait for each other.
static bool release_warp(int first)
{
    int last = first + 32 < runner.count ? first + 32 : runner.count;
    int waiting = 0;
    for (int i = first; i < last; i++) {
        if (runner.fibers[i].state == FINISHED) continue;
        if (runner.fibers[i].state != AT_WARP) return false;
        waiting++;
    }
    for (int i = first; i < last; i++)
        if (runner.fibers[i].state == AT_WARP) runner.fibers[i].state = RUNNABLE;
    return waiting > 0;
}

static bool release_block(void)
{
    int waiting = 0;
    for (int i = 0; i < runner.count; i++) {
        if (runner.fibers[i].state == FINISHED) continue;
        if (runner.fibers[i].state != AT_BARRIER) return false;
        waiting++;
    }
    for (int i = 0; i < runner.count; i++)
        if (runner.fibers[i].state == AT_BARRIER) runner.fibers[i].state = RUNNABLE;
    return waiting > 0;
}

// False: threads wait for others that never come.
static bool run_block(void)
{
    for (;;) {
        bool moved = false, all_finished = true;
        for (int first = 0; first < runner.count; first += 32) {
            for (int i = first; i < first + 32 && i < runner.count; i++) {
                if (runner.fibers[i].state == RUNNABLE) {
                    resume(i);
                    moved = true;
                }
                all_finished = all_finished && runner.fibers[i].state == FINISHED;
            }
            if (release_warp(first)) moved = true;
        }
        if (all_finished) return true;
        if (release_block()) moved = true;
        if (!moved) return false;
    }
}

__attribute__((noinline)) static void prepare_fiber(fiber *f, uint8_t *stack, const thread_state &identity)
{
    f->identity = identity;
    f->state = RUNNABLE;
    f->round = 0;
#if SANITIZED
    __asan_unpoison_memory_region(stack + stack_bytes - 4096, 4096); // of a thread that ended here, whose last frames never returned
#endif
    begin_context(&f->context, stack, stack_bytes, fiber_main);
}

static void prepare_fibers(dim3 grid, dim3 block, uint3 block_index, uint8_t *shared)
{
    for (int i = 0; i < runner.count; i++) {
        unsigned n = (unsigned)i;
        uint3 thread = {n % block.x, n / block.x % block.y, n / (block.x * block.y)};
        prepare_fiber(&runner.fibers[i], runner.stacks + (size_t)i * stack_bytes, thread_state{thread, block_index, block, grid, shared});
    }
}

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
static int64_t calls[RTI_EMULATED_CALL_COUNT], objects;
static std::map<void *, size_t> device_memory;
static std::vector<stream *> streams;
static std::recursive_mutex lock; // contexts live on threads of their own

static thread_local std::vector<CUcontext> contexts; // the driver's stack, a thread

// Every call of the runtime begins with this. Outside any context it fails, as on a thread that never chose a device.
static cudaError_t enter(rti_emulated_call kind, bool needs_context = true)
{
    if (needs_context && contexts.empty()) return last_error = cudaErrorDeviceUninitialized;
    std::lock_guard<std::recursive_mutex> guard(lock);
    calls[RTI_EMULATED_ANY]++;
    if (kind != RTI_EMULATED_ANY) calls[kind]++;
    if (calls_left > 0) calls_left--;
    if (calls_left == 0) return last_error = cudaErrorLaunchFailure;
    if (kind == RTI_EMULATED_ALLOCATING && allocations_left >= 0 && allocations_left-- == 0) {
        allocations_left = 0;
        return last_error = cudaErrorMemoryAllocation;
    }
    if (kind == RTI_EMULATED_ALLOCATING) objects++;
    return cudaSuccess;
}

static void leave_object(void)
{
    std::lock_guard<std::recursive_mutex> guard(lock);
    objects--;
}

static int run_launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body)
{
    int count = (int)(block.x * block.y * block.z);
    if (count < 1 || count > most_threads || shared_bytes > 227 * 1024) return last_error = cudaErrorLaunchFailure;
    std::vector<fiber> fibers((size_t)count);
    uint8_t *stacks = (uint8_t *)malloc((size_t)count * stack_bytes);
    // Exactly as many bytes as were asked for, so that reading past them is caught.
    uint8_t *shared = (uint8_t *)aligned_alloc(16, (shared_bytes + 15) / 16 * 16 + 16);
    block_runner outer = runner;
    runner = block_runner{};
    runner.fibers = fibers.data();
    runner.stacks = stacks;
    runner.count = count;
    runner.body = &body;
    bool met = true;
    for (unsigned z = 0; z < grid.z && met; z++)
        for (unsigned y = 0; y < grid.y && met; y++)
            for (unsigned x = 0; x < grid.x && met; x++) {
                memset(shared, 0xcd, shared_bytes); // never zero by luck
                prepare_fibers(grid, block, uint3{x, y, z}, shared);
                met = run_block();
            }
    runner = outer;
    free(stacks);
    free(shared);
    return met ? cudaSuccess : last_error = cudaErrorLaunchFailure; // a launch that succeeds clears no earlier error
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
    return error != cudaSuccess ? error : submit(s, [=]() { return run_launch(grid, block, shared_bytes, body); });
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
    *pointer = aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::lock_guard<std::recursive_mutex> guard(lock);
    if (*pointer && is_device) device_memory[*pointer] = bytes;
    return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
}

static cudaError_t take_memory(void *pointer)
{
    if (!pointer) return cudaSuccess;
    {
        std::lock_guard<std::recursive_mutex> guard(lock);
        device_memory.erase(pointer);
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
    return give_object(&s->capturing, new graph);
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    *g = s->capturing;
    s->capturing = NULL;
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
    if (!context) return CUDA_ERROR_INVALID_CONTEXT;
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
static void lose_device_after(int64_t count) { calls_left = count < 0 ? -1 : count + 1; }
static int64_t count_calls(rti_emulated_call kind) { return calls[kind]; }
static int64_t count_objects(void) { return objects; }
static int64_t count_contexts(void) { return (int64_t)contexts.size(); }

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
    static const rti_emulation_faults table = {fail_allocations_after, lose_device_after, hold_streams, count_calls, count_objects, count_bytes,
                                               count_contexts};
    return &table;
}
