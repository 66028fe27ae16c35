// call/value.c - a schema's parameters one by one, and where a JSON value ends.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "prompt/text.h"
#include "call/argue.h"

enum { MOST_PARAMETERS = 64, MOST_LEADS = 16 };

// Keywords with which the members of an object are not just its properties.
static const char *const REFINEMENTS[] = { "anyOf", "oneOf", "allOf", "not", "if", "$ref", "$dynamicRef", "dependentRequired",
                                           "dependentSchemas", "dependencies", "patternProperties", "propertyNames",
                                           "maxProperties", "const", "enum" };

static bool text_equals(rp_text a, rp_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool lists(rp_text array, rp_text key)
{
    rpi_json_walk walk = rpi_json_begin(array);
    while (rpi_json_next(&walk))
        if (text_equals(walk.value, key))
            return true;
    return false;
}

static bool key_is(rp_text key, const char *name)
{
    return key.size == strlen(name) + 2 && memcmp(key.data + 1, name, key.size - 2) == 0;
}

static bool is_refinement(rp_text key)
{
    for (size_t i = 0; i < RPI_COUNT(REFINEMENTS); i++)
        if (key_is(key, REFINEMENTS[i]))
            return true;
    return false;
}

// What a schema says beside what it leads to.
static const char *const ANNOTATIONS[] = { "$schema", "$id", "$defs", "definitions", "$comment", "title", "description", "default",
                                           "examples", "deprecated", "readOnly", "writeOnly" };

static bool is_annotation(rp_text key)
{
    for (size_t i = 0; i < RPI_COUNT(ANNOTATIONS); i++)
        if (key_is(key, ANNOTATIONS[i]))
            return true;
    return false;
}

// The schema that "#/$defs/name" stands for; an empty text where it is not so simple.
static rp_text follow_reference(rp_text root, rp_text reference)
{
    const char *at = reference.data + 1, *end = reference.data + reference.size - 1;
    if (reference.size < 3 || *at != '#' || memchr(at, '\\', (size_t)(end - at)) != NULL ||
        memchr(at, '~', (size_t)(end - at)) != NULL || memchr(at, '%', (size_t)(end - at)) != NULL)
        return (rp_text){ 0 };
    for (at++; at < end;) {
        const char *slash = memchr(at + 1, '/', (size_t)(end - at - 1));
        const char *stop = slash != NULL ? slash : end;
        if (*at != '/' || rpi_json_kind(root) != '{')
            return (rp_text){ 0 };
        rpi_json_walk walk = rpi_json_begin(root);
        rp_text member = { 0 };
        while (rpi_json_next(&walk))
            if (walk.key.size == (size_t)(stop - at) + 1 && memcmp(walk.key.data + 1, at + 1, walk.key.size - 2) == 0)
                member = walk.value;
        root = member;
        at = stop;
    }
    return root;
}

// What the schema itself leads to with its only keyword: a reference, or a list of one schema; empty where it does not.
static rp_text lead_of(rp_text root, rp_text schema)
{
    rp_text lead = { 0 };
    int32_t keywords = 0;
    rpi_json_walk walk = rpi_json_begin(schema);
    while (rpi_json_next(&walk)) {
        if (!walk.is_object)
            return (rp_text){ 0 };
        if (is_annotation(walk.key))
            continue;
        keywords++;
        if (key_is(walk.key, "$ref") && rpi_json_kind(walk.value) == '"') {
            lead = follow_reference(root, walk.value);
        } else if (key_is(walk.key, "allOf") || key_is(walk.key, "anyOf") || key_is(walk.key, "oneOf")) {
            rpi_json_walk list = rpi_json_begin(walk.value);
            if (!list.is_object && rpi_json_next(&list))
                lead = list.value;
            if (rpi_json_next(&list))
                return (rp_text){ 0 };
        }
    }
    return keywords == 1 ? lead : (rp_text){ 0 };
}

// The schema behind references and lists of one; itself where it leads nowhere, or in a circle.
static rp_text resolve(rp_text root, rp_text schema)
{
    rp_text at = schema;
    for (int32_t step = 0; step < MOST_LEADS && rpi_json_kind(at) == '{'; step++) {
        rp_text next = lead_of(root, at);
        if (next.size == 0)
            return at;
        at = next;
    }
    return schema;
}

bool rpi_parameters_are_listed(rp_text schema)
{
    schema = resolve(schema, schema);
    rpi_json_walk walk = rpi_json_begin(schema);
    while (rpi_json_next(&walk))
        if (!walk.is_object || is_refinement(walk.key))
            return false;
    return rpi_json_kind(schema) == '{';
}

bool rpi_parameter_read(rp_text schema, int32_t number, rpi_parameter *parameter)
{
    rp_text properties = { 0 }, required = { 0 }, root = schema;
    schema = resolve(root, schema);
    rpi_json_walk walk = rpi_json_begin(schema);
    while (rpi_json_next(&walk)) {
        if (!walk.is_object)
            return false;
        if (key_is(walk.key, "properties"))
            properties = walk.value;
        if (key_is(walk.key, "required"))
            required = walk.value;
    }
    if (number >= MOST_PARAMETERS || rpi_json_kind(properties) != '{')
        return false;
    walk = rpi_json_begin(properties);
    while (rpi_json_next(&walk)) {
        if (number-- > 0)
            continue;
        if (memchr(walk.key.data, '\\', walk.key.size) != NULL) // written otherwise than it is spelt here
            return false;
        *parameter = (rpi_parameter){ .key = walk.key, .is_required = lists(required, walk.key) };
        if (rpi_json_kind(walk.value) == '{') {
            rp_text behind = resolve(root, walk.value);
            parameter->description = rpi_json_member(walk.value, "description");
            if (parameter->description.size == 0)
                parameter->description = rpi_json_member(behind, "description");
            parameter->fallback = rpi_json_member(walk.value, "default");
        }
        if (rpi_json_kind(parameter->description) != '"')
            parameter->description = (rp_text){ 0 };
        return true;
    }
    return false;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static void take_string_byte(rpi_value *value, char byte)
{
    if (value->escaped) {
        value->escaped = false;
    } else if (byte == '\\') {
        value->escaped = value->has_escapes = true;
    } else if (byte == '"') {
        value->literal = RPI_LITERAL_NONE;
        value->is_over = value->depth == 0;
    }
}

// Whether the byte ends a number or a word that it is no part of.
static bool ends_bare(char byte)
{
    return byte == ',' || byte == '}' || byte == ']' || is_space(byte);
}

// False: the byte is not part of the value any more.
static bool take_byte(rpi_value *value, char byte)
{
    if (value->literal == RPI_LITERAL_STRING) {
        take_string_byte(value, byte);
        return true;
    }
    if (value->literal == RPI_LITERAL_NUMBER || value->is_word) {
        if (!ends_bare(byte))
            return true;
        value->literal = RPI_LITERAL_NONE;
        value->is_word = false;
        value->is_over = value->depth == 0;
        if (value->is_over)
            return false;
    }
    if (byte == '"' || byte == '-' || (byte >= '0' && byte <= '9')) {
        value->literal = byte == '"' ? RPI_LITERAL_STRING : RPI_LITERAL_NUMBER;
        value->begin = value->size + (byte == '"');
        value->has_escapes = false;
    } else if (byte == '{' || byte == '[') {
        value->depth++;
    } else if (byte == '}' || byte == ']') {
        value->is_over = --value->depth <= 0;
    } else if (byte >= 'a' && byte <= 'z') {
        value->is_word = true;
    }
    return true;
}

size_t rpi_value_take(rpi_value *value, const char *bytes, size_t size)
{
    size_t taken = 0;
    for (; taken < size && !value->is_over; taken++) {
        if (!take_byte(value, bytes[taken]))
            break;
        value->size++;
    }
    return taken;
}
