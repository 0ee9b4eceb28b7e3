//===- Session.cpp - a model that runs ------------------------------------===//

#include "runtime/session/Session.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>

namespace denim {

Status Session::create(std::shared_ptr<Device> device, std::shared_ptr<const Module> module, Weights weights,
                       const SessionOptions &options, std::unique_ptr<Session> &out) {
  // Rows are 32 bits, and the padding comes on top.
  constexpr int32_t kMostTokens = 1 << 24;
  if (options.maxStepTokens < 1 || options.maxStepTokens > kMostTokens)
    return invalidArgument("expected from 1 to ", kMostTokens, " tokens of a step, but got ", options.maxStepTokens);
  std::unique_ptr<Session> session(new Session);
  session->device = std::move(device);
  session->module = std::move(module);
  session->weights = std::move(weights);
  session->options = options;
  if (Status status = session->module->load(*session->device, session->targetIndex, session->executable))
    return status;
  if (Status status = HybridCache::create(*session->device, session->plan(), options.cacheBytes, session->cache))
    return status;
  size_t rows = static_cast<size_t>(options.maxStepTokens) + DENIM_ROW_PADDING;
  for (const PlanSlot &slot : session->plan().slots) {
    DeviceMemory memory;
    if (Status status = session->device->allocate(rows * slot.rowBytes, memory))
      return error(status.code(), "activations: ", status.message());
    session->slots.push_back(std::move(memory));
  }
  if (Status status = session->bind())
    return status;
  out = std::move(session);
  return {};
}

/// Addresses of arguments never change, so every launch has its array of them from the start.
Status Session::bind() {
  const Plan &p = plan();
  cacheSlots.resize(p.caches.size());
  for (size_t c = 0; c < p.caches.size(); ++c)
    if (p.caches[c].kind != CacheKind::Paged)
      cacheSlots[c].resize(options.maxStepTokens); // a sequence of a pass has at least one token
  for (const PlanStep &step : p.steps) {
    for (const PlanLaunch &planned : p.programs[step.program].launches) {
      Launch launch{planned.kernel, planned.per, planned.block, planned.times, {}};
      for (const PlanArgument &arg : planned.args) {
        const void *address = nullptr;
        switch (arg.kind) {
        case PlanArgument::Slot:
          address = slots[arg.index].data();
          break;
        case PlanArgument::Parameter:
          address = weights.data(step.parameters[arg.index]);
          break;
        case PlanArgument::Stack: {
          std::vector<const void *> stack;
          for (uint32_t i = 0; i < arg.count; ++i)
            stack.push_back(weights.data(step.parameters[arg.index + i]));
          stacks.push_back(std::move(stack));
          address = stacks.back().data(); // moves of the outer vector keep it
          break;
        }
        case PlanArgument::Cache: {
          uint32_t c = step.caches[arg.index];
          address = p.caches[c].kind == CacheKind::Paged ? cache->pageBase(c) : cacheSlots[c].data();
          break;
        }
        }
        launch.args.push_back(const_cast<void *>(address));
      }
      launches.push_back(std::move(launch));
    }
  }
  return {};
}

Status Session::length(SequenceId id, int64_t &out) const {
  const HybridCache::Sequence *sequence = cache->find(id);
  if (!sequence)
    return error(DENIM_STATUS_NOT_FOUND, "expected a sequence, but got ", id, ", which does not exist");
  out = sequence->length;
  return {};
}

Status Session::extend(SequenceId id, int64_t tokens) {
  int64_t length = 0;
  if (Status status = this->length(id, length))
    return status;
  if (tokens < 0 || tokens > INT32_MAX - length)
    return invalidArgument("expected from 0 to ", INT32_MAX - length, " further tokens of a sequence of length ",
                           length, ", but got ", tokens);
  if (Status status = cache->reserve({{id, tokens}}))
    return status;
  cache->advance(id, tokens);
  return {};
}

Status Session::check(const StepEntry *entries, size_t entryCount, int64_t rows) const {
  std::unordered_set<SequenceId> seen;
  int64_t wanted = 0;
  for (size_t e = 0; e < entryCount; ++e) {
    const StepEntry &entry = entries[e];
    const HybridCache::Sequence *sequence = cache->find(entry.sequence);
    if (!sequence)
      return error(DENIM_STATUS_NOT_FOUND, "entry ", e, ": expected a sequence, but got ", entry.sequence,
                   ", which does not exist");
    if (!seen.insert(entry.sequence).second)
      return invalidArgument("entry ", e, ": expected each sequence once, but got ", entry.sequence, " again");
    if (entry.count < 0)
      return invalidArgument("entry ", e, ": expected 0 or more tokens, but got ", entry.count);
    if (entry.count > INT32_MAX - sequence->length)
      return invalidArgument("entry ", e, ": expected at most ", INT32_MAX - sequence->length,
                             " further tokens of a sequence of length ", sequence->length, ", but got ", entry.count);
    for (int64_t t = 0; t < entry.count; ++t)
      if (entry.tokens[t] < 0 || entry.tokens[t] >= plan().vocabulary)
        return invalidArgument("entry ", e, ", token ", t, ": expected an id from 0 to ", plan().vocabulary - 1,
                               ", but got ", entry.tokens[t]);
    wanted += entry.logitsRows();
  }
  if (rows != wanted)
    return invalidArgument("expected room for ", wanted, " rows of logits, but got ", rows);
  return {};
}

void Session::Batch::clear() {
  for (std::vector<int32_t> *array : {&tokens, &positions, &past, &outputs, &pages})
    array->clear();
  rowBegin.assign(1, 0);
  pageBegin.assign(1, 0);
  sequences.clear();
}

/// Makes the passes of a step free of allocation: memory that runs out must not stop a step halfway.
void Session::prepareBatch(const std::vector<HybridCache::Growth> &growths) {
  size_t pages = 0;
  for (const HybridCache::Growth &growth : growths)
    pages += cache->find(growth.sequence)->pages.size();
  size_t tokens = static_cast<size_t>(options.maxStepTokens);
  for (std::vector<int32_t> *array : {&batch.tokens, &batch.positions, &batch.past, &batch.outputs})
    array->reserve(tokens);
  batch.rowBegin.reserve(tokens + 1);
  batch.pageBegin.reserve(tokens + 1);
  batch.pages.reserve(pages);
  batch.sequences.reserve(tokens);
  batch.clear();
}

denim_batch_t Session::Batch::view() const {
  denim_batch_t batch;
  batch.token_count = static_cast<int64_t>(tokens.size());
  batch.sequence_count = static_cast<int64_t>(sequences.size());
  batch.output_count = static_cast<int64_t>(outputs.size());
  batch.tokens = tokens.data();
  batch.positions = positions.data();
  batch.row_begin = rowBegin.data();
  batch.past = past.data();
  batch.outputs = outputs.data();
  batch.pages = pages.data();
  batch.page_begin = pageBegin.data();
  return batch;
}

/// Tokens [begin, begin + count) of an entry to the batch of the coming pass.
void Session::add(const StepEntry &entry, int64_t begin, int64_t count) {
  const HybridCache::Sequence &sequence = *cache->find(entry.sequence);
  size_t index = batch.sequences.size();
  for (size_t c = 0; c < cacheSlots.size(); ++c)
    if (!cacheSlots[c].empty())
      cacheSlots[c][index] = cache->slot(c, sequence);
  batch.sequences.push_back(entry.sequence);
  batch.past.push_back(static_cast<int32_t>(sequence.length));
  for (int64_t t = begin; t < begin + count; ++t) {
    if (entry.logits == Logits::All || (entry.logits == Logits::Last && t == entry.count - 1))
      batch.outputs.push_back(static_cast<int32_t>(batch.tokens.size()));
    batch.positions.push_back(static_cast<int32_t>(sequence.length + t - begin));
    batch.tokens.push_back(entry.tokens[t]);
  }
  batch.rowBegin.push_back(static_cast<int32_t>(batch.tokens.size()));
  batch.pages.insert(batch.pages.end(), sequence.pages.begin(), sequence.pages.end());
  batch.pageBegin.push_back(static_cast<int32_t>(batch.pages.size()));
}

Status Session::runPass() {
  denim_batch_t view = batch.view();
  for (const Launch &launch : launches) {
    int64_t count = launch.per == Per::Tokens      ? view.token_count
                    : launch.per == Per::Outputs   ? view.output_count
                    : launch.per == Per::Sequences ? view.sequence_count
                                                   : 1;
    int64_t items = launch.times * ((count + launch.block - 1) / launch.block);
    if (items == 0)
      continue;
    auto start = kernelSeconds ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
    if (Status status = device->launch(*executable, launch.kernel, view, launch.args.data(), items))
      return status;
    if (kernelSeconds)
      (*kernelSeconds)[launch.kernel] +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  for (size_t s = 0; s < batch.sequences.size(); ++s)
    cache->advance(batch.sequences[s], batch.rowBegin[s + 1] - batch.rowBegin[s]);
  return {};
}

Status Session::step(const StepEntry *entries, size_t entryCount, float *logits, int64_t rows) {
  if (Status status = check(entries, entryCount, rows))
    return status;
  std::vector<HybridCache::Growth> growths;
  for (size_t e = 0; e < entryCount; ++e)
    growths.push_back({entries[e].sequence, entries[e].count});
  if (Status status = cache->reserve(growths))
    return status;

  prepareBatch(growths);
  auto run = [&]() -> Status {
    if (Status status = runPass())
      return status;
    size_t values = batch.outputs.size() * static_cast<size_t>(plan().vocabulary);
    if (values)
      device->read(logits, slots[plan().logits].data(), values * sizeof(float));
    logits += values;
    batch.clear();
    return {};
  };
  for (size_t e = 0; e < entryCount; ++e) {
    for (int64_t begin = 0; begin < entries[e].count;) {
      int64_t room = options.maxStepTokens - static_cast<int64_t>(batch.tokens.size());
      int64_t count = std::min(room, entries[e].count - begin);
      add(entries[e], begin, count);
      begin += count;
      if (count == room)
        if (Status status = run())
          return status;
    }
  }
  if (!batch.tokens.empty())
    return run();
  return {};
}

} // namespace denim
