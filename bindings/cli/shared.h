// shared.h - what several commands need: input, models, messages, JSON and .npy out.
// SPDX-License-Identifier: MIT
#ifndef CLI_SHARED_H
#define CLI_SHARED_H

#include "repartee/repartee.h"

#include <jansson.h>
#include <stdio.h>

#define DEFAULT_MODEL "assets/models/smollm2-135m-instruct.gguf"

// Log hook: warnings to stderr. (Errors are said once, by the command that fails.)
void log_to_stderr(void *user, rt_log_level level, rt_result code, const char *message);
rt_host cli_host(void);

// `path`, or $REPARTEE_MODEL, or the default model.
const char *model_path_or_default(const char *path);

// Where a tokenizer comes from: at most one of the two is given, and the default model's is taken where neither is.
typedef struct tokenizer_options {
    const char *model, *file;
} tokenizer_options;
// On failure says why and returns the exit code.
int open_tokenizer(const char *command, const tokenizer_options *options, rt_tokenizer **tokenizer);
// The options themselves, for a command's table.
#define TOKENIZER_OPTIONS(options)                                                                                      \
    {"model", OPTION_TEXT, &(options).model, "FILE", "a model file or folder whose tokenizer is used", 0, 0},           \
    {                                                                                                                   \
        "tokenizer", OPTION_TEXT, &(options).file, "FILE",                                                              \
            "tekken.json, tokenizer.json, a SentencePiece .model, a .gguf", 0, 0                                        \
    }

typedef struct model_options {
    const char *path;
    bool exact;
    const char *isa;     // a name of rt_isa_name
    int64_t threads;     // the calling one included
    const char *backend; // "cpu", "cuda", "auto"
    const char *cache;   // a folder for packed weights
} model_options;
int open_model(const char *command, const model_options *options, rt_model **model);
// The options themselves, for a command's table.
#define MODEL_OPTIONS(options)                                                                                          \
    {                                                                                                                   \
        "model", OPTION_TEXT, &(options).path, "FILE", "a .gguf file, or a folder with config.json and safetensors", 0, \
        0},                                                                                                             \
        {"threads", OPTION_INTEGER, &(options).threads, "N", "threads, the calling one included", 1, 64},               \
        {"isa", OPTION_CHOICE, &(options).isa, "auto|scalar|avx2|avx512|amx", "kernels of the CPU backend", 0, 0},      \
        {"cache", OPTION_TEXT, &(options).cache, "FOLDER", "where packed weights are kept for the next start", 0, 0},   \
    {                                                                                                                   \
        "backend", OPTION_CHOICE, &(options).backend, "cpu|cuda|auto", "what computes", 0, 0                            \
    }

// Files to read and to write. NULL or false: why is on stderr, as `command`'s failure. A folder is no file to read.
FILE *open_input(const char *command, const char *path);
FILE *open_output(const char *command, const char *path);
bool close_output(const char *command, const char *path, FILE *file); // NULL: nothing to close, true
// All of a stream. NULL: out of memory, or a read error. The caller frees.
char *read_all(FILE *file, size_t *size);

// A conversation in OpenAI's shape as messages. Strings belong to `json`, or to the conversation.
typedef struct conversation {
    rp_message *messages;
    char **owned;
    int32_t count;
    char *tools; // NULL where there are none
} conversation;
// False: `problem` says where and what. `json`: {"messages": [...], "tools": [...]}.
bool conversation_read(const json_t *json, conversation *conversation, char problem[256]);
void conversation_free(conversation *conversation);

// One JSON value on a line of stdout, flushed. Takes the reference. False: stdout is gone.
bool print_json(json_t *json);
// The same as what a command ends with: returns the exit code.
int print_answer(const char *command, json_t *json);
// What /proc/self/status says in this field ("RssAnon": memory in use beside mapped files, "VmHWM": the most there was), in
// bytes; 0 where the system does not tell.
double process_bytes(const char *field);
// A number with few digits: 6 significant ones.
json_t *json_figure(double value);

// An .npy file of float32 rows, written as they come.
typedef struct npy_writer {
    FILE *file;
    const char *command, *path;
    uint64_t rows, columns, written;
} npy_writer;
bool npy_begin(npy_writer *writer, const char *command, const char *path, uint64_t rows, uint64_t columns); // says what fails
bool npy_write(npy_writer *writer, const float *values, uint64_t rows);
// Closes; false where anything was not written, and says so. Removes the file then.
bool npy_end(npy_writer *writer);

uint64_t clock_ns(void);

#endif
