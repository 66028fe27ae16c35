// rt/tokenizer.h - text to tokens and back.
//
// Reads the tokenizer inside a GGUF file, a Tekken `tekken.json`, a Hugging Face `tokenizer.json` and a SentencePiece
// `tokenizer.model`. Encoding treats all of its input as plain text: "[INST]" typed by a player is six ordinary
// characters. Special tokens come only from rt_tokenizer_special().
//
// A tokenizer is immutable after it was opened: any number of threads may use one at the same time.
//
// SPDX-License-Identifier: MIT
#ifndef RT_TOKENIZER_H
#define RT_TOKENIZER_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt_tokenizer rt_tokenizer;
typedef int32_t rt_token; // an index into the vocabulary; RT_TOKEN_NONE where there is none

#define RT_TOKEN_NONE (-1)

typedef enum rt_token_kind {
    RT_TOKEN_TEXT = 0,    // stands for bytes of text
    RT_TOKEN_BYTE = 1,    // stands for one byte (SentencePiece byte fallback)
    RT_TOKEN_CONTROL = 2, // structure: never produced by encoding text, stands for no bytes of text
    RT_TOKEN_UNKNOWN = 3, // <unk>
    RT_TOKEN_UNUSED = 4,  // padding of the vocabulary
} rt_token_kind;

typedef struct rt_tokenizer_def {
    uint32_t cookie; // set by rt_default_tokenizer_def
    rt_host host;
    // A .gguf file, tekken.json, tokenizer.json, a SentencePiece .model, or a folder that holds one of the last three.
    const char *path;
    // Overrides the pre-tokenizer named by the file ("tekken", "smollm", "llama-bpe", "qwen2", ...); NULL: the file's own.
    const char *pre_tokenizer;
} rt_tokenizer_def;

RT_API rt_tokenizer_def rt_default_tokenizer_def(void);

// Opens a tokenizer. On failure *tokenizer is NULL and the message names the file and the place in it.
// Errors: IO, NOT_FOUND, BAD_FILE, UNSUPPORTED (a pre-tokenizer or model kind that is not known; the message lists the
// known ones), OUT_OF_MEMORY.
RT_API rt_result rt_tokenizer_open(const rt_tokenizer_def *def, rt_tokenizer **tokenizer);

// NULL is fine. Grammars and models keep their own reference; the last one frees.
RT_API void rt_tokenizer_close(rt_tokenizer *tokenizer);

// One more owner; the caller closes once more. Thread-safe.
RT_API rt_tokenizer *rt_tokenizer_retain(rt_tokenizer *tokenizer);

// Number of tokens, control and unused ones included: ids are 0 .. count-1.
RT_API int32_t rt_tokenizer_vocab_size(const rt_tokenizer *tokenizer);

// Encodes `size` bytes of plain text. No BOS or EOS is added; special tokens are never recognised. Symbols that a
// vocabulary holds as ordinary text (runs of spaces or line breaks, HTML tags) are; those in other angle or square brackets
// count as structure, whatever the file says. Bytes that are not
// UTF-8 are replaced by U+FFFD, one for each maximal invalid part. Writes up to `capacity` ids and always sets *count to
// the number the whole text has, so a first call with capacity 0 measures. RT_ERROR_TOO_LARGE when it did not fit (the
// first `capacity` ids are then written; nothing is logged). Linear in `size`. At most size + 1 tokens come out of valid
// UTF-8, unless the file's normalizer makes text longer (SentencePiece's nmt_nfkc does for a few characters). Thread-safe;
// memory for the length of the call comes from the tokenizer's host, none is kept. A text may have up to 512 MiB.
// `continues`: the text goes on after an earlier token (no start-of-text handling such as SentencePiece's prefix space).
RT_API rt_result rt_tokenizer_encode(const rt_tokenizer *tokenizer, const char *text, size_t size, bool continues,
                                     rt_token *ids, size_t capacity, size_t *count);

// Where a long text may be encoded in two calls: the last place behind at most `most` bytes such that the ids of what lies before
// it, followed by the ids of what lies behind it with `continues` true, are those of the whole text. Between a word and the
// space before the next one, where this vocabulary never joins them. 0: none is known. Looks at some hundred bytes.
RT_API size_t rt_tokenizer_cut(const rt_tokenizer *tokenizer, const char *text, size_t size, size_t most);

// The id of a special (control or added) token by its exact spelling, or RT_TOKEN_NONE.
RT_API rt_token rt_tokenizer_special(const rt_tokenizer *tokenizer, const char *spelling);

// Beginning and end of text, RT_TOKEN_NONE where the vocabulary has none. A model may end a turn with others as well:
// the chat format knows those.
RT_API rt_token rt_tokenizer_bos(const rt_tokenizer *tokenizer);
RT_API rt_token rt_tokenizer_eos(const rt_tokenizer *tokenizer);
// Whether the model's file asks for BOS before the first token of a prompt.
RT_API bool rt_tokenizer_adds_bos(const rt_tokenizer *tokenizer);

// The bytes that a token stands for in running text (SentencePiece's U+2581 already a space). Control, unknown and
// unused tokens give 0 bytes. *bytes stays valid as long as the tokenizer. False: no such id.
RT_API bool rt_tokenizer_bytes(const rt_tokenizer *tokenizer, rt_token id, const char **bytes, size_t *size);

// The spelling of a token as the file has it (for logs; control tokens included). Never NULL.
RT_API const char *rt_tokenizer_spelling(const rt_tokenizer *tokenizer, rt_token id);

RT_API rt_token_kind rt_tokenizer_kind(const rt_tokenizer *tokenizer, rt_token id);

// The chat template that came with the tokenizer (Jinja source, for recognising a format; never executed), or NULL.
RT_API const char *rt_tokenizer_chat_template(const rt_tokenizer *tokenizer);

// ---------------------------------------------------------------------------------------------------------------------
// Tokens to text, as a stream of whole UTF-8
// ---------------------------------------------------------------------------------------------------------------------

// Holds the head of a character whose tail is still to come. Plain data: zero it to begin, copy it to fork.
typedef struct rt_text_stream {
    uint8_t pending[4];
    uint8_t pending_size;
    bool started; // false until the first token: SentencePiece drops the prefix space there
} rt_text_stream;

// Room that is always enough for what one token adds.
#define RT_TEXT_STREAM_BYTES(longest_piece) ((size_t)(longest_piece) * 3 + 16)

// Adds one token and gives the text that is complete now: always whole, valid UTF-8 (an invalid part becomes U+FFFD).
// `out` takes up to `capacity` bytes; RT_TEXT_STREAM_BYTES(rt_tokenizer_longest_piece(tokenizer)) is always enough. *size
// may be 0. TOO_LARGE leaves the stream as it was.
RT_API rt_result rt_text_stream_push(rt_text_stream *stream, const rt_tokenizer *tokenizer, rt_token id, char *out,
                                     size_t capacity, size_t *size);
// What is left at the end: nothing, or U+FFFD for a character that never got its tail. At most 12 bytes.
RT_API size_t rt_text_stream_flush(rt_text_stream *stream, char out[12]);

// Bytes of the longest token.
RT_API size_t rt_tokenizer_longest_piece(const rt_tokenizer *tokenizer);

#ifdef __cplusplus
}
#endif
#endif
