// `format`, asserted. Each is a regular expression; where the standard's language is not regular the nearest exact subset.
// SPDX-License-Identifier: MIT
#include "grammar/schema.h"

#include <string.h>

#define DATE                                                                                                           \
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" \
    "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[048]|[2468][048]|[13579][26])00)-02-29)"
#define OFFSET "(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define TIME                                                                                                           \
    "(?:(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?" OFFSET ")|(?:23:59:60(?:\\.[0-9]+)?(?:[zZ]|[+-]00:00)))"
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
    uint32_t longest; // characters, 0: no limit
} formats[] = {
    { "date", DATE, 0 },
    { "time", TIME, 0 },
    { "date-time", DATE "[tT]" TIME, 0 },
    { "duration", DURATION, 0 },
    { "email", EMAIL, 0 },
    { "idn-email", IDN_EMAIL, 0 },
    { "hostname", HOST, 253 },
    { "ipv4", IPV4, 0 },
    { "ip-address", IPV4, 0 },
    { "ipv6", IPV6, 0 },
    { "uri", URI("", ""), 0 },
    { "uri-reference", URI_REFERENCE("", ""), 0 },
    { "iri", URI(UCS, PRIVATE), 0 },
    { "iri-reference", URI_REFERENCE(UCS, PRIVATE), 0 },
    { "uri-template", URI_TEMPLATE, 0 },
    { "uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}", 0 },
    { "json-pointer", POINTER, 0 },
    { "relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")", 0 },
    { "regex", RX_NEXT(RX_NEXT(RX_NEXT(RX_0))), 0 },
};

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
