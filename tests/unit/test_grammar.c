// Schemas with instances that do and do not satisfy them, judged as bytes and through the masks. Every mask is compared with
// asking about each token in turn, and every walk is driven on at random: it must never run into a dead end.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/grammar.h"

static rt_vocabulary *vocabulary;

typedef struct schema_case {
    const char *schema;
    const char *valid[9]; // NULL ends
    const char *invalid[12];
} schema_case;

static const schema_case cases[] = {
    // types
    { "{\"type\":\"string\"}", { "\"\"", "\"a b\"", "\"\\n\\u00e9\\ud83d\\ude00\"", "\"caf\xC3\xA9\"" }, { "1", "\"a", "\"\\ud83d\"", "\"\\x\"", "\"\xC3\"", "\"a\nb\"" } },
    { "{\"type\":\"integer\"}", { "0", "-1", "123456789012345678901234567890", "1.0", "-70.00" }, { "1.5", "1.", "1.01", "01", "-0", "1e5", "\"1\"", "--1" } },
    { "{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"type\":\"integer\"}", { "0", "-1" }, { "1.0", "1.5" } },
    { "{\"type\":\"string\",\"not\":{\"pattern\":\"foo|bar\"}}", { "\"\"", "\"of\"", "\"fo o ba r\"", "\"a longer one: of oo\"" }, { "\"foo\"", "\"xbarx\"", "\"f\\u006fo\"" } },
    { "{\"type\":\"string\",\"pattern\":\"o\",\"not\":{\"pattern\":\"operator|maker\"}}", { "\"operato\"", "\"no make\"" }, { "\"make\"", "\"operator\"", "\"a maker o\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^[a-z]{3,8}-[0-9]{2}$\"}", { "\"abc-12\"", "\"abcdefgh-00\"" }, { "\"ab-12\"", "\"abcdefghi-12\"", "\"abc-123\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^\\\\S+( \\\\S+){0,2}$\"}", { "\"a\"", "\"one two three\"" }, { "\"\"", "\" a\"", "\"a b c d\"", "\"a  b\"" } },
    { "{\"type\":\"string\",\"pattern\":\"[a-z]{3}\",\"maxLength\":4}", { "\"abc\"", "\"1abc\"", "\"\\u00e9abc\"" }, { "\"12abc\"", "\"ab\"", "\"abcde\"" } },
    { "{\"type\":\"integer\",\"exclusiveMinimum\":2,\"maximum\":4}", { "3", "4.0", "3.00" }, { "2", "2.0", "3.5", "4.00001", "5.0" } },
    { "{\"type\":\"number\"}", { "0", "-0.0", "1.5", "1e-06", "1.5e+16", "2E3" }, { "1.", ".5", "1e", "00", "1e999", "+1" } },
    { "{\"type\":[\"boolean\",\"null\"]}", { "true", "false", "null" }, { "0", "True", "\"null\"", "nul" } },
    { "{}", { "1", "\"x\"", "[1, {\"a\": null}]", "{}", "[]" }, { "[1,2]", "{\"a\":1}", "[1, ]", "" } },
    { "{\"type\":[\"integer\",\"string\"],\"minLength\":2,\"minimum\":5}", { "5", "\"ab\"" }, { "4", "\"a\"", "null" } },
    // enum and const
    { "{\"enum\":[\"red\",\"green\",\"a\\\"b\",3,null,[1,2],{\"a\":1}]}", { "\"red\"", "\"green\"", "\"a\\\"b\"", "3", "3.0", "null", "[1, 2]", "{\"a\": 1}" },
      { "\"re\"", "\"redd\"", "4", "[1]", "{\"a\": 2}", "{}", "30" } },
    { "{\"const\":1.50}", { "1.50", "1.5" }, { "1.51", "2", "\"1.5\"" } },
    { "{\"enum\":[\"a\",\"ab\"],\"minLength\":2}", { "\"ab\"" }, { "\"a\"" } },
    // objects
    { "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"required\":[\"a\"],\"additionalProperties\":false}",
      { "{\"a\": 1}", "{\"a\": 1, \"b\": \"x\"}" }, { "{}", "{\"b\": \"x\"}", "{\"a\": \"x\"}", "{\"a\": 1, \"c\": 1}", "{\"b\": \"x\", \"a\": 1}", "{\"a\": 1, \"a\": 1}" } },
    { "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}", { "{}", "{\"a\": 1, \"z\": []}", "{\"z\": 1, \"y\": 2}" },
      { "{\"z\": 1, \"a\": 1}", "{\"a\": \"\"}", "{\"z\": 1, \"z\": 1}", "{\"\\u0061\": true}" } },
    { "{\"type\":\"object\",\"required\":[\"x\",\"y\"]}", { "{\"x\": 1, \"y\": 1}", "{\"y\": 1, \"q\": 0, \"x\": 1}" }, { "{\"x\": 1}", "{}" } },
    { "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"},\"properties\":{\"s\":{\"type\":\"string\"}}}", { "{\"s\": \"\", \"t\": 1}" }, { "{\"t\": \"\"}", "{\"s\": 1}" } },
    { "{\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"integer\"},\"y$\":{\"minimum\":5}},\"additionalProperties\":false}",
      { "{\"xa\": 1}", "{\"ay\": null}", "{\"xy\": 5}" }, { "{\"xy\": 4}", "{\"a\": 1}", "{\"x\": \"\"}", "{\"y\": 3}" } },
    { "{\"type\":\"object\",\"propertyNames\":{\"maxLength\":2,\"pattern\":\"^a\"}}", { "{\"a\": 1, \"ab\": 2}" }, { "{\"abc\": 1}", "{\"b\": 1}" } },
    { "{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"a\",\"b\"]},\"minProperties\":2}", { "{\"a\": 1, \"b\": 2}", "{\"b\": 1, \"a\": 2}" }, { "{\"a\": 1}", "{\"a\": 1, \"c\": 2}" } },
    { "{\"type\":\"object\",\"minProperties\":2,\"maxProperties\":3}", { "{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"b\": 2, \"c\": 3}" },
      { "{\"a\": 1}", "{\"a\": 1, \"b\": 1, \"c\": 1, \"d\": 1}", "{\"a\": 1, \"a\": 2}" } },
    { "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"additionalProperties\":false,\"minProperties\":2}", { "{\"a\": 1, \"c\": 1}", "{\"b\": 1, \"c\": 1}" }, { "{\"c\": 1}", "{\"a\": 1}" } },
    { "{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]},\"dependentSchemas\":{\"c\":{\"properties\":{\"d\":{\"type\":\"null\"}}}}}",
      { "{}", "{\"b\": 1}", "{\"a\": 1, \"b\": 1}", "{\"d\": null, \"c\": 1}", "{\"d\": 1}" }, { "{\"a\": 1}", "{\"c\": 1, \"d\": 1}" } },
    // arrays
    { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}", { "[1]", "[1, 2, 3]" }, { "[]", "[1, 2, 3, 4]", "[\"\"]", "[1,2]" } },
    { "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"integer\"}],\"items\":false}", { "[]", "[\"\"]", "[\"\", 1]" }, { "[1]", "[\"\", 1, 1]" } },
    { "{\"items\":[{\"type\":\"string\"}],\"additionalItems\":{\"type\":\"null\"}}", { "[\"\", null]", "7" }, { "[1]", "[\"\", 1]" } },
    { "{\"type\":\"array\",\"contains\":{\"type\":\"integer\"},\"minContains\":2,\"maxContains\":3}", { "[1, \"\", 2]", "[1, 2, 3]" }, { "[1]", "[]", "[1, 2, 3, 4]" } },
    { "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"c\"]},\"uniqueItems\":true}", { "[\"a\", \"c\", \"b\"]", "[]" }, { "[\"a\", \"a\"]", "[\"a\", \"b\", \"a\"]" } },
    { "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"enum\":[\"a\",1]},{\"type\":[\"string\",\"number\"]}]},\"uniqueItems\":true}", { "[\"a\", 1, \"b\"]", "[0, 1e2, 1e-2]" },
      { "[\"a\", \"a\"]", "[1, 1.0]", "[0, -0.0]", "[100, 1e2]" } },
    { "{\"type\":\"array\",\"uniqueItems\":true}", { "[{\"a\": 1}, {\"a\": 2}, [1], [[1]]]", "[{}, [], null, 0, false]", "[[1, 2], [2, 1]]" },
      { "[{\"a\": 1, \"b\": [2]}, {\"b\": [2.0], \"a\": 1}]", "[[], []]", "[{}, {}]", "[[{\"a\": null}], [{\"a\": null}]]" } },
    { "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"boolean\"}},\"required\":[\"k\"],\"additionalProperties\":false}}",
      { "[{\"k\": true}, {\"k\": false}]", "[]" }, { "[{\"k\": true}, {\"k\": true}]", "[{\"k\": true}, {\"k\": false}, " } },
    { "{\"type\":\"array\",\"uniqueItems\":true,\"minItems\":3,\"prefixItems\":[{\"enum\":[1,2,3]},{\"enum\":[1,2,3]},{\"enum\":[1,2]}]}", { "[1, 3, 2]", "[3, 1, 2]" }, { "[1, 2" } },
    { "{\"type\":\"object\",\"not\":{\"propertyNames\":{\"pattern\":\"^a\",\"not\":{\"const\":\"ab\"}}}}", { "{\"b\": 1}", "{\"a\": 1, \"ab\": 2}" }, { "{}", "{\"a\": 1}" } },
    { "{\"format\":\"time\",\"type\":\"string\"}", { "\"23:59:60Z\"", "\"15:59:60-08:00\"", "\"01:29:60.5+01:30\"", "\"23:29:60+23:30\"", "\"00:29:60-23:30\"" },
      { "\"15:59:60+08:00\"", "\"22:59:60Z\"", "\"01:29:60+01:29\"", "\"00:29:60-23:29\"" } },
    { "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"number\"]},\"uniqueItems\":true}", { "[\"a\", \"b\", 1, 10, 1.5]" }, { "[\"a\", \"\\u0061\"]", "[1, 1.0]", "[1.5, 1.50]" } },
    // strings
    { "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", { "\"ab\"", "\"\xC3\xA9\xC3\xA9\xC3\xA9\"", "\"\\n\\n\"", "\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"" }, { "\"a\"", "\"abcd\"", "\"\xC3\xA9\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^[a-c]+(-[0-9]{2,3})?$\"}", { "\"abc\"", "\"a-12\"", "\"c-123\"" }, { "\"\"", "\"d\"", "\"a-\"", "\"a-1\"", "\"a-1234\"", "\"xa\"" } },
    { "{\"type\":\"string\",\"pattern\":\"b\"}", { "\"b\"", "\"abc\"", "\"\\u0062\"" }, { "\"a\"", "\"\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^(?!x)[a-z]*$\"}", { "\"\"", "\"ax\"" }, { "\"x\"", "\"xa\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^\\\\p{Lu}\\\\w*$\"}", { "\"A\"", "\"\xC3\x89" "a1\"" }, { "\"a\"", "\"A \"" } },
    { "{\"type\":\"string\",\"pattern\":\"^a|b$\",\"maxLength\":2}", { "\"a\"", "\"ax\"", "\"xb\"" }, { "\"xa\"", "\"axx\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^(ab){2,}$\",\"maxLength\":7}", { "\"abab\"", "\"ababab\"" }, { "\"ab\"", "\"abababab\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^(/?[a-z]*($|/))*$\"}", { "\"\"", "\"/a/b\"", "\"a/\"" }, { "\"A\"", "\"a b\"" } },
    { "{\"type\":\"string\",\"not\":{\"pattern\":\"a\"}}", { "\"\"", "\"bcd\"" }, { "\"a\"", "\"bab\"" } },
    { "{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"abc\"]}}", { "\"ab\"", "\"abcd\"", "\"\"" }, { "\"a\"", "\"abc\"", "\"\\u0061\"" } },
    { "{\"type\":\"string\",\"format\":\"date\"}", { "\"2024-02-29\"", "\"1999-12-31\"" }, { "\"2023-02-29\"", "\"2024-13-01\"", "\"2024-1-1\"", "\"1900-02-29\"" } },
    { "{\"type\":\"string\",\"format\":\"date-time\"}", { "\"2024-02-29T12:00:00Z\"", "\"1985-04-12T23:20:50.52+01:30\"" }, { "\"2024-02-29\"", "\"2024-02-29T25:00:00Z\"" } },
    { "{\"type\":\"string\",\"format\":\"ipv4\"}", { "\"127.0.0.1\"", "\"255.255.255.255\"" }, { "\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\"" } },
    { "{\"type\":\"string\",\"format\":\"ipv6\"}", { "\"::1\"", "\"2001:db8::8a2e:370:7334\"", "\"::ffff:1.2.3.4\"" }, { "\"12345::\"", "\"1::2::3\"", "\":\"" } },
    { "{\"type\":\"string\",\"format\":\"uuid\"}", { "\"2eb8aa08-aa98-11ea-b4aa-73b441d16380\"" }, { "\"2eb8aa08aa9811eab4aa73b441d16380\"" } },
    { "{\"type\":\"string\",\"format\":\"uri\"}", { "\"http://a.com/b?c=%20#d\"", "\"urn:x:y\"" }, { "\"//a\"", "\"a b\"", "\"http:// \"" } },
    { "{\"type\":\"string\",\"format\":\"email\"}", { "\"joe@a.com\"" }, { "\"joe\"", "\"a@b@c\"" } },
    { "{\"type\":\"string\",\"format\":\"duration\"}", { "\"P4DT12H30M5S\"", "\"P2W\"" }, { "\"PT1D\"", "\"P\"", "\"P1Y2W\"" } },
    { "{\"type\":\"string\",\"format\":\"something else\"}", { "\"x\"" }, { "1" } },
    // numbers
    { "{\"type\":\"integer\",\"minimum\":-3,\"maximum\":120}", { "-3", "0", "99", "120" }, { "-4", "121", "1000", "-10" } },
    { "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1.5}", { "0.1", "1.5", "1e-5", "0.0001" }, { "0", "1.6", "-1", "1e5", "1.51" } },
    { "{\"type\":\"number\",\"minimum\":10,\"exclusiveMinimum\":true}", { "10.1", "11", "1.1e1" }, { "10", "10.0", "9", "1e1" } },
    { "{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":10}", { "14", "21", "700" }, { "7", "15", "20" } },
    { "{\"type\":\"number\",\"multipleOf\":0.01}", { "1.25", "3", "-0.5", "0.10" }, { "1.255", "0.001" } },
    { "{\"type\":\"number\",\"not\":{\"type\":\"integer\"},\"minimum\":0}", { "0.5", "10.25" }, { "1", "1.0" } },
    { "{\"type\":\"integer\",\"not\":{\"multipleOf\":3},\"minimum\":0,\"maximum\":10}", { "1", "10" }, { "0", "3", "9" } },
    { "{\"type\":\"integer\",\"format\":\"int32\"}", { "2147483647", "-2147483648" }, { "2147483648", "99999999999" } },
    { "{\"type\":\"number\",\"minimum\":1e-09,\"maximum\":4.294967295}", { "1e-09", "4.294967295", "2.5" }, { "1e-10", "4.2949672951", "0", "-1" } },
    // combinations
    { "{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}},{\"properties\":{\"a\":{\"minimum\":3},\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]}]}",
      { "{\"a\": 3, \"b\": null}", "{\"b\": null}" }, { "{\"a\": 2, \"b\": null}", "{\"a\": 3}" } },
    { "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":1},{\"type\":\"integer\"},{\"type\":\"string\",\"pattern\":\"^z\"}]}", { "\"a\"", "5", "\"zoo\"" }, { "\"ab\"", "null" } },
    { "{\"oneOf\":[{\"type\":\"integer\",\"multipleOf\":2},{\"type\":\"integer\",\"multipleOf\":3}]}", { "2", "3", "4" }, { "6", "12", "5", "0" } },
    { "{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\"}", { "{\"a\": 1}", "{\"b\": 1, \"c\": 1}" }, { "{}", "{\"a\": 1, \"b\": 1}", "{\"b\": 1, \"a\": 1}" } },
    { "{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"integer\"}},\"required\":[\"k\",\"v\"]},{\"properties\":{\"k\":{\"const\":\"b\"},\"v\":{\"type\":\"string\"}},"
      "\"required\":[\"k\",\"v\"]}],\"type\":\"object\"}", { "{\"k\": \"a\", \"v\": 1}", "{\"k\": \"b\", \"v\": \"\"}" }, { "{\"k\": \"a\", \"v\": \"\"}", "{\"k\": \"b\", \"v\": 1}", "{\"k\": \"c\", \"v\": 1}" } },
    { "{\"not\":{\"type\":\"object\",\"required\":[\"a\"]}}", { "{}", "{\"b\": 1}", "1" }, { "{\"a\": 1}" } },
    { "{\"type\":\"object\",\"not\":{\"properties\":{\"a\":{\"type\":\"integer\"}}}}", { "{\"a\": \"\"}", "{\"a\": null, \"b\": 1}" }, { "{}", "{\"a\": 1}", "{\"b\": 1}" } },
    { "{\"type\":\"object\",\"not\":{\"additionalProperties\":{\"type\":\"integer\"}}}", { "{\"x\": \"\"}", "{\"x\": 1, \"y\": null}" }, { "{}", "{\"x\": 1}" } },
    { "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[\"x\",\"y\"]}},\"required\":[\"a\"],\"if\":{\"properties\":{\"a\":{\"const\":\"x\"}}},\"then\":{\"required\":[\"b\"]},"
      "\"else\":{\"properties\":{\"c\":{\"type\":\"null\"}}}}", { "{\"a\": \"x\", \"b\": 1}", "{\"a\": \"y\"}", "{\"a\": \"y\", \"c\": null}" }, { "{\"a\": \"x\"}", "{\"a\": \"y\", \"c\": 1}" } },
    { "{\"type\":\"array\",\"not\":{\"items\":{\"type\":\"integer\"}}}", { "[\"\"]", "[1, null]" }, { "[]", "[1]" } },
    // unevaluated
    { "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"unevaluatedProperties\":false}",
      { "{}", "{\"a\": 1}" }, { "{\"b\": 1}", "{\"a\": 1, \"b\": 1}", "{\"a\": \"\"}" } },
    { "{\"allOf\":[{\"properties\":{\"a\":{}}},{\"$ref\":\"#/$defs/b\"}],\"type\":\"object\",\"patternProperties\":{\"^x\":{}},\"unevaluatedProperties\":{\"type\":\"null\"},\"$defs\":{\"b\":{\"properties\":{\"b\":{}}}}}",
      { "{\"a\": 1, \"b\": 2}", "{\"x1\": 1, \"q\": null}", "{\"q\": null}" }, { "{\"q\": 1}", "{\"a\": 1, \"r\": 2}" } },
    { "{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"a\",\"b\"]}},\"anyOf\":[{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"integer\"}},\"required\":[\"k\"]},{\"properties\":{\"w\":{\"type\":\"null\"}},\"required\":[\"w\"]}],\"unevaluatedProperties\":false}",
      { "{\"k\": \"a\"}", "{\"k\": \"a\", \"v\": 1}", "{\"k\": \"b\", \"w\": null}", "{\"k\": \"a\", \"v\": 1, \"w\": null}", "{\"w\": null}" }, { "{\"k\": \"b\"}", "{\"k\": \"b\", \"v\": 1, \"w\": null}", "{\"k\": \"a\", \"z\": 1}", "{\"k\": \"a\", \"w\": 1}" } },
    { "{\"type\":\"object\",\"if\":{\"properties\":{\"t\":{\"const\":1}},\"required\":[\"t\"]},\"then\":{\"properties\":{\"a\":{}}},\"else\":{\"properties\":{\"b\":{}}},\"unevaluatedProperties\":false}",
      { "{}", "{\"t\": 1, \"a\": 2}", "{\"t\": 1}", "{\"b\": 2}" }, { "{\"t\": 1, \"b\": 1}", "{\"a\": 1}", "{\"t\": 2}" } },
    { "{\"type\":\"object\",\"oneOf\":[{\"properties\":{\"a\":{}},\"required\":[\"a\"]},{\"properties\":{\"b\":{}},\"required\":[\"b\"]}],\"not\":{\"properties\":{\"c\":{}},\"required\":[\"d\"]},\"unevaluatedProperties\":false}",
      { "{\"a\": 1}", "{\"b\": 1}" }, { "{\"a\": 1, \"b\": 1}", "{\"a\": 1, \"c\": 1}", "{}" } },
    { "{\"type\":\"object\",\"properties\":{\"a\":{}},\"dependentSchemas\":{\"a\":{\"properties\":{\"b\":{}}}},\"unevaluatedProperties\":false}",
      { "{}", "{\"a\": 1, \"b\": 2}" }, { "{\"b\": 1}", "{\"a\": 1, \"c\": 1}" } },
    { "{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"integer\"}}],\"unevaluatedProperties\":false}",
      { "{\"a\": \"\", \"z\": 1}" }, { "{\"z\": \"\"}" } },
    { "{\"type\":\"object\",\"not\":{\"properties\":{\"a\":{}},\"unevaluatedProperties\":false}}",
      { "{\"b\": 1}", "{\"a\": 1, \"b\": 1}" }, { "{}", "{\"a\": 1}" } },
    { "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"}],\"anyOf\":[{\"prefixItems\":[{},{\"type\":\"integer\"}]},{\"minItems\":1}],\"unevaluatedItems\":false}",
      { "[\"a\"]", "[\"a\", 1]", "[]" }, { "[\"a\", \"\"]", "[\"a\", 1, 2]", "[1]" } },
    { "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}],\"contains\":{\"type\":\"string\"},\"unevaluatedItems\":{\"type\":\"integer\"}}",
      { "[null, \"a\", 1]", "[null, \"a\"]" }, { "[null, 1]", "[null, \"a\", null]", "[\"a\"]" } },
    { "{\"type\":\"array\",\"not\":{\"prefixItems\":[{}],\"unevaluatedItems\":false}}",
      { "[1, 2]" }, { "[]", "[1]" } },
    // conditions that some member must meet, or not be there
    { "{\"type\":\"object\",\"oneOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"required\":[\"a\"]},{\"properties\":{\"a\":{\"type\":\"string\"},\"c\":{\"type\":\"string\"}},\"required\":[\"c\"]}]}",
      { "{\"a\": 1}", "{\"c\": \"\"}", "{\"a\": 1, \"c\": \"\"}", "{\"a\": 1, \"c\": 1}" }, { "{}", "{\"a\": \"\"}", "{\"b\": \"\"}", "{\"a\": null, \"c\": 1}" } },
    { "{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\",\"b\"]},{\"required\":[\"b\",\"c\"]},{\"required\":[\"c\",\"d\"]}]}",
      { "{\"a\": 1, \"b\": 1}", "{\"b\": 1, \"c\": 1}", "{\"c\": 1, \"d\": 1}", "{\"a\": 1, \"c\": 1, \"d\": 1}" }, { "{\"a\": 1}", "{\"a\": 1, \"b\": 1, \"c\": 1}", "{\"a\": 1, \"b\": 1, \"c\": 1, \"d\": 1}", "{\"b\": 1, \"d\": 1}" } },
    { "{\"type\":\"object\",\"not\":{\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}},\"required\":[\"a\",\"b\"]},\"required\":[\"a\"],\"maxProperties\":2}",
      { "{\"a\": 1}", "{\"a\": 1, \"b\": 3}", "{\"a\": 2, \"b\": 2}" }, { "{\"a\": 1, \"b\": 2}", "{\"b\": 2}", "{\"a\": 2, \"b\": 1, \"c\": 1}" } },
    { "{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":false,\"properties\":{\"a\":{\"type\":\"integer\"}},\"not\":{\"properties\":{\"a\":{\"maximum\":5},\"b\":{}},\"required\":[\"a\"]}}",
      { "{\"a\": 6}" }, { "{\"a\": 5}", "{}" } },
    // ways that differ in what lies around
    { "{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"anyOf\":[{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"},\"minItems\":2},{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"},\"maxItems\":1},{\"type\":\"null\"}]}}}",
      { "[[[[]], [null, [null]]]]", "null" }, { "1", "[[[1]]]" } },
    // references
    { "{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tree\"}}},"
      "\"required\":[\"v\"],\"additionalProperties\":false}}}", { "{\"v\": 1}", "{\"v\": 1, \"kids\": [{\"v\": 2}, {\"v\": 3, \"kids\": []}]}" }, { "{}", "{\"v\": 1, \"kids\": [{}]}" } },
    { "{\"$id\":\"http://x.y/root.json\",\"properties\":{\"a\":{\"$ref\":\"item.json#here\"},\"b\":{\"$ref\":\"#/definitions/a~1b%25\"}},\"definitions\":{\"a/b%\":{\"type\":\"null\"},"
      "\"i\":{\"$id\":\"item.json\",\"$defs\":{\"q\":{\"$anchor\":\"here\",\"type\":\"integer\"}}}}}", { "{\"a\": 1, \"b\": null}" }, { "{\"a\": \"\"}", "{\"b\": 1}" } },
    { "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"definitions\":{\"s\":{\"type\":\"string\"}},\"items\":{\"$ref\":\"#/definitions/s\",\"maxLength\":1}}", { "[\"abc\"]" }, { "[1]" } },
    { "{\"definitions\":{\"s\":{\"type\":\"string\"}},\"items\":{\"$ref\":\"#/definitions/s\",\"maxLength\":1}}", { "[\"a\"]" }, { "[\"abc\"]" } },
    { "{\"properties\":{\"next\":{\"$ref\":\"#\"},\"x\":{\"type\":\"null\"}},\"additionalProperties\":false,\"type\":\"object\"}", { "{\"next\": {\"next\": {}, \"x\": null}}" }, { "{\"next\": {\"y\": 1}}", "{\"next\": 1}" } },
};

static rt_grammar *compile(const char *schema, rt_json_spacing spacing, bool any_order)
{
    rt_grammar_def def = rt_default_grammar_def();
    def.text = schema;
    def.text_size = strlen(schema);
    def.spacing = spacing;
    def.any_property_order = any_order;
    rt_grammar *grammar = NULL;
    rt_result result = rt_grammar_create(vocabulary, &def, &grammar);
    if (result != RT_OK)
        fail_msg("%s\n%s", schema, rt_error_message());
    return grammar;
}

static rt_matcher *new_matcher(rt_grammar *grammar)
{
    rt_matcher *matcher = NULL;
    assert_int_equal(rt_matcher_create(grammar, NULL, &matcher), RT_OK);
    return matcher;
}

static bool bit(const uint32_t *words, int token)
{
    return (words[token / 32] >> (token % 32) & 1) != 0;
}

// The mask, against asking about every token.
static void check_mask(rt_matcher *matcher, uint32_t *words, const char *schema)
{
    assert_int_equal(rt_matcher_mask(matcher, words), RT_OK);
    int allowed = 0;
    for (int token = 0; token < TEST_TOKENS; token++) {
        bool in_mask = bit(words, token), asked = rt_matcher_allows(matcher, token);
        if (in_mask != asked)
            fail_msg("%s: token %d: %s by the mask, %s when asked", schema, token, in_mask ? "allowed" : "refused", asked ? "allowed" : "refused");
        allowed += in_mask;
    }
    if (allowed == 0)
        fail_msg("%s: nothing is allowed", schema);
}

static bool accepts(rt_grammar *grammar, const char *text)
{
    rt_matcher *matcher = new_matcher(grammar);
    bool good = rt_matcher_commit_bytes(matcher, text, strlen(text)) == RT_OK && rt_matcher_may_end(matcher);
    rt_matcher_destroy(matcher);
    return good;
}

// The longest piece that the text goes on with.
static int next_token(const char *text, uint32_t turn)
{
    int best = TEST_CONTROL + (unsigned char)*text;
    size_t longest = 1;
    for (size_t i = 0; i < RTI_COUNT(test_pieces); i++) {
        size_t size = strlen(test_pieces[i]);
        if (size > longest && strncmp(test_pieces[i], text, size) == 0 && (turn + i) % 3 != 0) {
            best = TEST_CONTROL + 256 + (int)i;
            longest = size;
        }
    }
    return best;
}

static size_t token_size(int token)
{
    return token < TEST_CONTROL ? 0 : token < TEST_CONTROL + 256 ? 1 : strlen(test_pieces[token - TEST_CONTROL - 256]);
}

static void step_through(rt_grammar *grammar, const char *schema, const char *text, uint32_t turn)
{
    uint32_t words[TEST_TOKENS / 32 + 1];
    rt_matcher *matcher = new_matcher(grammar);
    for (const char *at = text; *at;) {
        check_mask(matcher, words, schema);
        int token = next_token(at, turn++);
        if (!bit(words, token))
            fail_msg("%s: %s: refused at \"%s\"", schema, text, at);
        assert_int_equal(rt_matcher_commit(matcher, token), RT_OK);
        at += token_size(token);
    }
    check_mask(matcher, words, schema);
    assert_true(bit(words, TEST_EOS));
    assert_int_equal(rt_matcher_commit(matcher, TEST_EOS), RT_OK);
    assert_true(rt_matcher_must_end(matcher));
    rt_matcher_destroy(matcher);
}

static void judges_as_the_schema_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTI_COUNT(cases); i++) {
        rt_grammar *grammar = compile(cases[i].schema, RT_JSON_SPACED, false);
        for (const char *const *text = cases[i].valid; *text; text++) {
            if (!accepts(grammar, *text))
                fail_msg("%s: refuses %s", cases[i].schema, *text);
            step_through(grammar, cases[i].schema, *text, (uint32_t)i);
        }
        for (const char *const *text = cases[i].invalid; *text; text++) {
            if (accepts(grammar, *text))
                fail_msg("%s: accepts %s", cases[i].schema, *text);
        }
        rt_grammar_release(grammar);
    }
}

static void integers_as_programs_hold_them(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"integer\",\"minimum\":-5}";
    rt_grammar_def def = rt_default_grammar_def();
    def.text = schema;
    def.text_size = strlen(schema);
    def.plain_integers = true;
    rt_grammar *grammar = NULL;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_OK);
    assert_true(accepts(grammar, "9223372036854775807"));
    assert_true(accepts(grammar, "-5"));
    assert_false(accepts(grammar, "9223372036854775808"));
    assert_false(accepts(grammar, "3.0"));
    assert_false(accepts(grammar, "-6"));
    rt_grammar_release(grammar);
}

static uint32_t random_state = 1;
static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

// Random tokens: the mask is never empty, and what was written is accepted again as plain bytes.
static void walks_never_run_into_a_dead_end(void **state)
{
    (void)state;
    static char text[8192];
    uint32_t words[TEST_TOKENS / 32 + 1];
    for (size_t i = 0; i < RTI_COUNT(cases); i++) {
        for (int round = 0; round < 6; round++) {
            rt_grammar *grammar = compile(cases[i].schema, round % 2 ? RT_JSON_FLEXIBLE : RT_JSON_SPACED, round % 3 == 0);
            rt_matcher *matcher = new_matcher(grammar);
            size_t size = 0;
            bool ended = false;
            for (int step = 0; step < 60 && !ended && size < sizeof text - 64; step++) {
                check_mask(matcher, words, cases[i].schema);
                int token = -1;
                for (uint32_t from = next_random(TEST_TOKENS), k = 0; k < TEST_TOKENS && token < 0; k++) {
                    if (bit(words, (int)((from + k) % TEST_TOKENS)))
                        token = (int)((from + k) % TEST_TOKENS);
                }
                if (bit(words, TEST_EOS) && step > 30)
                    token = TEST_EOS;
                assert_int_equal(rt_matcher_commit(matcher, token), RT_OK);
                ended = token == TEST_EOS;
                if (ended)
                    break;
                const char *piece = token < TEST_CONTROL + 256 ? NULL : test_pieces[token - TEST_CONTROL - 256];
                char byte = (char)(token - TEST_CONTROL);
                memcpy(text + size, piece ? piece : &byte, token_size(token));
                size += token_size(token);
            }
            text[size] = 0;
            rt_matcher *again = new_matcher(grammar);
            assert_int_equal(rt_matcher_commit_bytes(again, text, size), RT_OK);
            assert_int_equal(rt_matcher_may_end(again), rt_matcher_may_end(matcher));
            rt_matcher_destroy(again);
            rt_matcher_destroy(matcher);
            rt_grammar_release(grammar);
        }
    }
}

static void any_order_takes_any_order(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"null\"}},"
                         "\"required\":[\"a\",\"b\"],\"additionalProperties\":false}";
    rt_grammar *grammar = compile(schema, RT_JSON_SPACED, true);
    assert_true(accepts(grammar, "{\"b\": \"\", \"c\": null, \"a\": 1}"));
    assert_true(accepts(grammar, "{\"a\": 1, \"b\": \"\"}"));
    assert_false(accepts(grammar, "{\"b\": \"\", \"c\": null}"));
    assert_false(accepts(grammar, "{\"b\": \"\", \"a\": 1, \"b\": \"\"}"));
    rt_grammar_release(grammar);
    // More than there are bits for.
    static char long_schema[8192], text[8192];
    size_t used = (size_t)sprintf(long_schema, "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"p3\",\"p99\"],\"properties\":{");
    for (int i = 0; i < 100; i++) used += (size_t)sprintf(long_schema + used, "%s\"p%d\":{\"type\":\"null\"}", i ? "," : "", i);
    strcpy(long_schema + used, "}}");
    grammar = compile(long_schema, RT_JSON_SPACED, true);
    used = (size_t)sprintf(text, "{");
    for (int i = 99; i >= 0; i--) used += (size_t)sprintf(text + used, "%s\"p%d\": null", i < 99 ? ", " : "", i);
    strcpy(text + used, "}");
    assert_true(accepts(grammar, text));
    assert_true(accepts(grammar, "{\"p99\": null, \"p70\": null, \"p3\": null}"));
    assert_false(accepts(grammar, "{\"p70\": null, \"p71\": null, \"p70\": null, \"p3\": null, \"p99\": null}"));
    assert_false(accepts(grammar, "{\"p99\": null}"));
    rt_grammar_release(grammar);
}

static void spacing_is_what_the_def_says(void **state)
{
    (void)state;
    rt_grammar *grammar = compile("{}", RT_JSON_COMPACT, false);
    assert_true(accepts(grammar, "{\"a\":[1,2],\"b\":{}}"));
    assert_false(accepts(grammar, "[1, 2]"));
    rt_grammar_release(grammar);
    grammar = compile("{}", RT_JSON_FLEXIBLE, false);
    assert_true(accepts(grammar, "{ \"a\" :\n\t[ 1 ,2 ],\"b\":{ } }"));
    assert_false(accepts(grammar, " 1"));
    assert_false(accepts(grammar, "[1,                    2]")); // more than 16
    rt_grammar_release(grammar);
}

static rt_grammar *compile_kind(rt_grammar_kind kind, const char *text)
{
    rt_grammar_def def = rt_default_grammar_def();
    def.kind = kind;
    def.text = text;
    def.text_size = strlen(text);
    rt_grammar *grammar = NULL;
    if (rt_grammar_create(vocabulary, &def, &grammar) != RT_OK)
        fail_msg("%s: %s", text, rt_error_message());
    return grammar;
}

static void regular_expressions_and_choices(void **state)
{
    (void)state;
    rt_grammar *grammar = compile_kind(RT_GRAMMAR_REGEX, "(the|caf\xC3\xA9) [^\\n]{1,5}\\.?");
    step_through(grammar, "regex", "the abc\"", 1);
    step_through(grammar, "regex", "caf\xC3\xA9 \\x.", 2);
    assert_false(accepts(grammar, "the "));
    assert_false(accepts(grammar, "the \n"));
    rt_grammar_release(grammar);
    grammar = compile_kind(RT_GRAMMAR_CHOICES, "[\"red\",\"redder\",\"gr\\u00e9en\"]");
    step_through(grammar, "choices", "red", 1);
    step_through(grammar, "choices", "redder", 1);
    step_through(grammar, "choices", "gr\xC3\xA9" "en", 1);
    assert_false(accepts(grammar, "redd"));
    assert_false(accepts(grammar, ""));
    rt_grammar_release(grammar);
}

static void free_text_until_a_trigger(void **state)
{
    (void)state;
    rt_grammar_def def = rt_default_grammar_def();
    const char *triggers[] = { "<call>", NULL };
    rt_token tokens[] = { RT_TOKEN_NONE, TEST_TRIGGER };
    def.kind = RT_GRAMMAR_TRIGGERED;
    def.text = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"],\"additionalProperties\":false}";
    def.text_size = strlen(def.text);
    def.triggers = triggers;
    def.trigger_tokens = tokens;
    def.trigger_count = 2;
    rt_grammar *grammar = NULL;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_OK);
    assert_true(accepts(grammar, "just \"text\" {\n"));
    assert_true(accepts(grammar, "text <cal<call>{\"a\": 1}"));
    assert_false(accepts(grammar, "<call>"));
    assert_false(accepts(grammar, "<call>text"));
    assert_false(accepts(grammar, "<call>{\"a\": 1} more"));
    step_through(grammar, "triggered", "so <<call>{\"a\": 12}", 3);
    uint32_t words[TEST_TOKENS / 32 + 1];
    rt_matcher *matcher = new_matcher(grammar);
    check_mask(matcher, words, "triggered");
    assert_true(bit(words, TEST_TRIGGER));
    assert_int_equal(rt_matcher_commit(matcher, TEST_TRIGGER), RT_OK);
    check_mask(matcher, words, "triggered");
    assert_false(bit(words, TEST_TRIGGER));
    assert_int_equal(rt_matcher_commit_bytes(matcher, "{\"a\": 1}", 8), RT_OK);
    assert_true(rt_matcher_must_end(matcher));
    rt_matcher_destroy(matcher);
    rt_grammar_release(grammar);
}

static void forced_bytes_are_known(void **state)
{
    (void)state;
    rt_grammar *grammar = compile("{\"type\":\"object\",\"properties\":{\"name\":{\"enum\":[\"grey\",\"green\"]}},\"required\":[\"name\"],\"additionalProperties\":false}", RT_JSON_SPACED, false);
    rt_matcher *matcher = new_matcher(grammar);
    char bytes[64];
    size_t size;
    assert_int_equal(rt_matcher_forced(matcher, bytes, sizeof bytes, &size), RT_OK);
    assert_int_equal(size, strlen("{\"name\": \"gre"));
    assert_memory_equal(bytes, "{\"name\": \"gre", size);
    assert_int_equal(rt_matcher_commit_bytes(matcher, bytes, size), RT_OK);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "y", 1), RT_OK);
    assert_int_equal(rt_matcher_forced(matcher, bytes, 1, &size), RT_OK);
    assert_int_equal(size, 1);
    assert_int_equal(rt_matcher_forced(matcher, bytes, sizeof bytes, &size), RT_OK);
    assert_int_equal(size, 2);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "\"}", 2), RT_OK);
    assert_int_equal(rt_matcher_forced(matcher, bytes, sizeof bytes, &size), RT_OK);
    assert_int_equal(size, 0);
    assert_true(rt_matcher_must_end(matcher));
    rt_matcher_destroy(matcher);
    rt_grammar_release(grammar);
}

// A refused token leaves the walk where it was; a clone goes its own way; reset begins anew.
static void walks_can_be_refused_cloned_and_reset(void **state)
{
    (void)state;
    rt_grammar *grammar = compile("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", RT_JSON_SPACED, false);
    rt_matcher *matcher = new_matcher(grammar), *clone = NULL;
    assert_int_equal(rt_matcher_commit_bytes(matcher, "[1", 2), RT_OK);
    assert_int_equal(rt_matcher_commit_bytes(matcher, ", x", 3), RT_ERROR_REJECTED);
    assert_int_equal(rt_matcher_commit(matcher, TEST_CONTROL + 'x'), RT_ERROR_REJECTED);
    assert_int_equal(rt_matcher_commit(matcher, TEST_EOS), RT_ERROR_REJECTED);
    assert_int_equal(rt_matcher_commit(matcher, TEST_TOKENS), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_matcher_clone(matcher, &clone), RT_OK);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "]", 1), RT_OK);
    assert_true(rt_matcher_may_end(matcher));
    assert_false(rt_matcher_may_end(clone));
    assert_int_equal(rt_matcher_commit_bytes(clone, ", 2]", 4), RT_OK);
    rt_matcher_reset(matcher);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "[]", 2), RT_OK);
    rt_matcher_destroy(clone);
    rt_matcher_destroy(matcher);
    rt_grammar_release(grammar);
}

// Masks and compilations in many small steps give the same.
static void steps_give_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTI_COUNT(cases); i += 3) {
        rt_grammar_def def = rt_default_grammar_def();
        def.text = cases[i].schema;
        def.text_size = strlen(def.text);
        rt_grammar_compilation *compilation = NULL;
        rt_grammar *grammar = NULL;
        assert_int_equal(rt_grammar_compilation_begin(vocabulary, &def, &compilation), RT_OK);
        for (bool done = false; !done;) assert_int_equal(rt_grammar_compilation_step(compilation, 0, &done, &grammar), RT_OK);
        assert_non_null(grammar);
        rt_grammar_compilation_destroy(compilation);
        rt_matcher *matcher = new_matcher(grammar);
        uint32_t whole[TEST_TOKENS / 32 + 1], stepped[TEST_TOKENS / 32 + 1];
        for (const char *at = cases[i].valid[0]; *at; at++) {
            for (bool done = false; !done;) assert_int_equal(rt_matcher_mask_step(matcher, stepped, 0, &done), RT_OK);
            rt_matcher *other = NULL;
            assert_int_equal(rt_matcher_clone(matcher, &other), RT_OK);
            assert_int_equal(rt_matcher_mask(other, whole), RT_OK);
            rt_matcher_destroy(other);
            assert_memory_equal(whole, stepped, sizeof whole);
            assert_int_equal(rt_matcher_commit_bytes(matcher, at, 1), RT_OK);
        }
        rt_matcher_destroy(matcher);
        rt_grammar_release(grammar);
    }
}

static int set_up(void **state)
{
    (void)state;
    return test_vocabulary(NULL, &vocabulary) == RT_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rt_vocabulary_release(vocabulary);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_as_the_schema_says),
        cmocka_unit_test(integers_as_programs_hold_them),
        cmocka_unit_test(walks_never_run_into_a_dead_end),
        cmocka_unit_test(any_order_takes_any_order),
        cmocka_unit_test(spacing_is_what_the_def_says),
        cmocka_unit_test(regular_expressions_and_choices),
        cmocka_unit_test(free_text_until_a_trigger),
        cmocka_unit_test(forced_bytes_are_known),
        cmocka_unit_test(walks_can_be_refused_cloned_and_reset),
        cmocka_unit_test(steps_give_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
