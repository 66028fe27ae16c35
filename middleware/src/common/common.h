// common/common.h - what the rooms of the middleware share: failures, counted memory, growing buffers, text, hashes.
// SPDX-License-Identifier: MIT
#ifndef RPI_COMMON_H
#define RPI_COMMON_H

#include <stdarg.h>
#include <stdatomic.h>

#include "repartee/ids.h"

#define RPI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RPI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RPI_MAX(a, b) ((a) > (b) ? (a) : (b))

// Raises: formats the message, keeps it for rt_error_message(), sends it to the host's log, returns `code`.
rt_result rpi_fail(const rt_host *host, rt_result code, const char *format, ...) RT_PRINTF(3, 4);
// Logs without raising.
void rpi_log(const rt_host *host, rt_log_level level, const char *format, ...) RT_PRINTF(3, 4);

// ---------------------------------------------------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------------------------------------------------

// Stands between a world and the game's allocator and counts. The host it gives is what everything below the world uses.
typedef struct rpi_meter {
    rt_host game;
    atomic_uint_fast64_t allocations; // new blocks and growths
    atomic_uint_fast64_t bytes;       // held now
} rpi_meter;

rt_host rpi_meter_host(rpi_meter *meter, const rt_host *game);

// NULL without raising when there is no memory.
void *rpi_allocate(const rt_host *host, size_t size);
void *rpi_allocate_zeroed(const rt_host *host, size_t size);
void rpi_release(const rt_host *host, void *pointer, size_t size);
char *rpi_copy_text(const rt_host *host, const char *text, size_t size); // size + 1 bytes, zero-terminated
void rpi_release_text(const rt_host *host, char *text);                  // by its own length

// Bytes that grow. `data` is zero-terminated behind `size` after each add. Zero it to begin; capacity is kept by clearing.
typedef struct rpi_buffer {
    char *data;
    size_t size, capacity;
} rpi_buffer;

bool rpi_buffer_reserve(const rt_host *host, rpi_buffer *buffer, size_t capacity);
bool rpi_buffer_add(const rt_host *host, rpi_buffer *buffer, const char *data, size_t size);
bool rpi_buffer_add_text(const rt_host *host, rpi_buffer *buffer, const char *text); // zero-terminated, NULL is ""
bool rpi_buffer_add_json(const rt_host *host, rpi_buffer *buffer, const char *text, size_t size); // quoted and escaped
bool rpi_buffer_print(const rt_host *host, rpi_buffer *buffer, const char *format, ...) RT_PRINTF(3, 4);
void rpi_buffer_clear(rpi_buffer *buffer);
void rpi_buffer_free(const rt_host *host, rpi_buffer *buffer);

// Grows an array of `item_size` to hold `needed`; false: no memory, nothing changed.
bool rpi_array_reserve(const rt_host *host, void **items, size_t *capacity, size_t needed, size_t item_size);

// ---------------------------------------------------------------------------------------------------------------------
// Text
// ---------------------------------------------------------------------------------------------------------------------

bool rpi_utf8_is_valid(const char *text, size_t size);
// The length of the first code point of a text (1 .. 4), its value in *code; 0 at the end. Invalid bytes count as U+FFFD.
size_t rpi_utf8_next(const char *text, size_t size, uint32_t *code);
// Adds text with invalid parts replaced by U+FFFD and control characters other than newline and tab left out.
bool rpi_buffer_add_repaired(const rt_host *host, rpi_buffer *buffer, const char *text, size_t size);
// The largest length at most `size` that does not cut a character.
size_t rpi_utf8_floor(const char *text, size_t total, size_t size);

uint64_t rpi_hash(const void *data, size_t size, uint64_t seed); // stable across machines and versions
uint64_t rpi_mix(uint64_t a, uint64_t b);

#endif
