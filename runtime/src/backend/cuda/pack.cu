// Packing, a tile of 16 rows at a time: tiles are nobody else's, so threads share nothing but the number of the next one.
// SPDX-License-Identifier: MIT
#include "backend/cuda/pack.cuh"
#include "backend/cuda/quantised.cuh"
#include "backend/cuda/unpack.cuh"

#include <pthread.h>

#define MOST_THREADS 64
#define GROUPS_AT_ONCE 8 // tiles that a thread takes

struct pack_job {
    const rti_matrix *source;
    const rti_type_info *info;
    const rti_device_matrix *m;
    const rti_packed *to;
    void (*tile)(pack_job *job, int group);
    uint16_t places[RTI_GROUP][16]; // in a block of F16, BF16 and F8: where each pair of a row's columns goes, in values
    int next;                       // atomic
    bool has_not_numbers;           // atomic
};

static int last_row(const pack_job *job, int group)
{
    int end = (group + 1) * RTI_GROUP;
    return end < job->source->rows ? end : job->source->rows;
}

// ---------------------------------------------------------------------------------------------------------------------
// Quantised
// ---------------------------------------------------------------------------------------------------------------------

// A row's share of a record: words of four values, which lie side by side on both sides; its scales.
struct record_places {
    int words[8], scales[2], offset;
};

static record_places places_of(const rti_device_matrix &m, int r)
{
    record_places p;
    for (int i = 0; i < 8; i++) p.words[i] = rti_value_at(m.layout, r, 4 * i);
    for (int half = 0; half < 2; half++) p.scales[half] = rti_scale_at(m.layout, m.scale_kind, m.has_offsets, r, half, false);
    p.offset = rti_scale_at(m.layout, m.scale_kind, m.has_offsets, r, 0, true);
    return p;
}

static void put_scale(rti_scale_kind kind, uint8_t *to, const uint8_t *from)
{
    if (kind == RTI_SCALE_F16) memcpy(to, from, 2);
    else *to = *from;
}

static void fill_record(const rti_device_matrix &m, const rti_unpacked &block, const record_places &at, uint8_t *record)
{
    const int words = m.layout == RTI_LAYOUT_INT4 ? 4 : 8;
    for (int i = 0; i < words; i++) memcpy(record + at.words[i], block.values + 4 * i, 4);
    put_scale(m.scale_kind, record + at.scales[0], block.scales);
    if (m.layout == RTI_LAYOUT_INT8_HALF) put_scale(m.scale_kind, record + at.scales[1], block.scales + 1);
    if (m.has_offsets) put_scale(m.scale_kind, record + at.offset, block.offset);
}

static void pack_quantised(pack_job *job, int group)
{
    const rti_device_matrix &m = *job->m;
    const size_t record_bytes = (size_t)rti_record_bytes(m.layout, m.scale_kind, m.has_offsets);
    const size_t row_bytes = (size_t)(job->source->columns / job->info->block_values) * (size_t)job->info->block_bytes;
    uint8_t *records = job->to->values + (size_t)group * (size_t)m.blocks * record_bytes;
    uint8_t *supers = job->to->supers ? job->to->supers + (size_t)group * (size_t)((m.blocks + 7) / 8) * RTI_SUPER_BYTES : NULL;
    for (int row = group * RTI_GROUP; row < last_row(job, group); row++) {
        const uint8_t *in = (const uint8_t *)job->source->data + (size_t)row * row_bytes;
        const int r = row % RTI_GROUP;
        const record_places at = places_of(m, r);
        for (int b = 0; b < m.blocks; b++) {
            rti_unpacked block;
            rti_unpack_block(job->source->type, in, b, &block);
            fill_record(m, block, at, records + (size_t)b * record_bytes);
            if (supers && b % 8 == 0) memcpy(supers + (size_t)b / 8 * RTI_SUPER_BYTES + r % 8 * 8 + r / 8 * 4, block.supers, 4);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// F16, BF16 and FP8 as they are, in the order of rti_halves_index; zeros fill the last tile and block
// ---------------------------------------------------------------------------------------------------------------------

template <int SIZE> static void pack_halves(pack_job *job, int group)
{
    const rti_device_matrix &m = *job->m;
    const int columns = job->source->columns;
    for (int row = group * RTI_GROUP; row < last_row(job, group); row++) {
        const uint8_t *in = (const uint8_t *)job->source->data + (size_t)row * (size_t)columns * SIZE;
        const uint16_t *places = job->places[row % RTI_GROUP];
        bool has_not_numbers = false;
        if (SIZE == 1)
            for (int c = 0; c < columns; c++) has_not_numbers |= (in[c] & 0x7f) == 0x7f;
        if (has_not_numbers) __atomic_store_n(&job->has_not_numbers, true, __ATOMIC_RELAXED);
        uint8_t *block = job->to->values + (size_t)group * (size_t)m.blocks * (RTI_GROUP * 32 * SIZE);
        for (int c = 0; c < columns; c += 2, in += 2 * SIZE) {
            memcpy(block + places[c % 32 / 2] * SIZE, in, c + 1 < columns ? 2 * SIZE : SIZE);
            if (c % 32 == 30) block += RTI_GROUP * 32 * SIZE;
        }
    }
}

// Rare types: exact, at four bytes a weight.
static void pack_decoded(pack_job *job, int group)
{
    const size_t columns = (size_t)job->source->columns, first = (size_t)group * RTI_GROUP;
    const size_t row_bytes = columns / (size_t)job->info->block_values * (size_t)job->info->block_bytes;
    rti_cuda_services->dequantize(job->source->type, (const uint8_t *)job->source->data + first * row_bytes,
                                  (float *)job->to->values + first * columns, ((size_t)last_row(job, group) - first) * columns);
}

// ---------------------------------------------------------------------------------------------------------------------
// All of it
// ---------------------------------------------------------------------------------------------------------------------

static void *pack_some(void *argument)
{
    pack_job *job = (pack_job *)argument;
    for (;;) {
        int group = __atomic_fetch_add(&job->next, GROUPS_AT_ONCE, __ATOMIC_RELAXED);
        if (group >= job->m->groups) return NULL;
        for (int i = 0; i < GROUPS_AT_ONCE && group + i < job->m->groups; i++) job->tile(job, group + i);
    }
}

// The caller works too; threads that cannot be had are done without.
static void pack_all(pack_job *job, int threads)
{
    pthread_t others[MOST_THREADS];
    int useful = (job->m->groups + GROUPS_AT_ONCE - 1) / GROUPS_AT_ONCE, count = 0;
    if (threads > useful) threads = useful;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    while (count + 1 < threads && pthread_create(&others[count], NULL, pack_some, job) == 0) count++;
    pack_some(job);
    while (count > 0) pthread_join(others[--count], NULL);
}

bool rti_pack(const rt_host *host, const rti_matrix &source, const rti_device_matrix &m, int threads, rti_packed *packed)
{
    *packed = rti_packed();
    pack_job job = pack_job();
    job.source = &source;
    job.info = rti_cuda_services->type_find((uint32_t)source.type);
    job.m = &m;
    job.to = packed;
    if (m.layout < RTI_LAYOUT_F32) job.tile = pack_quantised;
    else if (m.layout == RTI_LAYOUT_F32) job.tile = pack_decoded;
    else job.tile = m.layout == RTI_LAYOUT_F8 ? pack_halves<1> : pack_halves<2>;
    for (int i = 0; i < RTI_GROUP * 16 && m.layout > RTI_LAYOUT_F32; i++)
        job.places[i / 16][i % 16] = (uint16_t)rti_halves_index(m.layout, i / 16, i % 16 * 2);
    packed->values_size = m.layout == RTI_LAYOUT_F32 ? (size_t)m.rows * (size_t)m.columns * sizeof(float)
                                                     : (size_t)m.groups * (size_t)m.blocks * (size_t)rti_record_bytes(m.layout, m.scale_kind, m.has_offsets);
    packed->supers_size = m.layout < RTI_LAYOUT_F32 && m.scale_kind == RTI_SCALE_K ? (size_t)m.groups * (size_t)((m.blocks + 7) / 8) * RTI_SUPER_BYTES : 0;
    packed->values = (uint8_t *)rti_cuda_services->allocate(host, packed->values_size);
    if (packed->supers_size) packed->supers = (uint8_t *)rti_cuda_services->allocate(host, packed->supers_size);
    if (!packed->values || (packed->supers_size && !packed->supers)) {
        rti_pack_free(host, packed);
        return false;
    }
    pack_all(&job, threads);
    packed->is_whole = !job.has_not_numbers;
    return true;
}

void rti_pack_free(const rt_host *host, rti_packed *packed)
{
    rti_cuda_services->release(host, packed->values, packed->values_size);
    rti_cuda_services->release(host, packed->supers, packed->supers_size);
    *packed = rti_packed();
}
