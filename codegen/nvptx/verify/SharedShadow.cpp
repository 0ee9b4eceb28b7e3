#include "codegen/nvptx/verify/SharedShadow.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace denim::codegen::nvptx;

bool SharedShadow::isOrdered(int64_t time, Actor earlier, Actor later) const {
  if (time <= lastBlockBarrier)
    return true;
  if (earlier.warp() < 0 || earlier.warp() != later.warp())
    return false;
  return (earlier == later && later.isOneThread()) || time <= warpBarriers[later.warp()];
}

bool SharedShadow::isFenced(const Word &word) const {
  if (word.fenced)
    return true;
  auto byWarp = [&](const std::vector<int64_t> &times) {
    auto first = llvm::upper_bound(times, word.writeTime);
    return first != times.end() && *first <= lastBlockBarrier;
  };
  return word.writer.warp() >= 0 ? byWarp(fences[word.writer.warp()])
                                 : llvm::all_of(fences, [&](auto &times) { return times.empty() || byWarp(times); }) &&
                                       llvm::any_of(fences, byWarp);
}

void SharedShadow::retire(int64_t group) {
  ++now;
  retired = std::max(retired, group);
  if (int64_t(retiredAt.size()) <= retired)
    retiredAt.resize(retired + 1, now);
}

Hazard SharedShadow::read(int64_t offset, int64_t bytes, Actor actor, Operation *op) {
  Hazard hazard;
  for (int64_t i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
    Word &word = words[i];
    if (word.writeOp && !word.writeSettled && !isOrdered(word.writeTime, word.writer, actor))
      hazard = {Hazard::Kind::missingBarrier, word.writeOp};
    word.reader = word.readOp && word.readTime > lastBlockBarrier ? word.reader.with(actor) : actor;
    word.readTime = now;
    word.readOp = op;
  }
  return hazard;
}

Hazard SharedShadow::write(int64_t offset, int64_t bytes, Actor actor, Operation *op) {
  Hazard hazard;
  for (int64_t i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
    Word &word = words[i];
    // Threads that hold the same element of a tile store it together.
    bool together = word.writeOp == op && word.writeTime == now;
    if (word.writeOp && !word.writeSettled && !together && !isOrdered(word.writeTime, word.writer, actor))
      hazard = {Hazard::Kind::missingBarrier, word.writeOp};
    if (word.readOp && !isOrdered(word.readTime, word.reader, actor))
      hazard = {Hazard::Kind::missingBarrier, word.readOp};
    if (word.group > retired)
      hazard = {Hazard::Kind::productReads, word.productOp};
    else if (isRetiredSinceBarrier(word))
      hazard = {Hazard::Kind::missingBarrier, word.productOp};
    word.writer = together ? word.writer.with(actor) : actor;
    word.writeTime = now;
    word.writeOp = op;
    word.writeSettled = word.fenced = false;
  }
  return hazard;
}

Hazard SharedShadow::readByProduct(int64_t offset, int64_t bytes, int64_t group, Operation *op) {
  Hazard hazard;
  for (int64_t i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
    Word &word = words[i];
    if (word.writeOp && !writeIsSettled(word))
      hazard = {Hazard::Kind::missingBarrier, word.writeOp};
    else if (word.writeOp && !isFenced(word))
      hazard = {Hazard::Kind::missingFence, word.writeOp};
    word.group = group;
    word.productOp = op;
  }
  return hazard;
}

Hazard SharedShadow::handOver(int64_t begin, int64_t end, int64_t warp) {
  Hazard hazard;
  for (int64_t i = begin / 4; i < (end + 3) / 4; ++i) {
    Word &word = words[i];
    if (!word.writeOp || word.writer.warp() != warp || word.writeSettled)
      continue;
    if (word.writeTime > warpBarriers[warp])
      hazard = {Hazard::Kind::missingBarrier, word.writeOp};
    // What is fenced later may be read before.
    word.fenced = !fences[warp].empty() && fences[warp].back() > word.writeTime;
    word.writeSettled = true;
  }
  return hazard;
}

Operation *SharedShadow::productOver(int64_t offset, int64_t bytes) const {
  for (int64_t i = offset / 4; i < (offset + bytes + 3) / 4; ++i)
    if (words[i].group > retired)
      return words[i].productOp;
  return nullptr;
}

void SharedShadow::join(const SharedShadow &other) {
  int64_t joined = std::max(now, other.now) + 1;
  for (auto [word, theirs] : llvm::zip_equal(words, other.words)) {
    word.fenced = isFenced(word);
    word.writeSettled = writeIsSettled(word);
    if (word.readTime <= lastBlockBarrier)
      word.readOp = nullptr;
    // What was waited for is a read like any other from here on.
    if (isRetiredSinceBarrier(word)) {
      word.reader = Actor::several();
      word.readOp = word.productOp;
    }
    if (word.group <= retired)
      word.group = 0;
    bool theirWrite = theirs.writeOp && !(other.writeIsSettled(theirs) && other.isFenced(theirs));
    if (theirWrite && !(word.writeOp && !word.writeSettled)) {
      word.writer = theirs.writer;
      word.writeOp = theirs.writeOp;
      word.writeSettled = other.writeIsSettled(theirs);
      word.fenced = other.isFenced(theirs);
    } else if (theirWrite) {
      word.writer = word.writer.with(theirs.writer);
      word.fenced = false;
    }
    if (!word.writeSettled || !word.fenced)
      word.writeTime = joined;
    if (theirs.readOp && theirs.readTime > other.lastBlockBarrier) {
      word.reader = word.readOp ? word.reader.with(theirs.reader) : theirs.reader;
      word.readOp = theirs.readOp;
    }
    if (word.readOp)
      word.readTime = joined;
    if (other.isRetiredSinceBarrier(theirs)) {
      word.reader = Actor::several();
      word.readOp = theirs.productOp;
    }
    if (theirs.group > other.retired) {
      word.group = theirs.group;
      word.productOp = theirs.productOp;
    }
  }
  retired = std::min(retired, other.retired);
  retiredAt.resize(retired + 1);
  now = joined + 1;
}
