// Blocks, loops and branches. Tiles that a loop carries are carried register by register.
#include "codegen/builder/ScalarOps.h"
#include "codegen/nvptx/KernelLowering.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Registers of a thread in kernels with a copying warpgroup: it needs few, and gives the rest to those that compute.
static constexpr int64_t kCopyingPages = 24, kCopyingRows = 40, kCopyingTwoLoops = 48, kMostRegisters = 240;
/// Loops around pages from which on a copying thread has to remember more than the fewest registers hold.
static constexpr int64_t kManyLoops = 3;
/// Those of warps that compute ahead: two tiles of 64 x 64 over four warps, and what a row of them takes.
static constexpr int64_t kRegistersAhead = 152;

KernelLowering::KernelLowering(tile::KernelOp kernel, Code &code, Precision precision, Value batch,
                               ArrayRef<Value> arguments)
    : kernel(kernel), code(code), precision(precision), warps(chooseWarps(kernel)), joined(joinedGroups()),
      lanes(lanesOfRow()), sliding(hasNeighbouringRows()),
      shared(code, workers(), [this](int64_t group) { finishGroups(group); }), step(code, batch, code.globalPointer()) {
  for (auto [memory, argument] : llvm::zip_equal(kernel.getMemories(), arguments))
    pointers[memory] = argument;
  if (auto numbers = kernel->getAttrOfType<DenseI64ArrayAttr>("tile.constants"))
    for (int64_t number : numbers.asArrayRef())
      constants.insert(kernel.getMemories()[number]);
  if (auto numbers = kernel->getAttrOfType<DenseI64ArrayAttr>("tile.finished"))
    for (int64_t number : numbers.asArrayRef())
      finished.insert(kernel.getMemories()[number]);
  thread = code.threadNumber();
  lane = code.modulo(thread, 32);
  // The number of the warp as one value for all its lanes: the assembler then keeps what follows from it once a warp.
  warp = code.shuffleIndex(code.divide(thread, 32), 0);
  laneRow = code.divide(lane, lanes);
  laneColumn = code.modulo(lane, lanes);
}

LogicalResult KernelLowering::lower() {
  findUsedRows();
  findStreamed();
  findTeams();
  findSharedOperands();
  findStaged();
  if (hasTeams() && !fitsTeams()) {
    dropTeams();
    wantedShared.clear();
    onlyShared.clear();
    findSharedOperands();
    findStaged();
  }
  findDying();
  Value item = code.toIndex(code.blockNumber());
  LogicalResult result = verifyFragmentMemories();
  auto walk = [&] {
    scalars.map(kernel.getItem(), item);
    awaited = !code.target.launchOverlap;
    for (Ring &ring : rings)
      ring.index = ring.phase = code.constant32(0);
    if (succeeded(result))
      result = lowerBlock(*kernel.getBlock());
    awaitKernelsBefore();
    if (code.target.launchOverlap && nextBegins() == (copying ? NextBegins::BehindCopies : NextBegins::AtEnd))
      code.letNextBegin();
    if (!copying)
      finishAllGroups();
    return SmallVector<Value>();
  };
  if (staged.empty()) {
    walk();
    return result;
  }
  makeTensorMaps();
  makeRings();
  IRMapping before = scalars;
  auto memories = pointers;
  Registers registers = dealRegisters();
  auto copy = [&] {
    if (registers.copying)
      code.setRegisters(registers.copying, false);
    scalars = before;
    pointers = memories;
    copying = true;
    prefetchTensorMaps();
    if (ownSlots)
      walk();
    else // pages need one thread
      code.branch(code.equal(thread, code.constant32(computingWarps() * 32)), {}, walk);
    return SmallVector<Value>();
  };
  auto compute = [&] {
    if (registers.computing)
      code.setRegisters(registers.computing, true);
    if (hasTeams())
      enterTeam(Team::sums);
    beginAlternation();
    return walk();
  };
  auto computeAhead = [&] {
    if (registers.ahead)
      code.setRegisters(registers.ahead, true);
    scalars = before;
    pointers = memories;
    Value own = thread, ownWarp = warp;
    thread = code.sub(thread, code.constant32(sumWarps * 32));
    warp = code.sub(warp, code.constant32(sumWarps));
    enterTeam(Team::ahead);
    walk();
    thread = own, warp = ownWarp;
    return SmallVector<Value>();
  };
  auto computeAheadOrCopy = [&] {
    code.branch(code.lessThan(warp, code.constant32(sumWarps + aheadWarps)), {}, computeAhead, copy);
    return SmallVector<Value>();
  };
  Value isFirst = code.lessThan(warp, code.constant32(hasTeams() ? sumWarps : warps));
  if (hasTeams())
    code.branch(isFirst, {}, compute, computeAheadOrCopy);
  else
    code.branch(isFirst, {}, compute, copy);
  return result;
}

/// Registers of a block are dealt to its threads evenly; one computing warpgroup alone has what it wants anyway.
KernelLowering::Registers KernelLowering::dealRegisters() {
  int64_t loops = 0;
  bool shares = false;
  for (auto &[value, load] : staged) {
    int64_t own = 0;
    for (Operation *parent = value.getDefiningOp()->getParentOp(); parent != kernel; parent = parent->getParentOp())
      own += isa<scf::ForOp>(parent);
    loops = std::max(loops, own);
    shares |= bool(load.as);
  }
  int64_t few = shares                                             ? kCopyingTwoLoops
                : ownSlots || (!hasTeams() && loops >= kManyLoops) ? kCopyingRows
                                                                   : kCopyingPages;
  // A block has what its threads get evenly, in eights; who waits for more than is given back waits for ever.
  int64_t even = code.target.registers / blocksTogether() / threads(), all = even / 8 * 8 * threads();
  int64_t workers = (hasTeams() ? sumWarps : warps) * 32;
  int64_t ahead = hasTeams() ? kRegistersAhead : 0;
  int64_t many = std::min(kMostRegisters, (all - few * 128 - ahead * aheadWarps * 32) / workers / 8 * 8);
  bool divides = even < many && workers % 128 == 0 && workers <= 256 && even > few && (!ahead || even < ahead);
  return divides ? Registers{many, ahead, few} : Registers{0, 0, 0};
}

LogicalResult KernelLowering::lowerBlock(Block &block) {
  if (!copying)
    for (Value argument : block.getArguments())
      if (isa<tile::TileType>(argument.getType()) && isHere(argument))
        shareIfWanted(argument), dealPiecesIfWanted(argument);
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>())
      break;
    awaitIfTouched(op);
    if (failed(lowerOp(op)))
      return failure();
    if (copying)
      continue;
    for (Value result : op.getResults())
      if (isa<tile::TileType>(result.getType()) && isHere(result))
        shareIfWanted(result), dealPiecesIfWanted(result);
    releaseDead(op);
    releaseRings(op);
  }
  return success();
}

LogicalResult KernelLowering::lowerOp(Operation &op) {
  code.loc = op.getLoc();
  current = &op;
  if (copying) {
    // Control flow, scalars and memories that are known ahead, staged loads; nothing else.
    if (auto load = dyn_cast<tile::LoadOp>(op)) {
      if (staged.contains(load.getResult()))
        issueStaged(load);
      return success();
    }
    bool tiles = llvm::any_of(op.getResultTypes(), llvm::IsaPred<tile::TileType>) ||
                 isa<tile::StoreOp, tile::ScatterOp, tile::ExtractOp>(op);
    bool control = isa<scf::ForOp, scf::IfOp>(op);
    bool known = llvm::all_of(op.getOperands(), [&](Value v) {
      return scalars.contains(v) || pointers.contains(v) || (control && isa<tile::TileType>(v.getType()));
    });
    if (control ? !holdsStaged(&op) : (tiles || !known) && !isGivenWord(op))
      return success();
  }
  if (!isHere(&op))
    return success();
  if (team == Team::sums)
    receiveFor(op);
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<scf::ForOp, scf::IfOp, tile::ExtractOp, tile::SolveOp, tile::InverseOp>([&](auto o) { return lower(o); })
      .Case<tile::CountOp, tile::SequenceOp, tile::RowsOp, tile::SlotOp, tile::PageOp, tile::BlockOp, tile::StackedOp,
            tile::LoadOp, tile::GatherOp, tile::StoreOp, tile::ScatterOp, tile::SplatOp, tile::WindowOp,
            tile::TransposeOp, tile::FlattenOp, tile::MapOp, tile::ReduceOp, tile::CumsumOp, tile::SpreadOp,
            tile::MmaOp>([&](auto o) {
        lower(o);
        return success();
      })
      .Default([&](Operation *o) { return cloneScalarOp(code.builder, *o, scalars); });
}

/// A tile that nothing but products reads, as a left operand in registers, is carried as the words they take.
bool KernelLowering::isCarriedPacked(Operation *op, unsigned index) {
  auto loop = dyn_cast<scf::ForOp>(op);
  if (!loop || precision == Precision::exact || !isa<tile::TileType>(op->getResult(index).getType()))
    return false;
  auto onlyLeft = [&](Value value) {
    return llvm::all_of(value.getUses(), [&](OpOperand &use) {
      if (auto next = dyn_cast<scf::ForOp>(use.getOwner())) // handed on to another loop
        return next != loop && use.getOperandNumber() >= 3 && isCarriedPacked(next, use.getOperandNumber() - 3);
      auto mma = dyn_cast<tile::MmaOp>(use.getOwner());
      return mma && use.getOperandNumber() == 0 && mma.getLhs() != mma.getRhs() && lhsInRegisters(mma) &&
             (formOf(mma) == Form::group || formOf(mma) == Form::warp);
    });
  };
  Value argument = loop.getRegionIterArg(index), result = loop.getResult(index);
  return !argument.use_empty() && onlyLeft(argument) && onlyLeft(result);
}

SmallVector<Value> KernelLowering::packed(const Fragment &fragment) {
  SmallVector<Value> words;
  for (int64_t slab = 0; slab < fragment.shape.slabs(); ++slab)
    for (int64_t group = 0; group < fragment.shape.groups(); group += 2)
      llvm::append_range(words, operandWords(fragment, slab, group, 0));
  return words;
}

SmallVector<Value> KernelLowering::flatten(Operation *op, ValueRange values) {
  SmallVector<Value> flat;
  for (auto [index, value] : llvm::enumerate(values)) {
    auto type = dyn_cast<tile::TileType>(value.getType());
    if (!type) {
      flat.push_back(scalars.contains(value) ? scalarOf(value) : code.ofType(code.constant32(0), value.getType()));
      continue;
    }
    if (!isHere(op->getResult(index)))
      continue;
    if (isPartialSum(op, index)) {
      // Zeros in front of the loop: every warp begins with them.
      if (partialSums.contains(value))
        llvm::append_range(flat, fragmentOf(value).values);
      else
        flat.append(carriedAs(op, index).registers(), code.number(0));
    } else if (!isCarriedPacked(op, index)) {
      llvm::append_range(flat, fragmentOf(value, distributionOf(type).grid).values);
    } else if (auto it = packedWords.find(value); it != packedWords.end()) {
      llvm::append_range(flat, it->second);
    } else {
      llvm::append_range(flat, packed(fragmentOf(value, distributionOf(type).grid)));
    }
  }
  if (holdsStaged(op))
    for (const Ring &ring : rings)
      flat.append({ring.index, ring.phase});
  return flat;
}

SmallVector<Type> KernelLowering::flatTypes(Operation *op) {
  SmallVector<Type> flat;
  for (auto [index, result] : llvm::enumerate(op->getResults())) {
    auto type = dyn_cast<tile::TileType>(result.getType());
    if (!type)
      flat.push_back(result.getType());
    else if (isHere(result))
      flat.append(carriedAs(op, index).registers(), type.getElementType());
  }
  if (holdsStaged(op))
    flat.append(2 * rings.size(), code.i32());
  return flat;
}

void KernelLowering::unflatten(Operation *op, ValueRange values, ValueRange registers) {
  size_t next = 0;
  for (auto [index, value] : llvm::enumerate(values)) {
    auto type = dyn_cast<tile::TileType>(value.getType());
    if (!type) {
      scalars.map(value, registers[next++]);
      continue;
    }
    if (!isHere(op->getResult(index)))
      continue;
    Distribution shape = carriedAs(op, index);
    bool packed = isCarriedPacked(op, index);
    size_t count = packed ? shape.slabs() * llvm::divideCeil(shape.groups(), 2) * 4 : shape.registers();
    ValueRange own = registers.slice(next, count);
    if (packed)
      packedWords[value] = SmallVector<Value>(own.begin(), own.end());
    else if (isPartialSum(op, index) && value == op->getResult(index))
      addParts(value, {shape, type.getElementType(), SmallVector<Value>(own.begin(), own.end())});
    else
      bind(value, {shape, type.getElementType(), SmallVector<Value>(own.begin(), own.end())});
    next += count;
  }
  if (holdsStaged(op))
    for (Ring &ring : rings)
      ring.index = registers[next++], ring.phase = registers[next++];
}

/// What is in flight ends in front of control flow, and what is behind knows nothing of it.
void KernelLowering::settle() {
  if (copying)
    return;
  finishAllGroups();
  while (!unfinished.empty())
    finish(unfinished.back().first);
  shared.settle();
}

LogicalResult KernelLowering::lower(scf::ForOp op) {
  Block &body = *op.getBody();
  SmallVector<Value> initial = flatten(op, op.getInitArgs());
  settle();
  // What a turn stores the next one may load, and what it loads the next one may store.
  auto before = std::pair(stored, loaded);
  markTurn(op);
  LogicalResult result = success();
  auto results = code.loop(scalarOf(op.getLowerBound()), scalarOf(op.getUpperBound()), scalarOf(op.getStep()), initial,
                           [&](Value counter, ValueRange carried) {
                             scalars.map(op.getInductionVar(), counter);
                             unflatten(op, op.getRegionIterArgs(), carried);
                             if (!copying) {
                               packReplaced(op);
                               shared.beginTurn();
                             }
                             result = lowerBlock(body);
                             if (failed(result))
                               return SmallVector<Value>(carried);
                             // A barrier inside the loop was for that turn.
                             markTurn(op);
                             current = body.getTerminator();
                             auto next = flatten(op, body.getTerminator()->getOperands());
                             if (!copying) {
                               releaseDead(*body.getTerminator());
                               finishAllGroups();
                               while (!unfinished.empty())
                                 finish(unfinished.back().first);
                               shared.endTurn();
                             }
                             return next;
                           });
  unflatten(op, op.getResults(), results);
  rejoin(before); // there may have been no turn
  return result;
}

/// Words of a left operand that products read behind an op which makes something else of the tile: they are packed
/// first, so that what is made takes the tile's registers and need not wait until the products have read them. So are
/// those that products read behind another product of the turn: the assembler waits for that one before registers are
/// touched in which products of the turn before have left their sums.
void KernelLowering::packReplaced(scf::ForOp op) {
  if (precision == Precision::exact)
    return;
  for (auto [index, argument] : llvm::enumerate(op.getRegionIterArgs())) {
    Value tile = argument;
    if (!isa<tile::TileType>(tile.getType()) || !isHere(op->getResult(index)) || isCarriedPacked(op, index))
      continue;
    auto isReplaced = [&](Operation *product) {
      return llvm::any_of(tile.getUsers(), [&](Operation *user) {
        return isa<tile::MapOp>(user) && user->getBlock() == product->getBlock() && user->isBeforeInBlock(product);
      });
    };
    bool isSum = isa_and_nonnull<tile::MmaOp>(op.getYieldedValues()[index].getDefiningOp());
    auto isBehindProduct = [&](Operation *product) {
      return isSum && llvm::any_of(op.getBody()->getOps<tile::MmaOp>(), [&](tile::MmaOp other) {
               return formOf(other) == Form::group && other->isBeforeInBlock(product);
             });
    };
    bool early = llvm::any_of(tile.getUsers(), [&](Operation *user) {
      auto mma = dyn_cast<tile::MmaOp>(user);
      return mma && isHere(user) && mma.getLhs() == tile && mma.getRhs() != tile && mma->getBlock() == op.getBody() &&
             formOf(mma) == Form::group && lhsInRegisters(mma) && (isReplaced(mma) || isBehindProduct(mma));
    });
    if (early)
      packedWords[tile] = packed(fragmentOf(tile));
  }
}

/// A turn of the loop may be behind.
void KernelLowering::markTurn(scf::ForOp op) {
  if (copying)
    return;
  op.walk([&](Operation *inner) {
    if (Value memory = tile::writtenMemory(inner))
      stored.insert(rootOf(memory));
  });
  op.walk([&](Operation *load) {
    if (isa<tile::LoadOp, tile::GatherOp>(load))
      loaded[rootOf(load->getOperand(0))] = nullptr;
  });
}

/// Code that may hold barriers was perhaps not executed.
void KernelLowering::rejoin(const std::pair<llvm::DenseSet<Value>, llvm::DenseMap<Value, Operation *>> &before) {
  stored.insert(before.first.begin(), before.first.end());
  for (auto [root, load] : before.second) {
    auto it = loaded.insert({root, load}).first;
    if (it->second != load)
      it->second = nullptr;
  }
}

/// Whether a load in front of a branch is for one of its sides alone: asked for before it is known which way to go.
bool KernelLowering::isLoadedAhead(scf::IfOp op) {
  auto isForBranch = [&](Operation &before) {
    auto load = dyn_cast<tile::LoadOp>(before);
    return load && !isWord(load) && !staged.contains(load.getResult()) &&
           llvm::all_of(load->getUsers(), [&](Operation *user) { return op->isProperAncestor(user); });
  };
  return llvm::any_of(llvm::make_range(op->getBlock()->begin(), op->getIterator()), isForBranch);
}

LogicalResult KernelLowering::lower(scf::IfOp op) {
  settle();
  // The assembler moves loads to where they are used, but not across this, of which nothing else is left.
  if (!copying && isLoadedAhead(op))
    code.warpBarrier();
  auto before = std::pair(stored, loaded);
  LogicalResult result = success();
  SmallVector<Ring> ringsBefore = rings;
  bool awaitedBefore = awaited, awaits = !awaited && touchesUnfinished(*op);
  auto fill = [&](Block *block) {
    awaited = awaitedBefore;
    for (auto [ring, own] : llvm::zip_equal(rings, ringsBefore))
      ring.index = own.index, ring.phase = own.phase;
    SmallVector<Value> values;
    if (succeeded(result) && block)
      result = lowerBlock(*block);
    if (awaits && !op.getElseRegion().empty())
      awaitKernelsBefore(); // on one side is on both
    if (failed(result)) {
      for (Type type : flatTypes(op))
        values.push_back(code.ofType(code.constant32(0), type));
      return values;
    }
    if (block)
      current = block->getTerminator();
    values = flatten(op, block ? ValueRange(block->getTerminator()->getOperands()) : ValueRange());
    if (block && !copying)
      releaseDead(*block->getTerminator());
    settle();
    rejoin(before);
    return values;
  };
  SmallVector<Type> types = flatTypes(op);
  Block *otherwise = op.getElseRegion().empty() ? nullptr : &op.getElseRegion().front();
  SmallVector<Value> results;
  if (!otherwise && types.empty())
    results = code.branch(scalarOf(op.getCondition()), types, [&] { return fill(&op.getThenRegion().front()); });
  else
    results = code.branch(
        scalarOf(op.getCondition()), types, [&] { return fill(&op.getThenRegion().front()); },
        [&] { return fill(otherwise); });
  unflatten(op, op.getResults(), results);
  return result;
}
