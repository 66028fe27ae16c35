// options.c - reads the command line, strictly: what is no option or no such number ends it.
// SPDX-License-Identifier: MIT
#include "options.h"

#include "repartee_load/gpu_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: griffin [OPTION...]\n"
    "  --model FILE         a .gguf file, or a folder with config.json and safetensors\n"
    "  --budget US          microseconds of a frame for the minds (default: what the frames allow; 8000 without a display)\n"
    "  --threads N          threads that may work on a frame, this one included (default 1)\n"
    "  --backend NAME       what computes: cpu (default), cuda or auto\n"
    "  --gpu-load MS        as heavy as a larger game: so many milliseconds of OpenGL in every frame\n"
    "  --seed N             of the evening\n"
    "  --headless           no window: the same game, drawn into memory\n"
    "  --script FILE        an evening that plays by itself (assets/demo/evening.txt)\n"
    "  --frames N           stop after so many frames\n"
    "  --report FILE.json   the conversation, the calls and the frame times\n"
    "  --screenshot FILE.png  the picture, at the script's `picture` step or at the end\n"
    "  --real-time          without a display: wait for the next frame as a display would\n"
    "  --verbose            what the library has to say, on stderr\n";

static bool read_number(const char *option, const char *value, double least, double most, double *number)
{
    char *end;
    double read = strtod(value, &end);
    if (end != value && !*end && read >= least && read <= most) {
        *number = read;
        return true;
    }
    fprintf(stderr, "griffin: %s: '%s' is no number from %.10g to %.10g\n", option, value, least, most);
    return false;
}

static bool read_backend(const char *name, rt_backend_kind *backend)
{
    static const char *const names[] = {[RT_BACKEND_CPU] = "cpu", [RT_BACKEND_CUDA] = "cuda", [RT_BACKEND_AUTO] = "auto"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *backend = (rt_backend_kind)i;
            return true;
        }
    }
    fprintf(stderr, "griffin: --backend is cpu, cuda or auto\n");
    return false;
}

// What stands alone. NULL: no such option.
static bool *find_flag(options *o, const char *word)
{
    const struct { const char *name; bool *flag; } flags[] = {
        {"--headless", &o->headless}, {"--verbose", &o->verbose}, {"--real-time", &o->paced}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(word, flags[i].name) == 0) {
            return flags[i].flag;
        }
    }
    return NULL;
}

static const char **find_text(options *o, const char *word)
{
    const struct { const char *name; const char **text; } texts[] = {
        {"--model", &o->minds.model}, {"--script", &o->play}, {"--report", &o->report}, {"--screenshot", &o->screenshot}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(word, texts[i].name) == 0) {
            return texts[i].text;
        }
    }
    return NULL;
}

// An option and its value; false where either is none.
static bool take(options *o, const char *word, const char *value)
{
    const char **text = find_text(o, word);
    double number = 0;
    if (text) {
        *text = value;
        return true;
    }
    if (strcmp(word, "--backend") == 0) {
        return read_backend(value, &o->minds.backend);
    }
    if (strcmp(word, "--gpu-load") == 0) {
        return read_number(word, value, 0.01, GPU_LOAD_MOST_MS, &o->load_ms);
    }
    if (strcmp(word, "--budget") == 0 && read_number(word, value, 0, 1e6, &number)) {
        o->budget_us = (uint32_t)number;
    } else if (strcmp(word, "--threads") == 0 && read_number(word, value, 1, 64, &number)) {
        o->minds.threads = (int)number;
    } else if (strcmp(word, "--seed") == 0 && read_number(word, value, 0, 9007199254740992.0, &number)) {
        o->minds.seed = (uint64_t)number;
    } else if (strcmp(word, "--frames") == 0 && read_number(word, value, 0, 1e9, &number)) {
        o->frames = (int)number;
    } else {
        return false;
    }
    return true;
}

static bool is_option(const char *word)
{
    size_t length = strlen(word);
    for (const char *at = usage; (at = strstr(at, "\n  --")); at += 3) {
        if (strncmp(at + 3, word, length) == 0 && at[3 + length] == ' ') {
            return true;
        }
    }
    return false;
}

bool options_read(options *o, int count, char **words, int *exit_code)
{
    memset(o, 0, sizeof(*o));
    o->minds = (minds_def){.model = "assets/models/smollm2-135m-instruct.gguf", .script = "assets/demo/griffin.lua",
                           .lore = "assets/demo/lore/world.md", .seed = 1, .threads = 1};
    *exit_code = 2;
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        bool *flag = find_flag(o, word);
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            fputs(usage, stdout);
            *exit_code = fflush(stdout) == 0 ? 0 : 1;
            return false;
        }
        if (flag) {
            *flag = true;
            continue;
        }
        if (!is_option(word) || i + 1 == count) {
            fprintf(stderr, "griffin: '%s' %s\n%s", word, is_option(word) ? "needs a value" : "is no option", usage);
            return false;
        }
        if (!take(o, word, words[++i])) {
            return false;
        }
    }
    if (o->budget_us == 0) {
        o->budget_us = o->headless && o->load_ms == 0 ? 8000 : RP_BUDGET_PACED;
    }
    return true;
}
