// The `repartee` command: finds the command and runs it.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"

#include "rt/base.h"

#include <stdio.h>
#include <string.h>

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
};

static void print_usage(FILE *out)
{
    fprintf(out, "usage: repartee COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(out, "\nrepartee COMMAND --help says more; repartee --version says which this is.\n"
                 "Results go to stdout, words to stderr. Exit codes: 0 done, 1 failed, 2 asked wrongly.\n");
}

int main(int argc, char **argv)
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
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "repartee: there is no command '%s'\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}
