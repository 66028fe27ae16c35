// repartee bench memory: how much of the memory's read bandwidth decoding one sequence reaches, both measured in turns.
//
// A round reads a buffer as large as the weights that a token needs, with as many threads, decodes a few tokens of one sequence,
// and reads the buffer again. The share is taken round by round, so what the machine does to one it does to the other.
//
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MOST_READERS 64
#define HUGE_PAGE ((size_t)2 << 20)

typedef struct memory_bench {
    model_options model;
    int64_t rounds, tokens;
    bool json;
    rt_context *context;
    rt_model_info info;
    unsigned char *buffer;
    size_t buffer_bytes, mapped_bytes;
} memory_bench;

typedef struct reader {
    const unsigned char *from;
    size_t bytes;
    bool prefetches;
    uint64_t sum; // so that no compiler drops the reads
} reader;

#if defined(__x86_64__)
// Four streams of 32 bytes a step; with or without asking for what lies 8 KiB ahead, whichever this processor likes better.
__attribute__((target("avx2"))) static void read_avx2(reader *r)
{
    __m256i sums[4] = {0};
    for (size_t at = 0; at + 128 <= r->bytes; at += 128) {
        const __m256i *from = (const __m256i *)(const void *)(r->from + at);
        if (r->prefetches) {
            _mm_prefetch((const char *)from + 8192, _MM_HINT_T1);
            _mm_prefetch((const char *)from + 8192 + 64, _MM_HINT_T1);
        }
        for (int i = 0; i < 4; i++)
            sums[i] = _mm256_xor_si256(sums[i], _mm256_load_si256(from + i));
    }
    const __m256i all = _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
    r->sum = (uint64_t)_mm256_extract_epi64(all, 0) ^ (uint64_t)_mm256_extract_epi64(all, 3);
}
#endif

static void read_plain(reader *r)
{
    const uint64_t *from = (const uint64_t *)(const void *)r->from; // a mapping, then multiples of 128
    uint64_t sums[8] = {0};
    for (size_t at = 0; at + 8 <= r->bytes / sizeof *from; at += 8)
        for (int i = 0; i < 8; i++)
            sums[i] ^= from[at + (size_t)i];
    for (int i = 0; i < 8; i++)
        r->sum ^= sums[i];
}

static void *read_share(void *argument)
{
    reader *r = argument;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        read_avx2(r);
        return NULL;
    }
#endif
    read_plain(r);
    return NULL;
}

// GB/s of reading the buffer once.
static double read_buffer(const memory_bench *b, bool prefetches)
{
    reader readers[MOST_READERS];
    pthread_t threads[MOST_READERS];
    const int count = (int)b->model.threads;
    const size_t share = b->buffer_bytes / (size_t)count / 128 * 128;
    int started = 1;
    const uint64_t start = clock_ns();
    for (int i = 0; i < count; i++)
        readers[i] = (reader){.from = b->buffer + share * (size_t)i, .bytes = share, .prefetches = prefetches};
    while (started < count && pthread_create(&threads[started], NULL, read_share, &readers[started]) == 0)
        started++;
    for (int i = started; i < count; i++) // no more threads to be had: what they would have read is read here
        read_share(&readers[i]);
    read_share(&readers[0]);
    for (int i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
    return (double)(share * (size_t)count) / (double)(clock_ns() - start);
}

static bool evaluate_token(memory_bench *b, rt_sequence sequence, int64_t at, bool wants_logits)
{
    const rt_row row = {.sequence = sequence,
                        .token = (rt_token)((uint64_t)(at + 1) * 7919 % (uint64_t)b->info.vocab_size),
                        .wants_logits = wants_logits};
    return rt_context_evaluate(b->context, &row, 1, NULL) == RT_OK;
}

// Tokens a second; negative: failed.
static double decode(memory_bench *b)
{
    rt_sequence sequence;
    if (rt_sequence_create(b->context, &sequence) != RT_OK)
        return -1;
    bool done = evaluate_token(b, sequence, 0, true); // what the reader pushed out of the caches comes back
    const uint64_t start = clock_ns();
    for (int64_t i = 1; done && i <= b->tokens; i++)
        done = evaluate_token(b, sequence, i, true);
    const double seconds = (double)(clock_ns() - start) * 1e-9;
    done = rt_sequence_destroy(b->context, sequence) == RT_OK && done;
    return done ? (double)b->tokens / seconds : -1;
}

static bool buffer_create(memory_bench *b)
{
    b->buffer_bytes = (size_t)b->info.bytes_per_token;
    b->mapped_bytes = b->buffer_bytes + 2 * HUGE_PAGE;
    void *mapped = mmap(NULL, b->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return false;
    madvise(mapped, b->mapped_bytes, MADV_HUGEPAGE); // as the weights have them, where the system gives them
    b->buffer = mapped;
    for (size_t at = 0; at < b->mapped_bytes; at += 4096)
        b->buffer[at] = (unsigned char)(at >> 12);
    return true;
}

static int report(const memory_bench *b, const samples *reads, const samples *speeds, const samples *shares)
{
    json_t *out = json_object();
    figure_set(out, "read_gb_per_second", samples_quantile(reads, 0.5));
    figure_set(out, "tokens_per_second", samples_quantile(speeds, 0.5));
    figure_set(out, "decode_gb_per_second", samples_quantile(speeds, 0.5) * (double)b->info.bytes_per_token * 1e-9);
    figure_set(out, "share_percent", samples_quantile(shares, 0.5) * 100);
    figure_set(out, "share_least_percent", samples_quantile(shares, 0.0) * 100);
    figure_set(out, "share_most_percent", samples_quantile(shares, 1.0) * 100);
    figure_count(out, "bytes_per_token", b->info.bytes_per_token);
    figure_count(out, "threads", (uint64_t)b->model.threads);
    figure_count(out, "rounds", (uint64_t)b->rounds);
    json_object_set_new(out, "isa", json_string(rt_isa_name(b->info.isa)));
    return figures_print("bench memory", out, b->json);
}

// Which way of reading is the faster one here. The first read of all warms up.
static bool prefers_prefetch(const memory_bench *b)
{
    double speeds[2] = {0};
    for (int i = 0; i < 6; i++) {
        const double speed = read_buffer(b, i % 2);
        if (i >= 2)
            speeds[i % 2] += speed;
    }
    return speeds[1] >= speeds[0];
}

static int measure(memory_bench *b)
{
    samples reads = {0}, speeds = {0}, shares = {0};
    const bool prefetches = prefers_prefetch(b);
    double speed = decode(b);
    for (int64_t round = 0; speed >= 0 && round < b->rounds; round++) {
        const double before = read_buffer(b, prefetches);
        speed = decode(b);
        const double read = (before + read_buffer(b, prefetches)) / 2;
        if (speed < 0)
            break;
        samples_add(&reads, read);
        samples_add(&speeds, speed);
        samples_add(&shares, speed * (double)b->info.bytes_per_token * 1e-9 / read);
    }
    int exit_code = speed < 0 ? failure("bench memory", NULL) : report(b, &reads, &speeds, &shares);
    samples_free(&reads);
    samples_free(&speeds);
    samples_free(&shares);
    return exit_code;
}

int command_bench_memory(int argc, char **argv)
{
    memory_bench b = {.model = {.threads = 1}, .rounds = 10, .tokens = 8};
    const option options[] = {
        MODEL_OPTIONS(b.model),
        {"rounds", OPTION_INTEGER, &b.rounds, "N", "the median of these counts, default 10", 1, 10000},
        {"tokens", OPTION_INTEGER, &b.tokens, "N", "decoded in a round, default 8", 1, 1000},
        {"json", OPTION_FLAG, &b.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "bench memory",
        .usage = "[OPTION]...",
        .about = "How much of the memory's read bandwidth decoding reaches. A round reads a buffer of the size that a token's\n"
                 "weights have, with the same threads, before and after it decodes; the share is the median of the rounds'.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_context_def def = rt_default_context_def();
    exit_code = open_model("bench memory", &b.model, &def.model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    rt_model_get_info(def.model, &b.info);
    def.host = cli_host();
    def.max_rows = 1;
    def.max_logits_rows = 1;
    def.max_sequences = 1;
    def.max_passes = 1;
    def.kv_tokens = (uint64_t)b.tokens + 2 * RT_KV_BLOCK_TOKENS;
    def.worker_count = (int32_t)b.model.threads - 1;
    if (!buffer_create(&b))
        exit_code = failure("bench memory", "no memory for a buffer of %llu bytes beside the model",
                            (unsigned long long)b.info.bytes_per_token);
    else
        exit_code = rt_context_create(&def, &b.context) == RT_OK ? measure(&b) : failure("bench memory", NULL);
    if (b.buffer)
        munmap(b.buffer, b.mapped_bytes);
    rt_context_destroy(b.context);
    rt_model_close(def.model);
    return exit_code;
}
