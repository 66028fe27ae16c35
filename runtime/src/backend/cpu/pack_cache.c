// backend/cpu/pack_cache.c - packed weights kept between runs, in a folder that the application names.
//
// One file a network, named after its fingerprint. It is only ever a shortcut: whatever is wrong with it - missing, of another
// version, damaged, a full disk - means packing as if there were none.
//
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CACHE_MAGIC 0x324b43415050524eu // changes with the layout of panels
#define PATH_SIZE 4096

typedef struct cache_header {
    uint64_t magic, fingerprint, bytes, hash;
} cache_header;

static bool cache_path(char path[PATH_SIZE], const char *folder, const rti_weights *weights, const char *suffix)
{
    int length = snprintf(path, PATH_SIZE, "%s/%016llx.panels%s", folder, (unsigned long long)weights->network->fingerprint, suffix);
    return length > 0 && length < PATH_SIZE;
}

static uint64_t cache_hash(const rti_weights *weights)
{
    return rti_hash_bytes(weights->arena, weights->arena_bytes, weights->network->fingerprint);
}

bool rti_pack_cache_read(rti_weights *weights, const char *folder)
{
    char path[PATH_SIZE];
    cache_header header;
    FILE *file = cache_path(path, folder, weights, "") ? fopen(path, "rb") : NULL;
    if (!file) {
        return false;
    }
    bool good = fread(&header, sizeof header, 1, file) == 1 && header.magic == CACHE_MAGIC &&
                header.fingerprint == weights->network->fingerprint && header.bytes == weights->arena_bytes &&
                fread(weights->arena, 1, weights->arena_bytes, file) == weights->arena_bytes && cache_hash(weights) == header.hash;
    fclose(file);
    if (!good) {
        rti_log(&weights->host, RT_LOG_WARNING, "%s: not the packed weights of this model, or damaged: packing again", path);
    }
    return good;
}

void rti_pack_cache_write(const rti_weights *weights, const char *folder)
{
    char path[PATH_SIZE], temporary[PATH_SIZE], suffix[32];
    snprintf(suffix, sizeof suffix, ".%ld", (long)getpid());
    if (!cache_path(path, folder, weights, "") || !cache_path(temporary, folder, weights, suffix)) {
        return;
    }
    const cache_header header = {CACHE_MAGIC, weights->network->fingerprint, weights->arena_bytes, cache_hash(weights)};
    FILE *file = fopen(temporary, "wb");
    bool good = file && fwrite(&header, sizeof header, 1, file) == 1 &&
                fwrite(weights->arena, 1, weights->arena_bytes, file) == weights->arena_bytes && fflush(file) == 0;
    good = file && fclose(file) == 0 && good;
    if (!good || rename(temporary, path) != 0) {
        rti_log(&weights->host, RT_LOG_WARNING, "%s: packed weights are not kept: %s", path, strerror(errno));
        remove(temporary);
    }
}
