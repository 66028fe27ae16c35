// turn/sentence.c - where a sentence ends, in text that is still growing.
//
// A full stop ends a sentence when white space follows and then nothing in lower case; not behind a title or an initial,
// not inside a number. The marks of scripts without spaces end one by themselves. Closing quotes and brackets belong to
// the sentence before. A new line always ends one.
// SPDX-License-Identifier: MIT
#include "turn/turn.h"

#include <string.h>

typedef enum mark { MARK_NONE, MARK_SPACED, MARK_FULL } mark;

static mark mark_of(uint32_t code)
{
    switch (code) {
    case '.': case '!': case '?':
    case 0x2026: // ...
    case 0x203C: case 0x203D: case 0x2047: case 0x2048: case 0x2049:
    case 0x061F: // Arabic question mark
    case 0x06D4: // Urdu full stop
    case 0x0964: case 0x0965: // danda
    case 0x0589: // Armenian
    case 0x1362: case 0x1367: // Ethiopic
        return MARK_SPACED;
    case 0x3002: case 0xFF01: case 0xFF1F: case 0xFF0E: case 0xFF61:
        return MARK_FULL;
    default:
        return MARK_NONE;
    }
}

static bool is_closer(uint32_t code)
{
    static const uint32_t closers[] = { '"',    '\'',   ')',    ']',    '}',    '*',    0xBB,   0x2019, 0x201D,
                                        0x203A, 0x300B, 0x300D, 0x300F, 0x3011, 0xFF09, 0xFF3D, 0xFF63 };
    for (size_t i = 0; i < RPI_COUNT(closers); i++)
        if (closers[i] == code)
            return true;
    return false;
}

static bool is_space(uint32_t code)
{
    return code == ' ' || code == '\t' || code == '\n' || code == '\r' || code == 0xA0 || code == 0x3000 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x202F;
}

static bool is_lower(uint32_t code)
{
    return (code >= 'a' && code <= 'z') || (code >= 0xDF && code <= 0xFF && code != 0xF7) ||
           (code >= 0x3AC && code <= 0x3CE) || (code >= 0x430 && code <= 0x45F);
}

// Whether the word that ends right before text[dot] is one that keeps its full stop.
static bool is_abbreviation(const char *text, size_t begin, size_t dot)
{
    static const char *const words[] = { "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Sr", "Jr", "vs", "Capt", "Lt", "Gen",
                                         "Col", "Sgt", "Rev", "Hon", "Mt", "Mme", "Mlle", "Hr", "Fr", "Nr", "No", "Sra",
                                         "Sta", "Dra", "Sig", "e.g", "i.e", "approx", "bzw", "z.B" };
    size_t start = dot;
    while (start > begin && !is_space((unsigned char)text[start - 1]) && strchr("\"'([{*", text[start - 1]) == NULL)
        start--;
    size_t size = dot - start;
    if (size == 1 && text[start] >= 'A' && text[start] <= 'Z' && text[start] != 'I')
        return true;
    for (size_t i = 0; i < RPI_COUNT(words); i++)
        if (strlen(words[i]) == size && memcmp(words[i], text + start, size) == 0)
            return true;
    // "1. First, ..." counts; it does not say anything yet.
    size_t digits = 0;
    while (digits < size && text[start + digits] >= '0' && text[start + digits] <= '9')
        digits++;
    return size > 0 && digits == size && start == begin;
}

// Decides about a mark that ends at `end` (closers included): 1 it ends the sentence, 0 it does not, -1 not known yet.
static int decide(const char *text, size_t begin, size_t mark_at, size_t end, size_t size, bool final, bool is_full)
{
    uint32_t code = 0;
    if (end == size)
        return final ? 1 : -1;
    if (is_full)
        return 1;
    size_t at = end, length = rpi_utf8_next(text + at, size - at, &code);
    if (!is_space(code))
        return 0;
    while (length > 0 && is_space(code)) {
        if (code == '\n')
            return 1;
        at += length;
        length = rpi_utf8_next(text + at, size - at, &code);
    }
    if (length == 0)
        return final ? 1 : -1;
    if (is_lower(code))
        return 0;
    return text[mark_at] == '.' && is_abbreviation(text, begin, mark_at) ? 0 : 1;
}

size_t rpi_sentence_end(const char *text, size_t begin, size_t size, bool final)
{
    uint32_t code = 0;
    size_t at = begin, length;
    while ((length = rpi_utf8_next(text + at, size - at, &code)) > 0 && is_space(code))
        at += length;
    begin = at;
    while ((length = rpi_utf8_next(text + at, size - at, &code)) > 0) {
        if (code == '\n' && at > begin)
            return at;
        size_t mark_at = at;
        mark found = mark_of(code);
        at += length;
        if (found == MARK_NONE)
            continue;
        // "?!", "..." and what closes behind them.
        while ((length = rpi_utf8_next(text + at, size - at, &code)) > 0 && (mark_of(code) != MARK_NONE || is_closer(code))) {
            if (mark_of(code) != MARK_NONE)
                mark_at = text[at] == '.' ? mark_at : at;
            at += length;
        }
        int end = decide(text, begin, mark_at, at, size, final, found == MARK_FULL);
        if (end > 0)
            return at;
        if (end < 0)
            return 0;
    }
    return final && at > begin ? at : 0;
}
