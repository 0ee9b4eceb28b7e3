// Tables of measured values: README.md has their form. Plain data, without MLIR.
#ifndef COMPILER_TUNING_TABLE_H
#define COMPILER_TUNING_TABLE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace denim::tuning {

struct Entry {
  std::string choice;
  std::string shape; ///< empty: of any shape, which only a user says
  int64_t value = 0;
};

struct Table {
  std::string target; ///< "sm_90a": a name of codegen/target
  std::string chip;   ///< that it was measured on, for people
  std::vector<Entry> entries;

  std::optional<int64_t> find(llvm::StringRef choice, llvm::StringRef shape) const;
};

/// Reads a table; an error names `file` and the entry.
llvm::Expected<Table> parseTable(llvm::StringRef text, llvm::StringRef file);

/// `linear.panel_columns=64`, as --choose takes it: a choice for kernels of any shape.
llvm::Expected<Entry> parseForced(llvm::StringRef text);

/// The table of a target that stands in the compiler, or null.
const Table *embeddedTable(llvm::StringRef target);

} // namespace denim::tuning

#endif // COMPILER_TUNING_TABLE_H
