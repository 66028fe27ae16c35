// backend/plugin.c - finds the CUDA backend's library at run time, so that one build serves machines with and without.
// SPDX-License-Identifier: MIT
#include "backend/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_NAME "librepartee_cuda.so"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const rti_backend *loaded; // once found it stays for the life of the process

// The library's place beside the code that is running this (0), or beside the program (1): of a program that was found on the PATH
// the first is a bare name.
static bool path_beside(int which, char *path, size_t capacity)
{
    char program[2048];
    Dl_info self;
    const char *code = NULL;
    if (which == 0 && dladdr((void *)(uintptr_t)&rti_backend_cuda, &self)) {
        code = self.dli_fname;
    } else if (which == 1) {
        ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
        program[length > 0 ? length : 0] = 0;
        code = program;
    }
    const char *slash = code ? strrchr(code, '/') : NULL;
    int written = slash ? snprintf(path, capacity, "%.*s/" LIBRARY_NAME, (int)(slash - code), code) : -1;
    return written > 0 && (size_t)written < capacity;
}

// A library that is there and does not load is the last that is tried: the next place's "no such file" must not hide why.
static void *open_library(const char *library_path, char *reason, size_t capacity)
{
    char beside[4096];
    void *library = NULL;
    reason[0] = 0;
    for (int place = 0; place < 3 && !library; place++) {
        const char *path = library_path ? library_path : place == 2 ? LIBRARY_NAME : path_beside(place, beside, sizeof beside) ? beside : NULL;
        if (!path)
            continue;
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        const char *message = library ? NULL : dlerror();
        if (!library)
            snprintf(reason, capacity, "%s", message ? message : "the system gives no reason");
        if (library_path || (place < 2 && access(path, F_OK) == 0))
            break;
    }
    return library;
}

static _Thread_local bool has_raised; // whether the plugin has said what is wrong

static rt_result raise(const rt_host *host, rt_result code, const char *message)
{
    has_raised = true;
    return rti_fail(host, code, "%s", message);
}

static const rti_plugin_services services = {
    .raise = raise,
    .allocate = rti_allocate_zeroed,
    .release = rti_release,
    .type_find = rti_type_find,
    .dequantize = rti_dequantize,
    .sample = rt_sample,
    .sampler_scratch_bytes = rt_sampler_scratch_bytes,
};

static const rti_backend *load(const rt_host *host, const char *library_path)
{
    char reason[1024];
    void *library = open_library(library_path, reason, sizeof reason);
    if (!library) {
        rti_fail(host, RT_ERROR_DEVICE, "CUDA: cannot load %s: %s: build it with CUDA installed, or give its path in "
                 "cuda_library", library_path ? library_path : LIBRARY_NAME, reason);
        return NULL;
    }
    rti_backend_plugin_function *enter;
    void *symbol = dlsym(library, RTI_BACKEND_SYMBOL);
    memcpy(&enter, &symbol, sizeof enter);
    has_raised = false;
    const rti_backend *backend = symbol ? enter(RTI_BACKEND_ABI, &services, host) : NULL;
    if (!backend) {
        if (!has_raised)
            rti_fail(host, RT_ERROR_DEVICE, "CUDA: %s: %s", library_path ? library_path : LIBRARY_NAME,
                     symbol ? "it was built for another version of this library"
                            : "it is not the CUDA backend of this library (" RTI_BACKEND_SYMBOL " is missing)");
        // The driver may have threads by now that run its code: a library that has called it stays.
        if (!has_raised)
            dlclose(library);
    }
    return backend;
}

const rti_backend *rti_backend_cuda(const rt_host *host, const char *library_path)
{
    pthread_mutex_lock(&lock);
    if (!loaded)
        loaded = load(host, library_path);
    const rti_backend *backend = loaded;
    pthread_mutex_unlock(&lock);
    return backend;
}
