//===- Weights.cpp - the parameters of a plan, found ----------------------===//

#include "runtime/session/Weights.h"

#include <algorithm>
#include <cstring>

namespace denim {

namespace {

formats::ElementType storedType(PlanType type) {
  switch (type) {
  case PlanType::F32:
    return formats::ElementType::F32;
  case PlanType::BF16:
    return formats::ElementType::BF16;
  case PlanType::F16:
    return formats::ElementType::F16;
  }
  return formats::ElementType::F32;
}

// splitmix64: each value from its index alone.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// Powers of two from 2^-9 to 2^-6 with either sign: exact and normal in every type, so all types mean the same
/// model. Elements [first, first + elements) of a tensor.
void fillRandom(void *data, PlanType type, size_t first, size_t elements, uint64_t seed) {
  for (size_t i = 0; i < elements; ++i) {
    uint64_t r = mix(seed + first + i);
    uint32_t sign = r & 1;
    int exponent = -9 + static_cast<int>((r >> 1) & 3);
    if (type == PlanType::F16) {
      uint16_t half = static_cast<uint16_t>(sign << 15 | static_cast<uint32_t>(exponent + 15) << 10);
      std::memcpy(static_cast<char *>(data) + i * 2, &half, 2);
      continue;
    }
    uint32_t single = sign << 31 | static_cast<uint32_t>(exponent + 127) << 23;
    if (type == PlanType::F32) {
      std::memcpy(static_cast<char *>(data) + i * 4, &single, 4);
    } else {
      uint16_t high = static_cast<uint16_t>(single >> 16);
      std::memcpy(static_cast<char *>(data) + i * 2, &high, 2);
    }
  }
}

} // namespace

Status Weights::map(const std::string &path, const Plan &plan, Device &device, Weights &out) {
  Weights weights;
  if (formats::Error fault = formats::Safetensors::open(path, weights.files))
    return error(DENIM_STATUS_DATA_LOSS, fault.message());
  for (const PlanParameter &parameter : plan.parameters) {
    const formats::Tensor *tensor = weights.files.find(parameter.name);
    formats::ElementType type = storedType(parameter.type);
    std::string want = std::string(formats::name(type)) + formats::shapeText(parameter.shape);
    if (!tensor)
      return error(DENIM_STATUS_INCOMPATIBLE, "'", path, "': expected tensor '", parameter.name, "' ", want,
                   ", but got none");
    if (tensor->type != type || tensor->shape != parameter.shape)
      return error(DENIM_STATUS_INCOMPATIBLE, "'", path, "': expected tensor '", parameter.name, "' ", want,
                   ", but got ", formats::name(tensor->type), formats::shapeText(tensor->shape));
    DeviceMemory copy;
    const void *data = nullptr;
    if (Status status = device.share(tensor->data, tensor->bytes, formats::bytes(type), copy, data))
      return status;
    if (copy.data())
      weights.storage.push_back(std::move(copy));
    weights.pointers.push_back(data);
  }
  out = std::move(weights);
  return {};
}

Status Weights::random(const Plan &plan, uint64_t seed, Device &device, Weights &out) {
  Weights weights;
  std::vector<char> host(1 << 20); // by pieces: a tensor may be half of the memory
  for (size_t p = 0; p < plan.parameters.size(); ++p) {
    const PlanParameter &parameter = plan.parameters[p];
    DeviceMemory memory;
    if (Status status = device.allocate(parameter.bytes, memory))
      return error(status.code(), "random weights of '", parameter.name, "': ", status.message());
    for (size_t begin = 0; begin < parameter.bytes; begin += host.size()) {
      size_t piece = std::min(host.size(), parameter.bytes - begin), element = bytes(parameter.type);
      fillRandom(host.data(), parameter.type, begin / element, piece / element, mix(seed) + (p << 40));
      device.copy(memory.data() + begin, host.data(), piece);
    }
    weights.pointers.push_back(memory.data());
    weights.storage.push_back(std::move(memory));
  }
  out = std::move(weights);
  return {};
}

} // namespace denim
