//===- CudaLimits.cpp - how fast a GPU can be at all ----------------------===//

#include "runtime/tools/Bandwidth.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/denim-bench/MachineLimits.h"

#include <algorithm>

namespace denim::bench {

Status CudaLimits::create(std::shared_ptr<CudaDevice> device, std::unique_ptr<MachineLimits> &out) {
  std::unique_ptr<CudaLimits> limits(new CudaLimits(std::move(device)));
  MemoryRate memory;
  if (Status status = measureMemory(*limits->device, memory))
    return status;
  limits->copies = memory.rate;
  if (limits->device->hasProducts())
    if (Status status = limits->measureProducts())
      return status;
  out = std::move(limits);
  return {};
}

Status CudaLimits::measureProducts() {
  constexpr int64_t kSize = 8192;
  constexpr int kRuns = 5, kProducts = 10;
  constexpr size_t kBytes = size_t(kSize) * kSize * 2;
  DeviceMemory x, weight, result;
  for (DeviceMemory *memory : {&x, &weight, &result})
    if (Status status = device->allocate(kBytes, *memory))
      return status;
  // Values as models have them: a chip draws less power, and clocks higher, on zeros.
  std::vector<uint16_t> row(size_t(1) << 20);
  for (size_t i = 0; i < row.size(); ++i)
    row[i] = static_cast<uint16_t>((i * 2654435761u >> 16 & 0x80ff) | 0x3c00);
  for (DeviceMemory *memory : {&x, &weight})
    for (size_t begin = 0; begin < kBytes; begin += row.size() * 2)
      if (Status status = device->write(memory->data() + begin, row.data(), row.size() * 2))
        return status;
  Product product{Product::BF16, Product::BF16, x.data(), weight.data(), nullptr, result.data(), kSize, kSize, kSize};
  std::vector<Launch> launches(kProducts, Launch{0, 1, nullptr, 0, &product});
  std::unique_ptr<PassRunner> runner;
  if (Status status = device->createRunner(nullptr, sizeof(denim_batch_t), runner))
    return status;
  if (Status status = runner->reserve(sizeof(denim_batch_t)))
    return status;
  for (int run = 0; run < kRuns; ++run) {
    char *host = nullptr;
    if (Status status = runner->begin(host))
      return status;
    if (Status status = device->synchronize())
      return status;
    Stopwatch watch;
    auto list = [&]() -> const std::vector<Launch> & { return launches; };
    if (Status status = runner->run({kSize}, sizeof(denim_batch_t), list, nullptr))
      return status;
    if (Status status = device->synchronize())
      return status;
    products = std::max(products, 2.0 * kSize * kSize * kSize * kProducts / watch.seconds());
  }
  return {};
}

} // namespace denim::bench
