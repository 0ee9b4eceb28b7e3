//===- CudaDriver.cpp - the functions of libcuda that we use --------------===//

#include "runtime/device/cuda/CudaDriver.h"

#include <dlfcn.h>

namespace denim::cuda {

Status Driver::open(const char *library, Driver &out) {
  // Never closed: the driver keeps threads and handlers of its own until the process ends.
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return error(DENIM_STATUS_NOT_FOUND, "expected an NVIDIA driver (", library, "), but got: ", dlerror());
  Driver driver;
#define DENIM_CUDA_FIND(member, symbol, type)                                                                          \
  driver.member = reinterpret_cast<member##Type *>(dlsym(handle, symbol));                                             \
  if (!driver.member)                                                                                                  \
    return error(DENIM_STATUS_INCOMPATIBLE, "expected an NVIDIA driver with ", symbol, " (", library,                  \
                 "), but got an older one");
  DENIM_CUDA_FUNCTIONS(DENIM_CUDA_FIND)
#undef DENIM_CUDA_FIND
#define DENIM_CUDA_TRY(member, symbol, type) driver.member = reinterpret_cast<member##Type *>(dlsym(handle, symbol));
  DENIM_CUDA_NEWER_FUNCTIONS(DENIM_CUDA_TRY)
#undef DENIM_CUDA_TRY
  if (Result result = driver.init(0))
    return error(DENIM_STATUS_NOT_FOUND, "expected a device of the NVIDIA driver, but got ", driver.describe(result));
  out = driver;
  return {};
}

std::string Driver::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(result, &name) != 0 || !name)
    return "error " + std::to_string(result);
  if (getErrorString(result, &text) != 0 || !text)
    return name;
  return std::string(name) + " (" + text + ")";
}

bool isFatal(Result result) {
  switch (result) {
  case 4:   // deinitialised
  case 46:  // device unavailable
  case 214: // uncorrectable memory error
  case 220: // uncorrectable error of the link between devices
  case 700: // illegal address
  case 702: // launch timeout
  case 709: // context destroyed
  case 710: // assertion
  case 714: // hardware stack error
  case 715: // illegal instruction
  case 716: // misaligned address
  case 717: // invalid address space
  case 718: // invalid program counter
  case 719: // launch failed
  case 999: // unknown
    return true;
  default:
    return false;
  }
}

} // namespace denim::cuda
