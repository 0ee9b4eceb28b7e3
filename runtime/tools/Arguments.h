//===- Arguments.h - the command line of a tool -------------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TOOLS_ARGUMENTS_H
#define DENIM_RUNTIME_TOOLS_ARGUMENTS_H

#include "runtime/base/Status.h"

#include <map>
#include <vector>

namespace denim {

/// Options with a value (`--name value` or `--name=value`) and one file. The getters leave their result as it is
/// when the option was not given, so the caller's initial value is the default.
class Arguments {
public:
  /// |known| lists the options of the command.
  static Status parse(int count, char **words, const std::vector<std::string> &known, Arguments &out);

  const std::string &file() const { return positional; }
  bool has(const std::string &name) const { return values.count(name) > 0; }
  Status required(const std::string &name, std::string &out) const;
  std::string text(const std::string &name, const std::string &otherwise) const;
  Status integer(const std::string &name, int64_t low, int64_t high, int64_t &out) const;
  Status number(const std::string &name, double &out) const;

private:
  std::string positional;
  std::map<std::string, std::string> values;
};

/// "1,2,3".
Status parseTokenList(const std::string &text, std::vector<int32_t> &out);

} // namespace denim

#endif
