//===- Session.h - a model that runs ------------------------------*- C++ -*-===//
//
// A module, the weights it wants, a cache and memory for activations. A step feeds new tokens to any set of
// sequences: a long prompt, one token each of many, or both at once; the kernels see one ragged batch.
//
//   tokens     A3 A4 A5 | B0 | C7        row_begin  {0, 3, 4, 5}     past {3, 0, 7}
//   outputs          2    3    4         if the last logits of each are wanted
//
// A step of more than maxStepTokens is run as several passes; a pass may cut a sequence anywhere, for every mixer
// continues from its cache. Pages for the whole step are reserved before the first pass, so a step that does not fit
// is refused with every sequence as it was.
//
// All that kernels read of a pass is written into one arena (PassBatch.h); the launches of a pass follow from its
// counts and from which conditions of launches on lengths hold, so a device may keep and repeat them (Device.h,
// PassRunner).
//
// Owner: whoever created it; it holds the module and the device. Threads: one call at a time; the device's own
// threads work inside.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_SESSION_SESSION_H
#define DENIM_RUNTIME_SESSION_SESSION_H

#include "runtime/cache/HybridCache.h"
#include "runtime/module/ModuleReader.h"
#include "runtime/session/PassBatch.h"
#include "runtime/session/Weights.h"

namespace denim {

struct SessionOptions {
  size_t cacheBytes = size_t(1) << 30; ///< budget of states, tails and pages
  int32_t maxStepTokens = 512;         ///< tokens of one pass: memory of activations against speed of prefill
};

/// Which tokens of an entry give logits.
enum class Logits : uint8_t { None, Last, All };

struct StepEntry {
  SequenceId sequence;
  const int32_t *tokens;
  int64_t count; ///< 0 leaves the sequence as it is and gives no logits
  Logits logits;

  int64_t logitsRows() const { return logits == Logits::All ? count : logits == Logits::Last && count > 0; }
};

class Session {
public:
  static Status create(std::shared_ptr<Device> device, std::shared_ptr<const Module> module, Weights weights,
                       const SessionOptions &options, std::unique_ptr<Session> &out);

  Status createSequence(SequenceId &out) { return cache->createSequence(out); }
  Status fork(SequenceId from, SequenceId &out) { return cache->fork(from, out); }
  Status release(SequenceId id) { return cache->release(id); }
  Status length(SequenceId id, int64_t &out) const;
  /// Makes |tokens| part of a sequence without running them: their pages are reserved and hold whatever the memory
  /// holds, states stay as they are. For measuring steps at a length that would take long to reach.
  Status extend(SequenceId id, int64_t tokens);

  /// Runs |entries|, each sequence at most once, and waits for the result. |logits| takes [rows, vocabulary], the rows
  /// in the order of the entries and their tokens; |rows| must be what the entries ask for. When it is refused nothing
  /// has changed; when the device fails, the sequences of the step are not usable any more.
  Status step(const StepEntry *entries, size_t entryCount, float *logits, int64_t rows);

  /// From now on adds what launches take to |times| (by the target's kernels); null to stop. It is borrowed. Steps take
  /// a little longer meanwhile.
  void profile(LaunchTimes *times) { launchTimes = times; }

  /// After a profiled step: repeats its launches of |kernels| |times| times, as one graph each time, and out the
  /// seconds of one. Launches and caches are those of the step, so a state moves on and a sequence does not. For
  /// measuring kernels that take less time than events around them.
  Status replay(const std::vector<uint32_t> &kernels, int64_t times, double &outSeconds);

  const Plan &plan() const { return *machinePlan; }
  /// The target that was chosen for this machine.
  const PlanTarget &target() const { return plan().targets[targetIndex]; }
  const HybridCache &hybridCache() const { return *cache; }
  int32_t maxStepTokens() const { return options.maxStepTokens; }

private:
  /// A launch of one step of the plan with all of its arguments but those that depend on the pass.
  struct BoundLaunch {
    const PlanLaunch *planned;
    std::vector<void *> args;
    std::vector<std::pair<uint32_t, uint32_t>> slotArgs; ///< argument, and which state or tail cache (in slotCaches)
    Product product;                                     ///< if planned->product; all but the rows
    uint32_t condition = 0;                              ///< of sequenceConditions, if it is one
  };

  Session() = default;
  size_t mostArenaBytes() const;
  Status bind();
  void bindProduct(BoundLaunch &launch) const;
  Status check(const StepEntry *entries, size_t entryCount, int64_t rows) const;
  Status prepareBatch(const std::vector<HybridCache::Growth> &growths);
  void add(const StepEntry &entry, int64_t begin, int64_t count);
  PassKey keyOf(const PassCounts &counts) const;
  const std::vector<Launch> &launchesOf(const PassKey &key, const PassCounts &counts, const PassLayout &layout);
  Status runPass();

  std::shared_ptr<Device> device; // first, so that it goes last
  std::shared_ptr<const Module> module;
  const Plan *machinePlan = nullptr; // in the module
  size_t targetIndex = 0;
  SessionOptions options;
  Weights weights;
  std::unique_ptr<HybridCache> cache;
  std::vector<DeviceMemory> slots;
  DeviceMemory stacks;                           // arrays of pointers for arguments of kind Stack
  std::vector<uint32_t> slotCaches;              // states and tails, indices of the plan
  std::vector<BoundLaunch> bound;                // of all steps, in order
  std::vector<PlanCondition> sequenceConditions; // each once
  std::unique_ptr<PassRunner> runner;
  PassBatch batch;
  PassKey listedKey; // what `listed` and `listedProducts` were made for
  std::vector<Launch> listed;
  std::vector<Product> listedProducts;
  LaunchTimes *launchTimes = nullptr;
};

} // namespace denim

#endif
