//===- Bandwidth.h - how fast this machine reads memory -----------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TOOLS_BANDWIDTH_H
#define DENIM_RUNTIME_TOOLS_BANDWIDTH_H

#include "runtime/base/ThreadPool.h"

namespace denim {

/// Bytes per second that the threads of |pool| together read from memory: the best of several passes over a buffer
/// larger than caches. The limit of every product with one row.
double measureReadBandwidth(ThreadPool &pool);

} // namespace denim

#endif
