//===- Weights.cpp - the parameters of a plan, found ----------------------===//

#include "runtime/session/Weights.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace denim {

namespace {

/// What a checkpoint has of a parameter.
struct Stored {
  formats::ElementType type;
  std::vector<int64_t> shape;
  size_t alignment;
};

Stored storedAs(const PlanParameter &parameter) {
  formats::ElementType type = formats::ElementType::U8;
  switch (parameter.type) {
  case PlanType::F32:
    type = formats::ElementType::F32;
    break;
  case PlanType::BF16:
    type = formats::ElementType::BF16;
    break;
  case PlanType::F16:
    type = formats::ElementType::F16;
    break;
  case PlanType::Q8_0:
  case PlanType::Q4_0:
    return {type,
            {parameter.shape[0], formats::rowBytes(*blockFormat(parameter.type), parameter.shape[1])},
            formats::kScaleBytes};
  }
  return {type, parameter.shape, formats::bytes(type)};
}

// splitmix64: each value from its index alone.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// Bytes [first, first + bytes) of rows in blocks, both even: any integers, and scales with which elements are of about
/// the size that those below have, 2^-13 to 2^-10 for eight bits and 2^-9 to 2^-6 for four.
void fillRandomBlocks(void *data, const PlanParameter &parameter, size_t first, size_t bytes, uint64_t seed) {
  auto row = static_cast<size_t>(formats::rowBytes(*blockFormat(parameter.type), parameter.shape[1]));
  auto scales = static_cast<size_t>(formats::scalesBytes(parameter.shape[1]));
  int exponent = parameter.type == PlanType::Q4_0 ? -9 : -13;
  for (size_t i = 0; i < bytes; i += 2) {
    uint64_t r = mix(seed + first + i);
    auto pair = static_cast<uint16_t>(r);
    if ((first + i) % row < scales)
      pair = static_cast<uint16_t>((exponent + static_cast<int>(r & 3) + 15) << 10);
    std::memcpy(static_cast<char *>(data) + i, &pair, sizeof pair);
  }
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

/// Gives the parameters |indices| places in one block, for a device hands out memory in large steps, and calls
/// fill(index, address) for each.
template <typename Fill>
Status Weights::fillBlock(const Plan &plan, const std::vector<size_t> &indices, Device &device, const Fill &fill) {
  auto aligned = [](size_t bytes) {
    return (bytes + DENIM_CUDA_ALIGNMENT - 1) / DENIM_CUDA_ALIGNMENT * DENIM_CUDA_ALIGNMENT;
  };
  size_t total = 0;
  for (size_t index : indices)
    total += aligned(plan.parameters[index].bytes);
  if (total == 0)
    return {};
  if (Status status = device.allocate(total, block))
    return error(status.code(), "weights of ", total, " bytes: ", status.message());
  char *to = block.data();
  for (size_t index : indices) {
    if (Status status = fill(index, to))
      return error(status.code(), "weights of '", plan.parameters[index].name, "': ", status.message());
    pointers[index] = to;
    to += aligned(plan.parameters[index].bytes);
  }
  return {};
}

Status Weights::map(const std::string &path, const Plan &plan, Device &device, Weights &out) {
  Weights weights;
  if (formats::Error fault = formats::Safetensors::open(path, weights.files))
    return error(DENIM_STATUS_DATA_LOSS, fault.message());
  std::vector<size_t> copied;
  for (size_t p = 0; p < plan.parameters.size(); ++p) {
    const PlanParameter &parameter = plan.parameters[p];
    const formats::Tensor *tensor = weights.files.find(parameter.name);
    Stored stored = storedAs(parameter);
    std::string want = std::string(formats::name(stored.type)) + formats::shapeText(stored.shape);
    if (blockFormat(parameter.type))
      want += " (" + std::string(name(parameter.type)) + formats::shapeText(parameter.shape) + ")";
    if (!tensor)
      return error(DENIM_STATUS_INCOMPATIBLE, "'", path, "': expected tensor '", parameter.name, "' ", want,
                   ", but got none");
    if (tensor->type != stored.type || tensor->shape != stored.shape)
      return error(DENIM_STATUS_INCOMPATIBLE, "'", path, "': expected tensor '", parameter.name, "' ", want,
                   ", but got ", formats::name(tensor->type), formats::shapeText(tensor->shape));
    if (!device.readsHost() || reinterpret_cast<uintptr_t>(tensor->data) % stored.alignment != 0)
      copied.push_back(p);
    weights.pointers.push_back(tensor->data);
  }
  auto fill = [&](size_t index, char *to) {
    return device.write(to, weights.pointers[index], plan.parameters[index].bytes);
  };
  if (Status status = weights.fillBlock(plan, copied, device, fill))
    return status;
  if (!device.readsHost())
    weights.files = formats::Safetensors();
  out = std::move(weights);
  return {};
}

Status Weights::random(const Plan &plan, uint64_t seed, Device &device, Weights &out) {
  Weights weights;
  weights.pointers.resize(plan.parameters.size());
  std::vector<size_t> all(plan.parameters.size());
  std::iota(all.begin(), all.end(), size_t(0));
  std::vector<char> host(1 << 20); // by pieces: a tensor may be half of the memory
  auto fill = [&](size_t index, char *to) -> Status {
    const PlanParameter &parameter = plan.parameters[index];
    for (size_t begin = 0; begin < parameter.bytes; begin += host.size()) {
      size_t piece = std::min(host.size(), parameter.bytes - begin);
      uint64_t ownSeed = mix(seed) + (index << 40);
      if (blockFormat(parameter.type)) {
        fillRandomBlocks(host.data(), parameter, begin, piece, ownSeed);
      } else {
        size_t element = bytes(parameter.type);
        fillRandom(host.data(), parameter.type, begin / element, piece / element, ownSeed);
      }
      if (Status status = device.write(to + begin, host.data(), piece))
        return status;
    }
    return {};
  };
  if (Status status = weights.fillBlock(plan, all, device, fill))
    return status;
  out = std::move(weights);
  return {};
}

} // namespace denim
