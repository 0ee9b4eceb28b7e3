/* Kernels of a model small enough to compute by hand, with one of each thing that the contract has: a state, a tail,
 * pages, a stack of experts, scratch. Compiled with the C compiler, so that the runtime is tested without ours.
 * Sums run in the order of positions, so every cut of a sequence gives the same bits.
 *
 *   x = table[token]
 *   x = x + state' + tail of the token before, state' = state / 2 + x;  x = x + expert[token % 2]
 *   x = x + sum over positions j <= p of x[j] / (1 + p - j), from pages
 *   logits[v] = x . head[v]
 */
#include "runtime/abi/Kernel.h"

#include <string.h>

enum { Columns = 16, Heads = 2, Vocabulary = 32 };

static float fromBf16(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

static int64_t sequenceOf(const denim_batch_t *batch, int64_t row) {
  int64_t s = 0;
  while (batch->row_begin[s + 1] <= row)
    ++s;
  return s;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* tokens, block 8: x <- table */
void test_embed(const denim_batch_t *batch, void *const *args, int64_t begin, int64_t end, void *scratch) {
  float *x = args[0];
  const uint16_t *table = args[1];
  for (int64_t t = begin * 8; t < least(end * 8, batch->token_count); ++t)
    for (int c = 0; c < Columns; ++c)
      x[t * Columns + c] = fromBf16(table[batch->tokens[t] * Columns + c]);
}

/* sequences: x <-> state, tail, stack of 2 experts; scratch of Columns floats */
void test_mix(const denim_batch_t *batch, void *const *args, int64_t begin, int64_t end, void *scratch) {
  float *x = args[0];
  void *const *states = args[1], *const *tails = args[2];
  const void *const *experts = args[3];
  float *own = scratch;
  for (int64_t s = begin; s < end; ++s) {
    float *state = states[s], *tail = tails[s];
    for (int64_t t = batch->row_begin[s]; t < batch->row_begin[s + 1]; ++t) {
      const float *expert = experts[batch->tokens[t] % 2];
      for (int c = 0; c < Columns; ++c)
        own[c] = x[t * Columns + c];
      for (int c = 0; c < Columns; ++c) {
        state[c] = state[c] * 0.5f + own[c];
        x[t * Columns + c] = own[c] + state[c] + tail[c] + expert[c];
        tail[c] = own[c];
      }
    }
  }
}

/* tokens, block 1: page <- x */
void test_append(const denim_batch_t *batch, void *const *args, int64_t begin, int64_t end, void *scratch) {
  const float *x = args[0];
  float *pool = args[1];
  for (int64_t t = begin; t < end; ++t) {
    int64_t s = sequenceOf(batch, t), p = batch->positions[t];
    int64_t page = batch->pages[batch->page_begin[s] + p / DENIM_PAGE_TOKENS];
    for (int c = 0; c < Columns; ++c) {
      int64_t head = c / (Columns / Heads), column = c % (Columns / Heads);
      pool[((page * Heads + head) * DENIM_PAGE_TOKENS + p % DENIM_PAGE_TOKENS) * (Columns / Heads) + column] =
          x[t * Columns + c];
    }
  }
}

/* tokens, block 8: x <- x + weighted sum of pages */
void test_attend(const denim_batch_t *batch, void *const *args, int64_t begin, int64_t end, void *scratch) {
  float *x = args[0];
  const float *pool = args[1];
  for (int64_t t = begin * 8; t < least(end * 8, batch->token_count); ++t) {
    int64_t s = sequenceOf(batch, t), p = batch->positions[t];
    for (int c = 0; c < Columns; ++c) {
      int64_t head = c / (Columns / Heads), column = c % (Columns / Heads);
      float sum = 0;
      for (int64_t j = 0; j <= p; ++j) {
        int64_t page = batch->pages[batch->page_begin[s] + j / DENIM_PAGE_TOKENS];
        sum += pool[((page * Heads + head) * DENIM_PAGE_TOKENS + j % DENIM_PAGE_TOKENS) * (Columns / Heads) + column] /
               (float)(1 + p - j);
      }
      x[t * Columns + c] += sum;
    }
  }
}

/* outputs, block 1: logits <- x . head */
void test_head(const denim_batch_t *batch, void *const *args, int64_t begin, int64_t end, void *scratch) {
  const float *x = args[0], *head = args[2];
  float *logits = args[1];
  for (int64_t o = begin; o < end; ++o)
    for (int v = 0; v < Vocabulary; ++v) {
      float sum = 0;
      for (int c = 0; c < Columns; ++c)
        sum += x[batch->outputs[o] * Columns + c] * head[v * Columns + c];
      logits[o * Vocabulary + v] = sum;
    }
}
