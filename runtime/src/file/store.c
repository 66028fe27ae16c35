// file/store.c - what an open file holds: an arena for names and strings, mapped parts, entries and tensors found by name.
// SPDX-License-Identifier: MIT
#include "file/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------------------------------------------------

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

rt_result rti_file_no_memory(const rti_file *file)
{
    return rti_fail(&file->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to read its list of tensors and metadata",
                    file->path);
}

// ---------------------------------------------------------------------------------------------------------------------
// Parts
// ---------------------------------------------------------------------------------------------------------------------

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

// ---------------------------------------------------------------------------------------------------------------------
// Index
// ---------------------------------------------------------------------------------------------------------------------

static const char *name_at(const rti_file *file, const rti_index *index, size_t position)
{
    return index == &file->entry_index ? file->entries[position].key : file->tensors[position].name;
}

// The slot that holds `name`, or the empty one where it belongs.
static size_t index_slot(const rti_file *file, const rti_index *index, const char *name)
{
    size_t mask = index->slot_count - 1;
    size_t slot = (size_t)rti_hash_bytes(name, strlen(name), index->seed) & mask;
    while (index->slots[slot] && strcmp(name_at(file, index, index->slots[slot] - 1), name) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

// Room for `count` names at a load of at most a half.
static bool index_reserve(rti_file *file, rti_index *index, size_t count)
{
    if (count * 2 <= index->slot_count)
        return true;
    rti_index grown = *index;
    grown.slot_count = index->slot_count ? index->slot_count * 2 : 128;
    grown.slots = rti_allocate_zeroed(&file->host, grown.slot_count * sizeof *grown.slots);
    if (!grown.slots)
        return false;
    rti_index old = *index;
    *index = grown;
    for (size_t i = 0; i < old.slot_count; i++)
        if (old.slots[i])
            index->slots[index_slot(file, index, name_at(file, index, old.slots[i] - 1))] = old.slots[i];
    rti_release(&file->host, old.slots, old.slot_count * sizeof *old.slots);
    return true;
}

static bool index_find(const rti_file *file, const rti_index *index, const char *name, size_t *position)
{
    if (!name || index->slot_count == 0)
        return false;
    uint32_t found = index->slots[index_slot(file, index, name)];
    if (!found)
        return false;
    *position = found - 1;
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Adding
// ---------------------------------------------------------------------------------------------------------------------

bool rti_name_is_valid(const char *text, size_t size)
{
    if (size == 0 || size > RTI_MAX_NAME)
        return false;
    const char *end = text + size;
    while (text < end) {
        uint32_t code_point = 0;
        bool valid = true;
        int length = rti_utf8_decode(text, end, &code_point, &valid);
        if (!valid || length == 0 || code_point < 0x20 || code_point == 0x7f)
            return false;
        text += length;
    }
    return true;
}

bool rti_tensor_bytes(rti_type type, int32_t dimension_count, const int64_t *shape, uint64_t *bytes)
{
    const rti_type_info *info = rti_type_find((uint32_t)type);
    if (!info || dimension_count < 1 || dimension_count > 4)
        return false;
    uint64_t total = 1;
    for (int32_t i = 0; i < dimension_count; i++) {
        if (shape[i] < 1 || shape[i] > RTI_MAX_DIMENSION || total > (uint64_t)INT64_MAX / (uint64_t)shape[i])
            return false;
        total *= (uint64_t)shape[i];
    }
    if (shape[0] % info->block_values != 0)
        return false;
    total /= (uint64_t)info->block_values;
    if (total > (uint64_t)INT64_MAX / (uint64_t)info->block_bytes)
        return false;
    *bytes = total * (uint64_t)info->block_bytes;
    return true;
}

rt_result rti_file_add_entry(rti_file *file, const rti_entry *entry)
{
    size_t position;
    if (index_find(file, &file->entry_index, entry->key, &position))
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: key %s: stands there twice", file->path, entry->key);
    if (file->entry_count >= RTI_MAX_ENTRIES)
        return rti_fail(&file->host, RT_ERROR_TOO_LARGE, "%s: more than %d metadata keys", file->path, RTI_MAX_ENTRIES);
    if (!rti_array_reserve(&file->host, (void **)&file->entries, &file->entry_capacity, file->entry_count + 1,
                           sizeof *file->entries) ||
        !index_reserve(file, &file->entry_index, file->entry_count + 1))
        return rti_file_no_memory(file);
    file->entries[file->entry_count] = *entry;
    size_t slot = index_slot(file, &file->entry_index, entry->key);
    file->entry_index.slots[slot] = (uint32_t)++file->entry_count;
    return RT_OK;
}

rt_result rti_file_add_tensor(rti_file *file, const char *path, const rti_tensor *tensor)
{
    size_t position;
    if (index_find(file, &file->tensor_index, tensor->name, &position))
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: tensor %s: stands there twice", path, tensor->name);
    if (file->tensor_count >= RTI_MAX_TENSORS)
        return rti_fail(&file->host, RT_ERROR_TOO_LARGE, "%s: more than %d tensors", path, RTI_MAX_TENSORS);
    if (!rti_array_reserve(&file->host, (void **)&file->tensors, &file->tensor_capacity, file->tensor_count + 1,
                           sizeof *file->tensors) ||
        !index_reserve(file, &file->tensor_index, file->tensor_count + 1))
        return rti_file_no_memory(file);
    file->tensors[file->tensor_count] = *tensor;
    size_t slot = index_slot(file, &file->tensor_index, tensor->name);
    file->tensor_index.slots[slot] = (uint32_t)++file->tensor_count;
    return RT_OK;
}

rt_result rti_file_add_skipped(rti_file *file, const char *name, const char *type)
{
    if (!rti_array_reserve(&file->host, (void **)&file->skipped, &file->skipped_capacity, file->skipped_count + 1,
                           sizeof *file->skipped))
        return rti_file_no_memory(file);
    file->skipped[file->skipped_count++] = (rti_skipped){name, type};
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Asking and closing
// ---------------------------------------------------------------------------------------------------------------------

const char *rti_file_path(const rti_file *file)
{
    return file->path;
}

bool rti_file_is_gguf(const rti_file *file)
{
    return file->is_gguf;
}

uint64_t rti_file_bytes(const rti_file *file)
{
    return file->bytes;
}

size_t rti_file_tensor_count(const rti_file *file)
{
    return file->tensor_count;
}

const rti_tensor *rti_file_tensor_at(const rti_file *file, size_t index)
{
    return index < file->tensor_count ? &file->tensors[index] : NULL;
}

const rti_tensor *rti_file_tensor(const rti_file *file, const char *name)
{
    size_t position;
    return index_find(file, &file->tensor_index, name, &position) ? &file->tensors[position] : NULL;
}

const char *rti_file_skipped_type(const rti_file *file, const char *name)
{
    for (size_t i = 0; i < file->skipped_count; i++)
        if (strcmp(file->skipped[i].name, name) == 0)
            return file->skipped[i].type;
    return NULL;
}

const rti_entry *rti_file_entry(const rti_file *file, const char *key)
{
    size_t position;
    return index_find(file, &file->entry_index, key, &position) ? &file->entries[position] : NULL;
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
