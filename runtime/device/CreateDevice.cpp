//===- CreateDevice.cpp - a device of a name ------------------------------===//

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <charconv>

namespace denim {

Status createDevice(std::string_view name, int threads, std::shared_ptr<Device> &out) {
  if (name == "cpu") {
    out = std::make_shared<CpuDevice>(threads);
    return {};
  }
  int ordinal = 0;
  bool known = name == "cuda";
  if (name.substr(0, 5) == "cuda:") {
    const char *begin = name.data() + 5, *end = name.data() + name.size();
    auto [last, fault] = std::from_chars(begin, end, ordinal);
    known = fault == std::errc() && last == end && ordinal >= 0;
  }
  if (!known)
    return invalidArgument("expected device cpu, cuda or cuda:N, but got '", name, "'");
  std::shared_ptr<CudaDevice> device;
  if (Status status = CudaDevice::create(ordinal, device))
    return status;
  out = std::move(device);
  return {};
}

} // namespace denim
