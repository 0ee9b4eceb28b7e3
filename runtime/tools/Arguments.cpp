//===- Arguments.cpp - the command line of a tool -------------------------===//

#include "runtime/tools/Arguments.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace denim {

namespace {

bool wholeNumber(std::string_view text, int64_t &out) {
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return fault == std::errc() && end == text.data() + text.size();
}

} // namespace

Status Arguments::parse(int count, char **words, const std::vector<std::string> &known, Arguments &out) {
  for (int i = 0; i < count; ++i) {
    std::string word = words[i];
    if (word.rfind("--", 0) != 0) {
      if (!out.positional.empty())
        return invalidArgument("expected one file, but got '", out.positional, "' and '", word, "'");
      out.positional = word;
      continue;
    }
    size_t equals = word.find('=');
    std::string name = word.substr(0, equals), value;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string all;
      for (const std::string &option : known)
        all += (all.empty() ? "" : " ") + option;
      return invalidArgument("expected ", known.size() > 1 ? "one of " + all : all, ", but got '", name, "'");
    }
    if (equals != std::string::npos)
      value = word.substr(equals + 1);
    else if (++i < count)
      value = words[i];
    else
      return invalidArgument("expected a value after ", name, ", but got none");
    if (!out.values.emplace(name, value).second)
      return invalidArgument("expected ", name, " once, but got it twice");
  }
  if (out.positional.empty())
    return invalidArgument("expected a module file, but got none");
  return {};
}

Status Arguments::required(const std::string &name, std::string &out) const {
  auto it = values.find(name);
  if (it == values.end())
    return invalidArgument("expected ", name, ", but got none");
  out = it->second;
  return {};
}

std::string Arguments::text(const std::string &name, const std::string &otherwise) const {
  auto it = values.find(name);
  return it == values.end() ? otherwise : it->second;
}

Status Arguments::integer(const std::string &name, int64_t low, int64_t high, int64_t &out) const {
  auto it = values.find(name);
  if (it == values.end())
    return {};
  int64_t value;
  if (!wholeNumber(it->second, value) || value < low || value > high)
    return invalidArgument(name, ": expected a whole number from ", low, " to ", high, ", but got '", it->second, "'");
  out = value;
  return {};
}

Status Arguments::number(const std::string &name, double &out) const {
  auto it = values.find(name);
  if (it == values.end())
    return {};
  char *end;
  double value = std::strtod(it->second.c_str(), &end);
  if (it->second.empty() || *end != 0)
    return invalidArgument(name, ": expected a number, but got '", it->second, "'");
  out = value;
  return {};
}

Status parseTokenList(const std::string &text, std::vector<int32_t> &out) {
  std::vector<int32_t> tokens;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    int64_t value;
    std::string item = text.substr(begin, end - begin);
    if (!wholeNumber(item, value) || value < INT32_MIN || value > INT32_MAX)
      return invalidArgument("expected tokens like 1,2,3, but got '", item, "'");
    tokens.push_back(static_cast<int32_t>(value));
    begin = end + 1;
  }
  out = std::move(tokens);
  return {};
}

} // namespace denim
