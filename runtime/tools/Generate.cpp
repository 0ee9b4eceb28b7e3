//===- Generate.cpp - denim-run generate ----------------------------------===//

#include "runtime/sampling/Sampler.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/tools/Commands.h"

#include <algorithm>
#include <cstdio>

namespace denim {

namespace {

Status readPrompt(const Arguments &arguments, const Tokenizer *tokenizer, std::vector<int32_t> &out) {
  if (arguments.has("--prompt") == arguments.has("--prompt-tokens"))
    return invalidArgument("expected one of --prompt and --prompt-tokens, but got ",
                           arguments.has("--prompt") ? "both" : "none");
  if (Status status = arguments.has("--prompt") ? tokenizer->encode(arguments.text("--prompt", ""), out)
                                                : parseTokenList(arguments.text("--prompt-tokens", ""), out))
    return status;
  if (out.empty())
    return invalidArgument("--prompt: expected at least one token, but got none");
  return {};
}

} // namespace

Status runGenerate(int count, char **words) {
  Arguments arguments;
  if (Status status = Arguments::parse(count, words,
                                       withModelOptions({"--prompt", "--prompt-tokens", "--max-new-tokens",
                                                         "--temperature", "--top-p", "--seed", "--output"}),
                                       arguments))
    return status;
  int64_t maxNewTokens = 128, seed = 0;
  SamplingOptions sampling;
  if (Status status = arguments.integer("--max-new-tokens", 0, INT32_MAX, maxNewTokens))
    return status;
  if (Status status = arguments.integer("--seed", 0, INT64_MAX, seed))
    return status;
  if (Status status = arguments.number("--temperature", sampling.temperature))
    return status;
  if (Status status = arguments.number("--top-p", sampling.topP))
    return status;
  sampling.seed = static_cast<uint64_t>(seed);
  Sampler sampler;
  if (Status status = Sampler::create(sampling, sampler))
    return status;
  std::string output = arguments.text("--output", "text");
  if (output != "text" && output != "tokens")
    return invalidArgument("--output: expected text or tokens, but got '", output, "'");

  Model model;
  if (Status status = openModel(arguments, model))
    return status;
  Session &session = *model.session;
  const Plan &plan = session.plan();
  std::unique_ptr<Tokenizer> tokenizer;
  if (output == "text" || arguments.has("--prompt"))
    if (Status status = Tokenizer::open(model.weightsPath, plan.vocabulary, tokenizer))
      return status;
  std::vector<int32_t> prompt;
  if (Status status = readPrompt(arguments, tokenizer.get(), prompt))
    return status;

  SequenceId sequence;
  if (Status status = session.createSequence(sequence))
    return status;
  std::vector<float> logits(plan.vocabulary);
  auto total = static_cast<int64_t>(prompt.size());
  Stopwatch prefillWatch;
  {
    const int64_t pass = session.maxStepTokens(); // cut as the session would, to show progress between
    Progress progress("prompt", total);
    for (int64_t begin = 0; begin < total; begin += pass) {
      int64_t piece = std::min(pass, total - begin);
      bool last = begin + piece == total;
      StepEntry entry{sequence, prompt.data() + begin, piece, last ? Logits::Last : Logits::None};
      if (Status status = session.step(&entry, 1, logits.data(), last))
        return status;
      progress.at(begin + piece);
    }
  }
  double prefillSeconds = prefillWatch.seconds();

  Stopwatch decodeWatch;
  int64_t generated = 0, steps = 0;
  while (generated < maxNewTokens) {
    int32_t token = sampler.sample(logits.data(), plan.vocabulary);
    if (std::find(plan.eosTokens.begin(), plan.eosTokens.end(), token) != plan.eosTokens.end())
      break;
    if (output == "tokens") {
      std::printf(generated ? ",%d" : "%d", token);
    } else {
      std::string_view bytes = tokenizer->bytes(token);
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    }
    std::fflush(stdout);
    if (++generated == maxNewTokens)
      break;
    StepEntry entry{sequence, &token, 1, Logits::Last};
    if (Status status = session.step(&entry, 1, logits.data(), 1)) {
      std::printf("\n");
      return status;
    }
    ++steps;
  }
  double decodeSeconds = decodeWatch.seconds();
  std::printf("\n");
  std::fflush(stdout);
  std::fprintf(stderr, "prompt: %zu tokens, %.1f tokens/s; generated: %lld tokens, %.1f tokens/s\n", prompt.size(),
               static_cast<double>(total) / prefillSeconds, static_cast<long long>(generated),
               steps ? static_cast<double>(steps) / decodeSeconds : 0.0);
  return {};
}

} // namespace denim
