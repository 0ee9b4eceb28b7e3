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
// has such pages, and in one of a kernel with `tile.ahead`, rows of other memory go along, to the places that they have
// in a shared operand: in boxes, by one thread (TensorCopies.cpp), or in pieces of 16 bytes, by all threads of a warp,
// which are zeros for rows that the load leaves out. With `tile.columns_ahead` a column of f32, a number of each row,
// goes along in pieces of 4 bytes. Weights in blocks go as they are, for products of few rows (BlocksAhead.cpp).
//
// Both sides walk the same kernel. The copying one keeps control flow, scalars (also those that stand in memory which
// the kernel does not write) and staged loads and drops all else, so both come to the same loads in the same order, and
// the place in the ring is all they need to agree on: slot index and the parity of its round, carried by every loop and
// branch that holds a staged load. Loads of one kind and size have a ring of their own. One that has a slot for every
// load of a turn cannot wait for itself.
//
// A kernel may have two such loops, one behind the other or on two sides of a branch, where what the one reads are
// loads as the other has them, too: those share their slots, and neither side needs to know which loop filled them.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Slots worth having: more only help against jitter.
static constexpr int64_t kMostSlots = 16, kMostOwnSlots = 4;
/// Shared memory for what is exchanged between threads is not known before the walk; this much is left free, or what
/// the largest transposition takes. Where nothing is exchanged but sums of rows, they and gaps of alignment take less.
static constexpr int64_t kLeastFree = 16 * 1024, kLeastForRows = 2 * 1024;
/// Parts that a page comes in where warps compute ahead: the copy of the last hides behind the product of the others.
static constexpr int64_t kPartsOfPage = 3;
static constexpr int64_t kCopyingWarps = 4, kLanes = 32, kPieceBytes = 16, kNumberBytes = 4;
/// What a copying warp does for a load beside copying, in bytes that it copies in pieces meanwhile: to wait for the
/// slot and to find the places takes some 400 cycles of an H200, 512 bytes take 20 to 30.
static constexpr int64_t kLoadCost = 8 * 1024;

bool KernelLowering::isWord(tile::LoadOp op) {
  auto type = cast<tile::TileType>(op.getResult().getType());
  return type.getNumElements() == 1 && type.getElementType().isInteger(32) && !op.getLo() &&
         op.getResult().hasOneUse() && isa_and_nonnull<tile::ExtractOp>(op->getNextNode()) &&
         op->getNextNode()->getOperand(0) == op.getResult();
}

/// A number that stands in memory which this kernel does not write.
static tile::LoadOp givenWord(Operation *op) {
  auto load = isa<tile::ExtractOp>(op) ? op->getOperand(0).getDefiningOp<tile::LoadOp>() : tile::LoadOp();
  if (!load || !KernelLowering::isWord(load))
    return {};
  Value root = KernelLowering::rootOf(load.getMemory());
  auto writes = [&](Operation *other) {
    Value memory = tile::writtenMemory(other);
    return memory && KernelLowering::rootOf(memory) == root ? WalkResult::interrupt() : WalkResult::advance();
  };
  return op->getParentOfType<tile::KernelOp>()->walk(writes).wasInterrupted() ? tile::LoadOp() : load;
}

bool KernelLowering::isGivenWord(Operation &op) {
  tile::LoadOp load = givenWord(&op);
  return load &&
         llvm::all_of(load->getOperands(), [&](Value v) { return scalars.contains(v) || pointers.contains(v); });
}

static bool isMemoryArgument(Value value) {
  return isa<BlockArgument>(value) && isa<tile::KernelOp>(value.getParentBlock()->getParentOp()) &&
         !value.getType().isIndex();
}

/// Whether the scalar, or a part of a memory, can be computed without reading a tile, but for numbers that stand in
/// memory.
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
    if (tile::LoadOp word = givenWord(op))
      op = word;
    else
      result = !isa<tile::ExtractOp>(op) && op->getNumRegions() == 0;
    for (Value operand : op->getOperands())
      result &= isMemoryArgument(operand) || isKnownAhead(operand, known);
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
  bool whole = pages && isZero(op.getColumn()) && type.getColumns() == pages.getColumns();
  // Panels of a page follow each other.
  bool panels =
      onlyShared.contains(op.getResult()) && type.getColumns() % 64 == 0 && divisorOf(op.getColumn()) % 64 == 0;
  return pages && isImage(pages) && op->getParentOfType<scf::ForOp>() && !op.getLo() && isZero(op.getRow()) &&
         (whole || panels) && type.getRows() == pages.getTokens() && !op.getTransposed();
}

/// Rows of memory as an operand of products (or turned, as a fragment), or one row of f32.
bool KernelLowering::isStagedRows(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  Operation *part = op.getMemory().getDefiningOp();
  if ((part && !isa<tile::StackedOp>(part)) || !isa<scf::ForOp>(op->getParentOp()))
    return false;
  bool brain = memory.getElementType().isBF16(), turned = op.getTransposed();
  if (!brain && !memory.getElementType().isF32())
    return false;
  int64_t rows = turned ? type.getColumns() : type.getRows(), columns = turned ? type.getRows() : type.getColumns();
  int64_t perPiece = brain ? 8 : 4, pieces = columns / perPiece;
  if (columns % perPiece != 0 || memory.getColumns() % perPiece != 0 || divisorOf(op.getColumn()) % perPiece != 0 ||
      (pieces > kLanes && (part || turned || op.getLo() || rows > DENIM_TENSOR_BOX_MOST_ROWS || !goesWithBlocks(op))))
    return false;
  if (!brain)
    return rows == 1 && columns > 1 && !turned && !distributionOf(op.getResult()).padsColumns();
  return rows % 16 == 0 && columns % 64 == 0 && llvm::isPowerOf2_64(pieces) && rows * pieces % kLanes == 0;
}

/// One f32 of each row, where the kernel asks for it. No reason by itself to copy ahead.
bool KernelLowering::isStagedColumn(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  auto memory = dyn_cast<tile::MemoryType>(op.getMemory().getType());
  return kernel->hasAttr("tile.columns_ahead") && memory && type.getColumns() == 1 && type.getRows() % kLanes == 0 &&
         memory.getElementType().isF32() && !op.getTransposed() && !op.getMemory().getDefiningOp() &&
         isa<scf::ForOp>(op->getParentOp());
}

KernelLowering::Fetch KernelLowering::fetchOf(tile::LoadOp op) {
  if (pagesOf(op.getMemory()))
    return Fetch::bulk;
  if (isInBlocks(op))
    return Fetch::blocks;
  return isTensorCopy(op) ? Fetch::tensor : Fetch::pieces;
}

SharedTile KernelLowering::stagedTile(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  bool turned = op.getTransposed();
  if (isInBlocks(op)) // integers alone, two bytes of them as an element
    return {0, {}, type.getRows(), bytesOfIntegers(op, type.getColumns()) / 2, 1};
  return {0, {}, turned ? type.getColumns() : type.getRows(), turned ? type.getRows() : type.getColumns(), 1};
}

void KernelLowering::addStaged(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  Staged load;
  load.fetch = fetchOf(op);
  bool isLine = type.getRows() == 1 || type.getColumns() == 1;
  load.bytes = isLine ? llvm::alignTo(type.getNumElements() * 4, 128) : stagedTile(op).bytes();
  if (load.fetch == Fetch::blocks)
    load.bytes += llvm::alignTo(scaleBytesOf(op), 1024), load.parts = 2;
  staged.insert({op.getResult(), load});
}

bool KernelLowering::dealSlots(int64_t bytes) {
  int64_t slot = 0;
  for (auto &[value, load] : staged)
    slot = std::max(slot, load.bytes);
  rings = {Ring{std::min(kMostSlots, bytes / (slot + 32)), {}, {}, {}}};
  return rings[0].slots >= 2;
}

bool KernelLowering::dealOwnSlots(int64_t bytes) {
  // Those first that are read longest, then the largest, which take longest to come.
  llvm::DenseMap<Operation *, int64_t> position;
  llvm::SmallPtrSet<Value, 8> shares;
  for (auto &[value, load] : staged) {
    if (load.as)
      shares.insert(load.as);
    if (!position.contains(value.getDefiningOp()))
      for (Operation &op : *value.getParentBlock())
        position[&op] = position.size();
  }
  auto heldFor = [&](Value value) {
    int64_t held = 0, begin = position[value.getDefiningOp()];
    if (wantedShared.contains(value))
      for (Operation *user : value.getUsers())
        held = std::max(held, position[value.getParentBlock()->findAncestorOpInBlock(*user)] - begin);
    return held;
  };
  SmallVector<Value> order;
  for (auto &[value, load] : staged)
    if (!load.as)
      order.push_back(value);
  std::sort(order.begin(), order.end(), [&](Value a, Value b) {
    return std::tuple(heldFor(a), staged[a].bytes, position[b.getDefiningOp()]) >
           std::tuple(heldFor(b), staged[b].bytes, position[a.getDefiningOp()]);
  });
  llvm::DenseMap<Value, int64_t> slots;
  for (int64_t round = 0; round < kMostOwnSlots; ++round)
    for (Value value : order) {
      int64_t slot = staged[value].bytes + barrierBytes(staged[value]);
      if (slots[value] != round || slot > bytes) {
        if (round == 0)
          return false;
        continue;
      }
      bytes -= slot;
      ++slots[value];
    }
  int64_t copied[kCopyingWarps] = {};
  std::sort(order.begin(), order.end(), [&](Value a, Value b) {
    return std::pair(staged[a].bytes, position[b.getDefiningOp()]) >
           std::pair(staged[b].bytes, position[a.getDefiningOp()]);
  });
  for (Value value : order) {
    Staged &load = staged[value];
    load.warp = std::min_element(copied, copied + kCopyingWarps) - copied;
    copied[load.warp] += kLoadCost + (load.fetch == Fetch::pieces ? load.bytes : kPieceBytes);
  }
  // A ring moves on once in each turn of a loop that reads it: what only one of two loops reads is apart.
  SmallVector<bool> isShared;
  for (auto &[value, load] : staged) {
    if (load.as)
      continue;
    int64_t own = slots[value];
    bool shared = shares.contains(value);
    unsigned number = 0;
    while (number < rings.size() && (rings[number].slots != own || isShared[number] != shared))
      ++number;
    if (number == rings.size()) {
      rings.push_back({own, {}, {}, {}});
      isShared.push_back(shared);
    }
    load.ring = number;
  }
  for (auto &[value, load] : staged) {
    if (load.as) {
      load.ring = staged[load.as].ring;
      load.warp = staged[load.as].warp;
    }
    SmallVector<Value, 2> &last = rings[load.ring].last;
    Block *loop = value.getParentBlock();
    llvm::erase_if(last, [&](Value other) { return other.getParentBlock() == loop; });
    last.push_back(value);
  }
  return true;
}

/// Whether the loads of a loop can have slots of those of another, and then have; each loop's loads in their order.
bool KernelLowering::shareSlots(ArrayRef<Value> own, ArrayRef<Value> others) {
  SmallVector<Value> free(others);
  SmallVector<std::pair<Value, Value>> pairs;
  for (Value value : own) {
    const Staged &load = staged[value];
    auto isAlike = [&](Value other) {
      const Staged &that = staged[other];
      return that.fetch == load.fetch && that.bytes == load.bytes &&
             onlyShared.contains(other) == onlyShared.contains(value) && isReadByLanes(other) == isReadByLanes(value) &&
             wantedShared.contains(other) == wantedShared.contains(value);
    };
    auto *it = llvm::find_if(free, isAlike);
    if (it == free.end())
      return false;
    pairs.push_back({value, *it});
    free.erase(it);
  }
  for (auto [value, other] : pairs)
    staged[value].as = other;
  return true;
}

void KernelLowering::findStaged() {
  if (!code.target.bulkCopy || precision == Precision::exact)
    return;
  llvm::DenseMap<Value, bool> known;
  llvm::DenseSet<Value> written; // by this very kernel: the copying warps do not wait for the others' stores
  kernel.walk([&](Operation *op) {
    if (Value memory = tile::writtenMemory(op))
      written.insert(rootOf(memory));
  });
  auto mayGoAhead = [&](tile::LoadOp op) {
    // Read by threads too: whole fragments only.
    Distribution shape = distributionOf(op.getResult());
    bool whole = onlyShared.contains(op.getResult()) || (!shape.padsRows() && !shape.padsColumns());
    return whole && !written.contains(rootOf(op.getMemory())) && isKnownAhead(op, known);
  };
  SmallVector<tile::LoadOp> pages;
  llvm::SmallSetVector<Block *, 2> loops;
  kernel.walk([&](tile::LoadOp op) {
    if (isStagedPage(op) && mayGoAhead(op)) {
      pages.push_back(op);
      loops.insert(op->getBlock());
    }
  });
  // A kernel may ask for it where all that its loop reads are rows.
  if (pages.empty() && kernel->hasAttr("tile.ahead"))
    kernel.walk([&](tile::LoadOp op) {
      if ((isStagedRows(op) || isStagedBlocks(op)) && mayGoAhead(op))
        loops.insert(op->getBlock());
    });
  if (loops.empty())
    return;
  // In the order of the walk, which is that of the loads.
  auto add = [&](bool withRows) {
    kernel.walk([&](tile::LoadOp op) {
      bool rows = withRows && loops.contains(op->getBlock()) &&
                  (isStagedRows(op) || isStagedColumn(op) || isStagedBlocks(op)) && mayGoAhead(op);
      ownSlots |= rows;
      if (rows || llvm::is_contained(pages, op))
        addStaged(op);
    });
  };
  add(loops.size() <= 2);
  if (ownSlots && loops.size() == 2) {
    SmallVector<Value> of[2];
    for (auto &[value, load] : staged)
      of[value.getParentBlock() == loops.back()].push_back(value);
    bool firstIsMore = of[0].size() > of[1].size();
    // A loop inside the other would wait for slots that this gives back behind it.
    auto isInside = [](Block *inner, Block *outer) { return outer->findAncestorOpInBlock(inner->front()) != nullptr; };
    bool isNested = isInside(loops.front(), loops.back()) || isInside(loops.back(), loops.front());
    if (isNested || !shareSlots(of[firstIsMore], of[!firstIsMore])) {
      staged.clear();
      ownSlots = false;
      add(false);
    }
  }
  int64_t resident = 0;
  llvm::SmallDenseSet<Type> places;
  for (auto &[value, own] : handed)
    if (places.insert(value.getType()).second)
      resident += handedBytes(value);
  for (Value value : wantedShared)
    if (!staged.contains(value) && !handed.contains(value))
      resident += SharedTile{0, {}, typeOf(value).getRows(), typeOf(value).getColumns(), termsOf(value)}.bytes();
  findPairs();
  bool onlyRows =
      !kernel
           ->walk([&](Operation *op) {
             auto mma = dyn_cast<tile::MmaOp>(op);
             auto window = dyn_cast<tile::WindowOp>(op);
             bool moves = isa<tile::TransposeOp, tile::CumsumOp, tile::SolveOp, tile::InverseOp, tile::FlattenOp>(op) ||
                          (isa<tile::ExtractOp>(op) && !givenWord(op)) || (window && !isPanels(window)) ||
                          (mma && formOf(mma) != Form::group && formOf(mma) != Form::warp);
             return moves ? WalkResult::interrupt() : WalkResult::advance();
           })
           .wasInterrupted();
  // Behind the last staged load the rings' memory is free again.
  int64_t exchanged = onlyRows ? kLeastForRows : kLeastFree;
  kernel.walk([&](tile::TransposeOp op) {
    auto type = typeOf(op.getSource());
    auto store = op.getResult().hasOneUse() ? dyn_cast<tile::StoreOp>(*op.getResult().getUsers().begin()) : nullptr;
    int64_t bytes = store && isStoredTurned(store) ? type.getRows() * type.getColumns() * 2
                                                   : type.getRows() * (type.getColumns() | 1) * 4 + 2048;
    if (!isBehindRings(op))
      exchanged = std::max<int64_t>(exchanged, bytes);
  });
  // An image that is stored between them goes by memory of its own.
  kernel.walk([&](tile::StoreOp op) {
    if (isStoredAsImage(op) && op->getParentOfType<scf::ForOp>())
      exchanged = std::max<int64_t>(exchanged, typeOf(op.getValue()).getNumElements() * 2 + kLeastForRows);
  });
  kernel.walk([&](tile::LoadOp op) {
    if (staged.contains(op.getResult()) && isInBlocks(op) && !isBehindRings(op->getParentOp()))
      for (Operation *product : op.getResult().getUsers())
        exchanged = std::max(exchanged, partBytes(typeOf(product->getResult(0))));
  });
  int64_t bytes = sharedLimit() - exchanged - resident;
  if (!(ownSlots ? dealOwnSlots(bytes) : dealSlots(bytes))) {
    staged.clear();
    rings.clear();
    ownSlots = false;
  }
  cutPages();
  findPartialSums();
}

void KernelLowering::cutPages() {
  if (!hasTeams() || ownSlots || !firstPages.empty())
    return;
  for (auto &[value, load] : staged)
    if (typeOf(value).getColumns() / 64 % kPartsOfPage != 0)
      return;
  for (auto &[value, load] : staged)
    load.parts = kPartsOfPage;
}

bool KernelLowering::waitsByParts(Value page) {
  SmallVector<Operation *> readers;
  llvm::copy_if(readersOf(page), std::back_inserter(readers), [&](Operation *reader) { return isHere(reader); });
  auto product = readers.size() == 1 ? dyn_cast<tile::MmaOp>(readers[0]) : tile::MmaOp();
  return product && product.getRhs() == page && product.getTransposeRhs() && product.getM() == 64 &&
         product->getBlock() == page.getParentBlock() && formOf(product) == Form::group;
}

/// Whether the side of a branch in which `op` does not stand has loads ahead: its code is written later.
bool KernelLowering::holdsStagedBeside(Operation *branch, Operation &op) {
  return isa<scf::IfOp>(branch) && llvm::any_of(branch->getRegions(), [&](Region &side) {
           return !side.isAncestor(op.getParentRegion()) &&
                  llvm::any_of(side.getOps(), [&](Operation &other) { return holdsStaged(&other); });
         });
}

bool KernelLowering::isBehindRings(Operation *op) {
  for (Operation *own = op; own != kernel; own = own->getParentOp()) {
    auto behind = llvm::make_range(own->getIterator(), own->getBlock()->end());
    if ((own != op && (isa<scf::ForOp>(own) || holdsStagedBeside(own, *op))) ||
        llvm::any_of(behind, [&](Operation &next) { return &next != own && holdsStaged(&next); }))
      return false;
  }
  return true;
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
  struct Barriers {
    int64_t begin, slots, full, empty, parts = 1;
    int64_t last = full; ///< arrivals at that of the last part
  };
  SmallVector<Barriers> all;
  if (ownSlots) {
    for (auto &[value, load] : staged)
      if (!load.as)
        load.offset = shared.allocate(rings[load.ring].slots * load.bytes, 1024);
    for (auto &[value, load] : staged) {
      if (load.as)
        continue;
      load.barriers = shared.allocate(rings[load.ring].slots * barrierBytes(load), 16);
      all.push_back({load.barriers, rings[load.ring].slots, load.fetch == Fetch::pieces ? kLanes : 1,
                     warps * (leavesByLanes(value) ? kLanes : 1), load.parts});
      if (load.fetch == Fetch::blocks)
        all.back().last = kLanes;
    }
    for (auto &[value, load] : staged)
      if (load.as)
        load.offset = staged[load.as].offset, load.barriers = staged[load.as].barriers;
  } else {
    int64_t slot = 0;
    for (auto &[value, load] : staged)
      slot = std::max(slot, load.bytes);
    int64_t offset = shared.allocate(rings[0].slots * slot, 1024);
    const Staged &one = staged.front().second;
    all.push_back(
        {shared.allocate(rings[0].slots * barrierBytes(one), 16), rings[0].slots, 1, computingWarps(), one.parts});
    for (auto &[value, load] : staged)
      load.bytes = slot, load.offset = offset, load.barriers = all[0].begin;
  }
  makeHanded([&](int64_t barriers, int64_t full, int64_t empty) { all.push_back({barriers, 1, full, empty}); });
  code.branch(code.equal(thread, code.constant32(0)), {}, [&] {
    for (const Barriers &own : all)
      for (int64_t slot = 0; slot < own.slots; ++slot) {
        int64_t at = own.begin + slot * llvm::alignTo(8 * (own.parts + 1), 16);
        for (int64_t part = 0; part < own.parts; ++part, at += 8)
          code.initBarrier(code.constant32(at), part + 1 < own.parts ? own.full : own.last);
        code.initBarrier(code.constant32(at), own.empty);
      }
    code.fenceBarrierInit();
    return SmallVector<Value>();
  });
  code.barrier(0, threads());
  ringsHeld = true;
}

void KernelLowering::releaseRings(Operation &done) {
  if (!ringsHeld || hasTeams() || !holdsStaged(&done) || !isBehindRings(&done))
    return;
  // Slots are not among the bytes that barriers are written for.
  code.barrier(1, workers());
  ringsHeld = false;
  for (auto &[value, load] : staged)
    if (!load.as)
      shared.release(load.offset);
}

void KernelLowering::advance(Value load) {
  Ring &ring = rings[staged[load].ring];
  if (!ring.last.empty() && !llvm::is_contained(ring.last, load))
    return;
  if (ring.slots == 1) {
    ring.phase = code.exclusiveOr(ring.phase, code.constant32(1));
    return;
  }
  Value next = code.add(ring.index, 1), wraps = code.equal(next, code.constant32(ring.slots));
  ring.index = code.select(wraps, code.constant32(0), next);
  ring.phase = code.select(wraps, code.exclusiveOr(ring.phase, code.constant32(1)), ring.phase);
}

/// Where the panels of a page begin that the load takes.
Value KernelLowering::pageAddress(tile::LoadOp op) {
  Value panel = code.divide(i64Of(op.getColumn()), 64);
  return code.advance(pointers.lookup(op.getMemory()), code.mul(panel, typeOf(op.getResult()).getRows() * 128),
                      code.builder.getI8Type());
}

void KernelLowering::issueStaged(tile::LoadOp op) {
  if (firstPages.contains(op.getResult()))
    return;
  const Staged &load = staged[op.getResult()];
  const Ring &ring = rings[load.ring];
  auto copy = [&] {
    Value full = code.add(code.mul(ring.index, barrierBytes(load)), load.barriers);
    Value slot = code.add(code.mul(ring.index, load.bytes), load.offset);
    int64_t bytes = stagedTile(op).bytes();
    // Slots of teams are few, and one is needed as soon as it is empty: by then the last cache should have the page.
    if (hasTeams() && load.fetch == Fetch::bulk)
      code.prefetchBulk(pageAddress(op), bytes);
    // The first round finds the slots empty: the parity before the first is that of a round done.
    code.waitBarrier(code.add(full, 8 * load.parts), code.exclusiveOr(ring.phase, code.constant32(1)));
    if (load.fetch == Fetch::tensor) {
      // One lane arrives for all: none may be left behind that still looks for this round.
      code.warpBarrier();
      copyBoxes(op, slot, full);
    } else if (load.fetch == Fetch::blocks) {
      code.warpBarrier(); // as above
      copyBlocks(op, slot, full);
    } else if (load.fetch == Fetch::pieces) {
      copyRows(op, slot);
      code.arriveWithPieces(full);
    } else {
      Value from = pageAddress(op);
      if (Value first = firstPageOf.lookup(op.getResult())) {
        // Panel by panel, so that the rows of both pages follow each other.
        int64_t panel = stagedTile(op).rows * 128;
        code.expectBytes(full, 2 * bytes);
        Value pages[] = {pageAddress(first.getDefiningOp<tile::LoadOp>()), from};
        for (int64_t at = 0; at < bytes; at += panel)
          for (auto [i, page] : llvm::enumerate(pages))
            code.copyBulk(code.add(slot, 2 * at + int64_t(i) * panel),
                          code.advance(page, code.constant(at), code.builder.getI8Type()), panel, full);
      } else {
        int64_t part = bytes / load.parts;
        for (int64_t i = 0; i < load.parts; ++i) {
          Value there = code.add(full, 8 * i);
          code.expectBytes(there, part);
          code.copyBulk(code.add(slot, i * part), code.advance(from, code.constant(i * part), code.builder.getI8Type()),
                        part, there);
        }
      }
    }
    return SmallVector<Value>();
  };
  if (!ownSlots)
    copy();
  else if (load.fetch != Fetch::bulk)
    code.branch(code.equal(warp, code.constant32(warps + load.warp)), {}, copy);
  else
    code.branch(code.equal(thread, code.constant32((warps + load.warp) * kLanes)), {}, copy);
  advance(op.getResult());
}

/// The lanes of a warp: neighbours copy neighbouring pieces.
void KernelLowering::copyRows(tile::LoadOp op, Value slot) {
  View view = viewOf(op.getMemory());
  auto type = typeOf(op.getResult());
  Value firstRow = i64Of(op.getRow());
  if (type.getRows() == 1) {
    int64_t pieces = type.getColumns() * 4 / kPieceBytes;
    code.branch(code.lessThan(lane, code.constant32(pieces)), {}, [&] {
      Value column = code.add(i64Of(op.getColumn()), code.toI64(code.mul(lane, 4)));
      code.copyPiece(code.add(slot, code.mul(lane, kPieceBytes)), 0, elementAddress(view, firstRow, column), 0,
                     within(firstRow, op.getLo(), op.getHi()));
      return SmallVector<Value>();
    });
    return;
  }
  if (type.getColumns() == 1) {
    Value row = code.add(firstRow, code.toI64(lane)), to = code.add(slot, code.mul(lane, kNumberBytes));
    Value from = elementAddress(view, row, i64Of(op.getColumn()));
    for (int64_t down = 0; down < type.getRows(); down += kLanes) {
      Value exists = within(down ? code.add(row, down) : row, op.getLo(), op.getHi());
      code.copyPiece(to, down * kNumberBytes, from, down * view.columns * kNumberBytes, exists, kNumberBytes);
    }
    return;
  }
  SharedTile tile = stagedTile(op);
  tile.slot = slot;
  int64_t pieces = tile.columns / 8, step = kLanes / pieces;
  Value row = code.divide(lane, pieces), piece = code.modulo(lane, pieces);
  Value from = elementAddress(view, code.add(firstRow, code.toI64(row)),
                              code.add(i64Of(op.getColumn()), code.toI64(code.mul(piece, 8))));
  // Rows of this lane, counted from its first, that exist.
  Value low, high;
  if (op.getLo()) {
    low = code.sub(code.toI32(code.sub(i64Of(op.getLo()), firstRow)), row);
    high = code.sub(code.toI32(code.sub(i64Of(op.getHi()), firstRow)), row);
  }
  SmallVector<Value> to; // eight rows on, pieces are exchanged alike
  for (int64_t down = 0; down < tile.rows; down += step) {
    if (down < std::max<int64_t>(step, 8))
      to.push_back(pieceOffset(tile, code.add(row, down), piece, 0));
    Value exists;
    if (low)
      exists = code.both(code.lessThan(code.constant32(down), high), code.lessThan(low, code.constant32(down + 1)));
    int64_t turn = down / step % to.size();
    code.copyPiece(to[turn], (down - turn * step) * 128, from, down * view.columns * 2, exists);
  }
}

void KernelLowering::awaitStaged(tile::LoadOp op) {
  if (firstPages.contains(op.getResult()))
    return;
  const Staged &load = staged[op.getResult()];
  const Ring &ring = rings[load.ring];
  auto type = typeOf(op.getResult());
  Value full = code.add(code.mul(ring.index, barrierBytes(load)), load.barriers),
        slot = code.mul(ring.index, load.bytes);
  bool byParts = load.parts > 1 && waitsByParts(op.getResult());
  for (int64_t i = 0; i < load.parts; ++i) {
    Value there = code.add(full, 8 * i);
    if (byParts)
      arrivalsOf[op.getResult()].push_back({there, ring.phase, type.getColumns() / load.parts});
    else
      code.waitBarrier(there, ring.phase);
  }
  SharedTile tile = stagedTile(op);
  tile.offset = load.offset, tile.slot = slot;
  if (firstPageOf.contains(op.getResult()))
    tile.rows *= 2;
  sharedTiles[op.getResult()] = tile;
  emptyBarrierOf[op.getResult()] = code.add(full, 8 * load.parts);
  advance(op.getResult());
  if (type.getRows() == 1) {
    Distribution shape = distributionOf(op.getResult());
    Fragment line{shape, code.f32(), {}};
    Value at = code.add(code.add(code.mul(columnOf(shape, 0, 0), 4), slot), load.offset);
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (Value word : code.loadShared(at, 2, group * 32))
        line.values.push_back(code.realOf(word));
    bind(op.getResult(), std::move(line));
  } else if (type.getColumns() == 1) {
    Distribution shape = distributionOf(op.getResult());
    Fragment column{shape, code.f32(), SmallVector<Value>(shape.registers())};
    Value at = code.add(code.mul(rowOf(shape, 0, 0), kNumberBytes), slot);
    for (int64_t slab = 0; slab < shape.slabs(); ++slab)
      for (int64_t half = 0; half < shape.halves(); ++half) {
        int64_t plus = load.offset + shape.rowAt(slab, half) * kNumberBytes;
        column.values[shape.at(slab, 0, half, 0)] = code.realOf(code.loadShared(at, 1, plus)[0]);
      }
    bind(op.getResult(), std::move(column));
  } else if (!onlyShared.contains(op.getResult())) {
    bind(op.getResult(), readShared(tile, distributionOf(op.getResult()), op.getTransposed()));
  }
  // Pieces are written by ordinary stores of other threads, and products read by another way.
  if (load.fetch == Fetch::pieces && wantedShared.contains(op.getResult()))
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
      // What threads hold behind the tile is of no use, but it has to be read somewhere.
      if (shape.padsRows() || shape.padsColumns()) {
        row = code.mini(row, code.constant32(from.rows - 1));
        piece = code.mini(piece, code.constant32(llvm::divideCeil(from.columns, 8) - 1));
      }
      auto words = code.loadMatrices(pieceOffset(from, row, piece, 0), two ? 4 : 2, transposed);
      for (int64_t n = 0; n < int64_t(words.size()); ++n)
        for (int64_t e = 0; e < 2; ++e)
          to.values[shape.at(slab, group + n / 2, n % 2, e)] = code.unpackBrain(words[n], e == 1);
    }
  return to;
}

/// Pieces that threads read, and other threads write again, at the end of a sequence also in place of boxes. A lane
/// could arrive for its warp, which has met before; each does so itself because compute-sanitizer does not follow the
/// first.
bool KernelLowering::leavesByLanes(Value tile) {
  return ownSlots && staged[tile].fetch != Fetch::bulk && isReadByLanes(tile);
}

/// Not by products of warpgroups alone, which read by the asynchronous proxy.
bool KernelLowering::isReadByLanes(Value tile) {
  return !onlyShared.contains(tile) || llvm::any_of(readersOf(tile), [&](Operation *op) {
    auto product = dyn_cast<tile::MmaOp>(op);
    return product && formOf(product) == Form::warp;
  });
}

void KernelLowering::leave(Value barrier, bool byLanes) {
  code.arrive(barrier, byLanes ? code.lessThan(lane, code.constant32(kLanes)) : code.equal(lane, code.constant32(0)));
}

void KernelLowering::releaseStaged(Value tile) {
  Value barrier = emptyBarrierOf.lookup(tile);
  bool byLanes = staged.contains(tile) && leavesByLanes(tile);
  if (wantedShared.contains(tile) && groupsIssued > groupsFinished) {
    leaving.push_back({barrier, groupsIssued, byLanes});
    return;
  }
  code.warpBarrier();
  leave(barrier, byLanes);
}
