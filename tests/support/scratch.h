// support/scratch.h - files that exist for one test only.
// SPDX-License-Identifier: MIT
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A new folder, in memory where the system has such a place. False: none can be made.
static inline bool scratch_create(char path[256])
{
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, 256, "%s/repartee-test-XXXXXX", root);
    return mkdtemp(path) != NULL;
}

// The folder and the plain files in it.
static inline void scratch_remove(const char *path)
{
    DIR *folder = opendir(path);
    char name[600];
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(name);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

static inline bool scratch_write(const char *folder, const char *name, const void *data, size_t size)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    bool done = file && fwrite(data, 1, size, file) == size;
    if (file && fclose(file) != 0)
        done = false;
    return done;
}

#endif
