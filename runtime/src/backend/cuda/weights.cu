// Weights from the mapped file into the device's layouts.
// SPDX-License-Identifier: MIT
#include "backend/cuda/pack.cuh"
#include "backend/cuda/quantised.cuh"
#include "backend/cuda/unpack.cuh"

// ---------------------------------------------------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------------------------------------------------

// Device memory, or memory of the computer that the device reads over the bus. *seen: where the device finds it.
static cudaError_t take(bool on_host, size_t size, void **memory, void **seen)
{
    *seen = *memory = NULL;
    if (!on_host) {
        cudaError_t error = cudaMalloc(memory, size);
        *seen = *memory;
        return error;
    }
    cudaError_t error = cudaHostAlloc(memory, size, cudaHostAllocMapped);
    if (error == cudaSuccess) error = cudaHostGetDevicePointer(seen, *memory, 0);
    if (error != cudaSuccess && *memory) cudaFreeHost(*memory);
    return error;
}

static void give_back(const rti_cuda_allocation &a)
{
    if (a.on_host) cudaFreeHost(a.memory);
    else cudaFree(a.memory);
}

// Copies bytes to where the layer that is being uploaded goes; *out is set, and set anew whenever they move.
static rt_result upload(rti_weights *w, const void *bytes, size_t size, const char *name, void **out)
{
    *out = NULL;
    if (w->allocation_count == w->allocation_capacity)
        return rti_cuda_fail(&w->host, RT_ERROR_INTERNAL, "CUDA: more weights than were counted");
    rti_cuda_allocation a = {NULL, size, out, w->uploading_layer, w->uploading_layer >= w->device_layers};
    void *seen = NULL;
    rt_result result = rti_cuda_check(&w->host, take(a.on_host, size, &a.memory, &seen), name);
    if (result != RT_OK) return result;
    w->allocations[w->allocation_count++] = a;
    *(a.on_host ? &w->host_bytes : &w->device_bytes) += size;
    if (a.on_host) memcpy(a.memory, bytes, size);
    else result = rti_cuda_check(&w->host, cudaMemcpy(a.memory, bytes, size, cudaMemcpyHostToDevice), name);
    if (result == RT_OK) *out = seen;
    return result;
}

static cudaError_t move(rti_weights *w, rti_cuda_allocation *a, bool to_host)
{
    rti_cuda_allocation moved = *a;
    void *seen = NULL;
    moved.on_host = to_host;
    cudaError_t error = take(to_host, a->bytes, &moved.memory, &seen);
    if (error != cudaSuccess) return error;
    error = cudaMemcpy(moved.memory, a->memory, a->bytes, to_host ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice);
    if (error != cudaSuccess) {
        give_back(moved);
        return error;
    }
    *a->place = seen;
    give_back(*a);
    *a = moved;
    *(to_host ? &w->host_bytes : &w->device_bytes) += a->bytes;
    *(to_host ? &w->device_bytes : &w->host_bytes) -= a->bytes;
    return cudaSuccess;
}

static rt_result upload_vector(rti_weights *w, const rti_vector *vector, const char *name, float **out)
{
    *out = NULL;
    if (!vector->values) return RT_OK;
    return upload(w, vector->values, (size_t)vector->count * sizeof(float), name, (void **)out);
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrices
// ---------------------------------------------------------------------------------------------------------------------

static rt_result upload_row_scale(rti_weights *w, const rti_matrix &source, rti_device_matrix *m)
{
    if (!source.scale) return RT_OK;
    size_t size = (size_t)source.rows * sizeof(float);
    float *scale = (float *)rti_cuda_services->allocate(&w->host, size);
    if (!scale) return rti_cuda_fail(&w->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory for the scales of %s", source.name);
    for (int row = 0; row < source.rows; row++) scale[row] = source.scale[source.scale_count == 1 ? 0 : row];
    rt_result result = upload(w, scale, size, source.name, (void **)&m->row_scale);
    rti_cuda_services->release(&w->host, scale, size);
    return result;
}

// Packed as m's layout says: the device's order.
static rt_result upload_packed(rti_weights *w, const rti_matrix &source, rti_device_matrix *m)
{
    rti_packed packed;
    if (!rti_pack(&w->host, source, *m, w->load_threads, &packed))
        return rti_cuda_fail(&w->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory to pack %s", source.name);
    rt_result result = upload(w, packed.values, packed.values_size, source.name, (void **)&m->values);
    if (result == RT_OK && packed.supers) result = upload(w, packed.supers, packed.supers_size, source.name, (void **)&m->supers);
    // F8's two not-numbers have no bfloat16 in kernels: such a matrix, which no model should have, takes the plain one.
    m->by_tensor_cores = m->layout > RTI_LAYOUT_F32 && w->precision == RT_PRECISION_FAST && w->has_bfloat16 && packed.is_whole;
    w->wants_split = w->wants_split || m->by_tensor_cores;
    rti_pack_free(&w->host, &packed);
    return result;
}

static bool float_layout_of(rti_type type, rti_layout *layout)
{
    *layout = type == RTI_TYPE_F16 ? RTI_LAYOUT_F16 : type == RTI_TYPE_BF16 ? RTI_LAYOUT_BF16 : RTI_LAYOUT_F8;
    return type == RTI_TYPE_F16 || type == RTI_TYPE_BF16 || type == RTI_TYPE_F8_E4M3;
}

static rt_result upload_matrix(rti_weights *w, const rti_matrix &source, rti_device_matrix *m)
{
    *m = rti_device_matrix();
    if (!source.data) return RT_OK;
    m->rows = source.rows;
    m->columns = source.columns;
    m->groups = (source.rows + RTI_GROUP - 1) / RTI_GROUP;
    rt_result result = upload_row_scale(w, source, m);
    if (result != RT_OK) return result;
    rti_unpack_form form;
    if (rti_unpack_form_of(source.type, &form)) {
        m->layout = form.layout;
        m->scale_kind = form.scale_kind;
        m->has_offsets = form.has_offsets;
        m->blocks = source.columns / RTI_BLOCK_COLUMNS;
    } else if (float_layout_of(source.type, &m->layout)) {
        m->blocks = (source.columns + RTI_BLOCK_COLUMNS - 1) / RTI_BLOCK_COLUMNS;
    } else {
        m->layout = RTI_LAYOUT_F32;
        if (source.type == RTI_TYPE_F32)
            return upload(w, source.data, (size_t)source.rows * (size_t)source.columns * sizeof(float), source.name, (void **)&m->values);
    }
    return upload_packed(w, source, m);
}

static rt_result upload_norm(rti_weights *w, const rti_vector &weight, const rti_vector &bias, rti_norm *norm)
{
    *norm = rti_norm();
    norm->kind = (int)w->network->norm;
    norm->epsilon = w->network->norm_epsilon;
    rt_result result = upload_vector(w, &weight, "norm", (float **)&norm->weight);
    return result == RT_OK ? upload_vector(w, &bias, "norm bias", (float **)&norm->bias) : result;
}

// ---------------------------------------------------------------------------------------------------------------------
// What it all takes, before it is taken
// ---------------------------------------------------------------------------------------------------------------------

static uint64_t matrix_bytes(const rti_matrix &m)
{
    if (!m.data) return 0;
    uint64_t count = (uint64_t)m.rows * (uint64_t)m.columns, row_scales = m.scale ? (uint64_t)m.rows * 4 : 0;
    uint64_t padded = ((uint64_t)m.rows + RTI_GROUP - 1) / RTI_GROUP * RTI_GROUP;
    rti_unpack_form form;
    if (!rti_unpack_form_of(m.type, &form)) {
        uint64_t size = m.type == RTI_TYPE_F16 || m.type == RTI_TYPE_BF16 ? 2 : m.type == RTI_TYPE_F8_E4M3 ? 1 : 4;
        return (size < 4 ? padded * (((uint64_t)m.columns + 31) / 32 * 32) : count) * size + row_scales;
    }
    uint64_t blocks = (uint64_t)m.columns / RTI_BLOCK_COLUMNS, supers = form.scale_kind == RTI_SCALE_K ? (blocks + 7) / 8 * RTI_SUPER_BYTES : 0;
    return padded / RTI_GROUP * (blocks * (uint64_t)rti_record_bytes(form.layout, form.scale_kind, form.has_offsets) + supers) + row_scales;
}

static uint64_t layer_bytes(const rti_layer &l)
{
    const rti_matrix *matrices[] = {&l.query, &l.key, &l.value, &l.attention_output, &l.gate, &l.up, &l.down};
    const rti_vector *vectors[] = {&l.attention_norm, &l.attention_norm_bias, &l.query_bias, &l.key_bias, &l.value_bias, &l.query_norm,
                                   &l.key_norm, &l.attention_output_bias, &l.post_attention_norm, &l.feed_forward_norm,
                                   &l.feed_forward_norm_bias, &l.post_feed_forward_norm};
    uint64_t bytes = 0;
    for (const rti_matrix *m : matrices) bytes += matrix_bytes(*m);
    for (const rti_vector *v : vectors) bytes += v->values ? (uint64_t)v->count * sizeof(float) : 0;
    return bytes;
}

static uint64_t fixed_bytes(const rti_network *n)
{
    uint64_t bytes = matrix_bytes(n->embedding) + (n->output_is_tied ? 0 : matrix_bytes(n->output));
    bytes += ((uint64_t)n->output_norm.count + (uint64_t)n->output_norm_bias.count) * sizeof(float);
    for (int i = 0; i < n->rope_count; i++) bytes += (uint64_t)(n->ropes[i].rotated / 2) * sizeof(double);
    return bytes;
}

// How many layers, the first ones, lie on the device: -1 if not even what stands around them does.
static int layers_within(const rti_network *n, uint64_t budget)
{
    uint64_t bytes = fixed_bytes(n);
    int count = -1;
    while (bytes <= budget && ++count < n->layer_count) bytes += layer_bytes(n->layers[count]);
    return count;
}

// 0: seven eighths of what is free; the rest is for contexts and whoever else draws.
static rt_result budget_of(const rt_host *host, size_t wanted, uint64_t *budget)
{
    size_t free_bytes = 0, all = 0;
    *budget = wanted;
    if (wanted) return RT_OK;
    rt_result result = rti_cuda_check(host, cudaMemGetInfo(&free_bytes, &all), "asking for free memory");
    *budget = free_bytes - free_bytes / 8;
    return result;
}

rt_result rti_cuda_weights_measure(const rti_weights_def *def, rti_weights_memory *memory)
{
    uint64_t budget = 0;
    rti_cuda_context context;
    *memory = rti_weights_memory();
    rt_result result = rti_cuda_context_find(def, &context);
    if (result != RT_OK) return result;
    {
        rti_cuda_scope scope(context);
        result = !scope.is_pushed ? rti_cuda_no_context(&def->host) : budget_of(&def->host, def->device_memory_bytes, &budget);
    }
    rti_cuda_context_release(context);
    if (result != RT_OK) return result;
    int on_device = layers_within(def->network, budget);
    *(on_device < 0 ? &memory->host_bytes : &memory->device_bytes) = fixed_bytes(def->network);
    for (int i = 0; i < def->network->layer_count; i++)
        *(i < on_device ? &memory->device_bytes : &memory->host_bytes) += layer_bytes(def->network->layers[i]);
    memory->device_layers = on_device > 0 ? on_device : 0;
    return RT_OK;
}

void rti_cuda_weights_memory(const rti_weights *w, rti_weights_memory *memory)
{
    *memory = {w->device_bytes, w->host_bytes, w->device_layers > 0 ? w->device_layers : 0};
}

// Layers change sides one after another; what has moved stays where it is if one cannot.
rt_result rti_cuda_weights_resize(rti_weights *w, uint64_t bytes)
{
    uint64_t budget;
    if (__atomic_load_n(&w->open_passes, __ATOMIC_ACQUIRE) > 0)
        return rti_cuda_fail(&w->host, RT_ERROR_BUSY, "CUDA: passes of this model are under way: end them before its memory changes");
    rt_result result = budget_of(&w->host, bytes, &budget);
    if (result == RT_OK && !bytes) budget += w->device_bytes;
    if (result == RT_OK) result = rti_cuda_check(&w->host, cudaDeviceSynchronize(), "waiting for what was dropped");
    if (result != RT_OK) return result;
    int wanted = layers_within(w->network, budget);
    w->generation++;
    // Number -1 is what stands around the layers: it goes last and comes first.
    for (int step = wanted > w->device_layers ? 1 : -1; w->device_layers != wanted && result == RT_OK;) {
        int layer = step > 0 ? w->device_layers : w->device_layers - 1;
        for (size_t i = 0; i < w->allocation_count && result == RT_OK; i++)
            if (w->allocations[i].layer == layer && w->allocations[i].on_host != (step < 0))
                result = rti_cuda_check(&w->host, move(w, &w->allocations[i], step < 0), "moving a layer");
        if (result == RT_OK) w->device_layers += step;
    }
    if (w->network->output_is_tied) w->output = w->embedding;
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// The whole network
// ---------------------------------------------------------------------------------------------------------------------

static const rti_vector no_vector = {NULL, 0};

static rt_result upload_layer(rti_weights *w, const rti_layer &in, rti_cuda_layer *out)
{
    rt_result result = RT_OK;
    const rti_matrix *matrices[] = {&in.query, &in.key, &in.value, &in.attention_output, &in.gate, &in.up, &in.down};
    rti_device_matrix *targets[] = {&out->query, &out->key, &out->value, &out->attention_output, &out->gate, &out->up, &out->down};
    for (int i = 0; i < 7 && result == RT_OK; i++) result = upload_matrix(w, *matrices[i], targets[i]);
    const rti_vector *vectors[] = {&in.query_bias, &in.key_bias, &in.value_bias, &in.attention_output_bias, &in.query_norm, &in.key_norm};
    float **places[] = {&out->query_bias, &out->key_bias, &out->value_bias, &out->attention_output_bias, &out->query_norm, &out->key_norm};
    for (int i = 0; i < 6 && result == RT_OK; i++) result = upload_vector(w, vectors[i], "bias", places[i]);
    if (result == RT_OK) result = upload_norm(w, in.attention_norm, in.attention_norm_bias, &out->attention_norm);
    if (result == RT_OK) result = upload_norm(w, in.post_attention_norm, no_vector, &out->post_attention_norm);
    if (result == RT_OK) result = upload_norm(w, in.feed_forward_norm, in.feed_forward_norm_bias, &out->feed_forward_norm);
    if (result == RT_OK) result = upload_norm(w, in.post_feed_forward_norm, no_vector, &out->post_feed_forward_norm);
    return result;
}

static rt_result upload_network(rti_weights *w)
{
    const rti_network *network = w->network;
    w->uploading_layer = -1;
    rt_result result = upload_matrix(w, network->embedding, &w->embedding);
    if (result == RT_OK && network->output_is_tied) w->output = w->embedding;
    else if (result == RT_OK) result = upload_matrix(w, network->output, &w->output);
    if (result == RT_OK) result = upload_norm(w, network->output_norm, network->output_norm_bias, &w->output_norm);
    for (int i = 0; i < network->rope_count && result == RT_OK; i++)
        result = upload(w, network->ropes[i].frequency, (size_t)(network->ropes[i].rotated / 2) * sizeof(double), "rope", (void **)&w->frequency[i]);
    for (int i = 0; i < network->layer_count && result == RT_OK; i++) {
        w->uploading_layer = i;
        result = upload_layer(w, network->layers[i], &w->layers[i]);
    }
    return result;
}

rt_result rti_cuda_weights_create(const rti_weights_def *def, rti_weights **out)
{
    *out = NULL;
    rti_weights *w = (rti_weights *)rti_cuda_services->allocate(&def->host, sizeof(rti_weights));
    if (!w) return rti_cuda_fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory");
    w->host = def->host;
    w->network = def->network;
    w->precision = def->precision;
    w->load_threads = def->load_threads;
    w->allocation_capacity = (size_t)def->network->layer_count * 64 + 64;
    w->allocations = (rti_cuda_allocation *)rti_cuda_services->allocate(&w->host, w->allocation_capacity * sizeof(rti_cuda_allocation));
    w->layers = (rti_cuda_layer *)rti_cuda_services->allocate(&w->host, (size_t)def->network->layer_count * sizeof(rti_cuda_layer));
    rt_result result = w->allocations && w->layers ? RT_OK : rti_cuda_fail(&w->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory");
    if (result == RT_OK && (def->network->head_size > 256 || def->network->head_size % 4 != 0))
        result = rti_cuda_fail(&w->host, RT_ERROR_UNSUPPORTED, "CUDA: a head size of %d; multiples of 4 up to 256 are supported", def->network->head_size);
    if (result == RT_OK) result = rti_cuda_context_find(def, &w->context);
    if (result == RT_OK) {
        rti_cuda_scope scope(w->context);
        uint64_t budget = 0;
        result = !scope.is_pushed ? rti_cuda_no_context(&w->host) : budget_of(&w->host, def->device_memory_bytes, &budget);
        w->device_layers = layers_within(def->network, budget);
        int major = 0;
        if (result == RT_OK)
            result = rti_cuda_check(&w->host, cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, w->context.device), "the device");
        w->has_bfloat16 = major >= 8;
        if (result == RT_OK) result = upload_network(w);
        // Copies from pageable memory may still be on their way, and the contexts' streams wait for no other.
        if (result == RT_OK) result = rti_cuda_check(&w->host, cudaDeviceSynchronize(), "sending the weights");
    }
    if (result != RT_OK) {
        rti_cuda_weights_destroy(w);
        return result;
    }
    *out = w;
    return RT_OK;
}

void rti_cuda_weights_destroy(rti_weights *w)
{
    if (!w) return;
    if (w->allocation_count > 0) {
        rti_cuda_scope scope(w->context);
        // A context that is gone has taken its memory along.
        for (size_t i = 0; scope.is_pushed && i < w->allocation_count; i++) give_back(w->allocations[i]);
        rti_cuda_forget_error(); // of a device that is lost
    }
    rti_cuda_context_release(w->context);
    rt_host host = w->host;
    rti_cuda_services->release(&host, w->allocations, w->allocation_capacity * sizeof(rti_cuda_allocation));
    rti_cuda_services->release(&host, w->layers, (size_t)w->network->layer_count * sizeof(rti_cuda_layer));
    rti_cuda_services->release(&host, w, sizeof *w);
}
