// Keys and unique items must differ from those before. Where only finitely many are left, a way that leads only to repeats
// must not be taken: here is looked for one that does not. Repeats are few, so a search finds its answer after few of them.
// SPDX-License-Identifier: MIT
#include "grammar/unseen.h"

enum { MAX_TRIES = 4096, MAX_LENGTH = 48 };


typedef struct search {
    rti_machine *m;
    uint32_t list; // what was seen
    uint32_t tries;
} search;

static bool unseen_literal(search *s, uint32_t place)
{
    const rt_grammar *g = s->m->g;
    for (uint32_t i = g->literals[place].first; i != 0; i = g->literals[i].next) {
        if (++s->tries > MAX_TRIES) return true;
        if (g->literals[i].final && !rti_is_seen(s->m, s->list, rti_literal_hash(&g->literals[i]))) return true;
        if (unseen_literal(s, i)) return true;
    }
    return false;
}

bool rti_unseen_literal(rti_machine *m, uint32_t list, uint32_t place)
{
    search s = { m, list, 0 };
    return unseen_literal(&s, place);
}

static bool unseen_number(search *s, const rti_thread *t, int length)
{
    static const char bytes[] = "0123456789-.";
    for (const char *byte = bytes; *byte != 0; byte++) {
        if (++s->tries > MAX_TRIES) return true;
        rti_thread next;
        if (!rti_number_byte(s->m, t, t->a, t->b, (uint8_t)*byte, &next)) continue;
        if (rti_number_lexer_accepts(s->m->g->numbers[next.a], next.b) && !rti_is_seen(s->m, s->list, rti_number_value_hash(&next))) return true;
        if (length < MAX_LENGTH && unseen_number(s, &next, length + 1)) return true;
    }
    return false;
}

bool rti_unseen_number(rti_machine *m, uint32_t list, const rti_thread *thread)
{
    search s = { m, list, 0 };
    return unseen_number(&s, thread, 0);
}

static bool unseen_string(search *s, const rti_thread *t, int length)
{
    rti_machine *m = s->m;
    const rti_lexer *lexer = m->g->terminals[t->a].lexer;
    if (rti_string_accepts(m, t) && !rti_is_seen(m, s->list, t->h)) return true;
    if (length >= MAX_LENGTH) return false;
    uint32_t wanted = m->seen_count + 1; // so many characters of each class are enough
    for (uint32_t c = 0; c < lexer->class_count; c++) {
        uint32_t used = 0;
        for (uint32_t code = 0; code < 128 && used < wanted; code++) {
            if (lexer->ascii[code] != c) continue;
            if (++s->tries > MAX_TRIES) return true;
            rti_thread next = *t;
            if (!rti_string_move(m, &next, code)) break;
            if (unseen_string(s, &next, length + 1)) return true;
            used++;
        }
        for (uint32_t i = 0; i < lexer->high_count && used < wanted; i++) {
            if (lexer->high[i] != c) continue;
            uint32_t end = i + 1 < lexer->high_count ? lexer->starts[i + 1] : 0x110000;
            for (uint32_t code = lexer->starts[i]; code < end && used < wanted; code++, used++) {
                if (++s->tries > MAX_TRIES) return true;
                rti_thread next = *t;
                if (!rti_string_move(m, &next, code)) break;
                if (unseen_string(s, &next, length + 1)) return true;
            }
        }
    }
    return false;
}

// Whether repeats could be all that is left: the automaton has few strings left, or the bound on the length is near.
bool rti_string_may_run_out(rti_machine *m, const rti_thread *t)
{
    uint32_t others = rti_others_of(m, t);
    if (others == 0) return false;
    const rti_terminal *x = &m->g->terminals[t->a];
    if (rti_machine_few(m, x->lexer, t->b) <= others) return true;
    return x->lexer->term != RTI_REGEX_ALL && rti_string_near_bound(m, t, others);
}

bool rti_string_near_bound(const rti_machine *m, const rti_thread *t, uint32_t others)
{
    const rti_terminal *x = &m->g->terminals[t->a];
    return x->counts && x->high != RTI_NO_MAXIMUM && x->high - t->n <= others + RTI_NEAR_END;
}

bool rti_unseen_string(rti_machine *m, const rti_thread *t)
{
    if (rti_own_list(m, t) == 0) return true;
    const rti_terminal *x = &m->g->terminals[t->a];
    bool last = x->counts && x->high != RTI_NO_MAXIMUM && t->n == x->high;
    if (x->lexer->term == RTI_REGEX_ALL && !last) return true;
    if (!last && !rti_string_may_run_out(m, t)) return true;
    search s = { m, rti_own_list(m, t), 0 };
    return unseen_string(&s, t, 0);
}

bool rti_unseen_value(rti_machine *m, uint32_t list, const rti_node *node)
{
    const rt_grammar *g = m->g;
    if (node->literals != 0 && rti_unseen_literal(m, list, node->literals)) return true;
    for (uint32_t i = 0; i < node->number_count; i++) {
        rti_thread t = { .kind = RTI_THREAD_NUMBER, .a = g->number_list[node->numbers + i], .b = 1, .t = RTI_OUTSIDE, .h = 1 };
        if (rti_unseen_number(m, list, &t)) return true;
    }
    for (uint32_t i = 0; i < node->terminal_count; i++) {
        uint32_t terminal = g->terminal_list[node->terminals + i];
        rti_thread t = { .kind = RTI_THREAD_STRING, .a = terminal, .b = RTI_LEXER_START, .t = g->terminals[terminal].excluded, .h = 1 };
        search s = { m, list, 0 };
        if (unseen_string(&s, &t, 0)) return true;
    }
    return false;
}
