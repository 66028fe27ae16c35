// tool/cache.c - grammars of live schemas, found again by content.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "tool/tool.h"

#include <string.h>

rt_grammar *rpi_grammar_cache_find(rp_world *world, const char *text, size_t size)
{
    uint64_t hash = rpi_hash(text, size, 0);
    for (int i = 0; i < RPI_GRAMMAR_CACHE; i++) {
        rpi_grammar_entry *entry = &world->grammars->entries[i];
        if (entry->grammar != NULL && entry->hash == hash && entry->size == size && memcmp(entry->text, text, size) == 0) {
            entry->used = ++world->grammars->clock;
            return rt_grammar_retain(entry->grammar);
        }
    }
    return NULL;
}

static void free_entry(rp_world *world, rpi_grammar_entry *entry)
{
    rpi_release(&world->host, entry->text, entry->size + 1);
    rt_grammar_release(entry->grammar);
    *entry = (rpi_grammar_entry){ 0 };
}

// A cache: where there is no memory for an entry there is none.
void rpi_grammar_cache_add(rp_world *world, const char *text, size_t size, rt_grammar *grammar)
{
    rpi_grammar_entry *oldest = &world->grammars->entries[0];
    for (int i = 0; i < RPI_GRAMMAR_CACHE; i++)
        if (world->grammars->entries[i].used < oldest->used)
            oldest = &world->grammars->entries[i];
    char *copy = rpi_copy_text(&world->host, text, size);
    if (copy == NULL)
        return;
    free_entry(world, oldest);
    *oldest = (rpi_grammar_entry){ rpi_hash(text, size, 0), copy, size, rt_grammar_retain(grammar), ++world->grammars->clock };
}

void rpi_grammar_cache_free(rp_world *world)
{
    for (int i = 0; i < RPI_GRAMMAR_CACHE; i++)
        free_entry(world, &world->grammars->entries[i]);
}
