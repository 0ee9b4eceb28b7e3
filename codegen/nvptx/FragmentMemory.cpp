// Memory that kernels of one step hand to each other in the order of their registers.
//
// An accumulator has two neighbours of a row in a thread (Fragment.h). In row-major memory of f32 these are 8 bytes in
// each of eight rows: an instruction touches eight lines, and a tile of 128 x 128 takes 32 of them. Who alone writes
// and reads a memory may have it stand as it wants: `tile.fragments` on a kernel names such memories by number. There
// rows come in slabs of 16, a slab in groups of 8 columns, and a group as the four registers of each lane, which are 16
// bytes; an instruction of a warp moves 512 bytes that follow each other.
//
//     row 16 s + g + 8 h, column 8 c + 2 t + e      word ((s * groups + c) * 32 + 4 g + t) * 4 + 2 h + e
//
// That is the same for all kernels, however many warps they have, where tiles begin at a slab and have whole rows.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kSlabRows = 16, kGroupBytes = 512, kLaneBytes = 16;

bool KernelLowering::standsInFragments(Value memory) {
  auto numbers = kernel->getAttrOfType<DenseI64ArrayAttr>("tile.fragments");
  auto root = dyn_cast<BlockArgument>(rootOf(memory));
  return numbers && root && llvm::is_contained(numbers.asArrayRef(), int64_t(root.getArgNumber()));
}

LogicalResult KernelLowering::verifyFragmentMemories() {
  auto refuse = [](Operation *op, Type got) {
    op->emitOpError() << "expected whole rows of f32 from a multiple of " << kSlabRows
                      << " on, in a kernel with products, where a memory stands in fragments, but got " << got;
    return WalkResult::interrupt();
  };
  auto isWhole = [&](Value memory, Value tile, Value row) {
    auto stored = cast<tile::MemoryType>(memory.getType());
    Distribution shape = distributionOf(tile);
    return stored.getElementType().isF32() && shape.columns == stored.getColumns() && shape.columns % 8 == 0 &&
           shape.rows % kSlabRows == 0 && divisorOf(row) % kSlabRows == 0 && shape.joined == 1 && !shape.sliding &&
           !shape.padsRows() && !shape.padsColumns();
  };
  WalkResult result = kernel.walk([&](Operation *op) {
    if (auto load = dyn_cast<tile::LoadOp>(op)) {
      bool isRight = isWhole(load.getMemory(), load.getResult(), load.getRow()) && !load.getLo() &&
                     !load.getTransposed() && !onlyShared.contains(load.getResult()) &&
                     !staged.contains(load.getResult());
      if (standsInFragments(load.getMemory()) && !isRight)
        return refuse(op, load.getResult().getType());
    } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
      bool isRight = isWhole(store.getMemory(), store.getValue(), store.getRow()) && !store.getLo();
      if (standsInFragments(store.getMemory()) && !isRight)
        return refuse(op, store.getValue().getType());
    } else if (isa<tile::GatherOp, tile::ScatterOp>(op)) {
      for (Value operand : op->getOperands())
        if (isa<tile::MemoryType>(operand.getType()) && standsInFragments(operand))
          return refuse(op, operand.getType());
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// Where the registers of the first slab and group of a lane stand; rows begin at a slab.
Value KernelLowering::placeInFragments(const View &view, const Distribution &shape, Value row) {
  Value at = code.mul(code.toI64(row), view.columns * 4);
  Value own = code.mul(lane, kLaneBytes);
  if (shape.grid.down > 1)
    own = code.add(own, code.mul(warpDown(shape.grid), kSlabRows * view.columns * 4));
  if (shape.grid.across > 1)
    own = code.add(own, code.mul(warpAcross(shape.grid), shape.groups() * kGroupBytes));
  return code.advance(view.pointer, code.add(at, code.toI64(own)), code.builder.getI8Type());
}

static int64_t bytesTo(const Distribution &shape, int64_t columns, int64_t slab, int64_t group) {
  return slab * shape.grid.down * kSlabRows * columns * 4 + group * kGroupBytes;
}

Fragment KernelLowering::loadInFragments(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  Fragment to{distributionOf(op.getResult()), code.f32(), {}};
  to.values.resize(to.shape.registers());
  Value from = placeInFragments(view, to.shape, i64Of(op.getRow()));
  for (int64_t slab = 0; slab < to.shape.slabs(); ++slab)
    for (int64_t group = 0; group < to.shape.groups(); ++group) {
      auto words = code.loadWords(from, 4, Value(), bytesTo(to.shape, view.columns, slab, group));
      for (int64_t n = 0; n < 4; ++n)
        to.values[to.shape.at(slab, group, n / 2, n % 2)] = code.ofType(words[n], code.f32());
    }
  return to;
}

void KernelLowering::storeInFragments(tile::StoreOp op) {
  View view = viewOf(op.getMemory());
  const Fragment from = fragmentOf(op.getValue());
  Value to = placeInFragments(view, from.shape, i64Of(op.getRow()));
  for (int64_t slab = 0; slab < from.shape.slabs(); ++slab)
    for (int64_t group = 0; group < from.shape.groups(); ++group) {
      SmallVector<Value, 4> words;
      for (int64_t n = 0; n < 4; ++n)
        words.push_back(code.bitsOf(from.at(slab, group, n / 2, n % 2)));
      code.storeWords(words, to, Value(), bytesTo(from.shape, view.columns, slab, group));
    }
}
