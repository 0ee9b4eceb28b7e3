//===- HybridCache.h - what sequences remember --------------------*- C++ -*-===//
//
// A model that mixes attention variants remembers in two ways. Linear mixers and short convolutions keep a state and
// a tail of fixed size: each sequence has one slot in the pool of every such cache. Softmax layers keep keys and
// values (or latents) for each token: pages of DENIM_PAGE_TOKENS tokens, on demand. All paged caches grow together,
// so a page is one number for all of them, and a sequence has one page table:
//
//            slot 0   slot 1   slot 2                      page 0   page 1   page 2   page 3
//   state    [ A  ]   [ B  ]   [    ]         keys         [ A  ]   [ B  ]   [ A  ]   [    ]
//   tail     [ A  ]   [ B  ]   [    ]         values       [ A  ]   [ B  ]   [ A  ]   [    ]
//                                             A: table {0, 2}, 100 tokens;  B: table {1}, 64 tokens
//
// One budget in bytes covers slots and pages. A step first reserves the pages of all its tokens; if they do not fit,
// it is refused and nothing has changed. The pools are address ranges of the size of the budget that turn into
// memory as they fill, so addresses never move.
//
// A fork copies the slot and shares the pages. Full pages never change; the last one is copied when either sequence
// grows into it while both have it.
//
// Owner: the session; the device must outlive it. Threads: one at a time.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_CACHE_HYBRIDCACHE_H
#define DENIM_RUNTIME_CACHE_HYBRIDCACHE_H

#include "runtime/cache/NumberPool.h"
#include "runtime/device/Device.h"
#include "runtime/module/Plan.h"

#include <unordered_map>

namespace denim {

/// Never used again after its sequence was released, so that a stale one is found out.
using SequenceId = int64_t;

class HybridCache {
public:
  struct Sequence {
    int64_t length = 0;
    int32_t slot = -1;
    std::vector<int32_t> pages; ///< of positions [64 j, 64 j + 64); may have more than the length needs
  };
  /// That |sequence| is to be longer by |tokens|.
  struct Growth {
    SequenceId sequence;
    int64_t tokens;
  };

  /// |budget| in bytes; |plan| is borrowed for the call.
  static Status create(Device &device, const Plan &plan, size_t budget, std::unique_ptr<HybridCache> &out);

  /// An empty sequence: slots are zero.
  Status createSequence(SequenceId &out);
  /// Another one that continues from where |from| is now.
  Status fork(SequenceId from, SequenceId &out);
  Status release(SequenceId id);
  /// Null if there is none.
  const Sequence *find(SequenceId id) const;

  /// Gives each sequence pages of its own for its next tokens, or changes nothing. Sequences must exist, each once.
  Status reserve(const std::vector<Growth> &growths);
  /// The tokens that were reserved are there now.
  void advance(SequenceId id, int64_t tokens);

  /// State or tail |cache| (index in the plan) of one sequence.
  void *slot(size_t cache, const Sequence &sequence) const {
    return pools[cache].memory.data() + pools[cache].bytes * static_cast<size_t>(sequence.slot);
  }
  /// Paged |cache| (index in the plan): page p begins at the result + p * bytes of a page.
  void *pageBase(size_t cache) const { return pools[cache].memory.data(); }

  size_t budgetBytes() const { return budget; }
  size_t usedBytes() const;

private:
  struct Pool {
    CacheKind kind;
    size_t bytes; // of one slot or page
    DeviceMemory memory;
  };

  explicit HybridCache(Device &device) : device(&device) {}
  Status fits(size_t moreSlots, size_t morePages, std::string_view what) const;
  Status commit(bool paged, size_t count);
  void dropPage(int32_t page);
  void zeroPages(std::vector<int32_t> numbers);

  Device *device;
  size_t budget = 0, slotBytes = 0, pageBytes = 0;
  std::vector<Pool> pools; // as in the plan
  NumberPool slots, pages;
  std::vector<int32_t> pageUses; // sequences that have the page
  std::unordered_map<SequenceId, Sequence> sequences;
  SequenceId nextId = 1;
};

} // namespace denim

#endif
