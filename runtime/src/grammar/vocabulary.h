// grammar/vocabulary.h - the trie of a tokenizer's byte strings, with what makes masks of strings cheap.
//
// Immutable after it was built. Node 0 is the root. The children of a node lie side by side, in byte order; groups lie in
// the order of a depth-first walk; the tokens below a node are one stretch of `order`.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_VOCABULARY_H
#define RTI_GRAMMAR_VOCABULARY_H

#include "grammar/pool.h"
#include "rt/grammar.h"

#include <pthread.h>

enum {
    RTI_TOKEN_BYTES_MAX = 1024, // longer tokens are never allowed
    RTI_SHORT_LENGTHS = 24,     // up to here, tokens of at most n characters have a bit set of their own
    RTI_CODE_GROUPS = 64 + 32 + 16 + 8 + 4, // ASCII in aligned groups of 2, 4, 8, 16 and 32
};
#define RTI_NO_TOKEN UINT32_MAX

// Flags of a node. What is "below" includes the node itself.
enum {
    RTI_TRIE_LEAF = 1,
    RTI_TRIE_TOKEN = 2,   // a token ends here
    RTI_TRIE_DOUBLED = 4, // several do
    RTI_TRIE_HIGH = 8,    // a byte of 128 or more below
    RTI_TRIE_SPACE = 16,  // a character below that is white space and not ASCII (rti_is_high_space)
};

// Walks look at many nodes and enter few: what they look at first is small, the rest lies apart.
typedef struct rti_trie_node {
    uint32_t first;  // its children: first .. first + rti_trie_children(node) - 1
    uint8_t more;    // children but one, unless it is a leaf
    uint8_t byte;
    uint8_t flags;
    uint8_t longest; // characters of a token below, at most
} rti_trie_node;

typedef struct rti_trie_below {
    uint64_t bytes[2];               // ASCII bytes below
    uint32_t from, to;               // tokens below: order[from .. to)
} rti_trie_below;

// What can follow a closing quote inside a token: a small trie of those tails, in the order of a depth-first walk. Node 0 is
// the empty tail.
typedef struct rti_tail_node {
    uint32_t first, next; // children, siblings; 0 is none
    uint32_t end;         // tails that begin with this one: itself up to here
    uint8_t byte;
    uint8_t size;
} rti_tail_node;

// A token and its tail behind one of its quotes.
typedef struct rti_quote {
    uint32_t token, tail;
} rti_quote;

struct rt_vocabulary {
    rt_host host;
    atomic_int references;
    rt_tokenizer *tokenizer; // NULL in tests
    uint32_t count, words;   // tokens, 32-bit words of a mask
    rt_token end;            // the tokenizer's EOS, or RT_TOKEN_NONE

    char *bytes; // all pieces, one after another
    uint32_t *offsets; // count + 1
    uint32_t *same;   // the next token with the same bytes, or RTI_NO_TOKEN
    uint8_t *characters; // lead bytes of each token, at most 255
    uint32_t longest; // of those

    rti_trie_node *nodes;
    rti_trie_below *below; // by node
    uint32_t *ends;        // by node: a token that ends there, or RTI_NO_TOKEN; others through `same`
    uint32_t node_count;
    uint32_t *order;

    // Bit sets of `words` words.
    uint32_t *plain;       // whole tokens inside a JSON string that starts between two characters
    uint32_t *raw;         // the same outside JSON: any characters
    uint32_t *holds;       // 128 of them: tokens with this ASCII character
    uint32_t *holds_group; // RTI_CODE_GROUPS: tokens with some character of a group
    uint32_t *holds_high;  // tokens with any other
    uint32_t *holds_space; // tokens with white space that is not ASCII: patterns treat it apart (\s, \S, the dot)
    // Many tokens begin with one character, mostly a space: the child of the root with most tokens, if it is ASCII.
    uint32_t common;       // that node, or 0
    uint32_t *common_first; // its tokens
    uint32_t *common_again; // those that have the character again
    uint32_t *text;        // all tokens that stand for bytes
    uint32_t *short_of;    // RTI_SHORT_LENGTHS: tokens of at most i + 1 characters
    uint32_t *long_tokens; // tokens of more than RTI_SHORT_LENGTHS characters
    uint32_t long_count;
    uint32_t weights[130]; // tokens with an ASCII character; [128]: with any other; [129]: all

    rti_tail_node *tails;
    uint32_t tail_count, tail_capacity;
    uint32_t *quote_nodes; // trie nodes whose byte is a quote, rising
    uint32_t *quote_from;  // quotes[quote_from[i] .. quote_from[i + 1])
    uint32_t quote_node_count;
    rti_quote *quotes;
    uint32_t quote_count;

    rti_pool pool;
    rti_pool *building; // what is needed while building only
    // Token sets of strings without any condition: the same in all grammars (grammar/token_set.h).
    pthread_mutex_t lock;
    _Atomic(void *) free_sets;
};

// For tests and tools: a vocabulary without a tokenizer. pieces[i] of sizes[i] bytes is token i; size 0: a control token.
rt_result rti_vocabulary_create_from_bytes(const rt_host *host, const char *const *pieces, const size_t *sizes, size_t count,
                                           rt_token end, rt_vocabulary **vocabulary);

static inline bool rti_is_high_space(uint32_t code)
{
    return code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
           code == 0x205F || code == 0x3000 || code == 0xFEFF;
}

static inline uint32_t rti_trie_children(const rti_trie_node *node)
{
    return (node->flags & RTI_TRIE_LEAF) != 0 ? 0 : node->more + 1u;
}

// The child of `node` for `byte`, or 0.
static inline uint32_t rti_trie_child(const rt_vocabulary *v, uint32_t node, uint8_t byte)
{
    const rti_trie_node *n = &v->nodes[node];
    uint32_t low = n->first, end = low + rti_trie_children(n), high = end;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (v->nodes[middle].byte < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < end && v->nodes[low].byte == byte ? low : 0;
}

static inline void rti_mask_set(uint32_t *words, uint32_t token)
{
    words[token / 32] |= 1u << (token % 32);
}

static inline void rti_mask_set_all(const rt_vocabulary *v, uint32_t *words, uint32_t token)
{
    for (; token != RTI_NO_TOKEN; token = v->same[token]) rti_mask_set(words, token);
}

#endif
