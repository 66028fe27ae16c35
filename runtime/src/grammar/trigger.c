// SPDX-License-Identifier: MIT
#include "grammar/trigger.h"

#include <string.h>

enum { MAX_TRIGGERS = 256, MAX_TRIGGER_BYTES = 4096 };

void rti_triggers_build(rt_grammar *g, const rt_grammar_def *def)
{
    rti_pool *pool = &g->pool;
    if (def->trigger_count < 1 || def->trigger_count > MAX_TRIGGERS || (def->triggers == NULL && def->trigger_tokens == NULL)) {
        rti_pool_fail(pool, RT_ERROR_INVALID_ARGUMENT, "grammar: triggers: 1 to %d are needed, %d were given", MAX_TRIGGERS, def->trigger_count);
    }
    size_t total = 1;
    for (int i = 0; i < def->trigger_count; i++) total += def->triggers != NULL && def->triggers[i] != NULL ? strlen(def->triggers[i]) : 0;
    if (total > MAX_TRIGGER_BYTES) rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: triggers: more than %d bytes in all", MAX_TRIGGER_BYTES);
    g->trigger_states = rti_pool_take_array(pool, total, sizeof *g->trigger_states);
    g->triggers = rti_pool_take_array(pool, (size_t)def->trigger_count, sizeof *g->triggers);
    g->trigger_state_count = 1;
    for (int i = 0; i < def->trigger_count; i++) {
        const char *text = def->triggers != NULL ? def->triggers[i] : NULL;
        g->triggers[i].token = text == NULL ? def->trigger_tokens[i] : RT_TOKEN_NONE;
        g->trigger_count++;
        if (text == NULL) {
            if (g->triggers[i].token < 0 || (uint32_t)g->triggers[i].token >= g->vocabulary->count) {
                rti_pool_fail(pool, RT_ERROR_INVALID_ARGUMENT, "grammar: trigger %d: token %d is not in the vocabulary", i, (int)g->triggers[i].token);
            }
            continue;
        }
        if (text[0] == 0) rti_pool_fail(pool, RT_ERROR_INVALID_ARGUMENT, "grammar: trigger %d is empty", i);
        uint32_t at = 0;
        for (const unsigned char *byte = (const unsigned char *)text; *byte != 0; byte++) {
            uint32_t *next = &g->trigger_states[at].next[*byte];
            if (*next == 0) *next = g->trigger_state_count++;
            at = *next;
        }
        g->trigger_states[at].final = true;
    }
    // Breadth first: where a longer trigger breaks off, the longest other one that its end begins goes on.
    uint32_t *fallback = rti_pool_take_array(pool, g->trigger_state_count, sizeof *fallback);
    uint32_t *queue = rti_pool_take_array(pool, g->trigger_state_count, sizeof *queue), head = 0, tail = 0;
    for (int byte = 0; byte < 256; byte++) {
        if (g->trigger_states[0].next[byte] != 0) queue[tail++] = g->trigger_states[0].next[byte];
    }
    while (head < tail) {
        rti_trigger_state *s = &g->trigger_states[queue[head]];
        uint32_t back = fallback[queue[head++]];
        s->final |= g->trigger_states[back].final;
        for (int byte = 0; byte < 256; byte++) {
            if (s->next[byte] != 0) {
                fallback[s->next[byte]] = g->trigger_states[back].next[byte];
                queue[tail++] = s->next[byte];
            } else {
                s->next[byte] = g->trigger_states[back].next[byte];
            }
        }
    }
}

void rti_trigger_step(rti_machine *m, const rti_thread *thread, uint8_t byte)
{
    uint32_t next = m->g->trigger_states[thread->a].next[byte];
    rti_thread *t = rti_machine_push(m);
    t->kind = RTI_THREAD_FREE;
    t->a = next;
    if (!m->g->trigger_states[next].final) return;
    t->kind = RTI_THREAD_VALUE;
    t->a = m->g->root;
}
