// repartee bench: the figures that the README quotes.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

// Built without one of these, the command does without it.
#pragma weak command_bench_model
#pragma weak command_mask

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} benches[] = {
    {"model", command_bench_model, "tokens a second: prompts and replies, alone and behind a long context"},
    {"memory", command_bench_memory, "the share of the memory's read bandwidth that decoding reaches"},
    {"frame", command_bench_frame, "what characters take of a game's frames"},
    {"slices", command_bench_slices, "what small budgets cost, and how well slices are predicted"},
    {"focus", command_bench_focus, "how soon the first word comes, alone and in a crowd"},
    {"crowd", command_bench_crowd, "what many characters share, and what each costs"},
    {"mask", command_mask, "JSON Schemas to masks: right or wrong, and how fast"},
    {"tokens", command_bench_tokens, "text to tokens and back"},
    {"cache", command_bench_cache, "the key-value cache: forks, shared prefixes, snapshots"},
    {"device", command_bench_device, "what the GPU itself can do: copies and bare cuBLAS products"},
};

int command_bench(int argc, char **argv)
{
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    for (size_t i = 0; argc > 1 && i < sizeof benches / sizeof benches[0]; i++)
        if (benches[i].run && strcmp(argv[1], benches[i].name) == 0)
            return benches[i].run(argc - 1, argv + 1);
    FILE *out = help ? stdout : stderr;
    if (!help && argc > 1)
        fprintf(out, "repartee bench: there is no '%s'\n", argv[1]);
    fprintf(out, "usage: repartee bench WHAT [OPTION]...\n\n");
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
        if (benches[i].run)
            fprintf(out, "  %-10s %s\n", benches[i].name, benches[i].about);
    fprintf(out, "\nrepartee bench WHAT --help says more.\n");
    return help ? EXIT_DONE : EXIT_USAGE;
}
