//===- Plan.cpp - what a module does, as checked data ---------------------===//

#include "runtime/module/Plan.h"

namespace denim {

std::string_view name(PlanType type) {
  switch (type) {
  case PlanType::F32:
    return "f32";
  case PlanType::BF16:
    return "bf16";
  case PlanType::F16:
    return "f16";
  case PlanType::Q8_0:
  case PlanType::Q4_0:
    return formats::name(*blockFormat(type));
  }
  return "?";
}

std::optional<formats::BlockFormat> blockFormat(PlanType type) {
  switch (type) {
  case PlanType::Q8_0:
    return formats::BlockFormat::Q8_0;
  case PlanType::Q4_0:
    return formats::BlockFormat::Q4_0;
  default:
    return std::nullopt;
  }
}

size_t bytes(PlanType type) {
  return type == PlanType::F32 ? 4 : 2;
}

std::string_view name(CacheKind kind) {
  switch (kind) {
  case CacheKind::State:
    return "state";
  case CacheKind::Tail:
    return "tail";
  case CacheKind::Paged:
    return "paged";
  }
  return "?";
}

size_t Plan::slotBytes() const {
  size_t sum = 0;
  for (const PlanCache &cache : caches)
    sum += cache.kind == CacheKind::Paged ? 0 : cache.bytes;
  return sum;
}

size_t Plan::pageBytes() const {
  size_t sum = 0;
  for (const PlanCache &cache : caches)
    sum += cache.kind == CacheKind::Paged ? cache.bytes : 0;
  return sum;
}

size_t Plan::parameterBytes() const {
  size_t sum = 0;
  for (const PlanParameter &parameter : parameters)
    sum += parameter.bytes;
  return sum;
}

} // namespace denim
