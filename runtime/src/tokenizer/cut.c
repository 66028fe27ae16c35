// tokenizer/cut.c - where a text can be cut so that both parts, encoded by themselves, give the ids of the whole.
//
// Such a place lies between a character that is no space and a single space before a letter. The families'
// splitters begin a word at that space whatever came before, and end the one before it whatever follows: none of them looks
// back, and the only one that looks ahead does so behind white space. A pattern of a file's own may do anything.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"
#include "tokenizer/unicode.h"

#include <string.h>

#define SEARCHED 512 // bytes before `most`

// Whether some step of the plan begins a word at each space before a letter, and no step is a pattern of the file's own.
static bool words_begin_at_spaces(const rti_split_plan *plan)
{
    bool found = false;
    for (int32_t i = 0; i < plan->step_count; i++) {
        rti_split_function *next = plan->steps[i].next;
        bool neutral = next == rti_split_digit || next == rti_split_newlines;
        bool words = next == rti_split_gpt2 || next == rti_split_llama3 || next == rti_split_qwen2 || next == rti_split_qwen35 ||
                     next == rti_split_tekken || next == rti_split_gpt4o;
        if (plan->steps[i].code || !(neutral || words))
            return false;
        found = found || words;
    }
    return found;
}

static bool can_be_cut(const rt_tokenizer *t)
{
    if (t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE)
        return words_begin_at_spaces(&t->split);
    if (t->kind == RTI_TOKENIZER_UNIGRAM || t->split.step_count > 0 || t->user_defined.node_count > 0 || t->charsmap.units ||
        t->normalizer.treat_whitespace_as_suffix || !t->normalizer.escape_whitespaces)
        return false;
    return t->words_end_at_spaces || t->normalizer.split_every_space;
}

// A symbol that stands across `place` is found before anything is split.
static bool symbol_crosses(const rt_tokenizer *t, const char *text, size_t size, size_t place)
{
    if (t->user_defined.node_count == 0)
        return false;
    size_t from = place > t->longest_piece ? place - t->longest_piece : 0;
    for (size_t at = from; at < place; at++) {
        int32_t id;
        if (at + rti_trie_longest(&t->user_defined, text + at, size - at, &id) > place)
            return true;
    }
    return false;
}

// The class of the character at `at`; that of a space where it is not valid.
static uint32_t class_of(const char *at, const char *end, int *length)
{
    uint32_t code_point;
    bool valid;
    *length = rti_utf8_decode(at, end, &code_point, &valid);
    return valid ? rti_class_at(at, length) : RTI_CLASS_SPACE;
}

static bool is_between_words(const char *text, size_t size, size_t place)
{
    int length;
    if (text[place] != ' ' || !(class_of(text + place + 1, text + size, &length) & RTI_CLASS_LETTER))
        return false;
    size_t before = place - 1;
    while (before > 0 && place - before < 4 && (text[before] & 0xC0) == 0x80)
        before--;
    // SentencePiece's sign for a space is one, also where it was typed.
    bool is_mark = place - before == 3 && memcmp(text + before, "\xE2\x96\x81", 3) == 0;
    return !is_mark && !(class_of(text + before, text + place, &length) & RTI_CLASS_SPACE) && before + (size_t)length == place;
}

size_t rt_tokenizer_cut(const rt_tokenizer *tokenizer, const char *text, size_t size, size_t most)
{
    if (!tokenizer || !text || size < 3 || !can_be_cut(tokenizer))
        return 0;
    size_t last = most < size - 2 ? most : size - 2, first = last > SEARCHED ? last - SEARCHED : 1;
    for (size_t place = last; place >= first && place > 0; place--)
        if (is_between_words(text, size, place) && !symbol_crosses(tokenizer, text, size, place))
            return place;
    return 0;
}
