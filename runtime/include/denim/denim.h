/* Denim's runtime: all of its C API.
 *
 *   denim_device_create, denim_module_open, denim_session_create, denim_sequence_create,
 *   denim_session_step ... denim_session_step, and release in any order.
 */
#ifndef DENIM_DENIM_H
#define DENIM_DENIM_H

#include <denim/device.h>
#include <denim/module.h>
#include <denim/session.h>
#include <denim/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of these headers. Major changes break callers, minor ones only add. */
#define DENIM_API_VERSION_MAJOR 0
#define DENIM_API_VERSION_MINOR 1
#define DENIM_API_VERSION ((uint32_t)DENIM_API_VERSION_MAJOR << 16 | DENIM_API_VERSION_MINOR)

/* DENIM_API_VERSION of the library that was linked. */
uint32_t denim_api_version(void);

#ifdef __cplusplus
}
#endif
#endif
