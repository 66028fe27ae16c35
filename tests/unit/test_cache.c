// The key-value cache against a model of it: sequences as plain arrays of tokens, a device whose "keys and values" are the
// tokens themselves. Whatever is done in whatever order, each sequence must read back exactly its own tokens.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/cache.h"

#define BLOCK RT_KV_BLOCK_TOKENS
#define BLOCKS 24
#define SEQUENCES 8
#define POSITIONS 512

typedef struct fake_device {
    rt_token slots[BLOCKS][BLOCK];
} fake_device;

static fake_device *fake(rti_device *device)
{
    return (fake_device *)device;
}

static uint64_t fake_block_bytes(const rti_device *device)
{
    (void)device;
    return sizeof(rt_token) * BLOCK;
}

static rt_result fake_copy(rti_device *device, uint32_t to, uint32_t from)
{
    memcpy(fake(device)->slots[to], fake(device)->slots[from], sizeof fake(device)->slots[0]);
    return RT_OK;
}

static rt_result fake_read(rti_device *device, uint32_t block, void *bytes)
{
    memcpy(bytes, fake(device)->slots[block], sizeof fake(device)->slots[0]);
    return RT_OK;
}

static rt_result fake_write(rti_device *device, uint32_t block, const void *bytes)
{
    memcpy(fake(device)->slots[block], bytes, sizeof fake(device)->slots[0]);
    return RT_OK;
}

static rt_result fake_resize(rti_device *device, uint32_t block_count, const uint32_t *from, uint32_t kept)
{
    assert_true(kept <= block_count && block_count <= BLOCKS);
    for (uint32_t i = 0; i < kept; i++) {
        assert_true(from[i] >= i && from[i] < BLOCKS);
        memmove(fake(device)->slots[i], fake(device)->slots[from[i]], sizeof fake(device)->slots[0]);
    }
    for (uint32_t i = kept; i < BLOCKS; i++) memset(fake(device)->slots[i], 0x55, sizeof fake(device)->slots[0]);
    return RT_OK;
}

static const rti_backend backend = {
    .name = "fake", .cache_resize = fake_resize, .block_bytes = fake_block_bytes, .block_copy = fake_copy, .block_read = fake_read, .block_write = fake_write};

typedef struct shadow {
    rt_sequence id;
    bool is_alive;
    int32_t length;
    rt_token tokens[POSITIONS];
} shadow;

typedef struct fixture {
    fake_device device;
    rti_cache cache;
    shadow shadows[SEQUENCES];
} fixture;

static void fixture_create(fixture *f)
{
    memset(f, 0, sizeof *f);
    rti_cache_def def = {.host = rti_host_or_default(NULL),
                         .backend = &backend,
                         .device = (rti_device *)&f->device,
                         .block_count = BLOCKS,
                         .max_sequences = SEQUENCES,
                         .max_positions = POSITIONS,
                         .fingerprint = 7};
    assert_int_equal(rti_cache_create(&def, &f->cache), RT_OK);
}

// Runs what a pass does: reserve, note, compute (here: store the token where its key would be), commit.
static rt_result append(fixture *f, shadow *s, const rt_token *tokens, int32_t count)
{
    rti_sequence *sequence = rti_cache_find(&f->cache, s->id);
    rt_result result = rti_cache_reserve(&f->cache, sequence, count);
    if (result != RT_OK) return result;
    for (int32_t i = 0; i < count; i++) {
        int32_t position = sequence->start + sequence->length + i;
        rti_cache_note_token(&f->cache, sequence, i, tokens[i]);
        f->device.slots[sequence->blocks[position / BLOCK - sequence->start / BLOCK]][position % BLOCK] = tokens[i];
        s->tokens[s->length + i] = tokens[i];
    }
    rti_cache_commit(&f->cache, sequence, count);
    s->length += count;
    return RT_OK;
}

static void check(fixture *f)
{
    uint32_t references = 0, expected = 0;
    for (int i = 0; i < SEQUENCES; i++) {
        shadow *s = &f->shadows[i];
        if (!s->is_alive) continue;
        const rti_sequence *sequence = rti_cache_find(&f->cache, s->id);
        assert_non_null(sequence);
        assert_int_equal(sequence->length, s->length);
        for (int32_t p = 0; p < s->length; p++)
            assert_int_equal(f->device.slots[sequence->blocks[p / BLOCK]][p % BLOCK], s->tokens[p]);
        expected += (uint32_t)sequence->block_count;
    }
    for (uint32_t b = 0; b < f->cache.pool.count; b++) references += f->cache.pool.blocks[b].references;
    assert_int_equal(references, expected); // nothing leaks, nothing is freed twice
    rt_cache_stats stats;
    rti_cache_stats(&f->cache, &stats);
    assert_int_equal(stats.blocks_active + rti_block_available(&f->cache.pool), f->cache.pool.count);
}

// Every published block is found under its prefix, in a pool of whatever size.
static void check_index(const rti_block_pool *pool)
{
    uint32_t cached = 0;
    for (uint32_t b = 0; b < pool->count; b++)
        if (pool->blocks[b].is_published) assert_int_equal(rti_block_find(pool, pool->blocks[b].parent, pool->blocks[b].tokens), b);
    for (uint32_t b = pool->oldest; b != RTI_BLOCK_NONE; b = pool->blocks[b].newer) {
        assert_true(pool->blocks[b].is_published && pool->blocks[b].references == 0);
        cached++;
    }
    assert_int_equal(cached, pool->cached_count);
}

static shadow *pick(fixture *f, bool alive)
{
    int first = rand() % SEQUENCES;
    for (int i = 0; i < SEQUENCES; i++) {
        shadow *s = &f->shadows[(first + i) % SEQUENCES];
        if (s->is_alive == alive) return s;
    }
    return NULL;
}

static void step(fixture *f)
{
    rt_token tokens[POSITIONS];
    shadow *s = pick(f, true), *free_slot = pick(f, false);
    int32_t reused;
    switch (rand() % 7) {
    case 6: { // another size; too small a one is refused and changes nothing
        uint32_t count = 1 + (uint32_t)rand() % BLOCKS, before = f->cache.pool.count;
        rt_cache_stats stats;
        rti_cache_stats(&f->cache, &stats);
        rt_result result = rti_cache_resize(&f->cache, count);
        assert_int_equal(result, stats.blocks_active > count ? RT_ERROR_TOO_LARGE : RT_OK);
        assert_int_equal(f->cache.pool.count, result == RT_OK ? count : before);
        check_index(&f->cache.pool);
        break;
    }
    case 0: // a new sequence that begins as many others do
        if (!free_slot) return;
        assert_int_equal(rti_cache_add(&f->cache, &free_slot->id), RT_OK);
        free_slot->is_alive = true;
        free_slot->length = 0;
        for (int i = 0; i < 100; i++) tokens[i] = i < 64 ? i : rand() % 2;
        assert_int_equal(rti_cache_reuse_prefix(&f->cache, rti_cache_find(&f->cache, free_slot->id), tokens, 100, &reused), RT_OK);
        assert_true(reused % BLOCK == 0 && reused < 100);
        memcpy(free_slot->tokens, tokens, (size_t)reused * sizeof *tokens);
        free_slot->length = reused;
        append(f, free_slot, tokens + reused, 100 - reused);
        break;
    case 1:
        if (!s || !free_slot) return;
        assert_int_equal(rti_cache_fork(&f->cache, s->id, &free_slot->id), RT_OK);
        free_slot->is_alive = true;
        free_slot->length = s->length;
        memcpy(free_slot->tokens, s->tokens, sizeof s->tokens);
        break;
    case 2:
        if (!s) return;
        assert_int_equal(rti_cache_remove(&f->cache, s->id), RT_OK);
        assert_null(rti_cache_find(&f->cache, s->id));
        s->is_alive = false;
        break;
    case 3:
        if (!s) return;
        s->length = s->length ? rand() % (s->length + 1) : 0;
        assert_int_equal(rti_cache_truncate(&f->cache, rti_cache_find(&f->cache, s->id), s->length), RT_OK);
        break;
    default:
        if (!s) return;
        for (int i = 0; i < 50; i++) tokens[i] = rand() % 3;
        append(f, s, tokens, rand() % 50); // CONTEXT_FULL is fine: then nothing may have changed
        break;
    }
}

static void test_random_operations_keep_every_sequence_its_own(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        fixture f;
        fixture_create(&f);
        srand(seed);
        for (int i = 0; i < 400; i++) {
            step(&f);
            check(&f);
        }
        rti_cache_destroy(&f.cache);
    }
}

static void test_prefix_is_found_after_its_sequence_is_gone(void **state)
{
    (void)state;
    fixture f;
    fixture_create(&f);
    rt_token tokens[97];
    for (int i = 0; i < 97; i++) tokens[i] = 1000 + i;
    shadow *s = &f.shadows[0];
    rti_cache_add(&f.cache, &s->id);
    s->is_alive = true;
    assert_int_equal(append(&f, s, tokens, 97), RT_OK);
    rti_cache_remove(&f.cache, s->id);
    s->is_alive = false;

    rt_sequence second;
    int32_t reused;
    rti_cache_add(&f.cache, &second);
    assert_int_equal(rti_cache_reuse_prefix(&f.cache, rti_cache_find(&f.cache, second), tokens, 96, &reused), RT_OK);
    assert_int_equal(reused, 64); // the last of 96 tokens must be computed, so its block is not taken over
    rti_cache_remove(&f.cache, second);
    rti_cache_add(&f.cache, &second);
    tokens[40]++; // another second block
    assert_int_equal(rti_cache_reuse_prefix(&f.cache, rti_cache_find(&f.cache, second), tokens, 97, &reused), RT_OK);
    assert_int_equal(reused, 32);
    rti_cache_destroy(&f.cache);
}

static void test_full_pool_refuses_and_changes_nothing(void **state)
{
    (void)state;
    fixture f;
    fixture_create(&f);
    rt_token tokens[POSITIONS] = {0};
    shadow *a = &f.shadows[0], *b = &f.shadows[1];
    rti_cache_add(&f.cache, &a->id);
    rti_cache_add(&f.cache, &b->id);
    a->is_alive = b->is_alive = true;
    assert_int_equal(append(&f, a, tokens, 500), RT_OK);
    assert_int_equal(append(&f, a, tokens, 100), RT_ERROR_CONTEXT_FULL); // past the model's positions
    for (int i = 0; i < POSITIONS; i++) tokens[i] = i + 5;
    assert_int_equal(append(&f, b, tokens, 500), RT_ERROR_CONTEXT_FULL); // past the pool
    check(&f);
    assert_int_equal(append(&f, b, tokens, 8 * BLOCK), RT_OK);
    check(&f);
    rti_cache_destroy(&f.cache);
}

static void test_snapshot_comes_back_and_damage_is_refused(void **state)
{
    (void)state;
    fixture f;
    fixture_create(&f);
    rt_token tokens[70];
    for (int i = 0; i < 70; i++) tokens[i] = i * 3;
    shadow *s = &f.shadows[0];
    rti_cache_add(&f.cache, &s->id);
    s->is_alive = true;
    append(&f, s, tokens, 70);
    size_t size;
    assert_int_equal(rti_cache_save(&f.cache, rti_cache_find(&f.cache, s->id), NULL, 0, &size), RT_OK);
    uint8_t *bytes = malloc(size), *damaged = malloc(size);
    assert_int_equal(rti_cache_save(&f.cache, rti_cache_find(&f.cache, s->id), bytes, size - 1, &size), RT_ERROR_TOO_LARGE);
    assert_int_equal(rti_cache_save(&f.cache, rti_cache_find(&f.cache, s->id), bytes, size, &size), RT_OK);
    rti_cache_remove(&f.cache, s->id);
    assert_int_equal(rti_cache_restore(&f.cache, bytes, size, &s->id), RT_OK);
    check(&f);
    for (size_t i = 0; i < size; i++) {
        memcpy(damaged, bytes, size);
        damaged[i] ^= 0x10;
        rt_sequence none;
        assert_int_equal(rti_cache_restore(&f.cache, damaged, size, &none), RT_ERROR_BAD_FILE);
    }
    rt_sequence stranger;
    f.cache.def.fingerprint ^= 1; // another model, or another RoPE
    assert_int_equal(rti_cache_restore(&f.cache, bytes, size, &stranger), RT_ERROR_BAD_FILE);
    assert_non_null(strstr(rt_error_message(), "another model"));
    f.cache.def.fingerprint ^= 1;
    rt_kv_type kv_type = f.cache.def.kv_type;
    f.cache.def.kv_type = kv_type == RT_KV_F16 ? RT_KV_Q8_0 : RT_KV_F16;
    assert_int_equal(rti_cache_restore(&f.cache, bytes, size, &stranger), RT_ERROR_BAD_FILE);
    assert_non_null(strstr(rt_error_message(), "type"));
    f.cache.def.kv_type = kv_type;
    for (size_t cut = 0; cut < size; cut += 7) {
        rt_sequence none;
        assert_int_equal(rti_cache_restore(&f.cache, bytes, cut, &none), RT_ERROR_BAD_FILE);
    }
    check(&f);
    free(bytes);
    free(damaged);
    rti_cache_destroy(&f.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_keep_every_sequence_its_own),
        cmocka_unit_test(test_prefix_is_found_after_its_sequence_is_gone),
        cmocka_unit_test(test_full_pool_refuses_and_changes_nothing),
        cmocka_unit_test(test_snapshot_comes_back_and_damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
