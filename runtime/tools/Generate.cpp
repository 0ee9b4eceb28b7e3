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

struct Options {
  int64_t maxNewTokens = 128;
  bool asText = true; ///< else token ids
  Sampler sampler;
};

Status readOptions(const Arguments &arguments, Options &out) {
  int64_t seed = 0;
  SamplingOptions sampling;
  if (Status status = arguments.integer("--max-new-tokens", 0, INT32_MAX, out.maxNewTokens))
    return status;
  if (Status status = arguments.integer("--seed", 0, INT64_MAX, seed))
    return status;
  if (Status status = arguments.number("--temperature", sampling.temperature))
    return status;
  if (Status status = arguments.number("--top-p", sampling.topP))
    return status;
  sampling.seed = static_cast<uint64_t>(seed);
  if (Status status = Sampler::create(sampling, out.sampler))
    return status;
  std::string output = arguments.text("--output", "text");
  if (output != "text" && output != "tokens")
    return invalidArgument("--output: expected text or tokens, but got '", output, "'");
  out.asText = output == "text";
  return {};
}

/// Runs the prompt, cut as the session would cut it, to show progress between; leaves the logits behind its last token.
Status runPrompt(Session &session, SequenceId sequence, const std::vector<int32_t> &prompt,
                 std::vector<float> &logits) {
  const int64_t pass = session.maxStepTokens();
  auto total = static_cast<int64_t>(prompt.size());
  Progress progress("prompt", total);
  for (int64_t begin = 0; begin < total; begin += pass) {
    int64_t piece = std::min(pass, total - begin);
    bool last = begin + piece == total;
    StepEntry entry{sequence, prompt.data() + begin, piece, last ? Logits::Last : Logits::None};
    if (Status status = session.step(&entry, 1, logits.data(), last))
      return status;
    progress.at(begin + piece);
  }
  return {};
}

/// Writes tokens until one ends the text or there are enough; |tokenizer| is null for ids. |logits| are those of the
/// prompt at first.
Status continueText(Session &session, SequenceId sequence, Options &options, const Tokenizer *tokenizer,
                    std::vector<float> &logits, int64_t &generated, int64_t &steps) {
  const Plan &plan = session.plan();
  while (generated < options.maxNewTokens) {
    int32_t token = options.sampler.sample(logits.data(), plan.vocabulary);
    if (std::find(plan.eosTokens.begin(), plan.eosTokens.end(), token) != plan.eosTokens.end())
      break;
    if (!options.asText) {
      std::printf(generated ? ",%d" : "%d", token);
    } else {
      std::string_view bytes = tokenizer->bytes(token);
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    }
    std::fflush(stdout);
    if (++generated == options.maxNewTokens)
      break;
    StepEntry entry{sequence, &token, 1, Logits::Last};
    if (Status status = session.step(&entry, 1, logits.data(), 1))
      return status;
    ++steps;
  }
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
  Options options;
  if (Status status = readOptions(arguments, options))
    return status;

  Model model;
  if (Status status = openModel(arguments, model))
    return status;
  Session &session = *model.session;
  std::unique_ptr<Tokenizer> tokenizer;
  if (options.asText || arguments.has("--prompt"))
    if (Status status = Tokenizer::open(model.weightsPath, session.plan().vocabulary, tokenizer))
      return status;
  std::vector<int32_t> prompt;
  if (Status status = readPrompt(arguments, tokenizer.get(), prompt))
    return status;
  if (Status status = checkRoom(model, static_cast<int64_t>(prompt.size())))
    return status;

  SequenceId sequence;
  if (Status status = session.createSequence(sequence))
    return status;
  std::vector<float> logits(session.plan().vocabulary);
  Stopwatch prefillWatch;
  if (Status status = runPrompt(session, sequence, prompt, logits))
    return status;
  double prefillSeconds = prefillWatch.seconds();

  Stopwatch decodeWatch;
  int64_t generated = 0, steps = 0;
  Status status = continueText(session, sequence, options, tokenizer.get(), logits, generated, steps);
  double decodeSeconds = decodeWatch.seconds();
  std::printf("\n"); // behind what there is of the text, also when a step was refused
  std::fflush(stdout);
  if (status)
    return status;
  std::fprintf(stderr, "prompt: %zu tokens, %.1f tokens/s; generated: %lld tokens, %.1f tokens/s\n", prompt.size(),
               static_cast<double>(prompt.size()) / prefillSeconds, static_cast<long long>(generated),
               steps ? static_cast<double>(steps) / decodeSeconds : 0.0);
  return {};
}

} // namespace denim
