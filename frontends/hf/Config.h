// config.json of a checkpoint: typed fields with defaults.
//
// A field that is missing or null takes the default of the architecture that asks. The first field that is not as
// expected is kept as the error of the whole configuration, and the default is given instead, so that an architecture
// reads all its fields first and asks for the error once.
#ifndef FRONTENDS_HF_CONFIG_H
#define FRONTENDS_HF_CONFIG_H

#include "formats/file/Error.h"
#include "llvm/Support/JSON.h"
#include <optional>
#include <string>
#include <vector>

namespace denim::frontends {

using formats::Error;

/// Rotary positions: the first `over` channels of a head turn, at rates that start from `theta`.
struct Rotation {
  double theta;
  int64_t over;
};

class Config {
public:
  /// Reads `directory`/config.json. On error `out` is as it was.
  static Error read(const std::string &directory, Config &out);
  static Error parse(llvm::StringRef text, Config &out);

  std::string word(llvm::StringRef field, llvm::StringRef otherwise);
  bool flag(llvm::StringRef field, bool otherwise);
  /// A size: at least 1, and small enough that products of two fit.
  int64_t positive(llvm::StringRef field, int64_t otherwise);
  /// A count that may be 0.
  int64_t natural(llvm::StringRef field, int64_t otherwise);
  double positiveNumber(llvm::StringRef field, double otherwise);
  /// A number or a list of numbers; none when missing.
  std::vector<int64_t> integers(llvm::StringRef field);
  std::optional<std::vector<std::string>> words(llvm::StringRef field);
  /// Both spellings of positions: `rope_parameters`, or `rope_theta`, `partial_rotary_factor` and `rope_scaling`.
  Rotation rotation(int64_t headDim, double partialOtherwise);

  /// Remembers "expected `what`" as the error unless `holds` or there is one already.
  void expect(bool holds, const std::string &what);
  /// The first thing that was wrong.
  const Error &error() const { return first; }

private:
  const llvm::json::Value *find(const llvm::json::Object &from, llvm::StringRef field) const;
  /// Where a field of positions is: in a dictionary of them, which wins, or outside.
  const llvm::json::Value *findPosition(llvm::StringRef field) const;
  void refuse(llvm::StringRef field, llvm::StringRef kind, const llvm::json::Value &value);
  int64_t integer(llvm::StringRef field, int64_t otherwise, int64_t least, llvm::StringRef kind);
  double positiveNumber(llvm::StringRef field, const llvm::json::Value *value, double otherwise);

  llvm::json::Object object;
  Error first;
};

} // namespace denim::frontends

#endif // FRONTENDS_HF_CONFIG_H
