// repartee quantize and repartee synth: making model files.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "shared.h"

#include "rt/convert.h"

#include <string.h>

typedef struct progress {
    json_t *tensors; // NULL: words only
    uint64_t bytes;
    bool quiet;
} progress;

static void report_tensor(void *user, const rt_tensor_report *report)
{
    progress *p = user;
    p->bytes += report->bytes;
    if (!p->quiet)
        fprintf(stderr, "%zu/%zu %s [%llu, %llu] %s -> %s, error %.5f\n", report->index + 1, report->count,
                report->name, (unsigned long long)report->rows, (unsigned long long)report->columns, report->from,
                report->to, report->relative_error);
    if (p->tensors)
        json_array_append_new(p->tensors, json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "name", report->name, "from",
                                                    report->from, "to", report->to, "bytes", (json_int_t)report->bytes,
                                                    "relative_error", json_figure(report->relative_error),
                                                    "largest_error", json_figure(report->largest_error)));
}

// What was written, on stdout.
static int finish(const char *command, rt_result result, progress *p, const char *path)
{
    if (result != RT_OK) {
        json_decref(p->tensors);
        return failure(command, NULL);
    }
    if (!p->tensors) {
        printf("%s: %llu bytes of tensors\n", path, (unsigned long long)p->bytes);
        return EXIT_DONE;
    }
    json_t *out = json_pack("{s:s, s:I, s:o}", "file", path, "bytes", (json_int_t)p->bytes, "tensors", p->tensors);
    return print_answer(command, out);
}

int command_quantize(int argc, char **argv)
{
    const char *files[2], *type = NULL;
    int64_t threads = 1;
    bool as_json = false, quiet = false;
    const option options[] = {
        {"type", OPTION_CHOICE, &type, "Q8_0|Q4_0|Q4_1|Q4_K|Q6_K|F16|BF16|F32", "what matrices become", 0, 0},
        {"threads", OPTION_INTEGER, &threads, "N", "default 1", 1, 64},
        {"quiet", OPTION_FLAG, &quiet, "", "no line for each tensor", 0, 0},
        {"json", OPTION_FLAG, &as_json, "", "one JSON object, with the error of each tensor", 0, 0},
    };
    command_line line = {
        .command = "quantize",
        .usage = "IN OUT.gguf --type TYPE",
        .about = "Quantises a model: IN is a .gguf file, or a folder with config.json, safetensors and tokenizer files.\n"
                 "Norms stay float32; the error of each tensor is said (root mean square, relative).",
        OPTIONS(options),
        .least_operands = 2,
        .most_operands = 2,
        .operands = files,
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!type)
        return usage_error("quantize", "--type is needed");
    progress p = {.tensors = as_json ? json_array() : NULL, .quiet = quiet};
    rt_quantize_def def = rt_default_quantize_def();
    def.host = cli_host();
    def.input = files[0];
    def.output = files[1];
    def.type = type;
    def.threads = (int)threads;
    def.report = report_tensor;
    def.report_user = &p;
    return finish("quantize", rt_quantize(&def), &p, files[1]);
}

static int list_shapes(void)
{
    for (int i = 0; rt_synthetic_name(i); i++)
        printf("%s\n", rt_synthetic_name(i));
    return EXIT_DONE;
}

int command_synth(int argc, char **argv)
{
    const char *arch = NULL, *type = NULL, *out = NULL, *tokenizer = NULL;
    int64_t layers = 0, seed = 0;
    bool as_json = false, quiet = false, list = false;
    const option options[] = {
        {"arch", OPTION_TEXT, &arch, "NAME", "whose shape; --list names them", 0, 0},
        {"quant", OPTION_CHOICE, &type, "Q8_0|Q4_0|Q4_1|Q4_K|Q6_K|F16|BF16|F32", "type of the matrices", 0, 0},
        {"layers", OPTION_INTEGER, &layers, "N", "without it: as many as the real model has", 1, 1000},
        {"tokenizer", OPTION_TEXT, &tokenizer, "FILE", "a tokenizer to put in; without it: one of bytes", 0, 0},
        {"seed", OPTION_INTEGER, &seed, "N", "same seed, same file; default 0", 0, 0},
        {"out", OPTION_TEXT, &out, "FILE.gguf", "where it goes", 0, 0},
        {"quiet", OPTION_FLAG, &quiet, "", "no line for each tensor", 0, 0},
        {"list", OPTION_FLAG, &list, "", "print the shapes there are, and stop", 0, 0},
        {"json", OPTION_FLAG, &as_json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "synth",
        .usage = "--arch NAME --quant TYPE [--layers N] --out FILE.gguf",
        .about = "Writes a model of random weights in a real model's shape: for speed and memory, not for talk.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (list)
        return list_shapes();
    if (!arch || !type || !out)
        return usage_error("synth", "--arch, --quant and --out are needed");
    progress p = {.tensors = as_json ? json_array() : NULL, .quiet = quiet};
    rt_synthesize_def def = rt_default_synthesize_def();
    def.host = cli_host();
    def.architecture = arch;
    def.type = type;
    def.output = out;
    def.tokenizer = tokenizer;
    def.layers = (int32_t)layers;
    def.seed = (uint64_t)seed;
    def.report = report_tensor;
    def.report_user = &p;
    return finish("synth", rt_synthesize(&def), &p, out);
}
