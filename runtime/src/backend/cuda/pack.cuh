// cuda/pack.cuh - matrices of the file in the order in which the device holds them, packed by as many threads as a load was given.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_PACK_CUH
#define RTI_CUDA_PACK_CUH

#include "backend/cuda/plugin.cuh"

struct rti_packed {
    uint8_t *values, *supers; // of the host's allocator
    size_t values_size, supers_size;
    bool is_whole; // F8: neither of its two not-numbers is among the weights
};

// Packs `source` as `m` says (layout, scale kind, offsets, groups, blocks). False: no memory; nothing is kept.
bool rti_pack(const rt_host *host, const rti_matrix &source, const rti_device_matrix &m, int threads, rti_packed *packed);
void rti_pack_free(const rt_host *host, rti_packed *packed);

#endif
