// Which characters keep a string's automaton alive, whatever their order: most of a vocabulary is then decided at once.
//
// Two ways. Where few states can be reached, all of them are looked at: for each state, which characters every word that
// leads there must have. A word dies only if it has these and the character it dies of; so tokens that have them all are
// suspects, and where they would be too many, the rarest of the characters is given up.
//
// Where there are many states (counters), words are followed level by level and stand up to a length. Where one dies early,
// either the characters that died or those that led there are given up, whichever fewer tokens have.
// SPDX-License-Identifier: MIT
#include "grammar/lexer.h"
#include "grammar/vocabulary.h"

#include <string.h>

enum {
    LEVELS = RTI_SHORT_LENGTHS,
    WIDE = 160,     // states side by side
    BUILT = 64,     // states built for one search: they cost more than what they save
    BUILT_QUICKLY = 16, // the same in passing
    BUILT_FOR_ALL = 192, // the same where all states are looked at
    ATTEMPTS = 48,
    SHORT = 4,      // a length that is worth less than characters that stay
    REACHED = 160,  // states that are all looked at
    BITS = 64,      // classes of characters that then can be told apart
    MANY_SUSPECTS = 400, // tokens
};

typedef enum outcome { OUTCOME_ANY, OUTCOME_ENDED, OUTCOME_CUT, OUTCOME_AGAIN } outcome;

typedef struct level {
    uint32_t count;
    uint32_t states[WIDE];
    uint8_t parents[WIDE];
} level;

typedef struct rti_lexer_search {
    rti_lexer *x;
    uint32_t start, built, room; // states at the beginning, and how many may be built
    bool cut;                    // for want of room
    uint8_t *safe, *live; // by class
    uint32_t length;      // levels that stand
    level levels[LEVELS + 1];
    // The other way. Place 0 is the start before anything was read; it is never come back to.
    uint32_t count, reached[REACHED + 1];
    uint8_t next[REACHED + 1][BITS]; // places; 0: dead or not safe
    uint64_t must[REACHED + 1], dead[REACHED + 1];
    uint32_t suspect_count;
    uint64_t suspects[RTI_SUSPECTS_MAX];
} search;

static void weigh_classes(rti_lexer *x, const uint32_t weights[130])
{
    if (x->weights != NULL) return;
    uint32_t *by_class = rti_pool_take_array(x->pool, x->class_count, sizeof *by_class);
    for (uint32_t code = 0; code < 128; code++) by_class[x->ascii[code]] += weights[code] + 1;
    for (uint32_t i = 0; i < x->high_count; i++) {
        uint64_t end = i + 1 < x->high_count ? x->starts[i + 1] : 0x110000;
        by_class[x->high[i]] += (uint32_t)(weights[128] * (end - x->starts[i]) / 0x110000) + 1;
    }
    x->weights = by_class;
}

// Gives up the characters that a state dies of, or those that led to it or to a state before it, whichever weigh less.
static void give_up(search *f, uint32_t depth, uint32_t place)
{
    rti_lexer *x = f->x;
    uint64_t least = 0;
    for (uint32_t c = 0; c < x->class_count; c++) {
        if (f->safe[c] && rti_lexer_next(x, f->levels[depth].states[place], c) == RTI_LEXER_DEAD) least += x->weights[c];
    }
    uint32_t cut_from = f->levels[depth].states[place], cut_to = RTI_LEXER_DEAD;
    for (uint32_t i = depth, at = place; i > 0; i--) {
        uint32_t parent = f->levels[i].parents[at], from = f->levels[i - 1].states[parent], to = f->levels[i].states[at];
        uint64_t weight = 0;
        for (uint32_t c = 0; c < x->class_count; c++) {
            if (f->safe[c] && rti_lexer_next(x, from, c) == to) weight += x->weights[c];
        }
        if (weight < least) {
            least = weight;
            cut_from = from;
            cut_to = to;
        }
        at = parent;
    }
    for (uint32_t c = 0; c < x->class_count; c++) {
        if (f->safe[c] && rti_lexer_next(x, cut_from, c) == cut_to) f->safe[c] = 0;
    }
}

static bool add_state(level *l, uint32_t state, uint32_t parent)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->states[i] == state) return true;
    }
    if (l->count == WIDE) return false;
    l->states[l->count] = state;
    l->parents[l->count++] = (uint8_t)parent;
    return true;
}

// What follows one level. OUTCOME_CUT: too much of it.
static outcome expand(search *f, uint32_t depth, bool *fresh)
{
    rti_lexer *x = f->x;
    level *l = &f->levels[depth], *next = &f->levels[depth + 1];
    uint32_t dead_states = 0, dead_place = UINT32_MAX, any = 0;
    next->count = 0;
    *fresh = false;
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t dead = 0, alive = 0;
        for (uint32_t c = 0; c < x->class_count; c++) {
            if (!f->safe[c]) continue;
            uint32_t to = rti_lexer_next(x, l->states[i], c);
            if (to == RTI_LEXER_DEAD) {
                dead++;
                continue;
            }
            alive++;
            if (!add_state(next, to, i)) return OUTCOME_CUT;
        }
        if (dead != 0 && dead_place == UINT32_MAX) dead_place = i;
        dead_states += alive == 0;
        any += alive;
        if (x->count - f->built > f->room && depth > 0) {
            f->cut = true;
            return OUTCOME_CUT;
        }
    }
    if (dead_states == l->count && any == 0) return OUTCOME_ENDED;
    if (dead_place != UINT32_MAX) {
        give_up(f, depth, dead_place);
        return OUTCOME_AGAIN;
    }
    for (uint32_t i = 0; i < next->count; i++) {
        rti_lexer_state *s = rti_lexer_at(x, next->states[i]);
        *fresh |= s->search != x->searches;
        s->search = x->searches;
    }
    return OUTCOME_ANY;
}

static outcome try_words(search *f)
{
    rti_lexer *x = f->x;
    x->searches++;
    f->levels[0] = (level){ .count = 1, .states = { f->start } };
    rti_lexer_at(x, f->start)->search = x->searches;
    for (uint32_t depth = 0; depth < LEVELS; depth++) {
        bool fresh;
        outcome o = expand(f, depth, &fresh);
        f->length = depth;
        if (o != OUTCOME_ANY) return o;
        f->length = depth + 1;
        if (!fresh) return OUTCOME_ANY;
    }
    return OUTCOME_CUT;
}

static void only_what_stays(search *f)
{
    for (uint32_t c = 0; c < f->x->class_count; c++) f->safe[c] = rti_lexer_next(f->x, f->start, c) == f->start;
}

static outcome find_safe(search *f)
{
    rti_lexer *x = f->x;
    for (uint32_t c = 0; c < x->class_count; c++) f->safe[c] = rti_lexer_next(x, f->start, c) != RTI_LEXER_DEAD;
    for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        outcome o = try_words(f);
        if (o == OUTCOME_CUT && f->length < SHORT) break;
        if (o != OUTCOME_AGAIN) return o;
    }
    only_what_stays(f);
    return try_words(f);
}

// ---------------------------------------------------------------------------------------------------------------------
// All states
// ---------------------------------------------------------------------------------------------------------------------

static bool reach(search *f)
{
    rti_lexer *x = f->x;
    x->searches++;
    f->count = 1;
    f->reached[0] = f->start;
    for (uint32_t i = 0; i < f->count; i++) {
        f->dead[i] = 0;
        for (uint32_t c = 0; c < x->class_count; c++) {
            f->next[i][c] = 0;
            if (!f->safe[c]) continue;
            uint32_t to = rti_lexer_next(x, f->reached[i], c);
            if (to == RTI_LEXER_DEAD) {
                f->dead[i] |= 1ull << c;
                continue;
            }
            rti_lexer_state *s = rti_lexer_at(x, to);
            if (s->search != x->searches) {
                if (f->count > REACHED || x->count - f->built > (f->room == BUILT ? (uint32_t)BUILT_FOR_ALL : f->room)) {
                    f->cut = true;
                    return false;
                }
                s->search = x->searches;
                s->place = f->count;
                f->reached[f->count++] = to;
            }
            f->next[i][c] = (uint8_t)s->place;
        }
    }
    return true;
}

// The classes that every way to a place has.
static void find_must(search *f)
{
    f->must[0] = 0;
    for (uint32_t i = 1; i < f->count; i++) f->must[i] = UINT64_MAX;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < f->count; i++) {
            for (uint32_t c = 0; c < f->x->class_count; c++) {
                uint32_t to = f->next[i][c];
                uint64_t must = f->must[i] | 1ull << c;
                if (to == 0 || (f->must[to] & ~must) == 0) continue;
                f->must[to] &= must;
                changed = true;
            }
        }
    }
}

// About how many tokens have all these classes, as if they came independently, and a few times as many, as they do not.
static double guess_suspects(const search *f, uint64_t classes, double tokens)
{
    double share = 4;
    for (; classes != 0; classes &= classes - 1) {
        double own = f->x->weights[__builtin_ctzll(classes)] / tokens;
        share *= RTI_MIN(own, 1.0);
    }
    return share * tokens;
}

static bool suspect(search *f, uint64_t classes, double tokens)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->suspect_count; i++) {
        if ((f->suspects[i] & ~classes) == 0) return true; // suspected already
        if ((classes & ~f->suspects[i]) != 0) f->suspects[kept++] = f->suspects[i];
    }
    f->suspect_count = kept;
    if (kept == RTI_SUSPECTS_MAX || guess_suspects(f, classes, tokens) > MANY_SUSPECTS) return false;
    f->suspects[f->suspect_count++] = classes;
    return true;
}

// False: gave up a class, or there are too many states (then *many).
static bool try_all(search *f, double tokens, bool *many)
{
    *many = !reach(f);
    if (*many) return false;
    uint64_t any = 0;
    for (uint32_t i = 1; i < f->count; i++) any |= f->dead[i];
    f->suspect_count = 0;
    if (any == 0) return true;
    find_must(f);
    for (uint32_t i = 1; i < f->count; i++) {
        for (uint64_t dead = f->dead[i]; dead != 0; dead &= dead - 1) {
            uint64_t classes = f->must[i] | (dead & -dead);
            if (suspect(f, classes, tokens)) continue;
            uint32_t rarest = (uint32_t)__builtin_ctzll(classes);
            for (uint64_t left = classes; left != 0; left &= left - 1) {
                uint32_t c = (uint32_t)__builtin_ctzll(left);
                if (f->x->weights[c] < f->x->weights[rarest]) rarest = c;
            }
            f->safe[rarest] = 0;
            return false;
        }
    }
    return true;
}

static uint64_t weight_of_safe(const search *f)
{
    uint64_t weight = 0;
    for (uint32_t c = 0; c < f->x->class_count; c++) weight += f->safe[c] ? f->x->weights[c] : 0;
    return weight;
}

static bool find_all(search *f, double tokens)
{
    rti_lexer *x = f->x;
    if (x->class_count > BITS) return false;
    memset(f->safe, 1, x->class_count);
    bool many = false;
    for (uint32_t attempt = 0; attempt < ATTEMPTS && !many; attempt++) {
        if (try_all(f, tokens, &many)) {
            uint64_t weight = weight_of_safe(f), live = 0;
            for (uint32_t c = 0; c < x->class_count; c++) live += rti_lexer_next(x, f->start, c) != RTI_LEXER_DEAD ? x->weights[c] : 0;
            return weight * 2 > live;
        }
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------

// A state that safe characters lead to: what else can come there.
static void look_from(search *f, rti_lexer_safety *safety, uint32_t state)
{
    rti_lexer *x = f->x;
    rti_lexer_state *s = rti_lexer_at(x, state);
    safety->alone &= state == f->start;
    if (s->search == x->searches) return;
    s->search = x->searches;
    safety->few = RTI_MIN(safety->few, rti_lexer_few(x, state));
    safety->accepts |= s->accepts;
    for (uint32_t c = 0; c < x->class_count; c++) {
        if (f->live[c]) continue;
        uint32_t next = rti_lexer_peek(x, state, c);
        if (next == RTI_LEXER_UNKNOWN && x->count - f->built <= 2 * f->room) next = rti_lexer_next(x, state, c);
        f->live[c] = next != RTI_LEXER_DEAD;
    }
    if (!x->bounded) return;
    uint32_t distance = rti_lexer_distance(x, state);
    safety->distance = RTI_MAX(safety->distance, RTI_MIN(distance, 1u << 20));
}

static void look_around(search *f, rti_lexer_safety *safety, outcome o)
{
    uint32_t last = o == OUTCOME_ANY ? f->length - 1 : f->length; // behind a closed set nothing is new
    f->x->searches++;
    for (uint32_t depth = 0; depth <= last; depth++) {
        for (uint32_t i = 0; i < f->levels[depth].count; i++) look_from(f, safety, f->levels[depth].states[i]);
    }
}

static void look_everywhere(search *f, rti_lexer_safety *safety)
{
    f->x->searches++;
    for (uint32_t i = 0; i < f->count; i++) look_from(f, safety, f->reached[i]);
}

static bool is_ascii(const rti_lexer *x, uint32_t code_class)
{
    for (uint32_t i = 0; i < x->high_count; i++) {
        if (x->high[i] == code_class && !(x->starts[i] >= 0xD800 && x->starts[i] < 0xE000)) return false;
    }
    return true;
}

// The rarest classes of a suspicion, as characters. Fewer of them only make more suspects.
static void spell_suspect(const search *f, uint64_t classes, rti_lexer_suspect *s)
{
    const rti_lexer *x = f->x;
    while (s->count < RTI_SUSPECT_SETS_MAX) {
        uint32_t rarest = BITS;
        for (uint64_t left = classes; left != 0; left &= left - 1) {
            uint32_t c = (uint32_t)__builtin_ctzll(left);
            if (rarest == BITS || x->weights[c] < x->weights[rarest]) rarest = c;
        }
        if (rarest == BITS) return;
        classes &= ~(1ull << rarest);
        if (!is_ascii(x, rarest)) continue;
        for (uint32_t code = 0; code < 128; code++) {
            if (x->ascii[code] == rarest) s->sets[s->count][code / 64] |= 1ull << (code % 64);
        }
        s->count++;
    }
}

static void describe_all(search *f, rti_lexer_safety *safety)
{
    const rti_lexer *x = f->x;
    safety->length = RTI_SAFE_ANY;
    look_everywhere(f, safety);
    for (uint32_t code = 0; code < 128; code++) {
        if ((f->dead[0] >> x->ascii[code] & 1) != 0) safety->first[code / 64] |= 1ull << (code % 64);
    }
    for (uint32_t i = 0; i < x->high_count; i++) safety->first_high |= (f->dead[0] >> x->high[i] & 1) != 0;
    rti_lexer_suspect *suspects = rti_pool_take_array(x->pool, f->suspect_count, sizeof *suspects);
    for (uint32_t i = 0; i < f->suspect_count; i++) spell_suspect(f, f->suspects[i], &suspects[i]);
    safety->suspects = suspects;
    safety->suspect_count = f->suspect_count;
}

static void describe(const search *f, rti_lexer_safety *safety)
{
    const rti_lexer *x = f->x;
    safety->safe_high = safety->safe_space = true;
    for (uint32_t code = 0; code < 128; code++) {
        uint32_t c = x->ascii[code];
        if (f->safe[c]) safety->safe[code / 64] |= 1ull << (code % 64);
        if (!f->safe[c] && f->live[c]) safety->other[code / 64] |= 1ull << (code % 64);
    }
    for (uint32_t i = 0; i < x->high_count; i++) {
        uint32_t c = x->high[i];
        if (x->starts[i] >= 0xD800 && x->starts[i] < 0xE000) continue;
        uint32_t end = i + 1 < x->high_count ? x->starts[i + 1] : 0x110000;
        bool space = end - x->starts[i] <= 16;
        for (uint32_t code = x->starts[i]; code < end && space; code++) space = rti_is_high_space(code);
        if (space) {
            safety->safe_space &= f->safe[c] != 0;
        } else {
            safety->safe_high &= f->safe[c] != 0;
            safety->other_high |= f->live[c] != 0;
        }
    }
    if (safety->safe_high) safety->other_high = false;
}

// Where something can always still be found, as in an unanchored pattern, nothing need be followed.
static bool never_dies(rti_lexer *x, uint32_t state, rti_lexer_safety *safety)
{
    uint32_t shortest;
    if (!rti_regex_never_dies(x->regexes, rti_lexer_at(x, state)->term, &shortest) || (x->bounded && shortest == UINT32_MAX)) return false;
    *safety = (rti_lexer_safety){ .safe = { UINT64_MAX, UINT64_MAX }, .length = RTI_SAFE_ANY, .distance = x->bounded ? shortest : 0,
                                  .safe_high = true, .safe_space = true, .accepts = true, .few = RTI_REGEX_MANY,
                                  .alone = rti_lexer_at(x, state)->term == RTI_REGEX_ALL };
    return true;
}

const rti_lexer_safety *rti_lexer_safety_of(rti_lexer *x, uint32_t state, const uint32_t weights[130], bool quickly)
{
    rti_lexer_state *s = rti_lexer_at(x, state);
    rti_lexer_safety *known = atomic_load_explicit(&s->safety, memory_order_acquire);
    if (known != NULL && (quickly || !known->hasty)) return known;
    rti_lexer_safety *safety = rti_pool_take(x->pool, sizeof *safety);
    if (!never_dies(x, state, safety)) {
        weigh_classes(x, weights);
        if (x->search == NULL) x->search = rti_pool_take(x->pool, sizeof *x->search + 2 * (size_t)x->class_count);
        search *f = x->search;
        f->x = x;
        f->start = state;
        f->built = x->count;
        f->room = quickly ? BUILT_QUICKLY : BUILT;
        f->cut = false;
        f->safe = (uint8_t *)(f + 1);
        f->live = f->safe + x->class_count;
        memset(f->live, 0, x->class_count);
        safety->alone = true;
        safety->few = RTI_REGEX_MANY;
        // Where nothing is denied, what dies does so at once, and levels tell it sooner.
        bool denies = x->regexes->nodes[rti_lexer_at(x, state)->term].has_not;
        if (denies && find_all(f, (double)weights[129])) {
            describe_all(f, safety);
        } else {
            f->built = x->count;
            outcome o = find_safe(f);
            safety->length = o == OUTCOME_ANY ? RTI_SAFE_ANY : o == OUTCOME_AGAIN ? 0 : f->length;
            safety->beyond_dead = o == OUTCOME_ENDED;
            look_around(f, safety, o);
        }
        describe(f, safety);
        safety->hasty = f->cut && quickly;
    }
    atomic_store_explicit(&s->safety, safety, memory_order_release);
    return safety;
}
