// backend/cpu/weights.c - a network's matrices packed into one block of memory, by as many threads as the load was given.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#include <string.h>

// One matrix to be packed; unit numbers run over the panels of all of them.
typedef struct pack_entry {
    rti_packed *packed;
    const rti_matrix *matrix;
    int32_t first_unit;
} pack_entry;

typedef struct pack_list {
    rti_weights *weights;
    const rti_file *file; // NULL: nothing to give back
    pack_entry *entries; // NULL while counting
    int32_t count;
    int64_t units;
    rti_arena arena;
    rt_result result;
    _Atomic int32_t bad_entry; // -1: none
} pack_list;

static const float *place_vector(pack_list *list, const rti_vector *vector, int32_t padded)
{
    if (!vector->values) {
        return NULL;
    }
    float *values = rti_arena_take(&list->arena, (size_t)padded, sizeof(float));
    if (values) {
        memset(values, 0, (size_t)padded * sizeof(float));
        memcpy(values, vector->values, (size_t)vector->count * sizeof(float));
    }
    return values;
}

static void check_matrix(pack_list *list, const rti_matrix *matrix, const rti_form *form)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    const char *name = matrix->name ? matrix->name : "tensor";
    if (!form || !info) {
        list->result = rti_fail(&list->weights->host, RT_ERROR_UNSUPPORTED,
                                "%s: the CPU backend has no kernel for tensor type %d: convert the file", name, (int)matrix->type);
    } else if (matrix->rows <= 0 || matrix->columns <= 0 || matrix->columns % info->block_values != 0) {
        list->result = rti_fail(&list->weights->host, RT_ERROR_BAD_FILE, "%s: %d x %d does not divide into blocks of %d", name,
                                matrix->rows, matrix->columns, info->block_values);
    }
}

static void place_matrix(pack_list *list, rti_packed *packed, const rti_matrix *matrix, const rti_vector *bias)
{
    *packed = (rti_packed){0};
    if (!matrix->data || list->result != RT_OK) {
        return;
    }
    const rti_form *form = rti_form_find(matrix->type);
    check_matrix(list, matrix, form);
    if (list->result != RT_OK) {
        return;
    }
    rti_packed_shape(packed, form, matrix->rows, matrix->columns);
    packed->data = rti_arena_take(&list->arena, (size_t)packed->panels, packed->panel_bytes);
    int32_t padded = packed->panels * RTI_PANEL_ROWS;
    if (matrix->scale) {
        float *scale = rti_arena_take(&list->arena, (size_t)padded, sizeof(float));
        for (int32_t i = 0; scale && i < padded; i++) {
            scale[i] = i >= matrix->rows ? 0.0f : matrix->scale[matrix->scale_count == 1 ? 0 : i];
        }
        packed->row_scale = scale;
    }
    if (bias) {
        packed->bias = place_vector(list, bias, padded);
    }
    if (list->entries) {
        list->entries[list->count] = (pack_entry){packed, matrix, (int32_t)list->units};
    }
    list->count++;
    list->units += packed->panels;
    if (rti_packed_is_float(list->weights, packed)) {
        list->weights->any_float = true;
    }
    if (list->units > INT32_MAX / 2) {
        list->result = rti_fail(&list->weights->host, RT_ERROR_TOO_LARGE, "%s: too many rows", matrix->name);
    }
}

static void place_layer(pack_list *list, const rti_network *network, rti_packed_layer *out, const rti_layer *in)
{
    const int32_t hidden = rti_round_up(network->hidden_size, RTI_BLOCK_COLUMNS);
    const int32_t head = rti_round_up(network->head_size, RTI_BLOCK_COLUMNS);
    place_matrix(list, &out->query, &in->query, &in->query_bias);
    place_matrix(list, &out->key, &in->key, &in->key_bias);
    place_matrix(list, &out->value, &in->value, &in->value_bias);
    place_matrix(list, &out->attention_output, &in->attention_output, &in->attention_output_bias);
    place_matrix(list, &out->gate, &in->gate, NULL);
    place_matrix(list, &out->up, &in->up, NULL);
    place_matrix(list, &out->down, &in->down, NULL);
    out->attention_norm = place_vector(list, &in->attention_norm, hidden);
    out->attention_norm_bias = place_vector(list, &in->attention_norm_bias, hidden);
    out->query_norm = place_vector(list, &in->query_norm, head);
    out->key_norm = place_vector(list, &in->key_norm, head);
    out->post_attention_norm = place_vector(list, &in->post_attention_norm, hidden);
    out->feed_forward_norm = place_vector(list, &in->feed_forward_norm, hidden);
    out->feed_forward_norm_bias = place_vector(list, &in->feed_forward_norm_bias, hidden);
    out->post_feed_forward_norm = place_vector(list, &in->post_feed_forward_norm, hidden);
}

// Lays everything out from arena->base on (or only counts), and lists what is to be packed.
static void place_all(pack_list *list)
{
    rti_weights *weights = list->weights;
    const rti_network *network = weights->network;
    const int32_t hidden = rti_round_up(network->hidden_size, RTI_BLOCK_COLUMNS);
    list->count = 0;
    list->units = 0;
    for (int32_t i = 0; i < network->layer_count; i++) {
        place_layer(list, network, &weights->layers[i], &network->layers[i]);
    }
    weights->output_norm = place_vector(list, &network->output_norm, hidden);
    weights->output_norm_bias = place_vector(list, &network->output_norm_bias, hidden);
    place_matrix(list, &weights->output, &network->output, NULL);
    if (network->output_is_tied || network->embedding.data == network->output.data) {
        weights->embedding = weights->output;
    } else {
        place_matrix(list, &weights->embedding, &network->embedding, NULL);
    }
    if (list->result == RT_OK && list->arena.overflow) {
        list->result = rti_fail(&weights->host, RT_ERROR_TOO_LARGE, "weights: larger than the address space");
    }
}

// What was packed is not read again: its pages of the file need not stay in memory.
static void drop_rows(const pack_list *list, const rti_matrix *matrix, int32_t begin, int32_t end)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    size_t row_bytes = (size_t)(matrix->columns / info->block_values) * (size_t)info->block_bytes;
    if (list->file && begin < end) {
        rti_file_drop(list->file, (const uint8_t *)matrix->data + (size_t)begin * row_bytes,
                      (size_t)(end - begin) * row_bytes);
    }
}

static void pack_phase(void *context, int32_t phase, int32_t thread, int32_t begin, int32_t end)
{
    (void)phase, (void)thread;
    pack_list *list = context;
    for (int32_t i = 0; i < list->count; i++) {
        const pack_entry *entry = &list->entries[i];
        int32_t from = RTI_MAX(begin - entry->first_unit, 0), to = RTI_MIN(end - entry->first_unit, entry->packed->panels);
        if (from < to && !rti_pack_panels(entry->packed, entry->matrix, from, to)) {
            atomic_store(&list->bad_entry, i);
        }
        if (from < to) {
            drop_rows(list, entry->matrix, from * RTI_PANEL_ROWS, RTI_MIN(to * RTI_PANEL_ROWS, entry->matrix->rows));
        }
    }
}

static rt_result pack_all(pack_list *list, int32_t threads)
{
    const rt_host *host = &list->weights->host;
    rti_pool *pool;
    rt_result result = rti_pool_create(host, RTI_MAX(threads, 1) - 1, NULL, 20, &pool);
    if (result != RT_OK) {
        return result;
    }
    // Many short phases' worth of pieces in one: units are dealt out in eighths of a thread's share.
    int32_t units = (int32_t)list->units;
    atomic_store(&list->bad_entry, -1);
    rti_pool_run(pool, pack_phase, list, 1, &units, NULL);
    rti_pool_destroy(pool);
    int32_t bad = atomic_load(&list->bad_entry);
    if (bad >= 0) {
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: holds a value that is not a number", list->entries[bad].matrix->name);
    }
    return RT_OK;
}

static rt_result check_network(const rt_host *host, const rti_network *network)
{
    if (network->head_size % 16 != 0 || network->head_size > 512) {
        return rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: head size %d: the CPU backend takes multiples of 16 up to 512",
                        network->architecture, network->head_size);
    }
    if (network->kv_head_count <= 0 || network->head_count % network->kv_head_count != 0 ||
        network->head_count / network->kv_head_count > 128) {
        return rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: %d heads on %d key-value heads", network->architecture,
                        network->head_count, network->kv_head_count);
    }
    return RT_OK;
}

static rt_result create_checked(const rti_weights_def *def, rti_weights *weights)
{
    pack_list list = {.weights = weights, .file = def->file};
    place_all(&list);
    if (list.result != RT_OK) {
        return list.result;
    }
    weights->arena_bytes = list.arena.used;
    weights->arena = rti_huge_allocate(&weights->host, weights->arena_bytes);
    size_t entries_bytes = (size_t)list.count * sizeof(pack_entry);
    list.entries = rti_allocate(&weights->host, entries_bytes);
    if (!weights->arena || !list.entries) {
        rti_release(&weights->host, list.entries, entries_bytes);
        return rti_fail(&weights->host, RT_ERROR_OUT_OF_MEMORY, "weights: no memory for %zu bytes of packed weights", weights->arena_bytes);
    }
    bool cached = def->cache_folder && rti_pack_cache_read(weights, def->cache_folder);
    list.arena = (rti_arena){.base = weights->arena};
    place_all(&list); // writes vectors and scales: the same as were kept
    rt_result result = list.result != RT_OK || cached ? list.result : pack_all(&list, def->load_threads);
    if (result == RT_OK && !cached && def->cache_folder) {
        rti_pack_cache_write(weights, def->cache_folder);
    }
    rti_release(&weights->host, list.entries, entries_bytes);
    return result;
}

// How finely activations are rounded. 16 bits (two passes of byte products) where that buys most accuracy for its cost. Of the
// error that 8 bits leave in the logits (SmolLM2, mean KL 0.0035) the value matrix's input makes a third with a thirtieth of the
// work, the down matrix's nearly a third with a quarter of it, and the output matrix, read for few rows, a sixth at no cost
// where decoding waits for memory. Together with query and key they leave 0.0011.
static void choose_planes(rti_weights *weights)
{
    for (int i = 0; i < RTI_ROLE_COUNT; i++) {
        weights->planes[i] = 1;
    }
    weights->planes[RTI_ROLE_QUERY_KEY] = 2; // models that are nearly linear in their scores: 0.0066 to 0.0018 on one of the references
    weights->planes[RTI_ROLE_VALUE] = 2;
    weights->planes[RTI_ROLE_DOWN] = 2;
    weights->planes[RTI_ROLE_LOGITS] = 2;
}

rt_result rti_weights_create_cpu(const rti_weights_def *def, rti_weights **out)
{
    rt_host host = rti_host_or_default(&def->host);
    rt_result result = check_network(&host, def->network);
    if (result != RT_OK) {
        return result;
    }
    if (def->isa != RT_ISA_AUTO && !rt_isa_supported(def->isa)) {
        return rti_fail(&host, RT_ERROR_UNSUPPORTED, "this processor cannot run %s", rt_isa_name(def->isa));
    }
    rti_weights *weights = rti_allocate_zeroed(&host, sizeof *weights);
    if (!weights) {
        return rti_fail(&host, RT_ERROR_OUT_OF_MEMORY, "weights: no memory");
    }
    weights->host = host;
    weights->network = def->network;
    weights->precision = def->precision;
    choose_planes(weights);
    weights->kernels = rti_kernels_for(rti_isa_choose(def->isa), true);
    weights->layers_bytes = (size_t)def->network->layer_count * sizeof(rti_packed_layer);
    weights->layers = rti_allocate_zeroed(&host, weights->layers_bytes);
    result = weights->layers ? create_checked(def, weights) : rti_fail(&host, RT_ERROR_OUT_OF_MEMORY, "weights: no memory");
    if (result != RT_OK) {
        rti_weights_destroy_cpu(weights);
        return result;
    }
    *out = weights;
    return RT_OK;
}

void rti_weights_destroy_cpu(rti_weights *weights)
{
    if (!weights) {
        return;
    }
    rt_host host = weights->host;
    rti_huge_release(&host, weights->arena, weights->arena_bytes);
    rti_release(&host, weights->layers, weights->layers_bytes);
    rti_release(&host, weights, sizeof *weights);
}
