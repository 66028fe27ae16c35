// support/cuda_plugin.h - the CUDA backend's plugin that tests load: its sources emulated on the processor, or the real one on
// a machine with a GPU (REPARTEE_CUDA_PLUGIN=build/release/librepartee_cuda.so); and the faults that the emulation can inject.
// SPDX-License-Identifier: MIT
#ifndef TEST_CUDA_PLUGIN_H
#define TEST_CUDA_PLUGIN_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cuda/emulation/faults.h"

static inline const char *test_cuda_plugin(void)
{
    static char path[4096];
    const char *chosen = getenv("REPARTEE_CUDA_PLUGIN");
    if (chosen && *chosen)
        return chosen;
    // Tests lie in build/CONFIG/tests, the plugin beside them in build/CONFIG.
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);
    if (length <= 0)
        return NULL;
    path[length] = 0;
    for (int up = 0; up < 2; up++)
        *strrchr(path, '/') = 0;
    strcat(path, "/librepartee_cuda_emulated.so");
    return path;
}

// What the emulation can be told, or NULL where the plugin is the real one.
static inline const rti_emulation_faults *test_cuda_faults(void)
{
    void *library = dlopen(test_cuda_plugin(), RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, RTI_EMULATION_FAULTS_SYMBOL) : NULL;
    rti_emulation_faults_function *get;
    memcpy(&get, &symbol, sizeof get);
    return symbol ? get() : NULL;
}

#endif
