// SPDX-License-Identifier: MIT
#include "grammar/json.h"

#include <stdio.h>
#include <string.h>

enum { EXPECT_VALUE, EXPECT_VALUE_OR_END, EXPECT_KEY, EXPECT_KEY_OR_END, EXPECT_COMMA_OR_END, FINISHED };

void rti_json_begin(rti_json *json, rti_pool *pool, const char *input, size_t size, int max_depth)
{
    memset(json, 0, sizeof *json);
    json->pool = pool;
    if (size > UINT32_MAX / 8) rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: schema: %zu bytes are too many", size);
    json->text = rti_pool_take(pool, size + 1);
    json->input = input;
    json->size = size;
    json->max_depth = max_depth;
    json->container = json->last = RTI_JSON_NONE;
    if (size >= 3 && memcmp(input, "\xef\xbb\xbf", 3) == 0) json->at = 3;
}

static _Noreturn void bad(rti_json *json, const char *what)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < json->at && i < json->size; i++) {
        if (json->input[i] == '\n') {
            line++;
            column = 1;
        } else if ((json->input[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    rti_pool_fail(json->pool, RT_ERROR_BAD_TEXT, "grammar: JSON, line %d column %d: %s", line, column, what);
}

static uint32_t add_value(rti_json *json, rti_json_kind kind)
{
    RTI_POOL_RESERVE(json->pool, json->values, json->capacity, json->count + 1);
    uint32_t id = json->count++;
    rti_json_value *value = &json->values[id];
    *value = (rti_json_value){ .kind = (uint8_t)kind, .first = RTI_JSON_NONE, .next = RTI_JSON_NONE,
                               .parent = json->container, .key = json->key, .key_size = json->key_size };
    if (json->container != RTI_JSON_NONE) {
        rti_json_value *parent = &json->values[json->container];
        if (parent->first == RTI_JSON_NONE) {
            parent->first = id;
        } else {
            json->values[json->last].next = id;
        }
        parent->count++;
    }
    json->last = id;
    return id;
}

static int hex4(rti_json *json)
{
    if (json->size - json->at < 4) bad(json, "a \\u escape is cut off");
    int code = 0;
    for (int i = 0; i < 4; i++) {
        char c = json->input[json->at + (size_t)i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) bad(json, "a \\u escape needs four hexadecimal digits");
        code = code * 16 + digit;
    }
    json->at += 4;
    return code;
}

static void read_escape(rti_json *json)
{
    static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
    if (json->at >= json->size) bad(json, "a string is not closed");
    char c = json->input[json->at++];
    const char *found = c != 0 ? strchr(names, c) : NULL;
    if (found != NULL) {
        json->text[json->text_size++] = codes[found - names];
        return;
    }
    if (c != 'u') bad(json, "an escape that JSON does not have");
    uint32_t code = (uint32_t)hex4(json);
    if (code >= 0xD800 && code < 0xDC00 && json->size - json->at >= 2 && json->input[json->at] == '\\' &&
        json->input[json->at + 1] == 'u') {
        json->at += 2;
        uint32_t low = (uint32_t)hex4(json);
        if (low < 0xDC00 || low > 0xDFFF) bad(json, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code < 0xE000) bad(json, "half of a surrogate pair");
    json->text_size += (uint32_t)rti_utf8_encode(code, json->text + json->text_size);
}

static void read_string(rti_json *json, uint32_t *start, uint32_t *size)
{
    json->at++;
    *start = json->text_size;
    for (;;) {
        if (json->at >= json->size) bad(json, "a string is not closed");
        unsigned char c = (unsigned char)json->input[json->at];
        if (c == '"') break;
        if (c < 0x20) bad(json, "a control character inside a string");
        if (c == '\\') {
            json->at++;
            read_escape(json);
        } else if (c < 0x80) {
            json->text[json->text_size++] = (char)c;
            json->at++;
        } else {
            uint32_t code;
            bool valid = true;
            int length = rti_utf8_decode(json->input + json->at, json->input + json->size, &code, &valid);
            if (!valid) bad(json, "invalid UTF-8");
            memcpy(json->text + json->text_size, json->input + json->at, (size_t)length);
            json->text_size += (uint32_t)length;
            json->at += (size_t)length;
        }
    }
    json->at++;
    *size = json->text_size - *start;
}

static bool digit_at(const rti_json *json, size_t at)
{
    return at < json->size && json->input[at] >= '0' && json->input[at] <= '9';
}

static void read_number(rti_json *json, uint32_t id)
{
    size_t at = json->at;
    if (json->input[at] == '-') at++;
    if (!digit_at(json, at)) bad(json, "a value that JSON does not have");
    if (json->input[at] == '0') {
        at++;
    } else {
        while (digit_at(json, at)) at++;
    }
    if (at < json->size && json->input[at] == '.') {
        at++;
        if (!digit_at(json, at)) bad(json, "a number needs a digit after its point");
        while (digit_at(json, at)) at++;
    }
    if (at < json->size && (json->input[at] == 'e' || json->input[at] == 'E')) {
        at++;
        if (at < json->size && (json->input[at] == '+' || json->input[at] == '-')) at++;
        if (!digit_at(json, at)) bad(json, "a number needs a digit in its exponent");
        while (digit_at(json, at)) at++;
    }
    rti_json_value *value = &json->values[id];
    value->text = json->text_size;
    value->text_size = (uint32_t)(at - json->at);
    memcpy(json->text + json->text_size, json->input + json->at, at - json->at);
    json->text_size += value->text_size;
    json->at = at;
}

static bool read_word(rti_json *json, const char *word)
{
    size_t length = strlen(word);
    if (json->size - json->at < length || memcmp(json->input + json->at, word, length) != 0) return false;
    json->at += length;
    return true;
}

static void after_value(rti_json *json)
{
    json->state = json->container == RTI_JSON_NONE ? FINISHED : EXPECT_COMMA_OR_END;
}

static void open_container(rti_json *json, rti_json_kind kind)
{
    if (++json->depth > json->max_depth) {
        rti_pool_fail(json->pool, RT_ERROR_TOO_LARGE, "grammar: the text is nested deeper than max_depth (%d)", json->max_depth);
    }
    json->container = add_value(json, kind);
    json->last = RTI_JSON_NONE;
    json->at++;
    json->state = kind == RTI_JSON_ARRAY ? EXPECT_VALUE_OR_END : EXPECT_KEY_OR_END;
}

static void close_container(rti_json *json)
{
    json->last = json->container;
    json->container = json->values[json->container].parent;
    json->depth--;
    json->at++;
    after_value(json);
}

static void read_value(rti_json *json)
{
    char c = json->input[json->at];
    if (c == '{') {
        open_container(json, RTI_JSON_OBJECT);
        return;
    }
    if (c == '[') {
        open_container(json, RTI_JSON_ARRAY);
        return;
    }
    if (c == '"') {
        uint32_t id = add_value(json, RTI_JSON_STRING), start, size;
        read_string(json, &start, &size);
        json->values[id].text = start;
        json->values[id].text_size = size;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        read_number(json, add_value(json, RTI_JSON_NUMBER));
    } else if (read_word(json, "null")) {
        add_value(json, RTI_JSON_NULL);
    } else if (read_word(json, "true")) {
        add_value(json, RTI_JSON_TRUE);
    } else if (read_word(json, "false")) {
        add_value(json, RTI_JSON_FALSE);
    } else {
        bad(json, "a value that JSON does not have");
    }
    after_value(json);
}

static void skip_space(rti_json *json)
{
    while (json->at < json->size) {
        char c = json->input[json->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        json->at++;
    }
}

static void read_key(rti_json *json)
{
    if (json->input[json->at] != '"') bad(json, "expected a key in double quotes");
    read_string(json, &json->key, &json->key_size);
    skip_space(json);
    if (json->at >= json->size || json->input[json->at] != ':') bad(json, "expected ':'");
    json->at++;
    json->state = EXPECT_VALUE;
}

static void read_token(rti_json *json)
{
    char c = json->input[json->at];
    bool in_object = json->container != RTI_JSON_NONE && json->values[json->container].kind == RTI_JSON_OBJECT;
    switch (json->state) {
    case EXPECT_VALUE_OR_END:
        if (c == ']') {
            close_container(json);
            return;
        }
        read_value(json);
        return;
    case EXPECT_VALUE: read_value(json); return;
    case EXPECT_KEY_OR_END:
        if (c == '}') {
            close_container(json);
            return;
        }
        read_key(json);
        return;
    case EXPECT_KEY: read_key(json); return;
    case EXPECT_COMMA_OR_END:
        if (c == ',') {
            json->at++;
            json->state = in_object ? EXPECT_KEY : EXPECT_VALUE;
        } else if (c == (in_object ? '}' : ']')) {
            close_container(json);
        } else {
            bad(json, in_object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        return;
    default: bad(json, "text after the end of the document");
    }
}

bool rti_json_step(rti_json *json, uint32_t tokens)
{
    for (uint32_t i = 0; i < tokens; i++) {
        skip_space(json);
        if (json->at >= json->size) {
            if (json->state != FINISHED) bad(json, "the text ends too early");
            return true;
        }
        read_token(json);
    }
    return false;
}

uint32_t rti_json_member_sized(const rti_json *json, uint32_t object, const char *name, size_t size)
{
    uint32_t found = RTI_JSON_NONE;
    if (json->values[object].kind != RTI_JSON_OBJECT) return found;
    for (uint32_t i = json->values[object].first; i != RTI_JSON_NONE; i = json->values[i].next) {
        const rti_json_value *value = &json->values[i];
        if (value->key_size == size && memcmp(json->text + value->key, name, size) == 0) found = i;
    }
    return found;
}

uint32_t rti_json_member(const rti_json *json, uint32_t object, const char *name)
{
    return rti_json_member_sized(json, object, name, strlen(name));
}

bool rti_json_is_text(const rti_json *json, uint32_t value, const char *text)
{
    const rti_json_value *v = &json->values[value];
    return v->kind == RTI_JSON_STRING && v->text_size == strlen(text) && memcmp(json->text + v->text, text, v->text_size) == 0;
}

static size_t write_step(const rti_json *json, uint32_t value, char *out, size_t capacity)
{
    const rti_json_value *v = &json->values[value];
    size_t used = 0;
    if (json->values[v->parent].kind == RTI_JSON_ARRAY) {
        uint32_t index = 0;
        for (uint32_t i = json->values[v->parent].first; i != value; i = json->values[i].next) index++;
        return (size_t)snprintf(out, capacity, "/%u", index);
    }
    char step[160];
    step[used++] = '/';
    for (uint32_t i = 0; i < v->key_size && used < sizeof step - 4; i++) {
        char c = json->text[v->key + i];
        if (c == '~' || c == '/') {
            step[used++] = '~';
            step[used++] = c == '~' ? '0' : '1';
        } else {
            step[used++] = (unsigned char)c < 0x20 ? ' ' : c;
        }
    }
    step[used] = 0;
    return (size_t)snprintf(out, capacity, "%s", step);
}

void rti_json_pointer(const rti_json *json, uint32_t value, char *out, size_t capacity)
{
    uint32_t path[64];
    int depth = 0;
    bool cut = false;
    for (uint32_t i = value; i != 0 && i != RTI_JSON_NONE; i = json->values[i].parent) {
        if (depth == 64) {
            memmove(path, path + 1, sizeof path - sizeof path[0]);
            depth--;
            cut = true;
        }
        path[depth++] = i;
    }
    size_t used = 0;
    out[0] = 0;
    if (cut) used = (size_t)snprintf(out, capacity, "...");
    while (depth > 0 && used + 1 < capacity) {
        size_t wrote = write_step(json, path[--depth], out + used, capacity - used);
        if (wrote >= capacity - used) {
            snprintf(out + (capacity > 4 ? capacity - 4 : 0), 4, "...");
            return;
        }
        used += wrote;
    }
}
