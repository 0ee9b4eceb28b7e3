// Loads that a warpgroup of its own does ahead of the others.
//
// What a loop reads at places known ahead goes to shared memory through a ring of slots:
//
//   copying warpgroup                          computing warps
//   wait until slot n is empty
//   copy, completes on full[n]  ------------>  wait for full[n]
//                                              products read slot n
//   (next round) wait for empty[n]   <-------  every warp arrives at empty[n] behind the last of them
//
// Whole pages are copied as they stand (a page is stored as its image there), in bulk, by one thread. In a loop that
// has such pages, rows of other memory go along: all threads of the warpgroup copy pieces of 16 bytes to the places
// that they have in a shared operand, and zeros for rows that the load leaves out.
//
// Both sides walk the same kernel. The copying one keeps control flow, scalars and staged loads and drops all else, so
// both come to the same loads in the same order, and the place in the ring is all they need to agree on: slot index and
// the parity of its round, carried by every loop and branch that holds a staged load. Loads of one kind and size have a
// ring of their own. One that has a slot for every load of a turn cannot wait for itself.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Slots worth having: more only help against jitter.
static constexpr int64_t kMostSlots = 16, kMostTurns = 4;
/// Shared memory for what is exchanged between threads is not known before the walk; this much is left free, or what
/// the largest transposition takes.
static constexpr int64_t kLeastFree = 16 * 1024;
static constexpr int64_t kCopyingThreads = 128, kPieceBytes = 16;

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

int64_t KernelLowering::blocksTogether() {
  auto blocks = kernel->getAttrOfType<IntegerAttr>("tile.blocks");
  return blocks ? blocks.getInt() : 1;
}

int64_t KernelLowering::sharedLimit() {
  constexpr int64_t perBlock = 1024; // what the system takes
  int64_t whole = code.target.sharedBytes + perBlock;
  return llvm::alignDown(whole / blocksTogether() - perBlock, 1024);
}

bool KernelLowering::isKnownAhead(tile::LoadOp op, llvm::DenseMap<Value, bool> &known) {
  SmallVector<Value> scalars{op.getRow(), op.getColumn()};
  if (op.getLo())
    scalars.append({op.getLo(), op.getHi()});
  if (Operation *part = op.getMemory().getDefiningOp())
    llvm::append_range(scalars, part->getOperands().drop_front());
  for (Operation *parent = op->getParentOp(); parent != kernel; parent = parent->getParentOp()) {
    if (auto branch = dyn_cast<scf::IfOp>(parent))
      scalars.push_back(branch.getCondition());
    if (auto loop = dyn_cast<scf::ForOp>(parent))
      scalars.append({loop.getLowerBound(), loop.getUpperBound()});
  }
  return llvm::all_of(scalars, [&](Value v) { return ::isKnownAhead(v, known); });
}

bool KernelLowering::isStagedPage(tile::LoadOp op) {
  auto isZero = [](Value v) {
    auto constant = v.getDefiningOp<arith::ConstantIndexOp>();
    return constant && constant.value() == 0;
  };
  auto type = typeOf(op.getResult());
  tile::PagesType pages = pagesOf(op.getMemory());
  return pages && isImage(pages) && op->getParentOfType<scf::ForOp>() && !op.getLo() && isZero(op.getRow()) &&
         isZero(op.getColumn()) && type.getRows() == pages.getTokens() && type.getColumns() == pages.getColumns() &&
         !op.getTransposed();
}

/// Rows of memory as an operand of products (or turned, as a fragment), or one row of f32.
bool KernelLowering::isStagedRows(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  if (!isa<BlockArgument>(op.getMemory()) || !isa<scf::ForOp>(op->getParentOp()))
    return false;
  bool brain = memory.getElementType().isBF16(), turned = op.getTransposed();
  if (!brain && !memory.getElementType().isF32())
    return false;
  int64_t rows = turned ? type.getColumns() : type.getRows(), columns = turned ? type.getRows() : type.getColumns();
  int64_t perPiece = brain ? 8 : 4, pieces = columns / perPiece;
  if (columns % perPiece != 0 || memory.getColumns() % perPiece != 0 || divisorOf(op.getColumn()) % perPiece != 0 ||
      pieces > kCopyingThreads)
    return false;
  if (!brain)
    return rows == 1 && columns > 1 && !turned && !distributionOf(op.getResult()).padsColumns();
  return rows % 16 == 0 && columns % 64 == 0 && llvm::isPowerOf2_64(pieces) && rows * pieces % kCopyingThreads == 0;
}

void KernelLowering::addStaged(tile::LoadOp op, bool pieces) {
  auto type = typeOf(op.getResult());
  bool turned = op.getTransposed();
  SharedTile tile{0, {}, turned ? type.getColumns() : type.getRows(), turned ? type.getRows() : type.getColumns(), 1};
  int64_t bytes = type.getRows() == 1 ? llvm::alignTo(type.getColumns() * 4, 128) : tile.bytes();
  auto it = llvm::find_if(rings, [&](const Ring &ring) { return ring.pieces == pieces && ring.slotBytes == bytes; });
  if (it == rings.end()) {
    rings.push_back({});
    it = rings.end() - 1;
    it->pieces = pieces, it->slotBytes = bytes;
  }
  ++it->loads;
  staged.insert({op.getResult(), unsigned(it - rings.begin())});
}

bool KernelLowering::dealSlots(int64_t bytes) {
  auto take = [&](Ring &ring) {
    if (ring.slotBytes + 16 > bytes)
      return false;
    bytes -= ring.slotBytes + 16;
    ++ring.slots;
    return true;
  };
  // A slot for each load of a turn, and two at least; with one ring, loads wait for each other in their own order.
  for (Ring &ring : rings)
    for (int64_t n = 0; n < (rings.size() == 1 ? 2 : std::max<int64_t>(2, ring.loads)); ++n)
      if (!take(ring))
        return false;
  // The rest where the fewest turns are ahead.
  for (SmallVector<bool> full(rings.size(), false); !llvm::all_of(full, [](bool f) { return f; });) {
    unsigned best = rings.size();
    for (unsigned i = 0; i < rings.size(); ++i)
      if (!full[i] && (best == rings.size() || rings[i].slots * rings[best].loads < rings[best].slots * rings[i].loads))
        best = i;
    Ring &ring = rings[best];
    bool enough = ring.slots >= kMostSlots || (ring.pieces && ring.slots >= kMostTurns * ring.loads);
    full[best] = enough || !take(ring);
  }
  return true;
}

void KernelLowering::findStaged() {
  if (!code.target.bulkCopy || precision == Precision::exact)
    return;
  llvm::DenseMap<Value, bool> known;
  llvm::DenseSet<Value> written; // by this very kernel: the copying warps do not wait for the others' stores
  kernel.walk([&](tile::StoreOp op) { written.insert(rootOf(op.getMemory())); });
  auto mayGoAhead = [&](tile::LoadOp op) {
    // Read by threads too: whole fragments only.
    Distribution shape = distributionOf(op.getResult());
    bool whole = onlyShared.contains(op.getResult()) || (!shape.padsRows() && !shape.padsColumns());
    return whole && !written.contains(rootOf(op.getMemory())) && isKnownAhead(op, known);
  };
  llvm::DenseSet<Block *> loops;
  kernel.walk([&](tile::LoadOp op) {
    if (isStagedPage(op) && mayGoAhead(op)) {
      addStaged(op, /*pieces=*/false);
      loops.insert(op->getBlock());
    }
  });
  kernel.walk([&](tile::LoadOp op) {
    if (loops.contains(op->getBlock()) && !staged.contains(op.getResult()) && isStagedRows(op) && mayGoAhead(op))
      addStaged(op, /*pieces=*/true);
  });
  if (staged.empty())
    return;
  int64_t resident = 0;
  for (Value value : wantedShared)
    if (!staged.contains(value))
      resident += SharedTile{0, {}, typeOf(value).getRows(), typeOf(value).getColumns(), termsOf(value)}.bytes();
  // Behind the last staged load the rings' memory is free again.
  Operation *last = nullptr;
  for (Operation &op : *kernel.getBlock())
    if (holdsStaged(&op))
      last = &op;
  int64_t exchanged = kLeastFree;
  kernel.walk([&](tile::TransposeOp op) {
    auto type = typeOf(op.getSource());
    auto store = op.getResult().hasOneUse() ? dyn_cast<tile::StoreOp>(*op.getResult().getUsers().begin()) : nullptr;
    int64_t bytes = store && isStoredTurned(store) ? type.getRows() * type.getColumns() * 2
                                                   : type.getRows() * (type.getColumns() | 1) * 4 + 2048;
    bool behind = true;
    for (Operation *own = op; own != kernel && behind; own = own->getParentOp())
      behind =
          !isa<scf::ForOp>(own) && llvm::none_of(llvm::make_range(own->getIterator(), own->getBlock()->end()),
                                                 [&](Operation &next) { return &next != own && holdsStaged(&next); });
    if (!behind)
      exchanged = std::max<int64_t>(exchanged, bytes);
  });
  if (!dealSlots(sharedLimit() - exchanged - resident)) {
    staged.clear();
    rings.clear();
  }
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
void KernelLowering::makeRings() {
  for (Ring &ring : rings)
    ring.offset = shared.allocate(ring.slots * ring.slotBytes, 1024);
  for (Ring &ring : rings)
    ring.barriers = shared.allocate(ring.slots * 16, 16);
  code.branch(code.equal(thread, code.constant32(0)), {}, [&] {
    for (const Ring &ring : rings)
      for (int64_t slot = 0; slot < ring.slots; ++slot) {
        code.initBarrier(code.constant32(ring.barriers + slot * 16), ring.pieces ? kCopyingThreads : 1);
        code.initBarrier(code.constant32(ring.barriers + slot * 16 + 8), warps);
      }
    code.fenceBarrierInit();
    return SmallVector<Value>();
  });
  code.barrier(0, threads());
}

void KernelLowering::releaseRings(Operation &done) {
  if (staged.empty() || !holdsStaged(&done))
    return;
  for (Operation *own = &done; own != kernel; own = own->getParentOp()) {
    if (own != &done && isa<scf::ForOp>(own))
      return;
    for (Operation *next = own->getNextNode(); next; next = next->getNextNode())
      if (holdsStaged(next))
        return;
  }
  for (const Ring &ring : rings)
    shared.release(ring.offset);
}

void KernelLowering::advance(Ring &ring) {
  Value next = code.add(ring.index, 1), wraps = code.equal(next, code.constant32(ring.slots));
  ring.index = code.select(wraps, code.constant32(0), next);
  ring.phase = code.select(wraps, code.exclusiveOr(ring.phase, code.constant32(1)), ring.phase);
}

void KernelLowering::issueStaged(tile::LoadOp op) {
  Ring &ring = rings[staged.lookup(op.getResult())];
  Value full = code.add(code.mul(ring.index, 16), ring.barriers);
  Value slot = code.add(code.mul(ring.index, ring.slotBytes), ring.offset);
  // The first round finds the slots empty: the parity before the first is that of a round done.
  code.waitBarrier(code.add(full, 8), code.exclusiveOr(ring.phase, code.constant32(1)));
  if (ring.pieces) {
    copyRows(op, slot);
    code.arriveWithPieces(full);
  } else {
    auto copy = [&] {
      code.expectBytes(full, ring.slotBytes);
      code.copyBulk(slot, pointers.lookup(op.getMemory()), ring.slotBytes, full);
      return SmallVector<Value>();
    };
    // Pages need one thread; where there are no rows it is the only one that comes here.
    if (llvm::any_of(rings, [](const Ring &ring) { return ring.pieces; }))
      code.branch(code.equal(thread, code.constant32(workers())), {}, copy);
    else
      copy();
  }
  advance(ring);
}

void KernelLowering::copyRows(tile::LoadOp op, Value slot) {
  View view = viewOf(op.getMemory());
  auto type = typeOf(op.getResult());
  Value own = code.sub(thread, code.constant32(workers()));
  if (type.getRows() == 1) {
    int64_t pieces = type.getColumns() * 4 / kPieceBytes;
    code.branch(code.lessThan(own, code.constant32(pieces)), {}, [&] {
      Value from =
          elementAddress(view, i64Of(op.getRow()), code.add(i64Of(op.getColumn()), code.toI64(code.mul(own, 4))));
      code.copyPiece(code.add(slot, code.mul(own, kPieceBytes)), 0, from, 0,
                     within(i64Of(op.getRow()), op.getLo(), op.getHi()));
      return SmallVector<Value>();
    });
    return;
  }
  bool turned = op.getTransposed();
  SharedTile tile{0, slot, turned ? type.getColumns() : type.getRows(), turned ? type.getRows() : type.getColumns(), 1};
  int64_t pieces = tile.columns / 8, step = kCopyingThreads / pieces;
  Value row = code.divide(own, pieces), piece = code.modulo(own, pieces);
  Value first = code.add(i64Of(op.getRow()), code.toI64(row));
  Value from = elementAddress(view, first, code.add(i64Of(op.getColumn()), code.toI64(code.mul(piece, 8))));
  Value to = pieceOffset(tile, row, piece, 0);
  for (int64_t down = 0; down < tile.rows; down += step) {
    // Eight rows on, pieces are exchanged alike.
    Value at = step % 8 == 0 ? to : pieceOffset(tile, code.add(row, down), piece, 0);
    code.copyPiece(at, step % 8 == 0 ? down * 128 : 0, from, down * view.columns * 2,
                   within(code.add(first, down), op.getLo(), op.getHi()));
  }
}

void KernelLowering::awaitStaged(tile::LoadOp op) {
  Ring &ring = rings[staged.lookup(op.getResult())];
  auto type = typeOf(op.getResult());
  bool turned = op.getTransposed();
  Value full = code.add(code.mul(ring.index, 16), ring.barriers), slot = code.mul(ring.index, ring.slotBytes);
  code.waitBarrier(full, ring.phase);
  SharedTile tile{ring.offset, slot, turned ? type.getColumns() : type.getRows(),
                  turned ? type.getRows() : type.getColumns(), 1};
  sharedTiles[op.getResult()] = tile;
  emptyBarrierOf[op.getResult()] = code.add(full, 8);
  advance(ring);
  if (type.getRows() == 1) {
    Distribution shape = distributionOf(op.getResult());
    Fragment line{shape, code.f32(), {}};
    Value at = code.add(code.add(code.mul(columnOf(shape, 0, 0), 4), slot), ring.offset);
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (Value word : code.loadShared(at, 2, group * 32))
        line.values.push_back(code.realOf(word));
    bind(op.getResult(), std::move(line));
  } else if (!onlyShared.contains(op.getResult())) {
    bind(op.getResult(), readShared(tile, distributionOf(op.getResult()), turned));
  }
  // Pieces are written by ordinary stores of other threads, and products read by another way.
  if (ring.pieces && wantedShared.contains(op.getResult()))
    code.fenceForProducts();
  if (!wantedShared.contains(op.getResult()))
    releaseStaged(op.getResult());
}

Fragment KernelLowering::readShared(const SharedTile &from, const Distribution &shape, bool transposed) {
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers())};
  Value inMatrix = code.modulo(lane, 8), second = code.modulo(code.divide(lane, 8), 2), fourth = code.divide(lane, 16);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); group += 2) {
      // Matrix m: rows `8 (m mod 2)` of the slab, columns of group `m div 2`; a lane gives the address of one row.
      Value firstRow = code.add(code.mul(warpDown(shape.grid), 16), slab * 16 * shape.grid.down);
      Value firstColumn = code.add(code.mul(warpAcross(shape.grid), shape.columnsOfWarp()), group * 8);
      bool two = group + 1 < shape.groups();
      Value across = two ? code.add(firstColumn, code.mul(fourth, 8)) : firstColumn;
      Value down = code.add(firstRow, code.mul(second, 8));
      Value row = code.add(transposed ? across : down, inMatrix), piece = code.divide(transposed ? down : across, 8);
      auto words = code.loadMatrices(pieceOffset(from, row, piece, 0), two ? 4 : 2, transposed);
      for (int64_t n = 0; n < int64_t(words.size()); ++n)
        for (int64_t e = 0; e < 2; ++e)
          to.values[shape.at(slab, group + n / 2, n % 2, e)] = code.unpackBrain(words[n], e == 1);
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
