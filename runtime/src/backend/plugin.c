// backend/plugin.c - finds the CUDA backend's library at run time, so that one build serves machines with and without.
// SPDX-License-Identifier: MIT
#include "backend/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY_NAME "librepartee_cuda.so"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const rti_backend *loaded; // once found it stays for the life of the process

// The library's place beside the code that is running this.
static bool path_beside(char *path, size_t capacity)
{
    Dl_info self;
    if (!dladdr((void *)(uintptr_t)&rti_backend_cuda, &self) || !self.dli_fname)
        return false;
    const char *slash = strrchr(self.dli_fname, '/');
    int written = slash ? snprintf(path, capacity, "%.*s/" LIBRARY_NAME, (int)(slash - self.dli_fname), self.dli_fname) : -1;
    return written > 0 && (size_t)written < capacity;
}

// dlerror() of the last try is kept: the second place tried must not hide why a library that is there does not load.
static void *open_library(const char *library_path, char *reason, size_t capacity)
{
    char beside[4096];
    const char *message;
    void *library;
    reason[0] = 0;
    if (library_path) {
        library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
    } else {
        library = path_beside(beside, sizeof beside) ? dlopen(beside, RTLD_NOW | RTLD_LOCAL) : NULL;
        if (!library && (message = dlerror()) && !strstr(message, "cannot open shared object file"))
            snprintf(reason, capacity, "%s", message);
        else if (!library)
            library = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library && !reason[0]) {
        message = dlerror();
        snprintf(reason, capacity, "%s", message ? message : "the system gives no reason");
    }
    return library;
}

static rt_result raise(const rt_host *host, rt_result code, const char *message)
{
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
    const rti_backend *backend = symbol ? enter(RTI_BACKEND_ABI, &services, host) : NULL;
    if (!backend) {
        rti_fail(host, RT_ERROR_DEVICE, "CUDA: %s: %s", library_path ? library_path : LIBRARY_NAME,
                 symbol ? "it was built for another version of this library, or there is no NVIDIA driver or device"
                        : "it is not the CUDA backend of this library (" RTI_BACKEND_SYMBOL " is missing)");
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
