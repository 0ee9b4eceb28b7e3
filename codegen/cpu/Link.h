// Object files to a shared object.
#ifndef CODEGEN_CPU_LINK_H
#define CODEGEN_CPU_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace denim::codegen {

using ObjectFile = llvm::SmallVector<char, 0>;

/// Links relocatable objects into a shared object without needing any library: an undefined symbol is an error.
/// `linker` is a program (ld.lld or a compiler driver); empty: the first of ld.lld-22, ld.lld, clang-22, clang, cc
/// that PATH has.
llvm::Expected<std::vector<char>> linkSharedObject(llvm::ArrayRef<ObjectFile> objects, llvm::StringRef linker);

} // namespace denim::codegen

#endif // CODEGEN_CPU_LINK_H
