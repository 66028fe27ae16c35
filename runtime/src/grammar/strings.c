// Sets of strings: single ones, and expressions with bounds on the length from which single ones are taken out.
// SPDX-License-Identifier: MIT
#include "grammar/schema.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ALTERNATIVES = 128, LENGTHS_STATES = 96 };

typedef struct alternative {
    rti_regex term;
    uint32_t low, high;
} alternative;

typedef struct string_set {
    uint32_t *names; // single strings, sorted ids
    uint32_t name_count;
    alternative *alternatives;
    uint32_t count;
    uint32_t *excluded; // not in any alternative, sorted ids
    uint32_t excluded_count;
} string_set;

static string_set *new_set(rti_compiler *c, uint32_t names, uint32_t alternatives, uint32_t excluded)
{
    string_set *set = rti_pool_take(c->pool, sizeof *set);
    set->names = rti_pool_take_array(c->pool, names + 1, sizeof *set->names);
    set->alternatives = rti_pool_take_array(c->pool, alternatives + 1, sizeof *set->alternatives);
    set->excluded = rti_pool_take_array(c->pool, excluded + 1, sizeof *set->excluded);
    return set;
}

static rti_set whole(const string_set *set)
{
    return set->name_count == 0 && set->count == 0 ? NULL : set;
}

static rti_set all(rti_compiler *c)
{
    string_set *set = new_set(c, 0, 1, 0);
    set->alternatives[set->count++] = (alternative){ RTI_REGEX_ALL, 0, RTI_NO_MAXIMUM };
    return set;
}

// ---------------------------------------------------------------------------------------------------------------------
// Terms
// ---------------------------------------------------------------------------------------------------------------------

rti_lexer *rti_lexer_of(rti_compiler *c, rti_regex term)
{
    uint64_t hash = rti_hash_mix(term, 3);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&c->lexer_table, hash, &cursor)) != UINT32_MAX) {
        if (c->lexer_terms[id] == term) return c->lexers[id];
    }
    rti_lexer *lexer = rti_lexer_new(&c->g->regexes, term, c->g->max_states);
    RTI_POOL_RESERVE(c->pool, c->lexers, c->lexer_capacity, c->lexer_count + 1);
    RTI_POOL_RESERVE(c->pool, c->lexer_terms, c->lexer_term_capacity, c->lexer_count + 1);
    id = c->lexer_count++;
    c->lexers[id] = lexer;
    c->lexer_terms[id] = term;
    rti_id_table_add(c->pool, &c->lexer_table, hash, id);
    return lexer;
}

bool rti_regex_is_empty(rti_compiler *c, rti_regex term)
{
    const rti_regex_node *node = &c->g->regexes.nodes[term];
    if (term == RTI_REGEX_NOTHING) return true;
    if (!node->has_logic && !node->has_start) return false;
    return !rti_lexer_is_live(rti_lexer_of(c, term), RTI_LEXER_START);
}

bool rti_regex_matches(rti_compiler *c, rti_regex term, const char *text, size_t size)
{
    return term == RTI_REGEX_ALL || (term != RTI_REGEX_NOTHING && rti_lexer_matches(rti_lexer_of(c, term), text, size));
}

rti_regex rti_pattern_at(rti_compiler *c, uint32_t place, const char *text, uint32_t size)
{
    // Equal patterns are parsed once: found by name.
    uint32_t name = rti_name_of(c, text, size);
    uint64_t hash = rti_hash_mix(name, 5);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&c->pattern_table, hash, &cursor)) != UINT32_MAX) {
        if (c->patterns[id * 2] == name) return c->patterns[id * 2 + 1];
    }
    rti_regex term = rti_regex_parse(&c->g->regexes, text, size, true, rti_place(c, place));
    id = c->pattern_table.count;
    if ((id & (id - 1)) == 0) { // room for the next power of two
        rti_regex *larger = rti_pool_take_array(c->pool, RTI_MAX(id * 4, 4u), sizeof *larger);
        if (id != 0) memcpy(larger, c->patterns, (size_t)id * 2 * sizeof *larger);
        c->patterns = larger;
    }
    c->patterns[id * 2] = name;
    c->patterns[id * 2 + 1] = term;
    rti_id_table_add(c->pool, &c->pattern_table, hash, id);
    return term;
}

// ---------------------------------------------------------------------------------------------------------------------
// Algebra
// ---------------------------------------------------------------------------------------------------------------------

static bool has_name(const uint32_t *names, uint32_t count, uint32_t name)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (names[middle] < name) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && names[low] == name;
}

static uint32_t characters(const char *text, uint32_t size)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

static bool contains(rti_compiler *c, const string_set *set, uint32_t name)
{
    if (has_name(set->names, set->name_count, name)) return true;
    if (has_name(set->excluded, set->excluded_count, name)) return false;
    const rti_name *text = &c->names[name];
    uint32_t length = characters(text->text, text->size);
    for (uint32_t i = 0; i < set->count; i++) {
        const alternative *a = &set->alternatives[i];
        if (length < a->low || (a->high != RTI_NO_MAXIMUM && length > a->high)) continue;
        if (rti_regex_matches(c, a->term, text->text, text->size)) return true;
    }
    return false;
}

bool rti_string_set_contains(rti_compiler *c, rti_set set, const char *text, uint32_t size)
{
    return set != NULL && contains(c, set, rti_name_of(c, text, size));
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t sort_names(uint32_t *names, uint32_t count)
{
    qsort(names, count, sizeof *names, by_id);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (used == 0 || names[used - 1] != names[i]) names[used++] = names[i];
    }
    return used;
}

static void add_alternative(rti_compiler *c, string_set *set, alternative a)
{
    if (a.term == RTI_REGEX_NOTHING || (a.high != RTI_NO_MAXIMUM && a.high < a.low)) return;
    for (uint32_t i = 0; i < set->count; i++) {
        alternative *b = &set->alternatives[i];
        if (b->term == a.term && b->low <= a.low && b->high >= a.high) return;
        if (b->term == a.term && a.low <= b->low && a.high >= b->high) {
            *b = a;
            return;
        }
    }
    if (set->count >= MAX_ALTERNATIVES) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: more than %d alternatives of strings", rti_where(c), MAX_ALTERNATIVES);
    }
    set->alternatives[set->count++] = a;
}

static rti_set both(rti_compiler *c, rti_set x, rti_set y)
{
    const string_set *a = x, *b = y;
    string_set *set = new_set(c, a->name_count + b->name_count, RTI_MIN(a->count * b->count, (uint32_t)MAX_ALTERNATIVES),
                              a->excluded_count + b->excluded_count);
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            const alternative *p = &a->alternatives[i], *q = &b->alternatives[k];
            alternative one = { RTI_REGEX_NOTHING, RTI_MAX(p->low, q->low), RTI_MIN(p->high, q->high) };
            if (one.high != RTI_NO_MAXIMUM && one.high < one.low) continue;
            one.term = rti_regex_and2(&c->g->regexes, p->term, q->term);
            if (one.term != p->term && one.term != q->term && rti_regex_is_empty(c, one.term)) continue;
            add_alternative(c, set, one);
        }
    }
    for (uint32_t i = 0; i < a->name_count; i++) {
        if (contains(c, b, a->names[i])) set->names[set->name_count++] = a->names[i];
    }
    for (uint32_t i = 0; i < b->name_count; i++) {
        if (contains(c, a, b->names[i])) set->names[set->name_count++] = b->names[i];
    }
    set->name_count = sort_names(set->names, set->name_count);
    if (a->excluded_count != 0) memcpy(set->excluded, a->excluded, a->excluded_count * sizeof *set->excluded);
    if (b->excluded_count != 0) memcpy(set->excluded + a->excluded_count, b->excluded, b->excluded_count * sizeof *set->excluded);
    set->excluded_count = sort_names(set->excluded, a->excluded_count + b->excluded_count);
    return whole(set);
}

static rti_set either(rti_compiler *c, rti_set x, rti_set y)
{
    const string_set *a = x, *b = y;
    string_set *set = new_set(c, a->name_count + b->name_count, RTI_MIN(a->count + b->count, (uint32_t)MAX_ALTERNATIVES),
                              a->excluded_count + b->excluded_count);
    if (a->name_count != 0) memcpy(set->names, a->names, a->name_count * sizeof *set->names);
    if (b->name_count != 0) memcpy(set->names + a->name_count, b->names, b->name_count * sizeof *set->names);
    set->name_count = sort_names(set->names, a->name_count + b->name_count);
    for (uint32_t i = 0; i < a->count; i++) add_alternative(c, set, a->alternatives[i]);
    for (uint32_t i = 0; i < b->count; i++) add_alternative(c, set, b->alternatives[i]);
    for (uint32_t i = 0; i < a->excluded_count; i++) {
        if (!contains(c, b, a->excluded[i])) set->excluded[set->excluded_count++] = a->excluded[i];
    }
    for (uint32_t i = 0; i < b->excluded_count; i++) {
        if (!contains(c, a, b->excluded[i])) set->excluded[set->excluded_count++] = b->excluded[i];
    }
    set->excluded_count = sort_names(set->excluded, set->excluded_count);
    return whole(set);
}

static uint32_t name_at(rti_compiler *c, uint32_t place)
{
    const rti_json_value *v = &c->json.values[place];
    return rti_name_of(c, c->json.text + v->text, v->text_size);
}

static rti_set constants(rti_compiler *c, const uint32_t *places, uint32_t count, bool denied)
{
    string_set *set = new_set(c, denied ? 0 : count, 1, denied ? count : 0);
    uint32_t *names = denied ? set->excluded : set->names;
    for (uint32_t i = 0; i < count; i++) names[i] = name_at(c, places[i]);
    count = sort_names(names, count);
    if (denied) {
        set->excluded_count = count;
        set->alternatives[set->count++] = (alternative){ RTI_REGEX_ALL, 0, RTI_NO_MAXIMUM };
    } else {
        set->name_count = count;
    }
    return whole(set);
}

static rti_set constant(rti_compiler *c, uint32_t place, bool denied)
{
    return constants(c, &place, 1, denied);
}

static rti_set of_alternative(rti_compiler *c, rti_regex term, uint32_t low, uint32_t high)
{
    string_set *set = new_set(c, 0, 1, 0);
    add_alternative(c, set, (alternative){ term, low, high });
    return whole(set);
}


static rti_set add(rti_compiler *c, rti_set set, rti_set one, bool denied)
{
    if (denied) return set == NULL ? one : one == NULL ? set : either(c, set, one);
    return set == NULL || one == NULL ? NULL : both(c, set, one);
}

static rti_set keywords(rti_compiler *c, const rti_schema *s, bool denied)
{
    rti_set set = denied ? NULL : all(c);
    uint32_t low = 0, high = RTI_NO_MAXIMUM;
    bool has_low = rti_schema_size(c, s, RTI_KEYWORD_min_length, &low), has_high = rti_schema_size(c, s, RTI_KEYWORD_max_length, &high);
    if (!denied && (has_low || has_high)) set = of_alternative(c, RTI_REGEX_ALL, low, high);
    if (denied && has_low && low > 0) set = add(c, set, of_alternative(c, RTI_REGEX_ALL, 0, low - 1), true);
    if (denied && has_high && high != RTI_NO_MAXIMUM) set = add(c, set, of_alternative(c, RTI_REGEX_ALL, high + 1, RTI_NO_MAXIMUM), true);
    rti_regex term;
    if (rti_schema_has(s, RTI_KEYWORD_pattern)) {
        uint32_t place = s->at[RTI_KEYWORD_pattern];
        const rti_json_value *v = &c->json.values[place];
        if (v->kind != RTI_JSON_STRING) rti_refuse(c, RT_ERROR_BAD_TEXT, place, "must be a string");
        term = rti_pattern_at(c, place, c->json.text + v->text, v->text_size);
        if (denied) term = rti_regex_not(&c->g->regexes, term);
        if (rti_regex_is_empty(c, term)) term = RTI_REGEX_NOTHING;
        if (term != RTI_REGEX_ALL) set = add(c, set, of_alternative(c, term, 0, RTI_NO_MAXIMUM), denied);
        if (term == RTI_REGEX_ALL && denied) set = all(c);
    }
    if (rti_schema_has(s, RTI_KEYWORD_format) && c->json.values[s->at[RTI_KEYWORD_format]].kind == RTI_JSON_STRING) {
        const rti_json_value *v = &c->json.values[s->at[RTI_KEYWORD_format]];
        term = rti_format_term(c, s->at[RTI_KEYWORD_format], c->json.text + v->text, v->text_size);
        if (term != RTI_REGEX_NOTHING) {
            if (denied) term = rti_regex_not(&c->g->regexes, term);
            set = add(c, set, of_alternative(c, term, 0, RTI_NO_MAXIMUM), denied);
        }
    }
    return set;
}

static bool disjoint(rti_compiler *c, rti_set x, rti_set y)
{
    return both(c, x, y) == NULL;
}

const rti_domain rti_string_domain = { all, both, either, keywords, constant, disjoint, constants };

// ---------------------------------------------------------------------------------------------------------------------
// Terminals
// ---------------------------------------------------------------------------------------------------------------------

static uint32_t excluded_trie(rti_compiler *c, const uint32_t *names, uint32_t count)
{
    rt_grammar *g = c->g;
    uint32_t root = RTI_ADD(g, excluded);
    g->excluded[root] = (rti_excluded){ 0 };
    for (uint32_t i = 0; i < count; i++) {
        const char *at = c->names[names[i]].text, *end = at + c->names[names[i]].size;
        uint32_t node = root;
        bool valid;
        while (at < end) {
            uint32_t code;
            at += rti_utf8_decode(at, end, &code, &valid);
            uint32_t child = g->excluded[node].first;
            while (child != 0 && g->excluded[child].code != code) child = g->excluded[child].next;
            if (child == 0) {
                child = RTI_ADD(g, excluded);
                g->excluded[child] = (rti_excluded){ .next = g->excluded[node].first, .code = code };
                g->excluded[node].first = child;
            }
            node = child;
        }
        g->excluded[node].final = true;
    }
    return root;
}

// Where the automaton cannot leave the length to a counter, the length becomes part of the expression.
static bool can_count(rti_compiler *c, rti_regex term, uint32_t low, uint32_t high)
{
    if (term == RTI_REGEX_ALL) return true;
    if (low == 0 && high == RTI_NO_MAXIMUM) return true;
    rti_lexer *lexer = rti_lexer_of(c, term);
    if (low == 0) return true; // the nearest end is near enough
    return rti_lexer_lengths_are_free(lexer, LENGTHS_STATES);
}

// A finite set of strings must know exactly what is left of it.
static bool may_end_up_finite(rti_compiler *c, rti_regex term)
{
    if (term == RTI_REGEX_ALL) return false;
    return !rti_lexer_lengths_are_free(rti_lexer_of(c, term), LENGTHS_STATES);
}

uint32_t rti_plain_terminal(rt_grammar *g, rti_lexer *lexer, bool raw)
{
    if (lexer->plain != 0) return lexer->plain - 1;
    uint32_t id = RTI_ADD(g, terminals);
    g->terminals[id] = (rti_terminal){ .lexer = lexer, .high = RTI_NO_MAXIMUM, .excluded = RTI_OUTSIDE, .raw = raw, .plain = id };
    lexer->plain = id + 1;
    return id;
}

static uint32_t plain_terminal(rti_compiler *c, rti_lexer *lexer)
{
    return rti_plain_terminal(c->g, lexer, false);
}

static uint32_t terminal_of(rti_compiler *c, alternative a, const uint32_t *excluded, uint32_t count, bool *finite)
{
    rti_regexes *r = &c->g->regexes;
    if (!can_count(c, a.term, a.low, a.high)) {
        a.term = rti_regex_and2(r, a.term, rti_regex_length(r, a.low, a.high == RTI_NO_MAXIMUM ? RTI_REGEX_UNBOUNDED : a.high));
        a.low = 0;
        a.high = RTI_NO_MAXIMUM;
    }
    uint32_t *used = rti_pool_take_array(c->pool, count + 1, sizeof *used), used_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const rti_name *name = &c->names[excluded[i]];
        uint32_t length = characters(name->text, name->size);
        if (length < a.low || (a.high != RTI_NO_MAXIMUM && length > a.high)) continue;
        if (rti_regex_matches(c, a.term, name->text, name->size)) used[used_count++] = excluded[i];
    }
    if (used_count != 0 && (a.high != RTI_NO_MAXIMUM || may_end_up_finite(c, a.term))) {
        rti_regex *names = rti_pool_take_array(c->pool, used_count, sizeof *names);
        for (uint32_t i = 0; i < used_count; i++) names[i] = rti_regex_literal(r, c->names[used[i]].text, c->names[used[i]].size);
        rti_regex length = rti_regex_length(r, a.low, a.high == RTI_NO_MAXIMUM ? RTI_REGEX_UNBOUNDED : a.high);
        if (a.low != 0 || a.high != RTI_NO_MAXIMUM) a.term = rti_regex_and2(r, a.term, length);
        a.term = rti_regex_and2(r, a.term, rti_regex_not(r, rti_regex_or(r, names, used_count)));
        a.low = 0;
        a.high = RTI_NO_MAXIMUM;
        used_count = 0;
    }
    rti_lexer *lexer = rti_lexer_of(c, a.term);
    if (!rti_lexer_is_live(lexer, RTI_LEXER_START)) return UINT32_MAX;
    if (a.high != RTI_NO_MAXIMUM && rti_lexer_distance(lexer, RTI_LEXER_START) > a.high) return UINT32_MAX;
    *finite = r->nodes[a.term].finite || a.high != RTI_NO_MAXIMUM;
    uint64_t hash = rti_hash_mix(rti_hash_mix(a.term, a.low), a.high);
    uint32_t cursor = UINT32_MAX, id;
    if (used_count == 0) {
        while ((id = rti_id_table_next(&c->terminal_table, hash, &cursor)) != UINT32_MAX) {
            const rti_terminal *t = &c->g->terminals[id];
            if (t->lexer == lexer && t->low == a.low && t->high == a.high) return id;
        }
    }
    uint32_t plain = plain_terminal(c, lexer);
    if (used_count == 0 && a.low == 0 && a.high == RTI_NO_MAXIMUM) return plain;
    lexer->bounded |= a.high != RTI_NO_MAXIMUM;
    uint32_t trie = used_count == 0 ? RTI_OUTSIDE : excluded_trie(c, used, used_count);
    id = RTI_ADD(c->g, terminals);
    c->g->terminals[id] = (rti_terminal){ .lexer = lexer, .low = a.low, .high = a.high, .excluded = trie,
                                          .counts = a.low != 0 || a.high != RTI_NO_MAXIMUM, .plain = plain };
    if (used_count == 0) rti_id_table_add(c->pool, &c->terminal_table, hash, id);
    return id;
}

void rti_string_set_split(rti_compiler *c, rti_set x, rti_regex term, const uint32_t *excluded, uint32_t excluded_count,
                          rti_terminal_sink *terminals, rti_literal_sink *literals, void *user)
{
    const string_set *set = x;
    if (set == NULL) return;
    uint32_t *names = rti_pool_take_array(c->pool, set->excluded_count + excluded_count + 1, sizeof *names);
    if (set->excluded_count != 0) memcpy(names, set->excluded, set->excluded_count * sizeof *names);
    if (excluded_count != 0) memcpy(names + set->excluded_count, excluded, excluded_count * sizeof *names);
    uint32_t count = sort_names(names, set->excluded_count + excluded_count);
    for (uint32_t i = 0; i < set->count; i++) {
        alternative a = set->alternatives[i];
        bool taken = false; // alternatives with equal bounds are one automaton
        for (uint32_t k = 0; k < set->count && !taken; k++) {
            if (k == i || set->alternatives[k].low != a.low || set->alternatives[k].high != a.high) continue;
            taken = k < i;
            a.term = rti_regex_or2(&c->g->regexes, a.term, set->alternatives[k].term);
        }
        if (taken) continue;
        a.term = rti_regex_and2(&c->g->regexes, a.term, term);
        if (a.term == RTI_REGEX_NOTHING) continue;
        bool finite = false;
        uint32_t id = terminal_of(c, a, names, count, &finite);
        if (id != UINT32_MAX) terminals(c, user, id, finite);
    }
    for (uint32_t i = 0; i < set->name_count; i++) {
        const rti_name name = c->names[set->names[i]];
        bool out = false;
        for (uint32_t k = 0; k < excluded_count; k++) out |= excluded[k] == set->names[i];
        if (!out && rti_regex_matches(c, term, name.text, name.size)) literals(c, user, name.text, name.size);
    }
}

typedef struct node_sink {
    uint32_t *literals;
} node_sink;

static void take_terminal(rti_compiler *c, void *user, uint32_t terminal, bool finite)
{
    (void)user;
    (void)finite;
    uint32_t at = RTI_ADD(c->g, terminal_list);
    c->g->terminal_list[at] = terminal;
}

static void take_literal(rti_compiler *c, void *user, const char *text, uint32_t size)
{
    node_sink *sink = user;
    char *spelled = rti_pool_take(c->pool, (size_t)size * 6 + 2);
    size_t length = rti_json_spell(text, size, spelled);
    rti_literal_add_value(c, sink->literals, spelled, length, rti_hash_text(text, size));
}

void rti_string_finish(rti_compiler *c, rti_set set, rti_node *node, uint32_t *literals)
{
    node_sink sink = { literals };
    node->terminals = c->g->terminal_list_count;
    rti_string_set_split(c, set, RTI_REGEX_ALL, NULL, 0, take_terminal, take_literal, &sink);
    node->terminal_count = c->g->terminal_list_count - node->terminals;
}
