// Sets of numbers: single values and blocks (number.h), closed under and, or and not.
// SPDX-License-Identifier: MIT
#include "grammar/schema.h"

#include <string.h>

enum { MAX_BLOCKS = 256 };

typedef struct number_set {
    rti_decimal *values;
    uint32_t *places; // of the values, for the way they were written
    uint32_t value_count;
    rti_number_block *blocks;
    uint32_t block_count;
} number_set;

static number_set *new_set(rti_compiler *c, uint32_t values, uint32_t blocks)
{
    number_set *set = rti_pool_take(c->pool, sizeof *set);
    set->values = rti_pool_take_array(c->pool, values + 1, sizeof *set->values);
    set->places = rti_pool_take_array(c->pool, values + 1, sizeof *set->places);
    set->blocks = rti_pool_take_array(c->pool, blocks + 1, sizeof *set->blocks);
    return set;
}

static rti_set all(rti_compiler *c)
{
    number_set *set = new_set(c, 0, 1);
    set->block_count = 1;
    return set;
}

static bool contains(const number_set *set, const rti_decimal *value)
{
    for (uint32_t i = 0; i < set->value_count; i++) {
        if (rti_decimal_compare(&set->values[i], value) == 0) return true;
    }
    for (uint32_t i = 0; i < set->block_count; i++) {
        if (rti_number_block_contains(&set->blocks[i], value)) return true;
    }
    return false;
}

static void add_value(number_set *set, const rti_decimal *value, uint32_t place)
{
    if (contains(set, value)) return;
    set->values[set->value_count] = *value;
    set->places[set->value_count++] = place;
}

static rti_set whole(number_set *set)
{
    return set->value_count == 0 && set->block_count == 0 ? NULL : set;
}

static rti_set both(rti_compiler *c, rti_set x, rti_set y)
{
    const number_set *a = x, *b = y;
    if (a->block_count * b->block_count > MAX_BLOCKS) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: more than %d ranges of numbers", rti_where(c), MAX_BLOCKS);
    }
    number_set *set = new_set(c, a->value_count + b->value_count, a->block_count * b->block_count);
    for (uint32_t i = 0; i < a->block_count; i++) {
        for (uint32_t k = 0; k < b->block_count; k++) {
            bool too_many = false;
            if (!rti_number_block_intersect(&a->blocks[i], &b->blocks[k], &set->blocks[set->block_count], &too_many)) continue;
            if (too_many) rti_pool_fail(c->pool, RT_ERROR_UNSUPPORTED, "%s: multipleOf: more than %d at once", rti_where(c), RTI_NUMBER_FACTORS);
            set->block_count++;
        }
    }
    for (uint32_t i = 0; i < a->value_count; i++) {
        if (contains(b, &a->values[i])) add_value(set, &a->values[i], a->places[i]);
    }
    for (uint32_t i = 0; i < b->value_count; i++) {
        if (contains(a, &b->values[i])) add_value(set, &b->values[i], b->places[i]);
    }
    return whole(set);
}

static bool same_block(const rti_number_block *a, const rti_number_block *b)
{
    if (a->has_low != b->has_low || a->has_high != b->has_high || a->low_open != b->low_open || a->high_open != b->high_open ||
        a->kind != b->kind || a->multiple_count != b->multiple_count || a->other_count != b->other_count) {
        return false;
    }
    if (a->has_low && rti_decimal_compare(&a->low, &b->low) != 0) return false;
    if (a->has_high && rti_decimal_compare(&a->high, &b->high) != 0) return false;
    for (int i = 0; i < a->multiple_count; i++) {
        if (rti_decimal_compare(&a->multiples[i], &b->multiples[i]) != 0) return false;
    }
    for (int i = 0; i < a->other_count; i++) {
        if (rti_decimal_compare(&a->others[i], &b->others[i]) != 0) return false;
    }
    return true;
}

static rti_set either(rti_compiler *c, rti_set x, rti_set y)
{
    const number_set *a = x, *b = y;
    number_set *set = new_set(c, a->value_count + b->value_count, a->block_count + b->block_count);
    if (a->block_count != 0) memcpy(set->blocks, a->blocks, a->block_count * sizeof *set->blocks);
    set->block_count = a->block_count;
    for (uint32_t i = 0; i < b->block_count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < a->block_count; k++) there |= same_block(&set->blocks[k], &b->blocks[i]);
        if (!there) set->blocks[set->block_count++] = b->blocks[i];
    }
    if (set->block_count > MAX_BLOCKS) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: more than %d ranges of numbers", rti_where(c), MAX_BLOCKS);
    }
    for (uint32_t i = 0; i < a->value_count; i++) add_value(set, &a->values[i], a->places[i]);
    for (uint32_t i = 0; i < b->value_count; i++) add_value(set, &b->values[i], b->places[i]);
    return whole(set);
}

// All numbers but one.
static rti_set all_but(rti_compiler *c, const rti_decimal *value)
{
    number_set *set = new_set(c, 0, 2);
    set->block_count = 2;
    set->blocks[0] = (rti_number_block){ .has_high = true, .high_open = true, .high = *value };
    set->blocks[1] = (rti_number_block){ .has_low = true, .low_open = true, .low = *value };
    return set;
}

static rti_set constant(rti_compiler *c, uint32_t place, bool denied)
{
    const rti_json_value *v = &c->json.values[place];
    rti_decimal value = rti_decimal_parse(c->pool, c->json.text + v->text, v->text_size, rti_place(c, place));
    if (denied) return all_but(c, &value);
    number_set *set = new_set(c, 1, 0);
    add_value(set, &value, place);
    return set;
}

// The keywords are a conjunction of elementary blocks; denied, any of them may fail.
typedef struct conjunction {
    rti_compiler *c;
    bool denied;
    rti_set set;
} conjunction;

static void add_block(conjunction *k, const rti_number_block *block)
{
    number_set *one = new_set(k->c, 0, 1);
    one->blocks[0] = *block;
    one->block_count = 1;
    if (k->denied) {
        k->set = k->set == NULL ? one : either(k->c, k->set, one);
    } else if (k->set != NULL) {
        k->set = both(k->c, k->set, one);
    }
}

static rti_decimal number_at(rti_compiler *c, uint32_t place)
{
    const rti_json_value *v = &c->json.values[place];
    if (v->kind != RTI_JSON_NUMBER) rti_refuse(c, RT_ERROR_BAD_TEXT, place, "must be a number");
    return rti_decimal_parse(c->pool, c->json.text + v->text, v->text_size, rti_place(c, place));
}

static void add_bound(conjunction *k, const rti_decimal *value, bool low, bool open)
{
    rti_number_block block = { 0 };
    if (low != k->denied) {
        block.has_low = true;
        block.low = *value;
        block.low_open = open != k->denied;
    } else {
        block.has_high = true;
        block.high = *value;
        block.high_open = open != k->denied;
    }
    add_block(k, &block);
}

static void add_bounds(conjunction *k, const rti_schema *s, rti_keyword inclusive, rti_keyword exclusive, bool low)
{
    rti_compiler *c = k->c;
    bool open = false;
    if (rti_schema_has(s, exclusive)) {
        uint32_t place = s->at[exclusive];
        rti_json_kind kind = c->json.values[place].kind;
        if (kind == RTI_JSON_TRUE || kind == RTI_JSON_FALSE) { // draft 4
            open = kind == RTI_JSON_TRUE;
        } else {
            rti_decimal value = number_at(c, place);
            add_bound(k, &value, low, true);
        }
    }
    if (!rti_schema_has(s, inclusive)) return;
    rti_decimal value = number_at(c, s->at[inclusive]);
    add_bound(k, &value, low, open);
}

static void add_range(conjunction *k, const char *low, const char *high)
{
    rti_decimal bound = rti_decimal_parse(k->c->pool, low, strlen(low), "grammar");
    add_bound(k, &bound, true, false);
    bound = rti_decimal_parse(k->c->pool, high, strlen(high), "grammar");
    add_bound(k, &bound, false, false);
}

static void add_type(conjunction *k, const rti_schema *s)
{
    rti_compiler *c = k->c;
    if (!rti_schema_has(s, RTI_KEYWORD_type)) return;
    uint32_t place = s->at[RTI_KEYWORD_type];
    bool list = c->json.values[place].kind == RTI_JSON_ARRAY, integer = false;
    for (uint32_t i = list ? c->json.values[place].first : place; i != RTI_JSON_NONE; i = list ? c->json.values[i].next : RTI_JSON_NONE) {
        if (rti_json_is_text(&c->json, i, "number")) return;
        integer |= rti_json_is_text(&c->json, i, "integer");
    }
    if (!integer) return;
    rti_number_block block = { .kind = k->denied ? RTI_NUMBER_FRACTION : RTI_NUMBER_INTEGER };
    add_block(k, &block);
    const char *low, *high;
    if (c->plain_integers && rti_format_integer("int64", 5, &low, &high)) add_range(k, low, high);
}

static void add_format(conjunction *k, const rti_schema *s)
{
    rti_compiler *c = k->c;
    const rti_json_value *v = &c->json.values[s->at[RTI_KEYWORD_format]];
    const char *low, *high;
    if (v->kind != RTI_JSON_STRING || !rti_format_integer(c->json.text + v->text, v->text_size, &low, &high)) return;
    rti_number_block block = { .kind = k->denied ? RTI_NUMBER_FRACTION : RTI_NUMBER_INTEGER };
    add_block(k, &block);
    if (low != NULL) add_range(k, low, high);
}

static rti_set keywords(rti_compiler *c, const rti_schema *s, bool denied)
{
    conjunction k = { .c = c, .denied = denied, .set = denied ? NULL : all(c) };
    add_type(&k, s);
    add_bounds(&k, s, RTI_KEYWORD_minimum, RTI_KEYWORD_exclusive_minimum, true);
    add_bounds(&k, s, RTI_KEYWORD_maximum, RTI_KEYWORD_exclusive_maximum, false);
    if (rti_schema_has(s, RTI_KEYWORD_multiple_of)) {
        rti_number_block block = { 0 };
        rti_decimal value = number_at(c, s->at[RTI_KEYWORD_multiple_of]);
        if (value.count == 0 || value.negative) rti_refuse(c, RT_ERROR_BAD_TEXT, s->at[RTI_KEYWORD_multiple_of], "must be greater than 0");
        if (denied) {
            block.others[block.other_count++] = value;
        } else {
            block.multiples[block.multiple_count++] = value;
        }
        add_block(&k, &block);
    }
    if (rti_schema_has(s, RTI_KEYWORD_format)) add_format(&k, s);
    return k.set;
}

static bool disjoint(rti_compiler *c, rti_set a, rti_set b)
{
    rti_set set = both(c, a, b);
    if (set == NULL) return true;
    const number_set *x = set;
    return x->value_count == 0 && x->block_count == 0;
}

const rti_domain rti_number_domain = { all, both, either, keywords, constant, disjoint, NULL };

static void keep_decimal(rti_compiler *c, rti_decimal *d)
{
    uint8_t *digits = rti_pool_take(&c->g->pool, d->count + 1);
    if (d->count != 0) memcpy(digits, d->digits, d->count);
    d->digits = digits;
}

static uint32_t lexer_of(rti_compiler *c, const rti_number_block *block)
{
    for (uint32_t i = 0; i < c->g->numbers_count; i++) {
        if (same_block(&c->blocks[i], block)) return i;
    }
    rti_number_block kept = *block; // the grammar outlives the schema
    kept.plain = c->plain_integers || c->draft == 4;
    keep_decimal(c, &kept.low);
    keep_decimal(c, &kept.high);
    for (int i = 0; i < kept.multiple_count; i++) keep_decimal(c, &kept.multiples[i]);
    for (int i = 0; i < kept.other_count; i++) keep_decimal(c, &kept.others[i]);
    rti_number_lexer *lexer = rti_number_lexer_new(&c->g->pool, &kept, c->g->max_states, rti_where(c));
    uint32_t id = RTI_ADD(c->g, numbers);
    c->g->numbers[id] = lexer;
    RTI_POOL_RESERVE(c->pool, c->blocks, c->block_capacity, id + 1);
    c->blocks[id] = *block;
    return id;
}

bool rti_number_finish(rti_compiler *c, rti_set x, uint32_t *block, rti_node *node, uint32_t *literals)
{
    enum { STATES_AT_ONCE = 200 };
    const number_set *set = x;
    if (set == NULL) return true;
    if (*block == 0) node->numbers = c->g->number_list_count;
    for (; *block < set->block_count; ++*block) {
        uint32_t id = lexer_of(c, &set->blocks[*block]);
        if (!rti_number_lexer_look(c->g->numbers[id], &c->g->pool, STATES_AT_ONCE)) return false;
        if (rti_number_lexer_empty(c->g->numbers[id])) continue;
        uint32_t at = RTI_ADD(c->g, number_list);
        c->g->number_list[at] = id;
    }
    node->number_count = c->g->number_list_count - node->numbers;
    for (uint32_t i = 0; i < set->value_count; i++) {
        char text[1400];
        const rti_json_value *v = &c->json.values[set->places[i]];
        uint64_t hash = rti_hash_decimal(&set->values[i]);
        rti_literal_add_value(c, literals, c->json.text + v->text, v->text_size, hash);
        size_t size = rti_decimal_write(&set->values[i], text, sizeof text, false);
        if (size <= sizeof text) rti_literal_add_value(c, literals, text, size, hash);
        size = rti_decimal_write(&set->values[i], text, sizeof text, true);
        if (size <= sizeof text && size <= 24) rti_literal_add_value(c, literals, text, size, hash);
    }
    return true;
}
