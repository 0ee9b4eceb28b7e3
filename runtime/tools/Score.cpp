//===- Score.cpp - denim-run score ----------------------------------------===//

#include "formats/safetensors/SafetensorsWriter.h"
#include "runtime/tools/Commands.h"

#include <algorithm>
#include <cstring>

namespace denim {

namespace {

template <typename Integer> Status convert(const formats::Tensor &tensor, std::vector<int32_t> &out) {
  for (size_t i = 0; i < tensor.bytes / sizeof(Integer); ++i) {
    Integer value;
    std::memcpy(&value, static_cast<const char *>(tensor.data) + i * sizeof value, sizeof value);
    if (value < Integer(0) || static_cast<uint64_t>(value) > INT32_MAX)
      return invalidArgument("tensor '", tensor.name, "', element ", i, ": expected a token, but got ", +value);
    out.push_back(static_cast<int32_t>(static_cast<uint64_t>(value)));
  }
  return {};
}

/// `1,2,3` or `FILE:NAME`, a tensor of integers of any rank.
Status readTokens(const std::string &text, std::vector<int32_t> &out) {
  if (text.find_first_not_of("0123456789,-") == std::string::npos)
    return parseTokenList(text, out);
  size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    return invalidArgument("--tokens: expected 1,2,3 or FILE.safetensors:NAME, but got '", text, "'");
  std::string path = text.substr(0, colon), name = text.substr(colon + 1);
  formats::Safetensors file;
  if (formats::Error fault = formats::Safetensors::open(path, file))
    return error(DENIM_STATUS_DATA_LOSS, fault.message());
  const formats::Tensor *tensor = file.find(name);
  if (!tensor)
    return error(DENIM_STATUS_NOT_FOUND, "'", path, "': expected tensor '", name, "', but got none");
  using formats::ElementType;
  switch (tensor->type) {
  case ElementType::I64:
    return convert<int64_t>(*tensor, out);
  case ElementType::U64:
    return convert<uint64_t>(*tensor, out);
  case ElementType::I32:
    return convert<int32_t>(*tensor, out);
  case ElementType::U32:
    return convert<uint32_t>(*tensor, out);
  case ElementType::I16:
    return convert<int16_t>(*tensor, out);
  case ElementType::U16:
    return convert<uint16_t>(*tensor, out);
  case ElementType::I8:
    return convert<int8_t>(*tensor, out);
  case ElementType::U8:
    return convert<uint8_t>(*tensor, out);
  default:
    return invalidArgument("'", path, "': tensor '", name, "': expected integers, but got ",
                           formats::name(tensor->type));
  }
}

} // namespace

Status runScore(int count, char **words) {
  Arguments arguments;
  if (Status status =
          Arguments::parse(count, words, withModelOptions({"--tokens", "--logits", "--chunk", "--decode"}), arguments))
    return status;
  std::string spec, path;
  if (Status status = arguments.required("--tokens", spec))
    return status;
  if (Status status = arguments.required("--logits", path))
    return status;
  std::vector<int32_t> tokens;
  if (Status status = readTokens(spec, tokens))
    return status;
  auto total = static_cast<int64_t>(tokens.size());
  if (total == 0)
    return invalidArgument("--tokens: expected at least one token, but got none");
  int64_t chunk = total, decode = 0;
  if (Status status = arguments.integer("--chunk", 1, INT32_MAX, chunk))
    return status;
  if (Status status = arguments.integer("--decode", 0, total, decode))
    return status;

  formats::OutputFile file;
  if (formats::Error fault = file.open(path))
    return error(DENIM_STATUS_INVALID_ARGUMENT, "--logits: ", fault.message());
  Model model;
  if (Status status = openModel(arguments, model))
    return status;
  if (Status status = checkRoom(model, total))
    return status;
  SequenceId sequence;
  if (Status status = model.session->createSequence(sequence))
    return status;
  int64_t vocabulary = model.session->plan().vocabulary;
  std::vector<float> logits(static_cast<size_t>(total * vocabulary));
  Progress progress("tokens", total);
  for (int64_t begin = 0; begin < total;) {
    int64_t piece = begin < total - decode ? std::min(chunk, total - decode - begin) : 1;
    StepEntry entry{sequence, tokens.data() + begin, piece, Logits::All};
    if (Status status = model.session->step(&entry, 1, logits.data() + begin * vocabulary, piece))
      return status;
    begin += piece;
    progress.at(begin);
  }
  if (formats::Error fault = formats::writeSafetensors(
          file, {{"logits", formats::ElementType::F32, {total, vocabulary}, logits.data(), logits.size() * 4}}))
    return error(DENIM_STATUS_INVALID_ARGUMENT, fault.message());
  return {};
}

} // namespace denim
