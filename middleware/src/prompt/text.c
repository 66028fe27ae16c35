// Growing text and the memory behind it.
// SPDX-License-Identifier: MIT
#include "prompt/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *rpi_prompt_resize(const rt_host *host, void *pointer, size_t old_size, size_t new_size)
{
    if (host->allocate)
        return host->allocate(host->user, pointer, old_size, new_size, 16);
    if (new_size == 0) {
        free(pointer);
        return NULL;
    }
    return realloc(pointer, new_size);
}

bool rpi_prompt_reserve_array(const rt_host *host, void **array, size_t *capacity, size_t count, size_t size)
{
    if (count <= *capacity)
        return true;
    size_t grown = *capacity < 64 ? 64 : *capacity;
    while (grown < count)
        grown = grown > SIZE_MAX / 2 ? SIZE_MAX : grown * 2;
    void *larger = grown > SIZE_MAX / size ? NULL : rpi_prompt_resize(host, *array, *capacity * size, grown * size);
    if (!larger)
        return false;
    *array = larger;
    *capacity = grown;
    return true;
}

rt_result rpi_prompt_fail(const rt_host *host, rt_result code, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return rt_raise(host, code, message);
}

bool rpi_text_reserve(rpi_text *text, size_t capacity)
{
    if (text->result != RT_OK)
        return false;
    if (capacity <= text->capacity)
        return true;
    size_t grown = text->capacity < 256 ? 256 : text->capacity;
    while (grown < capacity) {
        if (grown > SIZE_MAX / 2) {
            text->result = rpi_prompt_fail(&text->host, RT_ERROR_TOO_LARGE, "prompt: text past the address space");
            return false;
        }
        grown *= 2;
    }
    char *data = rpi_prompt_resize(&text->host, text->data, text->capacity, grown);
    if (!data) {
        text->result =
            rpi_prompt_fail(&text->host, RT_ERROR_OUT_OF_MEMORY, "prompt: no memory for %zu bytes of text", grown);
        return false;
    }
    text->data = data;
    text->capacity = grown;
    return true;
}

void rpi_text_add(rpi_text *text, const char *bytes, size_t size)
{
    if (size >= SIZE_MAX - text->size) {
        text->result = rpi_prompt_fail(&text->host, RT_ERROR_TOO_LARGE, "prompt: text past the address space");
        return;
    }
    if (!rpi_text_reserve(text, text->size + size + 1))
        return;
    if (size)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void rpi_text_add_string(rpi_text *text, const char *string)
{
    if (string)
        rpi_text_add(text, string, strlen(string));
}

// Length of the well-formed character at `at`, or minus the length of the maximal invalid part (Unicode 15, table 3-7).
static int character_length(const unsigned char *at, const unsigned char *end)
{
    unsigned first = at[0];
    if (first < 0x80)
        return 1;
    int need = first >= 0xC2 && first <= 0xDF   ? 1
               : first >= 0xE0 && first <= 0xEF ? 2
               : first >= 0xF0 && first <= 0xF4 ? 3
                                                : 0;
    if (need == 0)
        return -1;
    unsigned low = 0x80, high = 0xBF;
    if (first == 0xE0)
        low = 0xA0;
    if (first == 0xED)
        high = 0x9F;
    if (first == 0xF0)
        low = 0x90;
    if (first == 0xF4)
        high = 0x8F;
    for (int i = 1; i <= need; i++) {
        if (at + i >= end || at[i] < low || at[i] > high)
            return -i;
        low = 0x80;
        high = 0xBF;
    }
    return need + 1;
}

void rpi_text_add_utf8(rpi_text *text, const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size, *good = at;
    while (at < end) {
        int length = character_length(at, end);
        if (length > 0) {
            at += length;
            continue;
        }
        rpi_text_add(text, (const char *)good, (size_t)(at - good));
        rpi_text_add(text, "\xEF\xBF\xBD", 3);
        at += -length;
        good = at;
    }
    rpi_text_add(text, (const char *)good, (size_t)(at - good));
}

void rpi_text_free(rpi_text *text)
{
    if (text->data)
        rpi_prompt_resize(&text->host, text->data, text->capacity, 0);
    text->data = NULL;
    text->size = text->capacity = 0;
}
