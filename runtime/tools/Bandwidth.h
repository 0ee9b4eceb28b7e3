//===- Bandwidth.h - how fast a device reads memory ---------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TOOLS_BANDWIDTH_H
#define DENIM_RUNTIME_TOOLS_BANDWIDTH_H

#include "runtime/base/ThreadPool.h"
#include "runtime/device/Device.h"

namespace denim {

/// Bytes per second that the threads of |pool| together read from memory: the best of several passes over a buffer
/// larger than caches. The limit of every product with one row.
double measureReadBandwidth(ThreadPool &pool);

/// The limit of |device|.
struct MemoryRate {
  double rate = 0;     ///< bytes per second; a GPU's is that of a copy, read and written bytes together
  double coreRate = 0; ///< of one core; GPU: the same
  int threads = 0;     ///< that run kernels; 0 on a GPU
};
Status measureMemory(Device &device, MemoryRate &out);

} // namespace denim

#endif
