// Numbers, byte by byte, and what is known of their value where equal ones must be told: the digits that count, and the exponent.
// SPDX-License-Identifier: MIT
#include "grammar/unseen.h"

// thread.part: bits; thread.n: zeros behind the digits so far, which count once another digit follows; thread.c: places before
// the point (or zeros behind it, negative) in the lower half, the exponent as it is written in the upper one.
enum { NEGATIVE = 1, STARTED = 2, FRACTION = 4, EXPONENT = 8, EXPONENT_NEGATIVE = 16, LARGEST_EXPONENT = 9999 };

typedef struct number_request {
    rti_number_lexer *lexer;
    uint32_t state, byte_class, result;
} number_request;

static void build_number(rt_grammar *g, void *user)
{
    number_request *r = user;
    r->result = rti_number_lexer_build(r->lexer, &g->pool, r->state, r->byte_class);
}

static uint32_t next_number(rti_machine *m, rti_number_lexer *lexer, uint32_t state, uint32_t byte_class)
{
    uint32_t next = rti_number_lexer_peek(lexer, state, byte_class);
    if (next != UINT32_MAX) return next;
    number_request r = { lexer, state, byte_class, 0 };
    rti_machine_locked(m, build_number, &r);
    return r.result;
}

static void note_digit(rti_thread *t, uint32_t digit)
{
    int32_t places = (int16_t)(t->c & 0xFFFF), exponent = (int32_t)(t->c >> 16);
    bool started = (t->part & STARTED) != 0;
    if ((t->part & EXPONENT) != 0) {
        exponent = RTI_MIN(exponent * 10 + (int32_t)digit, LARGEST_EXPONENT);
    } else {
        if ((t->part & FRACTION) == 0) {
            places += (started || digit != 0) && places < INT16_MAX;
        } else {
            places -= !started && digit == 0 && places > INT16_MIN;
        }
        if (digit != 0) {
            for (; t->n > 0; t->n--) t->h = rti_hash_digit(t->h, 0);
            t->h = rti_hash_digit(t->h, digit);
            t->part |= STARTED;
        } else if (started) {
            t->n++;
        }
    }
    t->c = (uint32_t)exponent << 16 | (uint16_t)places;
}

bool rti_number_byte(rti_machine *m, const rti_thread *t, uint32_t automaton, uint32_t state, uint8_t byte, rti_thread *next)
{
    uint32_t byte_class = rti_number_class[byte];
    if (byte_class == 0) return false;
    uint32_t to = next_number(m, m->g->numbers[automaton], state, byte_class - 1);
    if (to == 0) return false;
    *next = (rti_thread){ .kind = RTI_THREAD_NUMBER, .frame = t->frame, .a = automaton, .b = to, .t = RTI_OUTSIDE, .h = t->h };
    if (t->h == 0) return true;
    if (t->kind == RTI_THREAD_NUMBER) { // (before it, n counts spaces)
        next->n = t->n;
        next->part = t->part;
        next->c = t->c;
    }
    if (byte >= '0' && byte <= '9') {
        note_digit(next, byte - '0');
    } else if (byte == '-') {
        next->part |= (next->part & EXPONENT) != 0 ? EXPONENT_NEGATIVE : NEGATIVE;
    } else if (byte == '.') {
        next->part |= FRACTION;
    } else if (byte != '+') {
        next->part |= EXPONENT;
    }
    return true;
}

uint64_t rti_number_value_hash(const rti_thread *t)
{
    int32_t places = (int16_t)(t->c & 0xFFFF), exponent = (int32_t)(t->c >> 16);
    if ((t->part & EXPONENT_NEGATIVE) != 0) exponent = -exponent;
    return rti_hash_number(t->h, (t->part & STARTED) == 0, (t->part & NEGATIVE) != 0, places + exponent);
}
