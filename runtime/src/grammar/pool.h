// grammar/pool.h - memory of one grammar: bump allocation, freed all at once, and the way out when something fails.
//
// Compiling a schema is deep and full of small allocations. They come from a pool that the grammar owns, and a failure
// anywhere leaves through rti_pool_fail() to the setjmp() of the entry point; nothing needs unwinding, because everything
// hangs on the pool.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_POOL_H
#define RTI_GRAMMAR_POOL_H

#include "base/base.h"

#include <setjmp.h>
#include <stdatomic.h>

typedef struct rti_pool_block rti_pool_block;

typedef struct rti_pool {
    rt_host host;
    rti_pool_block *blocks;
    char *next;
    size_t left;
    atomic_size_t held; // bytes taken from the host
    size_t limit;       // of `held`
    jmp_buf *way_out;   // where rti_pool_fail goes; set by the entry point
    rt_result result;   // what it brought
    const char *(*where)(void *user); // NULL, or what messages without a place begin with
    void *where_user;
} rti_pool;

void rti_pool_begin(rti_pool *pool, const rt_host *host, size_t limit);
void rti_pool_end(rti_pool *pool);

// Zeroed, aligned to 16 bytes. Never NULL: leaves through the way out.
void *rti_pool_take(rti_pool *pool, size_t size);
void *rti_pool_take_array(rti_pool *pool, size_t count, size_t item_size);

// Raises like rti_fail and leaves.
_Noreturn void rti_pool_fail(rti_pool *pool, rt_result code, const char *format, ...) RT_PRINTF(3, 4);

// Makes room for `needed` items in an array that grows by doubling; the old one stays in the pool.
void rti_pool_grow(rti_pool *pool, void **items, uint32_t *capacity, uint32_t needed, size_t item_size);

#define RTI_POOL_RESERVE(pool, items, capacity, needed)                                                                \
    do {                                                                                                               \
        if ((needed) > (capacity)) {                                                                                   \
            void *rti_items_ = (items);                                                                                \
            rti_pool_grow((pool), &rti_items_, &(capacity), (needed), sizeof *(items));                                \
            (items) = rti_items_;                                                                                      \
        }                                                                                                              \
    } while (0)

// Arrays that grow without moving, so that threads may read what is published while another adds: chunk k holds 8 << k.
enum { RTI_CHUNKS = 26 };
static inline uint32_t rti_chunk_of(uint32_t id)
{
    return 31u - (uint32_t)__builtin_clz(id / 8 + 1);
}
static inline uint32_t rti_chunk_first(uint32_t chunk)
{
    return ((1u << chunk) - 1) * 8;
}
static inline uint32_t rti_chunk_size(uint32_t chunk)
{
    return 8u << chunk;
}

// A hash table of 32-bit ids: open addressing over (hash, id); the caller compares.
typedef struct rti_id_table {
    uint32_t *slots; // id + 1, 0 is free
    uint64_t *hashes;
    uint32_t capacity; // power of two
    uint32_t count;
} rti_id_table;

// Walks the ids filed under `hash`: start with *cursor = UINT32_MAX. Returns UINT32_MAX when there are no more.
uint32_t rti_id_table_next(const rti_id_table *table, uint64_t hash, uint32_t *cursor);
void rti_id_table_add(rti_pool *pool, rti_id_table *table, uint64_t hash, uint32_t id);

#endif
