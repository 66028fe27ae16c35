// Keys that have no name: split by which patterns they match.
// SPDX-License-Identifier: MIT
#include "grammar/members.h"

enum { MAX_CLASSES = 512 };

static bool matched(const rti_block *b, const rti_class_of_keys *k, uint32_t place)
{
    for (uint32_t i = 0; i < b->pattern_count; i++) {
        if (b->patterns[i].place == place) return (k->matched >> i & 1) != 0;
    }
    return false;
}

void rti_key_atoms(rti_block *b, const rti_key *key, const rti_schema *s, rti_atom_list *atoms)
{
    if (key->any == NULL) {
        rti_facet_atoms(b->c, s, key->name, atoms);
        return;
    }
    uint32_t before = atoms->count;
    if (rti_schema_has(s, RTI_KEYWORD_pattern_properties)) {
        const rti_json_value *values = b->c->json.values;
        for (uint32_t p = values[s->at[RTI_KEYWORD_pattern_properties]].first; p != RTI_JSON_NONE; p = values[p].next) {
            if (matched(b, key->any, p)) rti_atom_push(b->c, atoms, rti_atom_make(p, false));
        }
    }
    if (atoms->count == before && rti_schema_has(s, RTI_KEYWORD_additional_properties)) {
        rti_atom_push(b->c, atoms, rti_atom_make(s->at[RTI_KEYWORD_additional_properties], false));
    }
}

void rti_key_unevaluated(rti_block *b, const rti_key *key, const rti_term *t, rti_atom_list *atoms)
{
    rti_atom_list spoken = { 0 };
    for (uint32_t i = 0; i < b->c->lists[t->b].count; i++) rti_key_atoms(b, key, rti_schema_at(b->c, b->c->lists[t->b].items[i]), &spoken);
    if (spoken.count == 0) rti_atom_push(b->c, atoms, rti_atom_make(t->a, false));
}

// False: this class may not occur at all.
static bool class_atoms(rti_block *b, const rti_key *key, rti_atom_list *atoms)
{
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        if (t->kind == RTI_FACET) rti_key_atoms(b, key, rti_schema_at(b->c, t->a), atoms);
        if (t->kind == RTI_UNEVALUATED) rti_key_unevaluated(b, key, t, atoms);
    }
    for (uint32_t i = 0; i < atoms->count; i++) {
        if (b->c->json.values[atoms->items[i] >> 2].kind == RTI_JSON_FALSE) return false;
    }
    return true;
}

typedef struct class_sink {
    rti_block *b;
    rti_variants variants;
    const rti_atom_list *atoms;
} class_sink;

static void take_terminal(rti_compiler *c, void *user, uint32_t terminal, bool finite)
{
    class_sink *sink = user;
    uint32_t at = RTI_ADD(c->g, classes);
    c->g->classes[at] = (rti_key_class){ terminal, sink->variants.first, sink->variants.count, finite };
}

// propertyNames names single keys: they become members.
static void take_literal(rti_compiler *c, void *user, const char *text, uint32_t size)
{
    class_sink *sink = user;
    uint32_t before = sink->b->count;
    rti_member *m = rti_member_of(sink->b, rti_name_of(c, text, size));
    if (sink->b->count == before) return; // it has a name already
    for (uint32_t i = 0; i < sink->atoms->count; i++) rti_atom_push(c, &m->atoms, sink->atoms->items[i]);
}

static void add_class(rti_block *b, const rti_key *key, rti_set keys, const uint32_t *names, uint32_t name_count)
{
    rti_compiler *c = b->c;
    rti_atom_list atoms = { 0 };
    if (!class_atoms(b, key, &atoms)) return;
    class_sink sink = { .b = b, .atoms = &atoms, .variants = rti_member_variants(b, key, &atoms) };
    if (sink.variants.count == 0) return;
    rti_string_set_split(c, keys, key->any->term, names, name_count, take_terminal, take_literal, &sink);
}

// Each class apart by which conditions of names its keys meet.
static void add_by_names(rti_block *b, const rti_key *key, rti_set keys, uint32_t condition, const uint32_t *names, uint32_t name_count)
{
    while (condition < b->condition_count && b->conditions[condition]->kind != RTI_EXISTS_NAME) condition++;
    if (condition == b->condition_count) {
        add_class(b, key, keys, names, name_count);
        return;
    }
    for (int denied = 0; denied < 2; denied++) {
        rti_set own = rti_evaluate(b->c, RTI_TYPE_STRING, b->conditions[condition]->a | (denied ? RTI_ATOM_DENIED : 0));
        own = own == NULL ? NULL : rti_string_domain.both(b->c, keys, own);
        rti_key with = *key;
        if (denied) with.breaks |= 1u << condition;
        if (own != NULL) add_by_names(b, &with, own, condition + 1, names, name_count);
    }
}

// Splits all keys by which patterns they match.
void rti_add_key_classes(rti_block *b)
{
    rti_compiler *c = b->c;
    rti_regexes *r = &c->g->regexes;
    if (b->closed || (b->has_keys && b->keys == NULL)) return;
    for (uint32_t i = 0; i < b->x->count; i++) {
        if (b->x->terms[i].kind != RTI_FACET) continue;
        const rti_schema *s = rti_schema_at(c, b->x->terms[i].a);
        if (!rti_schema_has(s, RTI_KEYWORD_additional_properties)) continue;
        if (c->json.values[s->at[RTI_KEYWORD_additional_properties]].kind == RTI_JSON_FALSE) {
            if (!rti_schema_has(s, RTI_KEYWORD_pattern_properties)) return;
        }
    }
    uint32_t name_count = b->count;
    uint32_t *names = rti_pool_take_array(c->pool, name_count + 1, sizeof *names);
    for (uint32_t i = 0; i < name_count; i++) names[i] = b->members[i].name;
    rti_class_of_keys *classes = rti_pool_take_array(c->pool, MAX_CLASSES * 2, sizeof *classes);
    uint32_t count = 1;
    classes[0] = (rti_class_of_keys){ RTI_REGEX_ALL, 0 };
    for (uint32_t p = 0; p < b->pattern_count; p++) {
        uint32_t before = count;
        rti_regex yes = b->patterns[p].term, no = rti_regex_not(r, yes);
        for (uint32_t i = 0; i < before; i++) {
            rti_regex inside = rti_regex_and2(r, classes[i].term, yes), outside = rti_regex_and2(r, classes[i].term, no);
            if (inside != classes[i].term && rti_regex_is_empty(c, inside)) continue;
            if (count >= MAX_CLASSES) rti_refuse(c, RT_ERROR_TOO_LARGE, b->patterns[p].place, "these patterns overlap in too many ways");
            classes[count++] = (rti_class_of_keys){ inside, classes[i].matched | 1ull << p };
            classes[i].term = rti_regex_is_empty(c, outside) ? RTI_REGEX_NOTHING : outside;
        }
        uint32_t used = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (classes[i].term != RTI_REGEX_NOTHING) classes[used++] = classes[i];
        }
        count = used;
    }
    bool open = count > 1 && !b->has_keys && b->low == 0 && b->high == RTI_NO_MAXIMUM && b->condition_count == 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = c->g->classes_count;
        add_by_names(b, &(rti_key){ .any = &classes[i] }, b->has_keys ? b->keys : rti_string_domain.all(c), 0, names, name_count);
        open &= c->g->classes_count == before + 1;
    }
    b->object.open = open;
    if (open) b->object.any_key = rti_plain_terminal(c->g, rti_lexer_of(c, RTI_REGEX_ALL), false);
}
