// file/file.c - opening, closing and asking: what GGUF files and folders of safetensors have in common.
// SPDX-License-Identifier: MIT
#include "file/store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

rt_result rti_file_no_memory(const rti_file *file)
{
    return rti_fail(&file->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to read its list of tensors and metadata",
                    file->path);
}

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
// Opening and closing
// ---------------------------------------------------------------------------------------------------------------------

static rt_result read_parts(rti_file *file)
{
    struct stat status;
    if (stat(file->path, &status) != 0)
        return rti_fail(&file->host, errno == ENOENT || errno == ENOTDIR ? RT_ERROR_NOT_FOUND : RT_ERROR_IO,
                        "%s: cannot open: %s", file->path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return rti_folder_read(file);

    rti_mapping *part;
    rt_result result = rti_file_map(file, file->path, &part);
    if (result != RT_OK)
        return result;
    if (rti_gguf_recognise(part)) {
        file->is_gguf = true;
        return rti_gguf_read(file);
    }
    size_t length = strlen(file->path);
    if (length > 12 && strcmp(file->path + length - 12, ".safetensors") == 0)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE,
                        "%s: a safetensors file alone says too little: give the folder that has it, config.json and "
                        "the tokenizer files", file->path);
    return rti_fail(&file->host, RT_ERROR_BAD_FILE,
                    "%s: not a GGUF file (it does not begin with \"GGUF\"): give a .gguf file, or a folder with "
                    "config.json and safetensors", file->path);
}

rt_result rti_file_open(const rt_host *host, const char *path, rti_file **result_file)
{
    *result_file = NULL;
    if (!path || !*path)
        return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "no path of a model file was given");
    rt_host own = rti_host_or_default(host);
    rti_file *file = rti_allocate_zeroed(&own, sizeof *file);
    if (!file)
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to open it", path);
    file->host = own;
    file->entry_index.seed = file->tensor_index.seed = rti_now_ns(); // a file cannot aim at one chain of the index
    file->path_size = strlen(path) + 1;
    file->path = rti_copy_text(&own, path, file->path_size - 1);
    if (!file->path) {
        rti_release(&own, file, sizeof *file);
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to open it", path);
    }
    rt_result result = read_parts(file);
    if (result != RT_OK) {
        rti_file_close(file);
        return result;
    }
    *result_file = file;
    return RT_OK;
}

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
