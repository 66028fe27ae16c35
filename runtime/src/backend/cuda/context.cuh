// cuda/context.cuh - CUDA contexts: every call of the backend makes its model's current and gives back the caller's.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_CONTEXT_CUH
#define RTI_CUDA_CONTEXT_CUH

#include "backend/cuda/portable.cuh"

extern "C" {
#include "backend/backend.h"
}

#if !defined(RTI_CUDA_EMULATION)
#include <cuda.h>
#endif

// What is used of the driver's own interface.
struct rti_cuda_driver {
    CUresult (*init)(unsigned flags);
    CUresult (*push)(CUcontext context);
    CUresult (*pop)(CUcontext *context);
    CUresult (*device)(CUdevice *device); // of the current context
    CUresult (*retain)(CUcontext *context, CUdevice device);
    CUresult (*release)(CUdevice device);
};
const rti_cuda_driver *rti_cuda_driver_get(void); // NULL: no driver

struct rti_cuda_context {
    CUcontext handle;
    CUdevice device;
    bool is_primary; // ours to release
};

// The def's own context, or the primary one of its device.
rt_result rti_cuda_context_find(const rti_weights_def *def, rti_cuda_context *context);
void rti_cuda_context_release(const rti_cuda_context &context);

// Makes the model's context current for as long as it lives.
struct rti_cuda_scope {
    explicit rti_cuda_scope(const rti_cuda_context &context);
    ~rti_cuda_scope();
    rti_cuda_scope(const rti_cuda_scope &) = delete;
    bool is_pushed;
};

// A stream of the lowest priority. `percent` below 100: in a green context of so many of the multiprocessors, where driver and
// device have such (*green is then set, to be destroyed after the stream).
rt_result rti_cuda_stream_create(const rt_host *host, const rti_weights *weights, int percent, void **green, cudaStream_t *stream);
void rti_cuda_green_destroy(void *green);

#endif
