// backend/cpu/pool.c - threads that share out phases of work and never wait long for a thread that lost its processor.
//
// A phase is cut into small pieces which whoever is free claims, so a worker that the system took away holds up at most the
// piece it had begun; the caller alone finishes everything else. Claims carry the job's number: a worker that wakes late
// finds another number and goes back to sleep. Waiting spins a bounded time and then sleeps in the kernel (futex).
//
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// One cache line a phase. claim: job << 32 | pieces << 16 | next piece. left: job << 32 | pieces not yet done.
typedef struct pool_phase {
    _Atomic uint64_t claim;
    _Atomic uint64_t left;
    _Atomic uint32_t sleepers; // on `left`'s low half
    int32_t units;
    uint8_t reserved[32];
} pool_phase;

typedef struct pool_worker {
    rti_pool *pool;
    pthread_t thread;
    int32_t index, cpu;
} pool_worker;

struct rti_pool {
    _Atomic uint32_t job; // number of the job under way; workers sleep on it
    _Atomic uint32_t idle; // workers asleep on `job`
    _Atomic bool stop;
    uint8_t reserved[52];
    pool_phase phases[RTI_POOL_MAX_PHASES];
    _Atomic int32_t phase_count;
    rti_phase_function *_Atomic function;
    void *_Atomic context;
    rt_host host;
    uint64_t spin_ns;
    int32_t worker_count, started;
    pool_worker *workers;
};

static void futex_wait(const void *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(const void *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Waits until *word (or the low half of it) is no longer `value`, for at most the spinning time. False: still the same.
static bool spin_while_equal(const rti_pool *pool, const _Atomic uint32_t *word, uint32_t value)
{
    uint64_t begin = 0;
    for (uint32_t i = 1;; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value) {
            return true;
        }
        pause_briefly();
        if (i % 64 == 0) {
            uint64_t now = rti_now_ns();
            begin = begin ? begin : now;
            if (now - begin >= pool->spin_ns) {
                return false;
            }
        }
    }
}

static uint32_t *low_half(_Atomic uint64_t *word)
{
    return (uint32_t *)(void *)word; // little-endian
}

// Waits for the last piece of a phase. False: the job is over (a late worker).
static bool phase_wait(rti_pool *pool, pool_phase *phase, uint32_t job)
{
    uint64_t begin = 0;
    for (uint32_t i = 1;; i++) {
        uint64_t left = atomic_load_explicit(&phase->left, memory_order_acquire);
        if ((uint32_t)(left >> 32) != job) {
            return false;
        }
        if ((uint32_t)left == 0) {
            return true;
        }
        pause_briefly();
        if (i % 64 != 0) {
            continue;
        }
        uint64_t now = rti_now_ns();
        begin = begin ? begin : now;
        if (now - begin >= pool->spin_ns) {
            atomic_fetch_add(&phase->sleepers, 1);
            left = atomic_load(&phase->left);
            if ((uint32_t)(left >> 32) == job && (uint32_t)left != 0) {
                futex_wait(low_half(&phase->left), (uint32_t)left);
            }
            atomic_fetch_sub(&phase->sleepers, 1);
        }
    }
}

// Claims and runs pieces of a phase until none is left. False: the job is over.
static bool phase_work(rti_pool *pool, int32_t index, uint32_t job, int32_t thread)
{
    pool_phase *phase = &pool->phases[index];
    uint64_t claim = atomic_load_explicit(&phase->claim, memory_order_acquire);
    for (;;) {
        uint32_t pieces = (uint32_t)(claim >> 16) & 0xffff, next = (uint32_t)claim & 0xffff;
        if ((uint32_t)(claim >> 32) != job) {
            return false;
        }
        if (next >= pieces) {
            return true;
        }
        if (!atomic_compare_exchange_weak_explicit(&phase->claim, &claim, claim + 1, memory_order_acq_rel, memory_order_acquire)) {
            continue;
        }
        int64_t units = phase->units;
        int32_t begin = (int32_t)(units * next / pieces), end = (int32_t)(units * (next + 1) / pieces);
        rti_phase_function *function = atomic_load_explicit(&pool->function, memory_order_relaxed);
        function(atomic_load_explicit(&pool->context, memory_order_relaxed), index, thread, begin, end);
        uint64_t left = atomic_fetch_sub(&phase->left, 1) - 1;
        if ((uint32_t)left == 0) {
            if (atomic_load(&phase->sleepers) > 0) {
                futex_wake(low_half(&phase->left));
            }
        }
        claim = atomic_load_explicit(&phase->claim, memory_order_acquire);
    }
}

static void *worker_main(void *argument)
{
    pool_worker *worker = argument;
    rti_pool *pool = worker->pool;
    uint32_t seen = 0;
    if (worker->cpu >= 0 && worker->cpu < CPU_SETSIZE) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(worker->cpu, &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set); // a wish: without it the system decides
    }
    for (;;) {
        while (atomic_load_explicit(&pool->job, memory_order_acquire) == seen) {
            if (atomic_load(&pool->stop)) {
                return NULL;
            }
            if (!spin_while_equal(pool, &pool->job, seen)) {
                atomic_fetch_add(&pool->idle, 1);
                if (atomic_load(&pool->job) == seen && !atomic_load(&pool->stop)) {
                    futex_wait(&pool->job, seen);
                }
                atomic_fetch_sub(&pool->idle, 1);
            }
        }
        seen = atomic_load_explicit(&pool->job, memory_order_acquire);
        int32_t count = atomic_load_explicit(&pool->phase_count, memory_order_acquire);
        for (int32_t i = 0; i < count; i++) {
            if (!phase_work(pool, i, seen, worker->index) || (i + 1 < count && !phase_wait(pool, &pool->phases[i], seen))) {
                break;
            }
        }
    }
}

void rti_pool_run(rti_pool *pool, rti_phase_function *function, void *context, int32_t phase_count, const int32_t *units,
                  uint64_t *finished_ns)
{
    if (pool->worker_count == 0) {
        for (int32_t i = 0; i < phase_count; i++) {
            if (units[i] > 0) {
                function(context, i, 0, 0, units[i]);
            }
            if (finished_ns) {
                finished_ns[i] = rti_now_ns();
            }
        }
        return;
    }
    uint32_t job = atomic_load_explicit(&pool->job, memory_order_relaxed) + 1;
    for (int32_t i = 0; i < phase_count; i++) {
        int32_t threads = pool->worker_count + 1, pieces = RTI_MIN(units[i], threads * 8);
        pool_phase *phase = &pool->phases[i];
        phase->units = units[i];
        atomic_store_explicit(&phase->left, (uint64_t)job << 32 | (uint32_t)pieces, memory_order_relaxed);
        atomic_store_explicit(&phase->claim, (uint64_t)job << 32 | (uint64_t)pieces << 16, memory_order_release);
    }
    atomic_store_explicit(&pool->function, function, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->phase_count, phase_count, memory_order_relaxed);
    atomic_store(&pool->job, job);
    if (atomic_load(&pool->idle) > 0) {
        futex_wake(&pool->job);
    }
    for (int32_t i = 0; i < phase_count; i++) {
        phase_work(pool, i, job, 0);
        phase_wait(pool, &pool->phases[i], job);
        if (finished_ns) {
            finished_ns[i] = rti_now_ns();
        }
    }
}

size_t rti_pool_bytes(int32_t worker_count)
{
    return sizeof(rti_pool) + (size_t)worker_count * sizeof(pool_worker);
}

int32_t rti_pool_threads(const rti_pool *pool)
{
    return pool->worker_count + 1;
}

rt_result rti_pool_create(const rt_host *host, int32_t worker_count, const int32_t *cpus, uint32_t spin_us, rti_pool **out)
{
    rti_pool *pool = rti_allocate_zeroed(host, sizeof *pool);
    if (!pool) {
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "worker threads: no memory");
    }
    pool->host = *host;
    pool->spin_ns = (uint64_t)spin_us * 1000;
    pool->worker_count = worker_count;
    pool->workers = worker_count ? rti_allocate_zeroed(host, (size_t)worker_count * sizeof *pool->workers) : NULL;
    if (worker_count && !pool->workers) {
        pool->worker_count = 0;
        rti_pool_destroy(pool);
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "worker threads: no memory for %d", worker_count);
    }
    for (int32_t i = 0; i < worker_count; i++) {
        pool->workers[i] = (pool_worker){.pool = pool, .index = i + 1, .cpu = cpus ? cpus[i] : -1};
        int error = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
        if (error) {
            rti_pool_destroy(pool);
            return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "worker threads: the system refuses thread %d of %d: %s: ask for fewer",
                            i + 1, worker_count, strerror(error));
        }
        pool->started = i + 1;
    }
    *out = pool;
    return RT_OK;
}

void rti_pool_destroy(rti_pool *pool)
{
    if (!pool) {
        return;
    }
    atomic_store(&pool->stop, true);
    // A new job number without phases wakes whoever waits for one.
    atomic_store(&pool->phase_count, 0);
    atomic_fetch_add(&pool->job, 1);
    futex_wake(&pool->job);
    for (int32_t i = 0; i < pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    rt_host host = pool->host;
    rti_release(&host, pool->workers, (size_t)pool->worker_count * sizeof *pool->workers);
    rti_release(&host, pool, sizeof *pool);
}
