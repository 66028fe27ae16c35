// rt/context.h - the working memory beside a model: key-value cache, sequences, and passes cut into slices.
//
// A context belongs to one thread at a time. It owns a pool of key-value blocks (RT_KV_BLOCK_TOKENS positions each),
// sequences that share blocks up to where they part, scratch memory for passes, and the worker threads that its def asked
// for. Everything is allocated when the context is created; after that neither a pass nor a fork allocates.
//
// A forward pass goes like this:
//
//     rt_row rows[] = { { .sequence = a, .token = 17, .wants_logits = true }, ... };
//     rt_pass_begin(context, rows, row_count, &pass);
//     while (!rt_pass_is_done(pass)) {
//         rt_slice slice;
//         rt_pass_plan(pass, &limit, &slice);   // as much of what comes next as fits the limit
//         rt_pass_run(pass, &slice);            // any number of frames may go by between two slices
//     }
//     rt_pass_logits(pass, row, &logits)  /  rt_pass_sample(pass, row, &request, &token)
//     rt_pass_commit(pass);                     // the rows now belong to their sequences; or rt_pass_abandon
//
// The arithmetic contract: the logits of a row depend on the tokens before it in its sequence and on nothing else - not
// on the other rows of the pass, the slicing, the number of threads or the instruction set - down to the last bit (on a
// GPU: on one model of GPU).
//
// SPDX-License-Identifier: MIT
#ifndef RT_CONTEXT_H
#define RT_CONTEXT_H

#include "rt/base.h"
#include "rt/model.h"
#include "rt/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RT_KV_BLOCK_TOKENS 32 // positions in one block of the key-value cache
#define RT_MAX_PASS_ROWS 512  // rows in one pass at most
#define RT_MAX_PASSES 4       // passes under way at once in one context at most
#define RT_MAX_WORKERS 63

typedef struct rt_context rt_context;
typedef struct rt_pass rt_pass;

// A sequence by value: stays safe to hold after the sequence is gone (RT_ERROR_STALE_ID). {0} is no sequence.
typedef struct rt_sequence {
    uint32_t index; // 1-based
    uint32_t generation;
} rt_sequence;

typedef enum rt_kv_type {
    RT_KV_F16 = 0,
    RT_KV_Q8_0 = 1, // half the memory; blocks of 32 with an F16 scale
    RT_KV_F32 = 2,  // twice the memory: what RT_PRECISION_EXACT is compared with references in
} rt_kv_type;

typedef struct rt_context_def {
    uint32_t cookie; // set by rt_default_context_def
    rt_host host;
    rt_model *model;          // retained
    int32_t max_sequences;    // default 64
    int32_t max_rows;         // rows in one pass, default 256
    int32_t max_passes;       // passes under way at once, default 2
    int32_t max_logits_rows;  // rows of one pass that may want logits, default 64
    uint64_t kv_tokens;       // positions in the pool, rounded up to whole blocks; default 8192
    rt_kv_type kv_type;       // default RT_KV_F16
    int32_t worker_count;     // threads beside the calling one, default 0: none is ever started that was not asked for
    const int32_t *worker_cpus; // worker_count processor numbers to pin workers to; NULL: the system decides
    uint32_t worker_spin_us;  // how long an idle worker spins before it sleeps, default 50
    int32_t device_percent;   // CUDA: keep to this share of the multiprocessors (a green context: driver 12.4 and later; where there are
                              // none it has no effect). 0 or 100, the default: all, at the lowest priority
} rt_context_def;

RT_API rt_context_def rt_default_context_def(void);

// Bytes that rt_context_create would take, by the formula in docs/architecture.md, before it takes them. On a GPU the driver takes more
// for CUDA graphs, which nobody can ask it before: docs/cuda.md bounds it.
RT_API rt_result rt_context_memory(const rt_context_def *def, uint64_t *bytes);

RT_API rt_result rt_context_create(const rt_context_def *def, rt_context **context);
// Waits for what is running, stops the workers, frees. NULL is fine.
RT_API void rt_context_destroy(rt_context *context);
RT_API rt_model *rt_context_model(const rt_context *context);

// Shrinks or grows the pool of key-value blocks while the game runs, to kv_tokens positions (rounded up to whole blocks). Sequences
// keep what they have, to the bit; blocks that are only kept for reuse are given up where there is no room, the oldest first.
// BUSY while passes are under way; TOO_LARGE where sequences hold more than is to be left: end or truncate some first;
// OUT_OF_MEMORY, and nothing has changed. No single sequence becomes longer than the kv_tokens of the def allowed.
// Not for a frame: blocks are copied into new memory, for a while both are taken (on a GPU a smaller one that does not fit beside
// goes by way of the computer's memory; if then not even the old one is to be had again the context is lost, RT_ERROR_DEVICE),
// and the next pass captures its graphs anew.
RT_API rt_result rt_context_set_kv_tokens(rt_context *context, uint64_t kv_tokens);

// ---------------------------------------------------------------------------------------------------------------------
// Sequences
// ---------------------------------------------------------------------------------------------------------------------

// An empty sequence. TOO_LARGE when max_sequences are alive.
RT_API rt_result rt_sequence_create(rt_context *context, rt_sequence *sequence);
// A copy that shares every block; the first write to a shared block copies that block. No copy of data here: microseconds.
RT_API rt_result rt_sequence_fork(rt_context *context, rt_sequence source, rt_sequence *copy);
// Gives its blocks back. BUSY while a pass under way has rows of it (abandon that pass first). Stale ids are an error.
RT_API rt_result rt_sequence_destroy(rt_context *context, rt_sequence sequence);
// Tokens whose keys and values are in the cache.
RT_API rt_result rt_sequence_length(const rt_context *context, rt_sequence sequence, int32_t *length);
// Forgets everything from position `length` on.
RT_API rt_result rt_sequence_truncate(rt_context *context, rt_sequence sequence, int32_t length);
// Moves an empty sequence to `position`: its first token will have that position (tests of far positions).
RT_API rt_result rt_sequence_set_start(rt_context *context, rt_sequence sequence, int32_t position);

// Attaches to an empty sequence the longest run of whole blocks, already in the cache from any sequence past or present,
// that holds the beginning of these tokens; always leaves at least the last token to be computed. *reused is the new
// length. The cache keeps blocks of destroyed sequences until their room is needed, least recently used first.
RT_API rt_result rt_sequence_reuse_prefix(rt_context *context, rt_sequence sequence, const rt_token *tokens, int32_t count,
                                          int32_t *reused);

typedef struct rt_cache_stats {
    uint32_t blocks;        // in the pool
    uint32_t blocks_active; // referenced by a sequence
    uint32_t blocks_shared; // of these, by more than one
    uint32_t blocks_cached; // kept for reuse, can be evicted
    uint64_t block_bytes;
    uint64_t reused_tokens; // that rt_sequence_reuse_prefix did not have to compute
    uint64_t computed_tokens;
    uint64_t evicted_blocks;
    uint64_t copied_blocks; // copy on write
} rt_cache_stats;
RT_API void rt_context_cache_stats(const rt_context *context, rt_cache_stats *stats);

// Blocks that could be taken now: free ones and cached ones.
RT_API uint32_t rt_context_available_blocks(const rt_context *context);

// A sequence's cache as bytes, keyed by model, types and RoPE: restoring into another model is BAD_FILE and says which key
// differs. save: with buffer NULL only sets *size.
RT_API rt_result rt_sequence_save(rt_context *context, rt_sequence sequence, void *buffer, size_t capacity, size_t *size);
RT_API rt_result rt_sequence_restore(rt_context *context, const void *data, size_t size, rt_sequence *sequence);

// ---------------------------------------------------------------------------------------------------------------------
// Passes
// ---------------------------------------------------------------------------------------------------------------------

// One token to be computed. Rows of one sequence stand in order, one after another; they continue at the sequence's length.
typedef struct rt_row {
    rt_sequence sequence;
    rt_token token;
    bool wants_logits;
    const uint32_t *mask; // the tokens whose logits are wanted (see rt/grammar.h), read by rt_pass_begin only; NULL: all
} rt_row;

// What part of a layer a piece of work is. The unit of the cost table.
typedef enum rt_part_kind {
    RT_PART_EMBED = 0,      // token rows to activations
    RT_PART_QKV,            // norm, query/key/value matrices, rotation, key-value write
    RT_PART_ATTENTION,      // scores, softmax, weighted values
    RT_PART_ATTENTION_OUT,  // output matrix of attention, residual
    RT_PART_FEED_FORWARD_UP, // norm, gate and up matrices, activation function
    RT_PART_FEED_FORWARD_DOWN, // down matrix, residual
    RT_PART_LOGITS,         // final norm, output matrix, for the rows that want it
    RT_PART_KIND_COUNT
} rt_part_kind;

RT_API const char *rt_part_kind_name(rt_part_kind kind);

// A contiguous piece of one part. `unit` is the smallest share that a part can be cut into (a tile of output rows, a group
// of heads and rows); a part's cost is close to proportional to its units.
typedef struct rt_part {
    rt_part_kind kind;
    int32_t layer;
    int32_t rows;          // activation rows worked on
    int32_t context;       // sum over rows of the positions attended to (attention), else 0
    int32_t unit_begin, unit_end, unit_count; // this piece is [begin, end) of count
    uint64_t bytes;        // weights and cache read by this piece
    uint64_t operations;   // multiply-adds of this piece
    uint32_t predicted_ns; // what the caller's cost function said
    uint32_t measured_ns;  // what it took (set by rt_pass_run; by rt_pass_poll on a GPU, shared out over the parts)
} rt_part;

#define RT_SLICE_MAX_PARTS 256 // of a layer five: what a device is given at once

// The unit of time: never interrupted once it runs.
typedef struct rt_slice {
    int32_t part_count;
    rt_part parts[RT_SLICE_MAX_PARTS];
    uint32_t predicted_ns;
} rt_slice;

// Predicted nanoseconds for a whole or partial part.
typedef uint32_t rt_cost_function(void *user, const rt_part *part);

typedef struct rt_slice_limit {
    rt_cost_function *cost; // NULL: no limit on time
    void *user;
    uint32_t budget_ns;     // the slice's predicted cost stays at or below this
    int32_t max_parts;      // 1 .. RT_SLICE_MAX_PARTS; 0: the most
} rt_slice_limit;

// Begins a pass. Reserves the key-value blocks its rows need (CONTEXT_FULL if there are none: nothing is changed then).
// A sequence can have rows in one pass at a time (BUSY). BUSY also when max_passes are under way.
// At most max_rows rows, max_logits_rows of them wanting logits. Where every row that wants logits has a mask and few tokens
// are allowed, only their part of the output matrix is computed (CPU): the same bits as ever, sooner.
RT_API rt_result rt_pass_begin(rt_context *context, const rt_row *rows, int32_t row_count, rt_pass **pass);

// The next slice: as many units of what follows as the limit allows. part_count 0: not even one unit fits (or the pass is
// done); slice->predicted_ns is then the cost of the smallest piece. Plans nothing twice: run the slice or plan again.
RT_API rt_result rt_pass_plan(rt_pass *pass, const rt_slice_limit *limit, rt_slice *slice);

// Runs a slice that rt_pass_plan has just given: on the CPU to its end, on a GPU it is queued. Fills measured_ns (CPU).
RT_API rt_result rt_pass_run(rt_pass *pass, rt_slice *slice);

// GPU: whether all queued slices are finished; fills measured_ns of the last slice. CPU: always true.
RT_API rt_result rt_pass_poll(rt_pass *pass, rt_slice *slice, bool *idle);

RT_API bool rt_pass_is_done(const rt_pass *pass);

// Share of the pass's operations that has run, 0 to 1.
RT_API float rt_pass_progress(const rt_pass *pass);

// The logits of a row that wanted them, once the pass is done: vocab_size floats, valid until the pass ends. Outside the
// row's mask they are either the logits or -INFINITY.
RT_API rt_result rt_pass_logits(rt_pass *pass, int32_t row, const float **logits);

// Samples where the logits are (on a GPU only the token comes back).
RT_API rt_result rt_pass_sample(rt_pass *pass, int32_t row, const rt_sample_request *request, rt_token *token);

// Ends a finished pass: the rows become part of their sequences.
RT_API rt_result rt_pass_commit(rt_pass *pass);
// Ends a pass at any time: the sequences are as they were before rt_pass_begin.
RT_API void rt_pass_abandon(rt_pass *pass);

// Runs a whole pass without slicing and commits it; logits (if not NULL) receives the wanted rows, one after another.
RT_API rt_result rt_context_evaluate(rt_context *context, const rt_row *rows, int32_t row_count, float *logits);

#ifdef __cplusplus
}
#endif
#endif
