// tokenizer/tokenizer.h - private side of rt/tokenizer.h: what a file says, and what it is made into.
//
// A reader (source_*.c) fills an rti_tokenizer_source with what its format holds, in the format's own terms;
// rti_tokenizer_create_from_source checks it and builds the tables; encode.c and stream.c use them.
// SPDX-License-Identifier: MIT
#ifndef RTI_TOKENIZER_H
#define RTI_TOKENIZER_H

#include "file/file.h"
#include "rt/tokenizer.h"
#include "tokenizer/merges.h"
#include "tokenizer/pieces.h"
#include "tokenizer/split.h"

#include <stdatomic.h>

typedef enum rti_tokenizer_kind {
    RTI_TOKENIZER_BYTE_BPE,  // spelled in GPT-2's byte alphabet, merges listed: GGUF "gpt2", tokenizer.json with ByteLevel
    RTI_TOKENIZER_RANK_BPE,  // raw byte strings; two tokens merge when their join is a token, lowest id first: tekken.json
    RTI_TOKENIZER_SCORE_BPE, // SentencePiece BPE: characters merge when their join is a piece, highest score first
    RTI_TOKENIZER_TEXT_BPE,  // merges listed over characters, U+2581 for a space: tokenizer.json of Llama 2 and Gemma
    RTI_TOKENIZER_UNIGRAM,   // SentencePiece unigram: the cut with the highest sum of scores
} rti_tokenizer_kind;

// SentencePiece's numbering, which GGUF's token_type shares.
typedef enum rti_piece_type {
    RTI_PIECE_NORMAL = 1,
    RTI_PIECE_UNKNOWN = 2,
    RTI_PIECE_CONTROL = 3,
    RTI_PIECE_USER_DEFINED = 4,
    RTI_PIECE_UNUSED = 5,
    RTI_PIECE_BYTE = 6,
} rti_piece_type;

// What is done to the text before it is cut into words. SentencePiece's names.
typedef struct rti_normalizer {
    bool add_dummy_prefix;
    bool remove_extra_whitespaces;
    bool escape_whitespaces;
    bool treat_whitespace_as_suffix;
    bool nfc;                // Unicode normal form C
    bool split_every_space;  // Metaspace: no token crosses a space, not even to another space
    bool skip_prefix_before_space; // Metaspace: no prefix where the text begins with a space
    bool prefix_first_only; // Metaspace: the prefix stands before the text, not before each part between added tokens
    const char *charsmap;    // SentencePiece's precompiled_charsmap, or NULL
    size_t charsmap_size;
} rti_normalizer;

// All strings are borrowed from the file (or `texts`); the arrays belong to the source.
typedef struct rti_tokenizer_source {
    const char *path; // for messages
    rti_tokenizer_kind kind;

    size_t token_count;
    rti_text *tokens; // an entry with data NULL is a hole in the vocabulary
    size_t tokens_capacity;
    uint8_t *types;   // rti_piece_type; NULL: all normal
    size_t types_capacity;
    float *scores;    // SCORE_BPE and UNIGRAM
    size_t scores_capacity;
    size_t merge_count;
    rti_text (*merges)[2];
    size_t merges_capacity;
    rti_pieces spellings; // RANK_BPE: how the tokens are shown; otherwise empty
    rti_pieces texts;     // bytes that a reader had to decode; `tokens` may point into it once it is complete
    char *charsmap;       // owned; normalizer.charsmap points to it or into the file
    size_t charsmap_capacity;

    const char *pre_tokenizer;             // a name of the table in split.c, or NULL
    rti_split_source steps[RTI_SPLIT_STEPS]; // or the steps themselves
    int32_t step_count;
    bool ignore_merges;    // a word that is a token is that token
    bool byte_fallback;    // a character that is no piece becomes <0xNN> tokens
    bool fuse_unknown;     // neighbouring unknown characters become one <unk>
    rti_normalizer normalizer;

    int32_t bos, eos, unknown, padding; // -1: none
    bool adds_bos;
    rti_text chat_template; // data NULL: none
} rti_tokenizer_source;

// No tokens, no special ids.
rti_tokenizer_source rti_default_tokenizer_source(void);
void rti_tokenizer_source_release(const rt_host *host, rti_tokenizer_source *source);
// Room for `count` tokens (tokens zeroed, types normal, scores 0 when with_scores). `limit`s are checked here.
rt_result rti_tokenizer_source_reserve(const rt_host *host, rti_tokenizer_source *source, size_t count, bool with_scores);
rt_result rti_tokenizer_source_reserve_merges(const rt_host *host, rti_tokenizer_source *source, size_t count);
#define RTI_TOKENIZER_MAX_TOKENS ((size_t)1 << 22)
#define RTI_TOKENIZER_MAX_MERGES ((size_t)1 << 24)

// Readers: fill `source` from a file's bytes. What they borrow must outlive the create call.
rt_result rti_tokenizer_source_gguf(const rt_host *host, const rti_file *file, rti_tokenizer_source *source);
rt_result rti_tokenizer_source_sentencepiece(const rt_host *host, const char *path, const char *data, size_t size,
                                             rti_tokenizer_source *source);

rt_result rti_tokenizer_create_from_source(const rt_host *host, const rti_tokenizer_source *source,
                                           rt_tokenizer **tokenizer);

// Parses the bytes of a tekken.json, tokenizer.json or SentencePiece model (told apart by content), for the fuzzer and
// for rt_tokenizer_open. `config` is a tokenizer_config.json next to it, or NULL.
rt_result rti_tokenizer_create_from_bytes(const rt_host *host, const char *path, const char *data, size_t size,
                                          const char *config, size_t config_size, const char *pre_tokenizer,
                                          rt_tokenizer **tokenizer);

// GGUF keys under which rt_quantize and rt_synthesize put a tokenizer file (tekken.json, tokenizer.json, tokenizer.model) and
// the tokenizer_config.json next to it, byte for byte.
#define RTI_TOKENIZER_KEY_FILE "repartee.tokenizer.file"
#define RTI_TOKENIZER_KEY_CONFIG "repartee.tokenizer.config"

// The same from a GGUF that is open already (a model's).
rt_result rti_tokenizer_create_from_file(const rt_host *host, const rti_file *file, const char *pre_tokenizer,
                                         rt_tokenizer **tokenizer);

// A copy of `text` as the chat template. OUT_OF_MEMORY.
rt_result rti_tokenizer_set_chat_template(rt_tokenizer *tokenizer, const char *text, size_t size);

// The special (control, unknown or added) token with this spelling, or -1.
int32_t rti_tokenizer_find_special(const rt_tokenizer *tokenizer, const char *spelling, size_t size);

typedef struct rti_charsmap { // see charsmap.c
    uint32_t *units;
    size_t unit_count;
    char *strings; // strings[string_size] is 0
    size_t string_size;
} rti_charsmap;

typedef struct rti_unigram { // see unigram.c: a trie of the pieces
    uint64_t *slots; // node << 8 | byte -> child, open addressing
    uint64_t mask;
    int32_t *piece; // of each node, -1
    size_t piece_capacity;
    uint32_t node_count;
    float minimum; // score of normal pieces
} rti_unigram;

struct rt_tokenizer {
    rt_host host;
    atomic_int references;
    rti_tokenizer_kind kind;
    int32_t count;
    rti_pieces spellings; // as the file has them
    rti_pieces bytes;     // what they stand for
    uint8_t *types;       // rti_piece_type
    rti_piece_map map;    // what the words of a text can be: in `bytes` for the byte-level kinds, in `spellings` otherwise
    rti_merge_map merges;
    uint8_t *ordered;     // of each token: no pair with it merges before the pairs that make it do; NULL: not known
    uint32_t *priorities; // SCORE_BPE: rank of each piece's score, 0 the best
    float *scores;        // UNIGRAM
    _Atomic uint8_t *whole; // memo of each piece: 0 not known, 1 merges back to itself, 2 does not
    int32_t byte_ids[256];  // the token of each byte, -1
    int32_t letter_ids[128]; // the piece of each one-byte character, -1; not in byte-level kinds
    rti_split_plan split;
    rti_normalizer normalizer; // its charsmap is not used here
    rti_charsmap charsmap;
    rti_unigram unigram;
    rti_unigram user_defined; // trie of the pieces that are found in the text before anything else; node_count 0: none
    bool ignore_merges, byte_fallback, fuse_unknown;
    bool has_all_bytes; // a byte-level kind with a token for each byte
    bool words_end_at_spaces; // no piece has a space after something else: words can be merged one by one
    bool resegments;          // merging can lead to an unused piece, which is then taken apart again
    int32_t bos, eos, unknown, padding;
    bool adds_bos;
    char *chat_template;
    size_t chat_template_size;
    int32_t *special; // ids of control, unknown and added tokens, in order of spelling
    size_t special_count;
    size_t longest_piece; // bytes
    size_t longest_spelling;
};

#endif
