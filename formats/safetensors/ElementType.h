//===- ElementType.h - element types of stored tensors ------------*- C++ -*-===//

#ifndef DENIM_FORMATS_SAFETENSORS_ELEMENTTYPE_H
#define DENIM_FORMATS_SAFETENSORS_ELEMENTTYPE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace denim::formats {

/// The element types of safetensors whose elements are whole bytes.
enum class ElementType : uint8_t { Bool, U8, I8, F8E4M3, F8E5M2, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64 };

/// As in a safetensors header: "BF16".
std::string_view name(ElementType type);
/// Bytes of one element; elements are aligned to it.
size_t bytes(ElementType type);
std::optional<ElementType> elementTypeOf(std::string_view name);

/// "[1, 2, 3]".
std::string shapeText(const std::vector<int64_t> &shape);

} // namespace denim::formats

#endif
