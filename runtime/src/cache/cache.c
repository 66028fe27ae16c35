// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <string.h>

#define BLOCK RT_KV_BLOCK_TOKENS

// ---------------------------------------------------------------------------------------------------------------------
// The cache itself
// ---------------------------------------------------------------------------------------------------------------------

static int32_t table_size_for(uint32_t block_count, int32_t max_positions)
{
    int64_t by_model = (int64_t)max_positions / BLOCK + 2; // one more where a sequence does not start on a block
    return (int32_t)RTI_MIN((int64_t)block_count, by_model);
}

uint64_t rti_cache_memory(uint32_t block_count, int32_t max_sequences, int32_t max_positions)
{
    uint64_t table = (uint64_t)table_size_for(block_count, max_positions) * sizeof(uint32_t);
    return rti_block_pool_memory(block_count) + (uint64_t)max_sequences * (sizeof(rti_sequence) + table);
}

rt_result rti_cache_create(const rti_cache_def *def, rti_cache *cache)
{
    *cache = (rti_cache){.def = *def, .table_size = table_size_for(def->block_count, def->max_positions)};
    rt_result result = rti_block_pool_create(&def->host, def->block_count, &cache->pool);
    if (result != RT_OK) return result;
    size_t table_bytes = (size_t)def->max_sequences * (size_t)cache->table_size * sizeof(uint32_t);
    cache->sequences = rti_allocate_zeroed(&def->host, (size_t)def->max_sequences * sizeof(rti_sequence));
    cache->tables = rti_allocate(&def->host, table_bytes);
    if (!cache->sequences || !cache->tables) {
        rti_cache_destroy(cache);
        return rti_fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "key-value cache: no memory for %d sequences", def->max_sequences);
    }
    for (int32_t i = 0; i < def->max_sequences; i++) {
        cache->sequences[i].blocks = cache->tables + (size_t)i * (size_t)cache->table_size;
        cache->sequences[i].pass = -1;
    }
    return RT_OK;
}

void rti_cache_destroy(rti_cache *cache)
{
    const rt_host *host = &cache->def.host;
    rti_release(host, cache->sequences, (size_t)cache->def.max_sequences * sizeof(rti_sequence));
    rti_release(host, cache->tables, (size_t)cache->def.max_sequences * (size_t)cache->table_size * sizeof(uint32_t));
    rti_block_pool_destroy(&cache->pool);
    cache->sequences = NULL;
    cache->tables = NULL;
}

void rti_cache_stats(const rti_cache *cache, rt_cache_stats *stats)
{
    const rti_block_pool *pool = &cache->pool;
    *stats = (rt_cache_stats){
        .blocks = pool->count,
        .blocks_cached = pool->cached_count,
        .blocks_active = pool->count - pool->free_count - pool->cached_count,
        .block_bytes = cache->def.backend->block_bytes(cache->def.device),
        .reused_tokens = cache->reused_tokens,
        .computed_tokens = cache->computed_tokens,
        .evicted_blocks = pool->evicted,
        .copied_blocks = cache->copied_blocks,
    };
    for (uint32_t i = 0; i < pool->count; i++) stats->blocks_shared += pool->blocks[i].references > 1;
}

static void adopt(rti_cache *cache, const rti_block_pool *pool, const uint32_t *to)
{
    for (int32_t i = 0; i < cache->def.max_sequences; i++) {
        rti_sequence *sequence = &cache->sequences[i];
        for (int32_t k = 0; sequence->is_alive && k < sequence->block_count; k++) sequence->blocks[k] = to[sequence->blocks[k]];
    }
    rti_block_pool_destroy(&cache->pool);
    cache->pool = *pool;
    cache->def.block_count = pool->count;
}

rt_result rti_cache_resize(rti_cache *cache, uint32_t block_count)
{
    const rt_host *host = &cache->def.host;
    const size_t to_bytes = (size_t)cache->pool.count * sizeof(uint32_t), from_bytes = (size_t)block_count * sizeof(uint32_t);
    uint32_t *to = rti_allocate(host, to_bytes), *from = rti_allocate(host, from_bytes), kept;
    rti_block_pool pool = {0};
    rt_result result = to && from ? rti_block_pool_resize(&cache->pool, block_count, &pool, to, from, &kept)
                                  : rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "key-value cache: no memory to change its size");
    if (result == RT_OK) {
        result = cache->def.backend->cache_resize(cache->def.device, block_count, from, kept);
        if (result == RT_OK) adopt(cache, &pool, to);
        else rti_block_pool_destroy(&pool);
    }
    rti_release(host, to, to_bytes);
    rti_release(host, from, from_bytes);
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Sequences
// ---------------------------------------------------------------------------------------------------------------------

rti_sequence *rti_cache_find(const rti_cache *cache, rt_sequence id)
{
    if (id.index >= 1 && id.index <= (uint32_t)cache->def.max_sequences) {
        rti_sequence *sequence = &cache->sequences[id.index - 1];
        if (sequence->is_alive && sequence->generation == id.generation) return sequence;
    }
    rti_fail(&cache->def.host, RT_ERROR_STALE_ID, "sequence %u.%u does not exist (any more)", id.index, id.generation);
    return NULL;
}

rt_result rti_cache_add(rti_cache *cache, rt_sequence *id)
{
    for (int32_t i = 0; i < cache->def.max_sequences; i++) {
        rti_sequence *sequence = &cache->sequences[i];
        if (sequence->is_alive) continue;
        sequence->generation++;
        sequence->is_alive = true;
        sequence->pass = -1;
        sequence->start = sequence->length = sequence->block_count = 0;
        *id = (rt_sequence){.index = (uint32_t)i + 1, .generation = sequence->generation};
        return RT_OK;
    }
    return rti_fail(&cache->def.host, RT_ERROR_TOO_LARGE, "all %d sequences are in use: raise max_sequences",
                    cache->def.max_sequences);
}

static void release_blocks(rti_cache *cache, rti_sequence *sequence, int32_t keep)
{
    // From the end: the tail becomes the oldest of the cached blocks, so a shared beginning outlives it.
    while (sequence->block_count > keep) rti_block_release(&cache->pool, sequence->blocks[--sequence->block_count]);
}

static rt_result refuse_busy(const rti_cache *cache, const char *what)
{
    return rti_fail(&cache->def.host, RT_ERROR_BUSY, "cannot %s a sequence while a pass has rows of it: commit or abandon that pass first", what);
}

rt_result rti_cache_fork(rti_cache *cache, rt_sequence source_id, rt_sequence *copy_id)
{
    rti_sequence *source = rti_cache_find(cache, source_id);
    if (!source) return RT_ERROR_STALE_ID;
    rt_result result = rti_cache_add(cache, copy_id);
    if (result != RT_OK) return result;
    rti_sequence *copy = &cache->sequences[copy_id->index - 1];
    copy->start = source->start;
    copy->length = source->length;
    // Blocks that a pass under way has reserved behind the length are not part of what is copied.
    copy->block_count = source->length == 0 ? 0 : (source->start + source->length - 1) / BLOCK - source->start / BLOCK + 1;
    memcpy(copy->blocks, source->blocks, (size_t)copy->block_count * sizeof(uint32_t));
    for (int32_t i = 0; i < copy->block_count; i++) rti_block_retain(&cache->pool, copy->blocks[i]);
    return RT_OK;
}

rt_result rti_cache_remove(rti_cache *cache, rt_sequence id)
{
    rti_sequence *sequence = rti_cache_find(cache, id);
    if (!sequence) return RT_ERROR_STALE_ID;
    if (sequence->pass >= 0) return refuse_busy(cache, "destroy");
    release_blocks(cache, sequence, 0);
    sequence->is_alive = false;
    return RT_OK;
}

static int32_t blocks_for(const rti_sequence *sequence, int32_t length)
{
    return length == 0 ? 0 : (sequence->start + length - 1) / BLOCK - sequence->start / BLOCK + 1;
}

rt_result rti_cache_truncate(rti_cache *cache, rti_sequence *sequence, int32_t length)
{
    if (sequence->pass >= 0) return refuse_busy(cache, "truncate");
    if (length < 0 || length > sequence->length)
        return rti_fail(&cache->def.host, RT_ERROR_INVALID_ARGUMENT, "cannot truncate %d tokens to %d", sequence->length, length);
    sequence->length = length;
    release_blocks(cache, sequence, blocks_for(sequence, length));
    return RT_OK;
}

rt_result rti_cache_reuse_prefix(rti_cache *cache, rti_sequence *sequence, const rt_token *tokens, int32_t count, int32_t *reused)
{
    *reused = 0;
    if (sequence->pass >= 0) return refuse_busy(cache, "reuse a prefix in");
    if (sequence->length != 0 || sequence->start != 0)
        return rti_fail(&cache->def.host, RT_ERROR_INVALID_ARGUMENT, "only an empty sequence can take over a prefix");
    uint64_t parent = RTI_EMPTY_PREFIX;
    // The last token is always computed: its logits are what the caller is after.
    while (sequence->length + BLOCK < count && sequence->block_count < cache->table_size) {
        const rt_token *next = tokens + sequence->length;
        uint32_t block = rti_block_find(&cache->pool, parent, next);
        if (block == RTI_BLOCK_NONE) break;
        rti_block_retain(&cache->pool, block);
        sequence->blocks[sequence->block_count++] = block;
        sequence->length += BLOCK;
        parent = cache->pool.blocks[block].hash;
    }
    *reused = sequence->length;
    cache->reused_tokens += (uint64_t)sequence->length;
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Growing
// ---------------------------------------------------------------------------------------------------------------------

// Whether the next token goes into a block that others hold too.
static bool must_copy_last(const rti_cache *cache, const rti_sequence *sequence)
{
    if ((sequence->start + sequence->length) % BLOCK == 0 || sequence->block_count == 0) return false;
    return cache->pool.blocks[sequence->blocks[sequence->block_count - 1]].references > 1;
}

uint32_t rti_cache_blocks_needed(const rti_cache *cache, const rti_sequence *sequence, int32_t count)
{
    if (count <= 0) return 0;
    int32_t more = blocks_for(sequence, sequence->length + count) - sequence->block_count;
    return (uint32_t)RTI_MAX(more, 0) + (must_copy_last(cache, sequence) ? 1u : 0u);
}

static rt_result own_last_block(rti_cache *cache, rti_sequence *sequence)
{
    rti_block_pool *pool = &cache->pool;
    uint32_t shared = sequence->blocks[sequence->block_count - 1];
    if (pool->blocks[shared].references == 1) {
        rti_block_unpublish(pool, shared); // a truncated block may still be in the index with its old tail
        return RT_OK;
    }
    uint32_t own = rti_block_take(pool);
    if (own == RTI_BLOCK_NONE) return RT_ERROR_CONTEXT_FULL;
    rt_result result = cache->def.backend->block_copy(cache->def.device, own, shared);
    if (result != RT_OK) {
        rti_block_release(pool, own);
        return result;
    }
    memcpy(pool->blocks[own].tokens, pool->blocks[shared].tokens, sizeof pool->blocks[own].tokens);
    pool->blocks[own].parent = pool->blocks[shared].parent;
    sequence->blocks[sequence->block_count - 1] = own;
    rti_block_release(pool, shared);
    cache->copied_blocks++;
    return RT_OK;
}

rt_result rti_cache_reserve(rti_cache *cache, rti_sequence *sequence, int32_t count)
{
    int32_t end = sequence->start + sequence->length + count;
    if (end > cache->def.max_positions)
        return rti_fail(&cache->def.host, RT_ERROR_CONTEXT_FULL, "position %d is past the model's context of %d tokens", end - 1,
                        cache->def.max_positions);
    int32_t wanted = blocks_for(sequence, sequence->length + count);
    if (wanted > cache->table_size || rti_cache_blocks_needed(cache, sequence, count) > rti_block_available(&cache->pool))
        return rti_fail(&cache->def.host, RT_ERROR_CONTEXT_FULL,
                        "the key-value cache has no room for %d more tokens: raise kv_tokens or end other sequences", count);
    if ((sequence->start + sequence->length) % BLOCK != 0 && sequence->block_count > 0) {
        rt_result result = own_last_block(cache, sequence);
        if (result != RT_OK) return result;
    }
    while (sequence->block_count < wanted) sequence->blocks[sequence->block_count++] = rti_block_take(&cache->pool);
    return RT_OK;
}

void rti_cache_unreserve(rti_cache *cache, rti_sequence *sequence)
{
    release_blocks(cache, sequence, blocks_for(sequence, sequence->length));
}

void rti_cache_note_token(rti_cache *cache, rti_sequence *sequence, int32_t offset, rt_token token)
{
    int32_t position = sequence->start + sequence->length + offset;
    uint32_t block = sequence->blocks[position / BLOCK - sequence->start / BLOCK];
    cache->pool.blocks[block].tokens[position % BLOCK] = token;
}

// A block became full: find its place among the prefixes. Where the same prefix is published already, that block takes
// this one's place (the bits are the same) and the memory comes back.
static void settle_full_block(rti_cache *cache, rti_sequence *sequence, int32_t entry)
{
    rti_block_pool *pool = &cache->pool;
    uint32_t own = sequence->blocks[entry];
    rti_block *block = &pool->blocks[own];
    block->parent = entry == 0 ? RTI_EMPTY_PREFIX : pool->blocks[sequence->blocks[entry - 1]].hash;
    block->hash = rti_block_hash(block->parent, block->tokens);
    uint32_t twin = rti_block_find(pool, block->parent, block->tokens);
    if (twin == RTI_BLOCK_NONE) {
        rti_block_publish(pool, own);
    } else if (twin != own) {
        rti_block_retain(pool, twin);
        sequence->blocks[entry] = twin;
        rti_block_release(pool, own);
    }
}

void rti_cache_commit(rti_cache *cache, rti_sequence *sequence, int32_t count)
{
    int32_t first = sequence->length / BLOCK;
    sequence->length += count;
    cache->computed_tokens += (uint64_t)count;
    if (sequence->start != 0) return; // only prefixes from position 0 are worth finding again
    for (int32_t entry = first; entry < sequence->length / BLOCK; entry++) settle_full_block(cache, sequence, entry);
}
