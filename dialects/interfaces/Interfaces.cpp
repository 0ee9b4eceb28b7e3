#include "dialects/interfaces/Interfaces.h"
#include "dialects/interfaces/Interfaces.cpp.inc"
#include "dialects/interfaces/TypeInterfaces.cpp.inc"

std::optional<denim::formats::BlockFormat> denim::blockFormatOf(mlir::Type element) {
  if (auto blocks = llvm::dyn_cast_or_null<BlockTypeInterface>(element))
    return blocks.getFormat();
  return std::nullopt;
}
