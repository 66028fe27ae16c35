// base/isa.c - which instruction sets this processor and operating system can run.
//
// CPUID says what the processor has, XGETBV which registers the system saves. AMX must also be asked for: Linux gives
// the tile registers to a process only on request (Documentation/arch/x86/xstate.rst).
//
// SPDX-License-Identifier: MIT
#include "base/base.h"

#include <string.h>

static const char *const isa_names[] = {
    [RT_ISA_AUTO] = "auto", [RT_ISA_SCALAR] = "scalar", [RT_ISA_AVX2] = "avx2",
    [RT_ISA_AVX512] = "avx512", [RT_ISA_AMX] = "amx",
};

const char *rt_isa_name(rt_isa isa)
{
    return (size_t)isa < RTI_COUNT(isa_names) ? isa_names[isa] : "unknown";
}

bool rt_isa_from_name(const char *name, rt_isa *isa)
{
    for (size_t i = 0; name && i < RTI_COUNT(isa_names); i++) {
        if (strcmp(name, isa_names[i]) == 0) {
            *isa = (rt_isa)i;
            return true;
        }
    }
    return false;
}

#if defined(__x86_64__)

#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { BIT_SSE_STATE = 1 << 1, BIT_AVX_STATE = 1 << 2, BITS_AVX512_STATE = 7 << 5, BITS_TILE_STATE = 3 << 17 };

// The processor's words that name features, and the register state that the system saves.
typedef struct cpu_words {
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx, leaf7_ecx, leaf7_edx;
    uint64_t saved_state;
} cpu_words;

static bool all_bits(uint32_t word, uint32_t bits)
{
    return (word & bits) == bits;
}

static cpu_words read_cpu_words(void)
{
    cpu_words words = {0};
    uint32_t eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        words.leaf1_ecx = ecx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        words.leaf7_ebx = ebx;
        words.leaf7_ecx = ecx;
        words.leaf7_edx = edx;
    }
    if (words.leaf1_ecx & bit_OSXSAVE) {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        words.saved_state = (uint64_t)high << 32 | low;
    }
    return words;
}

static bool state_saved(const cpu_words *words, uint64_t bits)
{
    return (words->saved_state & bits) == bits;
}

static bool has_avx2(const cpu_words *words)
{
    return state_saved(words, BIT_SSE_STATE | BIT_AVX_STATE) &&
           all_bits(words->leaf1_ecx, bit_AVX | bit_FMA | bit_F16C) &&
           all_bits(words->leaf7_ebx, bit_AVX2 | bit_BMI2);
}

static bool has_avx512(const cpu_words *words)
{
    const uint32_t foundation = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    return has_avx2(words) && state_saved(words, BITS_AVX512_STATE) && all_bits(words->leaf7_ebx, foundation) &&
           all_bits(words->leaf7_ecx, bit_AVX512VNNI | bit_AVX512VBMI);
}

// Asks the kernel for the tile registers. Asking again is harmless.
static bool tiles_granted(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

static bool has_amx(const cpu_words *words)
{
    const uint32_t tiles = 1u << 24 | 1u << 25; // AMX-TILE, AMX-INT8
    return has_avx512(words) && state_saved(words, BITS_TILE_STATE) && all_bits(words->leaf7_edx, tiles) &&
           tiles_granted();
}

bool rt_isa_supported(rt_isa isa)
{
    const cpu_words words = read_cpu_words();
    switch (isa) {
    case RT_ISA_AUTO:
    case RT_ISA_SCALAR: return true;
    case RT_ISA_AVX2: return has_avx2(&words);
    case RT_ISA_AVX512: return has_avx512(&words);
    case RT_ISA_AMX: return has_amx(&words);
    }
    return false;
}

#else

bool rt_isa_supported(rt_isa isa)
{
    return isa == RT_ISA_AUTO || isa == RT_ISA_SCALAR;
}

#endif
