// tokenizer/open.c - from a path to a tokenizer: which kind of file it is, and what lies next to it.
// SPDX-License-Identifier: MIT
#include "tokenizer/json.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define COOKIE 0x544F4B31u // "TOK1"
#define FILE_LIMIT ((size_t)1 << 28)
#define PATH_LIMIT 4096

rt_tokenizer_def rt_default_tokenizer_def(void)
{
    return (rt_tokenizer_def){.cookie = COOKIE};
}

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

static void release_bytes(const rt_host *host, bytes *b)
{
    rti_release(host, b->data, b->size + 1);
    *b = (bytes){0};
}

// The whole file and a zero behind it.
static rt_result read_file(const rt_host *host, const char *path, bytes *b)
{
    *b = (bytes){0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return rti_fail(host, errno == ENOENT ? RT_ERROR_NOT_FOUND : RT_ERROR_IO, "%s: cannot be opened: %s", path,
                        strerror(errno));
    struct stat status;
    rt_result result = RT_OK;
    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode))
        result = rti_fail(host, RT_ERROR_IO, "%s: not a file that can be read", path);
    else if (status.st_size == 0)
        result = rti_fail(host, RT_ERROR_BAD_FILE, "%s: the file is empty", path);
    else if (status.st_size < 0 || (uint64_t)status.st_size > FILE_LIMIT)
        result = rti_fail(host, RT_ERROR_BAD_FILE, "%s: too large for a tokenizer (the limit is 256 MiB)", path);
    if (result == RT_OK) {
        b->size = (size_t)status.st_size;
        b->data = rti_allocate(host, b->size + 1);
        if (!b->data)
            result = rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to read %zu bytes", path, b->size);
        else if (fread(b->data, 1, b->size, file) != b->size)
            result = rti_fail(host, RT_ERROR_IO, "%s: cannot be read to its end", path);
        else
            b->data[b->size] = 0;
    }
    fclose(file);
    if (result != RT_OK)
        release_bytes(host, b);
    return result;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

// folder/name, false when that is too long.
static bool join_path(char out[PATH_LIMIT], const char *folder, size_t folder_size, const char *name)
{
    int wrote = snprintf(out, PATH_LIMIT, "%.*s%s%s", (int)folder_size, folder, folder_size > 0 ? "/" : "", name);
    return wrote > 0 && wrote < PATH_LIMIT;
}

static json_t *load_json(const rt_host *host, const char *path, const char *data, size_t size, rt_result *result)
{
    json_error_t error;
    json_t *root = json_loadb(data, size, JSON_ALLOW_NUL, &error);
    if (!root) {
        bool memory = json_error_code(&error) == json_error_out_of_memory;
        *result = rti_fail(host, memory ? RT_ERROR_OUT_OF_MEMORY : RT_ERROR_BAD_FILE, "%s:%d:%d: %s", path, error.line,
                           error.column, error.text);
    }
    return root;
}

static rt_result source_from_json(const rt_host *host, const char *path, const json_t *root, rti_tokenizer_source *source)
{
    if (json_is_object(json_object_get(root, "config")) && json_is_array(json_object_get(root, "vocab")))
        return rti_tokenizer_source_tekken(host, path, root, source);
    if (json_is_object(json_object_get(root, "model")))
        return rti_tokenizer_source_huggingface(host, path, root, source);
    return rti_fail(host, RT_ERROR_BAD_FILE, "%s: JSON, but neither a tekken.json (config, vocab) nor a tokenizer.json (model)",
                    path);
}

rt_result rti_tokenizer_create_from_bytes(const rt_host *host, const char *path, const char *data, size_t size,
                                          const char *config, size_t config_size, const char *pre_tokenizer,
                                          rt_tokenizer **tokenizer)
{
    *tokenizer = NULL;
    rti_tokenizer_source source = rti_default_tokenizer_source();
    json_t *root = NULL, *settings = NULL;
    rt_result result = RT_OK;
    size_t first = 0;
    while (first < size && (data[first] == ' ' || data[first] == '\n' || data[first] == '\r' || data[first] == '\t'))
        first++;
    // A SentencePiece model begins with 0x0A (its first field), which is a line break in JSON.
    if (first < size && (data[first] == '{' || data[first] == '[') && (data[0] != '\n' || size < 2 || data[1] == '{')) {
        root = load_json(host, path, data, size, &result);
        if (root)
            result = source_from_json(host, path, root, &source);
    } else {
        result = rti_tokenizer_source_sentencepiece(host, path, data, size, &source);
    }
    if (result == RT_OK && config) {
        settings = load_json(host, path, config, config_size, &result);
        if (settings)
            result = rti_tokenizer_source_config(host, settings, &source);
    }
    if (result == RT_OK) {
        if (pre_tokenizer)
            source.pre_tokenizer = pre_tokenizer;
        result = rti_tokenizer_create_from_source(host, &source, tokenizer);
    }
    rti_tokenizer_source_release(host, &source);
    json_decref(settings);
    json_decref(root);
    return result;
}

rt_result rti_tokenizer_create_from_file(const rt_host *host, const rti_file *file, const char *pre_tokenizer,
                                         rt_tokenizer **tokenizer)
{
    *tokenizer = NULL;
    // Files that this library wrote from a folder carry the folder's tokenizer file whole.
    rti_text whole, settings = {NULL, 0};
    if (rti_file_get_text(file, RTI_TOKENIZER_KEY_FILE, &whole)) {
        rti_file_get_text(file, RTI_TOKENIZER_KEY_CONFIG, &settings);
        rt_result made = rti_tokenizer_create_from_bytes(host, rti_file_path(file), whole.data, whole.size, settings.data,
                                                         settings.size, pre_tokenizer, tokenizer);
        rti_text chat;
        if (made == RT_OK && !(*tokenizer)->chat_template && rti_file_get_text(file, "tokenizer.chat_template", &chat))
            made = rti_tokenizer_set_chat_template(*tokenizer, chat.data, chat.size);
        if (made != RT_OK) {
            rt_tokenizer_close(*tokenizer);
            *tokenizer = NULL;
        }
        return made;
    }
    rti_tokenizer_source source = rti_default_tokenizer_source();
    rt_result result = rti_tokenizer_source_gguf(host, file, &source);
    if (result == RT_OK) {
        if (pre_tokenizer)
            source.pre_tokenizer = pre_tokenizer;
        result = rti_tokenizer_create_from_source(host, &source, tokenizer);
    }
    rti_tokenizer_source_release(host, &source);
    return result;
}

static rt_result open_gguf(const rt_host *host, const char *path, const char *pre_tokenizer, rt_tokenizer **tokenizer)
{
    rti_file *file = NULL;
    rt_result result = rti_file_open(host, path, &file);
    if (result != RT_OK)
        return result;
    result = rti_tokenizer_create_from_file(host, file, pre_tokenizer, tokenizer);
    rti_file_close(file);
    return result;
}

static bool has_gguf_magic(const char *path)
{
    char magic[4] = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t got = fread(magic, 1, sizeof(magic), file);
    fclose(file);
    return got == sizeof(magic) && memcmp(magic, "GGUF", 4) == 0;
}

// Where `name` would lie beside `path`; false: there is no such file.
static bool find_beside(const char *path, const char *name, char out[PATH_LIMIT])
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) : 0;
    bool is_root = slash && folder == 0;
    return join_path(out, is_root ? "/." : path, is_root ? 2 : folder, name) && is_file(out);
}

// Newer folders have the chat template in a file of its own.
static rt_result read_template(const rt_host *host, const char *path, rt_tokenizer *tokenizer)
{
    char beside[PATH_LIMIT];
    bytes text;
    if (tokenizer->chat_template || !find_beside(path, "chat_template.jinja", beside))
        return RT_OK;
    rt_result result = read_file(host, beside, &text);
    if (result != RT_OK)
        return result;
    result = rti_tokenizer_set_chat_template(tokenizer, text.data, text.size);
    release_bytes(host, &text);
    return result;
}

// A tokenizer_config.json and a chat_template.jinja in the folder of `path` belong to it.
static rt_result open_plain(const rt_host *host, const char *path, const char *pre_tokenizer, rt_tokenizer **tokenizer)
{
    bytes data, config = {0};
    rt_result result = read_file(host, path, &data);
    if (result != RT_OK)
        return result;
    char beside[PATH_LIMIT];
    if (find_beside(path, "tokenizer_config.json", beside))
        result = read_file(host, beside, &config);
    if (result == RT_OK)
        result = rti_tokenizer_create_from_bytes(host, path, data.data, data.size, config.data, config.size, pre_tokenizer,
                                                 tokenizer);
    if (config.data)
        release_bytes(host, &config);
    release_bytes(host, &data);
    if (result == RT_OK)
        result = read_template(host, path, *tokenizer);
    if (result != RT_OK) {
        rt_tokenizer_close(*tokenizer);
        *tokenizer = NULL;
    }
    return result;
}

// Of the files that a folder may have, the first that can be read exactly: many have a tokenizer.json (of a kind that may not be
// known here) beside the tokenizer.model that it was made from.
static rt_result open_folder(const rt_host *host, const char *folder, const char *pre_tokenizer, rt_tokenizer **tokenizer)
{
    static const char *const names[] = {"tekken.json", "tokenizer.json", "tokenizer.model"};
    char path[PATH_LIMIT];
    rt_result result = RT_ERROR_NOT_FOUND;
    for (size_t i = 0; i < RTI_COUNT(names); i++) {
        if (!join_path(path, folder, strlen(folder), names[i]) || !is_file(path))
            continue;
        char other[PATH_LIMIT];
        bool is_last = i + 1 == RTI_COUNT(names) || !find_beside(path, names[RTI_COUNT(names) - 1], other);
        rt_host quiet = *host;
        quiet.log = is_last ? host->log : NULL;
        result = open_plain(&quiet, path, pre_tokenizer, tokenizer);
        if (result == RT_OK)
            (*tokenizer)->host = *host;
        if (result != RT_ERROR_UNSUPPORTED)
            return is_last || result == RT_OK ? result : rti_fail(host, result, "%s", rt_error_message());
        if (!is_last)
            rti_log(host, RT_LOG_INFO, "%s; tokenizer.model is taken instead", rt_error_message());
    }
    if (result == RT_ERROR_NOT_FOUND)
        rti_fail(host, result, "%s: no tekken.json, tokenizer.json or tokenizer.model in this folder", folder);
    return result;
}

rt_result rt_tokenizer_open(const rt_tokenizer_def *def, rt_tokenizer **tokenizer)
{
    if (tokenizer)
        *tokenizer = NULL;
    if (!def || def->cookie != COOKIE || !def->path || !tokenizer)
        return rti_fail(def && def->cookie == COOKIE ? &def->host : NULL, RT_ERROR_INVALID_ARGUMENT,
                        "rt_tokenizer_open: a def from rt_default_tokenizer_def with a path, and somewhere to put the result");
    rt_host host = rti_host_or_default(&def->host);
    if (is_folder(def->path))
        return open_folder(&host, def->path, def->pre_tokenizer, tokenizer);
    if (has_gguf_magic(def->path))
        return open_gguf(&host, def->path, def->pre_tokenizer, tokenizer);
    return open_plain(&host, def->path, def->pre_tokenizer, tokenizer);
}
