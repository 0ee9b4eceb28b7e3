// Who wrote and read each word of a block's shared memory, and whether what comes next waits for them.
#ifndef CODEGEN_NVPTX_VERIFY_SHAREDSHADOW_H
#define CODEGEN_NVPTX_VERIFY_SHAREDSHADOW_H

#include "mlir/IR/Operation.h"
#include <vector>

namespace denim::codegen::nvptx {

/// A thread of the block; or a warp of which any thread may be meant; or several warps.
class Actor {
public:
  static Actor thread(int64_t number) { return Actor(number / 32, number % 32); }
  static Actor anyOf(int64_t warp) { return Actor(warp, -1); }
  static Actor several() { return Actor(-1, -1); }
  int64_t warp() const { return ownWarp; }
  bool isOneThread() const { return lane >= 0; }
  bool operator==(Actor other) const { return ownWarp == other.ownWarp && lane == other.lane; }
  /// Both of them.
  Actor with(Actor other) const {
    return *this == other ? *this : ownWarp == other.ownWarp && ownWarp >= 0 ? anyOf(ownWarp) : several();
  }

private:
  Actor(int64_t warp, int64_t lane) : ownWarp(warp), lane(lane) {}
  int16_t ownWarp, lane;
};

/// A pair of accesses that nothing keeps in order.
struct Hazard {
  enum class Kind { none, missingBarrier, missingFence, productReads } kind = Kind::none;
  mlir::Operation *earlier = nullptr;
  explicit operator bool() const { return kind != Kind::none; }
};

class SharedShadow {
public:
  SharedShadow(int64_t bytes, int64_t warps) : words((bytes + 3) / 4), warpBarriers(warps, -1), fences(warps) {}

  int64_t bytes() const { return int64_t(words.size()) * 4; }

  Hazard read(int64_t offset, int64_t bytes, Actor actor, mlir::Operation *op);
  Hazard write(int64_t offset, int64_t bytes, Actor actor, mlir::Operation *op);
  /// By a product of the group, which goes on until `retire`.
  Hazard readByProduct(int64_t offset, int64_t bytes, int64_t group, mlir::Operation *op);
  /// A lane of the warp tells others of all that the warp stored there; they wait for it before they touch it.
  Hazard handOver(int64_t begin, int64_t end, int64_t warp);
  /// Products up to the group are done, for the warps that waited: others know it behind the next barrier.
  void retire(int64_t group);
  bool isRetired(int64_t group) const { return group <= retired; }
  /// A product that may still read these bytes.
  mlir::Operation *productOver(int64_t offset, int64_t bytes) const;

  void blockBarrier() { lastBlockBarrier = ++now; }
  void warpBarrier(int64_t warp) { warpBarriers[warp] = ++now; }
  void proxyFence(int64_t warp) { fences[warp].push_back(++now); }
  int64_t time() const { return now; }
  /// Whether a barrier of the block, or of the warp, came since.
  bool isBehindBarrier(int64_t time, int64_t warp = -1) const {
    return time <= lastBlockBarrier || (warp >= 0 && time <= warpBarriers[warp]);
  }
  /// One instruction is over: its threads did what they did together.
  void advance() { ++now; }

  /// Either way through a branch was taken: what is outstanding on one of them is.
  void join(const SharedShadow &other);

private:
  struct Word {
    int64_t writeTime = -1, readTime = -1, group = 0;
    Actor writer = Actor::several(), reader = Actor::several();
    bool writeSettled = true, fenced = true; ///< behind a barrier of the block; seen by the async proxy
    mlir::Operation *writeOp = nullptr, *readOp = nullptr, *productOp = nullptr;
  };
  bool isOrdered(int64_t time, Actor earlier, Actor now) const;
  /// The bytes may not be overwritten yet, for a product that was waited for read them.
  bool isRetiredSinceBarrier(const Word &word) const {
    return word.group != 0 && word.group <= retired && retiredAt[word.group] > lastBlockBarrier;
  }
  bool writeIsSettled(const Word &word) const { return word.writeSettled || word.writeTime <= lastBlockBarrier; }
  /// Whether all that wrote it fenced it, and a barrier came behind.
  bool isFenced(const Word &word) const;

  std::vector<Word> words;
  int64_t now = 0, lastBlockBarrier = -1, retired = 0;
  std::vector<int64_t> retiredAt{-1}; ///< when, for each group
  std::vector<int64_t> warpBarriers;
  std::vector<std::vector<int64_t>> fences;
};

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_VERIFY_SHAREDSHADOW_H
