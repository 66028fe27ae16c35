// Whether the emulation catches what it is there for: small wrong kernels, each of which must fail.
// SPDX-License-Identifier: MIT
#include "backend/cuda/emulation/check.h"
#include "backend/cuda/emulation/emulation.h"

#include <vector>

using namespace rti_emulation;

static bool runs(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &kernel)
{
    return run_blocks(grid, block, shared_bytes, kernel);
}

static unsigned lane(void)
{
    return threadIdx.x % 32;
}

// The sum over a block through shared memory, with the barrier between writing and reading or without it.
static bool sums_agree(bool with_barrier)
{
    bool agree = true;
    for (int order = 0; order < 2; order++) {
        std::vector<unsigned> sums(64);
        agree &= runs(1, 64, 64 * sizeof(unsigned), [&]() {
            unsigned *shared = (unsigned *)current.shared, sum = 0;
            shared[threadIdx.x] = threadIdx.x;
            if (with_barrier) __syncthreads();
            for (int i = 0; i < 64; i++) sum += shared[i];
            sums[threadIdx.x] = sum;
        });
        for (unsigned sum : sums) agree &= sum == 64 * 63 / 2;
    }
    return agree;
}

// What one block leaves for the next, which hardware may run first.
static bool blocks_agree(void)
{
    bool agree = true;
    for (int order = 0; order < 2; order++) {
        int left = 0;
        std::vector<int> found(2);
        agree &= runs(2, 32, 0, [&]() {
            if (lane() != 0) return;
            found[blockIdx.x] = left;
            left = 1;
        });
        agree &= found[0] == 0 && found[1] == 1;
    }
    return agree;
}

static bool sum_of_warp(unsigned lanes)
{
    return runs(1, 32, 0, [=]() {
        if (lane() >= lanes) return;
        int sum = 1;
        for (int mask = 16; mask > 0; mask >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
    });
}

static bool mixed_operations(void)
{
    return runs(1, 32, 0, []() {
        if (lane() < 16) __shfl_sync(0xffffffffu, 1, 0);
        else __syncwarp();
    });
}

static bool divided_barrier(void)
{
    return runs(1, 32, 0, []() {
        if (lane() < 16) __syncthreads();
        else __syncwarp();
    });
}

static bool load(size_t offset)
{
    alignas(16) static const uint8_t bytes[64] = {0};
    return runs(1, 32, 0, [=]() { (void)__ldg((const uint4 *)(bytes + offset)); });
}

const char *rti_emulation_check(void)
{
    const auto nothing = []() {};
    if (!sums_agree(true) || !sum_of_warp(32) || !load(16)) return "a kernel without fault fails";
    if (sums_agree(false)) return "a missing barrier goes unseen";
    if (blocks_agree()) return "an order of blocks is relied on unseen";
    if (sum_of_warp(31)) return "a warp operation without all lanes goes unseen";
    if (mixed_operations()) return "lanes in different warp operations go unseen";
    if (divided_barrier()) return "a barrier that half a warp takes goes unseen";
    if (load(8)) return "a vector at an odd address goes unseen";
    if (runs(dim3(0), 32, 0, nothing)) return "an empty grid goes unseen";
    if (runs(dim3(1, 65536), 32, 0, nothing)) return "a grid that is too large goes unseen";
    if (runs(1, 1025, 0, nothing)) return "a block that is too large goes unseen";
    if (runs(1, 32, 48 * 1024 + 1, nothing)) return "too much shared memory goes unseen";
    return NULL;
}
