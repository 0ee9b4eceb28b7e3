//===- PassBatch.h - the arrays of one pass -----------------------*- C++ -*-===//
//
// Collects the new tokens of a pass, then packs everything that kernels read of it into one arena, so that a device
// with memory of its own needs one copy:
//
//   denim_batch_t | tokens | positions | row_begin | past | outputs | page_begin | slots of cache 0, 1, ... | pages
//
// All but the pages lie where the numbers of tokens, sequences and outputs put them: passes that agree in these pass
// the same addresses to their kernels.
//
// Owner: the session. Threads: one at a time.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_SESSION_PASSBATCH_H
#define DENIM_RUNTIME_SESSION_PASSBATCH_H

#include "runtime/cache/HybridCache.h"

namespace denim {

/// How many of each a pass has.
struct PassCounts {
  int64_t tokens = 0, sequences = 0, outputs = 0;

  int64_t of(Per per) const {
    return per == Per::Tokens ? tokens : per == Per::Outputs ? outputs : per == Per::Sequences ? sequences : 1;
  }
};

/// Offsets in the arena.
struct PassLayout {
  size_t tokens, positions, rowBegin, past, outputs, pageBegin;
  size_t slots, slotStride; ///< array of slot pointers of the first state or tail cache; from one to the next
  size_t pages, bytes;

  /// |slotCaches|: states and tails of the plan.
  static PassLayout of(const PassCounts &counts, size_t slotCaches, size_t pages);
};

class PassBatch {
public:
  /// Makes passes of at most |tokens| tokens and |pages| pages free of allocation.
  void reserve(size_t tokens, size_t pages);
  void clear();
  /// One sequence: begin, its new tokens in order, end. |sequence| is borrowed until `clear`.
  void begin(SequenceId id, const HybridCache::Sequence &sequence);
  void addToken(int32_t token, int32_t position, bool output);
  void end();

  PassCounts counts() const;
  bool empty() const { return tokens.empty(); }
  /// Sequences of the pass and the new tokens of each.
  const std::vector<SequenceId> &ids() const { return sequences; }
  int64_t newTokens(size_t sequence) const { return rowBegin[sequence + 1] - rowBegin[sequence]; }
  int64_t tokensBefore(size_t sequence) const { return past[sequence]; }

  size_t pageCount() const { return pages.size(); }
  /// Writes the arena at |host|, which kernels see at |device|.
  void pack(const PassLayout &layout, const HybridCache &cache, const std::vector<uint32_t> &slotCaches, char *host,
            const char *device) const;

private:
  std::vector<int32_t> tokens, positions, rowBegin{0}, past, outputs, pages, pageBegin{0};
  std::vector<SequenceId> sequences;
  std::vector<const HybridCache::Sequence *> cached;
};

} // namespace denim

#endif
