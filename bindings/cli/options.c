// SPDX-License-Identifier: MIT
#include "options.h"

#include "rt/base.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "repartee %s: ", command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\nSee repartee %s --help\n", command);
    va_end(arguments);
    return EXIT_USAGE;
}

int failure(const char *command, const char *format, ...)
{
    fprintf(stderr, "repartee %s: ", command);
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
    } else {
        fputs(rt_error_message(), stderr);
    }
    fputc('\n', stderr);
    return EXIT_FAILED;
}

static void print_help(const command_line *line)
{
    printf("usage: repartee %s %s\n\n%s\n", line->command, line->usage, line->about);
    if (line->option_count)
        printf("\n");
    for (int i = 0; i < line->option_count; i++) {
        const option *o = &line->options[i];
        char left[128];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->kind == OPTION_FLAG ? "" : " ",
                 o->kind == OPTION_FLAG ? "" : o->argument);
        if (strlen(left) > 24)
            printf("  %s\n  %-24s  %s\n", left, "", o->help);
        else
            printf("  %-24s  %s\n", left, o->help);
    }
    printf("  %-24s  %s\n", "--help", "this text");
}

static bool read_integer(const option *o, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || *text == ' ' || *text == '+')
        return false;
    if (o->most > o->least && ((double)value < o->least || (double)value > o->most))
        return false;
    *(int64_t *)o->value = value;
    return true;
}

static bool read_number(const option *o, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || *text == ' ' || !isfinite(value))
        return false;
    if (o->most > o->least && (value < o->least || value > o->most))
        return false;
    *(double *)o->value = value;
    return true;
}

static bool read_choice(const option *o, const char *text)
{
    size_t length = strlen(text);
    for (const char *word = o->argument; word && length; word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL) {
        if (strncmp(word, text, length) == 0 && (word[length] == '|' || word[length] == 0)) {
            *(const char **)o->value = text;
            return true;
        }
    }
    return false;
}

// Takes one option's value; says what is wrong with it.
static bool take_value(const command_line *line, const option *o, const char *text)
{
    switch (o->kind) {
    case OPTION_FLAG: *(bool *)o->value = true; return true;
    case OPTION_TEXT: *(const char **)o->value = text; return true;
    case OPTION_TEXTS: {
        option_texts *texts = o->value;
        if (texts->count == OPTIONS_MAX_TEXTS) {
            usage_error(line->command, "--%s: more than %d of them", o->name, OPTIONS_MAX_TEXTS);
            return false;
        }
        texts->items[texts->count++] = text;
        return true;
    }
    case OPTION_INTEGER:
        if (read_integer(o, text))
            return true;
        break;
    case OPTION_NUMBER:
        if (read_number(o, text))
            return true;
        break;
    case OPTION_CHOICE:
        if (read_choice(o, text))
            return true;
        usage_error(line->command, "--%s: '%s' is none of %s", o->name, text, o->argument);
        return false;
    }
    if (o->most > o->least)
        usage_error(line->command, "--%s: '%s' is no number from %.10g to %.10g", o->name, text, o->least, o->most);
    else
        usage_error(line->command, "--%s: '%s' is no number", o->name, text);
    return false;
}

static const option *find_option(const command_line *line, const char *name, size_t length)
{
    for (int i = 0; i < line->option_count; i++)
        if (strlen(line->options[i].name) == length && strncmp(line->options[i].name, name, length) == 0)
            return &line->options[i];
    return NULL;
}

bool command_line_parse(command_line *line, int argc, char **argv, int *exit_code)
{
    uint64_t seen = 0; // a bit an option
    bool operands_only = false;
    line->operand_count = 0;
    *exit_code = EXIT_USAGE;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (operands_only || word[0] != '-' || word[1] == 0) {
            if (line->operand_count == line->most_operands)
                return usage_error(line->command, "'%s' is one operand too many", word), false;
            line->operands[line->operand_count++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            operands_only = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(line);
            *exit_code = EXIT_DONE;
            return false;
        }
        const char *equals = strchr(word, '=');
        const option *o = word[1] == '-'
                              ? find_option(line, word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word) - 2)
                              : NULL;
        if (!o)
            return usage_error(line->command, "there is no option '%s'", word), false;
        uint64_t bit = (uint64_t)1 << (o - line->options);
        if ((seen & bit) && o->kind != OPTION_TEXTS)
            return usage_error(line->command, "--%s is given twice", o->name), false;
        seen |= bit;
        const char *value = equals ? equals + 1 : NULL;
        if (o->kind == OPTION_FLAG && value)
            return usage_error(line->command, "--%s takes no value", o->name), false;
        if (o->kind != OPTION_FLAG && !value) {
            if (i + 1 == argc)
                return usage_error(line->command, "--%s needs %s behind it", o->name, o->argument), false;
            value = argv[++i];
        }
        if (!take_value(line, o, value))
            return false;
    }
    if (line->operand_count < line->least_operands)
        return usage_error(line->command, "too few operands: %s", line->usage), false;
    return true;
}

int32_t *parse_id_list(const char *text, size_t *count, int64_t least, int64_t most, char problem[128])
{
    size_t capacity = 1;
    for (const char *at = text; *at; at++)
        capacity += *at == ',';
    int32_t *ids = malloc(capacity * sizeof *ids);
    *count = 0;
    if (!ids) {
        snprintf(problem, 128, "no memory for %zu numbers", capacity);
        return NULL;
    }
    for (const char *at = text;; at++) {
        char *end;
        errno = 0;
        while (*at == ' ' || *at == '\n')
            at++;
        long long value = strtoll(at, &end, 10);
        if (end == at || errno || value < least || value > most) {
            snprintf(problem, 128, "'%.20s' at number %zu is no token id from %lld to %lld", at, *count + 1,
                     (long long)least, (long long)most);
            free(ids);
            return NULL;
        }
        ids[(*count)++] = (int32_t)value;
        while (*end == ' ' || *end == '\n')
            end++;
        if (!*end)
            return ids;
        if (*end != ',') {
            snprintf(problem, 128, "'%.20s' after number %zu: a comma was expected", end, *count);
            free(ids);
            return NULL;
        }
        at = end;
    }
}
