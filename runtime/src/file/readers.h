// file/readers.h - the readers of each kind of file: what they find goes into the store. Private to file/.
// SPDX-License-Identifier: MIT
#ifndef RTI_READERS_H
#define RTI_READERS_H

#include "file/store.h"

// Whether the first bytes are those of a GGUF file.
bool rti_gguf_recognise(const rti_mapping *part);
// Read all of a file into `file`: part 0 is mapped already.
rt_result rti_gguf_read(rti_file *file);
// Reads config.json and every safetensors file of a folder.
rt_result rti_folder_read(rti_file *file);
// Reads the header of one safetensors file.
rt_result rti_safetensors_read(rti_file *file, const rti_mapping *part);

#endif
