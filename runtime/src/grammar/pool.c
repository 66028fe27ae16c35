// SPDX-License-Identifier: MIT
#include "grammar/pool.h"

#include <stdio.h>
#include <string.h>

struct rti_pool_block {
    rti_pool_block *next;
    size_t size;
};

enum { FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20, HEADER = 64 };

void rti_pool_begin(rti_pool *pool, const rt_host *host, size_t limit)
{
    memset(pool, 0, sizeof *pool);
    pool->host = *host;
    pool->limit = limit;
}

void rti_pool_end(rti_pool *pool)
{
    rti_pool_block *block = pool->blocks;
    while (block != NULL) {
        rti_pool_block *next = block->next;
        rti_release(&pool->host, block, block->size);
        block = next;
    }
    pool->blocks = NULL;
    pool->next = NULL;
    pool->left = 0;
}

_Noreturn void rti_pool_fail(rti_pool *pool, rt_result code, const char *format, ...)
{
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    static const char own[] = "grammar: ", placed[] = "grammar: schema: ";
    if (pool->where != NULL && code != RT_ERROR_OUT_OF_MEMORY && strncmp(text, own, sizeof own - 1) == 0 &&
        strncmp(text, placed, sizeof placed - 1) != 0) {
        pool->result = rti_fail(&pool->host, code, "%s: %s", pool->where(pool->where_user), text + sizeof own - 1);
    } else {
        pool->result = rti_fail(&pool->host, code, "%s", text);
    }
    longjmp(*pool->way_out, 1);
}

static void add_block(rti_pool *pool, size_t size)
{
    size_t held = atomic_load_explicit(&pool->held, memory_order_relaxed);
    size_t usual = RTI_MIN(RTI_MAX(held / 2, (size_t)FIRST_BLOCK), (size_t)LARGEST_BLOCK);
    size_t total = RTI_MAX(usual, size + HEADER);
    if (held + total > pool->limit) {
        rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: needs more than max_memory_bytes (%zu): make the schema smaller or "
                      "raise the limit", pool->limit);
    }
    rti_pool_block *block = rti_allocate(&pool->host, total);
    if (block == NULL) rti_pool_fail(pool, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for %zu bytes", total);
    block->next = pool->blocks;
    block->size = total;
    pool->blocks = block;
    atomic_fetch_add_explicit(&pool->held, total, memory_order_relaxed);
    // A block made for one large item does not replace a block with more room left.
    if (total - HEADER - size >= pool->left) {
        pool->next = (char *)block + HEADER;
        pool->left = total - HEADER;
    }
}

void *rti_pool_take(rti_pool *pool, size_t size)
{
    if (size > SIZE_MAX / 2) rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: a size overflows");
    size = (size + 15) & ~(size_t)15;
    if (size > pool->left) {
        char *next = pool->next;
        size_t left = pool->left;
        add_block(pool, size);
        if (pool->next == next && pool->left == left) {
            void *whole = (char *)pool->blocks + HEADER;
            memset(whole, 0, size);
            return whole;
        }
    }
    void *memory = pool->next;
    pool->next += size;
    pool->left -= size;
    memset(memory, 0, size);
    return memory;
}

void *rti_pool_take_array(rti_pool *pool, size_t count, size_t item_size)
{
    size_t size;
    if (!rti_size_multiply(count, item_size, &size)) rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: a size overflows");
    return rti_pool_take(pool, size);
}

void rti_pool_grow(rti_pool *pool, void **items, uint32_t *capacity, uint32_t needed, size_t item_size)
{
    if (needed > UINT32_MAX / 4) rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: too many items");
    uint32_t room = RTI_MAX(*capacity, 8u);
    while (room < needed) room *= 2;
    void *larger = rti_pool_take_array(pool, room, item_size);
    if (*capacity != 0) memcpy(larger, *items, (size_t)*capacity * item_size);
    *items = larger;
    *capacity = room;
}

uint32_t rti_id_table_next(const rti_id_table *table, uint64_t hash, uint32_t *cursor)
{
    if (table->capacity == 0) return UINT32_MAX;
    uint32_t mask = table->capacity - 1;
    uint32_t at = *cursor == UINT32_MAX ? (uint32_t)hash & mask : (*cursor + 1) & mask;
    for (; table->slots[at] != 0; at = (at + 1) & mask) {
        if (table->hashes[at] == hash) {
            *cursor = at;
            return table->slots[at] - 1;
        }
    }
    return UINT32_MAX;
}

static void put(rti_id_table *table, uint64_t hash, uint32_t slot)
{
    uint32_t mask = table->capacity - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (table->slots[at] != 0) at = (at + 1) & mask;
    table->slots[at] = slot;
    table->hashes[at] = hash;
}

void rti_id_table_add(rti_pool *pool, rti_id_table *table, uint64_t hash, uint32_t id)
{
    if ((table->count + 1) * 2 > table->capacity) {
        rti_id_table larger = { .capacity = RTI_MAX(table->capacity * 2, 32u), .count = table->count };
        larger.slots = rti_pool_take_array(pool, larger.capacity, sizeof *larger.slots);
        larger.hashes = rti_pool_take_array(pool, larger.capacity, sizeof *larger.hashes);
        for (uint32_t i = 0; i < table->capacity; i++) {
            if (table->slots[i] != 0) put(&larger, table->hashes[i], table->slots[i]);
        }
        *table = larger;
    }
    put(table, hash, id + 1);
    table->count++;
}
