// SPDX-License-Identifier: MIT
#include "grammar/cases.h"

#include <string.h>

static uint64_t signature_of(const rti_term *terms, uint32_t count)
{
    uint64_t signature = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t mixed = (terms[i].kind * 31ull + terms[i].a) * 0x9e3779b97f4a7c15ull;
        mixed = (mixed ^ mixed >> 29 ^ terms[i].b) * 0xbf58476d1ce4e5b9ull;
        mixed = (mixed ^ mixed >> 32 ^ terms[i].c) * 0x94d049bb133111ebull;
        signature |= 1ull << (mixed >> 58);
    }
    return signature;
}

rti_set rti_cases_one(rti_compiler *c, const rti_term *terms, uint32_t count)
{
    rti_cases *set = rti_pool_take(c->pool, sizeof *set);
    set->cases = rti_pool_take(c->pool, sizeof *set->cases);
    rti_term *copy = rti_pool_take_array(c->pool, count + 1, sizeof *copy);
    if (count != 0) memcpy(copy, terms, count * sizeof *copy);
    set->cases[0] = (rti_case){ copy, count, signature_of(copy, count) };
    set->count = 1;
    return set;
}

rti_set rti_cases_all(rti_compiler *c)
{
    return rti_cases_one(c, NULL, 0);
}

static bool same_term(const rti_term *a, const rti_term *b)
{
    return a->kind == b->kind && a->a == b->a && a->b == b->b && a->c == b->c;
}

static bool has_term(const rti_case *x, const rti_term *term)
{
    for (uint32_t i = 0; i < x->count; i++) {
        if (same_term(&x->terms[i], term)) return true;
    }
    return false;
}

// Every term of `a` is in `b`: `b` says no less, so `a` holds wherever `b` does.
static bool includes(const rti_case *b, const rti_case *a)
{
    if (a->count > b->count || (a->signature & ~b->signature) != 0) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!has_term(b, &a->terms[i])) return false;
    }
    return true;
}

static void add_case(rti_compiler *c, rti_cases *set, uint32_t room, rti_case x)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (includes(&x, &set->cases[i])) return;
        if (includes(&set->cases[i], &x)) {
            set->cases[i--] = set->cases[--set->count];
        }
    }
    if (set->count >= room) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: the alternatives multiply to more than %d", rti_where(c), RTI_CASES_MAX);
    }
    set->cases[set->count++] = x;
}

rti_set rti_cases_either(rti_compiler *c, rti_set x, rti_set y)
{
    const rti_cases *a = x, *b = y;
    rti_cases *set = rti_pool_take(c->pool, sizeof *set);
    uint32_t room = RTI_MIN(a->count + b->count, (uint32_t)RTI_CASES_MAX);
    set->cases = rti_pool_take_array(c->pool, room + 1, sizeof *set->cases);
    for (uint32_t i = 0; i < a->count; i++) add_case(c, set, room, a->cases[i]);
    for (uint32_t i = 0; i < b->count; i++) add_case(c, set, room, b->cases[i]);
    return set;
}

static rti_case join(rti_compiler *c, const rti_case *a, const rti_case *b)
{
    rti_term *terms = rti_pool_take_array(c->pool, a->count + b->count + 1, sizeof *terms);
    uint32_t count = a->count;
    if (a->count != 0) memcpy(terms, a->terms, a->count * sizeof *terms);
    for (uint32_t i = 0; i < b->count; i++) {
        if (!has_term(a, &b->terms[i])) terms[count++] = b->terms[i];
    }
    return (rti_case){ terms, count, a->signature | b->signature };
}

rti_set rti_cases_both(rti_compiler *c, rti_set x, rti_set y, rti_case_check *check)
{
    const rti_cases *a = x, *b = y;
    if (a->count == 1 && a->cases[0].count == 0) return b;
    if (b->count == 1 && b->cases[0].count == 0) return a;
    c->work += (uint64_t)a->count * b->count;
    if (c->work > RTI_WORK_MAX) rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: the alternatives multiply beyond all measure", rti_where(c));
    uint32_t room = RTI_MIN(a->count * b->count, (uint32_t)RTI_CASES_MAX);
    rti_cases *set = rti_pool_take(c->pool, sizeof *set);
    set->cases = rti_pool_take_array(c->pool, room + 1, sizeof *set->cases);
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            rti_case one = join(c, &a->cases[i], &b->cases[k]);
            if (check(c, &one)) add_case(c, set, room, one);
        }
    }
    return set->count == 0 ? NULL : set;
}

uint32_t rti_list_of(rti_compiler *c, const uint32_t *items, uint32_t count)
{
    for (uint32_t i = 0; i < c->list_count; i++) {
        if (c->lists[i].count == count && (count == 0 || memcmp(c->lists[i].items, items, count * sizeof *items) == 0)) return i;
    }
    RTI_POOL_RESERVE(c->pool, c->lists, c->list_capacity, c->list_count + 1);
    uint32_t *copy = rti_pool_take_array(c->pool, count + 1, sizeof *copy);
    if (count != 0) memcpy(copy, items, count * sizeof *copy);
    c->lists[c->list_count] = (rti_atoms){ copy, count };
    return c->list_count++;
}
