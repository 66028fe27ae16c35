// Any bytes as a folder: four bytes of length, config.json, model.safetensors. It opens or says why not.
// SPDX-License-Identifier: MIT
#include "model/network.h"

#include "support/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[256];

static void remove_folder(void)
{
    scratch_remove(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t length = 0;
    rti_file *file;
    rti_network *network;
    if (!folder[0]) {
        if (!scratch_create(folder))
            return 0;
        atexit(remove_folder);
    }
    if (size < sizeof length)
        return 0;
    memcpy(&length, data, sizeof length);
    data += sizeof length;
    size -= sizeof length;
    length = length < size ? length : (uint32_t)size;
    if (scratch_write(folder, "config.json", data, length) &&
        scratch_write(folder, "model.safetensors", data + length, size - length) &&
        rti_file_open(NULL, folder, &file) == RT_OK) {
        if (rti_network_create(NULL, file, &network) == RT_OK)
            rti_network_destroy(network);
        rti_file_close(file);
    }
    return 0;
}
