// Rows that the next round of a loop copies are asked for while this one computes.
//
// A chunk of a sequence reads some rows of each activation, a head's columns of each. They lie pages apart, where the
// hardware does not look ahead from one to the next, and are copied or read where they stand before anything else is
// computed of them. So where a round takes exponentials of a tile of the same shape, as decays per channel do, it asks
// with each vector for the same elements of the next round, into the second cache: rows that are a power of two apart
// would drive each other out of the first. What lies behind the last row does no harm. Sides of a branch count as what
// they stand in: the next round most likely takes the same one.
//
// Only there: asked for all at once, or by ops that have little to compute themselves, they hold up what comes behind
// (measured; test/perf/README.md).
#include "codegen/cpu/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

static bool isSameInEveryRound(Value value, scf::ForOp loop) {
  if (loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *op = value.getDefiningOp();
  return op && op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) { return isSameInEveryRound(operand, loop); });
}

/// Whether the row goes up by the step of the loop from one round to the next.
static bool goesAlong(Value row, scf::ForOp loop) {
  if (row == loop.getInductionVar())
    return true;
  auto sum = row.getDefiningOp<arith::AddIOp>();
  return sum && ((goesAlong(sum.getLhs(), loop) && isSameInEveryRound(sum.getRhs(), loop)) ||
                 (goesAlong(sum.getRhs(), loop) && isSameInEveryRound(sum.getLhs(), loop)));
}

void KernelLowering::findAhead(scf::ForOp loop) {
  // By shape: loads, and maps with exponentials.
  llvm::MapVector<std::pair<int64_t, int64_t>, std::pair<SmallVector<tile::LoadOp>, SmallVector<tile::MapOp>>> shapes;
  auto ofShape = [&](Value tile) -> auto & {
    return shapes[{typeOf(tile).getRows(), typeOf(tile).getColumns()}];
  };
  auto find = [&](auto &find, Block &block) -> void {
    for (Operation &op : block) {
      if (auto branch = dyn_cast<scf::IfOp>(op))
        for (Region &side : branch->getRegions())
          if (!side.empty())
            find(find, side.front());
      auto map = dyn_cast<tile::MapOp>(op);
      if (map &&
          llvm::any_of(map.getBody().front(), [](Operation &inner) { return isa<math::ExpOp, math::Exp2Op>(inner); }))
        ofShape(map.getResult()).second.push_back(map);
      auto load = dyn_cast<tile::LoadOp>(op);
      if (load && !load.getTransposed() && typeOf(load.getResult()).getRows() > 1 &&
          isa<BlockArgument>(load.getMemory()) && goesAlong(load.getRow(), loop) &&
          isSameInEveryRound(load.getColumn(), loop))
        ofShape(load.getResult()).first.push_back(load);
    }
  };
  find(find, *loop.getBody());
  for (auto &[shape, ops] : shapes) {
    auto &[loads, maps] = ops;
    if (loads.empty())
      continue;
    // What is computed behind all of them, and where they are known: what the address is made of is there by then.
    llvm::erase_if(maps, [&](tile::MapOp map) {
      return llvm::any_of(loads, [&](tile::LoadOp load) {
        Operation *at = load->getBlock()->findAncestorOpInBlock(*map);
        return !at || at->isBeforeInBlock(load);
      });
    });
    for (auto [i, load] : llvm::enumerate(loads))
      if (size_t place = i * maps.size() / loads.size(); place < maps.size())
        ahead[maps[place]].push_back({load, loop});
  }
}

void KernelLowering::askAhead(ArrayRef<Ahead> loads, Value row, Value column) {
  for (auto [load, loop] : loads) {
    Value from = code.add(code.add(i64Of(load.getRow()), i64Of(loop.getStep())), row);
    Place place = memoryWindow(load.getMemory(), from, code.add(i64Of(load.getColumn()), column), 1, 1);
    code.prefetch(place.base, /*level=*/2);
  }
}
