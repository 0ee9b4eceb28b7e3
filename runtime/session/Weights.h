//===- Weights.h - the parameters of a plan, found ----------------*- C++ -*-===//
//
// Owner: moved into the session. Kernels that read the host's memory read tensors in the mapped file, and copies only
// of those that lie there less aligned than their elements. For other devices all tensors are copied, into one block.
// Threads: immutable once made.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_SESSION_WEIGHTS_H
#define DENIM_RUNTIME_SESSION_WEIGHTS_H

#include "formats/safetensors/Safetensors.h"
#include "runtime/device/Device.h"
#include "runtime/module/Plan.h"

namespace denim {

class Weights {
public:
  /// Finds each parameter by name in a checkpoint (file or directory) and compares type and shape.
  static Status map(const std::string &path, const Plan &plan, Device &device, Weights &out);
  /// Small values from |seed|, the same on every machine; for measuring without a checkpoint.
  static Status random(const Plan &plan, uint64_t seed, Device &device, Weights &out);

  /// Where kernels find parameter |index| of the plan.
  const void *data(size_t index) const { return pointers[index]; }

private:
  /// Fills parameter |index|, which is at |to| on the device.
  template <typename Fill>
  Status fillBlock(const Plan &plan, const std::vector<size_t> &indices, Device &device, const Fill &fill);

  formats::Safetensors files;
  DeviceMemory block;
  std::vector<const void *> pointers;
};

} // namespace denim

#endif
