// The launches that a part of a layer is made of.
// SPDX-License-Identifier: MIT
#include "backend/cuda/launch.cuh"

// How finely a matrix's input is rounded: 16 bits where the CPU backend takes 16 (see choose_planes there).
enum planes { PLANES_8_BITS = 1, PLANES_16_BITS = 2 };

static rti_rounded rounded_of(const rti_launch_context &c, planes count)
{
    rti_rounded rounded = c.slot->rounded;
    rounded.planes = c.d->weights->precision == RT_PRECISION_FAST ? (int)count : 0;
    return rounded;
}

// The share of one of several matrices that stand behind each other in a part's units.
static rti_matrix_task share_of(const rti_device_matrix &m, int *first, int begin, int end, const float *bias, float *y)
{
    int from = begin > *first ? begin - *first : 0, to = end - *first < m.groups ? end - *first : m.groups;
    *first += m.groups;
    if (!m.values) to = from;
    return rti_matrix_task{&m, from, to, bias, y};
}

static cudaError_t launch_shares(const rti_launch_context &c, const rti_matrix_task *tasks, int count, const float *input, planes planes, int stride,
                                 rti_matrix_output output)
{
    rti_activations in = {input, rounded_of(c, planes)};
    return rti_launch_matrices(tasks, count, in, stride, output, 0.0f, c.slot->rows, c.max_rows, false, c.d->stream);
}

static cudaError_t launch_norm(const rti_launch_context &c, const rti_norm &norm, planes count)
{
    return rti_launch_norm(norm, c.slot->x, c.d->weights->network->hidden_size, c.slot->n, rounded_of(c, count), false, c.slot->rows,
                           c.max_rows, c.d->stream);
}

static rti_attention_shape attention_shape(const rti_launch_context &c, int layer)
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
    s.angles = c.slot->angles[l.rope];
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

static cudaError_t launch_qkv(const rti_launch_context &c, const rt_part &part)
{
    const rti_cuda_layer &l = c.d->weights->layers[part.layer];
    int stride = l.query.rows + l.key.rows + l.value.rows, first = 0;
    cudaError_t error = cudaSuccess;
    if (part.unit_begin == 0) error = launch_norm(c, l.attention_norm, PLANES_16_BITS);
    const rti_device_matrix *matrices[] = {&l.query, &l.key, &l.value};
    const float *biases[] = {l.query_bias, l.key_bias, l.value_bias};
    rti_matrix_task tasks[3];
    float *y = c.slot->qkv;
    for (int i = 0; i < 3; y += matrices[i++]->rows) tasks[i] = share_of(*matrices[i], &first, part.unit_begin, part.unit_end, biases[i], y);
    if (error == cudaSuccess) error = launch_shares(c, tasks, 3, c.slot->n, PLANES_16_BITS, stride, RTI_OUTPUT_STORE);
    if (error == cudaSuccess && part.unit_end == part.unit_count)
        error = rti_launch_rope_store(attention_shape(c, part.layer), c.slot->qkv, c.slot->rows, c.max_rows, c.d->stream);
    return error;
}

static cudaError_t launch_attention(const rti_launch_context &c, const rt_part &part)
{
    rti_attention_shape shape = attention_shape(c, part.layer);
    cudaError_t error = rti_launch_attention(shape, c.slot->qkv, c.slot->partial, c.d->max_chunks, part.unit_begin, part.unit_end, c.slot->rows,
                                             c.max_rows, c.d->stream);
    if (error != cudaSuccess || part.unit_end < part.unit_count) return error;
    return rti_launch_attention_combine(shape, c.slot->partial, c.d->max_chunks, c.slot->attention, rounded_of(c, PLANES_8_BITS), c.slot->rows,
                                        c.max_rows, c.d->stream);
}

// A matrix whose result joins the residual stream, through a norm where the family has one.
static cudaError_t launch_residual(const rti_launch_context &c, const rt_part &part, const rti_device_matrix &m, const float *input,
                                   planes count, const float *bias, const rti_norm &norm)
{
    int first = 0, hidden = c.d->weights->network->hidden_size;
    float *y = norm.weight ? c.slot->sublayer : c.slot->x;
    rti_matrix_task task = share_of(m, &first, part.unit_begin, part.unit_end, bias, y);
    cudaError_t error = launch_shares(c, &task, 1, input, count, hidden, norm.weight ? RTI_OUTPUT_STORE : RTI_OUTPUT_ADD);
    if (error != cudaSuccess || !norm.weight || part.unit_end < part.unit_count) return error;
    return rti_launch_norm_add(norm, y, hidden, c.slot->x, c.slot->rows, c.max_rows, c.d->stream);
}

static cudaError_t launch_up(const rti_launch_context &c, const rt_part &part)
{
    const rti_cuda_layer &l = c.d->weights->layers[part.layer];
    const rti_network *n = c.d->weights->network;
    int first = 0, stride = l.gate.rows + l.up.rows;
    cudaError_t error = cudaSuccess;
    if (part.unit_begin == 0) error = launch_norm(c, l.feed_forward_norm, PLANES_8_BITS);
    rti_matrix_task tasks[2];
    tasks[0] = share_of(l.gate, &first, part.unit_begin, part.unit_end, NULL, c.slot->gate_up);
    tasks[1] = share_of(l.up, &first, part.unit_begin, part.unit_end, NULL, c.slot->gate_up + l.gate.rows);
    if (error == cudaSuccess) error = launch_shares(c, tasks, 2, c.slot->n, PLANES_8_BITS, stride, RTI_OUTPUT_STORE);
    if (error != cudaSuccess || part.unit_end < part.unit_count) return error;
    return rti_launch_activation((int)n->activation, c.slot->gate_up, n->feed_forward_size, c.slot->activated, rounded_of(c, PLANES_16_BITS), c.slot->rows,
                                 c.max_rows, c.d->stream);
}

static cudaError_t launch_logits(const rti_launch_context &c, const rt_part &part)
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
    rti_matrix_task task = {&w->output, part.unit_begin, part.unit_end, NULL, c.slot->logits};
    if (error == cudaSuccess)
        error = rti_launch_matrices(&task, 1, in, n->vocab_size, RTI_OUTPUT_STORE, n->logits_softcap, c.slot->rows, max_rows, true, c.d->stream);
    return error;
}

// With it what all layers need of the rows' positions.
static cudaError_t launch_embed(const rti_launch_context &c)
{
    const rti_weights *w = c.d->weights;
    const rti_network *n = w->network;
    cudaError_t error = rti_launch_embed(w->embedding, n->embedding_scale, c.slot->x, c.slot->rows, c.max_rows, c.d->stream);
    for (int i = 0; i < n->rope_count && error == cudaSuccess; i++)
        error = rti_launch_angles(w->frequency[i], n->ropes[i].rotated / 2, (double)(float)n->ropes[i].magnitude, c.slot->angles[i], c.slot->rows,
                                  c.max_rows, c.d->stream);
    return error;
}

cudaError_t rti_cuda_launch_part(const rti_launch_context &c, const rt_part &part)
{
    const rti_weights *w = c.d->weights;
    switch (part.kind) {
    case RT_PART_EMBED: return launch_embed(c);
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
