// Blocks, loops and branches. Tiles that a loop carries are carried register by register.
#include "codegen/nvptx/KernelLowering.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

KernelLowering::KernelLowering(tile::KernelOp kernel, Code &code, Precision precision, Value batch,
                               ArrayRef<Value> arguments)
    : kernel(kernel), code(code), precision(precision), warps(chooseWarps(kernel)), shared(code), batch(batch) {
  for (auto [memory, argument] : llvm::zip_equal(kernel.getMemories(), arguments))
    pointers[memory] = argument;
  thread = code.threadNumber();
  lane = code.modulo(thread, 32);
  // The number of the warp as one value for all its lanes: the assembler then keeps what follows from it once a warp.
  warp = code.shuffleIndex(code.divide(thread, 32), 0);
  laneRow = code.divide(lane, 4);
  laneColumn = code.modulo(lane, 4);
}

LogicalResult KernelLowering::lower() {
  findSharedOperands();
  scalars.map(kernel.getItem(), code.toIndex(code.blockNumber()));
  return lowerBlock(*kernel.getBlock());
}

LogicalResult KernelLowering::lowerBlock(Block &block) {
  for (Value argument : block.getArguments())
    if (isa<tile::TileType>(argument.getType()))
      shareIfWanted(argument);
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>())
      break;
    if (failed(lowerOp(op)))
      return failure();
    for (Value result : op.getResults())
      if (isa<tile::TileType>(result.getType()))
        shareIfWanted(result);
    releaseDead(op);
  }
  return success();
}

LogicalResult KernelLowering::lowerOp(Operation &op) {
  code.loc = op.getLoc();
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<scf::ForOp, scf::IfOp, tile::ExtractOp, tile::SolveOp>([&](auto o) { return lower(o); })
      .Case<tile::CountOp, tile::SequenceOp, tile::RowsOp, tile::SlotOp, tile::PageOp, tile::StackedOp, tile::LoadOp,
            tile::GatherOp, tile::StoreOp, tile::SplatOp, tile::WindowOp, tile::MapOp, tile::ReduceOp,
            tile::CumsumOp, tile::MmaOp>([&](auto o) {
        lower(o);
        return success();
      })
      .Default([&](Operation *o) -> LogicalResult {
        bool tiles = llvm::any_of(o->getOperandTypes(), llvm::IsaPred<tile::TileType>) ||
                     llvm::any_of(o->getResultTypes(), llvm::IsaPred<tile::TileType>);
        if (tiles || o->getNumRegions() != 0)
          return o->emitError() << "expected a tile op, scf.for, scf.if or a scalar op, but got '" << o->getName()
                                << "'";
        code.builder.clone(*o, scalars);
        return success();
      });
}

SmallVector<Value> KernelLowering::flatten(ValueRange values) {
  SmallVector<Value> flat;
  for (Value value : values) {
    if (auto type = dyn_cast<tile::TileType>(value.getType()))
      llvm::append_range(flat, fragmentOf(value, distributionOf(type).grid).values);
    else
      flat.push_back(scalarOf(value));
  }
  return flat;
}

SmallVector<Type> KernelLowering::flatTypes(TypeRange types) {
  SmallVector<Type> flat;
  for (Type type : types) {
    if (auto tile = dyn_cast<tile::TileType>(type))
      flat.append(distributionOf(tile).registers(), tile.getElementType());
    else
      flat.push_back(type);
  }
  return flat;
}

void KernelLowering::unflatten(ValueRange values, ValueRange registers) {
  size_t next = 0;
  for (Value value : values) {
    auto type = dyn_cast<tile::TileType>(value.getType());
    if (!type) {
      scalars.map(value, registers[next++]);
      continue;
    }
    Distribution shape = distributionOf(type);
    ValueRange own = registers.slice(next, shape.registers());
    bind(value, {shape, type.getElementType(), SmallVector<Value>(own.begin(), own.end())});
    next += shape.registers();
  }
}

LogicalResult KernelLowering::lower(scf::ForOp op) {
  Block &body = *op.getBody();
  SmallVector<Value> initial = flatten(op.getInitArgs());
  shared.settle();
  LogicalResult result = success();
  auto results = code.loop(scalarOf(op.getLowerBound()), scalarOf(op.getUpperBound()), scalarOf(op.getStep()), initial,
                           [&](Value counter, ValueRange carried) {
                             scalars.map(op.getInductionVar(), counter);
                             unflatten(op.getRegionIterArgs(), carried);
                             result = lowerBlock(body);
                             if (failed(result))
                               return SmallVector<Value>(carried);
                             auto next = flatten(body.getTerminator()->getOperands());
                             releaseDead(*body.getTerminator());
                             shared.settle();
                             return next;
                           });
  unflatten(op.getResults(), results);
  return result;
}

LogicalResult KernelLowering::lower(scf::IfOp op) {
  shared.settle();
  LogicalResult result = success();
  auto fill = [&](Block &block) {
    SmallVector<Value> values;
    if (succeeded(result))
      result = lowerBlock(block);
    if (succeeded(result)) {
      values = flatten(block.getTerminator()->getOperands());
      releaseDead(*block.getTerminator());
      shared.settle();
    } else {
      for (Type type : flatTypes(op.getResultTypes()))
        values.push_back(code.ofType(code.constant32(0), type));
    }
    return values;
  };
  SmallVector<Type> types = flatTypes(op.getResultTypes());
  SmallVector<Value> results;
  if (op.getElseRegion().empty())
    results = code.branch(scalarOf(op.getCondition()), types, [&] { return fill(op.getThenRegion().front()); });
  else
    results = code.branch(
        scalarOf(op.getCondition()), types, [&] { return fill(op.getThenRegion().front()); },
        [&] { return fill(op.getElseRegion().front()); });
  unflatten(op.getResults(), results);
  return result;
}
