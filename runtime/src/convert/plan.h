// convert/plan.h - the tensors of the file to be written, and where each one's values come from.
// SPDX-License-Identifier: MIT
#ifndef RTI_CONVERT_PLAN_H
#define RTI_CONVERT_PLAN_H

#include "convert/convert.h"

typedef struct rti_item {
    char name[128];
    rti_type type;         // to be written as
    int64_t rows, columns; // of the result
    int32_t dimension_count;
    int64_t shape[4];
    rti_matrix parts[3];   // one below another
    int32_t part_count;
    int32_t head_rows;     // rows of each head are turned from halves to neighbours; 0: rows stay
} rti_item;

typedef struct rti_plan {
    rt_host host;
    rti_type wanted;
    bool is_tied;
    rti_item *items;
    size_t count, capacity;
} rti_plan;

// The tensors of a GGUF as they are, in another type; or a network's, under GGUF's names.
rt_result rti_plan_from_file(rti_plan *plan, const rti_file *file);
rt_result rti_plan_from_network(rti_plan *plan, const rti_network *network, bool permutes);
void rti_plan_release(rti_plan *plan);

// Decodes `count` rows of an item from `first` on.
void rti_item_rows(const rti_item *item, int64_t first, int64_t count, float *values);

#endif
