/* What generated kernels and the runtime agree on. C, self-contained, shared by codegen/ and runtime/.
 *
 * A module holds shared objects; each exports one function per kernel with the type denim_kernel_fn. A kernel
 * does a range of work items of one launch; items of one launch are independent of each other and of the
 * thread that does them, so any partition over threads gives the same bits.
 *
 * Every array of activations is row-major [rows][columns] with the row count known only at run time and the
 * columns fixed when compiling. Activation buffers are allocated by the runtime with DENIM_ROW_PADDING further
 * rows that a kernel may read and must not rely on.
 */
#ifndef DENIM_RUNTIME_ABI_KERNEL_H
#define DENIM_RUNTIME_ABI_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of everything in this header; a module that was built with another one is refused. */
#define DENIM_KERNEL_ABI_VERSION 1
/* Rows that may be read behind the last row of an activation buffer. */
#define DENIM_ROW_PADDING 64
/* Tokens in one page of keys, values or latents. */
#define DENIM_PAGE_TOKENS 64
/* Alignment in bytes of activation buffers, cache slots, pages and scratch. Weights: alignment of their element. */
#define DENIM_BUFFER_ALIGNMENT 64

/* One step: new tokens of any number of sequences, those of one sequence contiguous and in order. All arrays are
 * owned by the runtime and live for the launch. Generated code reads the fields by the offsets of this struct:
 * codegen asserts them with offsetof, so a change here changes DENIM_KERNEL_ABI_VERSION. */
typedef struct denim_batch_t {
  int64_t token_count;       /* new tokens of this step, over all sequences */
  int64_t sequence_count;    /* sequences of this step */
  int64_t output_count;      /* rows whose logits are wanted */
  const int32_t *tokens;     /* [token_count] token ids */
  const int32_t *positions;  /* [token_count] absolute position of each token in its sequence */
  const int32_t *row_begin;  /* [sequence_count + 1] first row of each sequence; the last is token_count */
  const int32_t *past;       /* [sequence_count] tokens of the sequence before this step */
  const int32_t *outputs;    /* [output_count] rows whose logits are wanted, ascending */
  const int32_t *pages;      /* page tables of all sequences, one after the other: entry j of sequence s, at
                                pages[page_begin[s] + j], is the page of positions [64 j, 64 j + 64) */
  const int32_t *page_begin; /* [sequence_count + 1] */
} denim_batch_t;

/* Arguments of a launch, in the order of the kernel's parameters. What args[i] points to:
 *   activation   the first row of the buffer
 *   parameter    the first element of the tensor as the checkpoint stores it (row-major, its own element type)
 *   stacked      (one tensor per expert) an array of pointers, `const void *const *`
 *   state, tail  an array [sequence_count] of pointers to each sequence's slot, `void *const *`
 *   paged        the base of the cache's page pool; page p begins at base + p * (bytes of one page). Rows behind the
 *                tokens of a sequence may be read: they are zero when the sequence gets the page
 * `scratch` is private to the calling thread, of at least the kernel's scratch bytes, uninitialised.
 * Does items [begin, end) of the launch. On a CPU denormal f32 numbers count as zero while it runs. */
typedef void (*denim_kernel_fn)(const denim_batch_t *batch, void *const *args, int64_t begin, int64_t end,
                                void *scratch);

#ifdef __cplusplus
}
#endif
#endif
