// pattern.c - Lua's patterns, counted. The standard library's matcher backtracks without looking at any limit: one line such as
// ("a"):rep(1e4):find((".-"):rep(9) .. "b") holds a frame for years. This one matches the same language and charges each step.
//
// Source of the language: the Lua 5.4 reference manual, section 6.4.1.
//
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <ctype.h>
#include <string.h>

enum { ESCAPE = '%', MAX_DEPTH = 180, CHARGE_STEP = 128 };

typedef struct matcher {
    lua_State *L;
    const char *begin, *end; // the subject
    const char *pattern_end;
    rpi_lua_match *match;
    int depth;
    unsigned steps;
} matcher;

static const char *match_here(matcher *m, const char *s, const char *p);

static void step(matcher *m)
{
    if (++m->steps >= CHARGE_STEP) {
        m->steps = 0;
        rpi_lua_charge(m->L, CHARGE_STEP);
    }
}

// The end of the single-character class that begins at p.
static const char *class_end(matcher *m, const char *p)
{
    if (*p++ == ESCAPE) {
        if (p >= m->pattern_end) {
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        }
        return p + 1;
    }
    if (p[-1] != '[') {
        return p;
    }
    if (p < m->pattern_end && *p == '^') {
        p++;
    }
    do { // a ']' that comes first is itself
        if (p >= m->pattern_end) {
            luaL_error(m->L, "malformed pattern (missing ']')");
        }
        if (*p++ == ESCAPE) {
            if (p >= m->pattern_end) {
                luaL_error(m->L, "malformed pattern (missing ']')");
            }
            p++;
        }
    } while (p >= m->pattern_end || *p != ']');
    return p + 1;
}

static bool in_named_class(int c, int name)
{
    bool found;
    switch (tolower(name)) {
    case 'a': found = isalpha(c); break;
    case 'c': found = iscntrl(c); break;
    case 'd': found = isdigit(c); break;
    case 'g': found = isgraph(c); break;
    case 'l': found = islower(c); break;
    case 'p': found = ispunct(c); break;
    case 's': found = isspace(c); break;
    case 'u': found = isupper(c); break;
    case 'w': found = isalnum(c); break;
    case 'x': found = isxdigit(c); break;
    case 'z': found = c == 0; break; // deprecated, but there
    default: return name == c;
    }
    return isupper(name) ? !found : found;
}

// [set]: p at '[', last at ']'.
static bool in_set(int c, const char *p, const char *last)
{
    bool wanted = true;
    if (p[1] == '^') {
        wanted = false;
        p++;
    }
    while (++p < last) {
        if (*p == ESCAPE) {
            p++;
            if (in_named_class(c, (unsigned char)*p)) {
                return wanted;
            }
        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) {
                return wanted;
            }
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

static bool matches_one(matcher *m, const char *s, const char *p, const char *after)
{
    step(m);
    if (s >= m->end) {
        return false;
    }
    int c = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case ESCAPE: return in_named_class(c, (unsigned char)p[1]);
    case '[':
        m->steps += (unsigned)((after - p) / 8);
        return in_set(c, p, after - 1);
    default: return (unsigned char)*p == c;
    }
}

// %bxy
static const char *match_balanced(matcher *m, const char *s, const char *p)
{
    if (p + 1 >= m->pattern_end) {
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    }
    if (s >= m->end || *s != *p) {
        return NULL;
    }
    int open = 1;
    for (const char *at = s + 1; at < m->end; at++) {
        step(m);
        if (*at == p[1]) {
            if (--open == 0) {
                return at + 1;
            }
        } else if (*at == *p) {
            open++;
        }
    }
    return NULL;
}

static const char *match_most(matcher *m, const char *s, const char *p, const char *after)
{
    ptrdiff_t count = 0;
    while (matches_one(m, s + count, p, after)) {
        count++;
    }
    for (; count >= 0; count--) {
        const char *end = match_here(m, s + count, after + 1);
        if (end) {
            return end;
        }
    }
    return NULL;
}

static const char *match_least(matcher *m, const char *s, const char *p, const char *after)
{
    for (;;) {
        const char *end = match_here(m, s, after + 1);
        if (end) {
            return end;
        }
        if (!matches_one(m, s, p, after)) {
            return NULL;
        }
        s++;
    }
}

static const char *open_capture(matcher *m, const char *s, const char *p, ptrdiff_t kind)
{
    rpi_lua_match *match = m->match;
    if (match->level >= (int)(sizeof(match->captures) / sizeof(match->captures[0]))) {
        luaL_error(m->L, "too many captures");
    }
    match->captures[match->level].start = s;
    match->captures[match->level].size = kind;
    match->level++;
    const char *end = match_here(m, s, p);
    if (!end) {
        match->level--;
    }
    return end;
}

static const char *close_capture(matcher *m, const char *s, const char *p)
{
    rpi_lua_match *match = m->match;
    int level = match->level - 1;
    while (level >= 0 && match->captures[level].size != RPI_LUA_OPEN) {
        level--;
    }
    if (level < 0) {
        luaL_error(m->L, "invalid pattern capture");
    }
    match->captures[level].size = s - match->captures[level].start;
    const char *end = match_here(m, s, p);
    if (!end) {
        match->captures[level].size = RPI_LUA_OPEN;
    }
    return end;
}

// %1 .. %9
static const char *match_reference(matcher *m, const char *s, int digit)
{
    int level = digit - '1';
    if (level < 0 || level >= m->match->level || m->match->captures[level].size < 0) {
        luaL_error(m->L, "invalid capture index %%%d", level + 1);
    }
    size_t size = (size_t)m->match->captures[level].size;
    m->steps += (unsigned)(size / 16);
    step(m);
    if ((size_t)(m->end - s) >= size && memcmp(m->match->captures[level].start, s, size) == 0) {
        return s + size;
    }
    return NULL;
}

// %f[set]: s, or NULL; *p moves behind the set.
static const char *match_frontier(matcher *m, const char *s, const char **p)
{
    const char *set = *p;
    if (set >= m->pattern_end || *set != '[') {
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
    }
    const char *after = class_end(m, set);
    int before = s == m->begin ? 0 : (unsigned char)s[-1];
    int here = s < m->end ? (unsigned char)*s : 0;
    *p = after;
    m->steps += (unsigned)((after - set) / 8);
    return !in_set(before, set, after - 1) && in_set(here, set, after - 1) ? s : NULL;
}

// A single class and what follows it. *next is where to go on (then the return value is the subject), or the match is over.
static const char *match_single(matcher *m, const char *s, const char *p, const char **next)
{
    const char *after = class_end(m, p);
    int suffix = after < m->pattern_end ? *after : 0;
    *next = NULL;
    if (suffix == '?') {
        if (matches_one(m, s, p, after)) {
            const char *end = match_here(m, s + 1, after + 1);
            if (end) {
                return end;
            }
        }
        *next = after + 1;
        return s;
    }
    if (suffix == '*') {
        return match_most(m, s, p, after);
    }
    if (suffix == '-') {
        return match_least(m, s, p, after);
    }
    if (!matches_one(m, s, p, after)) {
        return NULL;
    }
    if (suffix == '+') {
        return match_most(m, s + 1, p, after);
    }
    *next = after;
    return s + 1;
}

static const char *match_here(matcher *m, const char *s, const char *p)
{
    if (++m->depth > MAX_DEPTH) {
        luaL_error(m->L, "pattern too complex");
    }
    while (s && p < m->pattern_end) {
        const char *next = NULL;
        step(m);
        if (*p == '(') {
            bool is_position = p + 1 < m->pattern_end && p[1] == ')';
            s = is_position ? open_capture(m, s, p + 2, RPI_LUA_POSITION) : open_capture(m, s, p + 1, RPI_LUA_OPEN);
        } else if (*p == ')') {
            s = close_capture(m, s, p + 1);
        } else if (*p == '$' && p + 1 == m->pattern_end) {
            s = s == m->end ? s : NULL;
        } else if (*p == ESCAPE && p + 1 < m->pattern_end && p[1] == 'b') {
            s = match_balanced(m, s, p + 2);
            next = p + 4;
        } else if (*p == ESCAPE && p + 1 < m->pattern_end && p[1] == 'f') {
            next = p + 2;
            s = match_frontier(m, s, &next);
        } else if (*p == ESCAPE && p + 1 < m->pattern_end && isdigit((unsigned char)p[1])) {
            s = match_reference(m, s, (unsigned char)p[1]);
            next = p + 2;
        } else {
            s = match_single(m, s, p, &next);
        }
        if (!next) {
            break;
        }
        p = next;
    }
    m->depth--;
    return s;
}

const char *rpi_lua_pattern_match(lua_State *L, const char *begin, const char *end, const char *at, const char *pattern,
                                  const char *pattern_end, rpi_lua_match *match)
{
    matcher m = {.L = L, .begin = begin, .end = end, .pattern_end = pattern_end, .match = match};
    match->level = 0;
    const char *result = match_here(&m, at, pattern);
    rpi_lua_charge(L, m.steps + 1u);
    if (result) {
        for (int level = 0; level < match->level; level++) {
            if (match->captures[level].size == RPI_LUA_OPEN) {
                luaL_error(L, "unfinished capture");
            }
        }
    }
    return result;
}
