// Which bytes a thread can take: a superset, to look at few children of the trie.
// SPDX-License-Identifier: MIT
#include "grammar/unseen.h"

#define DIGITS (0x3FFull << '0')

static void add_byte(uint64_t s[4], uint8_t byte)
{
    s[byte / 64] |= 1ull << (byte % 64);
}

static void add_text(uint64_t s[4], const char *text)
{
    for (; *text != 0; text++) add_byte(s, (uint8_t)*text);
}

static void add_literals(const rt_grammar *g, uint64_t s[4], uint32_t place)
{
    for (uint32_t i = g->literals[place].first; i != 0; i = g->literals[i].next) add_byte(s, g->literals[i].byte);
}

static void add_value(const rt_grammar *g, uint64_t s[4], const rti_node *n)
{
    if (n->literals != 0) add_literals(g, s, n->literals);
    if (n->terminal_count != 0) add_byte(s, '"');
    if (n->number_count != 0) s[0] |= DIGITS | 1ull << '-';
    if (n->object_count != 0) add_byte(s, '{');
    if (n->array_count != 0) add_byte(s, '[');
}

static void add_items(const rti_machine *m, uint64_t s[4], const rti_frame *f)
{
    const rti_array *a = &m->g->arrays[f->block];
    const rti_variants *v = &m->g->item_variants[a->items + f->position];
    for (uint32_t i = 0; i < v->count; i++) add_value(m->g, s, &m->g->nodes[m->g->variants[v->first + i].node]);
}

void rti_thread_bytes(const rti_machine *m, const rti_thread *t, uint64_t s[4])
{
    const rt_grammar *g = m->g;
    if ((t->kind == RTI_THREAD_STRING || t->kind == RTI_THREAD_KEY_STRING) && rti_string_next_bytes(t, s)) return;
    if (g->spacing == RT_JSON_FLEXIBLE) add_text(s, " \n\t\r");
    switch ((rti_thread_kind)t->kind) {
    case RTI_THREAD_VALUE: add_value(g, s, &g->nodes[t->a]); break;
    case RTI_THREAD_LITERAL:
    case RTI_THREAD_KEY: add_literals(g, s, t->a); break;
    case RTI_THREAD_NUMBER:
        s[0] |= DIGITS | 1ull << '-' | 1ull << '+' | 1ull << '.';
        add_text(s, "eE");
        break;
    case RTI_THREAD_KEY_OPEN: add_byte(s, '"'); break;
    case RTI_THREAD_OBJECT_OPEN: add_text(s, "\"}"); break;
    case RTI_THREAD_COLON: add_byte(s, ':'); break;
    case RTI_THREAD_COLON_SPACE:
    case RTI_THREAD_COMMA_SPACE: add_byte(s, ' '); break;
    case RTI_THREAD_ARRAY_OPEN: add_byte(s, ']'); add_items(m, s, &m->frames[t->frame]); break;
    case RTI_THREAD_ITEM: add_items(m, s, &m->frames[t->frame]); break;
    case RTI_THREAD_AFTER:
        if (t->frame != 0) add_text(s, m->frames[t->frame].kind == RTI_FRAME_OBJECT ? ",}" : ",]");
        break;
    default: memset(s, 0xFF, 4 * sizeof *s); break;
    }
}
