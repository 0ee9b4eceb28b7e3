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
// Owner: whoever created it; it holds the module and the device. Threads: one call at a time; the device's own
// threads work inside.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_SESSION_SESSION_H
#define DENIM_RUNTIME_SESSION_SESSION_H

#include "runtime/cache/HybridCache.h"
#include "runtime/module/ModuleReader.h"
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

  /// Runs |entries|, each sequence at most once. |logits| takes [rows, vocabulary], the rows in the order of the
  /// entries and their tokens; |rows| must be what the entries ask for. On failure nothing has changed.
  Status step(const StepEntry *entries, size_t entryCount, float *logits, int64_t rows);

  /// From now on adds the seconds of every launch to |seconds|[kernel] (of the target's kernels); null to stop. It is
  /// borrowed. On the CPU a launch is over when it returns.
  void profile(std::vector<double> *seconds) { kernelSeconds = seconds; }

  const Plan &plan() const { return module->plan(); }
  /// The target that was chosen for this machine.
  const PlanTarget &target() const { return plan().targets[targetIndex]; }
  const HybridCache &hybridCache() const { return *cache; }
  int32_t maxStepTokens() const { return options.maxStepTokens; }

private:
  struct Launch {
    uint32_t kernel;
    Per per;
    int64_t block, times;
    std::vector<void *> args;
  };
  /// One pass: the arrays that denim_batch_t points to.
  struct Batch {
    std::vector<int32_t> tokens, positions, rowBegin, past, outputs, pages, pageBegin;
    std::vector<SequenceId> sequences;

    void clear();
    denim_batch_t view() const;
  };

  Session() = default;
  Status bind();
  Status check(const StepEntry *entries, size_t entryCount, int64_t rows) const;
  void prepareBatch(const std::vector<HybridCache::Growth> &growths);
  void add(const StepEntry &entry, int64_t begin, int64_t count);
  Status runPass();

  std::shared_ptr<Device> device; // first, so that it goes last
  std::shared_ptr<const Module> module;
  std::shared_ptr<const Executable> executable;
  size_t targetIndex = 0;
  SessionOptions options;
  Weights weights;
  std::unique_ptr<HybridCache> cache;
  std::vector<DeviceMemory> slots;
  std::vector<std::vector<void *>> cacheSlots;   // state and tail caches: each sequence's slot of this pass
  std::vector<std::vector<const void *>> stacks; // arrays of pointers for arguments of kind Stack
  std::vector<Launch> launches;                  // of all steps, in order
  Batch batch;
  std::vector<double> *kernelSeconds = nullptr;
};

} // namespace denim

#endif
