// Loads that a warpgroup of its own does ahead of the others.
//
// Whole pages that a loop reads are copied to shared memory as they stand (a page is stored as its image there),
// by one thread, through a ring of slots:
//
//   copying warpgroup                          computing warps
//   wait until slot n is empty
//   bulk copy, completes on full[n]  ------->  wait for full[n]
//                                              products read slot n
//   (next round) wait for empty[n]   <-------  every warp arrives at empty[n] behind the last of them
//
// Both walk the same kernel. The copying one keeps control flow, scalars and staged loads and drops all else, so both
// come to the same loads in the same order, and the place in the ring is all they need to agree on: slot index and the
// parity of its round, carried by every loop and branch that holds a staged load.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Slots worth having: more only help against jitter.
static constexpr int64_t kMostSlots = 16;
/// Shared memory for what is exchanged between threads is not known before the walk; this much is left free, or what
/// the largest transposition takes.
static constexpr int64_t kLeastFree = 16 * 1024;

/// Whether the scalar can be computed without reading a tile.
static bool isKnownAhead(Value value, llvm::DenseMap<Value, bool> &known) {
  auto it = known.find(value);
  if (it != known.end())
    return it->second;
  known[value] = true; // a loop's own argument, while it is looked at
  bool result = true;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp())) {
      for (Value bound : {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()})
        result &= isKnownAhead(bound, known);
      if (argument != loop.getInductionVar()) {
        unsigned index = argument.getArgNumber() - 1;
        result &= isKnownAhead(loop.getInitArgs()[index], known) &&
                  isKnownAhead(loop.getBody()->getTerminator()->getOperand(index), known);
      }
    }
  } else {
    Operation *op = value.getDefiningOp();
    result = !isa<tile::ExtractOp>(op) && op->getNumRegions() == 0;
    for (Value operand : op->getOperands())
      result &= isKnownAhead(operand, known);
  }
  return known[value] = result;
}

void KernelLowering::findStaged() {
  if (!code.target.bulkCopy || precision == Precision::exact)
    return;
  llvm::DenseMap<Value, bool> known;
  int64_t resident = 0;
  llvm::DenseSet<Value> written; // by this very kernel: the copying warps do not wait for the others' stores
  kernel.walk([&](tile::StoreOp op) { written.insert(rootOf(op.getMemory())); });
  kernel.walk([&](tile::LoadOp op) {
    auto type = typeOf(op.getResult());
    tile::PagesType pages = pagesOf(op.getMemory());
    Operation *page = op.getMemory().getDefiningOp();
    auto isZero = [](Value v) {
      auto constant = v.getDefiningOp<arith::ConstantIndexOp>();
      return constant && constant.value() == 0;
    };
    // Read by threads too: whole fragments only.
    Distribution shape = distributionOf(op.getResult());
    bool whole = onlyShared.contains(op.getResult()) || (!shape.padsRows() && !shape.padsColumns());
    bool ahead = whole && pages && isImage(pages) && op->getParentOfType<scf::ForOp>() && !op.getLo() &&
                 isZero(op.getRow()) && isZero(op.getColumn()) && type.getRows() == pages.getTokens() &&
                 type.getColumns() == pages.getColumns() && !op.getTransposed();
    ahead &= !written.contains(rootOf(op.getMemory()));
    for (Value operand : ahead ? ValueRange(page->getOperands().drop_front()) : ValueRange())
      ahead &= isKnownAhead(operand, known);
    for (Operation *parent = op->getParentOp(); parent != kernel; parent = parent->getParentOp()) {
      if (auto branch = dyn_cast<scf::IfOp>(parent))
        ahead &= isKnownAhead(branch.getCondition(), known);
      if (auto loop = dyn_cast<scf::ForOp>(parent))
        ahead &= isKnownAhead(loop.getLowerBound(), known) && isKnownAhead(loop.getUpperBound(), known);
    }
    if (ahead) {
      staged.insert(op.getResult());
      ring.slotBytes = std::max(ring.slotBytes, SharedTile{0, {}, type.getRows(), type.getColumns(), 1}.bytes());
    }
  });
  for (Value value : wantedShared)
    if (!staged.contains(value))
      resident += SharedTile{0, {}, typeOf(value).getRows(), typeOf(value).getColumns(), termsOf(value)}.bytes();
  if (staged.empty())
    return;
  findPairs();
  int64_t exchanged = kLeastFree;
  kernel.walk([&](tile::TransposeOp op) {
    auto type = typeOf(op.getSource());
    exchanged = std::max<int64_t>(exchanged, type.getRows() * (type.getColumns() | 1) * 4 + 2048);
  });
  resident += exchanged - kLeastFree;
  ring.slots = std::min(kMostSlots, (code.target.sharedBytes - kLeastFree - resident) / ring.slotBytes);
  if (ring.slots < 2)
    staged.clear();
}

bool KernelLowering::holdsStaged(Operation *op) {
  if (staged.empty())
    return false;
  return op
      ->walk([&](tile::LoadOp load) {
        return staged.contains(load.getResult()) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Slots and barriers; every thread of the block comes here.
void KernelLowering::makeRing() {
  ring.offset = shared.allocate(ring.slots * ring.slotBytes, 1024);
  ring.barriers = shared.allocate(ring.slots * 16, 16);
  code.branch(code.equal(thread, code.constant32(0)), {}, [&] {
    for (int64_t slot = 0; slot < ring.slots; ++slot) {
      code.initBarrier(code.constant32(ring.barriers + slot * 16), 1);
      code.initBarrier(code.constant32(ring.barriers + slot * 16 + 8), warps);
    }
    code.fenceBarrierInit();
    return SmallVector<Value>();
  });
  code.barrier(0, threads());
}

void KernelLowering::advanceRing() {
  Value next = code.add(ringIndex, 1), wraps = code.equal(next, code.constant32(ring.slots));
  ringIndex = code.select(wraps, code.constant32(0), next);
  ringPhase = code.select(wraps, code.exclusiveOr(ringPhase, code.constant32(1)), ringPhase);
}

void KernelLowering::issueStaged(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  int64_t bytes = SharedTile{0, {}, type.getRows(), type.getColumns(), 1}.bytes();
  if (firstPages.contains(op.getResult()))
    return;
  Value full = code.add(code.mul(ringIndex, 16), ring.barriers);
  // The first round finds the slots empty: the parity before the first is that of a round done.
  code.waitBarrier(code.add(full, 8), code.exclusiveOr(ringPhase, code.constant32(1)));
  Value to = code.add(ringSlot(), ring.offset), from = pointers.lookup(op.getMemory());
  if (Value first = firstPageOf.lookup(op.getResult())) {
    // Panel by panel, so that the rows of both pages follow each other.
    int64_t panel = type.getRows() * 128;
    code.expectBytes(full, 2 * bytes);
    Value pages[] = {pointers.lookup(first.getDefiningOp<tile::LoadOp>().getMemory()), from};
    for (int64_t at = 0; at < bytes; at += panel)
      for (auto [i, page] : llvm::enumerate(pages))
        code.copyBulk(code.add(to, 2 * at + int64_t(i) * panel),
                      code.advance(page, code.constant(at), code.builder.getI8Type()), panel, full);
  } else {
    code.expectBytes(full, bytes);
    code.copyBulk(to, from, bytes, full);
  }
  advanceRing();
}

void KernelLowering::awaitStaged(tile::LoadOp op) {
  if (firstPages.contains(op.getResult()))
    return;
  auto type = typeOf(op.getResult());
  Value full = code.add(code.mul(ringIndex, 16), ring.barriers);
  code.waitBarrier(full, ringPhase);
  int64_t pages = firstPageOf.contains(op.getResult()) ? 2 : 1;
  SharedTile tile{ring.offset, ringSlot(), pages * type.getRows(), type.getColumns(), 1};
  sharedTiles[op.getResult()] = tile;
  emptyBarrierOf[op.getResult()] = code.add(full, 8);
  advanceRing();
  if (!onlyShared.contains(op.getResult()))
    bind(op.getResult(), readShared(tile, distributionOf(op.getResult())));
  if (!wantedShared.contains(op.getResult()))
    releaseStaged(op.getResult());
}

/// The fragment of a tile that stands in shared memory.
Fragment KernelLowering::readShared(const SharedTile &from, const Distribution &shape) {
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers())};
  AddressOf addresses = addressesOf(from, shape, 0);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half)
      for (int64_t group = 0; group < shape.groups(); ++group) {
        auto [at, plus] = addresses(slab, half, group, 0);
        Value word = code.loadShared(at, 1, plus)[0];
        for (int64_t e = 0; e < 2; ++e)
          to.values[shape.at(slab, group, half, e)] = code.unpackBrain(word, e == 1);
      }
  return to;
}

void KernelLowering::releaseStaged(Value tile) {
  Value barrier = emptyBarrierOf.lookup(tile);
  if (wantedShared.contains(tile) && groupsIssued > groupsFinished) {
    leaving.push_back({barrier, groupsIssued});
    return;
  }
  code.warpBarrier();
  code.arrive(barrier, code.equal(lane, code.constant32(0)));
}
