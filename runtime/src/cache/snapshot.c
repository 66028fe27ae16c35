// A sequence's keys and values as bytes: a header that says which model they belong to, tokens, blocks, a checksum.
// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <string.h>

#define SNAPSHOT_MAGIC 0x31564b5450455252ULL // "RREPTKV1"
#define BLOCK RT_KV_BLOCK_TOKENS

typedef struct snapshot_header {
    uint64_t magic;
    uint64_t fingerprint; // of the model: shape, types, RoPE
    uint64_t block_bytes;
    uint64_t size;     // of everything, this header included
    uint64_t checksum; // of everything, itself taken as 0
    uint32_t kv_type;
    int32_t start, length;
    uint32_t reserved;
} snapshot_header;

static int32_t blocks_of(int32_t start, int32_t length)
{
    return length == 0 ? 0 : (start + length - 1) / BLOCK - start / BLOCK + 1;
}

static uint64_t checksum_of(snapshot_header header, const uint8_t *rest)
{
    header.checksum = 0;
    return rti_hash_bytes(rest, header.size - sizeof header, rti_hash_bytes(&header, sizeof header, SNAPSHOT_MAGIC));
}

rt_result rti_cache_save(rti_cache *cache, const rti_sequence *sequence, void *buffer, size_t capacity, size_t *size)
{
    const rti_cache_def *def = &cache->def;
    uint64_t block_bytes = def->backend->block_bytes(def->device);
    int32_t count = blocks_of(sequence->start, sequence->length);
    size_t token_bytes = (size_t)count * BLOCK * sizeof(rt_token);
    *size = sizeof(snapshot_header) + token_bytes + (size_t)count * block_bytes;
    if (!buffer) return RT_OK;
    if (capacity < *size)
        return rti_fail(&def->host, RT_ERROR_TOO_LARGE, "snapshot: %zu bytes are needed, %zu were given", *size, capacity);

    snapshot_header header = {
        .magic = SNAPSHOT_MAGIC,
        .fingerprint = def->fingerprint,
        .block_bytes = block_bytes,
        .size = *size,
        .kv_type = (uint32_t)def->kv_type,
        .start = sequence->start,
        .length = sequence->length,
    };
    uint8_t *tokens = (uint8_t *)buffer + sizeof header;
    uint8_t *data = tokens + token_bytes;
    for (int32_t i = 0; i < count; i++) {
        const rti_block *block = &cache->pool.blocks[sequence->blocks[i]];
        memcpy(tokens + (size_t)i * sizeof block->tokens, block->tokens, sizeof block->tokens);
        rt_result result = def->backend->block_read(def->device, sequence->blocks[i], data + (size_t)i * block_bytes);
        if (result != RT_OK) return result;
    }
    header.checksum = checksum_of(header, tokens);
    memcpy(buffer, &header, sizeof header);
    return RT_OK;
}

static rt_result check_header(const rti_cache *cache, const snapshot_header *header, const uint8_t *data, size_t size)
{
    const rti_cache_def *def = &cache->def;
    const char *fault = NULL;
    if (size < sizeof *header || header->magic != SNAPSHOT_MAGIC) fault = "not a snapshot of a sequence";
    else if (header->size != size) fault = "truncated, or something stands behind its end";
    else if (header->fingerprint != def->fingerprint) fault = "it belongs to another model (shape, types or RoPE differ)";
    else if (header->kv_type != (uint32_t)def->kv_type) fault = "its key-value type differs from this context's";
    else if (header->block_bytes != def->backend->block_bytes(def->device)) fault = "its block size differs";
    else if (header->start < 0 || header->length < 0 || header->length > def->max_positions - header->start)
        fault = "its positions are outside the model's context";
    else {
        uint64_t count = (uint64_t)blocks_of(header->start, header->length);
        if (sizeof *header + count * (BLOCK * sizeof(rt_token) + header->block_bytes) != size) fault = "its length does not fit its size";
        else if (checksum_of(*header, data + sizeof *header) != header->checksum)
            fault = "its checksum is wrong: damaged";
    }
    if (fault) return rti_fail(&def->host, RT_ERROR_BAD_FILE, "snapshot: %s", fault);
    return RT_OK;
}

rt_result rti_cache_restore(rti_cache *cache, const void *data, size_t size, rt_sequence *id)
{
    const rti_cache_def *def = &cache->def;
    *id = (rt_sequence){0};
    snapshot_header header = {0};
    memcpy(&header, data, RTI_MIN(size, sizeof header));
    rt_result result = check_header(cache, &header, data, size);
    if (result != RT_OK) return result;

    rt_sequence added;
    if ((result = rti_cache_add(cache, &added)) != RT_OK) return result;
    rti_sequence *sequence = rti_cache_find(cache, added);
    sequence->start = header.start;
    result = rti_cache_reserve(cache, sequence, header.length);
    const uint8_t *tokens = (const uint8_t *)data + sizeof header;
    const uint8_t *blocks = tokens + (size_t)sequence->block_count * BLOCK * sizeof(rt_token);
    for (int32_t i = 0; i < sequence->block_count && result == RT_OK; i++) {
        rti_block *block = &cache->pool.blocks[sequence->blocks[i]];
        memcpy(block->tokens, tokens + (size_t)i * sizeof block->tokens, sizeof block->tokens);
        result = def->backend->block_write(def->device, sequence->blocks[i], blocks + (size_t)i * header.block_bytes);
    }
    if (result != RT_OK) {
        rti_cache_remove(cache, added);
        return result;
    }
    rti_cache_commit(cache, sequence, header.length);
    cache->computed_tokens -= (uint64_t)header.length; // restored, not computed
    *id = added;
    return RT_OK;
}
