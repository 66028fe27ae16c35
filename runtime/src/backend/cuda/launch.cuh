// cuda/launch.cuh - a part of a pass as launches on a context's stream, by themselves or captured in a graph.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_LAUNCH_CUH
#define RTI_CUDA_LAUNCH_CUH

#include "backend/cuda/plugin.cuh"

struct rti_launch_context {
    rti_device *d;
    rti_cuda_slot *slot;
    int max_rows; // what grids are made for: at least as many as the pass has
};

cudaError_t rti_cuda_launch_part(const rti_launch_context &context, const rt_part &part);

// The five parts of a layer, each whole; from a graph where there is one for as many rows.
cudaError_t rti_cuda_run_layer(const rti_launch_context &context, const rt_part *parts);

#endif
