// support/grammar.h - a small vocabulary for grammar tests: every byte, and pieces that straddle structure.
// SPDX-License-Identifier: MIT
#ifndef TESTS_SUPPORT_GRAMMAR_H
#define TESTS_SUPPORT_GRAMMAR_H

#include "grammar/vocabulary.h"
#include "rt/grammar.h"

#include <string.h>

static const char *const test_pieces[] = {
    "the", " the", " a", "name", "\"name", "\"name\"", "\": \"", "\": ", "\",", "\", \"", "\"}", "\"]", "\"}]", "}}", "]}", "{\"", "[\"", "[[", "[{\"",
    ": ", ", ", ", \"", "true", "false", "null", "rue", "12", "123", "0.", ".5", "-1", "e-", "e+10", "\\n", "\\\"", "\\u00", "\\ud83d", "\\", " \\\n",
    "\xC3\xA9", "\xC3", "\xA9", "caf\xC3\xA9", "\xE2\x82", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xF0\x9F", "\xC2\xA0", "\x82\xAC\xC3\xA9", "\xA9\xC3\xA9", "\xA9\xC3\xA9\xC3", "\xA9" "a", "\xA9\xE2\x82\xAC", "\xA9" "b", "\xA9" "c", "\xA9" "d", "\xA9" "e", "\xA9" "f", "\xA9" "g", "\xA9" "h", "\xA9" "i", "\xA9\xC3\xAA", "\xE3\x80\x80", "red", "green", "gre",
    "abc", "abcabc", "aaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "--", "2024", "-01-", "://", "http", "@", ".com", "  ", "\n", "\t",
    "a\"", "a\",", "a\": ", ".\"", "]\"", "x\"}", "\"a\"", "\"b\": ", "\"a\": 1", "k\": true", "1, 2", "1]", "0}", "\"\"", "<call>", "call", "l>{", ">{\"",
};

enum { TEST_CONTROL = 3, TEST_EOS = 0, TEST_TRIGGER = 1, TEST_TOKENS = TEST_CONTROL + 256 + (int)RTI_COUNT(test_pieces) };

// Tokens 0 to 2 are control tokens (the first ends the output), then the 256 bytes, then the pieces.
static rt_result test_vocabulary(const rt_host *host, rt_vocabulary **vocabulary)
{
    static char bytes[256];
    const char *pieces[TEST_TOKENS];
    size_t sizes[TEST_TOKENS];
    for (int i = 0; i < TEST_CONTROL; i++) {
        pieces[i] = NULL;
        sizes[i] = 0;
    }
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        pieces[TEST_CONTROL + i] = &bytes[i];
        sizes[TEST_CONTROL + i] = 1;
    }
    for (size_t i = 0; i < RTI_COUNT(test_pieces); i++) {
        pieces[TEST_CONTROL + 256 + i] = test_pieces[i];
        sizes[TEST_CONTROL + 256 + i] = strlen(test_pieces[i]);
    }
    return rti_vocabulary_create_from_bytes(host, pieces, sizes, TEST_TOKENS, TEST_EOS, vocabulary);
}

#endif
