/* The C API from C: a session from nothing to logits, then every refusal at the edge. Prints the line that failed. */
#include <denim/denim.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);                                         \
      return 1;                                                                                                        \
    }                                                                                                                  \
  } while (0)

#define OK(call)                                                                                                       \
  do {                                                                                                                 \
    denim_status_t status = (call);                                                                                    \
    if (status != DENIM_OK) {                                                                                          \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, denim_status_message(status));                                \
      denim_status_release(status);                                                                                    \
      return 1;                                                                                                        \
    }                                                                                                                  \
  } while (0)

/* Ends the status; whether it has the code and the text. */
static int refused(denim_status_t status, denim_status_code_t code, const char *text) {
  int as = denim_status_code(status) == code && strstr(denim_status_message(status), text) != NULL;
  if (!as)
    fprintf(stderr, "%s: %s\n", denim_status_code_name(denim_status_code(status)), denim_status_message(status));
  denim_status_release(status);
  return as;
}

int main(int argc, char **argv) {
  CHECK(argc == 3 || argc == 4);
  CHECK(denim_api_version() == DENIM_API_VERSION);

  denim_device_options_t device_options;
  denim_device_options_initialize(&device_options);
  device_options.threads = 2;
  if (argc == 4)
    device_options.name = argv[3];
  denim_device_t *device = NULL;
  OK(denim_device_create(&device_options, &device));
  denim_module_t *module = NULL;
  OK(denim_module_open(argv[1], &module));
  CHECK(strcmp(denim_module_name(module), "test") == 0);
  CHECK(denim_module_vocabulary(module) == 32);
  const int32_t *eos = NULL;
  CHECK(denim_module_eos_tokens(module, &eos) == 1 && eos[0] == 31);

  denim_session_options_t options;
  denim_session_options_initialize(&options);
  options.cache_bytes = 1 << 20;
  denim_session_t *session = NULL;
  CHECK(refused(denim_session_create(device, module, &options, &session), DENIM_STATUS_INVALID_ARGUMENT,
                "expected weights, but got NULL"));
  CHECK(refused(denim_session_create(NULL, module, &options, &session), DENIM_STATUS_INVALID_ARGUMENT,
                "expected a device, but got NULL"));
  options.weights = "/nonexistent";
  CHECK(refused(denim_session_create(device, module, &options, &session), DENIM_STATUS_DATA_LOSS, "/nonexistent"));
  CHECK(session == NULL);
  options.weights = argv[2];
  OK(denim_session_create(device, module, &options, &session));
  /* The session keeps what it needs. */
  denim_module_release(module);
  denim_device_release(device);

  denim_sequence_t a, b;
  OK(denim_sequence_create(session, &a));
  int32_t tokens[4] = {3, 1, 4, 1};
  float whole[4 * 32], last[32];
  denim_step_entry_t entry = {a, tokens, 4, DENIM_LOGITS_ALL};
  OK(denim_session_step(session, &entry, 1, 4, whole));
  OK(denim_sequence_create(session, &b));
  entry = (denim_step_entry_t){b, tokens, 3, DENIM_LOGITS_NONE};
  OK(denim_session_step(session, &entry, 1, 0, NULL));
  OK(denim_sequence_release(session, a));
  OK(denim_sequence_fork(session, b, &a));
  entry = (denim_step_entry_t){a, tokens + 3, 1, DENIM_LOGITS_LAST};
  OK(denim_session_step(session, &entry, 1, 1, last));
  CHECK(memcmp(whole + 3 * 32, last, sizeof last) == 0);
  CHECK(isfinite(last[0]) && last[0] != 0);
  int64_t length = 0;
  OK(denim_sequence_length(session, a, &length));
  CHECK(length == 4);

  CHECK(refused(denim_session_step(session, &entry, 1, 1, NULL), DENIM_STATUS_INVALID_ARGUMENT, "expected out_logits"));
  CHECK(refused(denim_session_step(session, NULL, 1, 0, NULL), DENIM_STATUS_INVALID_ARGUMENT, "expected entries"));
  entry.tokens = NULL;
  CHECK(refused(denim_session_step(session, &entry, 1, 1, last), DENIM_STATUS_INVALID_ARGUMENT, "but got NULL"));
  entry.tokens = tokens;
  entry.logits = (denim_logits_t)9;
  CHECK(refused(denim_session_step(session, &entry, 1, 1, last), DENIM_STATUS_INVALID_ARGUMENT, "but got 9"));
  CHECK(refused(denim_sequence_release(session, 1234), DENIM_STATUS_NOT_FOUND, "1234"));
  CHECK(refused(denim_sequence_create(NULL, &b), DENIM_STATUS_INVALID_ARGUMENT, "a session"));

  device_options.name = "abacus";
  CHECK(refused(denim_device_create(&device_options, &device), DENIM_STATUS_INVALID_ARGUMENT, "abacus"));
  device_options.struct_size = 0;
  CHECK(refused(denim_device_create(&device_options, &device), DENIM_STATUS_INVALID_ARGUMENT, "struct_size 0"));
  CHECK(refused(denim_module_open("/nonexistent", &module), DENIM_STATUS_NOT_FOUND, "/nonexistent"));
  CHECK(refused(denim_module_open(NULL, &module), DENIM_STATUS_INVALID_ARGUMENT, "expected path"));

  denim_status_release(DENIM_OK);
  denim_session_release(session);
  denim_session_release(NULL);
  puts("passed");
  return 0;
}
