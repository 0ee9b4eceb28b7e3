/* What became of a call.
 *
 * Every call that can fail returns a denim_status_t: DENIM_OK (null), or an error that the caller owns and ends with
 * denim_status_release. The code says what the caller may do next, the message tells a person what was expected and
 * what was found, in one line. A status is immutable; any thread may read it.
 */
#ifndef DENIM_STATUS_H
#define DENIM_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define DENIM_MUST_USE __attribute__((warn_unused_result))
#else
#define DENIM_MUST_USE
#endif

typedef enum denim_status_code_e {
  DENIM_STATUS_OK = 0,
  /* The arguments are wrong: call again with other ones. */
  DENIM_STATUS_INVALID_ARGUMENT = 1,
  /* A file, tensor or sequence that the arguments name does not exist. */
  DENIM_STATUS_NOT_FOUND = 2,
  /* A file is damaged or contradicts itself: get it again. */
  DENIM_STATUS_DATA_LOSS = 3,
  /* The file is whole but for another version, machine or model: recompile, update, or take another machine. */
  DENIM_STATUS_INCOMPATIBLE = 4,
  /* A budget or the memory is full; nothing was changed: release something and call again. */
  DENIM_STATUS_RESOURCE_EXHAUSTED = 5,
  /* The device failed. Sequences of the step that met it are not usable any more; others are. */
  DENIM_STATUS_DEVICE_LOST = 6,
  /* A bug in Denim. */
  DENIM_STATUS_INTERNAL = 7
} denim_status_code_t;

typedef struct denim_status_payload_t *denim_status_t;
#define DENIM_OK ((denim_status_t)0)

denim_status_code_t denim_status_code(denim_status_t status);
/* "RESOURCE_EXHAUSTED"; static. */
const char *denim_status_code_name(denim_status_code_t code);
/* Borrowed until |status| is released; "" for DENIM_OK. */
const char *denim_status_message(denim_status_t status);
/* Ends |status|; DENIM_OK is allowed. */
void denim_status_release(denim_status_t status);

#ifdef __cplusplus
}
#endif
#endif
