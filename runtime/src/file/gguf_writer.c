// file/gguf_writer.c - writes GGUF version 3: everything is declared first, then the tensors' data follow in that order.
//
// The file grows under another name beside its place and moves there when it is whole.
// SPDX-License-Identifier: MIT
#include "file/gguf_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct declared {
    uint64_t offset, bytes;
} declared;

struct rti_gguf_writer {
    rt_host host;
    char *path, *partial;
    size_t path_size, partial_size;
    FILE *file;
    uint8_t *entries, *records; // as they will stand in the file
    size_t entries_size, entries_capacity, records_size, records_capacity;
    uint64_t entry_count;
    declared *tensors;
    size_t tensor_count, tensor_capacity;
    uint64_t data_bytes; // declared so far, padding included
    size_t current;      // tensor that data goes into
    uint64_t written;    // of it
    bool in_data;
};

static rt_result no_memory(const rti_gguf_writer *writer)
{
    return rti_fail(&writer->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to write it", writer->path);
}

static rt_result raise_io(const rti_gguf_writer *writer)
{
    return rti_fail(&writer->host, RT_ERROR_IO, "%s: cannot write: %s", writer->partial, strerror(errno));
}

static bool append(rti_gguf_writer *writer, uint8_t **buffer, size_t *size, size_t *capacity, const void *data,
                   size_t bytes)
{
    size_t needed;
    if (!rti_size_add(*size, bytes, &needed) || !rti_array_reserve(&writer->host, (void **)buffer, capacity, needed, 1))
        return false;
    if (bytes)
        memcpy(*buffer + *size, data, bytes);
    *size = needed;
    return true;
}

static bool put_entry(rti_gguf_writer *writer, const void *data, size_t bytes)
{
    return append(writer, &writer->entries, &writer->entries_size, &writer->entries_capacity, data, bytes);
}

static bool put_record(rti_gguf_writer *writer, const void *data, size_t bytes)
{
    return append(writer, &writer->records, &writer->records_size, &writer->records_capacity, data, bytes);
}

static bool put_text(rti_gguf_writer *writer, const char *text, size_t size)
{
    uint64_t length = size;
    return put_entry(writer, &length, sizeof length) && put_entry(writer, text, size);
}

static bool begin_entry(rti_gguf_writer *writer, const char *key, uint32_t type)
{
    bool done = put_text(writer, key, strlen(key)) && put_entry(writer, &type, sizeof type);
    writer->entry_count += done ? 1 : 0;
    return done;
}

// ---------------------------------------------------------------------------------------------------------------------
// Life
// ---------------------------------------------------------------------------------------------------------------------

static void destroy(rti_gguf_writer *writer)
{
    rt_host host = writer->host;
    if (writer->file)
        fclose(writer->file);
    rti_release(&host, writer->path, writer->path_size);
    rti_release(&host, writer->partial, writer->partial_size);
    rti_release(&host, writer->entries, writer->entries_capacity);
    rti_release(&host, writer->records, writer->records_capacity);
    rti_release(&host, writer->tensors, writer->tensor_capacity * sizeof *writer->tensors);
    rti_release(&host, writer, sizeof *writer);
}

rt_result rti_gguf_writer_create(const rt_host *host, const char *path, rti_gguf_writer **result_writer)
{
    static const char ending[] = ".partial";
    *result_writer = NULL;
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) // a device must not be moved away
        return rti_fail(host, RT_ERROR_IO, "%s: not a file: give a path where a file can be written", path);
    rt_host own = rti_host_or_default(host);
    rti_gguf_writer *writer = rti_allocate_zeroed(&own, sizeof *writer);
    if (!writer)
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to write it", path);
    writer->host = own;
    writer->path_size = strlen(path) + 1;
    writer->partial_size = writer->path_size + sizeof ending - 1;
    writer->path = rti_copy_text(&own, path, writer->path_size - 1);
    writer->partial = rti_allocate(&own, writer->partial_size);
    if (!writer->path || !writer->partial) {
        destroy(writer);
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to write it", path);
    }
    snprintf(writer->partial, writer->partial_size, "%s%s", path, ending);
    writer->file = fopen(writer->partial, "wbe");
    if (!writer->file) {
        rt_result result = raise_io(writer);
        destroy(writer);
        return result;
    }
    *result_writer = writer;
    return RT_OK;
}

rt_result rti_gguf_writer_finish(rti_gguf_writer *writer, bool keep)
{
    if (!writer)
        return RT_OK;
    rt_result result = RT_OK;
    if (keep && (!writer->in_data || writer->current != writer->tensor_count))
        result = rti_fail(&writer->host, RT_ERROR_INTERNAL, "%s: finished before all tensors were written", writer->path);
    bool flushed = fflush(writer->file) == 0 && (!keep || fsync(fileno(writer->file)) == 0);
    if (keep && result == RT_OK && !flushed)
        result = raise_io(writer);
    fclose(writer->file);
    writer->file = NULL;
    if (keep && result == RT_OK && rename(writer->partial, writer->path) != 0)
        result = raise_io(writer);
    if (!keep || result != RT_OK)
        unlink(writer->partial);
    destroy(writer);
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Declaring
// ---------------------------------------------------------------------------------------------------------------------

rt_result rti_gguf_writer_set_unsigned(rti_gguf_writer *writer, const char *key, uint32_t value)
{
    bool done = begin_entry(writer, key, RTI_GGUF_UINT32) && put_entry(writer, &value, sizeof value);
    return done ? RT_OK : no_memory(writer);
}

rt_result rti_gguf_writer_set_float(rti_gguf_writer *writer, const char *key, float value)
{
    bool done = begin_entry(writer, key, RTI_GGUF_FLOAT32) && put_entry(writer, &value, sizeof value);
    return done ? RT_OK : no_memory(writer);
}

rt_result rti_gguf_writer_set_bool(rti_gguf_writer *writer, const char *key, bool value)
{
    uint8_t byte = value;
    return begin_entry(writer, key, RTI_GGUF_BOOL) && put_entry(writer, &byte, 1) ? RT_OK : no_memory(writer);
}

rt_result rti_gguf_writer_set_text(rti_gguf_writer *writer, const char *key, const char *value, size_t size)
{
    return begin_entry(writer, key, RTI_GGUF_STRING) && put_text(writer, value, size) ? RT_OK : no_memory(writer);
}

rt_result rti_gguf_writer_set_string(rti_gguf_writer *writer, const char *key, const char *value)
{
    return rti_gguf_writer_set_text(writer, key, value, strlen(value));
}

rt_result rti_gguf_writer_set_bools(rti_gguf_writer *writer, const char *key, const bool *values, size_t count)
{
    uint32_t element = RTI_GGUF_BOOL;
    uint64_t length = count;
    bool done = begin_entry(writer, key, RTI_GGUF_ARRAY) && put_entry(writer, &element, sizeof element) &&
                put_entry(writer, &length, sizeof length);
    for (size_t i = 0; i < count && done; i++) {
        uint8_t byte = values[i];
        done = put_entry(writer, &byte, 1);
    }
    return done ? RT_OK : no_memory(writer);
}

static bool copy_array(rti_gguf_writer *writer, const rti_array *array)
{
    uint64_t count = array->count;
    if (!put_entry(writer, &array->element, sizeof array->element) || !put_entry(writer, &count, sizeof count))
        return false;
    if (array->kind != RTI_VALUE_STRING)
        return put_entry(writer, array->data, array->count * rti_gguf_value_size(array->element));
    for (size_t i = 0; i < array->count; i++) {
        uint64_t size;
        const uint8_t *at = array->data + array->offsets[i];
        memcpy(&size, at, sizeof size);
        if (!put_entry(writer, at, sizeof size + (size_t)size))
            return false;
    }
    return true;
}

static bool copy_value(rti_gguf_writer *writer, const rti_entry *entry)
{
    if (entry->kind == RTI_VALUE_STRING)
        return put_text(writer, entry->value.text.data, entry->value.text.size);
    if (entry->kind == RTI_VALUE_ARRAY)
        return copy_array(writer, &entry->value.array);
    uint8_t bytes[8] = {0};
    float single = (float)entry->value.real;
    if (entry->kind == RTI_VALUE_BOOL)
        bytes[0] = entry->value.truth;
    else if (entry->element == RTI_GGUF_FLOAT32)
        memcpy(bytes, &single, sizeof single);
    else
        memcpy(bytes, &entry->value.number, sizeof bytes); // little-endian: the low bytes come first
    return put_entry(writer, bytes, rti_gguf_value_size(entry->element));
}

rt_result rti_gguf_writer_copy_entries(rti_gguf_writer *writer, const rti_file *source, const char *beginning)
{
    static const char *const left_out[] = {"split.no", "split.count", "split.tensors.count", "general.alignment",
                                           "general.file_type", "general.quantization_version"};
    for (size_t i = 0; i < source->entry_count && source->is_gguf; i++) {
        const rti_entry *entry = &source->entries[i];
        bool kept = strncmp(entry->key, beginning, strlen(beginning)) == 0;
        for (size_t j = 0; j < RTI_COUNT(left_out); j++)
            kept = kept && strcmp(entry->key, left_out[j]) != 0;
        uint32_t type = entry->kind == RTI_VALUE_ARRAY ? RTI_GGUF_ARRAY : entry->element;
        if (kept && (!begin_entry(writer, entry->key, type) || !copy_value(writer, entry)))
            return no_memory(writer);
    }
    return RT_OK;
}

rt_result rti_gguf_writer_copy_metadata(rti_gguf_writer *writer, const rti_file *source)
{
    return rti_gguf_writer_copy_entries(writer, source, "");
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + RTI_GGUF_ALIGNMENT - 1) / RTI_GGUF_ALIGNMENT * RTI_GGUF_ALIGNMENT;
}

rt_result rti_gguf_writer_add_tensor(rti_gguf_writer *writer, const char *name, rti_type type, int32_t dimension_count,
                                     const int64_t *shape)
{
    declared tensor = {.offset = writer->data_bytes};
    uint64_t length = strlen(name);
    uint32_t dimensions = (uint32_t)dimension_count, number = (uint32_t)type;
    if (writer->in_data || !rti_tensor_bytes(type, dimension_count, shape, &tensor.bytes))
        return rti_fail(&writer->host, RT_ERROR_INTERNAL, "%s: tensor %s: declared late or with an impossible shape",
                        writer->path, name);
    bool done = put_record(writer, &length, sizeof length) && put_record(writer, name, (size_t)length) &&
                put_record(writer, &dimensions, sizeof dimensions);
    for (int32_t i = 0; i < dimension_count && done; i++)
        done = put_record(writer, &shape[i], sizeof shape[i]);
    done = done && put_record(writer, &number, sizeof number) && put_record(writer, &tensor.offset, sizeof tensor.offset) &&
           rti_array_reserve(&writer->host, (void **)&writer->tensors, &writer->tensor_capacity, writer->tensor_count + 1,
                             sizeof *writer->tensors);
    if (!done)
        return no_memory(writer);
    writer->tensors[writer->tensor_count++] = tensor;
    writer->data_bytes += padded(tensor.bytes);
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Data
// ---------------------------------------------------------------------------------------------------------------------

static bool put(rti_gguf_writer *writer, const void *data, size_t bytes)
{
    return bytes == 0 || fwrite(data, 1, bytes, writer->file) == bytes;
}

static bool put_padding(rti_gguf_writer *writer, uint64_t bytes)
{
    static const uint8_t zeros[RTI_GGUF_ALIGNMENT] = {0};
    return put(writer, zeros, (size_t)(padded(bytes) - bytes));
}

rt_result rti_gguf_writer_begin_data(rti_gguf_writer *writer)
{
    uint32_t version = 3;
    uint64_t tensor_count = writer->tensor_count;
    bool done = put(writer, RTI_GGUF_MAGIC, 4) && put(writer, &version, sizeof version) &&
                put(writer, &tensor_count, sizeof tensor_count) &&
                put(writer, &writer->entry_count, sizeof writer->entry_count) &&
                put(writer, writer->entries, writer->entries_size) && put(writer, writer->records, writer->records_size) &&
                put_padding(writer, 24 + writer->entries_size + writer->records_size);
    writer->in_data = true;
    return done ? RT_OK : raise_io(writer);
}

rt_result rti_gguf_writer_write_tensor(rti_gguf_writer *writer, const void *data, uint64_t bytes)
{
    if (!writer->in_data || writer->current >= writer->tensor_count ||
        bytes > writer->tensors[writer->current].bytes - writer->written)
        return rti_fail(&writer->host, RT_ERROR_INTERNAL, "%s: more data than was declared", writer->path);
    if (!put(writer, data, (size_t)bytes))
        return raise_io(writer);
    writer->written += bytes;
    if (writer->written == writer->tensors[writer->current].bytes) {
        if (!put_padding(writer, writer->written))
            return raise_io(writer);
        writer->current++;
        writer->written = 0;
    }
    return RT_OK;
}
