/* A model that runs: a module with its weights, a cache, and the sequences in it.
 *
 * Owner: the caller, until denim_session_release; its sequences end with it. Threads: one call at a time on one
 * session.
 */
#ifndef DENIM_SESSION_H
#define DENIM_SESSION_H

#include <denim/device.h>
#include <denim/module.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct denim_session_t denim_session_t;

typedef struct denim_session_options_t {
  size_t struct_size;      /* set by _initialize */
  const char *weights;     /* checkpoint directory or safetensors file; a CPU maps it, and it must stay as it is */
  size_t cache_bytes;      /* budget of states, tails and pages over all sequences */
  int32_t max_step_tokens; /* tokens that run at once; longer steps are cut into passes */
} denim_session_options_t;

/* Sets |out_options| to the defaults: no weights (they must be set), 1 GiB, 512 tokens. */
void denim_session_options_initialize(denim_session_options_t *out_options);

/* Picks the best code of |module| for |device| and finds its parameters. All arguments are borrowed for the call. */
DENIM_MUST_USE denim_status_t denim_session_create(denim_device_t *device, denim_module_t *module,
                                                   const denim_session_options_t *options,
                                                   denim_session_t **out_session);
/* NULL is allowed. */
void denim_session_release(denim_session_t *session);

/* A sequence of tokens and what the model remembers of them. Numbers are never used twice. */
typedef int64_t denim_sequence_t;

/* An empty sequence, until denim_sequence_release. */
DENIM_MUST_USE denim_status_t denim_sequence_create(denim_session_t *session, denim_sequence_t *out_sequence);
/* Another sequence that continues from where |from| is now; they share memory for what they have in common. */
DENIM_MUST_USE denim_status_t denim_sequence_fork(denim_session_t *session, denim_sequence_t from,
                                                  denim_sequence_t *out_sequence);
DENIM_MUST_USE denim_status_t denim_sequence_length(denim_session_t *session, denim_sequence_t sequence,
                                                    int64_t *out_length);
DENIM_MUST_USE denim_status_t denim_sequence_release(denim_session_t *session, denim_sequence_t sequence);

typedef enum denim_logits_e {
  DENIM_LOGITS_NONE = 0,
  DENIM_LOGITS_LAST = 1, /* of the last token */
  DENIM_LOGITS_ALL = 2   /* of every token */
} denim_logits_t;

/* New tokens of one sequence. An array element, so its size is part of the API's version. */
typedef struct denim_step_entry_t {
  denim_sequence_t sequence;
  const int32_t *tokens; /* [token_count], borrowed for the call; may be NULL if there are none */
  int64_t token_count;   /* 0: the sequence stays as it is and gives no logits */
  denim_logits_t logits;
} denim_step_entry_t;

/* Appends the tokens of all |entries| to their sequences, each sequence at most once. |out_logits| takes
 * [row_count, vocabulary] values, rows in the order of entries and tokens; |row_count| must be what the entries ask
 * for. When it is refused (wrong arguments, a full cache), every sequence is as it was. */
DENIM_MUST_USE denim_status_t denim_session_step(denim_session_t *session, const denim_step_entry_t *entries,
                                                 size_t entry_count, int64_t row_count, float *out_logits);

#ifdef __cplusplus
}
#endif
#endif
