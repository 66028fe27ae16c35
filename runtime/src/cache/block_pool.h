// cache/block_pool.h - the blocks of the key-value cache: who uses them, what they hold, which may be taken next.
//
// A block holds RT_KV_BLOCK_TOKENS positions of every layer. A full block whose tokens and ancestry are known is published
// under a hash of the whole prefix up to its end, so that any later prompt with the same beginning finds it (the idea of
// vLLM's automatic prefix caching; Kwon et al. 2023, arXiv:2309.06180). Reusing it changes no bit: keys and values depend
// on the tokens of the prefix alone.
//
// Pure bookkeeping: no memory of the backend is touched here.
// SPDX-License-Identifier: MIT
#ifndef RTI_BLOCK_POOL_H
#define RTI_BLOCK_POOL_H

#include "base/base.h"
#include "rt/context.h"

#define RTI_BLOCK_NONE UINT32_MAX

typedef struct rti_block {
    uint32_t references;    // sequences that hold it
    bool is_published;      // in the index
    uint64_t parent;        // hash of the prefix before it
    uint64_t hash;          // hash of the prefix up to its end; valid once full
    uint32_t index_next;    // chain in the index
    uint32_t older, newer;  // free list (older only) or list of cached blocks
    rt_token tokens[RT_KV_BLOCK_TOKENS];
} rti_block;

typedef struct rti_block_pool {
    rt_host host;
    rti_block *blocks;
    uint32_t count;
    uint32_t *index; // heads of chains by hash
    uint32_t index_size; // a power of two
    uint32_t free_head;
    uint32_t free_count;
    uint32_t oldest, newest; // cached blocks: published, no references; `oldest` goes first
    uint32_t cached_count;
    uint64_t evicted;
} rti_block_pool;

rt_result rti_block_pool_create(const rt_host *host, uint32_t count, rti_block_pool *pool);
void rti_block_pool_destroy(rti_block_pool *pool);
uint64_t rti_block_pool_memory(uint32_t count);

// A block with one reference, from the free ones or the oldest cached one. RTI_BLOCK_NONE: all are in use.
uint32_t rti_block_take(rti_block_pool *pool);
uint32_t rti_block_available(const rti_block_pool *pool);
void rti_block_retain(rti_block_pool *pool, uint32_t block);
// At zero references a published block stays cached as the newest; another becomes free.
void rti_block_release(rti_block_pool *pool, uint32_t block);

// The same blocks in a pool of `count`: those that sequences hold, then of the cached ones the newest that find room, in the order
// of their numbers. to[b]: block b's new number or RTI_BLOCK_NONE; from[n]: the old number of block n < *kept. `pool` itself
// changes nothing. TOO_LARGE where sequences hold more than `count`.
rt_result rti_block_pool_resize(const rti_block_pool *pool, uint32_t count, rti_block_pool *resized, uint32_t *to, uint32_t *from, uint32_t *kept);

// The hash of a prefix from that of the prefix before it and one block's tokens. The empty prefix is RTI_EMPTY_PREFIX.
#define RTI_EMPTY_PREFIX 0x5245505254454531ULL
uint64_t rti_block_hash(uint64_t parent, const rt_token tokens[RT_KV_BLOCK_TOKENS]);

// The published block of this prefix, or RTI_BLOCK_NONE. Tokens and parent are compared, not only the hash.
uint32_t rti_block_find(const rti_block_pool *pool, uint64_t parent, const rt_token tokens[RT_KV_BLOCK_TOKENS]);
// Publishes a full block (tokens, parent and hash set). Does nothing where the prefix is published already.
void rti_block_publish(rti_block_pool *pool, uint32_t block);
// Takes it out of the index: its content is about to change.
void rti_block_unpublish(rti_block_pool *pool, uint32_t block);

#endif
