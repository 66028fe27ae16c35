// A tokenizer.json, tekken.json or SentencePiece model of any content, then a text of any content through what came out:
// the tokens must be tokens, and as a stream they must be valid text. Start from tests/data/tokenizers.
// SPDX-License-Identifier: MIT
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort(); // what a fuzzer looks for
}

static void check_text(const char *text, size_t size)
{
    for (const char *at = text; at < text + size;) {
        uint32_t code_point;
        bool valid;
        at += rti_utf8_decode(at, text + size, &code_point, &valid);
        check(valid);
    }
}

static void use(const rt_tokenizer *tokenizer, const char *text, size_t size)
{
    size_t count = 0, again = 0;
    rt_result result = rt_tokenizer_encode(tokenizer, text, size, size % 2 == 0, NULL, 0, &count);
    if (result != RT_OK && result != RT_ERROR_TOO_LARGE)
        return;
    rt_token *ids = malloc((count + 1) * sizeof(*ids));
    size_t room = rt_tokenizer_longest_piece(tokenizer) * 3 + 16, wrote;
    char *out = malloc(room), end[12];
    if (!ids || !out || rt_tokenizer_encode(tokenizer, text, size, size % 2 == 0, ids, count, &again) != RT_OK)
        again = 0;
    check(again == 0 || again == count);
    rt_text_stream stream = {0};
    for (size_t i = 0; i < again; i++) {
        check(ids[i] >= 0 && ids[i] < rt_tokenizer_vocab_size(tokenizer));
        check(rt_tokenizer_kind(tokenizer, ids[i]) != RT_TOKEN_CONTROL);
        check(rt_text_stream_push(&stream, tokenizer, ids[i], out, room, &wrote) == RT_OK);
        check_text(out, wrote);
    }
    check_text(end, rt_text_stream_flush(&stream, end));
    free(ids);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // The last bytes are a text, as many as the very last says.
    size_t text_size = size > 1 ? RTI_MIN((size_t)data[size - 1], size - 1) : 0;
    size_t file_size = size - text_size;
    rt_tokenizer *tokenizer = NULL;
    rt_result result = rti_tokenizer_create_from_bytes(NULL, "fuzz", (const char *)data, file_size, NULL, 0, NULL, &tokenizer);
    if (result == RT_OK) {
        static const char long_text[] = "The innkeeper's 1,250 coins... aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                        "  \n\n \xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4 \xE6\x97\x85 <b> <|im_end|> \xF0\x9F\x98\x80";
        use(tokenizer, (const char *)data + file_size, text_size);
        use(tokenizer, long_text, sizeof(long_text) - 1);
    }
    rt_tokenizer_close(tokenizer);
    return 0;
}
