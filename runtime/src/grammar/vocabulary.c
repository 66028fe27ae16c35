// SPDX-License-Identifier: MIT
#include "grammar/vocabulary.h"

#include <string.h>

typedef struct draft {
    uint32_t first, children, token, from, to;
    uint8_t byte;
    bool doubled;
} draft;

typedef struct builder {
    rt_vocabulary *v;
    uint32_t *scratch;
    draft *nodes;
    uint32_t count, capacity;
} builder;

static const char *piece(const rt_vocabulary *v, uint32_t token)
{
    return v->bytes + v->offsets[token];
}

static uint32_t piece_size(const rt_vocabulary *v, uint32_t token)
{
    return v->offsets[token + 1] - v->offsets[token];
}

static int compare_from(const rt_vocabulary *v, uint32_t a, uint32_t b, uint32_t depth)
{
    uint32_t x = piece_size(v, a), y = piece_size(v, b), common = RTI_MIN(x, y);
    int order = common > depth ? memcmp(piece(v, a) + depth, piece(v, b) + depth, common - depth) : 0;
    if (order != 0) return order;
    if (x != y) return x < y ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void sort_few(const rt_vocabulary *v, uint32_t *order, uint32_t from, uint32_t to, uint32_t depth)
{
    for (uint32_t i = from + 1; i < to; i++) {
        uint32_t token = order[i], k = i;
        while (k > from && compare_from(v, order[k - 1], token, depth) > 0) {
            order[k] = order[k - 1];
            k--;
        }
        order[k] = token;
    }
}

// Sorts order[from .. to), equal up to `depth`, by the byte there; shorter pieces first.
static void sort_by_byte(builder *b, uint32_t from, uint32_t to, uint32_t depth)
{
    rt_vocabulary *v = b->v;
    if (to - from <= 24) {
        sort_few(v, v->order, from, to, depth);
        return;
    }
    uint32_t counts[258] = { 0 };
    for (uint32_t i = from; i < to; i++) {
        uint32_t token = v->order[i];
        counts[piece_size(v, token) > depth ? (unsigned char)piece(v, token)[depth] + 2 : 1]++;
    }
    for (int i = 1; i < 258; i++) counts[i] += counts[i - 1];
    for (uint32_t i = from; i < to; i++) {
        uint32_t token = v->order[i];
        b->scratch[counts[piece_size(v, token) > depth ? (unsigned char)piece(v, token)[depth] + 1 : 0]++] = token;
    }
    memcpy(v->order + from, b->scratch, (to - from) * sizeof *v->order);
}

static uint32_t add_node(builder *b, uint8_t byte, uint32_t from, uint32_t to)
{
    RTI_POOL_RESERVE(b->v->building, b->nodes, b->capacity, b->count + 1);
    b->nodes[b->count] = (draft){ .token = RTI_NO_TOKEN, .from = from, .to = to, .byte = byte };
    return b->count++;
}

// Children of one node; the tokens that end at it come first in its stretch.
static void add_children(builder *b, uint32_t node, uint32_t depth)
{
    rt_vocabulary *v = b->v;
    uint32_t from = b->nodes[node].from, to = b->nodes[node].to;
    sort_by_byte(b, from, to, depth);
    uint32_t last = RTI_NO_TOKEN;
    while (from < to && piece_size(v, v->order[from]) == depth) {
        uint32_t token = v->order[from++];
        if (last == RTI_NO_TOKEN) {
            b->nodes[node].token = token;
        } else {
            v->same[last] = token;
            b->nodes[node].doubled = true;
        }
        last = token;
    }
    uint32_t first = b->count, children = 0;
    while (from < to) {
        unsigned char byte = (unsigned char)piece(v, v->order[from])[depth];
        uint32_t end = from;
        while (end < to && (unsigned char)piece(v, v->order[end])[depth] == byte) end++;
        add_node(b, byte, from, end);
        children++;
        from = end;
    }
    b->nodes[node].first = first;
    b->nodes[node].children = children;
}

static void keep_nodes(const builder *b)
{
    rt_vocabulary *v = b->v;
    v->node_count = b->count;
    v->nodes = rti_pool_take_array(&v->pool, b->count, sizeof *v->nodes);
    v->below = rti_pool_take_array(&v->pool, b->count, sizeof *v->below);
    v->ends = rti_pool_take_array(&v->pool, b->count, sizeof *v->ends);
    for (uint32_t i = b->count; i-- > 0;) { // children come after their parent
        const draft *d = &b->nodes[i];
        rti_trie_node *n = &v->nodes[i];
        rti_trie_below *below = &v->below[i];
        *n = (rti_trie_node){ .first = d->first, .byte = d->byte, .more = (uint8_t)(d->children - (d->children != 0)) };
        n->flags = (uint8_t)((d->children == 0 ? RTI_TRIE_LEAF : 0) | (d->token != RTI_NO_TOKEN ? RTI_TRIE_TOKEN : 0) | (d->doubled ? RTI_TRIE_DOUBLED : 0));
        v->ends[i] = d->token;
        below->from = d->from;
        below->to = d->to;
        if (i != 0 && d->byte < 128) below->bytes[d->byte / 64] |= 1ull << (d->byte % 64);
        if (i != 0 && d->byte >= 128) n->flags |= RTI_TRIE_HIGH;
        for (uint32_t k = 0; k < d->children; k++) {
            below->bytes[0] |= v->below[d->first + k].bytes[0];
            below->bytes[1] |= v->below[d->first + k].bytes[1];
            n->flags |= v->nodes[d->first + k].flags & RTI_TRIE_HIGH;
        }
    }
}

static void build_trie(rt_vocabulary *v)
{
    builder b = { .v = v };
    b.scratch = rti_pool_take_array(v->building, v->count + 1, sizeof *b.scratch);
    v->order = rti_pool_take_array(&v->pool, v->count + 1, sizeof *v->order);
    uint32_t used = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        uint32_t size = piece_size(v, i);
        if (size > 0 && size <= RTI_TOKEN_BYTES_MAX) v->order[used++] = i;
    }
    b.capacity = RTI_MAX(v->count * 2, 16u);
    b.nodes = rti_pool_take_array(v->building, b.capacity, sizeof *b.nodes);
    add_node(&b, 0, 0, used);
    // Depth-first with the next sibling to visit on a stack of our own.
    uint32_t at[RTI_TOKEN_BYTES_MAX + 2], left[RTI_TOKEN_BYTES_MAX + 2], depth = 0;
    add_children(&b, 0, 0);
    at[0] = b.nodes[0].first;
    left[0] = b.nodes[0].children;
    for (;;) {
        if (left[depth] == 0) {
            if (depth == 0) break;
            depth--;
            continue;
        }
        uint32_t node = at[depth]++;
        left[depth]--;
        add_children(&b, node, depth + 1);
        depth++;
        at[depth] = b.nodes[node].first;
        left[depth] = b.nodes[node].children;
    }
    keep_nodes(&b);
}

// Whether bytes that start between two characters are whole UTF-8, the last character possibly cut.
static bool starts_whole(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        if (*at < 0x80) {
            at++;
            continue;
        }
        int more = *at >= 0xC2 && *at <= 0xDF ? 1 : (*at & 0xF0) == 0xE0 ? 2 : *at >= 0xF0 && *at <= 0xF4 ? 3 : 0;
        if (more == 0) return false;
        unsigned char low = *at == 0xE0 ? 0xA0 : *at == 0xF0 ? 0x90 : 0x80, high = *at == 0xED ? 0x9F : *at == 0xF4 ? 0x8F : 0xBF;
        at++;
        for (int i = 0; i < more; i++, at++) {
            if (at >= end) return true;
            if (*at < low || *at > high) return false;
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

static uint32_t *new_bits(rt_vocabulary *v, uint32_t sets)
{
    return rti_pool_take_array(&v->pool, (size_t)v->words * sets, sizeof(uint32_t));
}

static void describe_token(rt_vocabulary *v, uint32_t token)
{
    const unsigned char *at = (const unsigned char *)piece(v, token), *end = at + piece_size(v, token);
    bool plain = true;
    uint32_t characters = 0;
    rti_mask_set(v->text, token);
    for (const unsigned char *i = at; i < end; i++) {
        if (*i < 128) {
            rti_mask_set(v->holds + (size_t)*i * v->words, token);
        } else {
            rti_mask_set(v->holds_high, token);
        }
        characters += (*i & 0xC0) != 0x80;
        plain &= *i >= 0x20 && *i != '"' && *i != '\\';
    }
    for (const char *i = (const char *)at; i < (const char *)end;) {
        uint32_t code;
        bool valid = true;
        i += rti_utf8_decode(i, (const char *)end, &code, &valid);
        if (valid && rti_is_high_space(code)) rti_mask_set(v->holds_space, token);
    }
    v->characters[token] = (uint8_t)RTI_MIN(characters, 255u);
    if (starts_whole(at, end)) {
        rti_mask_set(v->raw, token);
        if (plain) rti_mask_set(v->plain, token);
        v->longest = RTI_MAX(v->longest, characters);
    }
    for (uint32_t i = RTI_MAX(characters, 1u); i <= RTI_SHORT_LENGTHS; i++) rti_mask_set(v->short_of + (size_t)(i - 1) * v->words, token);
    if (characters > RTI_SHORT_LENGTHS) v->long_tokens[v->long_count++] = token;
}

static uint32_t add_tail(rt_vocabulary *v, const char *at, const char *end)
{
    uint32_t node = 0;
    for (; at < end; at++) {
        uint32_t child = v->tails[node].first;
        while (child != 0 && v->tails[child].byte != (uint8_t)*at) child = v->tails[child].next;
        if (child == 0) {
            RTI_POOL_RESERVE(&v->pool, v->tails, v->tail_capacity, v->tail_count + 1);
            child = v->tail_count++;
            v->tails[child] = (rti_tail_node){ .next = v->tails[node].first, .byte = (uint8_t)*at,
                                               .size = (uint8_t)RTI_MIN(v->tails[node].size + 1, 255) };
            v->tails[node].first = child;
        }
        node = child;
    }
    return node;
}

// Numbers the tails as a depth-first walk meets them. Recursion is as deep as the longest tail is long.
static void order_tails(rt_vocabulary *v, const rti_tail_node *old, uint32_t tail, uint32_t *new_of, uint32_t *count)
{
    uint32_t id = new_of[tail] = (*count)++, last = 0;
    v->tails[id] = old[tail];
    v->tails[id].first = 0;
    for (uint32_t child = old[tail].first; child != 0; child = old[child].next) {
        order_tails(v, old, child, new_of, count);
        if (last == 0) {
            v->tails[id].first = new_of[child];
        } else {
            v->tails[last].next = new_of[child];
        }
        last = new_of[child];
        v->tails[last].next = 0;
    }
    v->tails[id].end = *count;
}

static void build_tails(rt_vocabulary *v)
{
    RTI_POOL_RESERVE(&v->pool, v->tails, v->tail_capacity, 64);
    v->tail_count = 1;
    uint32_t quotes = 0, total = 0;
    for (uint32_t i = 1; i < v->node_count; i++) {
        if (v->nodes[i].byte != '"') continue;
        quotes++;
        total += v->below[i].to - v->below[i].from;
    }
    v->quote_nodes = rti_pool_take_array(&v->pool, quotes + 1, sizeof *v->quote_nodes);
    v->quote_from = rti_pool_take_array(&v->pool, quotes + 1, sizeof *v->quote_from);
    v->quotes = rti_pool_take_array(&v->pool, total + 1, sizeof *v->quotes);
    // A node's depth: the common part of its tokens, found by walking down from the root.
    uint32_t at[RTI_TOKEN_BYTES_MAX + 2], left[RTI_TOKEN_BYTES_MAX + 2], depth = 0;
    at[0] = v->nodes[0].first;
    left[0] = rti_trie_children(&v->nodes[0]);
    uint32_t *node_depth = rti_pool_take_array(v->building, v->node_count, sizeof *node_depth);
    for (;;) {
        if (left[depth] == 0) {
            if (depth == 0) break;
            depth--;
            continue;
        }
        uint32_t node = at[depth]++;
        left[depth]--;
        node_depth[node] = depth + 1;
        depth++;
        at[depth] = v->nodes[node].first;
        left[depth] = rti_trie_children(&v->nodes[node]);
    }
    for (uint32_t i = 1; i < v->node_count; i++) {
        if (v->nodes[i].byte != '"') continue;
        v->quote_nodes[v->quote_node_count] = i;
        v->quote_from[v->quote_node_count++] = v->quote_count;
        for (uint32_t k = v->below[i].from; k < v->below[i].to; k++) {
            uint32_t token = v->order[k];
            const char *bytes = piece(v, token);
            v->quotes[v->quote_count++] = (rti_quote){ token, add_tail(v, bytes + node_depth[i], bytes + piece_size(v, token)) };
        }
    }
    v->quote_from[v->quote_node_count] = v->quote_count;
    rti_tail_node *old = rti_pool_take_array(v->building, v->tail_count, sizeof *old);
    uint32_t *new_of = rti_pool_take_array(v->building, v->tail_count, sizeof *new_of), count = 0;
    memcpy(old, v->tails, v->tail_count * sizeof *old);
    order_tails(v, old, 0, new_of, &count);
    for (uint32_t i = 0; i < v->quote_count; i++) v->quotes[i].tail = new_of[v->quotes[i].tail];
}

static void copy_pieces(rt_vocabulary *v, const char *const *pieces, const size_t *sizes)
{
    size_t total = 0;
    for (uint32_t i = 0; i < v->count; i++) total += sizes[i];
    if (total > UINT32_MAX / 2) rti_pool_fail(&v->pool, RT_ERROR_TOO_LARGE, "grammar: vocabulary: tokens of %zu bytes in all", total);
    v->bytes = rti_pool_take(&v->pool, total + 1);
    v->offsets = rti_pool_take_array(&v->pool, v->count + 1, sizeof *v->offsets);
    uint32_t at = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        v->offsets[i] = at;
        if (sizes[i] != 0) memcpy(v->bytes + at, pieces[i], sizes[i]);
        at += (uint32_t)sizes[i];
    }
    v->offsets[v->count] = at;
}

static void describe_nodes(rt_vocabulary *v)
{
    for (uint32_t i = v->node_count; i-- > 0;) { // children come after their parent
        rti_trie_node *n = &v->nodes[i];
        uint32_t token = v->ends[i];
        if (token != RTI_NO_TOKEN) {
            n->longest = v->characters[token];
            if ((v->holds_space[token / 32] >> (token % 32) & 1) != 0) n->flags |= RTI_TRIE_SPACE;
        }
        for (uint32_t k = 0; k < rti_trie_children(n); k++) {
            const rti_trie_node *child = &v->nodes[n->first + k];
            n->longest = RTI_MAX(n->longest, child->longest);
            n->flags |= child->flags & RTI_TRIE_SPACE;
        }
    }
}

static void join_bits(const rt_vocabulary *v, uint32_t *restrict to, const uint32_t *restrict a, const uint32_t *restrict b)
{
    for (uint32_t i = 0; i < v->words; i++) to[i] = a[i] | b[i];
}

static void group_codes(rt_vocabulary *v)
{
    const uint32_t *smaller = v->holds;
    uint32_t *larger = v->holds_group;
    for (uint32_t count = 64; count >= 4; count /= 2) {
        for (uint32_t i = 0; i < count; i++) join_bits(v, larger + (size_t)i * v->words, smaller + (size_t)(2 * i) * v->words, smaller + (size_t)(2 * i + 1) * v->words);
        smaller = larger;
        larger += (size_t)count * v->words;
    }
    v->weights[129] = v->below[0].to;
    for (uint32_t code = 0; code < 129; code++) {
        const uint32_t *holds = code < 128 ? v->holds + (size_t)code * v->words : v->holds_high;
        for (uint32_t i = 0; i < v->words; i++) v->weights[code] += (uint32_t)__builtin_popcount(holds[i]);
    }
}

static void find_common(rt_vocabulary *v)
{
    const rti_trie_node *root = &v->nodes[0];
    uint32_t most = 0;
    for (uint32_t i = root->first; i < root->first + rti_trie_children(root); i++) {
        uint32_t count = v->below[i].to - v->below[i].from;
        if (v->nodes[i].byte >= 0x80 || count <= most) continue;
        most = count;
        v->common = i;
    }
    for (uint32_t i = v->below[v->common].from; v->common != 0 && i < v->below[v->common].to; i++) {
        uint32_t token = v->order[i];
        rti_mask_set(v->common_first, token);
        if (memchr(piece(v, token) + 1, v->nodes[v->common].byte, piece_size(v, token) - 1) != NULL) rti_mask_set(v->common_again, token);
    }
}

static void fill(rt_vocabulary *v, const char *const *pieces, const size_t *sizes)
{
    copy_pieces(v, pieces, sizes);
    v->same = rti_pool_take_array(&v->pool, v->count + 1, sizeof *v->same);
    memset(v->same, 0xFF, (v->count + 1) * sizeof *v->same);
    v->characters = rti_pool_take(&v->pool, v->count + 1);
    v->plain = new_bits(v, 1);
    v->raw = new_bits(v, 1);
    v->holds = new_bits(v, 128);
    v->holds_group = new_bits(v, RTI_CODE_GROUPS);
    v->holds_high = new_bits(v, 1);
    v->holds_space = new_bits(v, 1);
    v->text = new_bits(v, 1);
    v->common_first = new_bits(v, 1);
    v->common_again = new_bits(v, 1);
    v->short_of = new_bits(v, RTI_SHORT_LENGTHS);
    v->long_tokens = rti_pool_take_array(&v->pool, v->count + 1, sizeof *v->long_tokens);
    build_trie(v);
    for (uint32_t i = 0; i < v->below[0].to; i++) describe_token(v, v->order[i]);
    describe_nodes(v);
    group_codes(v);
    find_common(v);
    build_tails(v);
}

rt_result rti_vocabulary_create_from_bytes(const rt_host *host, const char *const *pieces, const size_t *sizes, size_t count,
                                           rt_token end, rt_vocabulary **vocabulary)
{
    *vocabulary = NULL;
    rt_host filled = rti_host_or_default(host);
    if (count == 0 || count > 1u << 22) return rti_fail(&filled, RT_ERROR_INVALID_ARGUMENT, "grammar: vocabulary: %zu tokens", count);
    rt_vocabulary *v = rti_allocate_zeroed(&filled, sizeof *v);
    if (v == NULL) return rti_fail(&filled, RT_ERROR_OUT_OF_MEMORY, "grammar: vocabulary: no memory");
    v->host = filled;
    atomic_init(&v->references, 1);
    v->count = (uint32_t)count;
    v->words = (uint32_t)((count + 31) / 32);
    v->end = end;
    rti_pool_begin(&v->pool, &filled, SIZE_MAX / 2);
    rti_pool building;
    rti_pool_begin(&building, &filled, SIZE_MAX / 2);
    v->building = &building;
    jmp_buf way_out;
    v->pool.way_out = building.way_out = &way_out;
    if (setjmp(way_out) != 0) {
        rt_result result = v->pool.result != RT_OK ? v->pool.result : building.result;
        rti_pool_end(&building);
        rti_pool_end(&v->pool);
        rti_release(&filled, v, sizeof *v);
        return result;
    }
    fill(v, pieces, sizes);
    rti_pool_end(&building);
    v->building = NULL;
    v->pool.way_out = NULL;
    pthread_mutex_init(&v->lock, NULL);
    *vocabulary = v;
    return RT_OK;
}

rt_result rt_vocabulary_create(rt_tokenizer *tokenizer, const rt_host *host, rt_vocabulary **vocabulary)
{
    if (vocabulary == NULL) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "rt_vocabulary_create: vocabulary is NULL");
    *vocabulary = NULL;
    if (tokenizer == NULL) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "rt_vocabulary_create: tokenizer is NULL");
    rt_host filled = rti_host_or_default(host);
    size_t count = (size_t)rt_tokenizer_vocab_size(tokenizer);
    const char **pieces = rti_allocate_zeroed(&filled, (count + 1) * sizeof *pieces);
    size_t *sizes = rti_allocate_zeroed(&filled, (count + 1) * sizeof *sizes);
    rt_result result;
    if (pieces == NULL || sizes == NULL) {
        result = rti_fail(&filled, RT_ERROR_OUT_OF_MEMORY, "grammar: vocabulary: no memory for %zu tokens", count);
    } else {
        for (size_t i = 0; i < count; i++) {
            if (!rt_tokenizer_bytes(tokenizer, (rt_token)i, &pieces[i], &sizes[i])) sizes[i] = 0;
        }
        result = rti_vocabulary_create_from_bytes(&filled, pieces, sizes, count, rt_tokenizer_eos(tokenizer), vocabulary);
    }
    rti_release(&filled, pieces, (count + 1) * sizeof *pieces);
    rti_release(&filled, sizes, (count + 1) * sizeof *sizes);
    if (result == RT_OK) (*vocabulary)->tokenizer = rt_tokenizer_retain(tokenizer);
    return result;
}

rt_vocabulary *rt_vocabulary_retain(rt_vocabulary *vocabulary)
{
    if (vocabulary != NULL) atomic_fetch_add(&vocabulary->references, 1);
    return vocabulary;
}

void rt_vocabulary_release(rt_vocabulary *v)
{
    if (v == NULL || atomic_fetch_sub(&v->references, 1) != 1) return;
    rt_host host = v->host;
    if (v->tokenizer != NULL) rt_tokenizer_close(v->tokenizer);
    pthread_mutex_destroy(&v->lock);
    rti_pool_end(&v->pool);
    rti_release(&host, v, sizeof *v);
}

rt_tokenizer *rt_vocabulary_tokenizer(const rt_vocabulary *vocabulary)
{
    return vocabulary->tokenizer;
}

size_t rt_vocabulary_memory(const rt_vocabulary *vocabulary)
{
    return sizeof *vocabulary + atomic_load(&vocabulary->pool.held);
}
