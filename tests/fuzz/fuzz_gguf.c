// Any bytes as a GGUF file: it opens or says why not; what opens can be read to its last tensor, and where it is a network with a
// tokenizer those are made.
// SPDX-License-Identifier: MIT
#include "model/network.h"
#include "tokenizer/tokenizer.h"

#include "support/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[256], path[300];

static void remove_folder(void)
{
    scratch_remove(folder);
}

static void read_tensors(const rti_file *file)
{
    float values[256];
    for (size_t i = 0; i < rti_file_tensor_count(file); i++) {
        const rti_tensor *tensor = rti_file_tensor_at(file, i);
        const rti_type_info *info = rti_type_find((uint32_t)tensor->type);
        for (uint64_t at = 0; at < tensor->bytes; at += (uint64_t)info->block_bytes)
            rti_dequantize(tensor->type, (const uint8_t *)tensor->data + at, values, (size_t)info->block_values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rti_file *file;
    rti_network *network;
    rt_tokenizer *tokenizer;
    if (!folder[0]) {
        if (!scratch_create(folder))
            return 0;
        atexit(remove_folder);
        snprintf(path, sizeof path, "%s/model.gguf", folder);
    }
    if (scratch_write(folder, "model.gguf", data, size) && rti_file_open(NULL, path, &file) == RT_OK) {
        read_tensors(file);
        if (rti_network_create(NULL, file, &network) == RT_OK)
            rti_network_destroy(network);
        if (rti_tokenizer_create_from_file(NULL, file, NULL, &tokenizer) == RT_OK)
            rt_tokenizer_close(tokenizer);
        rti_file_close(file);
    }
    return 0;
}
