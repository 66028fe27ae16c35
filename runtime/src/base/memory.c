// base/memory.c - memory through the host's allocator.
// SPDX-License-Identifier: MIT
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

// A cache line, and the widest vector register.
enum { DEFAULT_ALIGNMENT = 64 };

// The C library as an rt_allocate_function. realloc() keeps no alignment above 16, so a resize copies.
static void *allocate_from_c_library(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    (void)user;
    if (new_size == 0) {
        free(pointer);
        return NULL;
    }
    void *block = NULL;
    if (posix_memalign(&block, alignment, new_size) != 0) {
        return NULL;
    }
    if (pointer) {
        memcpy(block, pointer, RTI_MIN(old_size, new_size));
        free(pointer);
    }
    return block;
}

rt_host rti_host_or_default(const rt_host *host)
{
    rt_host result = host ? *host : (rt_host){0};
    if (!result.allocate) {
        result.allocate = allocate_from_c_library;
    }
    return result;
}

static void *call_host(const rt_host *host, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    if (host && host->allocate) {
        return host->allocate(host->user, pointer, old_size, new_size, alignment);
    }
    return allocate_from_c_library(NULL, pointer, old_size, new_size, alignment);
}

// Zero bytes means "free" to the allocator, so an empty block takes one byte. The same rounding on the way back keeps
// the sizes that the allocator sees consistent.
static size_t block_size(size_t size)
{
    return size > 0 ? size : 1;
}

void *rti_allocate_aligned(const rt_host *host, size_t size, size_t alignment)
{
    return call_host(host, NULL, 0, block_size(size), alignment);
}

void rti_release_aligned(const rt_host *host, void *pointer, size_t size, size_t alignment)
{
    if (pointer) {
        call_host(host, pointer, block_size(size), 0, alignment);
    }
}

void *rti_allocate(const rt_host *host, size_t size)
{
    return rti_allocate_aligned(host, size, DEFAULT_ALIGNMENT);
}

void *rti_allocate_zeroed(const rt_host *host, size_t size)
{
    void *block = rti_allocate(host, size);
    if (block) {
        memset(block, 0, block_size(size));
    }
    return block;
}

void *rti_reallocate(const rt_host *host, void *pointer, size_t old_size, size_t new_size)
{
    if (!pointer) {
        return rti_allocate(host, new_size);
    }
    return call_host(host, pointer, block_size(old_size), block_size(new_size), DEFAULT_ALIGNMENT);
}

void rti_release(const rt_host *host, void *pointer, size_t size)
{
    rti_release_aligned(host, pointer, size, DEFAULT_ALIGNMENT);
}

char *rti_copy_text(const rt_host *host, const char *text, size_t length)
{
    size_t size;
    if (!rti_size_add(length, 1, &size)) {
        return NULL;
    }
    char *copy = rti_allocate(host, size);
    if (copy) {
        if (length > 0) {
            memcpy(copy, text, length);
        }
        copy[length] = '\0';
    }
    return copy;
}

bool rti_size_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

bool rti_size_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

bool rti_array_reserve(const rt_host *host, void **items, size_t *capacity, size_t needed, size_t item_size)
{
    if (needed <= *capacity) {
        return true;
    }
    size_t wanted = *capacity > SIZE_MAX / 2 ? needed : RTI_MAX(*capacity * 2, (size_t)8);
    wanted = RTI_MAX(wanted, needed);
    size_t new_size;
    if (!rti_size_multiply(wanted, item_size, &new_size)) {
        return false;
    }
    void *grown = rti_reallocate(host, *items, *capacity * item_size, new_size);
    if (!grown) {
        return false;
    }
    *items = grown;
    *capacity = wanted;
    return true;
}
