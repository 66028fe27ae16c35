// Cases of objects to blocks that the machine walks: named members in order, classes of other keys, counts.
// SPDX-License-Identifier: MIT
#include "grammar/members.h"

#include <string.h>

rti_member *rti_member_of(rti_block *b, uint32_t name)
{
    rti_name *n = &b->c->names[name];
    if (n->mark != b->mark) {
        n->mark = b->mark;
        n->slot = b->count;
        RTI_POOL_RESERVE(b->c->pool, b->members, b->capacity, b->count + 1);
        b->members[b->count++] = (rti_member){ .name = name };
    }
    return &b->members[n->slot];
}

static void add_pattern(rti_block *b, uint32_t place)
{
    rti_compiler *c = b->c;
    const rti_json_value *v = &c->json.values[place];
    for (uint32_t i = 0; i < b->pattern_count; i++) {
        if (b->patterns[i].place == place) return;
    }
    if (b->pattern_count == RTI_PATTERNS_MAX) rti_refuse(c, RT_ERROR_TOO_LARGE, place, "more than %d patterns on one object", RTI_PATTERNS_MAX);
    b->patterns[b->pattern_count++] = (rti_key_pattern){ place, rti_pattern_at(c, place, c->json.text + v->key, v->key_size) };
}

static void add_patterns(rti_block *b, const rti_schema *s)
{
    if (!rti_schema_has(s, RTI_KEYWORD_pattern_properties)) return;
    for (uint32_t i = b->c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first; i != RTI_JSON_NONE; i = b->c->json.values[i].next) {
        add_pattern(b, i);
    }
}

// `listed`: they come in this order.
static void list_names(rti_block *b, const rti_schema *s, bool listed)
{
    add_patterns(b, s);
    if (!rti_schema_has(s, RTI_KEYWORD_properties)) return;
    for (uint32_t i = b->c->json.values[s->at[RTI_KEYWORD_properties]].first; i != RTI_JSON_NONE; i = b->c->json.values[i].next) {
        rti_member_of(b, rti_key_name(b->c, i))->listed |= listed;
    }
}

static void list_evaluated(rti_block *b, const rti_term *t)
{
    const rti_atoms *schemas = &b->c->lists[t->b];
    for (uint32_t i = 0; i < schemas->count; i++) list_names(b, rti_schema_at(b->c, schemas->items[i]), false);
}

// Each member that can meet the next condition, by what it is or by not being there.
static void list_breach(rti_block *b, const rti_schema *s)
{
    rti_compiler *c = b->c;
    list_names(b, s, false);
    uint32_t required = rti_required_list(c, s);
    if (required == RTI_JSON_NONE) return;
    for (uint32_t i = c->json.values[required].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        rti_member_of(b, rti_text_name(c, i))->absent |= 1u << b->condition_count;
    }
}

static void read_terms(rti_block *b)
{
    rti_compiler *c = b->c;
    b->high = RTI_NO_MAXIMUM;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        switch (t->kind) {
        case RTI_FACET: list_names(b, rti_schema_at(c, t->a), true); break;
        case RTI_MEMBER_REQUIRED: rti_member_of(b, t->a)->required = true; break;
        case RTI_MEMBER: rti_member_of(b, t->a); break;
        case RTI_MEMBERS_MIN: b->low = RTI_MAX(b->low, t->a); break;
        case RTI_MEMBERS_MAX: b->high = RTI_MIN(b->high, t->a); break;
        case RTI_KEYS: {
            rti_set keys = rti_evaluate(c, RTI_TYPE_STRING, t->a);
            b->keys = !b->has_keys ? keys : b->keys == NULL || keys == NULL ? NULL : rti_string_domain.both(c, b->keys, keys);
            b->has_keys = true;
            break;
        }
        case RTI_UNEVALUATED: list_evaluated(b, t); break;
        case RTI_CLOSED:
            b->closed = true;
            for (uint32_t k = c->json.values[t->a].first; k != RTI_JSON_NONE; k = c->json.values[k].next) {
                rti_member_of(b, rti_key_name(c, k))->listed = true;
            }
            break;
        default:
            if (t->kind == RTI_EXISTS_UNEVALUATED) list_evaluated(b, t);
            if (t->kind == RTI_EXISTS_BREACH) list_breach(b, rti_schema_at(c, t->a));
            b->conditions[b->condition_count++] = t;
            break;
        }
    }
}

// What the facets ask of each named member, facet by facet, so that long property lists cost one pass each.
static void gather_facet(rti_block *b, const rti_schema *s)
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

static void gather_members(rti_block *b)
{
    rti_compiler *c = b->c;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        if (t->kind == RTI_FACET) gather_facet(b, rti_schema_at(c, t->a));
        if (t->kind == RTI_MEMBER) rti_atom_push(c, &rti_member_of(b, t->a)->atoms, t->b);
        for (uint32_t k = 0; t->kind == RTI_UNEVALUATED && k < b->count; k++) {
            rti_unevaluated_atoms(c, t, b->members[k].name, &b->members[k].atoms);
        }
        if (t->kind != RTI_CLOSED) continue;
        for (uint32_t k = 0; k < b->count; k++) {
            const rti_name name = c->names[b->members[k].name];
            uint32_t place = rti_json_member_sized(&c->json, t->a, name.text, name.size);
            rti_atom_push(c, &b->members[k].atoms, place == RTI_JSON_NONE ? RTI_ATOM_NEVER : rti_atom_make(place, false) | RTI_ATOM_CONSTANT);
        }
    }
    for (uint32_t i = 0; i < b->count; i++) {
        rti_member *m = &b->members[i];
        if (b->has_keys && !rti_string_set_contains(c, b->keys, c->names[m->name].text, c->names[m->name].size)) {
            rti_atom_push(c, &m->atoms, RTI_ATOM_NEVER);
        }
    }
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

static bool add_properties(rti_block *b)
{
    rti_compiler *c = b->c;
    rt_grammar *g = c->g;
    rti_object *o = &b->object;
    uint32_t *order = rti_pool_take_array(c->pool, b->count + 1, sizeof *order), used = 0;
    rti_variants *variants = rti_pool_take_array(c->pool, b->count + 1, sizeof *variants);
    for (uint32_t i = 0; i < b->count; i++) {
        variants[i] = rti_member_variants(b, &(rti_key){ .name = b->members[i].name }, &b->members[i].atoms);
        b->members[i].forbidden = variants[i].count == 0;
        if (b->members[i].forbidden) o->met |= b->members[i].absent;
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
        const rti_member *m = &b->members[order[i]];
        const rti_name name = c->names[m->name];
        uint32_t at = RTI_ADD(g, properties);
        g->properties[at] = (rti_property){ variants[order[i]].first, variants[order[i]].count, m->required ? 0 : m->absent, m->required,
                                            rti_hash_text(name.text, name.size) };
        char *spelled = rti_pool_take(c->pool, (size_t)name.size * 6 + 2);
        rti_literal_add(c, &o->keys, spelled, rti_json_spell(name.text, name.size, spelled), i);
    }
    if (o->keys != 0) order_keys(c, o->keys);
    return true;
}

static bool finish_case(rti_compiler *c, const rti_case *x, rti_object *out)
{
    rti_block b = { .c = c, .x = x };
    b.mark = ++c->mark;
    read_terms(&b);
    gather_members(&b);
    b.object.classes = c->g->classes_count;
    rti_add_key_classes(&b);
    b.object.class_count = c->g->classes_count - b.object.classes;
    if (!add_properties(&b)) return false;
    b.object.minimum = b.low;
    b.object.maximum = b.high;
    b.object.condition_count = b.condition_count;
    *out = b.object;
    return true;
}

static bool is_condition(const rti_term *t)
{
    return t->kind == RTI_EXISTS_BREACH || t->kind == RTI_EXISTS_OTHER || t->kind == RTI_EXISTS_UNEVALUATED || t->kind == RTI_EXISTS_NAME;
}

static void add_case(rti_compiler *c, const rti_case *x);

// More conditions than marks: one that only names members becomes a case for each of these.
static void share_out(rti_compiler *c, const rti_case *x)
{
    const rti_term *condition = NULL;
    for (uint32_t i = 0; i < x->count && condition == NULL; i++) {
        if (x->terms[i].kind != RTI_EXISTS_BREACH) continue;
        const rti_schema *s = rti_schema_at(c, x->terms[i].a);
        if (!rti_schema_has(s, RTI_KEYWORD_pattern_properties) && !rti_schema_has(s, RTI_KEYWORD_additional_properties)) condition = &x->terms[i];
    }
    if (condition == NULL) {
        rti_pool_fail(c->pool, RT_ERROR_UNSUPPORTED, "%s: more than %d conditions of properties that are denied on one object",
                      rti_where(c), RTI_OBJECT_CONDITIONS_MAX);
    }
    rti_term *terms = rti_pool_take_array(c->pool, x->count + 2, sizeof *terms);
    uint32_t used = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        if (&x->terms[i] != condition) terms[used++] = x->terms[i];
    }
    const rti_schema *s = rti_schema_at(c, condition->a);
    uint32_t required = rti_required_list(c, s);
    for (uint32_t i = required == RTI_JSON_NONE ? RTI_JSON_NONE : c->json.values[required].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        terms[used] = (rti_term){ RTI_MEMBER, rti_text_name(c, i), RTI_ATOM_NEVER, 0 };
        add_case(c, &(rti_case){ .terms = terms, .count = used + 1 });
    }
    if (!rti_schema_has(s, RTI_KEYWORD_properties)) return;
    for (uint32_t i = c->json.values[s->at[RTI_KEYWORD_properties]].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        if (rti_is_always(c, i)) continue;
        uint32_t name = rti_key_name(c, i);
        terms[used] = (rti_term){ RTI_MEMBER_REQUIRED, name, 0, 0 };
        terms[used + 1] = (rti_term){ RTI_MEMBER, name, rti_atom_make(i, true), 0 };
        add_case(c, &(rti_case){ .terms = terms, .count = used + 2 });
    }
}

static void add_case(rti_compiler *c, const rti_case *x)
{
    uint32_t conditions = 0;
    for (uint32_t i = 0; i < x->count; i++) conditions += is_condition(&x->terms[i]);
    if (++c->work > RTI_WORK_MAX) rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: the alternatives multiply beyond all measure", rti_where(c));
    if (conditions > RTI_OBJECT_CONDITIONS_MAX) {
        share_out(c, x);
        return;
    }
    rti_object object;
    if (!finish_case(c, x, &object)) return;
    uint32_t at = RTI_ADD(c->g, objects);
    c->g->objects[at] = object;
}

bool rti_object_finish(rti_compiler *c, rti_set x, uint32_t at, rti_node *node)
{
    const rti_cases *set = x;
    if (set == NULL) return true;
    if (at == 0) node->objects = c->g->objects_count;
    if (at < set->count) add_case(c, &set->cases[at]);
    node->object_count = c->g->objects_count - node->objects;
    return at + 1 >= set->count;
}
