//===- Session.cpp - a model that runs ------------------------------------===//

#include "runtime/session/Session.h"

#include <algorithm>
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
  if (Status status = session->module->plan(session->device->machine(), session->machinePlan))
    return status;
  std::shared_ptr<const Executable> executable;
  if (Status status = session->module->load(*session->device, session->targetIndex, executable))
    return status;
  if (Status status = HybridCache::create(*session->device, session->plan(), options.cacheBytes, session->cache))
    return status;
  size_t rows = static_cast<size_t>(options.maxStepTokens) + DENIM_ROW_PADDING;
  for (const PlanSlot &slot : session->plan().slots) {
    DeviceMemory memory;
    if (Status status = session->device->allocate((slot.rows == Per::Once ? 1 : rows) * slot.rowBytes, memory))
      return error(status.code(), "activations: ", status.message());
    session->slots.push_back(std::move(memory));
  }
  if (Status status = session->bind())
    return status;
  if (Status status = session->device->createRunner(std::move(executable), session->mostArenaBytes(), session->runner))
    return error(status.code(), "arrays of a pass: ", status.message());
  out = std::move(session);
  return {};
}

/// Every sequence of a pass has a token, and no sequence has more pages than the cache.
size_t Session::mostArenaBytes() const {
  constexpr size_t kMostBytes = size_t(1) << 38; // of addresses; more pages than that are refused when they come
  int64_t most = options.maxStepTokens;
  size_t pageBytes = plan().pageBytes();
  size_t pages = pageBytes ? std::min<size_t>(options.cacheBytes / pageBytes, INT32_MAX) : 0;
  size_t tables = std::min(pages * static_cast<size_t>(most), kMostBytes / sizeof(int32_t));
  return PassLayout::of({most, most, most}, slotCaches.size(), tables).bytes;
}

/// Addresses of most arguments never change, so every launch has its array of them from the start.
Status Session::bind() {
  const Plan &p = plan();
  std::vector<uint32_t> slotIndex(p.caches.size()); // in slotCaches
  for (size_t c = 0; c < p.caches.size(); ++c) {
    slotIndex[c] = static_cast<uint32_t>(slotCaches.size());
    if (p.caches[c].kind != CacheKind::Paged)
      slotCaches.push_back(static_cast<uint32_t>(c));
  }
  std::vector<const void *> stacked;                 // all stacks, one after the other
  std::vector<std::pair<void **, size_t>> stackArgs; // the argument, and where its stack begins
  for (const PlanStep &step : p.steps) {
    for (const PlanLaunch &planned : p.programs[step.program].launches) {
      BoundLaunch launch{&planned, std::vector<void *>(planned.args.size()), {}, {}, 0};
      for (size_t a = 0; a < planned.args.size(); ++a) {
        const PlanArgument &arg = planned.args[a];
        const void *address = nullptr;
        switch (arg.kind) {
        case PlanArgument::Slot:
          address = slots[arg.index].data();
          break;
        case PlanArgument::Parameter:
          address = weights.data(step.parameters[arg.index]);
          break;
        case PlanArgument::Stack:
          stackArgs.push_back({&launch.args[a], stacked.size()}); // moves of the vector keep its elements
          for (uint32_t i = 0; i < arg.count; ++i)
            stacked.push_back(weights.data(step.parameters[arg.index + i]));
          break;
        case PlanArgument::Cache: {
          uint32_t c = step.caches[arg.index];
          if (p.caches[c].kind == CacheKind::Paged)
            address = cache->pageBase(c);
          else
            launch.slotArgs.push_back({static_cast<uint32_t>(a), slotIndex[c]});
          break;
        }
        }
        launch.args[a] = const_cast<void *>(address);
      }
      if (planned.product)
        bindProduct(launch);
      if (planned.when && planned.when->of == PlanCondition::Sequence) {
        auto it = std::find(sequenceConditions.begin(), sequenceConditions.end(), *planned.when);
        launch.condition = static_cast<uint32_t>(it - sequenceConditions.begin());
        if (it == sequenceConditions.end())
          sequenceConditions.push_back(*planned.when);
      }
      bound.push_back(std::move(launch));
    }
  }
  if (stacked.empty())
    return {};
  if (Status status = device->allocate(stacked.size() * sizeof(void *), stacks))
    return status;
  for (auto [arg, begin] : stackArgs)
    *arg = stacks.data() + begin * sizeof(void *);
  return device->write(stacks.data(), stacked.data(), stacked.size() * sizeof(void *));
}

void Session::bindProduct(BoundLaunch &launch) const {
  const PlanProduct &planned = *launch.planned->product;
  auto typeOf = [&](uint32_t arg) {
    return plan().slots[launch.planned->args[arg].index].type == PlanType::BF16 ? Product::BF16 : Product::F32;
  };
  Product &product = launch.product;
  product.inputs = typeOf(planned.x);
  product.output = typeOf(planned.out);
  product.x = launch.args[planned.x];
  product.weight = launch.args[planned.weight];
  product.residual = planned.residual ? launch.args[*planned.residual] : nullptr;
  product.out = launch.args[planned.out];
  product.inner = planned.inner;
  product.columns = planned.columns;
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

/// Makes the passes of a step free of allocation: memory that runs out must not stop a step halfway.
Status Session::prepareBatch(const std::vector<HybridCache::Growth> &growths) {
  size_t pages = 0;
  int64_t tokens = 0;
  for (const HybridCache::Growth &growth : growths) {
    pages += growth.tokens ? cache->find(growth.sequence)->pages.size() : 0;
    tokens += growth.tokens;
  }
  tokens = std::min<int64_t>(tokens, options.maxStepTokens);
  batch.reserve(static_cast<size_t>(tokens), pages);
  batch.clear();
  return runner->reserve(PassLayout::of({tokens, tokens, tokens}, slotCaches.size(), pages).bytes);
}

/// Tokens [begin, begin + count) of an entry to the batch of the coming pass.
void Session::add(const StepEntry &entry, int64_t begin, int64_t count) {
  const HybridCache::Sequence &sequence = *cache->find(entry.sequence);
  batch.begin(entry.sequence, sequence);
  for (int64_t t = begin; t < begin + count; ++t)
    batch.addToken(entry.tokens[t], static_cast<int32_t>(sequence.length + t - begin),
                   entry.logits == Logits::All || (entry.logits == Logits::Last && t == entry.count - 1));
  batch.end();
}

/// The counts, then one bit for each condition on the lengths of sequences.
PassKey Session::keyOf(const PassCounts &counts) const {
  PassKey key{counts.tokens, counts.sequences, counts.outputs};
  for (size_t c = 0; c < sequenceConditions.size(); ++c) {
    if (c % 63 == 0)
      key.push_back(0);
    int64_t sequences = 0, all = 0, longest = 0; // those it speaks of; tokens, the new ones included
    for (size_t s = 0; s < batch.ids().size(); ++s) {
      if (!sequenceConditions[c].holdsFor(batch.tokensBefore(s), batch.newTokens(s)))
        continue;
      int64_t length = batch.tokensBefore(s) + batch.newTokens(s);
      ++sequences;
      all += length;
      longest = std::max(longest, length);
    }
    if (sequences > 0 && sequenceConditions[c].holdsIn(counts.tokens, sequences, all, longest))
      key.back() |= int64_t(1) << c % 63;
  }
  return key;
}

const std::vector<Launch> &Session::launchesOf(const PassKey &key, const PassCounts &counts, const PassLayout &layout) {
  if (key == listedKey)
    return listed;
  listedKey.clear();
  listed.clear();
  listedProducts.resize(bound.size()); // stays where it is from here on
  for (BoundLaunch &launch : bound) {
    const PlanLaunch &planned = *launch.planned;
    int64_t count = counts.of(planned.per);
    int64_t items = planned.items(count);
    if (items == 0)
      continue;
    if (const auto &when = planned.when) {
      bool holds = when->of == PlanCondition::Rows ? count >= when->least && count <= when->most
                                                   : key[3 + launch.condition / 63] >> launch.condition % 63 & 1;
      if (!holds)
        continue;
    }
    for (auto [arg, slotCache] : launch.slotArgs)
      launch.args[arg] = runner->address() + layout.slots + layout.slotStride * slotCache;
    const Product *product = nullptr;
    if (planned.product && count >= planned.product->least) {
      Product &filled = listedProducts[static_cast<size_t>(&launch - bound.data())];
      filled = launch.product;
      filled.rows = count;
      product = &filled;
    }
    listed.push_back({planned.kernel, items, launch.args.data(), static_cast<uint32_t>(launch.args.size()), product});
  }
  listedKey = key;
  return listed;
}

Status Session::runPass() {
  PassCounts counts = batch.counts();
  PassLayout layout = PassLayout::of(counts, slotCaches.size(), batch.pageCount());
  char *host = nullptr;
  if (Status status = runner->begin(host))
    return status;
  batch.pack(layout, *cache, slotCaches, host, runner->address());
  PassKey key = keyOf(counts);
  LaunchList list = [&]() -> const std::vector<Launch> & { return launchesOf(key, counts, layout); };
  if (Status status = runner->run(key, layout.bytes, list, launchTimes))
    return status;
  for (size_t s = 0; s < batch.ids().size(); ++s)
    cache->advance(batch.ids()[s], batch.newTokens(s));
  return {};
}

Status Session::replay(const std::vector<uint32_t> &kernels, int64_t times, double &outSeconds) {
  std::vector<Launch> chosen;
  for (const Launch &launch : listed)
    if (std::find(kernels.begin(), kernels.end(), launch.kernel) != kernels.end())
      chosen.push_back(launch);
  if (chosen.empty())
    return error(DENIM_STATUS_INVALID_ARGUMENT, "expected a kernel of the step before, but got none");
  return runner->replay(chosen, times, outSeconds);
}

Status Session::step(const StepEntry *entries, size_t entryCount, float *logits, int64_t rows) {
  if (Status status = check(entries, entryCount, rows))
    return status;
  std::vector<HybridCache::Growth> growths;
  for (size_t e = 0; e < entryCount; ++e)
    growths.push_back({entries[e].sequence, entries[e].count});
  if (Status status = cache->reserve(growths))
    return status;

  if (Status status = prepareBatch(growths))
    return status;
  auto run = [&]() -> Status {
    if (Status status = runPass())
      return status;
    size_t values = static_cast<size_t>(batch.counts().outputs) * static_cast<size_t>(plan().vocabulary);
    if (values)
      if (Status status = device->read(logits, slots[plan().logits].data(), values * sizeof(float)))
        return status;
    logits += values;
    batch.clear();
    return {};
  };
  for (size_t e = 0; e < entryCount; ++e) {
    for (int64_t begin = 0; begin < entries[e].count;) {
      int64_t room = options.maxStepTokens - batch.counts().tokens;
      int64_t count = std::min(room, entries[e].count - begin);
      add(entries[e], begin, count);
      begin += count;
      if (count == room)
        if (Status status = run())
          return status;
    }
  }
  if (!batch.empty())
    if (Status status = run())
      return status;
  return device->synchronize();
}

} // namespace denim
