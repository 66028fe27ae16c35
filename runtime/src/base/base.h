// base/base.h - private side of rt/base.h: raising errors, allocating through the host, arrays, hashing, UTF-8.
// SPDX-License-Identifier: MIT
#ifndef RTI_BASE_H
#define RTI_BASE_H

#include "rt/base.h"

#include <stdarg.h>

// Records a failure: formats the message, keeps it for rt_error_message(), sends it to the host's log, returns `code`.
//   return rti_fail(host, RT_ERROR_BAD_FILE, "%s: tensor %s: offset %llu is past the end", path, name, offset);
// `host` may be NULL (no log). Never allocates.
rt_result rti_fail(const rt_host *host, rt_result code, const char *format, ...) RT_PRINTF(3, 4);

// Logs below the level of failure. Never allocates.
void rti_log(const rt_host *host, rt_log_level level, const char *format, ...) RT_PRINTF(3, 4);

// The host with its defaults filled in (C library allocator). `host` may be NULL.
rt_host rti_host_or_default(const rt_host *host);

// Memory through the host, aligned to 64 bytes (or to `alignment`). Contents are undefined unless _zeroed.
// They return NULL without raising: the caller knows what it was for and says so with rti_fail.
void *rti_allocate(const rt_host *host, size_t size);
void *rti_allocate_zeroed(const rt_host *host, size_t size);
void *rti_reallocate(const rt_host *host, void *pointer, size_t old_size, size_t new_size);
void rti_release(const rt_host *host, void *pointer, size_t size); // pointer may be NULL
void *rti_allocate_aligned(const rt_host *host, size_t size, size_t alignment);
void rti_release_aligned(const rt_host *host, void *pointer, size_t size, size_t alignment);

// A copy of `length` bytes with a terminating zero; release with rti_release(host, copy, length + 1).
char *rti_copy_text(const rt_host *host, const char *text, size_t length);

// a * b and a + b, or false on overflow.
bool rti_size_multiply(size_t a, size_t b, size_t *product);
bool rti_size_add(size_t a, size_t b, size_t *sum);

// Grows `*items` (of `item_size` bytes, `*capacity` of them) to hold at least `needed`; doubles. False: out of memory,
// nothing changed.
bool rti_array_reserve(const rt_host *host, void **items, size_t *capacity, size_t needed, size_t item_size);

// XXH3-like quality is not needed, stability is: FNV-1a over 8-byte words with a final mix; same value on every machine.
uint64_t rti_hash_bytes(const void *data, size_t size, uint64_t seed);
uint64_t rti_hash_mix(uint64_t a, uint64_t b);

// Monotonic nanoseconds.
uint64_t rti_now_ns(void);

// Decodes one code point of [text, end). Returns its length in bytes; 0 at the end; for invalid UTF-8 the length of the
// maximal invalid part (Unicode 15, section 3.9, "substitution of maximal subparts") with *code_point = 0xFFFD and
// *valid = false.
int rti_utf8_decode(const char *text, const char *end, uint32_t *code_point, bool *valid);
// Writes 1 to 4 bytes; returns how many.
int rti_utf8_encode(uint32_t code_point, char out[4]);

#define RTI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RTI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RTI_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
