// Tokens of safe characters, from bit sets of the vocabulary and without a walk (see safety.c).
// SPDX-License-Identifier: MIT
#include "grammar/token_walk.h"

#include <string.h>

enum { RICH = 10 }; // safe characters, from which on bit sets are quicker than walking

typedef rti_set_walk walk;

static void remove_bits(uint32_t *restrict bits, const uint32_t *restrict others, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) bits[i] &= ~others[i];
}

// Removes the tokens with a character that is not safe, in as few and large groups as there are. `matter`: characters that
// are worth a thought at all.
static void remove_codes(const walk *w, uint32_t *bits, const uint64_t remove[2], const uint64_t matter[2])
{
    const rt_vocabulary *v = w->v;
    const uint32_t *groups[6] = { v->holds, v->holds_group }; // by the logarithm of the group's size
    for (uint32_t k = 2; k < 6; k++) groups[k] = groups[k - 1] + (size_t)(128u >> (k - 1)) * v->words;
    for (uint32_t code = 0; code < 128;) {
        uint32_t k = code == 0 ? 5 : RTI_MIN((uint32_t)__builtin_ctz(code), 5u);
        for (;; k--) {
            uint64_t span = (k == 6 ? 0 : (1ull << (1u << k))) - 1, there = span << (code % 64);
            bool any = (remove[code / 64] & there) != 0, all = (~remove[code / 64] & matter[code / 64] & there) == 0;
            if (any && !all) continue;
            if (any) remove_bits(bits, groups[k] + (size_t)(code >> k) * v->words, v->words);
            code += 1u << k;
            break;
        }
    }
}

// Whether a token of plain characters keeps the automaton alive.
static bool token_lives(walk *w, uint32_t token)
{
    const rt_vocabulary *v = w->v;
    rti_walk_place at = { .state = w->start };
    for (uint32_t i = v->offsets[token]; i < v->offsets[token + 1]; i++) {
        rti_walk_place to;
        if (!rti_walk_byte(w, &at, (uint8_t)v->bytes[i], false, &to)) return false;
        at = to;
    }
    return true;
}

static void gather_tokens(const walk *w, const uint64_t codes[2], uint32_t *restrict to)
{
    const rt_vocabulary *v = w->v;
    memset(to, 0, v->words * sizeof *to);
    for (uint32_t code = 0; code < 128; code++) {
        if ((codes[code / 64] >> (code % 64) & 1) == 0) continue;
        const uint32_t *restrict holds = v->holds + (size_t)code * v->words;
        for (uint32_t i = 0; i < v->words; i++) to[i] |= holds[i];
    }
}

// Takes the suspects that are dead out of the base.
static void try_suspects(walk *w, uint32_t *bits, const rti_lexer_suspect *x)
{
    uint32_t words = w->v->words, *restrict some = w->s->some, *restrict all = w->s->some + words;
    memcpy(all, bits, words * sizeof *all);
    for (uint32_t k = 0; k < x->count; k++) {
        gather_tokens(w, x->sets[k], some);
        for (uint32_t i = 0; i < words; i++) all[i] &= some[i];
    }
    for (uint32_t i = 0; i < words; i++) {
        for (uint32_t left = all[i]; left != 0; left &= left - 1) {
            uint32_t token = i * 32 + (uint32_t)__builtin_ctz(left);
            if (!token_lives(w, token)) bits[i] &= ~(left & -left);
        }
    }
}

// Takes out the tokens whose first characters, below a node, are safe only later on.
static void remove_first(const walk *w, uint32_t *bits, const rti_lexer_safety *f, const rti_trie_node *parent)
{
    const rt_vocabulary *v = w->v;
    for (uint32_t i = parent->first; i < parent->first + rti_trie_children(parent); i++) {
        uint8_t byte = v->nodes[i].byte;
        if (byte < 128 ? (f->first[byte / 64] >> (byte % 64) & 1) == 0 : !f->first_high) continue;
        for (uint32_t k = v->below[i].from; k < v->below[i].to; k++) bits[v->order[k] / 32] &= ~(1u << (v->order[k] % 32));
    }
}

static bool has(const uint64_t codes[2], uint8_t code)
{
    return (codes[code / 64] >> (code % 64) & 1) != 0;
}

static bool is_rich(const rti_lexer_safety *f)
{
    return __builtin_popcountll(f->safe[0]) + __builtin_popcountll(f->safe[1]) >= RICH && f->length != 0;
}

// The tokens of safe characters, or of the vocabulary's common first one and then safe ones.
static void make_base(walk *w, rti_walk_base *b, const rti_lexer_safety *f, bool common, uint32_t *bits)
{
    const rt_vocabulary *v = w->v;
    uint32_t words = v->words;
    *b = (rti_walk_base){ .safety = f, .leads = common };
    uint64_t matter[2] = { UINT64_MAX, UINT64_MAX };
    memcpy(bits, w->json ? v->plain : v->raw, words * sizeof *bits);
    if (w->json) { // what no plain token has
        matter[0] = ~(0xFFFFFFFFull | 1ull << '"');
        matter[1] = ~(1ull << ('\\' - 64));
    }
    uint64_t remove[2] = { ~f->safe[0] & matter[0], ~f->safe[1] & matter[1] };
    uint8_t first = v->nodes[v->common].byte;
    if (common) {
        const uint32_t *restrict begins = v->common_first;
        for (uint32_t i = 0; i < words; i++) bits[i] &= begins[i];
        if (has(remove, first)) remove_bits(bits, v->common_again, words);
        remove[first / 64] &= ~(1ull << (first % 64));
    }
    remove_codes(w, bits, remove, matter); // never in a group with the common character, for it matters
    if (!f->safe_high) remove_bits(bits, v->holds_high, words);
    if (f->safe_high && !f->safe_space) remove_bits(bits, v->holds_space, words);
    b->length = f->length + (common && f->length != RTI_SAFE_ANY);
    b->beyond_dead = f->beyond_dead;
    if (b->length > RTI_SHORT_LENGTHS && b->length != RTI_SAFE_ANY) { // one more than there are sets for
        b->length = RTI_SHORT_LENGTHS;
        b->beyond_dead = false;
    }
    if (b->length <= RTI_SHORT_LENGTHS) {
        const uint32_t *restrict shorter = v->short_of + (size_t)(b->length - 1) * words;
        for (uint32_t i = 0; i < words; i++) bits[i] &= shorter[i];
    }
    remove_first(w, bits, f, &v->nodes[common ? v->common : 0]);
    for (uint32_t i = 0; i < f->suspect_count; i++) try_suspects(w, bits, &f->suspects[i]);
    b->follow[0] = f->other[0] & matter[0];
    b->follow[1] = f->other[1] & matter[1];
    if (w->json) {
        b->follow[1] |= 1ull << ('\\' - 64);
        if (f->accepts || (b->length != RTI_SAFE_ANY && !b->beyond_dead)) b->follow[0] |= 1ull << '"';
    }
    w->few = RTI_MIN(w->few, f->few);
    if (!w->bounded) return;
    w->reach = RTI_MAX(w->reach, RTI_MIN(b->length, v->longest) + f->distance);
    w->distance = RTI_MAX(w->distance, f->distance);
}

void rti_walk_make_bases(walk *w)
{
    const rt_vocabulary *v = w->v;
    rti_lexer *lexer = w->terminal->lexer;
    uint32_t *restrict bits = w->s->bits, words = v->words;
    const rti_lexer_safety *f = rti_walk_safety_of(w->m, lexer, w->start, false);
    memset(bits, 0, words * sizeof *bits);
    if (w->m->error != RT_OK) return;
    w->based = is_rich(f);
    if (w->based) {
        make_base(w, &w->whole, f, false, bits);
        w->base = &w->whole;
        w->pure &= f->alone;
    }
    uint8_t byte = v->nodes[v->common].byte;
    if (v->common == 0 || (w->json && (byte < 0x20 || byte == '"' || byte == '\\'))) return;
    if (w->based && has(f->safe, byte) && !has(f->first, byte)) return; // it is in there already
    uint32_t state = rti_machine_next(w->m, lexer, w->start, lexer->ascii[byte]);
    if (state == RTI_LEXER_DEAD || w->m->error != RT_OK) return;
    f = rti_walk_safety_of(w->m, lexer, state, true);
    if (!is_rich(f) || w->m->error != RT_OK) return;
    uint32_t *restrict more = w->s->some + 2 * words;
    make_base(w, &w->common, f, true, more);
    for (uint32_t i = 0; i < words; i++) bits[i] |= more[i];
    w->pure &= f->alone && state == w->pure_state;
}
