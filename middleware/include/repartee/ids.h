// repartee/ids.h - the small things by value: characters, turns, tools, calls.
//
// An id is an index and a generation. It is safe to keep after its object is gone: using it then is RT_ERROR_STALE_ID and
// changes nothing. {0} is no object. Compare with rp_id_equal or by both fields.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_IDS_H
#define REPARTEE_IDS_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_world rp_world;

typedef struct rp_character_id { uint32_t index, generation; } rp_character_id;
typedef struct rp_turn_id { uint32_t index, generation; } rp_turn_id;
typedef struct rp_tool_id { uint32_t index, generation; } rp_tool_id;
typedef struct rp_call_id { uint32_t index, generation; } rp_call_id;

#define RP_ID_IS_NULL(id) ((id).index == 0)
#define RP_ID_EQUAL(a, b) ((a).index == (b).index && (a).generation == (b).generation)

// Text by pointer and length: UTF-8, not zero-terminated unless a comment says so.
typedef struct rp_text {
    const char *data;
    size_t size;
} rp_text;

#ifdef __cplusplus
}
#endif
#endif
