// Blocks of threads: fibers that meet at barriers and warp operations.
// SPDX-License-Identifier: MIT
#include "backend/cuda/emulation/emulation.h"

#include <stdlib.h>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

namespace rti_emulation {

thread_local thread_state current;

// ---------------------------------------------------------------------------------------------------------------------
// Changing stacks: a few registers, where the C library's swapcontext asks the kernel for the signal mask each time
// ---------------------------------------------------------------------------------------------------------------------

#if defined(__x86_64__)
typedef void *machine_context; // its stack pointer; what the callee must keep lies on the stack
extern "C" void rti_emulation_switch(void **from, void *to);
__asm__(".text\n"
        ".type rti_emulation_switch, @function\n"
        "rti_emulation_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size rti_emulation_switch, .-rti_emulation_switch\n");
static void switch_context(machine_context *from, machine_context *to) { rti_emulation_switch(from, *to); }
static void begin_context(machine_context *context, uint8_t *stack, size_t bytes, void (*entry)(void))
{
    void **top = (void **)(stack + bytes) - 2; // the ABI wants 16-byte alignment less 8 at entry
    top[0] = (void *)entry;
    top[1] = NULL;
    *context = top - 6;
}
#else
typedef ucontext_t machine_context;
static void switch_context(machine_context *from, machine_context *to) { swapcontext(from, to); }
static void begin_context(machine_context *context, uint8_t *stack, size_t bytes, void (*entry)(void))
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}
#endif

// ---------------------------------------------------------------------------------------------------------------------
// Fibers: the threads of the block that runs
// ---------------------------------------------------------------------------------------------------------------------

enum fiber_state { RUNNABLE, AT_BARRIER, AT_WARP, FINISHED };
static const size_t stack_bytes = 64 * 1024;
static const int most_threads = 1024;

struct fiber {
    machine_context context;
    fiber_state state;
    thread_state identity;
    uint8_t given[2][32]; // what it handed to its warp; two, so that a quick lane cannot overwrite what a slow one still reads
    int round;            // warp operations so far
    warp_operation operation; // the last of them
};

struct block_runner {
    fiber *fibers;
    uint8_t *stacks;
    machine_context scheduler;
    int count, running, votes;
    bool is_broken; // an access that hardware would not make
    const std::function<void()> *body;
    void *scheduler_fake_stack;
    const void *scheduler_stack;
    size_t scheduler_stack_bytes;
};
static thread_local block_runner runner;

static void leave(fiber *f, bool for_good)
{
#if SANITIZED
    void *fake = NULL;
    __sanitizer_start_switch_fiber(for_good ? NULL : &fake, runner.scheduler_stack, runner.scheduler_stack_bytes);
#endif
    switch_context(&f->context, &runner.scheduler);
#if SANITIZED
    __sanitizer_finish_switch_fiber(fake, &runner.scheduler_stack, &runner.scheduler_stack_bytes);
#endif
    (void)for_good;
}

static void fiber_main(void)
{
#if SANITIZED
    __sanitizer_finish_switch_fiber(NULL, &runner.scheduler_stack, &runner.scheduler_stack_bytes);
#endif
    (*runner.body)();
    fiber *f = &runner.fibers[runner.running];
    f->state = FINISHED;
    leave(f, true);
}

static void resume(int index)
{
    fiber *f = &runner.fibers[index];
    runner.running = index;
    current = f->identity;
#if SANITIZED
    __sanitizer_start_switch_fiber(&runner.scheduler_fake_stack, runner.stacks + (size_t)index * stack_bytes, stack_bytes);
#endif
    switch_context(&runner.scheduler, &f->context);
#if SANITIZED
    __sanitizer_finish_switch_fiber(runner.scheduler_fake_stack, NULL, NULL);
#endif
}

static void wait_as(fiber_state state)
{
    fiber *f = &runner.fibers[runner.running];
    f->state = state;
    leave(f, false);
    current = f->identity;
}

void barrier(void)
{
    wait_as(AT_BARRIER);
}

int barrier_or(int vote)
{
    runner.votes |= vote;
    barrier();
    int any = runner.votes;
    barrier(); // all have seen it
    runner.votes = 0;
    barrier();
    return any;
}

void warp_publish(const void *mine, int bytes, warp_operation which)
{
    fiber *f = &runner.fibers[runner.running];
    f->operation = which;
    memcpy(f->given[f->round++ & 1], mine, (size_t)bytes);
    wait_as(AT_WARP);
}

const void *warp_peek(int lane)
{
    int index = runner.running, other = (index & ~31) + lane;
    const fiber *f = &runner.fibers[other < runner.count ? other : index];
    return f->given[(runner.fibers[index].round - 1) & 1];
}

bool check_access(const void *at, size_t size)
{
    bool is_aligned = (uintptr_t)at % size == 0;
    runner.is_broken = runner.is_broken || !is_aligned;
    return is_aligned;
}

void guard(void *at, size_t bytes, bool closed)
{
#if SANITIZED
    if (closed) __asan_poison_memory_region(at, bytes);
    else __asan_unpoison_memory_region(at, bytes);
#else
    (void)at, (void)bytes, (void)closed;
#endif
}

// Releases the lanes of a warp once all of them wait for each other in one operation: every mask in this backend is the full one.
static bool release_warp(int first)
{
    for (int i = first; i < first + 32; i++)
        if (i >= runner.count || runner.fibers[i].state != AT_WARP || runner.fibers[i].operation != runner.fibers[first].operation) return false;
    for (int i = first; i < first + 32; i++) runner.fibers[i].state = RUNNABLE;
    return true;
}

static bool release_block(void)
{
    int waiting = 0;
    for (int i = 0; i < runner.count; i++) {
        if (runner.fibers[i].state == FINISHED) continue;
        if (runner.fibers[i].state != AT_BARRIER) return false;
        waiting++;
    }
    for (int i = 0; i < runner.count; i++)
        if (runner.fibers[i].state == AT_BARRIER) runner.fibers[i].state = RUNNABLE;
    return waiting > 0;
}

// False: threads wait for others that never come.
static bool run_block(bool backwards)
{
    const int warps = (runner.count + 31) / 32;
    for (;;) {
        bool moved = false, all_finished = true;
        for (int w = 0; w < warps; w++) {
            const int first = (backwards ? warps - 1 - w : w) * 32;
            for (int lane = 0; lane < 32; lane++) {
                const int i = first + (backwards ? 31 - lane : lane);
                if (i >= runner.count) continue;
                if (runner.fibers[i].state == RUNNABLE) {
                    resume(i);
                    moved = true;
                }
                all_finished = all_finished && runner.fibers[i].state == FINISHED;
            }
            if (release_warp(first)) moved = true;
        }
        if (runner.is_broken) return false;
        if (all_finished) return true;
        if (release_block()) moved = true;
        if (!moved) return false;
    }
}

__attribute__((noinline)) static void prepare_fiber(fiber *f, uint8_t *stack, const thread_state &identity)
{
    f->identity = identity;
    f->state = RUNNABLE;
    f->round = 0;
#if SANITIZED
    __asan_unpoison_memory_region(stack + stack_bytes - 4096, 4096); // of a thread that ended here, whose last frames never returned
#endif
    begin_context(&f->context, stack, stack_bytes, fiber_main);
}

static void prepare_fibers(dim3 grid, dim3 block, uint3 block_index, uint8_t *shared)
{
    for (int i = 0; i < runner.count; i++) {
        unsigned n = (unsigned)i;
        uint3 thread = {n % block.x, n / block.x % block.y, n / (block.x * block.y)};
        prepare_fiber(&runner.fibers[i], runner.stacks + (size_t)i * stack_bytes, thread_state{thread, block_index, block, grid, shared});
    }
}

bool run_blocks(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body)
{
    static thread_local unsigned launches;
    const bool backwards = launches++ % 2 != 0;
    int count = (int)(block.x * block.y * block.z);
    if (count < 1 || count > most_threads || shared_bytes > 48 * 1024) return false; // more shared memory is asked for by name
    if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7fffffffu || grid.y > 65535u || grid.z > 65535u) return false;
    std::vector<fiber> fibers((size_t)count);
    uint8_t *stacks = (uint8_t *)malloc((size_t)count * stack_bytes);
    // Exactly as many bytes as were asked for, so that reading past them is caught.
    uint8_t *shared = (uint8_t *)aligned_alloc(16, (shared_bytes + 15) / 16 * 16 + 16);
    block_runner outer = runner;
    runner = block_runner{};
    runner.fibers = fibers.data();
    runner.stacks = stacks;
    runner.count = count;
    runner.body = &body;
    bool met = true;
    for (unsigned z = 0; z < grid.z && met; z++)
        for (unsigned y = 0; y < grid.y && met; y++)
            for (unsigned x = 0; x < grid.x && met; x++) {
                memset(shared, 0xcd, shared_bytes); // never zero by luck
                uint3 index = {x, y, z};
                if (backwards) index = uint3{grid.x - 1 - x, grid.y - 1 - y, grid.z - 1 - z};
                prepare_fibers(grid, block, index, shared);
                met = run_block(backwards);
            }
    runner = outer;
    free(stacks);
    free(shared);
    return met;
}

} // namespace rti_emulation
