// SPDX-License-Identifier: MIT
#include "grammar/number.h"

#include <string.h>

enum { MAX_LARGEST_EXPONENT = 307 };
enum { START, MINUS, ZERO, DIGITS, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS };
enum { C_MINUS = 10, C_POINT, C_E, C_PLUS };

const uint8_t rti_number_class[256] = { // class + 1; 0 for other bytes
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['-'] = C_MINUS + 1, ['.'] = C_POINT + 1, ['e'] = C_E + 1, ['E'] = C_E + 1, ['+'] = C_PLUS + 1,
};

// How the digits so far compare with one bound's magnitude.
typedef struct comparison {
    int16_t whole_count; // digits before the point, no more than the bound has, plus one
    int16_t fraction;    // digits after the point that were compared
    int16_t mantissa;    // digits in all that were compared, for the exponent form
    int8_t whole, part;  // -1, 0, 1: digits before the point; all digits of the plain form
    int8_t scientific;   // the digits as d.ddd
} comparison;

typedef struct number_state {
    uint8_t phase, negative, nonzero, fraction_nonzero;
    uint8_t exponent_negative, exponent_count, single; // single: one digit before the point, not 0
    int16_t exponent;
    comparison low, high;
    uint64_t rest[2 * RTI_NUMBER_FACTORS];
    uint8_t places[2 * RTI_NUMBER_FACTORS];
    uint8_t off[2 * RTI_NUMBER_FACTORS]; // not a multiple whatever follows
} number_state;

typedef struct entry {
    number_state state;
    uint8_t live; // 0 unknown, 1 yes, 2 no
    uint8_t accepts;
    uint32_t visit, parent;
    uint32_t raw[RTI_NUMBER_CLASSES];
    _Atomic uint32_t next[RTI_NUMBER_CLASSES];
} entry;

struct rti_number_lexer {
    rti_number_block block;
    uint32_t factors;
    uint64_t divisor[2 * RTI_NUMBER_FACTORS];
    uint32_t scale[2 * RTI_NUMBER_FACTORS];
    bool exponents;
    entry *chunks[RTI_CHUNKS]; // never move: readers hold no lock
    uint32_t count, limit, visit;
    rti_id_table table;
    struct search {
        uint32_t *queue, capacity, head, tail, mark;
    } start; // for a number at all, in steps
};

bool rti_number_block_contains(const rti_number_block *b, const rti_decimal *value)
{
    if (b->has_low) {
        int order = rti_decimal_compare(value, &b->low);
        if (order < 0 || (order == 0 && b->low_open)) return false;
    }
    if (b->has_high) {
        int order = rti_decimal_compare(value, &b->high);
        if (order > 0 || (order == 0 && b->high_open)) return false;
    }
    if (b->kind != RTI_NUMBER_ANY && rti_decimal_is_integer(value) != (b->kind == RTI_NUMBER_INTEGER)) return false;
    for (int i = 0; i < b->multiple_count; i++) {
        if (!rti_decimal_is_multiple(value, &b->multiples[i])) return false;
    }
    for (int i = 0; i < b->other_count; i++) {
        if (rti_decimal_is_multiple(value, &b->others[i])) return false;
    }
    return true;
}

bool rti_number_block_intersect(const rti_number_block *a, const rti_number_block *b, rti_number_block *out, bool *too_many)
{
    *out = *a;
    if (b->has_low) {
        int order = out->has_low ? rti_decimal_compare(&b->low, &out->low) : 1;
        if (order > 0 || (order == 0 && b->low_open)) {
            out->low = b->low;
            out->low_open = b->low_open;
            out->has_low = true;
        }
    }
    if (b->has_high) {
        int order = out->has_high ? rti_decimal_compare(&b->high, &out->high) : -1;
        if (order < 0 || (order == 0 && b->high_open)) {
            out->high = b->high;
            out->high_open = b->high_open;
            out->has_high = true;
        }
    }
    if (out->has_low && out->has_high) {
        int order = rti_decimal_compare(&out->low, &out->high);
        if (order > 0 || (order == 0 && (out->low_open || out->high_open))) return false;
    }
    if (b->kind != RTI_NUMBER_ANY) {
        if (out->kind != RTI_NUMBER_ANY && out->kind != b->kind) return false;
        out->kind = b->kind;
    }
    for (int i = 0; i < b->multiple_count; i++) {
        bool there = false;
        for (int k = 0; k < out->multiple_count; k++) there |= rti_decimal_compare(&out->multiples[k], &b->multiples[i]) == 0;
        if (there) continue;
        if (out->multiple_count == RTI_NUMBER_FACTORS) return *too_many = true, true;
        out->multiples[out->multiple_count++] = b->multiples[i];
    }
    for (int i = 0; i < b->other_count; i++) {
        bool there = false;
        for (int k = 0; k < out->other_count; k++) there |= rti_decimal_compare(&out->others[k], &b->others[i]) == 0;
        if (there) continue;
        if (out->other_count == RTI_NUMBER_FACTORS) return *too_many = true, true;
        out->others[out->other_count++] = b->others[i];
    }
    for (int i = 0; i < out->other_count; i++) {
        for (int k = 0; k < out->multiple_count; k++) {
            if (rti_decimal_compare(&out->others[i], &out->multiples[k]) == 0) return false;
        }
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Comparing digits with a bound
// ---------------------------------------------------------------------------------------------------------------------

static int whole_digit(const rti_decimal *b, int64_t i)
{
    return i < (int64_t)b->count ? b->digits[i] : 0;
}

static int fraction_digit(const rti_decimal *b, int64_t i)
{
    int64_t at = i + b->exponent;
    return at < 0 || at >= (int64_t)b->count ? 0 : b->digits[at];
}

static int sign_of(int value)
{
    return (value > 0) - (value < 0);
}

static void compare_whole(comparison *c, const rti_decimal *b, int digit)
{
    int64_t places = RTI_MAX(b->exponent, 0);
    if (c->whole_count < places) {
        if (c->whole == 0) c->whole = (int8_t)sign_of(digit - whole_digit(b, c->whole_count));
        c->whole_count++;
    } else {
        c->whole_count = (int16_t)(places + 1);
        c->whole = 0; // longer: no longer matters
    }
}

static void compare_mantissa(comparison *c, const rti_decimal *b, int digit)
{
    if (c->scientific != 0) return;
    if (c->mantissa < (int)b->count) {
        c->scientific = (int8_t)sign_of(digit - b->digits[c->mantissa]);
        c->mantissa++;
    } else {
        c->scientific = digit != 0;
    }
    if (c->scientific != 0) c->mantissa = 0;
}

static void finish_whole(comparison *c, const rti_decimal *b, bool zero)
{
    int64_t places = RTI_MAX(b->exponent, 0), count = zero ? 0 : c->whole_count;
    c->part = (int8_t)(count < places ? -1 : count > places ? 1 : c->whole);
    c->whole = 0;
    c->whole_count = 0;
}

static void compare_fraction(comparison *c, const rti_decimal *b, int digit)
{
    if (c->part != 0) return;
    int64_t length = (int64_t)b->count - b->exponent;
    c->part = (int8_t)sign_of(digit - fraction_digit(b, c->fraction));
    if (c->fraction < length) c->fraction++;
    if (c->part != 0) c->fraction = 0;
}

// Magnitude of the numeral against the bound's, once it is complete.
static int compare_complete(const number_state *s, comparison c, const rti_decimal *b)
{
    if (!s->nonzero) return b->count == 0 ? 0 : -1;
    if (b->count == 0) return 1;
    if (s->phase >= EXPONENT) {
        int64_t exponent = (s->exponent_negative ? -s->exponent : s->exponent) + 1;
        if (exponent != b->exponent) return exponent < b->exponent ? -1 : 1;
        return c.scientific;
    }
    if (s->phase == ZERO || s->phase == DIGITS) finish_whole(&c, b, s->phase == ZERO);
    if (c.part != 0) return c.part;
    return c.fraction < (int64_t)b->count - b->exponent ? -1 : 0;
}

static int compare_signed(const number_state *s, const comparison *c, const rti_decimal *b)
{
    bool negative = s->negative && s->nonzero;
    if (negative != b->negative) return negative ? -1 : 1;
    int order = compare_complete(s, *c, b);
    return negative ? -order : order;
}

// ---------------------------------------------------------------------------------------------------------------------
// States
// ---------------------------------------------------------------------------------------------------------------------

static entry *at(const rti_number_lexer *x, uint32_t id)
{
    uint32_t chunk = rti_chunk_of(id);
    return &x->chunks[chunk][id - rti_chunk_first(chunk)];
}

static bool multiple_now(const rti_number_lexer *x, const number_state *s, uint32_t i)
{
    if (s->off[i]) return false;
    unsigned __int128 rest = s->rest[i];
    for (uint32_t k = s->places[i]; k < x->scale[i] && rest != 0; k++) rest = rest * 10 % x->divisor[i];
    return rest == 0;
}

static bool accepts(const rti_number_lexer *x, const number_state *s)
{
    const rti_number_block *b = &x->block;
    bool complete = s->phase == ZERO || s->phase == DIGITS || s->phase == FRACTION || s->phase == EXPONENT_DIGITS;
    if (!complete || (s->phase == ZERO && s->negative)) return false; // "-0" is left to "-0.0"
    if (b->kind == RTI_NUMBER_FRACTION && !s->fraction_nonzero && !(s->phase == EXPONENT_DIGITS && s->exponent_negative && s->exponent > 0)) {
        return false;
    }
    if (b->has_low) {
        int order = compare_signed(s, &s->low, &b->low);
        if (order < 0 || (order == 0 && b->low_open)) return false;
    }
    if (b->has_high) {
        int order = compare_signed(s, &s->high, &b->high);
        if (order > 0 || (order == 0 && b->high_open)) return false;
    }
    for (uint32_t i = 0; i < x->factors; i++) {
        if (multiple_now(x, s, i) != (i < b->multiple_count)) return false;
    }
    return true;
}

static bool take_digit(const rti_number_lexer *x, number_state *s, int digit)
{
    const rti_number_block *b = &x->block;
    bool whole = s->phase == ZERO || s->phase == DIGITS;
    s->nonzero |= digit != 0;
    s->fraction_nonzero |= !whole && digit != 0;
    if (b->has_low) {
        if (whole && s->phase == DIGITS) compare_whole(&s->low, &b->low, digit);
        if (!whole) compare_fraction(&s->low, &b->low, digit);
        if (s->single) compare_mantissa(&s->low, &b->low, digit);
    }
    if (b->has_high) {
        if (whole && s->phase == DIGITS) compare_whole(&s->high, &b->high, digit);
        if (!whole) compare_fraction(&s->high, &b->high, digit);
        if (s->single) compare_mantissa(&s->high, &b->high, digit);
    }
    for (uint32_t i = 0; i < x->factors; i++) {
        if (!whole && s->places[i] == x->scale[i]) {
            if (digit != 0 || s->off[i]) {
                s->off[i] = 1;
                s->rest[i] = 0;
                if (i < b->multiple_count) return false;
            }
            continue;
        }
        if (!whole) s->places[i]++;
        s->rest[i] = (uint64_t)(((unsigned __int128)s->rest[i] * 10 + (unsigned)digit) % x->divisor[i]);
    }
    return true;
}

static void end_whole(const rti_number_lexer *x, number_state *s)
{
    if (x->block.has_low) finish_whole(&s->low, &x->block.low, s->phase == ZERO);
    if (x->block.has_high) finish_whole(&s->high, &x->block.high, s->phase == ZERO);
}

static void no_mantissa(number_state *s)
{
    s->single = 0;
    s->low.mantissa = s->high.mantissa = 0;
    s->low.scientific = s->high.scientific = 0;
}

static bool step_start(const rti_number_lexer *x, number_state *s, uint32_t c)
{
    if (c == C_MINUS && s->phase == START) {
        s->negative = 1;
        s->phase = MINUS;
        return true;
    }
    if (c > 9) return false;
    s->phase = c == 0 ? ZERO : DIGITS;
    s->single = c != 0 && x->exponents;
    return take_digit(x, s, (int)c);
}

static bool step_exponent(number_state *s, uint32_t c)
{
    if (s->phase == EXPONENT && (c == C_MINUS || c == C_PLUS)) {
        s->exponent_negative = c == C_MINUS;
        s->phase = EXPONENT_SIGN;
        return true;
    }
    if (c > 9 || s->exponent_count == 3) return false;
    s->exponent = (int16_t)(s->exponent * 10 + (int)c);
    s->exponent_count++;
    s->phase = EXPONENT_DIGITS;
    return s->exponent <= MAX_LARGEST_EXPONENT;
}

// The mantissa is complete: what is missing of the bound's digits makes it smaller.
static int8_t mantissa_order(const comparison *c, const rti_decimal *bound)
{
    if (c->scientific != 0) return c->scientific;
    return c->mantissa < (int)bound->count ? -1 : 0;
}

static bool step(const rti_number_lexer *x, number_state *s, uint32_t c)
{
    switch (s->phase) {
    case START:
    case MINUS: return step_start(x, s, c);
    case ZERO:
    case DIGITS:
        if (c <= 9) {
            if (s->phase == ZERO) return false;
            no_mantissa(s);
            return take_digit(x, s, (int)c);
        }
        if (c == C_POINT && !(x->block.kind == RTI_NUMBER_INTEGER && x->block.plain)) {
            end_whole(x, s);
            s->phase = POINT;
            return true;
        }
        break;
    case POINT:
        if (c > 9 || (c != 0 && x->block.kind == RTI_NUMBER_INTEGER)) return false;
        s->phase = FRACTION;
        return take_digit(x, s, (int)c);
    case FRACTION:
        if (c <= 9) return (c == 0 || x->block.kind != RTI_NUMBER_INTEGER) && take_digit(x, s, (int)c);
        break;
    default: return step_exponent(s, c);
    }
    if (c != C_E || !s->single) return false;
    int8_t low = mantissa_order(&s->low, &x->block.low), high = mantissa_order(&s->high, &x->block.high);
    uint8_t negative = s->negative;
    memset(s, 0, sizeof *s);
    s->phase = EXPONENT;
    s->negative = negative;
    s->nonzero = 1;
    s->low.scientific = low;
    s->high.scientific = high;
    return true;
}

// There are few exponents: they are tried, which is quicker than looking for a way through states.
static uint8_t exponent_live(const rti_number_lexer *x, const number_state *s)
{
    int16_t scale = 1;
    for (int more = 0; s->exponent_count + more <= 3; more++, scale = (int16_t)(scale * 10)) {
        if (s->exponent_count + more == 0) continue;
        for (int16_t rest = 0; rest < scale; rest++) {
            number_state t = *s;
            t.phase = EXPONENT_DIGITS;
            t.exponent = (int16_t)(s->exponent * scale + rest);
            if (t.exponent > MAX_LARGEST_EXPONENT) break;
            for (int sign = 0; sign < (s->phase == EXPONENT ? 2 : 1); sign++) {
                if (s->phase == EXPONENT) t.exponent_negative = (uint8_t)sign;
                if (accepts(x, &t)) return 1;
            }
        }
    }
    return 2;
}

// No number of this sign is within the bounds.
static bool out_of_sign(const rti_number_lexer *x, const number_state *s)
{
    const rti_number_block *b = &x->block;
    if (s->phase == START) return false;
    if (s->negative) return b->has_low && !b->low.negative && (b->low.count != 0 || b->low_open);
    return b->has_high && (b->high.negative || (b->high.count == 0 && b->high_open));
}

static uint32_t intern(rti_number_lexer *x, rti_pool *pool, const number_state *s)
{
    uint64_t hash = rti_hash_bytes(s, sizeof *s, 11);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&x->table, hash, &cursor)) != UINT32_MAX) {
        if (memcmp(&at(x, id)->state, s, sizeof *s) == 0) return id;
    }
    if (x->count >= x->limit) {
        rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "grammar: a number's automaton needs more than max_states (%u): use smaller "
                      "bounds or divisors", x->limit);
    }
    id = x->count;
    uint32_t chunk = rti_chunk_of(id);
    if (x->chunks[chunk] == NULL) x->chunks[chunk] = rti_pool_take_array(pool, rti_chunk_size(chunk), sizeof(entry));
    x->count++;
    entry *e = at(x, id);
    e->state = *s;
    e->accepts = accepts(x, s);
    e->live = s->phase >= EXPONENT && s->phase <= EXPONENT_DIGITS ? exponent_live(x, s) : out_of_sign(x, s) ? 2 : e->accepts;
    for (int i = 0; i < RTI_NUMBER_CLASSES; i++) {
        e->raw[i] = UINT32_MAX;
        atomic_init(&e->next[i], UINT32_MAX);
    }
    rti_id_table_add(pool, &x->table, hash, id);
    return id;
}

static uint32_t raw_next(rti_number_lexer *x, rti_pool *pool, uint32_t id, uint32_t c)
{
    entry *e = at(x, id);
    if (e->raw[c] == UINT32_MAX) {
        number_state s = e->state;
        e->raw[c] = step(x, &s, c) ? intern(x, pool, &s) : 0;
    }
    return e->raw[c];
}

// Whether some numeral can be completed from a state: breadth first, and everything on the way learns the answer.
static void begin_search(rti_number_lexer *x, rti_pool *pool, struct search *s, uint32_t id)
{
    *s = (struct search){ .mark = ++x->visit };
    RTI_POOL_RESERVE(pool, s->queue, s->capacity, 64);
    s->queue[s->tail++] = id;
    at(x, id)->visit = s->mark;
    at(x, id)->parent = 0;
}

// Looks at so many states more; true: the answer is known.
static bool search_on(rti_number_lexer *x, rti_pool *pool, struct search *s, uint32_t states)
{
    for (; s->head < s->tail; states--) {
        if (states == 0) return false;
        uint32_t now = s->queue[s->head++];
        for (uint32_t c = 0; c < RTI_NUMBER_CLASSES; c++) {
            uint32_t next = raw_next(x, pool, now, c);
            entry *e = at(x, next);
            if (next == 0 || e->live == 2 || e->visit == s->mark) continue;
            if (e->live == 1) {
                for (uint32_t i = now; i != 0; i = at(x, i)->parent) at(x, i)->live = 1;
                return true;
            }
            e->visit = s->mark;
            e->parent = now;
            RTI_POOL_RESERVE(pool, s->queue, s->capacity, s->tail + 1);
            s->queue[s->tail++] = next;
        }
    }
    for (uint32_t i = 0; i < s->tail; i++) at(x, s->queue[i])->live = 2;
    return true;
}

static bool is_live(rti_number_lexer *x, rti_pool *pool, uint32_t id)
{
    if (at(x, id)->live != 0) return at(x, id)->live == 1;
    struct search s;
    begin_search(x, pool, &s, id);
    search_on(x, pool, &s, UINT32_MAX);
    return at(x, id)->live == 1;
}

static bool set_factor(rti_number_lexer *x, uint32_t i, const rti_decimal *d)
{
    // value = divisor / 10^scale
    int64_t places = (int64_t)d->count - d->exponent;
    uint64_t divisor = 0;
    for (uint32_t k = 0; k < d->count; k++) {
        if (divisor > (UINT64_MAX >> 8) / 10) return false;
        divisor = divisor * 10 + d->digits[k];
    }
    for (int64_t k = places; k < 0; k++) {
        if (divisor > (UINT64_MAX >> 8) / 10) return false;
        divisor *= 10;
    }
    if (places > 200) return false;
    x->divisor[i] = divisor;
    x->scale[i] = (uint32_t)RTI_MAX(places, 0);
    return true;
}

rti_number_lexer *rti_number_lexer_new(rti_pool *pool, const rti_number_block *block, uint32_t limit, const char *place)
{
    rti_number_lexer *x = rti_pool_take(pool, sizeof *x);
    x->block = *block;
    x->limit = RTI_MIN(limit, 100000u);
    for (int i = 0; i < block->multiple_count + block->other_count; i++) {
        const rti_decimal *d = i < block->multiple_count ? &block->multiples[i] : &block->others[i - block->multiple_count];
        if (!set_factor(x, (uint32_t)i, d)) {
            rti_pool_fail(pool, RT_ERROR_UNSUPPORTED, "%s: multipleOf: this divisor has too many digits", place);
        }
    }
    x->factors = (uint32_t)(block->multiple_count + block->other_count);
    x->exponents = block->kind != RTI_NUMBER_INTEGER && x->factors == 0;
    number_state s;
    memset(&s, 0xFF, sizeof s);
    intern(x, pool, &s); // 0: dead
    at(x, 0)->live = 2;
    at(x, 0)->accepts = 0;
    memset(&s, 0, sizeof s);
    intern(x, pool, &s);
    begin_search(x, pool, &x->start, 1);
    return x;
}

bool rti_number_lexer_look(rti_number_lexer *x, rti_pool *pool, uint32_t states)
{
    return at(x, 1)->live != 0 || search_on(x, pool, &x->start, states);
}

static double approximate(const rti_decimal *d)
{
    double value = 0;
    for (uint32_t i = 0; i < d->count && i < 18; i++) value = value * 10 + d->digits[i];
    int64_t shift = d->exponent - (int64_t)RTI_MIN(d->count, 18u);
    for (; shift > 0 && value < 1e300; shift--) value *= 10;
    for (; shift < 0 && value > 1e-300; shift++) value /= 10;
    return d->negative ? -value : value;
}

bool rti_number_lexer_empty(rti_number_lexer *x)
{
    return at(x, 1)->live == 2;
}

uint32_t rti_number_lexer_variety(const rti_number_lexer *x)
{
    enum { MANY = 1 << 20 };
    const rti_number_block *b = &x->block;
    if (b->other_count != 0 || b->multiple_count > 1) return 1;
    if (!b->has_low || !b->has_high) return MANY;
    double low = approximate(&b->low), high = approximate(&b->high), step = b->multiple_count != 0 ? approximate(&b->multiples[0]) : 1;
    if (b->multiple_count == 0 && b->kind != RTI_NUMBER_INTEGER) return low < high ? MANY : 1;
    if (b->multiple_count != 0 && b->kind != RTI_NUMBER_ANY && !(b->kind == RTI_NUMBER_INTEGER && rti_decimal_is_integer(&b->multiples[0]))) return 1;
    double count = (high - low) / step - 2; // (the bounds may be open, and not multiples)
    return count >= MANY ? (uint32_t)MANY : count > 1 ? (uint32_t)count : 1;
}

uint32_t rti_number_lexer_peek(const rti_number_lexer *x, uint32_t state, uint32_t c)
{
    return atomic_load_explicit(&at(x, state)->next[c], memory_order_acquire);
}

uint32_t rti_number_lexer_build(rti_number_lexer *x, rti_pool *pool, uint32_t state, uint32_t c)
{
    uint32_t next = raw_next(x, pool, state, c);
    if (next != 0 && !is_live(x, pool, next)) next = 0;
    atomic_store_explicit(&at(x, state)->next[c], next, memory_order_release);
    return next;
}

bool rti_number_lexer_accepts(const rti_number_lexer *x, uint32_t state)
{
    return at(x, state)->accepts != 0;
}
