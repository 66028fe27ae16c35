// model/keys.c - hyperparameters by either spelling.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

const char *rti_reader_key(const rti_reader *reader, const char *gguf, const char *config, char *key, size_t capacity)
{
    int written;
    if (reader->is_gguf)
        written = gguf ? snprintf(key, capacity, "%s.%s", reader->architecture, gguf) : -1;
    else
        written = config ? snprintf(key, capacity, "%s%s", reader->config_scope, config) : -1;
    return written > 0 && (size_t)written < capacity ? key : NULL;
}

// Families of one size a layer give the number once; some converters write it for each layer.
static bool find_uniform(const rti_reader *reader, const char *key, uint64_t *value)
{
    rti_value_kind kind;
    size_t count;
    double first, other;
    if (!rti_file_get_array(reader->file, key, &kind, &count) || count == 0 ||
        !rti_file_array_number(reader->file, key, 0, &first) || first < 0 || first > 1e9 ||
        first != (double)(uint64_t)first)
        return false;
    for (size_t i = 1; i < count; i++)
        if (!rti_file_array_number(reader->file, key, i, &other) || other != first)
            return false;
    *value = (uint64_t)first;
    return true;
}

static bool find_default(const rti_reader *reader, const char *config, double *value)
{
    const rti_config_default *at = reader->is_gguf || !config ? NULL : reader->defaults;
    for (; at && at->key; at++)
        if (strcmp(at->key, config) == 0) {
            *value = at->value;
            return true;
        }
    return false;
}

bool rti_find_size(const rti_reader *reader, const char *gguf, const char *config, uint64_t *value)
{
    char buffer[256];
    const char *key = rti_reader_key(reader, gguf, config, buffer, sizeof buffer);
    if (key && (rti_file_get_unsigned(reader->file, key, value) || find_uniform(reader, key, value)))
        return true;
    double taken;
    bool found = key && rti_file_value_kind(reader->file, key) == RTI_VALUE_NONE && find_default(reader, config, &taken);
    if (found)
        *value = (uint64_t)taken;
    return found;
}

bool rti_find_float(const rti_reader *reader, const char *gguf, const char *config, double *value)
{
    char buffer[256];
    const char *key = rti_reader_key(reader, gguf, config, buffer, sizeof buffer);
    return key && (rti_file_get_float(reader->file, key, value) || find_default(reader, config, value));
}

bool rti_find_bool(const rti_reader *reader, const char *gguf, const char *config, bool *value)
{
    char buffer[256];
    const char *key = rti_reader_key(reader, gguf, config, buffer, sizeof buffer);
    return key && rti_file_get_bool(reader->file, key, value);
}

const char *rti_find_string(const rti_reader *reader, const char *gguf, const char *config)
{
    char buffer[256];
    const char *key = rti_reader_key(reader, gguf, config, buffer, sizeof buffer);
    return key ? rti_file_get_string(reader->file, key) : NULL;
}

rt_result rti_read_size(const rti_reader *reader, const char *gguf, const char *config, int32_t minimum, int32_t maximum,
                        int32_t *value)
{
    char buffer[256];
    const char *key = rti_reader_key(reader, gguf, config, buffer, sizeof buffer);
    uint64_t found;
    if (!rti_find_size(reader, gguf, config, &found)) {
        bool there = key && rti_file_value_kind(reader->file, key) != RTI_VALUE_NONE;
        return rti_fail(&reader->host, there ? RT_ERROR_UNSUPPORTED : RT_ERROR_BAD_FILE,
                        there ? "%s: key %s: is no single whole number" : "%s: key %s: missing",
                        rti_file_path(reader->file), key ? key : gguf);
    }
    if (found < (uint64_t)minimum || found > (uint64_t)maximum)
        return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: key %s: %llu, must be %d to %d",
                        rti_file_path(reader->file), key, (unsigned long long)found, minimum, maximum);
    *value = (int32_t)found;
    return RT_OK;
}
