// SPDX-License-Identifier: MIT
#include "shared.h"
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void log_to_stderr(void *user, rt_log_level level, rt_result code, const char *message)
{
    (void)user, (void)code;
    if (level == RT_LOG_WARNING)
        fprintf(stderr, "repartee: %s\n", message);
}

rt_host cli_host(void)
{
    return (rt_host){.log = log_to_stderr};
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const char *model_path_or_default(const char *path)
{
    const char *named = path ? path : getenv("REPARTEE_MODEL");
    return named && named[0] ? named : DEFAULT_MODEL;
}

// A model that nobody named and that is not there: what to do about it goes along.
static int opening_failed(const char *command, rt_result result, const char *path)
{
    if (result == RT_ERROR_NOT_FOUND && strcmp(path, DEFAULT_MODEL) == 0)
        return failure(command, "%s: scripts/setup.sh fetches it; another model is named with --model or in REPARTEE_MODEL",
                       rt_error_message());
    return failure(command, NULL);
}

int open_tokenizer(const char *command, const tokenizer_options *options, rt_tokenizer **tokenizer)
{
    if (options->model && options->file)
        return usage_error(command, "--model and --tokenizer: give one of them");
    rt_tokenizer_def def = rt_default_tokenizer_def();
    def.host = cli_host();
    def.path = options->file ? options->file : model_path_or_default(options->model);
    rt_result result = rt_tokenizer_open(&def, tokenizer);
    return result == RT_OK ? EXIT_DONE : opening_failed(command, result, def.path);
}

int open_model(const char *command, const model_options *options, rt_model **model)
{
    rt_model_def def = rt_default_model_def();
    def.host = cli_host();
    def.path = model_path_or_default(options->path);
    def.precision = options->exact ? RT_PRECISION_EXACT : RT_PRECISION_FAST;
    def.cache_folder = options->cache;
    def.load_threads = options->threads > 0 ? (int)options->threads : 1;
    if (options->isa && !rt_isa_from_name(options->isa, &def.isa))
        return usage_error(command, "--isa: '%s' is unknown", options->isa);
    if (!rt_isa_supported(def.isa))
        return failure(command, "--isa: this processor has no %s", options->isa);
    const char *plugin = getenv("REPARTEE_CUDA_PLUGIN");
    def.cuda_library = plugin && plugin[0] ? plugin : NULL;
    if (options->backend && strcmp(options->backend, "cuda") == 0)
        def.backend = RT_BACKEND_CUDA;
    if (options->backend && strcmp(options->backend, "auto") == 0)
        def.backend = RT_BACKEND_AUTO;
    rt_result result = rt_model_open(&def, model);
    return result == RT_OK ? EXIT_DONE : opening_failed(command, result, def.path);
}

FILE *open_input(const char *command, const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file && fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
        fclose(file);
        file = NULL;
        errno = EISDIR;
    }
    if (!file)
        failure(command, "%s: cannot be read: %s", path, strerror(errno));
    return file;
}

FILE *open_output(const char *command, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        failure(command, "%s: cannot be written: %s", path, strerror(errno));
    return file;
}

bool close_output(const char *command, const char *path, FILE *file)
{
    errno = 0;
    bool whole = !file || !ferror(file);
    whole = (!file || fclose(file) == 0) && whole;
    if (!whole)
        failure(command, "%s: cannot be written: %s", path, errno ? strerror(errno) : "an error on the way");
    return whole;
}

char *read_all(FILE *file, size_t *size)
{
    size_t capacity = 65536;
    char *data = malloc(capacity);
    *size = 0;
    while (data) {
        *size += fread(data + *size, 1, capacity - *size - 1, file);
        if (*size < capacity - 1)
            break;
        char *grown = capacity > SIZE_MAX / 2 ? NULL : realloc(data, capacity * 2);
        if (!grown) {
            free(data);
            return NULL;
        }
        data = grown;
        capacity *= 2;
    }
    if (data && ferror(file)) {
        free(data);
        return NULL;
    }
    if (data)
        data[*size] = 0;
    return data;
}

bool print_json(json_t *json)
{
    if (!json)
        return false;
    bool done = json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) == 0 &&
                putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(json);
    return done;
}

int print_answer(const char *command, json_t *json)
{
    return print_json(json) ? EXIT_DONE : failure(command, "cannot write to stdout");
}

json_t *json_figure(double value)
{
    if (!isfinite(value))
        return json_null();
    char text[32];
    snprintf(text, sizeof text, "%.6g", value);
    return json_real(strtod(text, NULL));
}

// ---------------------------------------------------------------------------------------------------------------------
// .npy
// ---------------------------------------------------------------------------------------------------------------------

bool npy_begin(npy_writer *writer, const char *command, const char *path, uint64_t rows, uint64_t columns)
{
    *writer = (npy_writer){.command = command, .path = path, .rows = rows, .columns = columns, .file = open_output(command, path)};
    if (!writer->file)
        return false;
    char header[256];
    int length = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %llu), }",
                          (unsigned long long)rows, (unsigned long long)columns);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10; // data begins at a multiple of 64
    memset(header + length, ' ', (size_t)(padded - length));
    header[padded - 1] = '\n';
    unsigned char head[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 255), (unsigned char)(padded >> 8)};
    fwrite(head, 1, sizeof head, writer->file);
    fwrite(header, 1, (size_t)padded, writer->file);
    return true;
}

bool npy_write(npy_writer *writer, const float *values, uint64_t rows)
{
    // Little-endian in the file; so is every machine that this is built for.
    size_t count = (size_t)(rows * writer->columns);
    writer->written += rows;
    return fwrite(values, sizeof(float), count, writer->file) == count;
}

bool npy_end(npy_writer *writer)
{
    struct stat status;
    bool is_file = fstat(fileno(writer->file), &status) == 0 && S_ISREG(status.st_mode);
    bool whole = close_output(writer->command, writer->path, writer->file) && writer->written == writer->rows;
    if (!whole && is_file) // and never a device
        unlink(writer->path);
    return whole;
}

double process_bytes(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kilobytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, field, strlen(field)) == 0 && sscanf(line + strlen(field), ": %lf", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes * 1024;
}
