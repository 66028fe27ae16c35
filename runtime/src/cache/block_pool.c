// SPDX-License-Identifier: MIT
#include "cache/block_pool.h"

#include <string.h>

static uint32_t index_size_for(uint32_t count)
{
    uint32_t size = 16;
    while (size < count && size < (1u << 30)) size *= 2;
    return size;
}

uint64_t rti_block_pool_memory(uint32_t count)
{
    return (uint64_t)count * sizeof(rti_block) + (uint64_t)index_size_for(count) * sizeof(uint32_t);
}

rt_result rti_block_pool_create(const rt_host *host, uint32_t count, rti_block_pool *pool)
{
    *pool = (rti_block_pool){.host = *host, .count = count, .index_size = index_size_for(count)};
    pool->blocks = rti_allocate_zeroed(host, (size_t)count * sizeof(rti_block));
    pool->index = rti_allocate(host, (size_t)pool->index_size * sizeof(uint32_t));
    if (!pool->blocks || !pool->index) {
        rti_block_pool_destroy(pool);
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "key-value cache: no memory to keep track of %u blocks", count);
    }
    memset(pool->index, 0xff, (size_t)pool->index_size * sizeof(uint32_t));
    pool->oldest = pool->newest = RTI_BLOCK_NONE;
    pool->free_head = RTI_BLOCK_NONE;
    for (uint32_t i = count; i-- > 0;) { // block 0 comes first
        pool->blocks[i].older = pool->free_head;
        pool->free_head = i;
    }
    pool->free_count = count;
    return RT_OK;
}

void rti_block_pool_destroy(rti_block_pool *pool)
{
    rti_release(&pool->host, pool->blocks, (size_t)pool->count * sizeof(rti_block));
    rti_release(&pool->host, pool->index, (size_t)pool->index_size * sizeof(uint32_t));
    pool->blocks = NULL;
    pool->index = NULL;
}

// ---------------------------------------------------------------------------------------------------------------------
// The list of cached blocks, by age
// ---------------------------------------------------------------------------------------------------------------------

static void cached_remove(rti_block_pool *pool, uint32_t block)
{
    rti_block *b = &pool->blocks[block];
    if (b->older != RTI_BLOCK_NONE) pool->blocks[b->older].newer = b->newer;
    else pool->oldest = b->newer;
    if (b->newer != RTI_BLOCK_NONE) pool->blocks[b->newer].older = b->older;
    else pool->newest = b->older;
    pool->cached_count--;
}

static void cached_append(rti_block_pool *pool, uint32_t block)
{
    rti_block *b = &pool->blocks[block];
    b->older = pool->newest;
    b->newer = RTI_BLOCK_NONE;
    if (pool->newest != RTI_BLOCK_NONE) pool->blocks[pool->newest].newer = block;
    else pool->oldest = block;
    pool->newest = block;
    pool->cached_count++;
}

// ---------------------------------------------------------------------------------------------------------------------
// References
// ---------------------------------------------------------------------------------------------------------------------

uint32_t rti_block_available(const rti_block_pool *pool)
{
    return pool->free_count + pool->cached_count;
}

uint32_t rti_block_take(rti_block_pool *pool)
{
    uint32_t block = pool->free_head;
    if (block != RTI_BLOCK_NONE) {
        pool->free_head = pool->blocks[block].older;
        pool->free_count--;
    } else if (pool->oldest != RTI_BLOCK_NONE) {
        block = pool->oldest;
        cached_remove(pool, block);
        rti_block_unpublish(pool, block);
        pool->evicted++;
    } else {
        return RTI_BLOCK_NONE;
    }
    pool->blocks[block].references = 1;
    pool->blocks[block].is_published = false;
    return block;
}

void rti_block_retain(rti_block_pool *pool, uint32_t block)
{
    rti_block *b = &pool->blocks[block];
    if (b->references == 0) cached_remove(pool, block); // only cached blocks are found with no references
    b->references++;
}

void rti_block_release(rti_block_pool *pool, uint32_t block)
{
    rti_block *b = &pool->blocks[block];
    if (--b->references > 0) return;
    if (b->is_published) {
        cached_append(pool, block);
        return;
    }
    b->older = pool->free_head;
    pool->free_head = block;
    pool->free_count++;
}

// ---------------------------------------------------------------------------------------------------------------------
// The index of prefixes
// ---------------------------------------------------------------------------------------------------------------------

uint64_t rti_block_hash(uint64_t parent, const rt_token tokens[RT_KV_BLOCK_TOKENS])
{
    return rti_hash_bytes(tokens, RT_KV_BLOCK_TOKENS * sizeof(rt_token), parent);
}

static uint32_t *index_head(const rti_block_pool *pool, uint64_t hash)
{
    return &pool->index[(hash ^ hash >> 32) & (pool->index_size - 1)];
}

static uint32_t find_with_hash(const rti_block_pool *pool, uint64_t hash, uint64_t parent, const rt_token *tokens)
{
    for (uint32_t i = *index_head(pool, hash); i != RTI_BLOCK_NONE; i = pool->blocks[i].index_next) {
        const rti_block *b = &pool->blocks[i];
        if (b->hash == hash && b->parent == parent && memcmp(b->tokens, tokens, sizeof b->tokens) == 0) return i;
    }
    return RTI_BLOCK_NONE;
}

uint32_t rti_block_find(const rti_block_pool *pool, uint64_t parent, const rt_token tokens[RT_KV_BLOCK_TOKENS])
{
    return find_with_hash(pool, rti_block_hash(parent, tokens), parent, tokens);
}

void rti_block_publish(rti_block_pool *pool, uint32_t block)
{
    rti_block *b = &pool->blocks[block];
    if (b->is_published || find_with_hash(pool, b->hash, b->parent, b->tokens) != RTI_BLOCK_NONE) return;
    uint32_t *head = index_head(pool, b->hash);
    b->index_next = *head;
    *head = block;
    b->is_published = true;
}

void rti_block_unpublish(rti_block_pool *pool, uint32_t block)
{
    rti_block *b = &pool->blocks[block];
    if (!b->is_published) return;
    uint32_t *link = index_head(pool, b->hash);
    while (*link != block) link = &pool->blocks[*link].index_next;
    *link = b->index_next;
    b->is_published = false;
}

// ---------------------------------------------------------------------------------------------------------------------
// Another size
// ---------------------------------------------------------------------------------------------------------------------

// to[b]: 0 for the blocks that are kept, RTI_BLOCK_NONE for the others.
static void choose_kept(const rti_block_pool *pool, uint32_t room, uint32_t *to)
{
    for (uint32_t i = 0; i < pool->count; i++) to[i] = pool->blocks[i].references > 0 ? 0 : RTI_BLOCK_NONE;
    for (uint32_t i = pool->newest; i != RTI_BLOCK_NONE && room > 0; i = pool->blocks[i].older, room--) to[i] = 0;
}

rt_result rti_block_pool_resize(const rti_block_pool *pool, uint32_t count, rti_block_pool *resized, uint32_t *to, uint32_t *from, uint32_t *kept)
{
    uint32_t held = pool->count - pool->free_count - pool->cached_count;
    *kept = 0;
    if (held > count)
        return rti_fail(&pool->host, RT_ERROR_TOO_LARGE, "key-value cache: sequences hold %u blocks, %u are to be left: end or truncate some first",
                        held, count);
    rt_result result = rti_block_pool_create(&pool->host, count, resized);
    if (result != RT_OK) return result;
    choose_kept(pool, count - held, to);
    for (uint32_t i = 0; i < pool->count; i++) {
        if (to[i] == RTI_BLOCK_NONE) continue;
        from[*kept] = i;
        to[i] = (*kept)++;
        rti_block *b = &resized->blocks[to[i]];
        *b = pool->blocks[i];
        b->is_published = false;
        if (pool->blocks[i].is_published) rti_block_publish(resized, to[i]);
    }
    resized->free_head = *kept < count ? *kept : RTI_BLOCK_NONE; // free blocks are chained by their numbers
    resized->free_count = count - *kept;
    for (uint32_t i = pool->oldest; i != RTI_BLOCK_NONE; i = pool->blocks[i].newer)
        if (to[i] != RTI_BLOCK_NONE) cached_append(resized, to[i]);
    resized->evicted = pool->evicted + pool->cached_count - resized->cached_count;
    return RT_OK;
}
