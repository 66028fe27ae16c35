// Passes on the device: inputs go up once, parts are launched (whole layers as captured graphs), logits come back.
// SPDX-License-Identifier: MIT
#include "backend/cuda/plugin.cuh"

// ---------------------------------------------------------------------------------------------------------------------
// Beginning
// ---------------------------------------------------------------------------------------------------------------------

// Rows of one sequence share its table; each distinct one goes up once.
static rt_result upload_tables(rti_device *d, rti_cuda_slot *slot, const rti_pass_input *input)
{
    int *row_tables = (int *)slot->host_rows.row_tables;
    int count = 0;
    for (int i = 0; i < input->row_count; i++) {
        const rti_row *row = &input->rows[i];
        int entries = row->position / RT_KV_BLOCK_TOKENS - row->first_position / RT_KV_BLOCK_TOKENS + 1;
        int same = -1;
        for (int j = i - 1; j >= 0 && same < 0; j--)
            if (input->rows[j].blocks == row->blocks) same = row_tables[j];
        row_tables[i] = same >= 0 ? same : count++;
        size_t at = (size_t)row_tables[i] * (size_t)d->table_size;
        memcpy(slot->host_tables + at, row->blocks, (size_t)entries * sizeof(unsigned)); // a later row's is the longer one
    }
    for (int t = 0; t < count; t++) {
        int entries = 0;
        for (int i = 0; i < input->row_count; i++) {
            const rti_row *row = &input->rows[i];
            int e = row->position / RT_KV_BLOCK_TOKENS - row->first_position / RT_KV_BLOCK_TOKENS + 1;
            if (row_tables[i] == t && e > entries) entries = e;
        }
        size_t at = (size_t)t * (size_t)d->table_size;
        cudaError_t error = cudaMemcpyAsync(slot->tables + at, slot->host_tables + at, (size_t)entries * sizeof(unsigned), cudaMemcpyHostToDevice, d->stream);
        if (error != cudaSuccess) return rti_cuda_check(&d->host, error, "sending block tables");
    }
    return RT_OK;
}

rt_result rti_cuda_pass_begin(rti_device *d, int32_t number, const rti_pass_input *input)
{
    rti_cuda_slot *slot = &d->slots[number];
    rti_pass_header *header = (rti_pass_header *)slot->host_rows.header;
    header->row_count = slot->row_count = input->row_count;
    header->logits_count = slot->logits_count = input->logits_count;
    slot->chunks = 1;
    slot->context_sum = 0;
    *slot->host_stop = 0;
    for (int i = 0; i < input->row_count; i++) {
        const rti_row *row = &input->rows[i];
        ((int *)slot->host_rows.tokens)[i] = row->token;
        ((int *)slot->host_rows.positions)[i] = row->position;
        ((int *)slot->host_rows.first_positions)[i] = row->first_position;
        if (row->logits_row >= 0) ((int *)slot->host_rows.logits_rows)[row->logits_row] = i;
        int chunks = row->position / RTI_CHUNK - row->first_position / RTI_CHUNK + 1;
        slot->chunks = chunks > slot->chunks ? chunks : slot->chunks;
        slot->context_sum += row->position - row->first_position + 1;
    }
    rt_result result = upload_tables(d, slot, input);
    if (result != RT_OK) return result;
    cudaError_t error = cudaMemcpyAsync(slot->inputs, slot->host_inputs, slot->inputs_bytes, cudaMemcpyHostToDevice, d->stream);
    return rti_cuda_check(&d->host, error, "sending a pass's rows");
}

// ---------------------------------------------------------------------------------------------------------------------
// Parts: how many units, how much work
// ---------------------------------------------------------------------------------------------------------------------

static int qkv_groups(const rti_cuda_layer &l)
{
    return l.query.groups + l.key.groups + l.value.groups;
}

int32_t rti_cuda_part_units(const rti_device *d, int32_t number, rt_part_kind kind, int32_t layer)
{
    (void)number;
    const rti_weights *w = d->weights;
    if (kind == RT_PART_EMBED) return 1;
    if (kind == RT_PART_LOGITS) return w->output.groups;
    const rti_cuda_layer &l = w->layers[layer];
    switch (kind) {
    case RT_PART_QKV: return qkv_groups(l);
    case RT_PART_ATTENTION: return w->network->head_count;
    case RT_PART_ATTENTION_OUT: return l.attention_output.groups;
    case RT_PART_FEED_FORWARD_UP: return l.gate.groups + l.up.groups;
    default: return l.down.groups;
    }
}

static uint64_t bytes_a_group(const rti_device_matrix &m)
{
    static const int bits[] = {4, 8, 8, 32, 16, 16, 8};
    uint64_t values = (uint64_t)RTI_GROUP * (uint64_t)m.columns;
    uint64_t scale_bytes = m.layout >= RTI_LAYOUT_F32 ? 0 : m.scale_kind == RTI_SCALE_F32 ? 4 : m.scale_kind == RTI_SCALE_F16 ? 2 : 1;
    uint64_t scales = scale_bytes * (m.layout == RTI_LAYOUT_INT8_HALF ? 2 : 1) + (m.offsets ? scale_bytes : 0);
    return values * (uint64_t)bits[m.layout] / 8 + values / 32 * scales + (m.super_scales ? values / 256 * 4 : 0);
}

void rti_cuda_part_work(const rti_device *d, int32_t number, rt_part *part)
{
    const rti_cuda_slot *slot = &d->slots[number];
    const rti_weights *w = d->weights;
    const rti_network *n = w->network;
    uint64_t units = (uint64_t)(part->unit_end - part->unit_begin);
    part->rows = part->kind == RT_PART_LOGITS ? slot->logits_count : slot->row_count;
    part->context = part->kind == RT_PART_ATTENTION ? slot->context_sum : 0;
    if (part->kind == RT_PART_EMBED) {
        part->bytes = (uint64_t)part->rows * (uint64_t)n->hidden_size * 2;
        part->operations = (uint64_t)part->rows * (uint64_t)n->hidden_size;
        return;
    }
    if (part->kind == RT_PART_ATTENTION) {
        uint64_t vectors = (uint64_t)slot->context_sum * 2 * (uint64_t)n->head_size;
        part->bytes = vectors * (d->kv_type == RT_KV_F32 ? 4 : d->kv_type == RT_KV_F16 ? 2 : 1) * units * (uint64_t)n->kv_head_count / (uint64_t)n->head_count;
        part->operations = vectors * units;
        return;
    }
    const rti_device_matrix *m = &w->output;
    if (part->kind != RT_PART_LOGITS) {
        const rti_cuda_layer &l = w->layers[part->layer];
        m = part->kind == RT_PART_QKV ? &l.query : part->kind == RT_PART_ATTENTION_OUT ? &l.attention_output
            : part->kind == RT_PART_FEED_FORWARD_UP ? &l.up : &l.down;
    }
    part->bytes = units * bytes_a_group(*m);
    part->operations = units * RTI_GROUP * (uint64_t)m->columns * (uint64_t)part->rows;
}

// ---------------------------------------------------------------------------------------------------------------------
// Launching parts
// ---------------------------------------------------------------------------------------------------------------------

struct launch_context {
    rti_device *d;
    rti_cuda_slot *slot;
    int max_rows; // what grids are made for
    int chunks;
};

// How finely a matrix's input is rounded: 16 bits where the CPU backend takes 16 (see choose_planes there).
enum planes { PLANES_8_BITS = 1, PLANES_16_BITS = 2 };

static rti_rounded rounded_of(const launch_context &c, planes count)
{
    rti_rounded rounded = c.slot->rounded;
    if (c.d->weights->precision != RT_PRECISION_FAST) rounded.upper = NULL;
    if (count == PLANES_8_BITS) rounded.lower = NULL;
    return rounded;
}

// The share of one of several matrices that stand behind each other in a part's units.
static cudaError_t launch_share(const launch_context &c, const rti_device_matrix &m, int *first, int begin, int end, const float *input,
                                planes count, const float *bias, float *y, int stride, rti_matrix_output output)
{
    int from = begin > *first ? begin - *first : 0, to = end - *first < m.groups ? end - *first : m.groups;
    *first += m.groups;
    if (!m.values || from >= to) return cudaSuccess;
    rti_activations in = {input, rounded_of(c, count)};
    return rti_launch_matrix(m, in, from, to, bias, y, stride, output, 0.0f, c.slot->rows, c.max_rows, false, c.d->stream);
}

static cudaError_t launch_norm(const launch_context &c, const rti_norm &norm, planes count)
{
    return rti_launch_norm(norm, c.slot->x, c.d->weights->network->hidden_size, c.slot->n, rounded_of(c, count), false, c.slot->rows,
                           c.max_rows, c.d->stream);
}

static rti_attention_shape attention_shape(const launch_context &c, int layer)
{
    const rti_network *n = c.d->weights->network;
    const rti_layer &l = n->layers[layer];
    const rti_rope &rope = n->ropes[l.rope];
    rti_attention_shape s = rti_attention_shape();
    s.heads = n->head_count;
    s.kv_heads = n->kv_head_count;
    s.head_size = n->head_size;
    s.rotated = rope.rotated;
    s.neighbours = rope.order == RTI_ROPE_NEIGHBOURS;
    s.magnitude = (float)rope.magnitude;
    s.frequency = c.d->weights->frequency[l.rope];
    s.query_norm = c.d->weights->layers[layer].query_norm;
    s.key_norm = c.d->weights->layers[layer].key_norm;
    s.norm_epsilon = n->norm_epsilon;
    s.scale = n->attention_scale;
    s.softcap = n->attention_softcap;
    s.window = l.sliding_window;
    s.kv_type = (int)c.d->kv_type;
    s.layer = layer;
    s.cache = c.d->cache;
    s.block_bytes = c.d->block_bytes;
    return s;
}

static cudaError_t launch_qkv(const launch_context &c, const rt_part &part)
{
    const rti_cuda_layer &l = c.d->weights->layers[part.layer];
    int stride = l.query.rows + l.key.rows + l.value.rows, first = 0;
    cudaError_t error = cudaSuccess;
    if (part.unit_begin == 0) error = launch_norm(c, l.attention_norm, PLANES_16_BITS);
    float *y = c.slot->qkv;
    const rti_device_matrix *matrices[] = {&l.query, &l.key, &l.value};
    const float *biases[] = {l.query_bias, l.key_bias, l.value_bias};
    for (int i = 0; i < 3 && error == cudaSuccess; i++) {
        error = launch_share(c, *matrices[i], &first, part.unit_begin, part.unit_end, c.slot->n, PLANES_16_BITS, biases[i], y, stride, RTI_OUTPUT_STORE);
        y += matrices[i]->rows;
    }
    if (error == cudaSuccess && part.unit_end == part.unit_count)
        error = rti_launch_rope_store(attention_shape(c, part.layer), c.slot->qkv, c.slot->rows, c.max_rows, c.d->stream);
    return error;
}

static cudaError_t launch_attention(const launch_context &c, const rt_part &part)
{
    rti_attention_shape shape = attention_shape(c, part.layer);
    cudaError_t error = rti_launch_attention(shape, c.slot->qkv, c.slot->partial, c.d->max_chunks, part.unit_begin, part.unit_end, c.slot->rows,
                                             c.max_rows, c.chunks, c.d->stream);
    if (error != cudaSuccess || part.unit_end < part.unit_count) return error;
    return rti_launch_attention_combine(shape, c.slot->partial, c.d->max_chunks, c.slot->attention, rounded_of(c, PLANES_8_BITS), c.slot->rows,
                                        c.max_rows, c.d->stream);
}

// A matrix whose result joins the residual stream, through a norm where the family has one.
static cudaError_t launch_residual(const launch_context &c, const rt_part &part, const rti_device_matrix &m, const float *input,
                                   planes count, const float *bias, const rti_norm &norm)
{
    int first = 0, hidden = c.d->weights->network->hidden_size;
    float *y = norm.weight ? c.slot->sublayer : c.slot->x;
    cudaError_t error = launch_share(c, m, &first, part.unit_begin, part.unit_end, input, count, bias, y, hidden,
                                     norm.weight ? RTI_OUTPUT_STORE : RTI_OUTPUT_ADD);
    if (error != cudaSuccess || !norm.weight || part.unit_end < part.unit_count) return error;
    return rti_launch_norm_add(norm, y, hidden, c.slot->x, c.slot->rows, c.max_rows, c.d->stream);
}

static cudaError_t launch_up(const launch_context &c, const rt_part &part)
{
    const rti_cuda_layer &l = c.d->weights->layers[part.layer];
    const rti_network *n = c.d->weights->network;
    int first = 0, stride = l.gate.rows + l.up.rows;
    cudaError_t error = cudaSuccess;
    if (part.unit_begin == 0) error = launch_norm(c, l.feed_forward_norm, PLANES_8_BITS);
    if (error == cudaSuccess)
        error = launch_share(c, l.gate, &first, part.unit_begin, part.unit_end, c.slot->n, PLANES_8_BITS, NULL, c.slot->gate_up, stride,
                             RTI_OUTPUT_STORE);
    if (error == cudaSuccess)
        error = launch_share(c, l.up, &first, part.unit_begin, part.unit_end, c.slot->n, PLANES_8_BITS, NULL,
                             c.slot->gate_up + l.gate.rows, stride, RTI_OUTPUT_STORE);
    if (error != cudaSuccess || part.unit_end < part.unit_count) return error;
    return rti_launch_activation((int)n->activation, c.slot->gate_up, n->feed_forward_size, c.slot->activated, rounded_of(c, PLANES_16_BITS), c.slot->rows,
                                 c.max_rows, c.d->stream);
}

static cudaError_t launch_logits(const launch_context &c, const rt_part &part)
{
    const rti_weights *w = c.d->weights;
    const rti_network *n = w->network;
    int max_rows = c.slot->logits_count;
    cudaError_t error = cudaSuccess;
    if (max_rows == 0) return cudaSuccess;
    if (part.unit_begin == 0)
        error = rti_launch_norm(w->output_norm, c.slot->x, n->hidden_size, c.slot->n, rounded_of(c, PLANES_16_BITS), true, c.slot->rows,
                                max_rows, c.d->stream);
    rti_activations in = {c.slot->n, rounded_of(c, PLANES_16_BITS)};
    if (error == cudaSuccess)
        error = rti_launch_matrix(w->output, in, part.unit_begin, part.unit_end, NULL, c.slot->logits, n->vocab_size,
                                  RTI_OUTPUT_STORE, n->logits_softcap, c.slot->rows, max_rows, true, c.d->stream);
    if (error != cudaSuccess || part.unit_end < part.unit_count) return error;
    return cudaMemcpyAsync(c.slot->host_logits, c.slot->logits, (size_t)max_rows * (size_t)n->vocab_size * sizeof(float), cudaMemcpyDeviceToHost,
                           c.d->stream);
}

static cudaError_t launch_part(const launch_context &c, const rt_part &part)
{
    const rti_weights *w = c.d->weights;
    switch (part.kind) {
    case RT_PART_EMBED:
        return rti_launch_embed(w->embedding, w->network->embedding_scale, c.slot->x, c.slot->rows, c.max_rows, c.d->stream);
    case RT_PART_QKV: return launch_qkv(c, part);
    case RT_PART_ATTENTION: return launch_attention(c, part);
    case RT_PART_ATTENTION_OUT: {
        const rti_cuda_layer &l = w->layers[part.layer];
        return launch_residual(c, part, l.attention_output, c.slot->attention, PLANES_8_BITS, l.attention_output_bias, l.post_attention_norm);
    }
    case RT_PART_FEED_FORWARD_UP: return launch_up(c, part);
    case RT_PART_FEED_FORWARD_DOWN: {
        const rti_cuda_layer &l = w->layers[part.layer];
        return launch_residual(c, part, l.down, c.slot->activated, PLANES_16_BITS, NULL, l.post_feed_forward_norm);
    }
    default: return launch_logits(c, part);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Graphs: a whole layer for a bucket of rows and chunks, captured when it is first wanted
// ---------------------------------------------------------------------------------------------------------------------

static int bucket_of(int value)
{
    int bucket = 0;
    while ((1 << bucket) < value) bucket++;
    return bucket;
}

static size_t graph_count(const rti_device *d)
{
    return (size_t)RTI_ROW_BUCKETS * RTI_CHUNK_BUCKETS * (size_t)d->weights->network->layer_count;
}

rt_result rti_cuda_graphs_create(rti_device *d)
{
    for (int i = 0; i < d->max_passes; i++) {
        d->slots[i].graphs = (void **)rti_cuda_services->allocate(&d->host, graph_count(d) * sizeof(void *));
        if (!d->slots[i].graphs) return rti_cuda_fail(&d->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory for graphs");
    }
    return RT_OK;
}

void rti_cuda_graphs_destroy(rti_device *d)
{
    for (int i = 0; i < RT_MAX_PASSES; i++) {
        void **graphs = d->slots[i].graphs;
        if (!graphs) continue;
        for (size_t k = 0; k < graph_count(d); k++)
            if (graphs[k]) cudaGraphExecDestroy((cudaGraphExec_t)graphs[k]);
        rti_cuda_services->release(&d->host, graphs, graph_count(d) * sizeof(void *));
    }
}

// The five parts of one layer, each whole, in order.
static bool is_whole_layer(const rt_part *parts, int count)
{
    if (count < 5 || parts[0].kind != RT_PART_QKV) return false;
    for (int i = 0; i < 5; i++)
        if (parts[i].unit_begin != 0 || parts[i].unit_end != parts[i].unit_count || parts[i].layer != parts[0].layer) return false;
    return true;
}

static cudaError_t capture_layer(const launch_context &c, const rt_part *parts, cudaGraphExec_t *executable)
{
    cudaGraph_t graph = NULL;
    cudaError_t error = cudaStreamBeginCapture(c.d->stream, cudaStreamCaptureModeThreadLocal);
    if (error != cudaSuccess) return error;
    for (int i = 0; i < 5 && error == cudaSuccess; i++) error = launch_part(c, parts[i]);
    cudaError_t ended = cudaStreamEndCapture(c.d->stream, &graph);
    if (error == cudaSuccess) error = ended;
    if (error == cudaSuccess) error = cudaGraphInstantiate(executable, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    return error;
}

static cudaError_t run_layer(const launch_context &exact, const rt_part *parts)
{
    int rows = bucket_of(exact.max_rows), chunks = bucket_of(exact.chunks);
    if (rows >= RTI_ROW_BUCKETS || chunks >= RTI_CHUNK_BUCKETS || (1 << rows) > exact.d->max_rows || (1 << chunks) > exact.d->max_chunks) {
        cudaError_t error = cudaSuccess;
        for (int i = 0; i < 5 && error == cudaSuccess; i++) error = launch_part(exact, parts[i]);
        return error;
    }
    size_t at = ((size_t)rows * RTI_CHUNK_BUCKETS + (size_t)chunks) * (size_t)exact.d->weights->network->layer_count + (size_t)parts[0].layer;
    void **graph = &exact.slot->graphs[at];
    if (!*graph) {
        launch_context bucket = exact;
        bucket.max_rows = 1 << rows;
        bucket.chunks = 1 << chunks;
        cudaGraphExec_t executable = NULL;
        cudaError_t error = capture_layer(bucket, parts, &executable);
        if (error != cudaSuccess) return error;
        *graph = executable;
    }
    return cudaGraphLaunch((cudaGraphExec_t)*graph, exact.d->stream);
}

rt_result rti_cuda_run(rti_device *d, int32_t number, rt_part *parts, int32_t part_count)
{
    rti_cuda_slot *slot = &d->slots[number];
    launch_context c = {d, slot, slot->row_count, slot->chunks};
    cudaError_t error = cudaEventRecord(slot->begin, d->stream);
    for (int i = 0; i < part_count && error == cudaSuccess;) {
        if (is_whole_layer(parts + i, part_count - i)) {
            error = run_layer(c, parts + i);
            i += 5;
        } else {
            error = launch_part(c, parts[i++]);
        }
    }
    if (error == cudaSuccess) error = cudaEventRecord(slot->end, d->stream);
    slot->is_queued = error == cudaSuccess;
    return rti_cuda_check(&d->host, error, "queueing a slice");
}

// ---------------------------------------------------------------------------------------------------------------------
// Results
// ---------------------------------------------------------------------------------------------------------------------

rt_result rti_cuda_poll(rti_device *d, int32_t number, bool *idle, uint64_t *elapsed_ns)
{
    rti_cuda_slot *slot = &d->slots[number];
    *idle = true;
    *elapsed_ns = 0;
    if (!slot->is_queued) return RT_OK;
    cudaError_t error = cudaEventQuery(slot->end);
    if (error == cudaErrorNotReady) {
        *idle = false;
        return RT_OK;
    }
    slot->is_queued = false;
    if (error != cudaSuccess) return rti_cuda_check(&d->host, error, "running a slice");
    float milliseconds = 0.0f;
    cudaEventElapsedTime(&milliseconds, slot->begin, slot->end);
    *elapsed_ns = (uint64_t)((double)milliseconds * 1e6);
    if (*elapsed_ns == 0) *elapsed_ns = 1;
    return RT_OK;
}

void rti_cuda_cancel(rti_device *d, int32_t number)
{
    rti_cuda_slot *slot = &d->slots[number];
    if (!slot->is_queued) return;
    *slot->host_stop = 1; // kernels that have not begun return at once
    cudaStreamSynchronize(d->stream);
    *slot->host_stop = 0;
    slot->is_queued = false;
}

rt_result rti_cuda_logits(rti_device *d, int32_t number, int32_t logits_row, const float **logits)
{
    *logits = d->slots[number].host_logits + (size_t)logits_row * (size_t)d->weights->network->vocab_size;
    return RT_OK;
}

rt_result rti_cuda_sample(rti_device *d, int32_t number, int32_t logits_row, const rt_sample_request *request, rt_token *token)
{
    const float *logits = NULL;
    rti_cuda_logits(d, number, logits_row, &logits);
    return rti_cuda_services->sample(logits, d->weights->network->vocab_size, request, d->sample_scratch, token);
}

void rti_cuda_pass_end(rti_device *d, int32_t number)
{
    d->slots[number].row_count = d->slots[number].logits_count = 0;
}
