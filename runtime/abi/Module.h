/* The module file: one file that holds the plan of a model and code for one or more machines.
 * Shared by codegen/package (writes) and runtime/module (reads). Little endian throughout.
 *
 *   offset 0   denim_module_header_t
 *          64  denim_module_section_t [section_count]
 *          ..  sections, each at a multiple of 64
 *
 * Sections (kind / name):
 *   plan / plan         JSON text, see below
 *   code / <target>     an ELF shared object for that target; exports the kernels named in the plan
 *   text / <phase>      the text the module was compiled from (`model`), for `denim-run inspect` and people
 *
 * The plan, JSON (all counts are checked by the reader; unknown keys are ignored, missing ones refused):
 *   {
 *     "name": "qwen3_next", "vocabulary": 256, "kernel_abi": 1, "page_tokens": 64,
 *     "source": "what it was compiled from", "compiler": "denim 0.1",
 *     "eos_tokens": [0],
 *     "parameters": [ {"name": "model.norm.weight", "type": "bf16"|"f32"|"f16", "shape": [192]} ],
 *     "caches":     [ {"name": "model.layers.0.state", "kind": "state"|"tail"|"paged", "type": "f32"|"bf16",
 *                      "shape": [3, 64, 64]} ],
 *          state, tail: shape of one sequence's slot, zero when the sequence is empty
 *          paged: shape [heads, columns] of one token; a page is [heads][page_tokens][columns]
 *     "slots":    [ {"rows": "tokens"|"outputs", "row_bytes": 768} ],      activation memory; row_bytes % 4 == 0
 *     "programs": [ {"name": "linear", "launches": [ LAUNCH ... ]} ],
 *     "steps":    [ {"program": 0, "layer": 0, "parameters": [0, 5], "caches": [0, 1]} ],  executed in order
 *     "logits":   0,                      the slot that holds [output_count, vocabulary] f32 after the last step
 *     "targets":  [ {"name": "x86-64-v4", "features": ["avx512f", ...],   needed, names of /proc/cpuinfo; best first
 *                    "kernels": [ {"name": "linear_0", "scratch": 65536} ]} ]
 *   }
 *   LAUNCH = {"kernel": 0,                      index into each target's kernels
 *             "items": {"per": "once"|"tokens"|"outputs"|"sequences", "block": 64, "times": 3},
 *                      work items = times * ceil(count / block); once: count = block = 1
 *             "args": [ ["slot", 0], ["parameter", 2], ["stack", 3, 6], ["cache", 1] ]}
 *             "parameter"/"cache" index into the step's own lists; "stack", i, n takes n consecutive parameters
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
#define DENIM_MODULE_VERSION 1
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
