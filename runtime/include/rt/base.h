// rt/base.h - what every part of the runtime shares: results, the host's memory and log, versions.
//
// The runtime never aborts, exits or prints. A call that can fail returns an rt_result; the words that go with a failure
// (which file, which place, what to do) reach the host's log hook and stay readable with rt_error_message().
//
// SPDX-License-Identifier: MIT
#ifndef RT_BASE_H
#define RT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RT_API __attribute__((visibility("default")))
#define RT_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define RT_API
#define RT_PRINTF(format_index, first_index)
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------------------------------------------
// Results
// ---------------------------------------------------------------------------------------------------------------------

// Every fallible call returns one of these. Numbers are stable: they may be logged, stored and compared across versions.
typedef enum rt_result {
    RT_OK = 0,
    RT_ERROR_INVALID_ARGUMENT = 1,  // a null pointer, a number out of range, a def that did not come from its default function
    RT_ERROR_OUT_OF_MEMORY = 2,     // the host's allocator refused
    RT_ERROR_IO = 3,                // a file cannot be opened, mapped, read or written
    RT_ERROR_NOT_FOUND = 4,         // a name, file, token or object does not exist
    RT_ERROR_BAD_FILE = 5,          // a file is damaged, truncated or contradicts itself
    RT_ERROR_UNSUPPORTED = 6,       // well-formed, but not something this version can do (the message names it)
    RT_ERROR_TOO_LARGE = 7,         // over a stated limit
    RT_ERROR_CONTEXT_FULL = 8,      // the KV cache or the model's context has no room for these tokens
    RT_ERROR_BUSY = 9,              // the object is in use, the call is legal at another time
    RT_ERROR_CANCELLED = 10,        // stopped on request
    RT_ERROR_BAD_TEXT = 11,         // text, JSON, schema or regular expression that does not parse
    RT_ERROR_SCRIPT = 12,           // a script raised an error or ran past its limits
    RT_ERROR_DEVICE = 13,           // a GPU or its driver failed
    RT_ERROR_STALE_ID = 14,         // an id whose object is gone
    RT_ERROR_REJECTED = 15,         // a token, call or value that the grammar or the game does not allow
    RT_ERROR_INTERNAL = 16,         // a broken promise inside the library: please report it
} rt_result;

// A short English name for a result ("damaged file"). Never NULL, for any value. Thread-safe.
RT_API const char *rt_result_text(rt_result result);

// The message of the last failure on the calling thread: what failed, where, what to do about it. Never NULL; "" before
// the first failure. Valid until the next failing call on this thread. Successful calls leave it alone.
RT_API const char *rt_error_message(void);

// ---------------------------------------------------------------------------------------------------------------------
// The host: what the application lends to the library
// ---------------------------------------------------------------------------------------------------------------------

typedef enum rt_log_level {
    RT_LOG_DEBUG = 0,
    RT_LOG_INFO = 1,
    RT_LOG_WARNING = 2,
    RT_LOG_ERROR = 3,
} rt_log_level;

// Receives messages (UTF-8, no newline at the end, valid during the call). May be called from any thread that is inside
// the library, worker threads included. Must not call back into the library.
typedef void rt_log_function(void *user, rt_log_level level, rt_result code, const char *message);

// Allocates, grows and frees, in the manner of Lua's allocator.
//   pointer == NULL            allocate new_size bytes
//   new_size == 0              free pointer (old_size bytes); the return value is ignored
//   otherwise                  resize, keeping min(old_size, new_size) bytes
// Blocks are aligned to `alignment`, a power of two of at least 16. NULL means "no memory": the library then gives
// RT_ERROR_OUT_OF_MEMORY, frees what it had begun and leaves its objects as they were. old_size and alignment are always
// those of the allocation. May be called from any thread that is inside the library.
typedef void *rt_allocate_function(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment);

// The application's side of the library: memory and log. Plain data; copied by every object that takes one.
typedef struct rt_host {
    rt_allocate_function *allocate; // NULL: the C library's
    rt_log_function *log;           // NULL: silence (rt_error_message still works)
    void *user;                     // passed to both
} rt_host;

// Records a failure as the library itself does: for bindings, whose errors should be found where all others are. `message`
// is kept for rt_error_message() and goes to the host's log (NULL: no log). Returns `code`.
RT_API rt_result rt_raise(const rt_host *host, rt_result code, const char *message);

// ---------------------------------------------------------------------------------------------------------------------
// Versions
// ---------------------------------------------------------------------------------------------------------------------

#define RT_VERSION_MAJOR 0
#define RT_VERSION_MINOR 1
#define RT_VERSION_PATCH 0

// "0.1.0", of the library that is linked (the macros are those of the header).
RT_API const char *rt_version(void);

// ---------------------------------------------------------------------------------------------------------------------
// Instruction sets
// ---------------------------------------------------------------------------------------------------------------------

// Which kernels the CPU backend runs. All give the same bits; only speed differs.
typedef enum rt_isa {
    RT_ISA_AUTO = 0,   // the best that this processor has
    RT_ISA_SCALAR = 1, // portable C: the reference
    RT_ISA_AVX2 = 2,   // AVX2 + FMA + F16C, with AVX-VNNI where there is one
    RT_ISA_AVX512 = 3, // AVX-512 F/BW/VL/DQ + VNNI
    RT_ISA_AMX = 4,    // AVX-512 plus AMX-INT8 tiles for prefill
} rt_isa;

// Whether this processor (and operating system) can run `isa`. Thread-safe.
RT_API bool rt_isa_supported(rt_isa isa);

// "scalar", "avx2", ...; "auto" for RT_ISA_AUTO, "unknown" otherwise.
RT_API const char *rt_isa_name(rt_isa isa);

// The reverse of rt_isa_name. Returns false for a name that is none.
RT_API bool rt_isa_from_name(const char *name, rt_isa *isa);

// Exponential and natural logarithm with the same bits on every machine, as the runtime itself uses them: what a C library's give may
// differ in the last place. For decisions that have to be taken alike everywhere. Relative error below 1e-14. rt_exp is 0
// from -700 down and for what is not a number, infinite beyond 700; rt_log is -infinite for 0, below, and what is not a number, and
// takes subnormal numbers for larger ones. No thread's state is touched.
RT_API double rt_exp(double x);
RT_API double rt_log(double x);

#ifdef __cplusplus
}
#endif
#endif
