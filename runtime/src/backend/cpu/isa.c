// backend/cpu/isa.c - which kernel table this processor runs.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>

static bool has_avx_vnni(void)
{
    uint32_t eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
}

const rti_kernels *rti_kernels_for(rt_isa isa, bool vnni)
{
    switch (isa) {
    case RT_ISA_AVX2: return vnni && has_avx_vnni() ? &rti_kernels_avxvnni : &rti_kernels_avx2;
    case RT_ISA_AVX512: return &rti_kernels_avx512;
    default: return &rti_kernels_scalar;
    }
}

rt_isa rti_isa_choose(rt_isa isa)
{
    static const rt_isa best_first[] = {RT_ISA_AVX512, RT_ISA_AVX2};
    for (size_t i = 0; isa == RT_ISA_AUTO && i < RTI_COUNT(best_first); i++) {
        if (rt_isa_supported(best_first[i])) {
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
