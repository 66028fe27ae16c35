// emulation/faults.h - what tests do to the emulated device: refuse memory, lose it, hold its stream, count calls.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_EMULATION_FAULTS_H
#define RTI_CUDA_EMULATION_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rti_emulated_call {
    RTI_EMULATED_ANY = 0,
    RTI_EMULATED_ALLOCATING,    // memory, streams, events, graphs
    RTI_EMULATED_SYNCHRONISING, // calls that wait for the device
    RTI_EMULATED_LAUNCHING,     // kernels and graphs
    RTI_EMULATED_CALL_COUNT
} rti_emulated_call;

typedef struct rti_emulation_faults {
    // The next `count` allocations succeed, then they fail; -1: none fails.
    void (*fail_allocations_after)(int64_t count);
    // Of the next 64 allocations those whose bits are set fail, the next one's being the lowest.
    void (*fail_these_allocations)(uint64_t bits);
    // After `count` further calls every call fails as if the device were lost; -1: it is there (again).
    void (*lose_device_after)(int64_t count);
    // While held, streams only note what they are given; letting go runs it.
    void (*hold_streams)(bool held);
    int64_t (*calls)(rti_emulated_call kind); // since the beginning
    int64_t (*objects)(void);                 // allocations, streams, events and graphs that are alive
    uint64_t (*bytes)(void);                  // of device memory
    int64_t (*contexts)(void);                // on this thread's stack
    // Contexts can no longer be made current, as after the driver has shut down or the game has destroyed its own.
    void (*refuse_contexts)(bool refused);
    const char *(*check)(void); // which faults of kernels the emulation would not catch: NULL, none of those that it must
} rti_emulation_faults;

// The plugin's symbol that gives the table.
#define RTI_EMULATION_FAULTS_SYMBOL "rti_emulation_faults_get"
typedef const rti_emulation_faults *rti_emulation_faults_function(void);

#ifdef __cplusplus
}
#endif
#endif
