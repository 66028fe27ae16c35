// convert/quantize_file.c - rt_quantize: one model file or folder into a GGUF of another type.
// SPDX-License-Identifier: MIT
#include "convert/plan.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define QUANTIZE_COOKIE 0x72745101u
#define CHUNK_VALUES (1 << 21) // decoded at a time

rt_quantize_def rt_default_quantize_def(void)
{
    return (rt_quantize_def){.cookie = QUANTIZE_COOKIE, .threads = 1};
}

// ---------------------------------------------------------------------------------------------------------------------
// One tensor, a chunk of rows at a time
// ---------------------------------------------------------------------------------------------------------------------

typedef struct row_error {
    double difference, power, largest;
} row_error;

typedef struct chunk {
    const rti_item *item;
    int64_t first, rows;  // of the item
    float *values, *back; // rows * columns each
    uint8_t *blocks;
    size_t row_bytes;
    row_error *errors;    // one a row: summed in order afterwards, so that the report does not depend on threads
} chunk;

typedef struct share { // of a chunk, for one thread
    const chunk *whole;
    int64_t begin, end;
    pthread_t thread;
} share;

static void measure(const float *values, const float *back, int64_t count, row_error *error)
{
    row_error sum = {0, 0, 0};
    for (int64_t i = 0; i < count; i++) {
        double off = (double)back[i] - values[i];
        sum.difference += off * off;
        sum.power += (double)values[i] * values[i];
        sum.largest = fmax(sum.largest, fabs(off));
    }
    *error = sum;
}

static void *convert_share(void *argument)
{
    const share *own = argument;
    const chunk *whole = own->whole;
    size_t columns = (size_t)whole->item->columns;
    for (int64_t row = own->begin; row < own->end; row++) {
        float *values = whole->values + (size_t)row * columns, *back = whole->back + (size_t)row * columns;
        uint8_t *blocks = whole->blocks + (size_t)row * whole->row_bytes;
        rti_item_rows(whole->item, whole->first + row, 1, values);
        rti_quantize(whole->item->type, values, NULL, blocks, columns);
        rti_dequantize(whole->item->type, blocks, back, columns);
        measure(values, back, (int64_t)columns, &whole->errors[row]);
    }
    return NULL;
}

// A thread that cannot be started leaves its share to the caller.
static void convert_chunk(const chunk *whole, int threads)
{
    share shares[64];
    bool started[64] = {false};
    for (int i = threads - 1; i >= 0; i--) {
        shares[i] = (share){.whole = whole, .begin = whole->rows * i / threads, .end = whole->rows * (i + 1) / threads};
        started[i] = i > 0 && pthread_create(&shares[i].thread, NULL, convert_share, &shares[i]) == 0;
        if (!started[i])
            convert_share(&shares[i]);
    }
    for (int i = 1; i < threads; i++)
        if (started[i])
            pthread_join(shares[i].thread, NULL);
}

typedef struct conversion {
    const rt_quantize_def *def;
    rt_host host;
    rti_gguf_writer *writer;
    rti_plan plan;
} conversion;

static rt_result convert_rows(const conversion *to, const rti_item *item, chunk *buffers, int64_t chunk_rows,
                              rt_tensor_report *report)
{
    double difference = 0, power = 0;
    for (int64_t first = 0; first < item->rows; first += chunk_rows) {
        buffers->first = first;
        buffers->rows = RTI_MIN(chunk_rows, item->rows - first);
        convert_chunk(buffers, to->def->threads);
        for (int64_t i = 0; i < buffers->rows; i++) {
            difference += buffers->errors[i].difference;
            power += buffers->errors[i].power;
            report->largest_error = fmax(report->largest_error, buffers->errors[i].largest);
        }
        uint64_t bytes = (uint64_t)buffers->rows * buffers->row_bytes;
        rt_result result = rti_gguf_writer_write_tensor(to->writer, buffers->blocks, bytes);
        if (result != RT_OK)
            return result;
        report->bytes += bytes;
    }
    report->relative_error = power > 0 ? sqrt(difference / power) : 0;
    return RT_OK;
}

static bool is_copy(const rti_item *item)
{
    return item->parts[0].type == item->type && item->part_count == 1 && item->head_rows == 0;
}

static rt_result write_item(const conversion *to, size_t index)
{
    const rti_item *item = &to->plan.items[index];
    const rti_type_info *info = rti_type_find((uint32_t)item->type);
    int64_t chunk_rows = RTI_MAX(1, RTI_MIN(item->rows, CHUNK_VALUES / item->columns));
    size_t values = (size_t)(chunk_rows * item->columns);
    chunk buffers = {.item = item,
                     .row_bytes = (size_t)(item->columns / info->block_values) * (size_t)info->block_bytes};
    rt_tensor_report report = {
        .name = item->name, .from = rti_type_find((uint32_t)item->parts[0].type)->name, .to = info->name,
        .rows = item->dimension_count > 1 ? (uint64_t)item->rows : 1,
        .columns = item->dimension_count > 1 ? (uint64_t)item->columns : (uint64_t)item->shape[0],
        .index = index, .count = to->plan.count};
    rt_result result;
    if (is_copy(item)) {
        report.bytes = (uint64_t)item->rows * buffers.row_bytes;
        result = rti_gguf_writer_write_tensor(to->writer, item->parts[0].data, report.bytes);
    } else {
        size_t blocks_size = (size_t)chunk_rows * buffers.row_bytes, errors_size = (size_t)chunk_rows * sizeof(row_error);
        buffers.values = rti_allocate(&to->host, values * sizeof(float));
        buffers.back = rti_allocate(&to->host, values * sizeof(float));
        buffers.blocks = rti_allocate(&to->host, blocks_size);
        buffers.errors = rti_allocate(&to->host, errors_size);
        if (buffers.values && buffers.back && buffers.blocks && buffers.errors)
            result = convert_rows(to, item, &buffers, chunk_rows, &report);
        else
            result = rti_fail(&to->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to convert tensor %s", to->def->input,
                              item->name);
        rti_release(&to->host, buffers.values, values * sizeof(float));
        rti_release(&to->host, buffers.back, values * sizeof(float));
        rti_release(&to->host, buffers.blocks, blocks_size);
        rti_release(&to->host, buffers.errors, errors_size);
    }
    if (result == RT_OK && to->def->report)
        to->def->report(to->def->report_user, &report);
    return result;
}

static rt_result write_all(const conversion *to)
{
    rt_result result = RT_OK;
    for (size_t i = 0; i < to->plan.count && result == RT_OK; i++)
        result = rti_gguf_writer_add_tensor(to->writer, to->plan.items[i].name, to->plan.items[i].type,
                                            to->plan.items[i].dimension_count, to->plan.items[i].shape);
    if (result == RT_OK)
        result = rti_gguf_writer_begin_data(to->writer);
    for (size_t i = 0; i < to->plan.count && result == RT_OK; i++)
        result = write_item(to, i);
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// From a GGUF, from a folder
// ---------------------------------------------------------------------------------------------------------------------

static rt_result write_general(conversion *to)
{
    rt_result result = rti_gguf_writer_set_unsigned(to->writer, "general.file_type", rti_convert_file_type(to->plan.wanted));
    return result == RT_OK ? rti_gguf_writer_set_unsigned(to->writer, "general.quantization_version", 2) : result;
}

static rt_result from_gguf(conversion *to, const rti_file *file)
{
    to->plan.is_tied = rti_file_tensor(file, "output.weight") == NULL;
    rt_result result = rti_plan_from_file(&to->plan, file);
    if (result == RT_OK)
        result = rti_gguf_writer_copy_metadata(to->writer, file);
    if (result == RT_OK)
        result = write_general(to);
    return result == RT_OK ? write_all(to) : result;
}

// GGUF's name of the family, and whether its files hold query and key turned from halves to neighbours.
static rt_result gguf_family(const conversion *to, const rti_network *network, const char **name, bool *permutes)
{
    bool is_llama = strcmp(network->architecture, "llama") == 0 || strcmp(network->architecture, "mistral") == 0;
    *name = is_llama ? "llama" : network->architecture;
    if (strncmp(network->architecture, "gemma3", 6) == 0)
        *name = "gemma3";
    *permutes = is_llama;
    if (is_llama && network->ropes[0].rotated != network->head_size)
        return rti_fail(&to->host, RT_ERROR_UNSUPPORTED, "%s: GGUF has no words for a llama whose heads turn in part",
                        to->def->input);
    for (int32_t i = 0; strcmp(*name, "qwen2") == 0 && i < network->layer_count; i++)
        if (network->layers[i].sliding_window)
            return rti_fail(&to->host, RT_ERROR_UNSUPPORTED, "%s: GGUF has no words for a qwen2 with sliding windows",
                            to->def->input);
    return RT_OK;
}

typedef struct factors {
    float *values;
    size_t size;
} factors;

static rt_result add_factors(conversion *to, const char *name, int32_t count, factors *made)
{
    made->size = (size_t)count * sizeof *made->values;
    made->values = rti_allocate_zeroed(&to->host, made->size);
    if (!made->values ||
        !rti_array_reserve(&to->host, (void **)&to->plan.items, &to->plan.capacity, to->plan.count + 1, sizeof *to->plan.items))
        return rti_fail(&to->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for RoPE factors", to->def->input);
    rti_item item = {.type = RTI_TYPE_F32, .rows = 1, .columns = count, .dimension_count = 1, .shape = {count, 1, 1, 1},
                     .part_count = 1};
    item.parts[0] = (rti_matrix){.data = made->values, .type = RTI_TYPE_F32, .rows = 1, .columns = count};
    snprintf(item.name, sizeof item.name, "%s", name);
    to->plan.items[to->plan.count++] = item;
    return RT_OK;
}

// Any scaling becomes one factor a frequency. Two sets of them stay two.
static rt_result plan_factors(conversion *to, const rti_file *file, const rti_network *network, int32_t *long_context,
                              factors made[2])
{
    const rti_rope *rope = &network->ropes[0];
    int32_t count = rope->rotated / 2;
    rti_value_kind kind;
    size_t length;
    uint64_t context;
    static const char *const sets[2][2] = {{"rope_factors_short.weight", "rope_scaling.short_factor"},
                                           {"rope_factors_long.weight", "rope_scaling.long_factor"}};
    *long_context = 0;
    if (rti_file_get_array(file, sets[1][1], &kind, &length) && length == (size_t)count &&
        rti_file_get_unsigned(file, "max_position_embeddings", &context) && context <= INT32_MAX) {
        *long_context = (int32_t)context;
        for (int set = 0; set < 2; set++) {
            rt_result result = add_factors(to, sets[set][0], count, &made[set]);
            double value = 1;
            for (int32_t i = 0; i < count && result == RT_OK; i++) {
                rti_file_array_number(file, sets[set][1], (size_t)i, &value);
                made[set].values[i] = (float)value;
            }
            if (result != RT_OK)
                return result;
        }
        return RT_OK;
    }
    bool is_scaled = false;
    for (int32_t i = 0; i < count; i++)
        is_scaled = is_scaled || fabs(pow(rope->base, -2.0 * i / rope->rotated) / rope->frequency[i] - 1) > 1e-9;
    if (!is_scaled && rope->magnitude == 1)
        return RT_OK;
    rt_result result = add_factors(to, "rope_freqs.weight", count, &made[0]);
    for (int32_t i = 0; i < count && result == RT_OK; i++)
        made[0].values[i] = (float)(pow(rope->base, -2.0 * i / rope->rotated) / rope->frequency[i]);
    return result;
}

static rt_result write_folder_tokenizer(conversion *to)
{
    static const char *const names[] = {"tekken.json", "tokenizer.json", "tokenizer.model"};
    char path[4096], config[4096];
    struct stat status;
    int length = snprintf(config, sizeof config, "%s/tokenizer_config.json", to->def->input);
    bool has_config = length > 0 && (size_t)length < sizeof config && stat(config, &status) == 0;
    rt_result result = RT_OK;
    for (size_t i = 0; i < RTI_COUNT(names); i++) {
        length = snprintf(path, sizeof path, "%s/%s", to->def->input, names[i]);
        if (length <= 0 || (size_t)length >= sizeof path || stat(path, &status) != 0)
            continue;
        result = rti_convert_write_tokenizer(&to->host, to->writer, path, has_config ? config : NULL);
        if (result != RT_ERROR_UNSUPPORTED) // a tokenizer.model may lie beside a tokenizer.json of an unknown kind
            return result;
    }
    if (result != RT_OK)
        return result;
    rti_log(&to->host, RT_LOG_WARNING, "%s: no tokenizer in this folder: the file will take token ids only", to->def->input);
    return RT_OK;
}

static rt_result from_folder(conversion *to, const rti_file *file)
{
    rti_network *network;
    const char *architecture = NULL;
    bool permutes = false;
    int32_t long_context = 0;
    factors made[2] = {{0}};
    rt_result result = rti_network_create(&to->host, file, &network);
    if (result != RT_OK)
        return result;
    to->plan.is_tied = network->output_is_tied;
    result = gguf_family(to, network, &architecture, &permutes);
    if (result == RT_OK)
        result = rti_plan_from_network(&to->plan, network, permutes);
    if (result == RT_OK)
        result = plan_factors(to, file, network, &long_context, made);
    if (result == RT_OK)
        result = rti_convert_write_keys(to->writer, network, architecture, long_context);
    if (result == RT_OK)
        result = write_general(to);
    if (result == RT_OK)
        result = write_folder_tokenizer(to);
    if (result == RT_OK)
        result = write_all(to);
    for (int i = 0; i < 2; i++)
        rti_release(&to->host, made[i].values, made[i].size);
    rti_network_destroy(network);
    return result;
}

static rt_result check_def(const rt_quantize_def *def)
{
    struct stat input, output;
    if (!def || def->cookie != QUANTIZE_COOKIE)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_quantize: the def does not come from rt_default_quantize_def()");
    if (!def->input || !def->output || !def->type)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_quantize: the def needs input, output and type");
    if (def->threads < 1 || def->threads > 64)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_quantize: threads is %d, must be 1 to 64", def->threads);
    if (stat(def->input, &input) == 0 && stat(def->output, &output) == 0 && input.st_ino == output.st_ino &&
        input.st_dev == output.st_dev)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "%s: is both input and output", def->input);
    return RT_OK;
}

rt_result rt_quantize(const rt_quantize_def *def)
{
    conversion to = {.def = def};
    rti_file *file = NULL;
    rt_result result = check_def(def);
    if (result != RT_OK)
        return result;
    to.host = to.plan.host = rti_host_or_default(&def->host);
    result = rti_convert_type(&to.host, def->type, &to.plan.wanted);
    if (result == RT_OK)
        result = rti_file_open(&to.host, def->input, &file);
    if (result == RT_OK)
        result = rti_gguf_writer_create(&to.host, def->output, &to.writer);
    if (result == RT_OK) {
        result = rti_file_is_gguf(file) ? from_gguf(&to, file) : from_folder(&to, file);
        rt_result end = rti_gguf_writer_finish(to.writer, result == RT_OK);
        result = result == RT_OK ? end : result;
    }
    rti_plan_release(&to.plan);
    rti_file_close(file);
    return result;
}
