// file/memory.c - what an open file holds: mappings of its parts, and an arena for names and strings.
// SPDX-License-Identifier: MIT
#include "file/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct rti_chunk {
    rti_chunk *next;
    size_t size, used; // of the bytes that follow
};

#define CHUNK_HEADER 32 // keeps what follows aligned
#define CHUNK_SIZE 65536

void *rti_file_memory(rti_file *file, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    rti_chunk *chunk = file->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = RTI_MAX(size, (size_t)CHUNK_SIZE);
        chunk = rti_allocate(&file->host, CHUNK_HEADER + room);
        if (!chunk)
            return NULL;
        chunk->size = room;
        chunk->used = 0;
        if (file->chunks && room > CHUNK_SIZE) { // large ones go behind, so that the head keeps its free room
            chunk->next = file->chunks->next;
            file->chunks->next = chunk;
        } else {
            chunk->next = file->chunks;
            file->chunks = chunk;
        }
    }
    void *memory = (uint8_t *)chunk + CHUNK_HEADER + chunk->used;
    chunk->used += size;
    return memory;
}

char *rti_file_copy(rti_file *file, const char *text, size_t size)
{
    char *copy = rti_file_memory(file, size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

rt_result rti_file_map(rti_file *file, const char *path, rti_mapping **result_part)
{
    struct stat status;
    if (file->part_count >= RTI_MAX_PARTS)
        return rti_fail(&file->host, RT_ERROR_TOO_LARGE, "%s: a model of more than %d files", file->path, RTI_MAX_PARTS);
    if (!rti_array_reserve(&file->host, (void **)&file->parts, &file->part_capacity, file->part_count + 1,
                           sizeof *file->parts))
        return rti_file_no_memory(file);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return rti_fail(&file->host, errno == ENOENT ? RT_ERROR_NOT_FOUND : RT_ERROR_IO, "%s: cannot open: %s", path,
                        strerror(errno));
    rt_result result = RT_OK;
    void *data = NULL;
    if (fstat(descriptor, &status) != 0)
        result = rti_fail(&file->host, RT_ERROR_IO, "%s: cannot read its size: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode))
        result = rti_fail(&file->host, RT_ERROR_IO, "%s: not a file", path);
    else if (status.st_size == 0)
        result = rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: the file is empty", path);
    else if ((data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0)) == MAP_FAILED)
        result = rti_fail(&file->host, RT_ERROR_IO, "%s: cannot map: %s", path, strerror(errno));
    close(descriptor);
    if (result != RT_OK)
        return result;

    rti_mapping part = {.data = data, .size = (size_t)status.st_size, .path_size = strlen(path) + 1};
    part.path = rti_copy_text(&file->host, path, part.path_size - 1);
    if (!part.path) {
        munmap(data, part.size);
        return rti_file_no_memory(file);
    }
    file->bytes += part.size;
    file->parts[file->part_count] = part;
    *result_part = &file->parts[file->part_count++];
    return RT_OK;
}

void rti_file_close(rti_file *file)
{
    if (!file)
        return;
    rt_host host = file->host;
    for (size_t i = 0; i < file->part_count; i++) {
        munmap((void *)(uintptr_t)file->parts[i].data, file->parts[i].size);
        rti_release(&host, file->parts[i].path, file->parts[i].path_size);
    }
    while (file->chunks) {
        rti_chunk *chunk = file->chunks;
        file->chunks = chunk->next;
        rti_release(&host, chunk, CHUNK_HEADER + chunk->size);
    }
    rti_release(&host, file->parts, file->part_capacity * sizeof *file->parts);
    rti_release(&host, file->entries, file->entry_capacity * sizeof *file->entries);
    rti_release(&host, file->tensors, file->tensor_capacity * sizeof *file->tensors);
    rti_release(&host, file->skipped, file->skipped_capacity * sizeof *file->skipped);
    rti_release(&host, file->entry_index.slots, file->entry_index.slot_count * sizeof(uint32_t));
    rti_release(&host, file->tensor_index.slots, file->tensor_index.slot_count * sizeof(uint32_t));
    rti_release(&host, file->path, file->path_size);
    rti_release(&host, file, sizeof *file);
}

void rti_file_prefetch(const rti_file *file)
{
    for (size_t i = 0; i < file->part_count; i++)
        madvise((void *)(uintptr_t)file->parts[i].data, file->parts[i].size, MADV_WILLNEED);
}

void rti_file_drop(const rti_file *file, const void *data, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page; // whole pages only: neighbours may still be wanted
    uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    for (size_t i = 0; i < file->part_count; i++) {
        uintptr_t first = (uintptr_t)file->parts[i].data, last = first + file->parts[i].size;
        if ((uintptr_t)data >= first && (uintptr_t)data + bytes <= last && begin < end)
            madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}
