// rt/grammar.h - constrained decoding: JSON Schema, regular expression or choices to a mask over the vocabulary.
//
// A grammar is compiled once, immutable, and shared by any number of matchers on any number of threads. A matcher is one
// walk through it: it gives the mask of tokens allowed next and takes the token that was chosen. What cannot be enforced
// exactly is refused when the grammar is compiled, by keyword and JSON pointer; nothing is silently ignored.
//
// Method: a byte-level automaton, built lazily, walked together with a trie of the vocabulary (Willard and Louf 2023,
// arXiv:2307.09702; Dong et al. 2024, arXiv:2411.15100; Microsoft's llguidance for lazy derivative automata).
//
// SPDX-License-Identifier: MIT
#ifndef RT_GRAMMAR_H
#define RT_GRAMMAR_H

#include "rt/base.h"
#include "rt/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt_vocabulary rt_vocabulary; // a trie of a tokenizer's byte strings, shared by all grammars over it
typedef struct rt_grammar rt_grammar;
typedef struct rt_matcher rt_matcher;

typedef enum rt_grammar_kind {
    RT_GRAMMAR_JSON_SCHEMA = 0, // `text` is a JSON Schema (draft 2020-12, draft 4 to 7 spellings understood)
    RT_GRAMMAR_REGEX = 1,       // `text` is an ECMA-262 regular expression that the whole output must match
    RT_GRAMMAR_CHOICES = 2,     // `text` is a JSON array of strings: exactly one of them
    RT_GRAMMAR_TRIGGERED = 3,   // free text until one of `triggers`, then `text` (a JSON Schema), then the end
} rt_grammar_kind;

typedef enum rt_json_spacing {
    RT_JSON_SPACED = 0,  // ", " and ": ", as Python's json.dumps writes and as most models were trained
    RT_JSON_COMPACT = 1, // "," and ":"
    RT_JSON_FLEXIBLE = 2 // any white space a JSON parser takes, at most 16 characters at a place
} rt_json_spacing;

typedef struct rt_grammar_def {
    uint32_t cookie; // set by rt_default_grammar_def
    rt_host host;
    rt_grammar_kind kind;
    const char *text; // UTF-8
    size_t text_size; // bytes
    rt_json_spacing spacing;
    bool any_property_order; // accept properties in any order (default: the order of the schema)
    bool plain_integers;     // integers as programs hold them: 64 bits, and no point (JSON Schema takes 3.0 too from draft 6 on)
    // RT_GRAMMAR_TRIGGERED: byte strings that switch from free text to the schema; `trigger_count` of them. A trigger may
    // also be a control token: then trigger_tokens[i] is its id and triggers[i] is NULL.
    const char *const *triggers;
    const rt_token *trigger_tokens;
    int trigger_count;
    // Limits, each an RT_ERROR_TOO_LARGE that names it.
    size_t max_states;       // automaton states, default 1,000,000
    size_t max_memory_bytes; // of the compiled grammar, lazily built parts included, default 256 MiB
    int max_depth;           // nesting of schema and data, default 512
} rt_grammar_def;

RT_API rt_grammar_def rt_default_grammar_def(void);

// Builds the trie of a tokenizer's vocabulary (131,072 tokens: 18 MB, some 60 milliseconds; do it at load time).
// Keeps the tokenizer alive.
RT_API rt_result rt_vocabulary_create(rt_tokenizer *tokenizer, const rt_host *host, rt_vocabulary **vocabulary);
RT_API void rt_vocabulary_release(rt_vocabulary *vocabulary); // reference counted, NULL is fine
RT_API rt_vocabulary *rt_vocabulary_retain(rt_vocabulary *vocabulary);
RT_API rt_tokenizer *rt_vocabulary_tokenizer(const rt_vocabulary *vocabulary);
RT_API size_t rt_vocabulary_memory(const rt_vocabulary *vocabulary);

// Compiles. Errors: BAD_TEXT (does not parse; the message says where), UNSUPPORTED (names the keyword and its JSON
// pointer), TOO_LARGE (names the limit), OUT_OF_MEMORY. A schema that no value can satisfy is REJECTED.
RT_API rt_result rt_grammar_create(rt_vocabulary *vocabulary, const rt_grammar_def *def, rt_grammar **grammar);

// The same in steps, so that a hard schema costs no frame more than it may: begin, then step until *done. A step returns
// after about `budget_us` microseconds. The compilation owns a copy of the text. Destroying it early is fine.
typedef struct rt_grammar_compilation rt_grammar_compilation;
RT_API rt_result rt_grammar_compilation_begin(rt_vocabulary *vocabulary, const rt_grammar_def *def,
                                              rt_grammar_compilation **compilation);
RT_API rt_result rt_grammar_compilation_step(rt_grammar_compilation *compilation, uint32_t budget_us, bool *done,
                                             rt_grammar **grammar);
RT_API void rt_grammar_compilation_destroy(rt_grammar_compilation *compilation);

RT_API rt_grammar *rt_grammar_retain(rt_grammar *grammar);
RT_API void rt_grammar_release(rt_grammar *grammar);
// Bytes held now, lazily built states included.
RT_API size_t rt_grammar_memory(const rt_grammar *grammar);

// A walk from the start of the grammar. Not thread-safe itself; matchers of one grammar may run on different threads.
RT_API rt_result rt_matcher_create(rt_grammar *grammar, const rt_host *host, rt_matcher **matcher);
RT_API rt_result rt_matcher_clone(const rt_matcher *matcher, rt_matcher **clone);
RT_API void rt_matcher_destroy(rt_matcher *matcher);
RT_API void rt_matcher_reset(rt_matcher *matcher);

// Words of a mask for this vocabulary: (vocab_size + 31) / 32. Bit (id % 32) of word (id / 32) is token id.
RT_API size_t rt_matcher_mask_words(const rt_matcher *matcher);

// Sets the bit of each token that may come next and clears the others. The end tokens of `rt_matcher_set_end_tokens` are
// set where the output may end. Never all zero: a walk that cannot go on is an error when it is committed, not here.
RT_API rt_result rt_matcher_mask(rt_matcher *matcher, uint32_t *words);

// The same in steps of about `budget_us`; *done is false while there is more to do, and `words` must be left alone then.
RT_API rt_result rt_matcher_mask_step(rt_matcher *matcher, uint32_t *words, uint32_t budget_us, bool *done);

// Tokens that end the output (EOS, <|im_end|>, ...); default: the tokenizer's EOS. Copied.
RT_API rt_result rt_matcher_set_end_tokens(rt_matcher *matcher, const rt_token *ids, int count);

// Takes a token. REJECTED when the grammar does not allow it: the matcher stays where it was.
RT_API rt_result rt_matcher_commit(rt_matcher *matcher, rt_token id);
// The same for bytes, however they would be tokenised.
RT_API rt_result rt_matcher_commit_bytes(rt_matcher *matcher, const char *bytes, size_t size);
// Whether one token is allowed next, without computing the mask of all.
RT_API bool rt_matcher_allows(rt_matcher *matcher, rt_token id);

// The bytes that must come next, whatever the model says: at most `capacity` of them, 0 where there is a choice.
RT_API rt_result rt_matcher_forced(rt_matcher *matcher, char *bytes, size_t capacity, size_t *size);

// Whether the output may end here; whether it must.
RT_API bool rt_matcher_may_end(rt_matcher *matcher);
RT_API bool rt_matcher_must_end(rt_matcher *matcher);

#ifdef __cplusplus
}
#endif
#endif
