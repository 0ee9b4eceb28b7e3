/* The module file: one file that holds the plan of a model and code for one or more machines.
 * Shared by codegen/package (writes) and runtime/module (reads). Little endian throughout.
 *
 *   offset 0   denim_module_header_t
 *          64  denim_module_section_t [section_count]
 *          ..  sections, each at a multiple of 64
 *
 * Sections (kind / name):
 *   plan / <machine>    JSON text, see below; machines are `cpu` and `cuda`, a module has one of them or both
 *   code / <target>     the kernels named in the plan. cpu: an ELF shared object; cuda: a cubin, may be absent
 *   ptx / <target>      of every target of `cuda`: the same kernels as PTX, which the driver can compile
 *   text / <phase>      the text the module was compiled from (`model`), for `denim-run inspect` and people
 *
 * A plan per machine, since machines differ in kernels, in what is fused and in the types of activations and pages. The
 * parameters are those of one checkpoint, named alike.
 *
 * The plan, JSON (all counts are checked by the reader; unknown keys are ignored, missing ones refused):
 *   {
 *     "name": "qwen3_next", "vocabulary": 256, "kernel_abi": 1|2, "page_tokens": 64,
 *     "source": "what it was compiled from", "compiler": "denim 0.1",
 *     "eos_tokens": [0],
 *     "parameters": [ {"name": "model.norm.weight", "type": "bf16"|"f32"|"f16"|"q8_0"|"q4_0", "shape": [192]} ],
 *          q8_0, q4_0: rows of blocks, shape [rows, columns] of the elements that they stand for; how they lie in memory
 *          and in a checkpoint is in formats/blocks/BlockFormat.h
 *     "caches":     [ {"name": "model.layers.0.state", "kind": "state"|"tail"|"paged", "type": "f32"|"bf16"|"f16",
 *                      "shape": [3, 64, 64]} ],
 *          state, tail: shape of one sequence's slot, zero when the sequence is empty
 *          paged: shape [heads, columns] of one token; a page is [heads][page_tokens][columns]
 *     "slots":    [ {"rows": "tokens"|"outputs"|"once", "row_bytes": 768, "type": "f32"|"bf16"} ],
 *          activation memory. row_bytes is of the widest value that the slot holds, a multiple of the element's size and,
 *          for the CPU, of 4; rows of a narrower value follow each other without gaps. type is that of all its values.
 *          once: one row whatever the step brings, for weights that launches make
 *     "programs": [ {"name": "linear", "launches": [ LAUNCH ... ]} ],
 *     "steps":    [ {"program": 0, "layer": 0, "parameters": [0, 5], "caches": [0, 1]} ],  executed in order
 *     "logits":   0,                      the slot that holds [output_count, vocabulary] f32 after the last step
 *     "targets":  [ TARGET ... ]          best first; all with kernels in the same order
 *   }
 *   TARGET of cpu  = {"name": "x86-64-v4", "features": ["avx512f", ...],   needed, names of /proc/cpuinfo
 *                     "kernels": [ {"name": "linear_0", "scratch": 65536} ]}
 *   TARGET of cuda = {"name": "sm_90a", "features": ["sm_90a"],            needed; "sm_90" would run on later ones too
 *                     "kernels": [ {"name": "linear_0", "threads": 256, "shared": 65536, "grid": "items",
 *                                   "registers": 128, "spills": 0,
 *                                   "overlaps": true,
 *                                   "tensor_maps": [ {"memory": 1, "columns": 4096, "box_rows": 64,
 *                                                     "box_columns": 64} ]} ]}
 *          shared: bytes of dynamic shared memory. grid: "items"|"parts", may be absent, "items" then. registers (of a
 *          thread) and spills (bytes) are for people; -1 when no assembler was there. overlaps: may be absent, false
 *          then; the kernel waits itself for the ones before it (griddepcontrol.wait, on every path, in front of all it
 *          reads or writes but parameters and the step), and may be launched so that it begins while they run.
 *          tensor_maps: may be absent, none then; what the kernel takes behind its arguments (runtime/abi/Kernel.h).
 *          memory: index of an argument, of every launch of the kernel a slot with rows of at least so many columns of
 *          bf16, a multiple of 8, or a parameter of bf16 with at least a row of them, or one in blocks whose rows are as
 *          many bytes.
 *          A plan with a kernel that has some is of "kernel_abi" 2, all others of 1.
 *   LAUNCH = {"kernel": 0,                                       index into each target's kernels
 *             "items": {"per": "once"|"tokens"|"outputs"|"sequences", "block": 64, "times": 3,
 *                       "parts": 64, "wanted": 256},             the last two optional
 *             "args": [ ["slot", 0], ["parameter", 2], ["stack", 3, 6], ["cache", 1] ],
 *             "when": {"of": "rows"|"sequence", "least": 1, "most": 16, "block": 128, "stride": 32,
 *                       "tokens": 2, "even": 16, "uneven": 16, "longest": 32768, "sequences": 8, "fewer": 8},
 *                                                                optional, the last eight, too
 *             "product": {"x": 0, "weight": 2, "out": 3, "residual": 1, "inner": 2048, "columns": 512, "least": 64}}
 *                                                                optional
 *          items: n = times * ceil(count / block), once: count = block = 1. With "parts" (and that grid) each is cut
 *          into p = min(max(ceil(wanted / n), 1), parts): n * p work items, of which the kernel makes the same p.
 *          args: "parameter" and "cache" index into the step's own lists; "stack", i, n takes n consecutive parameters.
 *          when: the launch runs only in passes where it holds. rows: the launch's own count (of "per") is within
 *          [least, most]. sequence: some sequence of the pass has a number of new tokens n within [least, most] and,
 *          where "block" and "stride" are there, ceil((past + n) / block) > floor(n / stride): more keys than a buffer
 *          with a block of them for each stride of the new tokens has room for. Variants of a kernel for few and for
 *          many tokens are two launches; a kernel under `sequence` does the sequences it is made for and passes over
 *          the others. With "tokens" the pass has at least so many new ones, too; with "even" it has at least so many
 *          such sequences, none of them longer (past and new tokens) than twice their mean, nor than "longest"; with
 *          "uneven": not so. With "sequences" it has at least so many such sequences, whatever their lengths, with
 *          "fewer" less than so many.
 *          product: the launch computes out[rows, columns] = x[rows, inner] * weight[columns, inner]^T
 *          (+ residual[rows, columns]) with sums in f32. The values of x, weight, out and residual are positions in
 *          "args": slots, and for the weight a parameter or a slot of one row; residual -1: none. x and weight have one
 *          element type, out and residual one; rows are the count of "per". A device that has a library for it may use
 *          that instead of the kernel when rows >= least. residual and out may be one slot.
 *   The parameters of a step are indices into "parameters", its caches indices into "caches".
 */
#ifndef DENIM_RUNTIME_ABI_MODULE_H
#define DENIM_RUNTIME_ABI_MODULE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "\x89DENIM\r\n": the first byte is no text, the last two show a transfer in text mode. */
#define DENIM_MODULE_MAGIC                                                                                             \
  "\x89"                                                                                                               \
  "DENIM\r\n"
/* 1 had a single plan for the CPU, 3 no slots with one row in all. */
#define DENIM_MODULE_VERSION 4
#define DENIM_MODULE_ALIGNMENT 64

typedef struct denim_module_header_t {
  char magic[8];
  uint32_t version; /* DENIM_MODULE_VERSION of the writer */
  uint32_t section_count;
  uint64_t file_bytes;  /* of the whole file */
  uint64_t checksum;    /* FNV-1a 64 of everything behind the header */
  uint64_t reserved[4]; /* 0 */
} denim_module_header_t;

typedef struct denim_module_section_t {
  char kind[8];    /* zero padded */
  char name[40];   /* zero padded */
  uint64_t offset; /* from the start of the file */
  uint64_t bytes;
} denim_module_section_t;

/* FNV-1a, 64 bits. */
static inline uint64_t denim_module_checksum(const void *data, uint64_t bytes) {
  const unsigned char *p = (const unsigned char *)data;
  uint64_t h = 14695981039346656037ull;
  for (uint64_t i = 0; i < bytes; ++i)
    h = (h ^ p[i]) * 1099511628211ull;
  return h;
}

#ifdef __cplusplus
}
#endif
#endif
