//===- ElementType.cpp - element types of stored tensors ------------------===//

#include "formats/safetensors/ElementType.h"

namespace denim::formats {

namespace {
struct Row {
  std::string_view name;
  size_t bytes;
};
// In the order of the enum.
constexpr Row kTypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                          {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                          {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};
} // namespace

std::string_view name(ElementType type) {
  return kTypes[static_cast<size_t>(type)].name;
}

size_t bytes(ElementType type) {
  return kTypes[static_cast<size_t>(type)].bytes;
}

std::optional<ElementType> elementTypeOf(std::string_view name) {
  for (size_t i = 0; i < std::size(kTypes); ++i)
    if (kTypes[i].name == name)
      return static_cast<ElementType>(i);
  return std::nullopt;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

} // namespace denim::formats
