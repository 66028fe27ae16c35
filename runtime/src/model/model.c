// model/model.c - opening a model: file, tokenizer, network, packed weights; and answering about it.
// SPDX-License-Identifier: MIT
#include "model/model.h"

#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MODEL_COOKIE 0x72744d01u

rt_model_def rt_default_model_def(void)
{
    return (rt_model_def){.cookie = MODEL_COOKIE, .load_threads = 1};
}

static rt_result check_def(const rt_model_def *def)
{
    if (def->cookie != MODEL_COOKIE)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: the def does not come from rt_default_model_def()");
    if (!def->path || !*def->path)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: the def has no path");
    if (def->precision != RT_PRECISION_FAST && def->precision != RT_PRECISION_EXACT)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: precision %d is none", (int)def->precision);
    if (def->backend < RT_BACKEND_CPU || def->backend > RT_BACKEND_AUTO)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: backend %d is none", (int)def->backend);
    if (def->load_threads < 1 || def->load_threads > 64)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: load_threads is %d, must be 1 to 64",
                        def->load_threads);
    if (def->context_size < 0)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: context_size is negative");
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Opening
// ---------------------------------------------------------------------------------------------------------------------

static rt_result check_sum(const rt_model_def *def)
{
    char found[65];
    struct stat status;
    const char *expected = def->expected_sha256;
    if (!expected)
        return RT_OK;
    if (strlen(expected) != 64 || strspn(expected, "0123456789abcdefABCDEF") != 64)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: expected_sha256 is not 64 hex digits");
    if (stat(def->path, &status) == 0 && S_ISDIR(status.st_mode))
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "%s: a folder has no SHA-256 of its own: leave "
                        "expected_sha256 NULL", def->path);
    rt_result result = rti_sha256_file(&def->host, def->path, found);
    if (result == RT_OK && strcasecmp(found, expected) != 0)
        result = rti_fail(&def->host, RT_ERROR_BAD_FILE,
                          "%s: its SHA-256 is %s, expected is %s: it is damaged or another version; fetch it again",
                          def->path, found, expected);
    return result;
}

static rt_result read_tokenizer(const rt_model_def *def, rt_model *model)
{
    rt_tokenizer_def tokenizer = rt_default_tokenizer_def();
    tokenizer.host = def->host;
    tokenizer.path = def->tokenizer_path ? def->tokenizer_path : def->path;
    tokenizer.pre_tokenizer = def->pre_tokenizer;
    bool is_gguf = rti_file_is_gguf(model->file);
    bool has_none = is_gguf && rti_file_value_kind(model->file, "tokenizer.ggml.model") == RTI_VALUE_NONE &&
                    rti_file_value_kind(model->file, RTI_TOKENIZER_KEY_FILE) == RTI_VALUE_NONE;
    bool may_lack = !def->tokenizer_path && (!is_gguf || has_none);
    if (may_lack)
        tokenizer.host.log = NULL;
    rt_result result = has_none && may_lack
                           ? rti_fail(NULL, RT_ERROR_NOT_FOUND, "%s: no tokenizer in it", def->path)
                       : is_gguf && !def->tokenizer_path
                           ? rti_tokenizer_create_from_file(&model->host, model->file, def->pre_tokenizer, &model->tokenizer)
                           : rt_tokenizer_open(&tokenizer, &model->tokenizer);
    if (result == RT_ERROR_NOT_FOUND && may_lack) {
        rti_log(&def->host, RT_LOG_WARNING, "%s: %s: this model can be given token ids only; tokenizer_path names one",
                def->path, rt_error_message());
        return RT_OK;
    }
    if (result != RT_OK)
        return may_lack ? rti_fail(&def->host, result, "%s", rt_error_message()) : result;
    int32_t tokens = rt_tokenizer_vocab_size(model->tokenizer);
    if (tokens > model->network->vocab_size)
        return rti_fail(&def->host, RT_ERROR_BAD_FILE, "%s: its tokenizer has %d tokens, its embedding only %d rows",
                        def->path, tokens, model->network->vocab_size);
    return RT_OK;
}

static rti_weights_def weights_def_of(const rt_model_def *def, const rt_model *model)
{
    return (rti_weights_def){
        .host = model->host,
        .network = model->network,
        .file = model->file,
        .precision = def->precision,
        .isa = def->isa,
        .load_threads = def->load_threads,
        .cache_folder = def->cache_folder,
        .cuda_device = def->cuda_device,
        .cuda_context = def->cuda_context,
        .device_memory_bytes = def->device_memory_bytes,
    };
}

static rt_result pack(const rt_model_def *def, rt_model *model, const rti_backend *backend)
{
    rti_weights_def weights = weights_def_of(def, model);
    rt_result result = backend->weights_create(&weights, &model->weights);
    if (result == RT_OK)
        model->backend = backend;
    return result;
}

static rt_result pack_somewhere(const rt_model_def *def, rt_model *model)
{
    if (def->backend == RT_BACKEND_CPU)
        return pack(def, model, rti_backend_cpu());
    // AUTO asks quietly: no GPU is no fault then.
    rt_host quiet = def->backend == RT_BACKEND_AUTO
                        ? (rt_host){.allocate = def->host.allocate, .user = def->host.user}
                        : def->host;
    const rti_backend *cuda = rti_backend_cuda(&quiet, def->cuda_library);
    rt_result result = cuda ? pack(def, model, cuda) : RT_ERROR_DEVICE;
    if (result == RT_OK || def->backend == RT_BACKEND_CUDA || result == RT_ERROR_OUT_OF_MEMORY)
        return result;
    rti_log(&def->host, RT_LOG_INFO, "%s: no CUDA for this model (%s); the CPU runs it", def->path, rt_error_message());
    return pack(def, model, rti_backend_cpu());
}

static uint64_t matrix_bytes(const rti_matrix *matrix, uint64_t *parameters)
{
    const rti_type_info *info = matrix->data ? rti_type_find((uint32_t)matrix->type) : NULL;
    if (!info)
        return 0;
    uint64_t values = (uint64_t)matrix->rows * (uint64_t)matrix->columns;
    *parameters += values;
    return values / (uint64_t)info->block_values * (uint64_t)info->block_bytes;
}

static void count_weights(rt_model *model)
{
    const rti_network *network = model->network;
    uint64_t parameters = 0, embedding = 0, bytes = 0;
    for (int32_t i = 0; i < network->layer_count; i++) {
        const rti_layer *layer = &network->layers[i];
        const rti_matrix *matrices[] = {&layer->query, &layer->key, &layer->value, &layer->attention_output,
                                        &layer->gate, &layer->up, &layer->down};
        for (size_t m = 0; m < RTI_COUNT(matrices); m++)
            bytes += matrix_bytes(matrices[m], &parameters);
        const rti_vector *vectors[] = {
            &layer->attention_norm, &layer->attention_norm_bias, &layer->query_bias, &layer->key_bias, &layer->value_bias,
            &layer->query_norm, &layer->key_norm, &layer->attention_output_bias, &layer->post_attention_norm,
            &layer->feed_forward_norm, &layer->feed_forward_norm_bias, &layer->post_feed_forward_norm};
        for (size_t v = 0; v < RTI_COUNT(vectors); v++)
            parameters += (uint64_t)(vectors[v]->values ? vectors[v]->count : 0);
    }
    parameters += (uint64_t)network->output_norm.count + (uint64_t)network->output_norm_bias.count;
    uint64_t row = matrix_bytes(&network->embedding, &embedding) / (uint64_t)network->embedding.rows;
    uint64_t output = 0;
    bytes += matrix_bytes(&network->output, &output) + row;
    model->parameter_count = parameters + embedding + (network->output_is_tied ? 0 : output);
    model->bytes_per_token = bytes;
}

static rt_result open_all(const rt_model_def *def, rt_model *model)
{
    model->path = rti_copy_text(&model->host, def->path, strlen(def->path));
    if (!model->path)
        return rti_fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to open it", def->path);
    rt_result result = check_sum(def);
    if (result == RT_OK)
        result = rti_file_open(&model->host, def->path, &model->file);
    if (result == RT_OK)
        result = rti_network_create_sized(&model->host, model->file, def->context_size, &model->network);
    if (result == RT_OK)
        result = read_tokenizer(def, model);
    if (result == RT_OK)
        result = pack_somewhere(def, model);
    if (result != RT_OK)
        return result;
    model->name = rti_file_get_string(model->file, "general.name");
    if (!model->name) {
        const char *slash = strrchr(model->path, '/');
        model->name = slash && slash[1] ? slash + 1 : model->path;
    }
    count_weights(model);
    return RT_OK;
}

static void destroy(rt_model *model)
{
    rt_host host = model->host;
    if (model->weights)
        model->backend->weights_destroy(model->weights);
    rt_tokenizer_close(model->tokenizer);
    rti_network_destroy(model->network);
    rti_file_close(model->file);
    if (model->path)
        rti_release(&host, model->path, strlen(model->path) + 1);
    rti_release(&host, model, sizeof *model);
}

rt_result rt_model_open(const rt_model_def *def, rt_model **result_model)
{
    if (!def || !result_model)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_model_open: def or model is NULL");
    *result_model = NULL;
    rt_result result = check_def(def);
    if (result != RT_OK)
        return result;
    uint64_t begin = rti_now_ns();
    rt_host host = rti_host_or_default(&def->host);
    rt_model *model = rti_allocate_zeroed(&host, sizeof *model);
    if (!model)
        return rti_fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to open it", def->path);
    model->host = host;
    model->precision = def->precision;
    atomic_init(&model->references, 1);
    result = open_all(def, model);
    if (result != RT_OK) {
        destroy(model);
        return result;
    }
    model->load_microseconds = (rti_now_ns() - begin) / 1000;
    rti_log(&host, RT_LOG_INFO, "%s: %s, %d layers, %.1f million parameters, opened in %.0f ms", model->path,
            model->network->architecture, model->network->layer_count, (double)model->parameter_count * 1e-6,
            (double)model->load_microseconds * 1e-3);
    *result_model = model;
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory of a device
// ---------------------------------------------------------------------------------------------------------------------

static uint64_t kv_bytes_of(const rti_network *network)
{
    return (uint64_t)network->layer_count * 2u * (uint64_t)network->kv_head_count * (uint64_t)network->head_size * 2u;
}

static rt_result measure(const rt_model_def *def, rt_model *model, rt_model_memory *memory)
{
    rt_result result = rti_file_open(&model->host, def->path, &model->file);
    if (result == RT_OK)
        result = rti_network_create_sized(&model->host, model->file, def->context_size, &model->network);
    if (result != RT_OK)
        return result;
    rti_weights_memory weights = {.host_bytes = rti_file_bytes(model->file)};
    const rti_backend *cuda = def->backend == RT_BACKEND_CPU ? NULL : rti_backend_cuda(&def->host, def->cuda_library);
    if (!cuda && def->backend == RT_BACKEND_CUDA)
        return RT_ERROR_DEVICE;
    rti_weights_def weights_def = weights_def_of(def, model);
    if (cuda)
        result = cuda->weights_measure(&weights_def, &weights);
    *memory = (rt_model_memory){
        .device_bytes = weights.device_bytes,
        .host_bytes = weights.host_bytes,
        .device_layer_count = weights.device_layers,
        .layer_count = model->network->layer_count,
        .kv_bytes_per_token = kv_bytes_of(model->network),
    };
    return result;
}

rt_result rt_model_measure(const rt_model_def *def, rt_model_memory *memory)
{
    if (!def || !memory)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_model_measure: def or memory is NULL");
    *memory = (rt_model_memory){0};
    rt_result result = check_def(def);
    if (result != RT_OK)
        return result;
    rt_model model = {.host = rti_host_or_default(&def->host), .precision = def->precision};
    result = measure(def, &model, memory);
    rti_network_destroy(model.network);
    rti_file_close(model.file);
    return result;
}

rt_result rt_model_set_device_memory(rt_model *model, size_t bytes)
{
    if (!model)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_model_set_device_memory: no model");
    if (!model->backend->weights_resize)
        return rti_fail(&model->host, RT_ERROR_UNSUPPORTED, "%s: its weights are not on a device", model->path);
    return model->backend->weights_resize(model->weights, bytes);
}

void rt_model_close(rt_model *model)
{
    if (model && atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1)
        destroy(model);
}

rt_model *rt_model_retain(rt_model *model)
{
    if (model)
        atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

// ---------------------------------------------------------------------------------------------------------------------
// Asking
// ---------------------------------------------------------------------------------------------------------------------

void rt_model_get_info(const rt_model *model, rt_model_info *info)
{
    const rti_network *network = model->network;
    rti_weights_memory memory = {0};
    if (model->backend->weights_memory)
        model->backend->weights_memory(model->weights, &memory);
    *info = (rt_model_info){
        .architecture = network->architecture,
        .name = model->name,
        .path = model->path,
        .backend = model->backend->name,
        .isa = model->backend->weights_isa(model->weights),
        .precision = model->precision,
        .vocab_size = network->vocab_size,
        .context_size = network->context_size,
        .layer_count = network->layer_count,
        .hidden_size = network->hidden_size,
        .head_count = network->head_count,
        .kv_head_count = network->kv_head_count,
        .head_size = network->head_size,
        .feed_forward_size = network->feed_forward_size,
        .parameter_count = model->parameter_count,
        .file_bytes = rti_file_bytes(model->file),
        .packed_bytes = model->backend->weights_bytes(model->weights),
        .bytes_per_token = model->bytes_per_token,
        .kv_bytes_per_token = kv_bytes_of(network),
        .load_microseconds = model->load_microseconds,
        .device_bytes = memory.device_bytes,
        .device_layer_count = memory.device_layers,
    };
}

rt_tokenizer *rt_model_tokenizer(const rt_model *model)
{
    return model->tokenizer;
}

const char *rt_model_metadata(const rt_model *model, const char *key)
{
    return key ? rti_file_get_string(model->file, key) : NULL;
}
