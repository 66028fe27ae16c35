// options.h - a small, strict reader of command lines: what it does not know is an error, and so is anything twice.
// SPDX-License-Identifier: MIT
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_DONE   0 // did what was asked
#define EXIT_FAILED 1 // could not; words are on stderr
#define EXIT_USAGE  2 // was asked in a way it does not understand

#define OPTIONS_MAX_TEXTS 256

typedef struct option_texts {
    const char *items[OPTIONS_MAX_TEXTS];
    int count;
} option_texts;

typedef enum option_kind {
    OPTION_FLAG,    // bool
    OPTION_TEXT,    // const char *
    OPTION_TEXTS,   // option_texts: may be given several times
    OPTION_INTEGER, // int64_t, least .. most
    OPTION_NUMBER,  // double, least .. most
    OPTION_CHOICE,  // const char *: one of the words in `argument`, parted by |
} option_kind;

typedef struct option {
    const char *name; // without the dashes
    option_kind kind;
    void *value;
    const char *argument; // what follows, for the help ("FILE"); OPTION_CHOICE: the words
    const char *help;
    double least, most;
} option;

typedef struct command_line {
    const char *command; // "tokens"
    const char *usage;   // what follows the name in the first line of the help
    const char *about;   // what it does, in whole sentences
    const option *options;
    int option_count;
    int least_operands, most_operands;
    const char **operands; // room for most_operands
    int operand_count;
} command_line;

// A table of options, in the initialiser of a command_line.
#define OPTIONS(table) .options = (table), .option_count = (int)(sizeof(table) / sizeof((table)[0]))

// Reads argv[1] to argv[argc - 1]. True: go on. False: return *exit_code (0 after --help, else 2, with words on stderr).
bool command_line_parse(command_line *line, int argc, char **argv, int *exit_code);

// Says on stderr what was wrong with how the command was asked; returns EXIT_USAGE.
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Says on stderr why the command could not; returns EXIT_FAILED. With format NULL: the library's last message.
int failure(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

// "1,2,3" to numbers within [least, most]. Returns a malloc'd list, or NULL with words in `problem`.
int32_t *parse_id_list(const char *text, size_t *count, int64_t least, int64_t most, char problem[128]);

#endif
