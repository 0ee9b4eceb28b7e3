/* Sequences of different lengths in one step give what each gives alone.
 *
 *     RaggedSteps MODULE WEIGHTS
 *
 * Three sequences are fed alone, then together: the first step brings 70, 1 and 37 tokens and none of a fourth, the second
 * 1, 65 and 0, the third 1 of each, so that long, short and absent ones stand side by side. Products choose their code by
 * the number of rows, hence a bound and no equality of bits: where activations are kept in bf16, the last bit of a sum may
 * become one of 2^-8 of an activation. A row of another sequence in place of one's own changes logits by much more.
 */
#include <denim/denim.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define OK(call)                                                                                                       \
  do {                                                                                                                 \
    denim_status_t status = (call);                                                                                    \
    if (status != DENIM_OK) {                                                                                          \
      fprintf(stderr, "RaggedSteps: line %d: %s\n", __LINE__, denim_status_message(status));                           \
      denim_status_release(status);                                                                                    \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

enum { SEQUENCES = 3, STEPS = 3, TOKENS = 128 };
static const int64_t lengths[STEPS][SEQUENCES] = {{70, 1, 37}, {1, 65, 0}, {1, 1, 1}};
static int32_t tokens[SEQUENCES][TOKENS];

/* Feeds the sequences of [first, last) step by step; |out| takes their logits, [SEQUENCES][TOKENS][vocabulary]. */
static void feed(denim_session_t *session, int first, int last, int64_t vocabulary, float *out) {
  denim_sequence_t sequences[SEQUENCES + 1];
  int64_t done[SEQUENCES] = {0};
  float *rows = malloc(sizeof(float) * SEQUENCES * TOKENS * (size_t)vocabulary);
  for (int s = first; s <= last; ++s)
    OK(denim_sequence_create(session, &sequences[s]));
  for (int step = 0; step < STEPS; ++step) {
    denim_step_entry_t entries[SEQUENCES + 1];
    int64_t count = 0;
    for (int s = first; s < last; ++s) {
      denim_step_entry_t entry = {sequences[s], tokens[s] + done[s], lengths[step][s], DENIM_LOGITS_ALL};
      entries[s - first] = entry;
      count += lengths[step][s];
    }
    denim_step_entry_t empty = {sequences[last], NULL, 0, DENIM_LOGITS_ALL};
    entries[last - first] = empty;
    OK(denim_session_step(session, entries, (size_t)(last - first + 1), count, rows));
    const float *row = rows;
    for (int s = first; s < last; ++s)
      for (int64_t i = 0; i < lengths[step][s]; ++i, ++done[s])
        for (int64_t v = 0; v < vocabulary; ++v)
          out[(s * TOKENS + done[s]) * vocabulary + v] = *row++;
  }
  for (int s = first; s <= last; ++s)
    OK(denim_sequence_release(session, sequences[s]));
  free(rows);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: RaggedSteps MODULE WEIGHTS\n");
    return 1;
  }
  denim_device_options_t device_options;
  denim_device_options_initialize(&device_options);
  device_options.threads = 2;
  denim_device_t *device = NULL;
  OK(denim_device_create(&device_options, &device));
  denim_module_t *module = NULL;
  OK(denim_module_open(argv[1], &module));
  int64_t vocabulary = denim_module_vocabulary(module);
  denim_session_options_t options;
  denim_session_options_initialize(&options);
  options.weights = argv[2];
  denim_session_t *session = NULL;
  OK(denim_session_create(device, module, &options, &session));

  for (int s = 0; s < SEQUENCES; ++s)
    for (int i = 0; i < TOKENS; ++i)
      tokens[s][i] = (int32_t)((s * 37 + i * 29 + i * i) % vocabulary);
  size_t size = (size_t)(SEQUENCES * TOKENS * vocabulary);
  float *alone = calloc(size, sizeof(float)), *together = calloc(size, sizeof(float));
  for (int s = 0; s < SEQUENCES; ++s)
    feed(session, s, s + 1, vocabulary, alone);
  feed(session, 0, SEQUENCES, vocabulary, together);

  float largest = 0, worst = 0;
  for (size_t i = 0; i < size; ++i) {
    largest = fmaxf(largest, fabsf(alone[i]));
    float difference = fabsf(alone[i] - together[i]);
    if (!(difference <= worst)) /* also when it is not a number */
      worst = difference;
  }
  printf("largest logit %g, largest difference %g\n", largest, worst);
  int good = largest > 0 && worst <= 2e-3f * largest;
  if (!good)
    fprintf(stderr, "RaggedSteps: expected logits of sequences alone and together to agree within %g, but got %g\n",
            2e-3f * largest, worst);
  free(alone);
  free(together);
  denim_session_release(session);
  denim_module_release(module);
  denim_device_release(device);
  return good ? 0 : 1;
}
