// convert/convert.h - shared by quantising and synthesising: which type a tensor takes, and a network as GGUF keys.
// SPDX-License-Identifier: MIT
#ifndef RTI_CONVERT_H
#define RTI_CONVERT_H

#include "model/network.h"
#include "rt/convert.h"

// The type by name if it is one that can be written; raises INVALID_ARGUMENT with the list otherwise.
rt_result rti_convert_type(const rt_host *host, const char *name, rti_type *type);

// What a matrix becomes when `wanted` was asked for (see rt_quantize_def).
rti_type rti_convert_matrix_type(rti_type wanted, const char *name, bool is_tied, int64_t columns);

// general.file_type of a file that is mostly of this type.
uint32_t rti_convert_file_type(rti_type type);

// The keys of a network as GGUF has them: sizes, norm, RoPE base, windows, caps. `architecture` is GGUF's name.
// `long_context` (0: none) is written in place of the network's context where the file has two sets of RoPE factors.
rt_result rti_convert_write_keys(rti_gguf_writer *writer, const rti_network *network, const char *architecture,
                                 int32_t long_context);

// A tokenizer file, whole; or the tokenizer keys where `path` is a GGUF. `config_path` may be NULL.
rt_result rti_convert_write_tokenizer(const rt_host *host, rti_gguf_writer *writer, const char *path,
                                      const char *config_path);
// A vocabulary of the 256 bytes.
rt_result rti_convert_write_byte_tokenizer(const rt_host *host, rti_gguf_writer *writer);

#endif
