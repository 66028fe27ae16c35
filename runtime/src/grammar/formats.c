// `format`, asserted. Each is a regular expression; where the standard's language is not regular the nearest exact subset.
// SPDX-License-Identifier: MIT
#include "grammar/schema.h"

#include <string.h>

#define DATE                                                                                                           \
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" \
    "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[048]|[2468][048]|[13579][26])00)-02-29)"
#define OFFSET "(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define FRACTION_OF_SECOND "(?:\\.[0-9]+)?"
#define TIME                                                                                                           \
    "(?:(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]" FRACTION_OF_SECOND OFFSET ")|(?:23:59:60" FRACTION_OF_SECOND "[zZ]))"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4 "(?:" OCTET "(?:\\." OCTET "){3})"
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                                           \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32 "|(?:(?:" H16 ":)?" H16  \
    ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16      \
    ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16   \
    ":){0,6}" H16 ")?::)"
#define LABEL "(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
#define HOST LABEL "(?:\\." LABEL ")*"
#define ATEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
#define EMAIL                                                                                                          \
    "(?:" ATEXT "+(?:\\." ATEXT "+)*|\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\")@(?:" HOST "|\\[(?:" IPV4 "|IPv6:" IPV6 ")\\])"
#define UATEXT "(?:" ATEXT "|[\\u0080-\\u{10FFFF}])"
#define ULABEL "(?:(?:[A-Za-z0-9]|[\\u0080-\\u{10FFFF}])(?:(?:[A-Za-z0-9-]|[\\u0080-\\u{10FFFF}])*(?:[A-Za-z0-9]|[\\u0080-\\u{10FFFF}]))?)"
#define IDN_EMAIL "(?:" UATEXT "+(?:\\." UATEXT "+)*)@(?:" ULABEL "(?:\\." ULABEL ")*)"
#define ESCAPED "%[0-9A-Fa-f]{2}"
#define UNRESERVED "A-Za-z0-9._~\\-"
#define SUB "!$&'()*+,;="
#define URI_OF(extra, private)                                                                                         \
    "(?://(?:(?:[" UNRESERVED SUB ":" extra "]|" ESCAPED ")*@)?(?:\\[(?:" IPV6 "|[vV][0-9A-Fa-f]+\\.[" UNRESERVED SUB ":]+)\\]|(?:["         \
    UNRESERVED SUB extra "]|" ESCAPED ")*)(?::[0-9]*)?(?:/(?:[" UNRESERVED SUB ":@" extra "]|" ESCAPED ")*)*"
#define PCHAR(extra) "(?:[" UNRESERVED SUB ":@" extra "]|" ESCAPED ")"
#define SEGMENTS(extra) "(?:/" PCHAR(extra) "*)*"
#define QUERY(extra, private) "(?:\\?(?:[" UNRESERVED SUB ":@/?" extra private "]|" ESCAPED ")*)?"
#define FRAGMENT(extra) "(?:#(?:[" UNRESERVED SUB ":@/?" extra "]|" ESCAPED ")*)?"
#define HIER(extra, private) URI_OF(extra, private) "|/(?:" PCHAR(extra) "+" SEGMENTS(extra) ")?|" PCHAR(extra) "+" SEGMENTS(extra) "|)"
#define RELATIVE(extra, private)                                                                                       \
    URI_OF(extra, private) "|/(?:" PCHAR(extra) "+" SEGMENTS(extra) ")?|(?:[" UNRESERVED SUB "@" extra "]|" ESCAPED ")+" SEGMENTS(extra) "|)"
#define SCHEME "[A-Za-z][A-Za-z0-9+.-]*:"
#define URI(extra, private) SCHEME HIER(extra, private) QUERY(extra, private) FRAGMENT(extra)
#define URI_REFERENCE(extra, private) "(?:" URI(extra, private) "|" RELATIVE(extra, private) QUERY(extra, private) FRAGMENT(extra) ")"
#define UCS                                                                                                            \
    "\\u00A0-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFEF\\u{10000}-\\u{1FFFD}\\u{20000}-\\u{2FFFD}\\u{30000}-\\u{3FFFD}\\u{40000}-\\u{4FFFD}"       \
    "\\u{50000}-\\u{5FFFD}\\u{60000}-\\u{6FFFD}\\u{70000}-\\u{7FFFD}\\u{80000}-\\u{8FFFD}\\u{90000}-\\u{9FFFD}\\u{A0000}-\\u{AFFFD}"            \
    "\\u{B0000}-\\u{BFFFD}\\u{C0000}-\\u{CFFFD}\\u{D0000}-\\u{DFFFD}\\u{E1000}-\\u{EFFFD}"
#define PRIVATE "\\uE000-\\uF8FF\\u{F0000}-\\u{FFFFD}\\u{100000}-\\u{10FFFD}"
#define POINTER "(?:/(?:[^/~]|~[01])*)*"
#define DURATION                                                                                                       \
    "P(?:[0-9]+W|(?:[0-9]+D|[0-9]+M(?:[0-9]+D)?|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?)(?:T(?:[0-9]+S|[0-9]+M(?:[0-9]+S)?|"    \
    "[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?))?|T(?:[0-9]+S|[0-9]+M(?:[0-9]+S)?|[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?))"
#define VARCHAR "(?:[A-Za-z0-9_]|" ESCAPED ")"
#define VARSPEC "(?:" VARCHAR "(?:\\.?" VARCHAR ")*(?::[1-9][0-9]{0,3}|\\*)?)"
#define URI_TEMPLATE                                                                                                   \
    "(?:[\\x21\\x23\\x24\\x26\\x28-\\x3B\\x3D\\x3F-\\x5B\\x5D\\x5F\\x61-\\x7A\\x7E\\u00A0-\\u{10FFFD}]|" ESCAPED "|\\{[+#./;?&=,!@|]?" VARSPEC "(?:," VARSPEC ")*\\})*"
// A pattern whose groups nest at most four deep: each of these is a valid regular expression.
#define RX_ESCAPE "\\\\(?:[dDwWsSbBtnrfv0^$\\\\.*+?()\\[\\]{}|/-]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"
#define RX_CLASS "\\[\\^?(?:[^\\\\\\]\\[-]|\\\\[dDwWsStnrfv0^$\\\\.*+?()\\[\\]{}|/-]|[a-z]-z|[A-Z]-Z|[0-9]-9|a-[a-z]|A-[A-Z]|0-[0-9])(?:[^\\\\\\]\\[-]|\\\\[dDwWsStnrfv0^$\\\\.*+?()\\[\\]{}|/-]|[a-z]-z|[A-Z]-Z|[0-9]-9|a-[a-z]|A-[A-Z]|0-[0-9])*-?\\]"
#define RX_REPEAT "(?:[*+?]\\??|\\{[0-9]{1,3}(?:,)?\\}[?]?)?"
#define RX_ATOM "(?:[^\\\\()\\[\\]{}*+?|^$]|" RX_ESCAPE "|" RX_CLASS ")" RX_REPEAT
#define RX_0 "(?:" RX_ATOM "|[|^$])*"
#define RX_NEXT(inner) "(?:" RX_ATOM "|[|^$]|\\((?:\\?[:=!])?" inner "\\)(?:[*+?]\\??|\\{[0-9]{1,3}(?:,)?\\}[?]?)?)*"

static const struct {
    const char *name, *pattern;
    uint32_t longest;           // characters, 0: no limit
    const char *before_seconds; // what comes before a time that may be a leap second
} formats[] = {
    { "date", DATE, 0, NULL },
    { "time", TIME, 0, "" },
    { "date-time", DATE "[tT]" TIME, 0, DATE "[tT]" },
    { "duration", DURATION, 0, NULL },
    { "email", EMAIL, 0, NULL },
    { "idn-email", IDN_EMAIL, 0, NULL },
    { "hostname", HOST, 253, NULL },
    { "ipv4", IPV4, 0, NULL },
    { "ip-address", IPV4, 0, NULL },
    { "ipv6", IPV6, 0, NULL },
    { "uri", URI("", ""), 0, NULL },
    { "uri-reference", URI_REFERENCE("", ""), 0, NULL },
    { "iri", URI(UCS, PRIVATE), 0, NULL },
    { "iri-reference", URI_REFERENCE(UCS, PRIVATE), 0, NULL },
    { "uri-template", URI_TEMPLATE, 0, NULL },
    { "uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}", 0, NULL },
    { "json-pointer", POINTER, 0, NULL },
    { "relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")", 0, NULL },
    { "regex", RX_NEXT(RX_NEXT(RX_NEXT(RX_0))), 0, NULL },
};

// A leap second is 23:59:60 UTC, so its offset follows from the local time. Both are "hh:mm"; their digits at one place are
// told by pairs, and what holds of several places is a conjunction: few terms, where listing the times would take 2,880.
enum { HOUR_TENS, HOUR_UNITS, MINUTE_TENS, MINUTE_UNITS, PLACES };

typedef struct leap {
    rti_regexes *r;
    rti_regex digits[10], any, minutes, between; // between the local time and its offset: ":60", a fraction, the sign
    rti_regex tails[PLACES][10];                 // from behind the local digit at a place to the end, by the offset's digit there
} leap;

static rti_regex digit_range(rti_regexes *r, uint32_t low, uint32_t high)
{
    return rti_regex_set(r, rti_charset_of_ranges(&r->sets, &(rti_range){ '0' + low, '0' + high }, 1));
}

// Digits [from, to) of a time, a colon before its minutes, then `rest`.
static rti_regex any_digits(leap *x, int from, int to, rti_regex rest)
{
    rti_regex colon = rti_regex_literal(x->r, ":", 1);
    if (to == MINUTE_TENS) rest = rti_regex_concat(x->r, colon, rest);
    for (int i = to; i-- > from;) {
        rest = rti_regex_concat(x->r, i == MINUTE_TENS ? x->minutes : x->any, rest);
        if (i == MINUTE_TENS) rest = rti_regex_concat(x->r, colon, rest);
    }
    return rest;
}

// Times whose digit at a place is `local` and whose offset's is `offset`.
static rti_regex pair(leap *x, int place, uint32_t local, uint32_t offset)
{
    rti_regex *tail = &x->tails[place][offset];
    if (*tail == 0) {
        rti_regex rest = any_digits(x, place + 1, PLACES, RTI_REGEX_EMPTY);
        rest = rti_regex_concat(x->r, x->between, any_digits(x, 0, place, rti_regex_concat(x->r, x->digits[offset], rest)));
        *tail = any_digits(x, place + 1, PLACES, rest);
    }
    return any_digits(x, 0, place, rti_regex_concat(x->r, x->digits[local], *tail));
}

// Digits [low, high] at a place, each with the one that is `sum` less it, or (sum < 0) `-sum - 1` more.
static rti_regex pairs(leap *x, int place, int low, int high, int sum)
{
    rti_regex terms[10];
    for (int i = low; i <= high; i++) terms[i - low] = pair(x, place, (uint32_t)i, (uint32_t)(sum >= 0 ? sum - i : i - sum - 1));
    return rti_regex_or(x->r, terms, (uint32_t)(high - low + 1));
}
enum { SAME = -1, NEXT = -2 };

static rti_regex both_of(leap *x, rti_regex a, rti_regex b)
{
    return rti_regex_and2(x->r, a, b);
}

static void begin_leap(leap *x, rti_regexes *r, char sign)
{
    *x = (leap){ .r = r, .any = digit_range(r, 0, 9), .minutes = digit_range(r, 0, 5) };
    for (uint32_t i = 0; i < 10; i++) x->digits[i] = digit_range(r, i, i);
    rti_regex dot = rti_regex_concat(r, rti_regex_literal(r, ".", 1), rti_regex_repeat(r, x->any, 1, RTI_REGEX_UNBOUNDED));
    x->between = rti_regex_concat(r, rti_regex_repeat(r, dot, 0, 1), rti_regex_literal(r, &sign, 1));
    x->between = rti_regex_concat(r, rti_regex_literal(r, ":60", 3), x->between);
}

// Behind a minus, minutes add up to 59 and hours to 23.
static rti_regex leap_minus(rti_regexes *r)
{
    leap x;
    begin_leap(&x, r, '-');
    rti_regex minutes = both_of(&x, pairs(&x, MINUTE_TENS, 0, 5, 5), pairs(&x, MINUTE_UNITS, 0, 9, 9));
    rti_regex early = both_of(&x, pairs(&x, HOUR_TENS, 0, 2, 2), pairs(&x, HOUR_UNITS, 0, 3, 3));
    rti_regex late = both_of(&x, pairs(&x, HOUR_TENS, 0, 1, 1), pairs(&x, HOUR_UNITS, 4, 9, 13));
    return both_of(&x, minutes, rti_regex_or2(r, early, late));
}

// Behind a plus, the offset is a minute more than the local time.
static rti_regex leap_plus(rti_regexes *r)
{
    leap x;
    begin_leap(&x, r, '+');
    rti_regex one_more = both_of(&x, pairs(&x, MINUTE_TENS, 0, 5, SAME), pairs(&x, MINUTE_UNITS, 0, 8, NEXT));
    rti_regex ten_more = both_of(&x, pairs(&x, MINUTE_TENS, 0, 4, NEXT), pair(&x, MINUTE_UNITS, 9, 0));
    rti_regex hour_more = both_of(&x, pair(&x, MINUTE_TENS, 5, 0), pair(&x, MINUTE_UNITS, 9, 0));
    rti_regex same = rti_regex_or2(r, both_of(&x, pairs(&x, HOUR_TENS, 0, 1, SAME), pairs(&x, HOUR_UNITS, 0, 9, SAME)),
                                   both_of(&x, pair(&x, HOUR_TENS, 2, 2), pairs(&x, HOUR_UNITS, 0, 3, SAME)));
    rti_regex next[] = {
        both_of(&x, pairs(&x, HOUR_TENS, 0, 1, SAME), pairs(&x, HOUR_UNITS, 0, 8, NEXT)),
        both_of(&x, pairs(&x, HOUR_TENS, 0, 1, NEXT), pair(&x, HOUR_UNITS, 9, 0)),
        both_of(&x, pair(&x, HOUR_TENS, 2, 2), pairs(&x, HOUR_UNITS, 0, 2, NEXT)),
        both_of(&x, pair(&x, HOUR_TENS, 2, 0), pair(&x, HOUR_UNITS, 3, 0)),
    };
    rti_regex in_hour = both_of(&x, rti_regex_or2(r, one_more, ten_more), same);
    return rti_regex_or2(r, in_hour, both_of(&x, hour_more, rti_regex_or(r, next, RTI_COUNT(next))));
}

static rti_regex with_leap_seconds(rti_regexes *r, rti_regex term, const char *before)
{
    rti_regex also = rti_regex_or2(r, leap_minus(r), leap_plus(r));
    if (before[0] != 0) also = rti_regex_concat(r, rti_regex_parse(r, before, strlen(before), false, "grammar: format"), also);
    return rti_regex_or2(r, term, also);
}

rti_regex rti_format_term(rti_compiler *c, uint32_t place, const char *name, uint32_t size)
{
    rti_regexes *r = &c->g->regexes;
    for (size_t i = 0; i < RTI_COUNT(formats); i++) {
        if (size == 12 && memcmp(name, "idn-hostname", size) == 0) {
            rti_refuse(c, RT_ERROR_UNSUPPORTED, place, "idn-hostname is not supported");
        }
        if (strlen(formats[i].name) != size || memcmp(formats[i].name, name, size) != 0) continue;
        if (c->formats[i] == 0) {
            rti_regex term = rti_regex_parse(r, formats[i].pattern, strlen(formats[i].pattern), false, "grammar: format");
            if (formats[i].longest != 0) term = rti_regex_and2(r, term, rti_regex_length(r, 0, formats[i].longest));
            if (formats[i].before_seconds != NULL) term = with_leap_seconds(r, term, formats[i].before_seconds);
            c->formats[i] = term;
        }
        return c->formats[i];
    }
    return RTI_REGEX_NOTHING;
}

bool rti_format_integer(const char *name, uint32_t size, const char **low, const char **high)
{
    static const struct {
        const char *name, *low, *high;
    } integers[] = {
        { "int32", "-2147483648", "2147483647" },
        { "int64", "-9223372036854775808", "9223372036854775807" },
        { "uint32", "0", "4294967295" },
        { "uint64", "0", "18446744073709551615" },
    };
    for (size_t i = 0; i < RTI_COUNT(integers); i++) {
        if (strlen(integers[i].name) != size || memcmp(integers[i].name, name, size) != 0) continue;
        *low = integers[i].low;
        *high = integers[i].high;
        return true;
    }
    return false;
}
