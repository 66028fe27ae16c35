// support/npy.h - reads whole files and the .npy arrays that reference data comes in.
// SPDX-License-Identifier: MIT
#ifndef TEST_NPY_H
#define TEST_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The whole file with a zero behind it; NULL where it cannot be read. free() it.
static inline uint8_t *test_read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    uint8_t *bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (bytes && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    if (bytes)
        bytes[length] = 0;
    *size = bytes ? (size_t)length : 0;
    return bytes;
}

typedef struct test_array {
    uint8_t *file; // free() it
    const void *data;
    size_t rows, columns; // one dimension: rows == 1
    char type[4];         // "f4", "f8", "i4", "i8"
} test_array;

// A little-endian .npy of one or two dimensions (version 1.0, C order). False: not there, or something else.
static inline bool test_read_npy(const char *path, test_array *array)
{
    size_t size;
    memset(array, 0, sizeof *array);
    uint8_t *bytes = test_read_file(path, &size);
    if (!bytes)
        return false;
    size_t header = size > 10 ? (size_t)(bytes[8] | bytes[9] << 8) : size;
    if (size < 10 + header || memcmp(bytes, "\x93NUMPY\1", 7) != 0) {
        free(bytes);
        return false;
    }
    char *text = malloc(header + 1);
    memcpy(text, bytes + 10, header);
    text[header] = 0;
    const char *descr = strstr(text, "'descr': '<"), *shape = strstr(text, "'shape': (");
    unsigned long first = 0, second = 0;
    int found = shape ? sscanf(shape + 10, "%lu, %lu", &first, &second) : 0;
    bool good = descr && found >= 1 && !strstr(text, "True");
    if (good) {
        memcpy(array->type, descr + 11, 2);
        array->rows = found == 2 ? first : 1;
        array->columns = found == 2 ? second : first;
        array->file = bytes;
        array->data = bytes + 10 + header;
        good = array->rows * array->columns * (size_t)(array->type[1] - '0') <= size - 10 - header;
    }
    free(text);
    if (!good)
        free(bytes);
    return good;
}

#endif
