/* What generated kernels and the runtime agree on. C, self-contained, shared by codegen/ and runtime/.
 *
 * A module holds code for CPUs (shared objects, one function of type denim_kernel_fn per kernel) or for CUDA devices
 * (PTX and cubins, one entry per kernel, see the end), or both. Items of one launch are independent of each other and
 * of who does them, so any partition over threads or blocks gives the same bits.
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
/* That of a plan with kernels that take tensor maps (see the end), and otherwise the same: who does not know of maps
 * would launch them with too few parameters. */
#define DENIM_KERNEL_ABI_TENSOR_MAPS 2
/* Rows that may be read behind the last row of an activation buffer. */
#define DENIM_ROW_PADDING 64
/* Tokens in one page of keys, values or latents. */
#define DENIM_PAGE_TOKENS 64
/* Alignment in bytes of activation buffers, cache slots, pages and scratch. Weights: alignment of their element. */
#define DENIM_BUFFER_ALIGNMENT 64
/* The same on a CUDA device, where weights have it too: whole lines for bulk copies. Pages are dense, so a page
 * after the first has it only if its bytes are a multiple of it. */
#define DENIM_CUDA_ALIGNMENT 256
/* Bytes of dynamic shared memory that a kernel may ask for; what a device gives is compared when it is loaded. */
#define DENIM_CUDA_MAX_SHARED (232448)
/* Bytes of a tensor map and its alignment as a parameter, how many a kernel may take, and rows and columns of the boxes
 * they copy. */
#define DENIM_TENSOR_MAP_BYTES 128
#define DENIM_TENSOR_MAP_ALIGNMENT 64
#define DENIM_TENSOR_MAP_MOST 16
#define DENIM_TENSOR_BOX_MOST_ROWS 256
#define DENIM_TENSOR_BOX_COLUMNS 64

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

/* A kernel on a CUDA device is an entry of PTX:
 *
 *   .visible .entry NAME(.param .u64 batch, .param .u64 items, .param .u64 arg0, ..., .param .u64 argN,
 *                        .param .align 64 .b8 map0[128], ..., .param .align 64 .b8 mapM[128])
 *
 *   batch   address of a denim_batch_t in device memory, whose pointers are addresses of device memory
 *   items   work items of the launch, at least 1
 *   args    in the order of the kernel's parameters, with the meaning above; the arrays of pointers of stacked,
 *           state and tail arguments lie in device memory, and so does what they point to
 *   maps    "tensor_maps" of the kernel in the plan, in their order; most kernels have none. Each says to the copying
 *           unit (cp.async.bulk.tensor) that an argument is a matrix of bf16 with rows of "columns" elements, one after
 *           the other from where it begins, of which it copies boxes of "box_rows" rows and "box_columns" columns to
 *           shared memory: rows of 128 bytes, whose piece c of 16 bytes stands at c ^ (row % 8). Of a parameter
 *           in blocks two bytes count as an element. The map knows no last row; a kernel asks for boxes inside of the
 *           argument only
 *
 * The grid is one-dimensional. What it counts is the kernel's "grid" in the plan: "items" is one block for each work
 * item, block i does item i. (A persistent kernel has an item for each multiprocessor.) Blocks have "threads" threads
 * and "shared" bytes of dynamic shared memory. There is no scratch: what a block needs is registers and shared memory.
 * All launches of a pass run on one stream in order. Whether denormal numbers count as zero is the kernel's choice. */

#ifdef __cplusplus
}
#endif
#endif
