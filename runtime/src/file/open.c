// file/open.c - opening a model's file or folder: finds out what it is and has it read.
// SPDX-License-Identifier: MIT
#include "file/readers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

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
