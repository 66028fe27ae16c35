// SPDX-License-Identifier: MIT
#include "grammar/charset.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static uint32_t intern(rti_charsets *sets, const rti_range *ranges, uint32_t count)
{
    uint64_t hash = rti_hash_bytes(ranges, count * sizeof *ranges, count);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&sets->table, hash, &cursor)) != UINT32_MAX) {
        if (sets->sets[id].count == count && (count == 0 || memcmp(sets->sets[id].ranges, ranges, count * sizeof *ranges) == 0)) {
            return id;
        }
    }
    RTI_POOL_RESERVE(sets->pool, sets->sets, sets->capacity, sets->count + 1);
    rti_range *copy = rti_pool_take_array(sets->pool, count + 1, sizeof *copy);
    if (count != 0) memcpy(copy, ranges, count * sizeof *ranges);
    id = sets->count++;
    sets->sets[id] = (rti_charset){ copy, count };
    rti_id_table_add(sets->pool, &sets->table, hash, id);
    return id;
}

void rti_charsets_begin(rti_charsets *sets, rti_pool *pool)
{
    static const rti_range all[] = { { 0, 0xD7FF }, { 0xE000, 0x10FFFF } };
    memset(sets, 0, sizeof *sets);
    sets->pool = pool;
    intern(sets, all, 0);
    intern(sets, all, 2);
}

static int by_low(const void *a, const void *b)
{
    const rti_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

// Appends, joining what touches. `out` has room.
static void append(rti_range *out, uint32_t *count, rti_range range)
{
    if (*count != 0 && range.low <= out[*count - 1].high + 1) {
        out[*count - 1].high = RTI_MAX(out[*count - 1].high, range.high);
    } else {
        out[(*count)++] = range;
    }
}

uint32_t rti_charset_of_ranges(rti_charsets *sets, const rti_range *ranges, uint32_t count)
{
    rti_range *sorted = rti_pool_take_array(sets->pool, count * 2 + 2, sizeof *sorted);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) { // surrogates fall out
        rti_range low = { ranges[i].low, RTI_MIN(ranges[i].high, 0xD7FFu) };
        rti_range high = { RTI_MAX(ranges[i].low, 0xE000u), RTI_MIN(ranges[i].high, 0x10FFFFu) };
        if (low.low <= low.high) sorted[used++] = low;
        if (high.low <= high.high) sorted[used++] = high;
    }
    if (used > 1) qsort(sorted, used, sizeof *sorted, by_low);
    uint32_t joined = 0;
    for (uint32_t i = 0; i < used; i++) append(sorted, &joined, sorted[i]);
    return intern(sets, sorted, joined);
}

uint32_t rti_charset_union(rti_charsets *sets, uint32_t a, uint32_t b)
{
    if (a == b || b == RTI_CHARSET_NONE) return a;
    if (a == RTI_CHARSET_NONE) return b;
    const rti_charset x = sets->sets[a], y = sets->sets[b];
    rti_range *all = rti_pool_take_array(sets->pool, x.count + y.count, sizeof *all);
    if (x.count != 0) memcpy(all, x.ranges, x.count * sizeof *all);
    if (y.count != 0) memcpy(all + x.count, y.ranges, y.count * sizeof *all);
    return rti_charset_of_ranges(sets, all, x.count + y.count);
}

uint32_t rti_charset_intersection(rti_charsets *sets, uint32_t a, uint32_t b)
{
    if (a == b || b == RTI_CHARSET_ALL) return a;
    if (a == RTI_CHARSET_ALL) return b;
    const rti_charset x = sets->sets[a], y = sets->sets[b];
    rti_range *out = rti_pool_take_array(sets->pool, x.count + y.count + 1, sizeof *out);
    uint32_t count = 0;
    for (uint32_t i = 0, j = 0; i < x.count && j < y.count;) {
        rti_range both = { RTI_MAX(x.ranges[i].low, y.ranges[j].low), RTI_MIN(x.ranges[i].high, y.ranges[j].high) };
        if (both.low <= both.high) out[count++] = both;
        if (x.ranges[i].high < y.ranges[j].high) {
            i++;
        } else {
            j++;
        }
    }
    return intern(sets, out, count);
}

uint32_t rti_charset_complement(rti_charsets *sets, uint32_t a)
{
    const rti_charset x = sets->sets[a];
    rti_range *out = rti_pool_take_array(sets->pool, x.count + 2, sizeof *out);
    uint32_t count = 0, from = 0;
    for (uint32_t i = 0; i < x.count; i++) {
        if (x.ranges[i].low > from) out[count++] = (rti_range){ from, x.ranges[i].low - 1 };
        from = x.ranges[i].high + 1;
    }
    if (from <= 0x10FFFF) out[count++] = (rti_range){ from, 0x10FFFF };
    return rti_charset_of_ranges(sets, out, count);
}

bool rti_charset_contains(const rti_charsets *sets, uint32_t set, uint32_t code_point)
{
    const rti_charset *x = &sets->sets[set];
    uint32_t low = 0, high = x->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (code_point > x->ranges[middle].high) {
            low = middle + 1;
        } else if (code_point < x->ranges[middle].low) {
            high = middle;
        } else {
            return true;
        }
    }
    return false;
}

uint32_t rti_charset_of_escape(rti_charsets *sets, char letter)
{
    static const rti_range digits[] = { { '0', '9' } };
    static const rti_range words[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };
    static const rti_range spaces[] = { { 9, 13 }, { ' ', ' ' }, { 0xA0, 0xA0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200A },
                                        { 0x2028, 0x2029 }, { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 },
                                        { 0xFEFF, 0xFEFF } };
    if (letter == 'd') return rti_charset_of_ranges(sets, digits, RTI_COUNT(digits));
    if (letter == 'w') return rti_charset_of_ranges(sets, words, RTI_COUNT(words));
    return rti_charset_of_ranges(sets, spaces, RTI_COUNT(spaces));
}

// General categories as a bit set, by utf8proc's numbers.
#define BIT(category) (1u << UTF8PROC_CATEGORY_##category)
static const struct {
    const char *name, *full;
    uint32_t categories;
} properties[] = {
    { "L", "Letter", BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO) },
    { "LC", "Cased_Letter", BIT(LU) | BIT(LL) | BIT(LT) },
    { "Lu", "Uppercase_Letter", BIT(LU) },
    { "Ll", "Lowercase_Letter", BIT(LL) },
    { "Lt", "Titlecase_Letter", BIT(LT) },
    { "Lm", "Modifier_Letter", BIT(LM) },
    { "Lo", "Other_Letter", BIT(LO) },
    { "M", "Mark", BIT(MN) | BIT(MC) | BIT(ME) },
    { "Mn", "Nonspacing_Mark", BIT(MN) },
    { "Mc", "Spacing_Mark", BIT(MC) },
    { "Me", "Enclosing_Mark", BIT(ME) },
    { "N", "Number", BIT(ND) | BIT(NL) | BIT(NO) },
    { "Nd", "Decimal_Number", BIT(ND) },
    { "Nd", "digit", BIT(ND) },
    { "Nl", "Letter_Number", BIT(NL) },
    { "No", "Other_Number", BIT(NO) },
    { "P", "Punctuation", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO) },
    { "P", "punct", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO) },
    { "Pc", "Connector_Punctuation", BIT(PC) },
    { "Pd", "Dash_Punctuation", BIT(PD) },
    { "Ps", "Open_Punctuation", BIT(PS) },
    { "Pe", "Close_Punctuation", BIT(PE) },
    { "Pi", "Initial_Punctuation", BIT(PI) },
    { "Pf", "Final_Punctuation", BIT(PF) },
    { "Po", "Other_Punctuation", BIT(PO) },
    { "S", "Symbol", BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO) },
    { "Sm", "Math_Symbol", BIT(SM) },
    { "Sc", "Currency_Symbol", BIT(SC) },
    { "Sk", "Modifier_Symbol", BIT(SK) },
    { "So", "Other_Symbol", BIT(SO) },
    { "Z", "Separator", BIT(ZS) | BIT(ZL) | BIT(ZP) },
    { "Zs", "Space_Separator", BIT(ZS) },
    { "Zl", "Line_Separator", BIT(ZL) },
    { "Zp", "Paragraph_Separator", BIT(ZP) },
    { "C", "Other", BIT(CC) | BIT(CF) | BIT(CS) | BIT(CO) | BIT(CN) },
    { "Cc", "Control", BIT(CC) },
    { "Cf", "Format", BIT(CF) },
    { "Co", "Private_Use", BIT(CO) },
    { "Cn", "Unassigned", BIT(CN) },
    { "Assigned", "Assigned", ~BIT(CN) },
    { "Any", "Any", ~0u },
};
#undef BIT

static bool names(const char *name, size_t size, const char *text)
{
    return strlen(text) == size && memcmp(name, text, size) == 0;
}

bool rti_charset_of_property(rti_charsets *sets, const char *name, size_t size, uint32_t *set)
{
    static const char *const prefixes[] = { "gc=", "General_Category=" };
    for (size_t i = 0; i < RTI_COUNT(prefixes); i++) {
        size_t length = strlen(prefixes[i]);
        if (size > length && memcmp(name, prefixes[i], length) == 0) {
            name += length;
            size -= length;
            break;
        }
    }
    if (names(name, size, "ASCII")) {
        *set = rti_charset_of_ranges(sets, &(rti_range){ 0, 0x7F }, 1);
        return true;
    }
    uint32_t wanted = 0;
    for (size_t i = 0; i < RTI_COUNT(properties); i++) {
        if (names(name, size, properties[i].name) || names(name, size, properties[i].full)) wanted = properties[i].categories;
    }
    if (wanted == 0) return false;
    rti_range *ranges = NULL;
    uint32_t count = 0, capacity = 0;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        if (code == 0xD800) code = 0xE000;
        if ((wanted >> utf8proc_get_property((utf8proc_int32_t)code)->category & 1) == 0) continue;
        if (count != 0 && ranges[count - 1].high + 1 == code) {
            ranges[count - 1].high = code;
        } else {
            RTI_POOL_RESERVE(sets->pool, ranges, capacity, count + 1);
            ranges[count++] = (rti_range){ code, code };
        }
    }
    *set = rti_charset_of_ranges(sets, ranges, count);
    return true;
}
