// Cases of objects to blocks that the machine walks: named members in order, classes of other keys, counts.
// SPDX-License-Identifier: MIT
#include "grammar/objects.h"

#include <string.h>

enum { MAX_PATTERNS = 64, MAX_CLASSES = 512 };

typedef struct member {
    uint32_t name;
    bool listed, required, forbidden;
    uint32_t marks; // conditions that this key can satisfy
    rti_atom_list atoms;
} member;

typedef struct pattern {
    uint32_t place; // the member of patternProperties
    rti_regex term;
} pattern;

typedef struct key_class {
    rti_regex term;
    uint64_t matched; // patterns
} key_class;

typedef struct block {
    rti_compiler *c;
    const rti_case *x;
    member *members;
    uint32_t count, capacity, mark;
    pattern patterns[MAX_PATTERNS];
    uint32_t pattern_count;
    const rti_term *conditions[RTI_CONDITIONS_MAX];
    uint32_t condition_count;
    uint32_t low, high;
    rti_set keys; // strings allowed as keys
    bool has_keys, closed;
    rti_object object;
} block;

static member *member_of(block *b, uint32_t name)
{
    rti_name *n = &b->c->names[name];
    if (n->mark != b->mark) {
        n->mark = b->mark;
        n->slot = b->count;
        RTI_POOL_RESERVE(b->c->pool, b->members, b->capacity, b->count + 1);
        b->members[b->count++] = (member){ .name = name };
    }
    return &b->members[n->slot];
}

static void add_pattern(block *b, uint32_t place)
{
    rti_compiler *c = b->c;
    const rti_json_value *v = &c->json.values[place];
    for (uint32_t i = 0; i < b->pattern_count; i++) {
        if (b->patterns[i].place == place) return;
    }
    if (b->pattern_count == MAX_PATTERNS) rti_refuse(c, RT_ERROR_TOO_LARGE, place, "more than %d patterns on one object", MAX_PATTERNS);
    b->patterns[b->pattern_count++] = (pattern){ place, rti_pattern_at(c, place, c->json.text + v->key, v->key_size) };
}

static void add_patterns(block *b, const rti_schema *s)
{
    if (!rti_schema_has(s, RTI_KEYWORD_pattern_properties)) return;
    for (uint32_t i = b->c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first; i != RTI_JSON_NONE; i = b->c->json.values[i].next) {
        add_pattern(b, i);
    }
}

static void list_facet(block *b, const rti_schema *s)
{
    add_patterns(b, s);
    if (!rti_schema_has(s, RTI_KEYWORD_properties)) return;
    for (uint32_t i = b->c->json.values[s->at[RTI_KEYWORD_properties]].first; i != RTI_JSON_NONE; i = b->c->json.values[i].next) {
        member_of(b, rti_key_name(b->c, i))->listed = true;
    }
}

static void read_terms(block *b)
{
    rti_compiler *c = b->c;
    b->high = RTI_NO_MAXIMUM;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        switch (t->kind) {
        case RTI_FACET: list_facet(b, rti_schema_at(c, t->a)); break;
        case RTI_MEMBER_REQUIRED: member_of(b, t->a)->required = true; break;
        case RTI_MEMBER: member_of(b, t->a); break;
        case RTI_MEMBERS_MIN: b->low = RTI_MAX(b->low, t->a); break;
        case RTI_MEMBERS_MAX: b->high = RTI_MIN(b->high, t->a); break;
        case RTI_KEYS: {
            rti_set keys = rti_evaluate(c, RTI_TYPE_STRING, t->a);
            b->keys = !b->has_keys ? keys : b->keys == NULL || keys == NULL ? NULL : rti_string_domain.both(c, b->keys, keys);
            b->has_keys = true;
            break;
        }
        case RTI_CLOSED:
            b->closed = true;
            for (uint32_t k = c->json.values[t->a].first; k != RTI_JSON_NONE; k = c->json.values[k].next) {
                member_of(b, rti_key_name(c, k))->listed = true;
            }
            break;
        default:
            if (b->condition_count == RTI_CONDITIONS_MAX) {
                rti_pool_fail(c->pool, RT_ERROR_UNSUPPORTED, "%s: more than %d conditions of properties that are denied on one object",
                              rti_place(c, t->kind == RTI_EXISTS_OTHER ? t->a : t->b >> 2), RTI_CONDITIONS_MAX);
            }
            b->conditions[b->condition_count++] = t;
            if (t->kind == RTI_EXISTS_PATTERN) add_pattern(b, t->a);
            if (t->kind == RTI_EXISTS_ADDITIONAL) add_patterns(b, rti_schema_at(c, t->a));
            break;
        }
    }
}

// What the facets ask of each named member, facet by facet, so that long property lists cost one pass each.
static void gather_facet(block *b, const rti_schema *s)
{
    rti_compiler *c = b->c;
    uint8_t *seen = rti_pool_take(c->pool, b->count + 1);
    if (rti_schema_has(s, RTI_KEYWORD_properties)) {
        for (uint32_t i = c->json.values[s->at[RTI_KEYWORD_properties]].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
            uint32_t slot = c->names[rti_key_name(c, i)].slot;
            if (seen[slot]) b->members[slot].atoms.count--; // the last of equal keys counts
            rti_atom_push(c, &b->members[slot].atoms, rti_atom_make(i, false));
            seen[slot] = 1;
        }
    }
    bool patterns = rti_schema_has(s, RTI_KEYWORD_pattern_properties), rest = rti_schema_has(s, RTI_KEYWORD_additional_properties);
    if (!patterns && !rest) return;
    for (uint32_t i = 0; i < b->count; i++) {
        const rti_name name = c->names[b->members[i].name];
        for (uint32_t k = patterns ? c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first : RTI_JSON_NONE; k != RTI_JSON_NONE;
             k = c->json.values[k].next) {
            const rti_json_value *v = &c->json.values[k];
            if (!rti_regex_matches(c, rti_pattern_at(c, k, c->json.text + v->key, v->key_size), name.text, name.size)) continue;
            rti_atom_push(c, &b->members[i].atoms, rti_atom_make(k, false));
            seen[i] = 1;
        }
        if (!seen[i] && rest) rti_atom_push(c, &b->members[i].atoms, rti_atom_make(s->at[RTI_KEYWORD_additional_properties], false));
    }
}

static uint32_t marks_of_name(block *b, uint32_t name)
{
    rti_compiler *c = b->c;
    const rti_name text = c->names[name];
    uint32_t marks = 0;
    for (uint32_t i = 0; i < b->condition_count; i++) {
        const rti_term *t = b->conditions[i];
        bool can = false;
        if (t->kind == RTI_EXISTS_PATTERN) {
            const rti_json_value *v = &c->json.values[t->a];
            can = rti_regex_matches(c, rti_pattern_at(c, t->a, c->json.text + v->key, v->key_size), text.text, text.size);
        } else if (t->kind == RTI_EXISTS_OTHER) {
            can = rti_json_member_sized(&c->json, t->a, text.text, text.size) == RTI_JSON_NONE;
        } else {
            rti_atom_list atoms = { 0 };
            const rti_schema *s = rti_schema_at(c, t->a);
            rti_facet_atoms(c, s, name, &atoms);
            can = atoms.count == 1 && atoms.items[0] >> 2 == s->at[RTI_KEYWORD_additional_properties];
        }
        if (can) marks |= 1u << i;
    }
    return marks;
}

static void gather_members(block *b)
{
    rti_compiler *c = b->c;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        if (t->kind == RTI_FACET) gather_facet(b, rti_schema_at(c, t->a));
        if (t->kind == RTI_MEMBER) rti_atom_push(c, &member_of(b, t->a)->atoms, t->b);
        if (t->kind != RTI_CLOSED) continue;
        for (uint32_t k = 0; k < b->count; k++) {
            const rti_name name = c->names[b->members[k].name];
            uint32_t place = rti_json_member_sized(&c->json, t->a, name.text, name.size);
            rti_atom_push(c, &b->members[k].atoms, place == RTI_JSON_NONE ? RTI_ATOM_NEVER : rti_atom_make(place, false) | RTI_ATOM_CONSTANT);
        }
    }
    for (uint32_t i = 0; i < b->count; i++) {
        member *m = &b->members[i];
        if (b->has_keys && !rti_string_set_contains(c, b->keys, c->names[m->name].text, c->names[m->name].size)) {
            rti_atom_push(c, &m->atoms, RTI_ATOM_NEVER);
        }
        if (b->condition_count != 0) m->marks = marks_of_name(b, m->name);
    }
}

// The ways to read a member: for each choice of conditions that it is to satisfy, a node.
static rti_variants add_variants(block *b, const rti_atom_list *atoms, uint32_t can)
{
    rti_compiler *c = b->c;
    rt_grammar *g = c->g;
    rti_variants result = { g->variants_count, 0 };
    rti_atom *all = rti_pool_take_array(c->pool, atoms->count + RTI_CONDITIONS_MAX + 1, sizeof *all);
    for (uint32_t marks = 0; marks < 1u << b->condition_count; marks++) {
        if ((marks & ~can) != 0) continue;
        uint32_t count = atoms->count;
        if (count != 0) memcpy(all, atoms->items, count * sizeof *all);
        for (uint32_t i = 0; i < b->condition_count; i++) {
            if ((marks >> i & 1) != 0 && b->conditions[i]->kind != RTI_EXISTS_OTHER) all[count++] = b->conditions[i]->b;
        }
        uint32_t node = rti_node_of(c, all, count);
        if (node == 0) continue;
        uint32_t at = RTI_ADD(g, variants);
        g->variants[at] = (rti_variant){ node, marks };
        result.count++;
    }
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Classes of keys that have no name
// ---------------------------------------------------------------------------------------------------------------------

static bool matched(const block *b, const key_class *k, uint32_t place)
{
    for (uint32_t i = 0; i < b->pattern_count; i++) {
        if (b->patterns[i].place == place) return (k->matched >> i & 1) != 0;
    }
    return false;
}

// False: this class may not occur at all.
static bool class_atoms(block *b, const key_class *k, rti_atom_list *atoms)
{
    rti_compiler *c = b->c;
    for (uint32_t i = 0; i < b->x->count; i++) {
        if (b->x->terms[i].kind != RTI_FACET) continue;
        const rti_schema *s = rti_schema_at(c, b->x->terms[i].a);
        bool found = false;
        if (rti_schema_has(s, RTI_KEYWORD_pattern_properties)) {
            for (uint32_t p = c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first; p != RTI_JSON_NONE; p = c->json.values[p].next) {
                if (!matched(b, k, p)) continue;
                rti_atom_push(c, atoms, rti_atom_make(p, false));
                found = true;
                if (c->json.values[p].kind == RTI_JSON_FALSE) return false;
            }
        }
        if (found || !rti_schema_has(s, RTI_KEYWORD_additional_properties)) continue;
        uint32_t place = s->at[RTI_KEYWORD_additional_properties];
        if (c->json.values[place].kind == RTI_JSON_FALSE) return false;
        rti_atom_push(c, atoms, rti_atom_make(place, false));
    }
    return true;
}

static uint32_t class_marks(block *b, const key_class *k)
{
    uint32_t marks = 0;
    for (uint32_t i = 0; i < b->condition_count; i++) {
        const rti_term *t = b->conditions[i];
        bool can = t->kind == RTI_EXISTS_OTHER;
        if (t->kind == RTI_EXISTS_PATTERN) can = matched(b, k, t->a);
        if (t->kind == RTI_EXISTS_ADDITIONAL) {
            const rti_schema *s = rti_schema_at(b->c, t->a);
            can = true;
            if (rti_schema_has(s, RTI_KEYWORD_pattern_properties)) {
                for (uint32_t p = b->c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first; p != RTI_JSON_NONE; p = b->c->json.values[p].next) {
                    can &= !matched(b, k, p);
                }
            }
        }
        if (can) marks |= 1u << i;
    }
    return marks;
}

typedef struct class_sink {
    block *b;
    rti_variants variants;
    const rti_atom_list *atoms;
    uint32_t marks;
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
    member *m = member_of(sink->b, rti_name_of(c, text, size));
    if (sink->b->count == before) return; // it has a name already
    m->marks = sink->marks;
    for (uint32_t i = 0; i < sink->atoms->count; i++) rti_atom_push(c, &m->atoms, sink->atoms->items[i]);
}

static void add_class(block *b, const key_class *k, const uint32_t *names, uint32_t name_count)
{
    rti_compiler *c = b->c;
    rti_atom_list atoms = { 0 };
    if (!class_atoms(b, k, &atoms)) return;
    class_sink sink = { .b = b, .atoms = &atoms, .marks = class_marks(b, k) };
    sink.variants = add_variants(b, &atoms, sink.marks);
    if (sink.variants.count == 0) return;
    rti_set keys = b->has_keys ? b->keys : rti_string_domain.all(c);
    rti_string_set_split(c, keys, k->term, names, name_count, take_terminal, take_literal, &sink);
}

// Splits all keys by which patterns they match.
static void add_classes(block *b)
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
    key_class *classes = rti_pool_take_array(c->pool, MAX_CLASSES * 2, sizeof *classes);
    uint32_t count = 1;
    classes[0] = (key_class){ RTI_REGEX_ALL, 0 };
    for (uint32_t p = 0; p < b->pattern_count; p++) {
        uint32_t before = count;
        rti_regex yes = b->patterns[p].term, no = rti_regex_not(r, yes);
        for (uint32_t i = 0; i < before; i++) {
            rti_regex inside = rti_regex_and2(r, classes[i].term, yes), outside = rti_regex_and2(r, classes[i].term, no);
            if (inside != classes[i].term && rti_regex_is_empty(c, inside)) continue;
            if (count >= MAX_CLASSES) rti_refuse(c, RT_ERROR_TOO_LARGE, b->patterns[p].place, "these patterns overlap in too many ways");
            classes[count++] = (key_class){ inside, classes[i].matched | 1ull << p };
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
        add_class(b, &classes[i], names, name_count);
        open &= c->g->classes_count == before + 1;
    }
    b->object.open = open;
    if (open) b->object.any_key = rti_plain_terminal(c->g, rti_lexer_of(c, RTI_REGEX_ALL), false);
}

// ---------------------------------------------------------------------------------------------------------------------
// The block
// ---------------------------------------------------------------------------------------------------------------------

// Properties below each place of the trie, as a stretch of one list.
static void order_keys(rti_compiler *c, uint32_t root)
{
    rt_grammar *g = c->g;
    uint32_t *stack = NULL, capacity = 0, depth = 0;
    RTI_POOL_RESERVE(c->pool, stack, capacity, 16);
    stack[depth++] = root;
    while (depth > 0) {
        uint32_t node = stack[depth - 1];
        if ((node & 0x80000000u) != 0) { // children are done
            g->literals[node & 0x7FFFFFFFu].to = g->key_order_count;
            depth--;
            continue;
        }
        stack[depth - 1] = node | 0x80000000u;
        g->literals[node].from = g->key_order_count;
        if (g->literals[node].final) {
            uint32_t at = RTI_ADD(g, key_order);
            g->key_order[at] = g->literals[node].value;
        }
        for (uint32_t i = g->literals[node].first; i != 0; i = g->literals[i].next) {
            RTI_POOL_RESERVE(c->pool, stack, capacity, depth + 1);
            stack[depth++] = i;
        }
    }
}

static bool add_properties(block *b)
{
    rti_compiler *c = b->c;
    rt_grammar *g = c->g;
    rti_object *o = &b->object;
    uint32_t *order = rti_pool_take_array(c->pool, b->count + 1, sizeof *order), used = 0;
    rti_variants *variants = rti_pool_take_array(c->pool, b->count + 1, sizeof *variants);
    for (uint32_t i = 0; i < b->count; i++) {
        variants[i] = add_variants(b, &b->members[i].atoms, b->members[i].marks);
        b->members[i].forbidden = variants[i].count == 0;
        if (b->members[i].forbidden && b->members[i].required) return false;
        if (!b->members[i].forbidden && b->members[i].listed && !g->any_order) order[used++] = i;
    }
    o->ordered_count = used;
    for (int required = 1; required >= 0; required--) { // required ones first: they are what is asked about most
        for (uint32_t i = 0; i < b->count; i++) {
            if (b->members[i].forbidden || b->members[i].required != (required == 1) || (b->members[i].listed && !g->any_order)) continue;
            order[used++] = i;
        }
    }
    o->properties = g->properties_count;
    o->property_count = used;
    for (uint32_t i = 0; i < used; i++) {
        const member *m = &b->members[order[i]];
        uint32_t at = RTI_ADD(g, properties);
        g->properties[at] = (rti_property){ variants[order[i]].first, variants[order[i]].count, m->required };
        const rti_name name = c->names[m->name];
        char *spelled = rti_pool_take(c->pool, (size_t)name.size * 6 + 2);
        rti_literal_add(c, &o->keys, spelled, rti_json_spell(name.text, name.size, spelled), i);
    }
    if (o->keys != 0) order_keys(c, o->keys);
    return true;
}

static bool finish_case(rti_compiler *c, const rti_case *x, rti_object *out)
{
    block b = { .c = c, .x = x };
    b.mark = ++c->mark;
    read_terms(&b);
    gather_members(&b);
    b.object.classes = c->g->classes_count;
    add_classes(&b);
    b.object.class_count = c->g->classes_count - b.object.classes;
    if (!add_properties(&b)) return false;
    b.object.minimum = b.low;
    b.object.maximum = b.high;
    b.object.condition_count = b.condition_count;
    *out = b.object;
    return true;
}

void rti_object_finish(rti_compiler *c, rti_set x, rti_node *node)
{
    const rti_cases *set = x;
    if (set == NULL) return;
    node->objects = c->g->objects_count;
    for (uint32_t i = 0; i < set->count; i++) {
        rti_object object;
        if (!finish_case(c, &set->cases[i], &object)) continue;
        uint32_t at = RTI_ADD(c->g, objects);
        c->g->objects[at] = object;
    }
    node->object_count = c->g->objects_count - node->objects;
}
