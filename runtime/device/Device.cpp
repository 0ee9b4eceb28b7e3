//===- Device.cpp - a machine that runs kernels ---------------------------===//

#include "runtime/device/Device.h"

#include <utility>

namespace denim {

DeviceMemory::~DeviceMemory() {
  if (base)
    device->free(base, reserved, committed);
}

void DeviceMemory::swap(DeviceMemory &other) noexcept {
  std::swap(device, other.device);
  std::swap(base, other.base);
  std::swap(reserved, other.reserved);
  std::swap(committed, other.committed);
}

Status Device::commit(DeviceMemory &memory, size_t bytes) {
  if (bytes <= memory.committed)
    return {};
  if (bytes > memory.reserved)
    return error(DENIM_STATUS_INTERNAL, "expected at most ", memory.reserved, " bytes of a reserved range, but got ",
                 bytes);
  size_t to = bytes;
  if (Status status = commitRange(memory.data(), memory.reserved, memory.committed, to))
    return status;
  memory.committed = to;
  return {};
}

Status Device::allocate(size_t bytes, DeviceMemory &out) {
  DeviceMemory memory;
  if (Status status = reserve(bytes, memory))
    return status;
  if (Status status = commit(memory, bytes))
    return status;
  out = std::move(memory);
  return {};
}

} // namespace denim
