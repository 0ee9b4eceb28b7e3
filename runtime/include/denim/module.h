/* A compiled model: a file that was mapped and checked.
 *
 * A module contains machine code that runs with the rights of this process: open only those whose maker you trust.
 *
 * Owner: the caller, until denim_module_release; sessions keep it for themselves. Immutable: any thread may use it.
 */
#ifndef DENIM_MODULE_H
#define DENIM_MODULE_H

#include <denim/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct denim_module_t denim_module_t;

/* The file must stay as it is while the module lives; replacing it by another (rename) is harmless. */
DENIM_MUST_USE denim_status_t denim_module_open(const char *path, denim_module_t **out_module);
/* NULL is allowed. */
void denim_module_release(denim_module_t *module);

/* Borrowed; as long as the module. */
const char *denim_module_name(const denim_module_t *module);
/* Ids of tokens are from 0 to this, exclusive; a row of logits has as many values. */
int32_t denim_module_vocabulary(const denim_module_t *module);
/* Tokens at which generation ends; borrowed, as long as the module. */
size_t denim_module_eos_tokens(const denim_module_t *module, const int32_t **out_tokens);

#ifdef __cplusplus
}
#endif
#endif
