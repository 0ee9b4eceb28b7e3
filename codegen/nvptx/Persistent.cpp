// Blocks that do item after item.
//
// A block that ends gives its multiprocessor back, and the next one finds what it needs to know, asks for its first page
// and waits. A persistent block does not end: while it computes an item, its copying warpgroup fetches the pages of the
// next. Which item that is follows the blocks' speed, as the hardware's own dealing does: the first is the block's
// number, the others are drawn from a counter in the module's memory.
//
//   copying thread                              computing warps
//   copies pages of item n                      compute item n
//   draws item n + 1, waits until place p is empty
//   writes item n + 1, completes full[p]  --->  wait for full[p], read it, arrive at empty[p]
//
// Every block draws until it gets a number behind the last item, so a launch draws `items` numbers whatever the number
// of blocks, and who draws the last of them puts the counter back to zero for the next launch.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

void KernelLowering::makeHandover() {
  for (int64_t place = 0; place < 2; ++place) {
    code.initBarrier(code.constant32(handoverOffset + place * 24), 1);
    code.initBarrier(code.constant32(handoverOffset + place * 24 + 8), warps);
  }
}

/// The item behind turn number `turn` of the block; the copying thread brings it as `next`.
Value KernelLowering::handover(Value turn, Value next) {
  Value full = code.add(code.mul(code.modulo(turn, 2), 24), handoverOffset), empty = code.add(full, 8);
  Value word = code.add(full, 16), parity = code.modulo(code.divide(turn, 2), 2);
  if (copying) {
    code.waitBarrier(empty, code.exclusiveOr(parity, code.constant32(1)));
    code.storeShared({next}, word);
    code.arrive(full, code.equal(thread, thread));
    return next;
  }
  code.waitBarrier(full, parity);
  next = code.shuffleIndex(code.loadShared(word, 1)[0], 0);
  code.arrive(empty, code.equal(lane, code.constant32(0)));
  return next;
}

void KernelLowering::forItems(Value items, llvm::function_ref<void(Value)> doItem) {
  Value count = code.toI32(items), zero = code.constant32(0);
  code.repeat({code.blockNumber(), zero, ringIndex, ringPhase},
              [&](ValueRange carried) { return code.lessThan(carried[0], count); },
              [&](ValueRange carried) -> SmallVector<Value> {
                ringIndex = carried[2], ringPhase = carried[3];
                doItem(carried[0]);
                if (!copying)
                  shared.settle();
                Value next;
                if (copying) {
                  // As late as its latency allows: who draws early takes what another would have begun sooner.
                  Value drawn = code.drawTicket(ticketsOf(kernel));
                  code.resetTickets(ticketsOf(kernel), code.equal(drawn, code.sub(count, code.constant32(1))));
                  next = code.add(drawn, code.blockCount());
                }
                next = handover(carried[1], next);
                return {next, code.add(carried[1], 1), ringIndex, ringPhase};
              });
}
