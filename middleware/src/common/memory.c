// common/memory.c - counted memory and buffers that grow.
// SPDX-License-Identifier: MIT
#include "common/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ALIGNMENT = 16, MESSAGE_BYTES = 1024 };

rt_result rpi_fail(const rt_host *host, rt_result code, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return rt_raise(host, code, message);
}

void rpi_log(const rt_host *host, rt_log_level level, const char *format, ...)
{
    if (host == NULL || host->log == NULL)
        return;
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    host->log(host->user, level, RT_OK, message);
}

static void *system_allocate(void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    if (new_size == 0) {
        free(pointer);
        return NULL;
    }
    void *fresh = NULL;
    if (posix_memalign(&fresh, RPI_MAX(alignment, sizeof(void *)), new_size) != 0)
        return NULL;
    if (pointer != NULL) {
        memcpy(fresh, pointer, RPI_MIN(old_size, new_size));
        free(pointer);
    }
    return fresh;
}

static void *meter_allocate(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    rpi_meter *meter = user;
    void *result = meter->game.allocate != NULL
                       ? meter->game.allocate(meter->game.user, pointer, old_size, new_size, alignment)
                       : system_allocate(pointer, old_size, new_size, alignment);
    if (pointer != NULL && (new_size == 0 || result != NULL))
        atomic_fetch_sub_explicit(&meter->bytes, old_size, memory_order_relaxed);
    if (new_size != 0 && result != NULL) {
        atomic_fetch_add_explicit(&meter->bytes, new_size, memory_order_relaxed);
        atomic_fetch_add_explicit(&meter->allocations, 1, memory_order_relaxed);
    }
    return result;
}

static void meter_log(void *user, rt_log_level level, rt_result code, const char *message)
{
    rpi_meter *meter = user;
    if (meter->game.log != NULL)
        meter->game.log(meter->game.user, level, code, message);
}

rt_host rpi_meter_host(rpi_meter *meter, const rt_host *game)
{
    meter->game = *game;
    atomic_init(&meter->allocations, 0);
    atomic_init(&meter->bytes, 0);
    return (rt_host){ .allocate = meter_allocate, .log = game->log != NULL ? meter_log : NULL, .user = meter };
}

static void *host_allocate(const rt_host *host, void *pointer, size_t old_size, size_t new_size)
{
    if (host != NULL && host->allocate != NULL)
        return host->allocate(host->user, pointer, old_size, new_size, BLOCK_ALIGNMENT);
    return system_allocate(pointer, old_size, new_size, BLOCK_ALIGNMENT);
}

void *rpi_allocate(const rt_host *host, size_t size)
{
    return host_allocate(host, NULL, 0, RPI_MAX(size, 1));
}

void *rpi_allocate_zeroed(const rt_host *host, size_t size)
{
    void *pointer = rpi_allocate(host, size);
    if (pointer != NULL)
        memset(pointer, 0, size);
    return pointer;
}

void rpi_release(const rt_host *host, void *pointer, size_t size)
{
    if (pointer != NULL)
        host_allocate(host, pointer, RPI_MAX(size, 1), 0);
}

char *rpi_copy_text(const rt_host *host, const char *text, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = rpi_allocate(host, size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void rpi_release_text(const rt_host *host, char *text)
{
    if (text != NULL)
        rpi_release(host, text, strlen(text) + 1);
}

bool rpi_array_reserve(const rt_host *host, void **items, size_t *capacity, size_t needed, size_t item_size)
{
    if (needed <= *capacity)
        return true;
    size_t grown = RPI_MAX(needed, *capacity + *capacity / 2 + 8);
    if (grown > SIZE_MAX / item_size)
        return false;
    void *moved = *items == NULL ? rpi_allocate(host, grown * item_size)
                                 : host_allocate(host, *items, *capacity * item_size, grown * item_size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = grown;
    return true;
}

bool rpi_buffer_reserve(const rt_host *host, rpi_buffer *buffer, size_t capacity)
{
    void *data = buffer->data;
    bool fits = rpi_array_reserve(host, &data, &buffer->capacity, capacity, 1);
    buffer->data = data;
    return fits;
}

bool rpi_buffer_add(const rt_host *host, rpi_buffer *buffer, const char *data, size_t size)
{
    if (size >= SIZE_MAX - buffer->size || !rpi_buffer_reserve(host, buffer, buffer->size + size + 1))
        return false;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return true;
}

bool rpi_buffer_add_text(const rt_host *host, rpi_buffer *buffer, const char *text)
{
    return rpi_buffer_add(host, buffer, text, text != NULL ? strlen(text) : 0);
}

bool rpi_buffer_print(const rt_host *host, rpi_buffer *buffer, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size < 0)
        return false;
    return rpi_buffer_add(host, buffer, line, RPI_MIN((size_t)size, sizeof line - 1));
}

void rpi_buffer_clear(rpi_buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

void rpi_buffer_free(const rt_host *host, rpi_buffer *buffer)
{
    rpi_release(host, buffer->data, buffer->capacity);
    *buffer = (rpi_buffer){ 0 };
}
