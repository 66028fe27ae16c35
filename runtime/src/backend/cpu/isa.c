// backend/cpu/isa.c - which kernel table this processor runs.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <string.h>

static bool has_avx_vnni(void)
{
    uint32_t eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
}

// Tiles are rarer than the machines that this was written on: they are chosen by themselves only where they give, here and now,
// the bits that AVX-512 gives.
static bool tiles_agree(rti_type type, int32_t planes)
{
    enum { ROWS = 11, COLUMNS = 256 };
    static const size_t most = 8 * 16 * 1024;
    uint8_t *memory = rti_allocate_zeroed(NULL, most);
    if (!memory) {
        return false;
    }
    rti_arena arena = {.base = memory};
    rti_packed m;
    rti_packed_shape(&m, rti_form_find(type), RTI_PANEL_ROWS, COLUMNS);
    m.data = rti_arena_take(&arena, 1, m.panel_bytes);
    rti_act act;
    rti_act_place(&arena, &rti_kernels_avx512, &act, ROWS, COLUMNS, true, true);
    float *expected = rti_arena_take(&arena, ROWS * RTI_PANEL_ROWS, sizeof(float));
    float *found = rti_arena_take(&arena, ROWS * RTI_PANEL_ROWS, sizeof(float));
    for (size_t i = 0; i < m.panel_bytes; i++) {
        m.data[i] = (uint8_t)(i * 151 >> 3 & 0x3b); // as halves: small and finite
    }
    for (int32_t row = 0; row < ROWS; row++) {
        for (int32_t k = 0; k < COLUMNS; k++) {
            act.values[row * COLUMNS + k] = (float)((row * 37 + k * 101) % 255 - 127);
        }
        rti_kernels_avx512.quantize(&act, row, 0, COLUMNS, 2);
    }
    rti_kernels_avx512.matrix_fast(&m, 0, planes, &act, 0, ROWS, expected, RTI_PANEL_ROWS);
    rti_kernels_amx.matrix_fast(&m, 0, planes, &act, 0, ROWS, found, RTI_PANEL_ROWS);
    bool same = arena.used <= most && memcmp(expected, found, ROWS * RTI_PANEL_ROWS * sizeof(float)) == 0;
    rti_release(NULL, memory, most);
    return same;
}

static bool is_best(rt_isa isa)
{
    if (!rt_isa_supported(isa)) {
        return false;
    }
    return isa != RT_ISA_AMX || (tiles_agree(RTI_TYPE_Q4_1, 1) && tiles_agree(RTI_TYPE_Q6_K, 2));
}

const rti_kernels *rti_kernels_for(rt_isa isa, bool vnni)
{
    switch (isa) {
    case RT_ISA_AVX2: return vnni && has_avx_vnni() ? &rti_kernels_avxvnni : &rti_kernels_avx2;
    case RT_ISA_AVX512: return &rti_kernels_avx512;
    case RT_ISA_AMX: return &rti_kernels_amx;
    default: return &rti_kernels_scalar;
    }
}

rt_isa rti_isa_choose(rt_isa isa)
{
    static const rt_isa best_first[] = {RT_ISA_AMX, RT_ISA_AVX512, RT_ISA_AVX2};
    for (size_t i = 0; isa == RT_ISA_AUTO && i < RTI_COUNT(best_first); i++) {
        if (is_best(best_first[i])) {
            return best_first[i];
        }
    }
    return isa == RT_ISA_AUTO ? RT_ISA_SCALAR : isa;
}

#else

const rti_kernels *rti_kernels_for(rt_isa isa, bool vnni)
{
    (void)isa, (void)vnni;
    return &rti_kernels_scalar;
}

rt_isa rti_isa_choose(rt_isa isa)
{
    (void)isa;
    return RT_ISA_SCALAR;
}

#endif
