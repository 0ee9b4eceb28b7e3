// Blocks, loops and branches. A loop carries each tile in one storage: its initial value is copied there (or is there
// already), each round reads it there and leaves the next one there, and the loop's result lives there on.
#include "codegen/builder/ScalarOps.h"
#include "codegen/cpu/KernelLowering.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

LogicalResult KernelLowering::lowerItems(Value begin, Value end) {
  loadArguments();
  if (layouts.usesMatrixUnit())
    code.configureTiles(storages[allocateBytes(64)].place.base);
  LogicalResult result = success();
  code.loop(begin, end, 1, [&](Value item) {
    scalars.map(kernel.getItem(), code.toIndex(item));
    result = lowerBlock(*kernel.getBlock());
  });
  if (layouts.usesMatrixUnit())
    code.releaseTiles();
  return result;
}

LogicalResult KernelLowering::lowerBlock(Block &block) {
  for (Value argument : block.getArguments())
    if (isa<tile::TileType>(argument.getType())) {
      copyTransposed(argument);
      makeTiles(argument);
    }
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>())
      break;
    if (failed(lowerOp(op)))
      return failure();
    for (Value result : op.getResults())
      if (isa<tile::TileType>(result.getType())) {
        copyTransposed(result);
        makeTiles(result);
      }
    releaseDead(op);
  }
  return success();
}

LogicalResult KernelLowering::lowerOp(Operation &op) {
  code.loc = op.getLoc();
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<scf::ForOp, scf::IfOp>([&](auto o) { return lower(o); })
      .Case<tile::CountOp, tile::SequenceOp, tile::RowsOp, tile::SlotOp, tile::PageOp, tile::BlockOp, tile::StackedOp,
            tile::LoadOp, tile::GatherOp, tile::StoreOp, tile::ScatterOp, tile::SplatOp, tile::WindowOp,
            tile::TransposeOp, tile::FlattenOp, tile::ExtractOp, tile::MapOp, tile::ReduceOp, tile::CumsumOp,
            tile::SpreadOp, tile::MmaOp, tile::SolveOp>([&](auto o) {
        lower(o);
        return success();
      })
      .Default([&](Operation *o) { return cloneScalarOp(code.builder, *o, scalars); });
}

/// Asks that the yielded tiles be made in the storages, where an op of the block makes them.
void KernelLowering::requestPlaces(Block &block, ValueRange yielded, ArrayRef<int> wanted) {
  for (auto [value, storage] : llvm::zip_equal(yielded, wanted))
    if (storage >= 0 && value.getDefiningOp() && value.getParentBlock() == &block && !requested.count(value))
      requested[value] = storage;
}

/// Brings the yielded tiles to their storages. One that still lies in another one's storage goes by way of scratch.
void KernelLowering::yieldInto(Operation *terminator, ValueRange, ArrayRef<int> wanted) {
  SmallVector<std::pair<int, int>> later; // temporary to storage
  auto liesIn = [&](const Place &place, const Storage &storage) { return place.base == storage.place.base; };
  for (auto [value, storage] : llvm::zip_equal(terminator->getOperands(), wanted)) {
    if (storage < 0)
      continue;
    const Place from = placeOf(value);
    if (!from.splat && liesIn(from, storages[storage]))
      continue;
    // A window of a carried tile has another base: anything that is no storage of its own waits as well.
    bool elsewhere = from.splat || (storageOf.count(value) && !llvm::any_of(wanted, [&](int other) {
                                      return other >= 0 && liesIn(from, storages[other]);
                                    }));
    if (elsewhere)
      continue;
    int temporary = allocate(typeOf(value), naturalAxis(typeOf(value)));
    access.copy(from, storages[temporary].place);
    later.push_back({temporary, storage});
  }
  for (auto [value, storage] : llvm::zip_equal(terminator->getOperands(), wanted)) {
    if (storage < 0 || llvm::any_of(later, [&, s = storage](auto &p) { return p.second == s; }))
      continue;
    const Place from = placeOf(value);
    if (from.splat || !liesIn(from, storages[storage]))
      access.copy(from, storages[storage].place);
  }
  for (auto [temporary, storage] : later) {
    access.copy(storages[temporary].place, storages[storage].place);
    release(temporary);
  }
}

LogicalResult KernelLowering::lower(scf::ForOp op) {
  Block &body = *op.getBody();
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  SmallVector<int> wanted;
  SmallVector<Value> initial;
  for (auto [init, argument] : llvm::zip_equal(op.getInitArgs(), op.getRegionIterArgs())) {
    if (!isa<tile::TileType>(init.getType())) {
      initial.push_back(scalarOf(init));
      wanted.push_back(-1);
      continue;
    }
    auto it = storageOf.find(init);
    bool takes = it != storageOf.end() && init.hasOneUse() && init.getParentBlock() == op->getBlock() &&
                 storages[it->second].occupant == init && !storages[it->second].carried;
    int storage;
    if (takes) {
      storage = it->second;
    } else {
      storage = allocate(typeOf(init), naturalAxis(typeOf(init)));
      access.copy(placeOf(init), storages[storage].place);
    }
    storages[storage].carried = true;
    hold(storage, argument);
    wanted.push_back(storage);
  }
  auto loop = scf::ForOp::create(code.builder, op.getLoc(), scalarOf(op.getLowerBound()), scalarOf(op.getUpperBound()),
                                 scalarOf(op.getStep()), initial);
  for (auto [from, to] : llvm::zip(
           llvm::make_filter_range(op.getRegionIterArgs(), [](Value v) { return !isa<tile::TileType>(v.getType()); }),
           loop.getRegionIterArgs()))
    scalars.map(from, to);
  scalars.map(op.getInductionVar(), loop.getInductionVar());
  {
    OpBuilder::InsertionGuard guard(code.builder);
    if (initial.empty())
      code.builder.setInsertionPoint(loop.getBody()->getTerminator());
    else
      code.builder.setInsertionPointToEnd(loop.getBody());
    requestPlaces(body, yield.getOperands(), wanted);
    findAhead(op, body);
    if (failed(lowerBlock(body)))
      return failure();
    yieldInto(yield, op.getResults(), wanted);
    SmallVector<Value> next;
    for (Value operand : yield.getOperands())
      if (!isa<tile::TileType>(operand.getType()))
        next.push_back(scalarOf(operand));
    if (!initial.empty())
      scf::YieldOp::create(code.builder, op.getLoc(), next);
    releaseDead(*yield);
  }
  auto result = loop.getResults().begin();
  for (auto [value, storage] : llvm::zip_equal(op.getResults(), wanted)) {
    if (storage < 0) {
      scalars.map(value, *result++);
      continue;
    }
    storages[storage].carried = false;
    hold(storage, value);
  }
  return success();
}

LogicalResult KernelLowering::lower(scf::IfOp op) {
  SmallVector<int> wanted;
  SmallVector<Type> types;
  for (Value result : op.getResults()) {
    if (!isa<tile::TileType>(result.getType())) {
      types.push_back(result.getType());
      wanted.push_back(-1);
      continue;
    }
    int storage = allocate(typeOf(result), naturalAxis(typeOf(result)));
    storages[storage].carried = true;
    wanted.push_back(storage);
  }
  auto branch = scf::IfOp::create(code.builder, op.getLoc(), types, scalarOf(op.getCondition()),
                                  /*addThenBlock=*/true, /*addElseBlock=*/!op.getElseRegion().empty());
  auto lowerBranch = [&](Region &from, Region &to) -> LogicalResult {
    if (from.empty())
      return success();
    OpBuilder::InsertionGuard guard(code.builder);
    Block &block = from.front();
    if (to.front().empty())
      code.builder.setInsertionPointToEnd(&to.front());
    else
      code.builder.setInsertionPoint(&to.front().back());
    auto yield = cast<scf::YieldOp>(block.getTerminator());
    requestPlaces(block, yield.getOperands(), wanted);
    if (failed(lowerBlock(block)))
      return failure();
    yieldInto(yield, op.getResults(), wanted);
    SmallVector<Value> next;
    for (Value operand : yield.getOperands())
      if (!isa<tile::TileType>(operand.getType()))
        next.push_back(scalarOf(operand));
    if (to.front().empty() || !to.front().back().hasTrait<OpTrait::IsTerminator>())
      scf::YieldOp::create(code.builder, op.getLoc(), next);
    releaseDead(*yield);
    for (int storage : wanted)
      if (storage >= 0)
        storages[storage].occupant = Value();
    return success();
  };
  if (failed(lowerBranch(op.getThenRegion(), branch.getThenRegion())) ||
      failed(lowerBranch(op.getElseRegion(), branch.getElseRegion())))
    return failure();
  auto result = branch.getResults().begin();
  for (auto [value, storage] : llvm::zip_equal(op.getResults(), wanted)) {
    if (storage < 0) {
      scalars.map(value, *result++);
      continue;
    }
    storages[storage].carried = false;
    hold(storage, value);
  }
  return success();
}
