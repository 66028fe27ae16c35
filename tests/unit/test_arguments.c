// The pieces of which the arguments of a chosen call are made: a schema's parameters, where a value ends, what it may copy.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "call/argue.h"
#include "call/spent.h"

static rp_text text(const char *string)
{
    return (rp_text){ string, strlen(string) };
}

static void check_text(rp_text given, const char *expected)
{
    assert_int_equal(given.size, strlen(expected));
    assert_memory_equal(given.data, expected, given.size);
}

static void test_parameters(void **state)
{
    (void)state;
    rp_text schema = text("{\"type\": \"object\", \"required\": [\"b\"], \"properties\": {\"a\": {\"description\": \"An \\u00e4\", "
                          "\"default\": 3}, \"b\": true, \"c\\n\": {}}}");
    rpi_parameter parameter;
    assert_true(rpi_parameters_are_listed(schema));
    assert_true(rpi_parameter_read(schema, 0, &parameter));
    check_text(parameter.key, "\"a\"");
    check_text(parameter.description, "\"An \\u00e4\"");
    check_text(parameter.fallback, "3");
    assert_false(parameter.is_required);
    assert_true(rpi_parameter_read(schema, 1, &parameter));
    check_text(parameter.key, "\"b\"");
    assert_int_equal(parameter.description.size, 0);
    assert_true(parameter.is_required);
    assert_false(rpi_parameter_read(schema, 2, &parameter)); // its key would have to be written otherwise
    assert_false(rpi_parameter_read(schema, 3, &parameter));
    assert_false(rpi_parameter_read(text("{\"type\": \"object\"}"), 0, &parameter));
    assert_false(rpi_parameters_are_listed(text("{\"properties\": {}, \"anyOf\": []}")));
    assert_false(rpi_parameters_are_listed(text("true")));
}

// References and lists of one schema lead to the parameters.
static void test_schemas_that_lead_on(void **state)
{
    (void)state;
    static const char object[] = "{\"type\": \"object\", \"required\": [\"b\"], \"properties\": {\"b\": {\"$ref\": \"#/$defs/place\"}}}";
    char schema[512];
    rpi_parameter parameter;
    static const char *const leads[] = {
        "{\"$ref\": \"#/$defs/ride\", \"$defs\": {\"ride\": %s, \"place\": {\"description\": \"where\"}}}",
        "{\"title\": \"x\", \"allOf\": [{\"$ref\": \"#/$defs/ride\"}], \"$defs\": {\"ride\": %s, \"place\": {\"description\": \"where\"}}}",
        "{\"anyOf\": [%s], \"$defs\": {\"place\": {\"anyOf\": [{\"description\": \"where\"}]}}}",
    };
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        snprintf(schema, sizeof schema, leads[i], object);
        assert_true(rpi_parameters_are_listed(text(schema)));
        assert_true(rpi_parameter_read(text(schema), 0, &parameter));
        check_text(parameter.key, "\"b\"");
        check_text(parameter.description, "\"where\"");
        assert_true(parameter.is_required);
        assert_false(rpi_parameter_read(text(schema), 1, &parameter));
    }
    assert_true(rpi_parameters_are_listed(text("{\"type\": \"object\", \"properties\": {\"a\": {}}, \"minProperties\": 1}")));
    static const char *const others[] = {
        "{\"$ref\": \"#\"}", "{\"$ref\": \"#/$defs/a\"}", "{\"$ref\": \"other.json\"}", "{\"$ref\": \"#/a~1b\", \"a/b\": {}}",
        "{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"$ref\": \"#/$defs/a\"}}}", "{\"anyOf\": [{}, {}]}", "{\"allOf\": {\"a\": {}}}",
        "{\"$ref\": \"#/$defs/a\", \"minProperties\": 1, \"$defs\": {\"a\": {}}}", "{\"$ref\": \"\"}", "{\"allOf\": []}",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(rpi_parameters_are_listed(text(others[i])));
        assert_false(rpi_parameter_read(text(others[i]), 0, &parameter));
    }
}

// How much of the text is one value.
static void check_value(const char *json, size_t expected, bool over)
{
    for (size_t step = 1; step <= 3; step++) {
        rpi_value value = { 0 };
        size_t size = strlen(json), taken = 0, got = 0;
        for (size_t at = 0; at < size && !value.is_over && got == taken; at += step) {
            got += size - at < step ? size - at : step;
            taken += rpi_value_take(&value, json + at, size - at < step ? size - at : step);
        }
        assert_int_equal(taken, expected);
        assert_int_equal(value.is_over, over);
        assert_int_equal(value.size, expected);
    }
}

static void test_where_values_end(void **state)
{
    (void)state;
    check_value("\"a\\\"b\", \"k\"", 6, true);
    check_value("12.5e3}", 6, true);
    check_value("-3\n", 2, true);
    check_value("17", 2, false);
    check_value("true, ", 4, true);
    check_value("[1, [\"]\", {}], 2], x", 17, true);
    check_value("{\"a\": \"}\", \"b\": 2}}", 18, true);
    rpi_value value = { 0 };
    rpi_value_take(&value, "[\"ab", 4);
    assert_int_equal(value.literal, RPI_LITERAL_STRING);
    assert_int_equal(value.begin, 2);
    rpi_value_take(&value, "\", 45", 5);
    assert_int_equal(value.literal, RPI_LITERAL_NUMBER);
    assert_int_equal(value.begin, 7);
}

static rt_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    rt_tokenizer_def def = rt_default_tokenizer_def();
    def.path = "tests/data/models/calls";
    return rt_tokenizer_open(&def, &tokenizer) == RT_OK ? 0 : -1;
}

static int close_tokenizer(void **state)
{
    (void)state;
    rt_tokenizer_close(tokenizer);
    return 0;
}

// Whether a token that goes on begins with that byte: 1 from words that are free, -1 from spent ones, 0 none does.
static int goes_on(const rpi_copy *copy, char byte)
{
    for (int32_t i = 0; i < copy->count; i++) {
        const char *bytes;
        size_t size;
        if (rt_tokenizer_bytes(tokenizer, copy->tokens[i], &bytes, &size) && size > 0 && bytes[0] == byte)
            return copy->standing[i] < RPI_STANDING_FREE ? -1 : 1;
    }
    return 0;
}

static rpi_copy find(const char *line, const char *arguments, const char *content, rpi_literal literal, bool of_few)
{
    rpi_copy copy;
    rpi_source source = { .line = text(line), .arguments = text(arguments) };
    rpi_copy_find(tokenizer, &source, text(content), literal, of_few, &copy);
    return copy;
}

static void test_words_of_the_line(void **state)
{
    (void)state;
    static const char line[] = "A ride from York to Bath, for $1,250 or 40.";
    rpi_copy copy = find(line, "{\"from\": ", "", RPI_LITERAL_STRING, false);
    assert_int_equal(goes_on(&copy, 'Y'), 1);
    assert_int_equal(goes_on(&copy, 'B'), 1);
    assert_int_equal(goes_on(&copy, 'o'), 1);  // or
    assert_int_equal(goes_on(&copy, 'k'), 0);  // no word begins so
    assert_int_equal(goes_on(&copy, '$'), 0);
    assert_false(copy.may_close);
    copy = find(line, "{\"from\": ", "Yo", RPI_LITERAL_STRING, false);
    assert_int_equal(goes_on(&copy, 'r'), 1);
    assert_false(copy.may_close);
    copy = find(line, "{\"from\": ", "york", RPI_LITERAL_STRING, false);
    assert_int_equal(goes_on(&copy, ' '), 1);
    assert_true(copy.may_close);
    copy = find(line, "{\"to\": ", "Bath", RPI_LITERAL_STRING, false);
    assert_int_equal(goes_on(&copy, ','), 0); // a pause is no advantage
    assert_true(copy.may_close && copy.close == RPI_STANDING_FREE);
    copy = find(line, "{\"from\": \"York\", \"to\": ", "", RPI_LITERAL_STRING, false);
    assert_int_equal(goes_on(&copy, 'Y'), -1);
    assert_int_equal(goes_on(&copy, 'B'), 1);
    copy = find("a seafood restaurant", "", "", RPI_LITERAL_STRING, true);
    assert_int_equal(goes_on(&copy, 'S'), 1);
    copy = find("a seafood restaurant", "", "", RPI_LITERAL_STRING, false);
    assert_int_equal(goes_on(&copy, 'S'), 0);
}

static void test_numbers_of_the_line(void **state)
{
    (void)state;
    static const char line[] = "For $1,250 or 40.";
    rpi_copy copy = find(line, "{\"cost\": ", "", RPI_LITERAL_NUMBER, true);
    assert_int_equal(goes_on(&copy, '1'), 1);
    assert_int_equal(goes_on(&copy, '4'), 1);
    assert_int_equal(goes_on(&copy, '2'), 0);
    copy = find(line, "{\"cost\": ", "1", RPI_LITERAL_NUMBER, true);
    assert_int_equal(goes_on(&copy, '2'), 1);
    assert_false(copy.may_close);
    copy = find(line, "{\"cost\": ", "1250", RPI_LITERAL_NUMBER, true);
    assert_true(copy.may_close && copy.close == RPI_STANDING_FREE && copy.count == 0);
    copy = find(line, "{\"cost\": 1250, \"other\": ", "", RPI_LITERAL_NUMBER, true);
    assert_int_equal(goes_on(&copy, '1'), -1);
    assert_int_equal(goes_on(&copy, '4'), 1);
    copy = find("", "", "", RPI_LITERAL_NUMBER, true);
    assert_true(copy.count == 0 && !copy.may_close);
}

static rpi_copy find_behind(const char *line, const char *calls, const char *key, const char *arguments)
{
    rpi_copy copy;
    rpi_source source = { text(line), text(calls), text("\"weigh\""), text(key), text(arguments) };
    rpi_copy_find(tokenizer, &source, text(""), RPI_LITERAL_NUMBER, false, &copy);
    return copy;
}

// Behind a call, numbers are gone through in the order of the line, each by the parameter after whose words it stands.
static void test_words_of_calls_before(void **state)
{
    (void)state;
    static const char line[] = "The first weighs 75 kg and is 180 cm tall, the second weighs 60 kg and is 165 cm tall, the third weighs 90 kg";
    static const char calls[] = "[{\"name\": \"weigh\", \"arguments\": {\"weight\": 75, \"height\": 180}}]";
    rpi_copy copy = find_behind(line, calls, "\"weight\"", "{");
    assert_int_equal(goes_on(&copy, '6'), 1);
    assert_int_equal(goes_on(&copy, '7'), -1); // may be meant again, but not because it stands there
    assert_int_equal(goes_on(&copy, '9'), -1); // not yet
    copy = find_behind(line, calls, "\"height\"", "{\"weight\": 60, ");
    assert_int_equal(goes_on(&copy, '1'), 1);
    assert_int_equal(goes_on(&copy, '9'), -1);
    copy = find_behind("a field of 5 T and a time of 4 s, then a time of 10 s",
                       "[{\"name\": \"weigh\", \"arguments\": {\"field\": 5, \"time\": 4}}]", "\"field\"", "{");
    assert_int_equal(goes_on(&copy, '1'), -1); // another parameter's
}

static void check_exchange(const char *calls, const char *arguments, const char *expected, int32_t found, int32_t exchanged)
{
    rt_host host = { 0 };
    rpi_buffer line = { 0 };
    int32_t got_found, got_exchanged;
    rpi_source source = { .line = text("Sell me 5 arrows and 3 torches, then 1,200 nails."), .calls = text(calls),
                          .name = text("\"sell\""), .arguments = text(arguments) };
    assert_true(rpi_spent_exchange(&source, &host, &line, &got_found, &got_exchanged));
    assert_int_equal(got_found, found);
    assert_int_equal(got_exchanged, exchanged);
    check_text((rp_text){ line.data, line.size }, expected);
    rpi_buffer_free(&host, &line);
}

static void test_exchange(void **state)
{
    (void)state;
    static const char before[] = "[{\"name\": \"sell\", \"arguments\": {\"count\": 5, \"item\": \"arrows\"}}]";
    check_exchange(before, "{\"count\": 3, \"item\": \"torches\"}", "Sell me 3 torches and 5 arrows, then 1,200 nails.", 2, 2);
    check_exchange(before, "{\"count\": 1200, \"item\": \"Arrows\"}", "Sell me 1,200 arrows and 3 torches, then 5 nails.", 1, 1);
    check_exchange(before, "{\"count\": 5, \"item\": \"arrows\"}", "Sell me 5 arrows and 3 torches, then 1,200 nails.", 0, 0);
    check_exchange(before, "{\"other\": \"nails\"}", "Sell me 5 arrows and 3 torches, then 1,200 nails.", 1, 0);
    check_exchange("[{\"name\": \"buy\", \"arguments\": {\"count\": 5}}]", "{\"count\": 3}",
                   "Sell me 5 arrows and 3 torches, then 1,200 nails.", 1, 0);
    check_exchange("not JSON", "{\"count\": [3, {\"a\": \"to", "Sell me 5 arrows and 3 torches, then 1,200 nails.", 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_schemas_that_lead_on),
        cmocka_unit_test(test_where_values_end),
        cmocka_unit_test(test_words_of_the_line),
        cmocka_unit_test(test_numbers_of_the_line),
        cmocka_unit_test(test_words_of_calls_before),
        cmocka_unit_test(test_exchange),
    };
    return cmocka_run_group_tests_name("arguments", tests, open_tokenizer, close_tokenizer);
}
