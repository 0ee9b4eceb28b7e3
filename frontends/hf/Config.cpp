#include "frontends/hf/Config.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>

using namespace denim;
using namespace denim::frontends;
using llvm::StringRef;
namespace json = llvm::json;

/// Products of two sizes, and small sums of such products, stay within 64 bits.
static constexpr int64_t kLargestSize = int64_t(1) << 28;

/// A value as a message shows it.
static std::string shortened(const json::Value &value) {
  std::string text = llvm::formatv("{0}", value).str();
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

Error Config::read(const std::string &directory, Config &out) {
  std::string path = directory + "/config.json";
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!file)
    return Error::of(path, ": expected a configuration, but got: ", file.getError().message());
  return parse((*file)->getBuffer(), out);
}

Error Config::parse(StringRef text, Config &out) {
  auto value = json::parse(text);
  if (!value)
    return Error::of("config.json: expected JSON, but got: ", llvm::toString(value.takeError()));
  if (!value->getAsObject())
    return Error::of("config.json: expected an object of fields, but got ", shortened(*value));
  Config config;
  config.object = std::move(*value->getAsObject());
  out = std::move(config);
  return {};
}

void Config::expect(bool holds, const std::string &what) {
  if (!holds && !first)
    first = Error::of("config.json: expected ", what);
}

void Config::refuse(StringRef field, StringRef kind, const json::Value &value) {
  expect(false, (field + " to be " + kind + ", but got " + shortened(value)).str());
}

const json::Value *Config::find(const json::Object &from, StringRef field) const {
  const json::Value *value = from.get(field);
  return value && value->kind() != json::Value::Null ? value : nullptr;
}

std::string Config::word(StringRef field, StringRef otherwise) {
  const json::Value *value = find(object, field);
  if (value && value->getAsString())
    return value->getAsString()->str();
  if (value)
    refuse(field, "a string", *value);
  return otherwise.str();
}

bool Config::flag(StringRef field, bool otherwise) {
  const json::Value *value = find(object, field);
  if (value && value->getAsBoolean())
    return *value->getAsBoolean();
  if (value)
    refuse(field, "true or false", *value);
  return otherwise;
}

int64_t Config::integer(StringRef field, int64_t otherwise, int64_t least, StringRef kind) {
  const json::Value *value = find(object, field);
  if (!value)
    return otherwise;
  if (auto number = value->getAsInteger(); number && *number >= least && *number <= kLargestSize)
    return *number;
  if (auto number = value->getAsInteger(); number && *number > kLargestSize)
    refuse(field, "at most " + std::to_string(kLargestSize), *value);
  refuse(field, kind, *value);
  return otherwise;
}
int64_t Config::positive(StringRef field, int64_t otherwise) {
  return integer(field, otherwise, 1, "a positive integer");
}
int64_t Config::natural(StringRef field, int64_t otherwise) {
  return integer(field, otherwise, 0, "an integer that is not negative");
}

double Config::positiveNumber(StringRef field, const json::Value *value, double otherwise) {
  if (!value)
    return otherwise;
  if (auto number = value->getAsNumber(); number && *number > 0 && std::isfinite(*number))
    return *number;
  refuse(field, "a positive number", *value);
  return otherwise;
}
double Config::positiveNumber(StringRef field, double otherwise) {
  return positiveNumber(field, find(object, field), otherwise);
}

std::vector<int64_t> Config::integers(StringRef field) {
  const json::Value *value = find(object, field);
  if (!value)
    return {};
  if (auto number = value->getAsInteger())
    return {*number};
  std::vector<int64_t> numbers;
  if (const json::Array *array = value->getAsArray())
    for (const json::Value &item : *array)
      if (auto number = item.getAsInteger())
        numbers.push_back(*number);
  if (!value->getAsArray() || numbers.size() != value->getAsArray()->size())
    refuse(field, "an integer or a list of integers", *value);
  return numbers;
}

std::optional<std::vector<std::string>> Config::words(StringRef field) {
  const json::Value *value = find(object, field);
  if (!value)
    return {};
  std::vector<std::string> words;
  if (const json::Array *array = value->getAsArray())
    for (const json::Value &item : *array)
      if (auto word = item.getAsString())
        words.push_back(word->str());
  if (!value->getAsArray() || words.size() != value->getAsArray()->size())
    refuse(field, "a list of strings", *value);
  return words;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Positions
//===--------------------------------------------------------------------------------------------------------------===//

const json::Value *Config::findPosition(StringRef field) const {
  for (StringRef dictionary : {"rope_parameters", "rope_scaling"})
    if (const json::Value *inside = find(object, dictionary); inside && inside->getAsObject())
      if (const json::Value *value = find(*inside->getAsObject(), field))
        return value;
  return find(object, field);
}

Rotation Config::rotation(int64_t headDim, double partialOtherwise) {
  for (StringRef dictionary : {"rope_parameters", "rope_scaling"})
    if (const json::Value *inside = find(object, dictionary); inside && !inside->getAsObject())
      refuse(dictionary, "an object of fields", *inside);
  const json::Value *type = findPosition("rope_type");
  // `type` is the older name, and means something else outside the dictionaries.
  if (const json::Value *scaling = find(object, "rope_scaling"); !type && scaling && scaling->getAsObject())
    type = find(*scaling->getAsObject(), "type");
  if (type && type->getAsString() != std::optional<StringRef>("default"))
    refuse("rope_type", "\"default\"", *type);

  double theta = positiveNumber("rope_theta", findPosition("rope_theta"), 10000);
  double partial = positiveNumber("partial_rotary_factor", findPosition("partial_rotary_factor"), partialOtherwise);
  expect(partial <= 1, "partial_rotary_factor to be at most 1, but got " + llvm::formatv("{0}", partial).str());
  int64_t over = int64_t(headDim * std::min(partial, 1.0));
  expect(over >= 2 && over % 2 == 0, "partial_rotary_factor to choose an even number of the " +
                                         std::to_string(headDim) + " channels of a head, but got " +
                                         std::to_string(over));
  return {theta, over};
}
