// file/safetensors.c - reads the header of a safetensors file: 8 bytes of length, JSON, then raw values in C order.
//
// Tensors of types that no weight has (I64 buffers and the like) are passed over; asking for one says its type.
// SPDX-License-Identifier: MIT
#include "file/readers.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER (100u << 20) // the format's own limit

static rt_result raise(const rti_file *file, const rti_mapping *part, const char *name, const char *what)
{
    return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: tensor %s: %s", part->path, name, what);
}

static bool type_of(const char *name, rti_type *type)
{
    static const struct { const char *name; rti_type type; } types[] = {
        {"F32", RTI_TYPE_F32}, {"F16", RTI_TYPE_F16}, {"BF16", RTI_TYPE_BF16}, {"F8_E4M3", RTI_TYPE_F8_E4M3},
    };
    for (size_t i = 0; i < RTI_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0) {
            *type = types[i].type;
            return true;
        }
    return false;
}

// The shape stands outermost first; [] is one value. False: cannot be read (more than four dimensions, or an empty one).
static bool read_shape(const json_t *shape, rti_tensor *tensor)
{
    size_t count = json_array_size(shape);
    if (!json_is_array(shape) || count > 4)
        return false;
    tensor->dimension_count = count ? (int32_t)count : 1;
    for (size_t i = 0; i < 4; i++)
        tensor->shape[i] = 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *size = json_array_get(shape, i);
        if (!json_is_integer(size))
            return false;
        tensor->shape[count - 1 - i] = json_integer_value(size);
    }
    return true;
}

static rt_result read_tensor(rti_file *file, const rti_mapping *part, uint64_t data_begin, const char *key,
                             const json_t *record)
{
    const json_t *offsets = json_object_get(record, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    const char *type = json_string_value(json_object_get(record, "dtype"));
    uint64_t room = part->size - data_begin;
    if (!type || !json_is_integer(first) || !json_is_integer(last) || json_array_size(offsets) != 2)
        return raise(file, part, key, "needs dtype, shape and two data_offsets");
    int64_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return raise(file, part, key, "its data_offsets reach past the end of the file: it is truncated or damaged; "
                                      "fetch it again");
    const char *name = rti_file_copy(file, key, strlen(key));
    if (!name)
        return rti_file_no_memory(file);
    rti_tensor tensor = {.name = name, .data = part->data + data_begin + begin};
    const json_t *shape = json_object_get(record, "shape");
    if (!read_shape(shape, &tensor) || !type_of(type, &tensor.type)) {
        if (!json_is_array(shape))
            return raise(file, part, key, "needs a shape");
        const char *kept = rti_file_copy(file, type, strlen(type));
        return kept ? rti_file_add_skipped(file, name, kept) : rti_file_no_memory(file);
    }
    if (!rti_tensor_bytes(tensor.type, tensor.dimension_count, tensor.shape, &tensor.bytes) ||
        tensor.bytes != (uint64_t)(end - begin))
        return raise(file, part, key, "its shape and its data_offsets do not agree");
    // Files that older writers made do not pad: values may begin anywhere, and are read byte by byte everywhere.
    return rti_file_add_tensor(file, part->path, &tensor);
}

rt_result rti_safetensors_read(rti_file *file, const rti_mapping *part)
{
    uint64_t length;
    json_error_t error;
    if (part->size < 8)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: too short for a safetensors file", part->path);
    memcpy(&length, part->data, sizeof length);
    if (length > part->size - 8 || length > MAX_HEADER)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: a header of %llu bytes in a file of %zu: no safetensors "
                        "file, or truncated", part->path, (unsigned long long)length, part->size);
    json_t *header = json_loadb((const char *)part->data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!header)
        return rti_fail(&file->host, json_error_code(&error) == json_error_out_of_memory ? RT_ERROR_OUT_OF_MEMORY
                                                                                         : RT_ERROR_BAD_FILE,
                        "%s: header, line %d: %s", part->path, error.line, error.text);
    rt_result result = RT_OK;
    if (!json_is_object(header))
        result = rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: the header is no JSON object", part->path);
    for (void *at = json_object_iter(header); at && result == RT_OK; at = json_object_iter_next(header, at)) {
        const char *name = json_object_iter_key(at);
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!rti_name_is_valid(name, strlen(name)))
            result = rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: a tensor whose name is empty or no plain text",
                              part->path);
        else
            result = read_tensor(file, part, 8 + length, name, json_object_iter_value(at));
    }
    json_decref(header);
    return result;
}
