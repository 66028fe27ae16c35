// file/folder.c - a folder as the Hugging Face hub has it: config.json as metadata, one or many safetensors files.
// SPDX-License-Identifier: MIT
#include "file/readers.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_CAPACITY = 4096, MAX_DEPTH = 16, MAX_JSON_BYTES = 64 << 20 };

static rt_result path_in(const rti_file *file, const char *name, char *path)
{
    int written = snprintf(path, PATH_CAPACITY, "%s/%s", file->path, name);
    if (written < 0 || written >= PATH_CAPACITY)
        return rti_fail(&file->host, RT_ERROR_TOO_LARGE, "%s: the path is too long", file->path);
    return RT_OK;
}

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static rt_result load_json(rti_file *file, const char *path, json_t **root)
{
    struct stat status;
    json_error_t error;
    if (stat(path, &status) != 0)
        return rti_fail(&file->host, errno == ENOENT ? RT_ERROR_NOT_FOUND : RT_ERROR_IO, "%s: cannot open: %s", path,
                        strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size > MAX_JSON_BYTES)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: not a file, or too large to be what its name says", path);
    *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!*root)
        return rti_fail(&file->host, json_error_code(&error) == json_error_out_of_memory ? RT_ERROR_OUT_OF_MEMORY
                                                                                         : RT_ERROR_BAD_FILE,
                        "%s: line %d: %s", path, error.line, error.text);
    if (json_is_object(*root))
        return RT_OK;
    json_decref(*root);
    *root = NULL;
    return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: is no JSON object", path);
}

// ---------------------------------------------------------------------------------------------------------------------
// config.json
// ---------------------------------------------------------------------------------------------------------------------

static rt_result add_array(rti_file *file, const char *key, const json_t *list)
{
    size_t count = json_array_size(list), texts = 0, numbers = 0;
    rti_entry entry = {.key = key, .kind = RTI_VALUE_ARRAY};
    rti_array *array = &entry.value.array;
    array->count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        texts += json_is_string(value) ? 1 : 0;
        numbers += json_is_number(value) || json_is_boolean(value) ? 1 : 0;
    }
    if (texts != count && numbers != count)
        return RT_OK; // lists of objects say nothing that a model needs
    if (texts == count && count > 0) {
        rti_text *copies = rti_file_memory(file, count * sizeof *copies);
        array->kind = RTI_VALUE_STRING;
        array->texts = copies;
        for (size_t i = 0; copies && i < count; i++) {
            const json_t *value = json_array_get(list, i);
            copies[i].size = json_string_length(value);
            copies[i].data = rti_file_copy(file, json_string_value(value), copies[i].size);
            if (!copies[i].data)
                copies = NULL;
        }
        return copies ? rti_file_add_entry(file, &entry) : rti_file_no_memory(file);
    }
    double *values = rti_file_memory(file, count * sizeof *values);
    if (!values)
        return rti_file_no_memory(file);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        values[i] = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    }
    array->kind = count && json_is_boolean(json_array_get(list, 0)) ? RTI_VALUE_BOOL : RTI_VALUE_FLOAT;
    array->numbers = values;
    return rti_file_add_entry(file, &entry);
}

static rt_result add_object(rti_file *file, const char *prefix, const json_t *object, int depth);

static rt_result add_value(rti_file *file, const char *key, const json_t *value, int depth)
{
    rti_entry entry = {.key = key};
    switch (json_typeof(value)) {
    case JSON_OBJECT: return add_object(file, key, value, depth + 1);
    case JSON_ARRAY: return add_array(file, key, value);
    case JSON_NULL: return RT_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        entry.kind = RTI_VALUE_BOOL;
        entry.value.truth = json_is_true(value);
        break;
    case JSON_REAL:
        entry.kind = RTI_VALUE_FLOAT;
        entry.value.real = json_real_value(value);
        break;
    case JSON_INTEGER:
        entry.kind = json_integer_value(value) < 0 ? RTI_VALUE_SIGNED : RTI_VALUE_UNSIGNED;
        if (entry.kind == RTI_VALUE_SIGNED)
            entry.value.signed_number = json_integer_value(value);
        else
            entry.value.number = (uint64_t)json_integer_value(value);
        break;
    case JSON_STRING:
        entry.kind = RTI_VALUE_STRING;
        entry.value.text.size = json_string_length(value);
        entry.value.text.data = rti_file_copy(file, json_string_value(value), entry.value.text.size);
        if (!entry.value.text.data)
            return rti_file_no_memory(file);
        break;
    }
    return rti_file_add_entry(file, &entry);
}

static rt_result add_object(rti_file *file, const char *prefix, const json_t *object, int depth)
{
    if (depth > MAX_DEPTH)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s/config.json: %s: nested too deep", file->path, prefix);
    rt_result result = RT_OK;
    json_t *walked = (json_t *)(uintptr_t)object; // jansson's iterators want it so
    for (void *at = json_object_iter(walked); at && result == RT_OK; at = json_object_iter_next(walked, at)) {
        char key[RTI_MAX_NAME];
        const char *name = json_object_iter_key(at);
        int written = snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", name);
        if (written < 0 || (size_t)written >= sizeof key || !rti_name_is_valid(key, (size_t)written))
            return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s/config.json: a key that is too long or no plain text",
                            file->path);
        const char *kept = rti_file_copy(file, key, (size_t)written);
        result = kept ? add_value(file, kept, json_object_iter_value(at), depth) : rti_file_no_memory(file);
    }
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Weights
// ---------------------------------------------------------------------------------------------------------------------

static rt_result read_weights(rti_file *file, const char *name)
{
    char path[PATH_CAPACITY];
    rti_mapping *part;
    rt_result result = path_in(file, name, path);
    if (result == RT_OK)
        result = rti_file_map(file, path, &part);
    return result == RT_OK ? rti_safetensors_read(file, part) : result;
}

// A shard's name is a plain file name in this folder and nowhere else.
static bool is_plain_name(const char *name)
{
    return *name && strlen(name) < 512 && !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, "..") != 0 &&
           strcmp(name, ".") != 0 && rti_name_is_valid(name, strlen(name));
}

static bool is_mapped(const rti_file *file, const char *name)
{
    for (size_t i = 0; i < file->part_count; i++) {
        const char *slash = strrchr(file->parts[i].path, '/');
        if (slash && strcmp(slash + 1, name) == 0)
            return true;
    }
    return false;
}

static rt_result read_shards(rti_file *file, const char *index_path, json_t *index)
{
    json_t *map = json_object_get(index, "weight_map");
    rt_result result = RT_OK;
    if (!json_is_object(map))
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: weight_map: missing", index_path);
    for (void *at = json_object_iter(map); at && result == RT_OK; at = json_object_iter_next(map, at)) {
        const char *shard = json_string_value(json_object_iter_value(at));
        if (!shard || !is_plain_name(shard))
            return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: weight_map: %s: no plain file name", index_path,
                            json_object_iter_key(at));
        if (!is_mapped(file, shard))
            result = read_weights(file, shard);
    }
    for (void *at = json_object_iter(map); at && result == RT_OK; at = json_object_iter_next(map, at)) {
        const char *name = json_object_iter_key(at);
        if (!rti_file_tensor(file, name) && !rti_file_skipped_type(file, name))
            return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: tensor %s: is in none of the files", index_path, name);
    }
    return result;
}

rt_result rti_folder_read(rti_file *file)
{
    char path[PATH_CAPACITY];
    json_t *root;
    rt_result result = path_in(file, "config.json", path);
    if (result == RT_OK && !exists(path))
        return rti_fail(&file->host, RT_ERROR_NOT_FOUND, "%s: a folder without config.json: give a .gguf file, or a folder "
                        "with config.json and safetensors", file->path);
    if (result == RT_OK)
        result = load_json(file, path, &root);
    if (result != RT_OK)
        return result;
    result = add_object(file, "", root, 0);
    json_decref(root);
    if (result == RT_OK)
        result = path_in(file, "model.safetensors.index.json", path);
    if (result != RT_OK)
        return result;
    if (!exists(path))
        return read_weights(file, "model.safetensors");
    result = load_json(file, path, &root);
    if (result != RT_OK)
        return result;
    result = read_shards(file, path, root);
    json_decref(root);
    return result;
}
