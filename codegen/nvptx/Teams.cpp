// Two teams of computing warps: one holds the sums of a loop, the other computes, a turn ahead, what they are made of.
//
// Attention over wide values has an accumulator that takes the registers of two warpgroups. If the same warps compute
// scores and softmax as well, the matrix units wait for the vectors and the vectors for the matrix units. In a kernel
// with `tile.warps_ahead` (a number of warps) they are apart:
//
//   warps ahead            scores of pages n, n+1 | softmax of n | softmax of n+1 | scores of n+2, n+3 | ...
//                                                         fade, p |       fade, p |
//   warps with the sums                                           v sum += p v, n v sum += p v, n+1    | ...
//
// The sums are the tiles that a loop carries through a product that adds to them. With all that is computed of them
// (behind the loop, too) they are the work of the warps that the kernel has without the attribute; everything else is
// the work of the others. Both teams walk the same kernel, as the copying warpgroup does (Staging.cpp), and keep
// control flow, scalars and their own ops. Pages are waited for and given back by both.
//
// What one makes and the other uses is handed over through a place in shared memory of its own, with two mbarriers:
//
//   warps ahead                                   warps with the sums
//   wait until the place is empty
//   store; fence for products; arrive at full  ------------>  wait for full; products, or threads, read
//                                      empty   <------------  every warp arrives behind the last of them
//
// That is: left operands of products of warpgroups, in bf16, and columns of numbers. A kernel in which anything else
// would be handed over is left to one team. Tiles of a type share a place: two pages' weights, one after the other.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Named barrier of the warps ahead; the others have number 1.
static constexpr int64_t kAheadBarrier = 4;
static constexpr int64_t kLanes = 32;

void KernelLowering::addSums(Value value, SmallVectorImpl<Value> &added) {
  if (sums.insert(value).second)
    added.push_back(value);
}

/// All that is computed of sums. False where a scalar is.
bool KernelLowering::followSums(SmallVector<Value> found) {
  while (!found.empty()) {
    Value value = found.pop_back_val();
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      if (auto loop = dyn_cast<scf::ForOp>(user)) {
        unsigned index = use.getOperandNumber() - loop.getNumControlOperands();
        addSums(loop.getRegionIterArg(index), found);
        addSums(loop.getResult(index), found);
      } else if (isa<scf::YieldOp>(user)) {
        Operation *parent = user->getParentOp();
        addSums(parent->getResult(use.getOperandNumber()), found);
        if (auto loop = dyn_cast<scf::ForOp>(parent))
          addSums(loop.getRegionIterArg(use.getOperandNumber()), found);
      } else if (tile::writtenMemory(user)) {
        sumOps.insert(user);
      } else if (user->getNumResults() == 1 && isa<tile::TileType>(user->getResult(0).getType())) {
        sumOps.insert(user);
        addSums(user->getResult(0), found);
      } else {
        return false;
      }
    }
  }
  return true;
}

void KernelLowering::findTeams() {
  auto ahead = kernel->getAttrOfType<IntegerAttr>("tile.warps_ahead");
  if (!ahead || ahead.getInt() % 4 != 0 || warps % 4 != 0 || precision == Precision::exact || !code.target.bulkCopy ||
      !code.target.warpgroupProduct)
    return;
  if (findSums()) {
    aheadWarps = ahead.getInt();
    sumWarps = warps;
    if (findHanded() && !handed.empty())
      return;
  }
  dropTeams();
}

void KernelLowering::dropTeams() {
  sums.clear();
  sumOps.clear();
  handed.clear();
  aheadWarps = sumWarps = 0;
  // What was found to be copied ahead was found for two teams.
  staged.clear();
  rings.clear();
  ownSlots = false;
  firstPages.clear();
  firstPageOf.clear();
  firstProducts.clear();
  firstProductOf.clear();
}

bool KernelLowering::findSums() {
  SmallVector<Value> found;
  llvm::DenseSet<Value> read, written;
  bool fits = true;
  kernel.walk([&](Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      for (auto [argument, next] : llvm::zip(loop.getRegionIterArgs(), loop.getBody()->getTerminator()->getOperands()))
        if (auto product = next.getDefiningOp<tile::MmaOp>();
            product && product.getAcc() && product->getParentOp() == loop && formOf(product) == Form::group)
          addSums(argument, found);
    } else if (isa<tile::LoadOp, tile::GatherOp>(op)) {
      read.insert(rootOf(op->getOperand(0)));
    } else if (Value memory = tile::writtenMemory(op)) {
      written.insert(rootOf(memory));
    }
    // Nothing tells one team of what the other stored, or of a scalar that it found in a tile.
    fits &= !isa<tile::ExtractOp>(op);
  });
  if (found.empty() || !fits || llvm::any_of(written, [&](Value memory) { return read.contains(memory); }) ||
      !followSums(found))
    return false;
  // What is made of nothing, and panels of a load, are made where they are used.
  kernel.walk<WalkOrder::PreOrder>([&](Operation *op) {
    auto window = dyn_cast<tile::WindowOp>(op);
    if (!isa<tile::SplatOp>(op) && !(window && isPanels(window)))
      return;
    bool own = llvm::all_of(op->getUses(), [&](OpOperand &use) {
      if (auto loop = dyn_cast<scf::ForOp>(use.getOwner()))
        return sums.contains(loop.getRegionIterArg(use.getOperandNumber() - loop.getNumControlOperands()));
      return sumOps.contains(use.getOwner());
    });
    if (own) {
      sumOps.insert(op);
      sums.insert(op->getResult(0));
    }
  });
  // What control flow carries is of one team on every way.
  kernel.walk([&](Operation *op) {
    auto loop = dyn_cast<scf::ForOp>(op);
    if (!loop && !isa<scf::IfOp>(op))
      return;
    for (auto [index, result] : llvm::enumerate(op->getResults())) {
      bool own = sums.contains(result);
      if (loop)
        fits &= sums.contains(loop.getInitArgs()[index]) == own || !isa<tile::TileType>(result.getType());
      for (Region &region : op->getRegions())
        fits &= sums.contains(region.front().getTerminator()->getOperand(index)) == own;
    }
  });
  return fits;
}

bool KernelLowering::findHanded() {
  for (Operation &inner : llvm::make_early_inc_range(kernel.getBlock()->getOperations()))
    if (inner
            .walk([&](Operation *op) {
              if (!sumOps.contains(op))
                return WalkResult::advance();
              for (OpOperand &use : op->getOpOperands()) {
                Value value = use.get();
                auto type = dyn_cast<tile::TileType>(value.getType());
                if (!type || sums.contains(value) || value.getDefiningOp<tile::LoadOp>())
                  continue;
                auto product = dyn_cast<tile::MmaOp>(op);
                bool operand = product && use.getOperandNumber() == 0 && formOf(product) == Form::group &&
                               !product.getTransposeLhs() && !lhsInRegisters(product) && type.getRows() % 16 == 0 &&
                               type.getColumns() % 64 == 0 && type.getRows() % (16 * aheadWarps) == 0;
                bool column = !product && type.getColumns() == 1 && type.getElementType().isF32() &&
                              type.getRows() % (16 * aheadWarps) == 0;
                // Both teams come by it as often.
                bool together = value.getDefiningOp() && value.getParentBlock() == op->getBlock();
                auto known = handed.find(value);
                for (auto &[other, place] : handed) // places are told apart by type
                  together &= other.getType() != type || place.operand == operand;
                if (!together || (!operand && !column) || (known != handed.end() && known->second.operand != operand))
                  return WalkResult::interrupt();
                handed.insert({value, Handed{operand, 0, 0, 0}});
              }
              return WalkResult::advance();
            })
            .wasInterrupted())
      return false;
  return true;
}

/// Whether both teams can do with the loads that are copied ahead.
bool KernelLowering::fitsTeams() {
  if (staged.empty() || ownSlots)
    return false;
  bool fits = true;
  for (Operation *op : sumOps)
    for (Value operand : op->getOperands())
      if (auto load = operand.getDefiningOp<tile::LoadOp>())
        fits &= staged.contains(load.getResult()) && onlyShared.contains(load.getResult());
  for (auto &[value, own] : handed)
    fits &= holdsStaged(value.getDefiningOp()->getParentOp()) || value.getParentBlock() == kernel.getBlock();
  return fits;
}

int64_t KernelLowering::warpsOf(Operation *op) {
  return !hasTeams() ? warps : sumOps.contains(op) ? sumWarps : aheadWarps;
}

bool KernelLowering::isHere(Value tile) {
  return !copying && (team == Team::all || sums.contains(tile) == (team == Team::sums));
}

bool KernelLowering::isHere(Operation *op) {
  if (team == Team::all || isa<scf::ForOp, scf::IfOp>(op) ||
      staged.contains(op->getNumResults() ? op->getResult(0) : Value()))
    return true;
  bool tiles = llvm::any_of(op->getResultTypes(), llvm::IsaPred<tile::TileType>) || tile::writtenMemory(op);
  return !tiles || sumOps.contains(op) == (team == Team::sums);
}

int64_t KernelLowering::handedBytes(Value value) {
  auto type = typeOf(value);
  return handed[value].operand ? SharedTile{0, {}, type.getRows(), type.getColumns(), 1}.bytes() : type.getRows() * 4;
}

/// Places and mbarriers of what is handed over: a ring of one slot for all tiles of a type, which both teams come by in
/// the same order.
void KernelLowering::makeHanded(llvm::function_ref<void(int64_t barriers, int64_t full, int64_t empty)> add) {
  llvm::DenseMap<Type, Handed> places;
  for (auto &[value, own] : handed) {
    auto type = typeOf(value);
    auto [place, isNew] = places.insert({type, own});
    if (isNew) {
      place->second.offset = shared.allocate(handedBytes(value), own.operand ? 1024 : 128);
      place->second.barriers = shared.allocate(16, 16);
      place->second.ring = rings.size();
      rings.push_back({1, {}, {}, {value}});
      // Arrivals of a warp: what threads write and read, each lane answers for itself (leavesByLanes).
      int64_t each = own.operand ? 1 : kLanes;
      add(place->second.barriers, each * aheadWarps, each * sumWarps);
    }
    own = place->second;
  }
}

void KernelLowering::enterTeam(Team next) {
  team = next;
  warps = next == Team::sums ? sumWarps : aheadWarps;
  shared.enterTeam(next == Team::sums ? 1 : kAheadBarrier, workers());
  fragments.clear();
  sharedTiles.clear();
  stored.clear();
  loaded.clear();
  besideGroups.clear();
  findDying();
}

/// Rows of a column that a thread has, and where they stand.
void KernelLowering::forHandedRows(const Distribution &shape, int64_t offset,
                                   llvm::function_ref<void(int64_t at, Value place, int64_t plus)> body) {
  Value first = code.add(code.mul(rowOf(shape, 0, 0), 4), offset);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half)
      body(shape.at(slab, 0, half, 0), first, shape.rowAt(slab, half) * 4);
}

void KernelLowering::handOver(Value value) {
  Handed &own = handed[value];
  Ring &ring = rings[own.ring];
  // The first round finds the place empty.
  code.waitBarrier(code.constant32(own.barriers + 8), code.exclusiveOr(ring.phase, code.constant32(1)));
  const Fragment from = fragmentOf(value);
  if (own.operand) {
    storeByMatrices(from, SharedTile{own.offset, {}, from.shape.rows, from.shape.columns, 1});
    code.fenceForProducts();
  } else {
    Value writer = isWriter(from.shape);
    forHandedRows(from.shape, own.offset, [&](int64_t at, Value place, int64_t plus) {
      code.storeShared({code.bitsOf(from.values[at])}, place, writer, plus);
    });
  }
  code.warpBarrier();
  code.handOver(code.constant32(own.barriers),
                own.operand ? code.equal(lane, code.constant32(0)) : code.lessThan(lane, code.constant32(kLanes)));
  ring.phase = code.exclusiveOr(ring.phase, code.constant32(1));
}

/// What an op of the sums takes of the other team; once a turn.
void KernelLowering::receiveFor(Operation &op) {
  for (Value value : op.getOperands()) {
    auto it = handed.find(value);
    if (it == handed.end() || sharedTiles.contains(value) || fragments.contains(value))
      continue;
    const Handed &own = it->second;
    Ring &ring = rings[own.ring];
    code.waitBarrier(code.constant32(own.barriers), ring.phase);
    ring.phase = code.exclusiveOr(ring.phase, code.constant32(1));
    Value empty = code.constant32(own.barriers + 8);
    if (own.operand) {
      sharedTiles[value] = {own.offset, code.constant32(0), typeOf(value).getRows(), typeOf(value).getColumns(), 1};
      emptyBarrierOf[value] = empty;
      continue;
    }
    Distribution shape = distributionOf(value);
    Fragment column{shape, code.f32(), SmallVector<Value>(shape.registers())};
    forHandedRows(shape, own.offset, [&](int64_t at, Value place, int64_t plus) {
      column.values[at] = code.realOf(code.loadShared(place, 1, plus)[0]);
    });
    bind(value, std::move(column));
    code.warpBarrier();
    code.arrive(empty, code.lessThan(lane, code.constant32(kLanes)));
  }
}
