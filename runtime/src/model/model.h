// model/model.h - what stands behind rt_model: for the rooms that run it (cache/, pass/).
//
// Everything here is set by rt_model_open and never changes afterwards.
// SPDX-License-Identifier: MIT
#ifndef RTI_MODEL_H
#define RTI_MODEL_H

#include <stdatomic.h>

#include "backend/backend.h"
#include "model/network.h"
#include "rt/model.h"

struct rt_model {
    rt_host host;
    rti_file *file;             // mapped for as long as the model lives: the network points into it
    rti_network *network;
    const rti_backend *backend; // whose weights these are
    rti_weights *weights;
    rt_tokenizer *tokenizer;    // NULL: a folder without one
    char *path;                 // as it was given
    const char *name;           // general.name, or the last part of the path
    rt_precision precision;
    uint64_t parameter_count;
    uint64_t bytes_per_token;
    uint64_t load_microseconds;
    _Atomic int32_t references;
};

#endif
