// Where $ref points: base URIs, anchors, JSON pointers. Nothing is fetched: a reference that leaves the document is refused.
// SPDX-License-Identifier: MIT
#include "grammar/schema.h"

#include <stdlib.h>
#include <string.h>

typedef struct text {
    const char *at;
    uint32_t size;
} text;

static text text_of(rti_compiler *c, uint32_t place)
{
    const rti_json_value *v = &c->json.values[place];
    return (text){ c->json.text + v->text, v->text_size };
}

static bool equal(text a, text b)
{
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

static text before(text t, char end)
{
    const char *found = memchr(t.at, end, t.size);
    if (found != NULL) t.size = (uint32_t)(found - t.at);
    return t;
}

static uint32_t scheme_size(text t)
{
    for (uint32_t i = 0; i < t.size; i++) {
        char ch = t.at[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        if (ch == ':') return i > 0 ? i + 1 : 0;
        if (!letter && (i == 0 || !((ch >= '0' && ch <= '9') || ch == '+' || ch == '-' || ch == '.'))) return 0;
    }
    return 0;
}

// RFC 3986, section 5.2, without the query's finer points; `base` and `reference` carry no fragment.
static text resolve(rti_compiler *c, text base, text reference)
{
    if (scheme_size(reference) != 0 || base.size == 0) return reference;
    if (reference.size == 0) return base;
    uint32_t start = scheme_size(base), path = start;
    if (base.size >= start + 2 && memcmp(base.at + start, "//", 2) == 0) {
        path = start + 2;
        while (path < base.size && base.at[path] != '/' && base.at[path] != '?') path++;
    }
    uint32_t keep;
    if (reference.size >= 2 && memcmp(reference.at, "//", 2) == 0) {
        keep = start;
    } else if (reference.at[0] == '/') {
        keep = path;
    } else {
        text whole = before(base, '?');
        keep = whole.size;
        while (keep > path && whole.at[keep - 1] != '/') keep--;
    }
    char *out = rti_pool_take(c->pool, keep + reference.size + 2);
    memcpy(out, base.at, keep);
    uint32_t used = keep;
    if (keep == path && path > start && reference.at[0] != '/') out[used++] = '/';
    // Segments of the reference, "." and ".." taken away.
    for (uint32_t i = 0; i < reference.size;) {
        uint32_t end = i;
        while (end < reference.size && reference.at[end] != '/') end++;
        uint32_t length = end - i;
        if (length == 2 && memcmp(reference.at + i, "..", 2) == 0) {
            if (used > path + 1) used--;
            while (used > path + 1 && out[used - 1] != '/') used--;
        } else if (!(length == 1 && reference.at[i] == '.')) {
            memcpy(out + used, reference.at + i, length);
            used += length;
            if (end < reference.size) out[used++] = '/';
        }
        i = end + 1;
    }
    return (text){ out, used };
}

static uint32_t id_of(rti_compiler *c, uint32_t place)
{
    if (c->json.values[place].kind != RTI_JSON_OBJECT) return RTI_JSON_NONE;
    if (place != 0 && c->draft != 0 && c->draft <= 7 && rti_json_member(&c->json, place, "$ref") != RTI_JSON_NONE) return RTI_JSON_NONE;
    uint32_t id = rti_json_member(&c->json, place, c->draft == 4 ? "id" : "$id");
    if (id != RTI_JSON_NONE && c->json.values[id].kind != RTI_JSON_STRING) id = RTI_JSON_NONE;
    return id;
}

static text base_of(rti_compiler *c, uint32_t place, uint32_t *root)
{
    for (uint32_t at = place; at != RTI_JSON_NONE; at = c->json.values[at].parent) {
        for (uint32_t i = 0; i < c->resource_count; i++) {
            if (c->resources[i].place != at) continue;
            *root = at;
            return (text){ c->resources[i].uri, c->resources[i].size };
        }
    }
    *root = 0;
    return (text){ "", 0 };
}

void rti_find_resources(rti_compiler *c)
{
    c->resources_ready = true;
    for (uint32_t place = 0; place < c->json.count; place++) {
        uint32_t id = id_of(c, place);
        if (id == RTI_JSON_NONE && place != 0) continue;
        text own = { "", 0 };
        if (id != RTI_JSON_NONE) {
            own = before(text_of(c, id), '#');
            if (own.size == 0 && place != 0) continue; // an anchor
        }
        uint32_t root;
        text base = place == 0 ? (text){ "", 0 } : base_of(c, place, &root);
        text uri = resolve(c, base, own);
        RTI_POOL_RESERVE(c->pool, c->resources, c->resource_capacity, c->resource_count + 1);
        c->resources[c->resource_count++] = (rti_resource){ place, uri.at, uri.size };
    }
}

static int hex(char ch)
{
    return ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1;
}

static uint32_t follow_pointer(rti_compiler *c, uint32_t at, text pointer)
{
    char *step = rti_pool_take(c->pool, pointer.size + 1);
    for (uint32_t i = 0; i < pointer.size && at != RTI_JSON_NONE;) {
        uint32_t used = 0;
        for (i++; i < pointer.size && pointer.at[i] != '/'; i++) {
            char ch = pointer.at[i];
            if (ch == '%' && i + 2 < pointer.size && hex(pointer.at[i + 1]) >= 0 && hex(pointer.at[i + 2]) >= 0) {
                ch = (char)(hex(pointer.at[i + 1]) * 16 + hex(pointer.at[i + 2]));
                i += 2;
            }
            if (used > 0 && step[used - 1] == '~' && (ch == '0' || ch == '1')) {
                step[used - 1] = ch == '0' ? '\x01' : '/'; // a tilde that is not an escape again
            } else {
                step[used++] = ch;
            }
        }
        for (uint32_t k = 0; k < used; k++) {
            if (step[k] == '\x01') step[k] = '~';
        }
        step[used] = 0;
        if (c->json.values[at].kind == RTI_JSON_ARRAY) {
            unsigned long index = strtoul(step, NULL, 10);
            at = c->json.values[at].first;
            for (; index > 0 && at != RTI_JSON_NONE; index--) at = c->json.values[at].next;
        } else {
            at = rti_json_member_sized(&c->json, at, step, used);
        }
    }
    return at;
}

// An anchor inside the resource at `root`.
static uint32_t find_anchor(rti_compiler *c, uint32_t root, text name, bool dynamic)
{
    for (uint32_t place = 0; place < c->json.count; place++) {
        if (c->json.values[place].kind != RTI_JSON_OBJECT) continue;
        static const char *const keywords[] = { "$anchor", "$dynamicAnchor" };
        for (int i = dynamic ? 1 : 0; i < 2; i++) {
            uint32_t anchor = rti_json_member(&c->json, place, keywords[i]);
            if (anchor == RTI_JSON_NONE || c->json.values[anchor].kind != RTI_JSON_STRING || !equal(text_of(c, anchor), name)) continue;
            uint32_t home;
            base_of(c, place, &home);
            if (home == root) return place;
        }
        uint32_t id = id_of(c, place); // drafts 4 to 7: "$id": "#name"
        if (id == RTI_JSON_NONE) continue;
        text own = text_of(c, id);
        const char *mark = memchr(own.at, '#', own.size);
        if (mark == NULL) continue;
        text fragment = { mark + 1, (uint32_t)(own.at + own.size - mark - 1) };
        uint32_t home;
        base_of(c, place, &home);
        if (fragment.size != 0 && equal(fragment, name) && home == root) return place;
    }
    return RTI_JSON_NONE;
}

static uint32_t find_resource(rti_compiler *c, text uri)
{
    for (uint32_t i = 0; i < c->resource_count; i++) {
        if (equal((text){ c->resources[i].uri, c->resources[i].size }, uri)) return c->resources[i].place;
    }
    for (uint32_t i = 0; i < c->resource_count; i++) { // an $id without a base, referred to as it is written
        uint32_t id = id_of(c, c->resources[i].place);
        if (id != RTI_JSON_NONE && equal(before(text_of(c, id), '#'), uri)) return c->resources[i].place;
    }
    return RTI_JSON_NONE;
}

static void refuse_dynamic(rti_compiler *c, uint32_t place, text name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->json.count; i++) {
        if (c->json.values[i].kind != RTI_JSON_OBJECT) continue;
        uint32_t anchor = rti_json_member(&c->json, i, "$dynamicAnchor");
        if (anchor != RTI_JSON_NONE && c->json.values[anchor].kind == RTI_JSON_STRING && equal(text_of(c, anchor), name)) count++;
        anchor = rti_json_member(&c->json, i, "$recursiveAnchor");
        if (anchor != RTI_JSON_NONE && name.size == 0 && c->json.values[anchor].kind == RTI_JSON_TRUE) count++;
    }
    if (count > 1) rti_refuse(c, RT_ERROR_UNSUPPORTED, place, "several dynamic anchors of this name: which one is meant depends on the way taken");
}

uint32_t rti_schema_target(rti_compiler *c, rti_schema *s, rti_keyword keyword)
{
    if (keyword == RTI_KEYWORD_ref && s->target != RTI_JSON_NONE) return s->target;
    if (!c->resources_ready) rti_find_resources(c);
    uint32_t place = s->at[keyword], root;
    if (c->json.values[place].kind != RTI_JSON_STRING) rti_refuse(c, RT_ERROR_BAD_TEXT, place, "must be a string");
    text reference = text_of(c, place), uri = before(reference, '#');
    text fragment = { reference.at + uri.size + 1, reference.size - uri.size - 1 };
    if (uri.size == reference.size) fragment = (text){ "", 0 };
    text base = base_of(c, s->place, &root);
    if (uri.size != 0) root = find_resource(c, resolve(c, base, uri));
    if (root == RTI_JSON_NONE && uri.size != 0) root = find_resource(c, uri);
    if (root == RTI_JSON_NONE) {
        rti_refuse(c, RT_ERROR_UNSUPPORTED, place, "\"%.*s\" is not in this document, and nothing is fetched", (int)RTI_MIN(reference.size, 120u), reference.at);
    }
    if (keyword != RTI_KEYWORD_ref) refuse_dynamic(c, place, keyword == RTI_KEYWORD_recursive_ref ? (text){ "", 0 } : fragment);
    uint32_t target = root;
    if (fragment.size != 0) {
        target = fragment.at[0] == '/' ? follow_pointer(c, root, fragment) : find_anchor(c, root, fragment, false);
    }
    if (target == RTI_JSON_NONE) {
        rti_refuse(c, RT_ERROR_BAD_TEXT, place, "\"%.*s\" points to nothing", (int)RTI_MIN(reference.size, 120u), reference.at);
    }
    if (keyword == RTI_KEYWORD_ref) s->target = target;
    return target;
}
