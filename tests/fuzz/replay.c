// Runs a fuzz target over the files named on the command line: a crash that libFuzzer found, under any compiler.
// SPDX-License-Identifier: MIT
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The whole file, exactly as large as it is so that a sanitizer sees every byte read past its end. NULL: unreadable.
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    uint8_t *bytes = NULL;
    size_t length = 0;
    uint8_t block[4096];
    for (size_t got; (got = fread(block, 1, sizeof(block), file)) > 0; length += got) {
        uint8_t *grown = realloc(bytes, length + got);
        if (!grown) {
            free(bytes);
            fclose(file);
            return NULL;
        }
        bytes = grown;
        for (size_t i = 0; i < got; i++) {
            bytes[length + i] = block[i];
        }
    }
    fclose(file);
    *size = length;
    return bytes ? bytes : malloc(1);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t size;
        uint8_t *bytes = read_file(argv[i], &size);
        if (!bytes) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput(bytes, size);
        free(bytes);
        printf("%s: %zu bytes, survived\n", argv[i], size);
    }
    if (argc < 2) {
        LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    }
    return 0;
}
