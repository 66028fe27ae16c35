// grammar/schema.h - JSON Schema to nodes.
//
// A node stands for a conjunction of atoms, an atom for a place in the schema, meant or denied. Opening a node evaluates its
// atoms for each type of value apart: strings and numbers in algebras that are closed under and, or and not (strings.h,
// numbers.h); arrays and objects as a disjunction of conjunctions of terms (cases.h). Children are conjunctions again, so
// recursion ends where a conjunction has been seen before. That is the translation of an alternating tree automaton to a
// nondeterministic one, taken lazily.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_SCHEMA_H
#define RTI_GRAMMAR_SCHEMA_H

#include "grammar/grammar.h"
#include "grammar/json.h"

// An atom: place << 2 | constant << 1 | denied. `constant`: the value equals the JSON value at the place.
typedef uint32_t rti_atom;
#define RTI_ATOM_NEVER 0xFFFFFFFCu // nothing

enum { RTI_ATOM_DENIED = 1, RTI_ATOM_CONSTANT = 2 };
static inline rti_atom rti_atom_make(uint32_t place, bool denied)
{
    return place << 2 | (denied ? RTI_ATOM_DENIED : 0);
}

typedef struct rti_atoms {
    const rti_atom *items; // sorted, each once
    uint32_t count;
} rti_atoms;

typedef enum rti_keyword {
#define RTI_KEYWORDS(X)                                                                                                \
    X(type, "type") X(enum_, "enum") X(const_, "const") X(properties, "properties") X(required, "required")            \
    X(additional_properties, "additionalProperties") X(pattern_properties, "patternProperties")                       \
    X(property_names, "propertyNames") X(min_properties, "minProperties") X(max_properties, "maxProperties")          \
    X(items, "items") X(prefix_items, "prefixItems") X(additional_items, "additionalItems") X(contains, "contains")    \
    X(min_contains, "minContains") X(max_contains, "maxContains") X(min_items, "minItems") X(max_items, "maxItems")    \
    X(unique_items, "uniqueItems") X(pattern, "pattern") X(min_length, "minLength") X(max_length, "maxLength")         \
    X(format, "format") X(minimum, "minimum") X(maximum, "maximum") X(exclusive_minimum, "exclusiveMinimum")           \
    X(exclusive_maximum, "exclusiveMaximum") X(multiple_of, "multipleOf") X(all_of, "allOf") X(any_of, "anyOf")        \
    X(one_of, "oneOf") X(not_, "not") X(if_, "if") X(then, "then") X(else_, "else") X(ref, "$ref")                     \
    X(dynamic_ref, "$dynamicRef") X(recursive_ref, "$recursiveRef") X(dependencies, "dependencies")                    \
    X(dependent_required, "dependentRequired") X(dependent_schemas, "dependentSchemas")                                \
    X(unevaluated_properties, "unevaluatedProperties") X(unevaluated_items, "unevaluatedItems")
#define X(name, text) RTI_KEYWORD_##name,
    RTI_KEYWORDS(X)
#undef X
    RTI_KEYWORD_COUNT
} rti_keyword;

// The keywords of one schema object, found once.
typedef struct rti_schema {
    uint32_t place;
    uint64_t present;
    uint32_t at[RTI_KEYWORD_COUNT]; // places, RTI_JSON_NONE
    uint32_t target;                // of $ref, RTI_JSON_NONE until resolved
} rti_schema;

typedef struct rti_name {
    const char *text;
    uint32_t size;
    uint32_t mark, slot; // scratch of members.c
    uint32_t counted;    // and of objects.c
} rti_name;

typedef struct rti_resource {
    uint32_t place;   // its root
    const char *uri;  // absolute or as written, without fragment
    uint32_t size;
} rti_resource;

typedef struct rti_strings rti_strings;

typedef struct rti_compiler {
    rt_grammar *g;
    rti_pool *pool; // what is needed while compiling only
    rti_json json;
    bool plain_integers;
    int draft; // 4, 6, 7, 2019, 2020; 0: not said
    uint32_t where; // place of what is being worked on, for messages
    char where_text[320];

    const void *keyword_index;
    rti_schema **schemas; // by place
    rti_name *names;
    uint32_t name_count, name_capacity;
    rti_id_table name_table;
    uint32_t mark;

    rti_resource *resources;
    uint32_t resource_count, resource_capacity;
    bool resources_ready;

    rti_atoms *nodes; // atoms of each node of the grammar
    uint32_t node_capacity;
    rti_id_table node_table;
    uint32_t opened; // nodes below this one are done
    uint32_t opening_type; // of the next one (rti_type), and what is known of it
    rti_node opening;
    const void *finishing; // objects or numbers of the node, and which of their cases is next
    uint32_t finishing_at;
    rti_atoms *lists; // of places or atoms that terms refer to
    uint32_t list_count, list_capacity;
    int depth;       // of in-place applicators
    int disjoint_depth;
    uint64_t work;   // cases multiplied, for the limit

    // regex terms by pattern place, terminals by content, lexers by term, numbers by block
    rti_regex *patterns; // by place; 0 unknown
    rti_id_table pattern_table, terminal_table, lexer_table;
    rti_lexer **lexers;
    uint32_t *lexer_terms;
    uint32_t lexer_count, lexer_capacity, lexer_term_capacity;
    rti_number_block *blocks;
    uint32_t block_capacity;
    rti_regex formats[64];
} rti_compiler;

void rti_compiler_begin(rti_compiler *c, rt_grammar *g); // *c is zeroed, but for its pool
// After the text was read: finds the draft and the resources, makes the root's node.
void rti_compiler_start(rti_compiler *c);
// Opens one more node; true when all are.
bool rti_compiler_step(rti_compiler *c);
// Finds nodes that no value satisfies, drops what leads to them. REJECTED where the root is one.
void rti_compiler_finish(rti_compiler *c);

// Refuses, naming the keyword's JSON pointer.
_Noreturn void rti_refuse(rti_compiler *c, rt_result code, uint32_t place, const char *format, ...) RT_PRINTF(4, 5);

const rti_schema *rti_schema_at(rti_compiler *c, uint32_t place);
static inline bool rti_schema_has(const rti_schema *s, rti_keyword keyword)
{
    return (s->present >> keyword & 1) != 0;
}
uint32_t rti_schema_target(rti_compiler *c, rti_schema *s, rti_keyword keyword); // of a reference (references.c)
void rti_find_resources(rti_compiler *c);

uint32_t rti_name_of(rti_compiler *c, const char *text, uint32_t size);
uint32_t rti_node_of(rti_compiler *c, rti_atom *atoms, uint32_t count); // sorts; a node id, 0 for never
// The place that is being worked on and the keyword there that most likely matters: "grammar: schema: /properties/x/oneOf".
const char *rti_where(rti_compiler *c);
const char *rti_place(rti_compiler *c, uint32_t place); // "grammar: schema: /properties/x", valid until the next call

// A non-negative integer keyword; TRUE when it is there.
bool rti_schema_size(rti_compiler *c, const rti_schema *s, rti_keyword keyword, uint32_t *value);
bool rti_json_equal(rti_compiler *c, uint32_t a, uint32_t b);

// ---------------------------------------------------------------------------------------------------------------------
// Domains (evaluate.c): one boolean structure over every type of value
// ---------------------------------------------------------------------------------------------------------------------

typedef enum rti_type {
    RTI_TYPE_SIMPLE, // null, true, false
    RTI_TYPE_NUMBER,
    RTI_TYPE_STRING,
    RTI_TYPE_ARRAY,
    RTI_TYPE_OBJECT,
    RTI_TYPE_COUNT
} rti_type;

typedef const void *rti_set; // a set of values of one type; NULL is the empty one

typedef struct rti_domain {
    rti_set (*all)(rti_compiler *c);
    rti_set (*both)(rti_compiler *c, rti_set a, rti_set b);
    rti_set (*either)(rti_compiler *c, rti_set a, rti_set b);
    rti_set (*keywords)(rti_compiler *c, const rti_schema *s, bool denied); // those of this type
    rti_set (*constant)(rti_compiler *c, uint32_t place, bool denied);      // equal to a value of this type
    bool (*disjoint)(rti_compiler *c, rti_set a, rti_set b);                // surely; false: perhaps not
    rti_set (*constants)(rti_compiler *c, const uint32_t *places, uint32_t count, bool denied); // any of many; may be NULL
} rti_domain;

extern const rti_domain rti_simple_domain, rti_number_domain, rti_string_domain, rti_array_domain, rti_object_domain;

rti_set rti_evaluate(rti_compiler *c, rti_type type, rti_atom atom);
rti_set rti_evaluate_all(rti_compiler *c, rti_type type, const rti_atom *atoms, uint32_t count);
bool rti_atoms_surely_empty(rti_compiler *c, const rti_atom *atoms, uint32_t count, int depth);

// Every member or item that none of the schemas at these places evaluates is as the schema at `place` says; `denied`: some is
// not.
rti_set rti_object_unevaluated(rti_compiler *c, uint32_t place, const uint32_t *places, uint32_t count, bool denied);
rti_set rti_array_unevaluated(rti_compiler *c, uint32_t place, const uint32_t *places, uint32_t count, bool denied);

// Sets to parts of a node.
void rti_simple_finish(rti_compiler *c, rti_set set, uint32_t *literals);
// A number's blocks in turn, from *block on; true: that was all. False: call it again.
bool rti_number_finish(rti_compiler *c, rti_set set, uint32_t *block, rti_node *node, uint32_t *literals);
void rti_string_finish(rti_compiler *c, rti_set set, rti_node *node, uint32_t *literals);
void rti_array_finish(rti_compiler *c, rti_set set, rti_node *node);
bool rti_object_finish(rti_compiler *c, rti_set set, uint32_t at, rti_node *node); // its cases in turn; true: that was the last

// Literal tries.
uint32_t rti_literal_add(rti_compiler *c, uint32_t *root, const char *bytes, size_t size, uint32_t value); // its last place
void rti_literal_add_value(rti_compiler *c, uint32_t *root, const char *bytes, size_t size, uint64_t hash);
size_t rti_json_spell(const char *text, size_t size, char *out); // with quotes and needed escapes; out: 6 * size + 2

// Strings (strings.c)
rti_regex rti_pattern_at(rti_compiler *c, uint32_t place, const char *text, uint32_t size); // `pattern` text to a term
rti_lexer *rti_lexer_of(rti_compiler *c, rti_regex term);
bool rti_regex_is_empty(rti_compiler *c, rti_regex term);
bool rti_regex_matches(rti_compiler *c, rti_regex term, const char *text, size_t size);
bool rti_string_set_contains(rti_compiler *c, rti_set set, const char *text, uint32_t size);
// The terminals of a string set, restricted to `term` and without `excluded` names; literals apart.
typedef void rti_terminal_sink(rti_compiler *c, void *user, uint32_t terminal, bool finite);
typedef void rti_literal_sink(rti_compiler *c, void *user, const char *text, uint32_t size);
void rti_string_set_split(rti_compiler *c, rti_set set, rti_regex term, const uint32_t *excluded, uint32_t excluded_count,
                          rti_terminal_sink *terminals, rti_literal_sink *literals, void *user);
// formats.c: RTI_REGEX_NOTHING: not a known format
rti_regex rti_format_term(rti_compiler *c, uint32_t place, const char *name, uint32_t size);
bool rti_format_integer(const char *name, uint32_t size, const char **low, const char **high);

#endif
