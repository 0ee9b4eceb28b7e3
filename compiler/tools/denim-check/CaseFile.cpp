#include "compiler/tools/denim-check/CaseFile.h"
#include "formats/safetensors/SafetensorsWriter.h"
#include <cstdio>
#include <cstring>

using namespace denim::check;
using namespace denim::formats;

static std::string pathOf(const std::string &folder) {
  return folder + "/case.safetensors";
}

template <typename Number>
static Tensor tensorOf(std::string name, ElementType type, const std::vector<Number> &values,
                       std::vector<int64_t> shape) {
  return {std::move(name), type, std::move(shape), values.data(), values.size() * sizeof(Number)};
}

std::optional<std::string> denim::check::writeCase(const Case &one, const std::string &folder) {
  std::vector<int64_t> form{one.tokens, one.single};
  std::vector<Tensor> tensors{
      tensorOf("form", ElementType::I64, form, {2}),
      tensorOf("chunks", ElementType::I64, one.chunks, {static_cast<int64_t>(one.chunks.size())}),
      tensorOf("lengths", ElementType::I64, one.lengths, {static_cast<int64_t>(one.lengths.size())})};
  for (size_t i = 0; i < one.expected.size(); ++i) {
    const Expected &sequence = one.expected[i];
    auto tokens = static_cast<int64_t>(sequence.tokens.size());
    int64_t vocabulary = tokens ? static_cast<int64_t>(sequence.logits.size()) / tokens : 0;
    tensors.push_back(tensorOf("tokens." + std::to_string(i), ElementType::I32, sequence.tokens, {tokens}));
    tensors.push_back(tensorOf("logits." + std::to_string(i), ElementType::F64, sequence.logits, {tokens, vocabulary}));
    tensors.push_back(
        tensorOf("limits." + std::to_string(i), ElementType::F64, sequence.limits, {one.modules, tokens}));
  }
  if (Error fault = writeSafetensors(pathOf(folder), tensors))
    return fault.message();
  return std::nullopt;
}

template <typename Number>
static std::optional<std::string> read(const Safetensors &file, const std::string &name, ElementType type,
                                       std::vector<Number> &out) {
  const Tensor *tensor = file.find(name);
  if (!tensor || tensor->type != type)
    return "'" + file.path() + "': expected tensor '" + name + "' of " + std::string(denim::formats::name(type)) +
           ", but got " + (tensor ? std::string(denim::formats::name(tensor->type)) : "none");
  out.resize(tensor->bytes / sizeof(Number));
  if (tensor->bytes)
    std::memcpy(out.data(), tensor->data, tensor->bytes);
  return std::nullopt;
}

std::optional<std::string> denim::check::readCase(const std::string &folder, Case &out) {
  Safetensors file;
  if (Error fault = Safetensors::open(pathOf(folder), file))
    return fault.message();
  std::vector<int64_t> form;
  if (auto fault = read(file, "form", ElementType::I64, form))
    return fault;
  if (auto fault = read(file, "chunks", ElementType::I64, out.chunks))
    return fault;
  if (auto fault = read(file, "lengths", ElementType::I64, out.lengths))
    return fault;
  if (form.size() != 2)
    return "'" + file.path() + "': expected two numbers of the form, but got " + std::to_string(form.size());
  out.tokens = form[0], out.single = form[1];
  out.expected.resize(kSequences);
  for (int64_t i = 0; i < kSequences; ++i) {
    if (auto fault = read(file, "tokens." + std::to_string(i), ElementType::I32, out.expected[i].tokens))
      return fault;
    if (auto fault = read(file, "logits." + std::to_string(i), ElementType::F64, out.expected[i].logits))
      return fault;
    if (auto fault = read(file, "limits." + std::to_string(i), ElementType::F64, out.expected[i].limits))
      return fault;
    if (i > 0 || out.expected[0].tokens.empty())
      continue;
    out.modules = static_cast<int64_t>(out.expected[0].limits.size() / out.expected[0].tokens.size());
    if (out.modules < 1 || out.modules > 2)
      return "'" + file.path() + "': expected limits of one or two modules, but got " + std::to_string(out.modules);
  }
  for (int64_t number : out.chunks)
    if (number < 1)
      return "'" + file.path() + "': expected sizes of chunks of at least 1, but got " + std::to_string(number);
  return std::nullopt;
}

std::optional<std::string> denim::check::runForms(Runner &runner, const Case &one, int64_t module, bool &isRight) {
  for (const Form &form : formsOf(one.tokens, one.chunks, one.lengths, one.single)) {
    Worst worst;
    if (auto fault = runner.run(form, one.expected, module, worst))
      return form.name + ": " + *fault;
    bool fits = worst.difference <= worst.limit;
    isRight &= fits;
    std::printf("%-20s largest difference %.1e of at most %.1e  %s", form.name.c_str(), worst.difference, worst.limit,
                fits ? "ok" : "WRONG");
    if (!fits)
      std::printf(" at logit %lld of token %lld of sequence %lld", static_cast<long long>(worst.logit),
                  static_cast<long long>(worst.token), static_cast<long long>(worst.sequence));
    std::printf("\n");
  }
  return std::nullopt;
}
