// The `repartee` command: finds the command and runs it.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"

#include "rt/base.h"

#include <stdio.h>
#include <string.h>

// Built without this one, the command does without it.
#pragma weak command_mask

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    {"chat", command_chat, "talk to a character"},
    {"check", command_check, "scripts and schemas, with file, line and what to do about it"},
    {"tokens", command_tokens, "text to token ids, and back"},
    {"prompt", command_prompt, "a conversation as the model will see it"},
    {"logits", command_logits, "what a model gives for known tokens"},
    {"mask", command_mask, "JSON Schemas to masks, on maskbench lines"},
    {"sample", command_sample, "what a model writes under the masks of schemas"},
    {"call", command_call, "which functions a model would call for a question"},
    {"bench", command_bench, "speed and memory: repartee bench --help lists of what"},
    {"frame", command_frame, "a recorded game's frames, with characters talking beside them"},
    {"trace", command_trace, "what each frame did, for Perfetto"},
    {"replay", command_replay, "a recording played again, to the same words"},
    {"synth", command_synth, "a model of random weights in a real model's shape"},
    {"quantize", command_quantize, "a smaller model file from a larger one"},
};

static void print_usage(FILE *out)
{
    fprintf(out, "usage: repartee COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].run)
            fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(out, "\nrepartee COMMAND --help says more; repartee --version says which this is.\n"
                 "Results go to stdout, words to stderr. Exit codes: 0 done, 1 failed, 2 asked wrongly.\n");
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("repartee %s\n", rt_version());
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].run && strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "repartee: there is no command '%s'\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}

// What could not be written was not done: a full disk is no success.
int main(int argc, char **argv)
{
    int exit_code = run(argc, argv);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return written || exit_code != EXIT_DONE ? exit_code : failure(argv[1], "cannot write to stdout");
}
