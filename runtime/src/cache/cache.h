// cache/cache.h - sequences over the block pool: growing, forking with copy on write, reuse of prefixes, snapshots.
// SPDX-License-Identifier: MIT
#ifndef RTI_CACHE_H
#define RTI_CACHE_H

#include "backend/backend.h"
#include "cache/block_pool.h"

typedef struct rti_sequence {
    uint32_t generation;
    bool is_alive;
    int32_t pass;      // slot of the pass that has rows of it, -1: none
    int32_t start;     // position of its first token
    int32_t length;    // tokens in the cache, from start on
    uint32_t *blocks;  // table: entry i holds the positions of block (start / RT_KV_BLOCK_TOKENS + i)
    int32_t block_count;
} rti_sequence;

typedef struct rti_cache_def {
    rt_host host;
    const rti_backend *backend;
    rti_device *device;
    uint32_t block_count;
    int32_t max_sequences;
    int32_t max_positions; // of the model
    uint64_t fingerprint;  // of the model, for snapshots
    rt_kv_type kv_type;
} rti_cache_def;

typedef struct rti_cache {
    rti_cache_def def;
    rti_block_pool pool;
    rti_sequence *sequences;
    uint32_t *tables;       // block tables of all sequences, table_size each
    int32_t table_size;
    uint64_t reused_tokens, computed_tokens, copied_blocks;
} rti_cache;

rt_result rti_cache_create(const rti_cache_def *def, rti_cache *cache);
void rti_cache_destroy(rti_cache *cache);
uint64_t rti_cache_memory(uint32_t block_count, int32_t max_sequences, int32_t max_positions);
void rti_cache_stats(const rti_cache *cache, rt_cache_stats *stats);

// Another number of blocks, while no pass is under way; sequences keep what they have. A failure changes nothing.
rt_result rti_cache_resize(rti_cache *cache, uint32_t block_count);

rt_result rti_cache_add(rti_cache *cache, rt_sequence *id);
// The sequence behind an id, or NULL with STALE_ID raised.
rti_sequence *rti_cache_find(const rti_cache *cache, rt_sequence id);
rt_result rti_cache_fork(rti_cache *cache, rt_sequence source, rt_sequence *copy);
rt_result rti_cache_remove(rti_cache *cache, rt_sequence id);
rt_result rti_cache_truncate(rti_cache *cache, rti_sequence *sequence, int32_t length);
rt_result rti_cache_reuse_prefix(rti_cache *cache, rti_sequence *sequence, const rt_token *tokens, int32_t count,
                                 int32_t *reused);

// Blocks that rti_cache_reserve(sequence, count) would take from the pool.
uint32_t rti_cache_blocks_needed(const rti_cache *cache, const rti_sequence *sequence, int32_t count);
// Makes room for `count` more tokens: after it every block they are written to is this sequence's alone. The caller has
// checked rti_cache_blocks_needed.
rt_result rti_cache_reserve(rti_cache *cache, rti_sequence *sequence, int32_t count);
// Undoes the reservation behind `length`.
void rti_cache_unreserve(rti_cache *cache, rti_sequence *sequence);
// Notes the token that stands at position start + length + offset, before its pass runs.
void rti_cache_note_token(rti_cache *cache, rti_sequence *sequence, int32_t offset, rt_token token);
// The reserved tokens are computed: extends the sequence and publishes the blocks that became full.
void rti_cache_commit(rti_cache *cache, rti_sequence *sequence, int32_t count);

rt_result rti_cache_save(rti_cache *cache, const rti_sequence *sequence, void *buffer, size_t capacity, size_t *size);
rt_result rti_cache_restore(rti_cache *cache, const void *data, size_t size, rt_sequence *id);

#endif
