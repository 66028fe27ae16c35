// Passes on the device: inputs go up once, parts are queued and polled, never waited for.
// SPDX-License-Identifier: MIT
#include "backend/cuda/launch.cuh"
#include "backend/cuda/quantised.cuh"

// ---------------------------------------------------------------------------------------------------------------------
// Beginning
// ---------------------------------------------------------------------------------------------------------------------

// Rows of one sequence share its table; all of them go up in one copy.
static rt_result upload_tables(rti_device *d, rti_cuda_slot *slot, const rti_pass_input *input)
{
    int *row_tables = (int *)slot->host_rows.row_tables;
    int count = 0;
    size_t end = 0;
    for (int i = 0; i < input->row_count; i++) {
        const rti_row *row = &input->rows[i];
        int same = -1;
        for (int j = i - 1; j >= 0 && same < 0; j--)
            if (input->rows[j].blocks == row->blocks) same = row_tables[j];
        row_tables[i] = same >= 0 ? same : count++;
        if (i + 1 < input->row_count && input->rows[i + 1].blocks == row->blocks) continue; // a later row has more of them
        size_t at = (size_t)row_tables[i] * (size_t)d->table_size;
        size_t entries = (size_t)(row->position / RT_KV_BLOCK_TOKENS - row->first_position / RT_KV_BLOCK_TOKENS + 1);
        memcpy(slot->host_tables + at, row->blocks, entries * sizeof(unsigned));
        end = at + entries > end ? at + entries : end;
    }
    cudaError_t error = cudaMemcpyAsync(slot->tables, slot->host_tables, end * sizeof(unsigned), cudaMemcpyHostToDevice, d->stream);
    return rti_cuda_check(&d->host, error, "sending block tables");
}

rt_result rti_cuda_pass_begin(rti_device *d, int32_t number, const rti_pass_input *input)
{
    rti_cuda_slot *slot = &d->slots[number];
    if (!rti_cuda_has_cache(d)) return RT_ERROR_DEVICE;
    if (d->generation != d->weights->generation) { // layers, or the cache, have moved since the graphs were made
        rti_cuda_graphs_destroy(d);
        rt_result made = rti_cuda_graphs_create(d);
        if (made != RT_OK) { // the next pass tries again
            rti_cuda_graphs_destroy(d);
            d->generation = d->weights->generation - 1;
            return made;
        }
    }
    // Of a pass that was dropped right after it began the rows may still be on their way.
    cudaError_t error = slot->is_sent ? rti_cuda_wait(slot->sent) : cudaSuccess;
    if (error != cudaSuccess) return rti_cuda_check(&d->host, error, "beginning a pass");
    rti_pass_header *header = (rti_pass_header *)slot->host_rows.header;
    header->row_count = slot->row_count = input->row_count;
    header->logits_count = slot->logits_count = input->logits_count;
    slot->context_sum = 0;
    slot->number = slot->number + 1 ? slot->number + 1 : 1;
    header->number = slot->number;
    header->stopped = 0;
    memset(slot->fetched, 0, sizeof slot->fetched);
    for (int i = 0; i < input->row_count; i++) {
        const rti_row *row = &input->rows[i];
        ((int *)slot->host_rows.tokens)[i] = row->token;
        ((int *)slot->host_rows.positions)[i] = row->position;
        ((int *)slot->host_rows.first_positions)[i] = row->first_position;
        if (row->logits_row >= 0) ((int *)slot->host_rows.logits_rows)[row->logits_row] = i;
        slot->context_sum += row->position - row->first_position + 1;
    }
    rt_result result = upload_tables(d, slot, input);
    if (result != RT_OK) return result;
    error = cudaMemcpyAsync(slot->inputs, slot->host_inputs, slot->inputs_bytes, cudaMemcpyHostToDevice, d->stream);
    if (error == cudaSuccess) error = cudaEventRecord(slot->sent, d->stream);
    slot->is_sent = error == cudaSuccess;
    if (error == cudaSuccess) __atomic_fetch_add(&d->weights->open_passes, 1, __ATOMIC_ACQ_REL);
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
    uint64_t blocks = (uint64_t)m.blocks, values = (uint64_t)RTI_GROUP * (uint64_t)m.columns;
    if (m.layout >= RTI_LAYOUT_F32) return values * (m.layout == RTI_LAYOUT_F32 ? 4 : m.layout == RTI_LAYOUT_F8 ? 1 : 2);
    uint64_t supers = m.supers ? (blocks + 7) / 8 * RTI_SUPER_BYTES : 0;
    return blocks * (uint64_t)rti_record_bytes(m.layout, m.scale_kind, m.has_offsets) + supers;
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
// Running
// ---------------------------------------------------------------------------------------------------------------------

// The five parts of one layer, each whole, in order.
static bool is_whole_layer(const rt_part *parts, int count)
{
    if (count < 5 || parts[0].kind != RT_PART_QKV) return false;
    for (int i = 0; i < 5; i++)
        if (parts[i].unit_begin != 0 || parts[i].unit_end != parts[i].unit_count || parts[i].layer != parts[0].layer) return false;
    return true;
}

rt_result rti_cuda_run(rti_device *d, int32_t number, rt_part *parts, int32_t part_count)
{
    rti_cuda_slot *slot = &d->slots[number];
    rti_launch_context c = {d, slot, slot->row_count};
    cudaError_t error = cudaEventRecord(slot->begin, d->stream);
    for (int i = 0; i < part_count && error == cudaSuccess;) {
        if (is_whole_layer(parts + i, part_count - i)) {
            error = rti_cuda_run_layer(c, parts + i);
            i += 5;
        } else {
            error = rti_cuda_launch_part(c, parts[i++]);
        }
    }
    if (error == cudaSuccess) error = cudaEventRecord(slot->end, d->stream);
    slot->is_queued = error == cudaSuccess;
    return rti_cuda_check(&d->host, error, "queueing a slice");
}

rt_result rti_cuda_poll(rti_device *d, int32_t number, bool *idle, uint64_t *elapsed_ns)
{
    rti_cuda_slot *slot = &d->slots[number];
    *idle = true;
    *elapsed_ns = 0;
    if (!slot->is_queued) return RT_OK;
    cudaError_t error = cudaEventQuery(slot->end);
    if (error == cudaErrorNotReady) {
        rti_cuda_forget_error();
        *idle = false;
        return RT_OK;
    }
    slot->is_queued = false;
    if (error != cudaSuccess) return rti_cuda_check(&d->host, error, "running a slice");
    float milliseconds = 0.0f;
    if (cudaEventElapsedTime(&milliseconds, slot->begin, slot->end) != cudaSuccess) rti_cuda_forget_error();
    *elapsed_ns = (uint64_t)((double)milliseconds * 1e6);
    if (*elapsed_ns == 0) *elapsed_ns = 1;
    return RT_OK;
}

// Nothing is waited for: the kernels of this pass that have not begun find its number in the flag and return at once; the next
// pass has another number.
void rti_cuda_cancel(rti_device *d, int32_t number)
{
    rti_cuda_slot *slot = &d->slots[number];
    *slot->host_stop = slot->number;
    slot->is_queued = false;
}

void rti_cuda_pass_end(rti_device *d, int32_t number)
{
    d->slots[number].row_count = d->slots[number].logits_count = 0;
    __atomic_fetch_sub(&d->weights->open_passes, 1, __ATOMIC_ACQ_REL);
}
