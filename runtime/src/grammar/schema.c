// SPDX-License-Identifier: MIT
#include "grammar/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 200000 };

static const char *const keyword_texts[RTI_KEYWORD_COUNT] = {
#define X(name, text) text,
    RTI_KEYWORDS(X)
#undef X
};

void rti_refuse(rti_compiler *c, rt_result code, uint32_t place, const char *format, ...)
{
    char pointer[256], text[320];
    rti_json_pointer(&c->json, place, pointer, sizeof pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rti_pool_fail(c->pool, code, "grammar: schema: %s: %s", pointer[0] != 0 ? pointer : "(the root)", text);
}

const char *rti_place(rti_compiler *c, uint32_t place)
{
    char pointer[200];
    rti_json_pointer(&c->json, place, pointer, sizeof pointer);
    snprintf(c->where_text, sizeof c->where_text, "grammar: schema: %s", pointer[0] != 0 ? pointer : "(the root)");
    return c->where_text;
}

const char *rti_where(rti_compiler *c)
{
    static const char *const by_type[RTI_TYPE_COUNT][9] = {
        [RTI_TYPE_SIMPLE] = { NULL },
        [RTI_TYPE_NUMBER] = { "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum" },
        [RTI_TYPE_STRING] = { "pattern", "format", "minLength", "maxLength" },
        [RTI_TYPE_ARRAY] = { "uniqueItems", "contains", "items", "prefixItems", "additionalItems", "minItems", "maxItems" },
        [RTI_TYPE_OBJECT] = { "patternProperties", "dependencies", "dependentSchemas", "propertyNames", "minProperties", "maxProperties" },
    };
    static const char *const combining[] = { "oneOf", "anyOf", "not", "if", "allOf", NULL };
    static const char *const others[] = { "$ref", "properties", "additionalProperties", "enum", "const", "type", NULL };
    const char *found = NULL;
    if (c->json.values[c->where].kind == RTI_JSON_OBJECT) {
        bool combined = c->opening_type == RTI_TYPE_OBJECT || c->opening_type == RTI_TYPE_ARRAY;
        const char *const *own = by_type[c->opening_type];
        const char *const *lists[3] = { combined ? combining : own, combined ? own : combining, others };
        for (int k = 0; k < 3 && found == NULL; k++) {
            for (const char *const *i = lists[k]; *i != NULL && found == NULL; i++) {
                if (rti_json_member(&c->json, c->where, *i) != RTI_JSON_NONE) found = *i;
            }
        }
    }
    char pointer[200];
    rti_json_pointer(&c->json, c->where, pointer, sizeof pointer);
    const char *root = pointer[0] == 0 && found == NULL ? "(the root)" : "";
    snprintf(c->where_text, sizeof c->where_text, "grammar: schema: %s%s%s%s", root, pointer, found != NULL ? "/" : "", found != NULL ? found : "");
    return c->where_text;
}

// ---------------------------------------------------------------------------------------------------------------------
// Keywords
// ---------------------------------------------------------------------------------------------------------------------

static uint32_t keyword_hash(const char *text, uint32_t size)
{
    return (size * 31u + (unsigned char)text[0] * 7u + (unsigned char)text[size - 1] + (unsigned char)text[size / 2] * 13u) & 255;
}

typedef struct keyword_index {
    uint8_t first[256], next[RTI_KEYWORD_COUNT + 1]; // keyword + 1
} keyword_index;

static void index_keywords(keyword_index *index)
{
    memset(index, 0, sizeof *index);
    for (int i = 0; i < RTI_KEYWORD_COUNT; i++) {
        uint32_t hash = keyword_hash(keyword_texts[i], (uint32_t)strlen(keyword_texts[i]));
        index->next[i + 1] = index->first[hash];
        index->first[hash] = (uint8_t)(i + 1);
    }
}

// What each keyword's value must be; a string of type letters: o object, a array, s string, b boolean, n number, S schema.
static bool value_fits(rti_json_kind kind, int keyword)
{
    bool schema = kind == RTI_JSON_OBJECT || kind == RTI_JSON_TRUE || kind == RTI_JSON_FALSE;
    switch (keyword) {
    case RTI_KEYWORD_properties: case RTI_KEYWORD_pattern_properties: case RTI_KEYWORD_dependencies:
    case RTI_KEYWORD_dependent_required: case RTI_KEYWORD_dependent_schemas: return kind == RTI_JSON_OBJECT;
    case RTI_KEYWORD_all_of: case RTI_KEYWORD_any_of: case RTI_KEYWORD_one_of: case RTI_KEYWORD_enum_:
    case RTI_KEYWORD_prefix_items: return kind == RTI_JSON_ARRAY;
    case RTI_KEYWORD_required: return kind == RTI_JSON_ARRAY || kind == RTI_JSON_TRUE || kind == RTI_JSON_FALSE;
    case RTI_KEYWORD_type: return kind == RTI_JSON_ARRAY || kind == RTI_JSON_STRING || kind == RTI_JSON_OBJECT;
    case RTI_KEYWORD_additional_properties: case RTI_KEYWORD_property_names: case RTI_KEYWORD_additional_items:
    case RTI_KEYWORD_contains: case RTI_KEYWORD_not_: case RTI_KEYWORD_if_: case RTI_KEYWORD_then: case RTI_KEYWORD_else_:
    case RTI_KEYWORD_unevaluated_properties: case RTI_KEYWORD_unevaluated_items: return schema;
    case RTI_KEYWORD_items: return schema || kind == RTI_JSON_ARRAY;
    case RTI_KEYWORD_unique_items: return kind == RTI_JSON_TRUE || kind == RTI_JSON_FALSE;
    case RTI_KEYWORD_min_properties: case RTI_KEYWORD_max_properties: case RTI_KEYWORD_min_items: case RTI_KEYWORD_max_items:
    case RTI_KEYWORD_min_contains: case RTI_KEYWORD_max_contains: case RTI_KEYWORD_min_length: case RTI_KEYWORD_max_length:
    case RTI_KEYWORD_minimum: case RTI_KEYWORD_maximum: case RTI_KEYWORD_multiple_of: return kind == RTI_JSON_NUMBER;
    case RTI_KEYWORD_exclusive_minimum: case RTI_KEYWORD_exclusive_maximum:
        return kind == RTI_JSON_NUMBER || kind == RTI_JSON_TRUE || kind == RTI_JSON_FALSE;
    case RTI_KEYWORD_pattern: case RTI_KEYWORD_ref: case RTI_KEYWORD_dynamic_ref: case RTI_KEYWORD_recursive_ref:
        return kind == RTI_JSON_STRING;
    default: return true;
    }
}

static void check_type_names(rti_compiler *c, uint32_t place)
{
    static const char *const types[] = { "null", "boolean", "number", "integer", "string", "array", "object" };
    rti_json_value *values = c->json.values;
    bool list = values[place].kind == RTI_JSON_ARRAY;
    for (uint32_t i = list ? values[place].first : place; i != RTI_JSON_NONE; i = list ? values[i].next : RTI_JSON_NONE) {
        bool known = false;
        for (size_t k = 0; k < RTI_COUNT(types); k++) known |= rti_json_is_text(&c->json, i, types[k]);
        if (!known) rti_refuse(c, RT_ERROR_BAD_TEXT, i, "not the name of a type");
    }
}

const rti_schema *rti_schema_at(rti_compiler *c, uint32_t place)
{
    if (c->schemas[place] != NULL) return c->schemas[place];
    if (c->json.values[place].kind != RTI_JSON_OBJECT) rti_refuse(c, RT_ERROR_BAD_TEXT, place, "must be a schema: an object, true or false");
    rti_schema *s = rti_pool_take(c->pool, sizeof *s);
    s->place = place;
    s->target = RTI_JSON_NONE;
    for (uint32_t i = c->json.values[place].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        const rti_json_value *v = &c->json.values[i];
        if (v->key_size == 0) continue;
        const char *key = c->json.text + v->key;
        const keyword_index *index = c->keyword_index;
        int found = index->first[keyword_hash(key, v->key_size)];
        while (found != 0 && (strlen(keyword_texts[found - 1]) != v->key_size || memcmp(keyword_texts[found - 1], key, v->key_size) != 0)) {
            found = index->next[found];
        }
        if (found == 0) continue;
        if (!value_fits(v->kind, found - 1)) rti_refuse(c, RT_ERROR_BAD_TEXT, i, "a value of the wrong type for this keyword");
        s->present |= 1ull << (found - 1);
        s->at[found - 1] = i;
    }
    bool reference = rti_schema_has(s, RTI_KEYWORD_ref);
    if (reference && c->draft != 0 && c->draft <= 7) s->present = 1ull << RTI_KEYWORD_ref; // siblings mean nothing there
    if (rti_schema_has(s, RTI_KEYWORD_type)) check_type_names(c, s->at[RTI_KEYWORD_type]);
    c->schemas[place] = s;
    return s;
}

bool rti_schema_size(rti_compiler *c, const rti_schema *s, rti_keyword keyword, uint32_t *value)
{
    if (!rti_schema_has(s, keyword)) return false;
    uint32_t place = s->at[keyword];
    const rti_json_value *v = &c->json.values[place];
    rti_decimal d = rti_decimal_parse(c->pool, c->json.text + v->text, v->text_size, rti_place(c, place));
    if (d.negative || !rti_decimal_is_integer(&d)) rti_refuse(c, RT_ERROR_BAD_TEXT, place, "must be a whole number, not negative");
    rti_decimal_to_size(&d, 1u << 30, value); // more is as good as this much
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Names, literals
// ---------------------------------------------------------------------------------------------------------------------

uint32_t rti_name_of(rti_compiler *c, const char *text, uint32_t size)
{
    uint64_t hash = rti_hash_bytes(text, size, 17);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&c->name_table, hash, &cursor)) != UINT32_MAX) {
        if (c->names[id].size == size && memcmp(c->names[id].text, text, size) == 0) return id;
    }
    RTI_POOL_RESERVE(c->pool, c->names, c->name_capacity, c->name_count + 1);
    id = c->name_count++;
    c->names[id] = (rti_name){ .text = text, .size = size };
    rti_id_table_add(c->pool, &c->name_table, hash, id);
    return id;
}

size_t rti_json_spell(const char *text, size_t size, char *out)
{
    static const char codes[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    size_t used = 0;
    out[used++] = '"';
    for (size_t i = 0; i < size; i++) {
        const char *found = text[i] != 0 ? strchr(codes, text[i]) : NULL;
        if (found != NULL) {
            out[used++] = '\\';
            out[used++] = names[found - codes];
        } else if ((unsigned char)text[i] < 0x20) {
            used += (size_t)sprintf(out + used, "\\u%04x", (unsigned char)text[i]);
        } else {
            out[used++] = text[i];
        }
    }
    out[used++] = '"';
    return used;
}

uint32_t rti_literal_add(rti_compiler *c, uint32_t *root, const char *bytes, size_t size, uint32_t value)
{
    rt_grammar *g = c->g;
    if (*root == 0) {
        *root = RTI_ADD(g, literals);
        g->literals[*root] = (rti_literal){ 0 };
    }
    uint32_t node = *root;
    for (size_t i = 0; i < size; i++) {
        uint32_t child = g->literals[node].first, last = 0;
        while (child != 0 && g->literals[child].byte != (uint8_t)bytes[i]) {
            last = child;
            child = g->literals[child].next;
        }
        if (child == 0) {
            child = RTI_ADD(g, literals);
            g->literals[child] = (rti_literal){ .byte = (uint8_t)bytes[i] };
            if (last == 0) {
                g->literals[node].first = child;
            } else {
                g->literals[last].next = child;
            }
        }
        node = child;
    }
    g->literals[node].final = true;
    g->literals[node].value = value;
    return node;
}

void rti_literal_add_value(rti_compiler *c, uint32_t *root, const char *bytes, size_t size, uint64_t hash)
{
    uint32_t place = rti_literal_add(c, root, bytes, size, 0); // (the table may move)
    rti_literal *last = &c->g->literals[place];
    last->hash[0] = (uint32_t)hash;
    last->hash[1] = (uint32_t)(hash >> 32);
}

bool rti_json_equal(rti_compiler *c, uint32_t a, uint32_t b)
{
    const rti_json_value *x = &c->json.values[a], *y = &c->json.values[b];
    if (x->kind != y->kind || x->count != y->count) return false;
    if (x->kind == RTI_JSON_STRING) return x->text_size == y->text_size && memcmp(c->json.text + x->text, c->json.text + y->text, x->text_size) == 0;
    if (x->kind == RTI_JSON_NUMBER) {
        rti_decimal p = rti_decimal_parse(c->pool, c->json.text + x->text, x->text_size, rti_where(c));
        rti_decimal q = rti_decimal_parse(c->pool, c->json.text + y->text, y->text_size, rti_where(c));
        return rti_decimal_compare(&p, &q) == 0;
    }
    for (uint32_t i = x->first, k = y->first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        uint32_t other = k;
        if (x->kind == RTI_JSON_OBJECT) {
            other = rti_json_member_sized(&c->json, b, c->json.text + c->json.values[i].key, c->json.values[i].key_size);
            if (other == RTI_JSON_NONE) return false;
        } else {
            k = c->json.values[k].next;
        }
        if (!rti_json_equal(c, i, other)) return false;
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Nodes
// ---------------------------------------------------------------------------------------------------------------------

static int by_atom(const void *a, const void *b)
{
    rti_atom x = *(const rti_atom *)a, y = *(const rti_atom *)b;
    return x < y ? -1 : x > y;
}

uint32_t rti_node_of(rti_compiler *c, rti_atom *atoms, uint32_t count)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        rti_atom atom = atoms[i];
        if (atom == RTI_ATOM_NEVER) return 0;
        if ((atom & RTI_ATOM_CONSTANT) == 0) {
            rti_json_kind kind = c->json.values[atom >> 2].kind;
            bool always = kind == RTI_JSON_TRUE || (kind == RTI_JSON_OBJECT && c->json.values[atom >> 2].count == 0);
            bool denied = (atom & RTI_ATOM_DENIED) != 0;
            if ((always && denied) || (kind == RTI_JSON_FALSE && !denied)) return 0;
            if (always || kind == RTI_JSON_FALSE) continue;
            // A schema that only refers stands for what it refers to.
            const rti_schema *s = rti_schema_at(c, atom >> 2);
            for (int hops = 0; hops < 32 && s->present == 1ull << RTI_KEYWORD_ref; hops++) {
                uint32_t target = rti_schema_target(c, (rti_schema *)s, RTI_KEYWORD_ref);
                if (c->json.values[target].kind != RTI_JSON_OBJECT) break;
                atom = rti_atom_make(target, denied);
                s = rti_schema_at(c, target);
            }
            if (s->present == 0) {
                if (denied) return 0;
                continue;
            }
        }
        atoms[used++] = atom;
    }
    if (used > 1) qsort(atoms, used, sizeof *atoms, by_atom);
    count = 0;
    for (uint32_t i = 0; i < used; i++) {
        if (count != 0 && atoms[count - 1] == atoms[i]) continue;
        if (count != 0 && (atoms[count - 1] ^ atoms[i]) == RTI_ATOM_DENIED) return 0; // x and not x
        atoms[count++] = atoms[i];
    }
    uint64_t hash = rti_hash_bytes(atoms, count * sizeof *atoms, 23);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&c->node_table, hash, &cursor)) != UINT32_MAX) {
        if (c->nodes[id].count == count && (count == 0 || memcmp(c->nodes[id].items, atoms, count * sizeof *atoms) == 0)) return id;
    }
    if (c->g->nodes_count >= MAX_NODES) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: combining schemas makes more than %d kinds of values", rti_where(c), MAX_NODES);
    }
    id = RTI_ADD(c->g, nodes);
    RTI_POOL_RESERVE(c->pool, c->nodes, c->node_capacity, id + 1);
    rti_atom *copy = rti_pool_take_array(c->pool, count + 1, sizeof *copy);
    if (count != 0) memcpy(copy, atoms, count * sizeof *copy);
    c->nodes[id] = (rti_atoms){ copy, count };
    c->g->nodes[id] = (rti_node){ 0 };
    rti_id_table_add(c->pool, &c->node_table, hash, id);
    return id;
}

static void read_draft(rti_compiler *c)
{
    static const struct {
        const char *part;
        int draft;
    } drafts[] = { { "draft-03", 4 }, { "draft-04", 4 }, { "draft-05", 4 }, { "draft-06", 6 }, { "draft-07", 7 }, { "2019-09", 2019 }, { "2020-12", 2020 } };
    uint32_t place = rti_json_member(&c->json, 0, "$schema");
    if (place == RTI_JSON_NONE || c->json.values[place].kind != RTI_JSON_STRING) return;
    const rti_json_value *v = &c->json.values[place];
    for (size_t i = 0; i < RTI_COUNT(drafts); i++) {
        if (memmem(c->json.text + v->text, v->text_size, drafts[i].part, strlen(drafts[i].part)) != NULL) c->draft = drafts[i].draft;
    }
}

void rti_compiler_begin(rti_compiler *c, rt_grammar *g)
{
    c->g = g;
    c->where = 0;
    keyword_index *index = rti_pool_take(c->pool, sizeof *index);
    index_keywords(index);
    c->keyword_index = index;
    // Index 0 of these means "none".
    RTI_ADD(g, nodes);
    RTI_ADD(g, literals);
    RTI_ADD(g, excluded);
    RTI_ADD(g, objects);
    RTI_POOL_RESERVE(c->pool, c->nodes, c->node_capacity, 1);
    g->nodes[0] = (rti_node){ .height = UINT32_MAX };
}

void rti_compiler_start(rti_compiler *c)
{
    read_draft(c);
    c->schemas = rti_pool_take_array(c->pool, c->json.count, sizeof *c->schemas);
    c->opened = 1;
    rti_atom root = rti_atom_make(0, false);
    c->g->root = rti_node_of(c, &root, 1);
    if (c->g->root == 0) rti_pool_fail(c->pool, RT_ERROR_REJECTED, "grammar: schema: no value satisfies it");
}

// One node, or what it says of one type of value.
bool rti_compiler_step(rti_compiler *c)
{
    if (c->opened >= c->g->nodes_count) return true;
    const rti_atoms atoms = c->nodes[c->opened];
    c->where = atoms.count != 0 ? atoms.items[0] >> 2 : 0;
    c->depth = 0;
    rti_node *node = &c->opening;
    uint32_t *literals = &node->literals;
    rti_set set = c->finishing != NULL ? c->finishing : rti_evaluate_all(c, (rti_type)c->opening_type, atoms.items, atoms.count);
    switch ((rti_type)c->opening_type) {
    case RTI_TYPE_SIMPLE: rti_simple_finish(c, set, literals); break;
    case RTI_TYPE_NUMBER:
        c->finishing = set;
        if (!rti_number_finish(c, set, &c->finishing_at, node, literals)) return false;
        c->finishing = NULL;
        c->finishing_at = 0;
        break;
    case RTI_TYPE_STRING: rti_string_finish(c, set, node, literals); break;
    case RTI_TYPE_ARRAY: rti_array_finish(c, set, node); break;
    default:
        c->finishing = set;
        if (!rti_object_finish(c, set, c->finishing_at++, node)) return false;
        c->finishing = NULL;
        c->finishing_at = 0;
        break;
    }
    if (c->opening_type != RTI_TYPE_OBJECT) {
        c->opening_type++;
        return false;
    }
    c->g->nodes[c->opened++] = *node;
    *node = (rti_node){ 0 };
    c->opening_type = RTI_TYPE_SIMPLE;
    return c->opened >= c->g->nodes_count;
}
