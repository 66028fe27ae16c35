// backend/cpu/memory.c - one block of memory an object, laid out by counting first; huge pages where the system gives them.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *rti_arena_take(rti_arena *arena, size_t count, size_t size)
{
    size_t bytes, end;
    if (!rti_size_multiply(count, size, &bytes) || !rti_size_add(arena->used, bytes, &end) || end > SIZE_MAX / 2) {
        arena->overflow = true;
        return NULL;
    }
    void *pointer = arena->base ? arena->base + arena->used : NULL;
    arena->used = (end + 63) & ~(size_t)63;
    if (arena->base) {
        memset(arena->base + end, 0, arena->used - end);
    }
    return pointer;
}

void rti_act_place(rti_arena *arena, const rti_kernels *kernels, rti_act *act, int32_t rows, int32_t columns, bool rounded, bool wide)
{
    const size_t count = (size_t)rows * (size_t)columns, blocks = count / RTI_BLOCK_COLUMNS;
    *act = (rti_act){.stride = (size_t)columns, .scale_stride = (size_t)columns / RTI_BLOCK_COLUMNS};
    act->values = rti_arena_take(arena, count, sizeof(float)); // norms and sums are made in float first
    if (!rounded) {
        return;
    }
    act->q = rti_arena_take(arena, count, 1);
    act->low = wide ? rti_arena_take(arena, count, 1) : NULL;
    for (int i = 0; i < (wide ? 2 : 1); i++) {
        act->words[i] = kernels->takes_words ? rti_arena_take(arena, count, sizeof(int16_t)) : NULL;
        act->rounding[i].scales = rti_arena_take(arena, blocks, sizeof(rti_act_scale));
        act->rounding[i].minus_sums = rti_arena_take(arena, blocks, sizeof(int32_t));
        act->rounding[i].halves = rti_arena_take(arena, blocks, sizeof(rti_act_halves));
    }
}

void *rti_huge_allocate(const rt_host *host, size_t bytes)
{
    size_t rounded = (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    void *pointer = rti_allocate_aligned(host, rounded, HUGE_PAGE);
    if (pointer) {
        madvise(pointer, rounded, MADV_HUGEPAGE); // a wish
    }
    return pointer;
}

void rti_huge_release(const rt_host *host, void *pointer, size_t bytes)
{
    if (pointer) {
        rti_release_aligned(host, pointer, (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1), HUGE_PAGE);
    }
}
