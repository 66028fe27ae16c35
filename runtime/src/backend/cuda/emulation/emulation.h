// emulation/emulation.h - as much of CUDA as this backend uses, on one thread of the processor.
//
// A launch runs its blocks one after another. The threads of a block are fibers: each runs until it meets a barrier or a
// warp operation and goes on when all that must meet there have come. Memory is the processor's, so the address sanitizer watches
// every access of every kernel. A launch fails for what hardware does not define, or hangs on:
// - threads that never meet (a barrier inside a branch that only some take)
// - lanes of a warp that meet in different operations, or without all 32 of them
// - an address that is no multiple of the vector's size
// - a grid, a block or shared memory that are larger than a launch may ask for, or empty
// Every other launch runs its blocks, warps and lanes from the last to the first: what one reads of another without a barrier
// between them is right in one of the two orders at most. Device and shared memory begin as rubbish.
//
// A stream runs what it is given at once, unless it is held (faults.h); while it captures, launches are noted and replayed by
// the graph.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_EMULATION_H
#define RTI_CUDA_EMULATION_H

#include <functional>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------------------------
// Language
// ---------------------------------------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 { unsigned x, y, z; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }

namespace rti_emulation {

struct thread_state {
    uint3 thread, block;
    dim3 block_size, grid_size;
    uint8_t *shared;
};
extern thread_local thread_state current; // of the fiber that runs

void barrier(void);
int barrier_or(int vote); // whether any thread's is not 0
// Warp operations: every lane gives at most 32 bytes and waits for the others; then each may read what any lane gave, until
// its own next operation.
enum warp_operation { SHUFFLE_XOR = 1, SHUFFLE, SYNC, PRODUCT_INTEGERS, PRODUCT_FLOATS };
void warp_publish(const void *mine, int bytes, warp_operation which);
const void *warp_peek(int lane);

// An access of `size` bytes, which must lie at a multiple of that. False: the launch has failed, and nothing may be read there.
bool check_access(const void *at, size_t size);

// Under the address sanitizer nobody may touch these bytes (`closed`), or may again; else nothing.
void guard(void *at, size_t bytes, bool closed);

// All blocks of a launch, one after another. False: see above.
bool run_blocks(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body);
int launch(dim3 grid, dim3 block, size_t shared_bytes, struct stream *stream, std::function<void()> body);

} // namespace rti_emulation

#define threadIdx (rti_emulation::current.thread)
#define blockIdx (rti_emulation::current.block)
#define blockDim (rti_emulation::current.block_size)
#define gridDim (rti_emulation::current.grid_size)

#define RTI_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    rti_emulation::launch(dim3(grid), dim3(block), (shared_bytes), (stream), [=]() { kernel(__VA_ARGS__); })
#define RTI_SHARED(type, name) type *name = (type *)rti_emulation::current.shared

static inline void __syncthreads(void) { rti_emulation::barrier(); }
static inline int __syncthreads_or(int vote) { return rti_emulation::barrier_or(vote); }

template <typename T> static inline T __shfl_xor_sync(unsigned, T value, int lane_mask)
{
    rti_emulation::warp_publish(&value, (int)sizeof(T), rti_emulation::SHUFFLE_XOR);
    T other;
    memcpy(&other, rti_emulation::warp_peek((int)((threadIdx.x & 31u) ^ (unsigned)lane_mask)), sizeof(T));
    return other;
}
template <typename T> static inline T __shfl_sync(unsigned, T value, int lane)
{
    rti_emulation::warp_publish(&value, (int)sizeof(T), rti_emulation::SHUFFLE);
    T other;
    memcpy(&other, rti_emulation::warp_peek(lane & 31), sizeof(T));
    return other;
}
static inline void __syncwarp(unsigned = 0xffffffffu)
{
    rti_emulation::warp_publish("", 0, rti_emulation::SYNC);
}

// ---------------------------------------------------------------------------------------------------------------------
// Arithmetic: each as the hardware defines it
// ---------------------------------------------------------------------------------------------------------------------

static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __longlong_as_double(long long bits) { double d; memcpy(&d, &bits, 8); return d; }
static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++) c += (int)(int8_t)(a >> 8 * i) * (int)(int8_t)(b >> 8 * i);
    return c;
}
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline int __float2int_rn(float a) { return (int)nearbyintf(a); }
static inline float __int2float_rn(int a) { return (float)a; }
static inline float __uint_as_float(unsigned bits) { float f; memcpy(&f, &bits, 4); return f; }
static inline unsigned __float_as_uint(float f) { unsigned bits; memcpy(&bits, &f, 4); return bits; }
static inline int __float_as_int(float f) { int bits; memcpy(&bits, &f, 4); return bits; }
static inline float __int_as_float(int bits) { float f; memcpy(&f, &bits, 4); return f; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline int min(int a, int b) { return a < b ? a : b; }
template <typename T> static inline T __ldg(const T *p) { return rti_emulation::check_access(p, sizeof(T)) ? *p : T(); }
template <typename T> static inline T __ldcs(const T *p) { return rti_emulation::check_access(p, sizeof(T)) ? *p : T(); }
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned which)
{
    uint64_t both = (uint64_t)b << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) result |= (unsigned)(both >> (which >> 4 * i & 7u) * 8 & 255u) << 8 * i;
    return result;
}
static inline void __threadfence_block(void) {}
static inline void __threadfence(void) {}
template <typename T> static inline T atomicAdd(T *p, T v) { T old = *p; *p = old + v; return old; }

// ---------------------------------------------------------------------------------------------------------------------
// The runtime's calls
// ---------------------------------------------------------------------------------------------------------------------

namespace rti_emulation {
struct stream;
struct event;
struct graph;
}
typedef rti_emulation::stream *cudaStream_t;
typedef rti_emulation::event *cudaEvent_t;
typedef rti_emulation::graph *cudaGraph_t;
typedef rti_emulation::graph *cudaGraphExec_t;
typedef struct CUctx_st *CUcontext;
typedef int CUdevice;
typedef int CUresult;
enum { CUDA_SUCCESS = 0, CUDA_ERROR_OUT_OF_MEMORY = 2, CUDA_ERROR_INVALID_CONTEXT = 201 };

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorDeviceUninitialized = 201,
    cudaErrorNotReady = 600,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1, cudaStreamCaptureModeRelaxed = 2 };
enum { cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2, cudaHostAllocMapped = 2 };

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor, multiProcessorCount;
    size_t sharedMemPerBlockOptin;
};

const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor = 75 };
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes);
cudaError_t cudaMalloc(void **pointer, size_t bytes);
cudaError_t cudaFree(void *pointer);
cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void *pointer);
cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned flags);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end);

#endif
