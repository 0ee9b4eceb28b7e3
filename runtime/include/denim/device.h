/* A machine that runs modules.
 *
 * Owner: the caller, until denim_device_release; sessions on it keep it for themselves. Threads: create and release
 * from any; sessions of one device run one at a time.
 */
#ifndef DENIM_DEVICE_H
#define DENIM_DEVICE_H

#include <denim/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct denim_device_t denim_device_t;

typedef struct denim_device_options_t {
  size_t struct_size; /* set by _initialize */
  const char *name;   /* "cpu"; "cuda", the first NVIDIA GPU; "cuda:1" and so on, further ones */
  int32_t threads;    /* of the CPU, the calling one included; 0: one for each core that the process may use */
} denim_device_options_t;

/* Sets |out_options| to the defaults: this processor, all cores. */
void denim_device_options_initialize(denim_device_options_t *out_options);

/* |options| is borrowed for the call; NULL means the defaults. A GPU needs nothing but its driver to be installed; that
 * it is missing is DENIM_STATUS_NOT_FOUND. */
DENIM_MUST_USE denim_status_t denim_device_create(const denim_device_options_t *options, denim_device_t **out_device);
/* NULL is allowed. */
void denim_device_release(denim_device_t *device);

#ifdef __cplusplus
}
#endif
#endif
