#include "compiler/tools/denim-check/Forms.h"
#include <algorithm>
#include <cmath>
#include <denim/denim.h>
#include <limits>

using namespace denim::check;

std::vector<Form> denim::check::formsOf(int64_t tokens, const std::vector<int64_t> &chunks,
                                        const std::vector<int64_t> &lengths, bool single) {
  std::vector<Form> forms{{"whole", {{tokens}}}};
  auto inChunks = [&](const std::string &name, int64_t size) {
    Form form{name, {}};
    for (int64_t done = 0; done < tokens; done += size)
      form.steps.push_back({std::min(size, tokens - done)});
    forms.push_back(std::move(form));
  };
  for (int64_t size : chunks)
    if (size < tokens)
      inChunks("in chunks of " + std::to_string(size), size);
  if (single)
    inChunks("token by token", 1);
  for (int64_t length : lengths)
    if (length < tokens)
      forms.push_back({"the first " + std::to_string(length), {{length}}});
  if (tokens >= 8) {
    // Long, short and absent ones stand side by side, and each is once the long one. Absent are a new one between two
    // others, and known ones behind and in front of them.
    int64_t half = tokens / 2, quarter = tokens / 4;
    forms.push_back({"ragged", {{half, 0, quarter}, {1, half, 0}, {0, 2, half}, {1, 1, 1}}});
  }
  return forms;
}

int64_t Form::tokensOf(size_t i) const {
  int64_t tokens = 0;
  for (const Step &step : steps)
    tokens += i < step.size() ? step[i] : 0;
  return tokens;
}

struct Runner::Handles {
  denim_device_t *device = nullptr;
  denim_module_t *module = nullptr;
  denim_session_t *session = nullptr;
};

Runner::~Runner() {
  if (!handles)
    return;
  denim_session_release(handles->session);
  denim_module_release(handles->module);
  denim_device_release(handles->device);
  delete handles;
}

/// The message of an error, which ends here.
static std::optional<std::string> messageOf(denim_status_t status) {
  if (status == DENIM_OK)
    return std::nullopt;
  std::string message = denim_status_message(status);
  denim_status_release(status);
  return message;
}

std::optional<std::string> Runner::open(const std::string &module, const std::string &weights,
                                        const std::string &device, int64_t mostTokens) {
  handles = new Handles;
  denim_device_options_t machine;
  denim_device_options_initialize(&machine);
  machine.name = device.c_str();
  if (auto fault = messageOf(denim_device_create(&machine, &handles->device)))
    return fault;
  if (auto fault = messageOf(denim_module_open(module.c_str(), &handles->module)))
    return fault;
  denim_session_options_t options;
  denim_session_options_initialize(&options);
  options.weights = weights.c_str();
  options.max_step_tokens = std::max(options.max_step_tokens, static_cast<int32_t>(mostTokens));
  return messageOf(denim_session_create(handles->device, handles->module, &options, &handles->session));
}

std::optional<std::string> Runner::run(const Form &form, const std::vector<Expected> &expected, int64_t module,
                                       Worst &worst) {
  int64_t vocabulary = denim_module_vocabulary(handles->module);
  size_t count = form.steps.front().size();
  for (size_t s = 0; s < count; ++s) {
    auto tokens = static_cast<int64_t>(expected[s].tokens.size());
    auto logits = static_cast<int64_t>(expected[s].logits.size());
    if (static_cast<int64_t>(expected[s].limits.size()) < (module + 1) * tokens)
      return "expected limits of module " + std::to_string(module) + " for " + std::to_string(tokens) +
             " tokens of sequence " + std::to_string(s) + ", but got " + std::to_string(expected[s].limits.size());
    if (tokens < form.tokensOf(s) || logits != tokens * vocabulary)
      return "expected " + std::to_string(form.tokensOf(s)) + " tokens of sequence " + std::to_string(s) + " and " +
             std::to_string(vocabulary) + " logits for each, but got " + std::to_string(tokens) + " and " +
             std::to_string(logits) + " logits";
  }
  std::vector<denim_sequence_t> sequences(count);
  std::vector<int64_t> done(count);
  for (denim_sequence_t &sequence : sequences)
    if (auto fault = messageOf(denim_sequence_create(handles->session, &sequence)))
      return fault;
  std::vector<float> logits;
  worst = {};
  for (const Step &step : form.steps) {
    std::vector<denim_step_entry_t> entries;
    int64_t rows = 0;
    for (size_t s = 0; s < count; ++s) {
      entries.push_back({sequences[s], expected[s].tokens.data() + done[s], step[s], DENIM_LOGITS_ALL});
      rows += step[s];
    }
    // Whatever is not written shows as no number.
    logits.assign(static_cast<size_t>(rows * vocabulary), std::numeric_limits<float>::quiet_NaN());
    if (auto fault =
            messageOf(denim_session_step(handles->session, entries.data(), entries.size(), rows, logits.data())))
      return fault;
    const float *got = logits.data();
    for (size_t s = 0; s < count; ++s) {
      const double *limits = expected[s].limits.data() + module * static_cast<int64_t>(expected[s].tokens.size());
      for (int64_t i = 0; i < step[s]; ++i, ++done[s])
        for (int64_t v = 0; v < vocabulary; ++v, ++got) {
          double want = expected[s].logits[static_cast<size_t>(done[s] * vocabulary + v)];
          double difference = std::fabs(*got - want);
          if (std::isnan(difference))
            difference = std::numeric_limits<double>::infinity();
          double limit = limits[static_cast<size_t>(done[s])];
          if (worst.limit == 0 || difference / limit > worst.difference / worst.limit)
            worst = {difference, limit, static_cast<int64_t>(s), done[s], v};
        }
    }
  }
  for (denim_sequence_t sequence : sequences)
    if (auto fault = messageOf(denim_sequence_release(handles->session, sequence)))
      return fault;
  return std::nullopt;
}
