// What a kernel knows of the step it runs in, and the memory its arguments stand for.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

void KernelLowering::lower(tile::CountOp op) {
  scalars.map(op.getResult(), code.toIndex(step.count(op.getKind())));
}

void KernelLowering::lower(tile::SequenceOp op) {
  auto bounds = step.bounds(i64Of(op.getIndex()));
  scalars.map(op.getBegin(), code.toIndex(bounds.begin));
  scalars.map(op.getEnd(), code.toIndex(bounds.end));
  scalars.map(op.getPast(), code.toIndex(bounds.past));
}

void KernelLowering::lower(tile::RowsOp op) {
  Distribution shape = distributionOf(op.getResult());
  Value list = step.list(op.getList()), row = i64Of(op.getRow()), count = i64Of(op.getCount());
  Fragment to{shape, code.i32(), {}};
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      Value inTile = rowOf(shape, slab, half);
      Value entry = code.add(row, code.toI64(inTile));
      Value present = code.both(code.lessThan(entry, count), rowInside(shape, inTile));
      to.values.push_back(code.loadWords(code.advance(list, entry, code.i32()), 1, present)[0]);
    }
  bind(op.getResult(), to);
}

void KernelLowering::lower(tile::SlotOp op) {
  pointers[op.getResult()] = step.pointer(pointers.lookup(op.getSlots()), i64Of(op.getSequence()));
}

void KernelLowering::lower(tile::PageOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  Value number = step.pageNumber(i64Of(op.getSequence()), i64Of(op.getPage()));
  Value offset = step.blockOffset(type, number, i64Of(op.getHead()));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
}

void KernelLowering::lower(tile::BlockOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  Value offset = step.blockOffset(type, i64Of(op.getNumber()), i64Of(op.getHead()));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
}

void KernelLowering::lower(tile::StackedOp op) {
  pointers[op.getResult()] = step.pointer(pointers.lookup(op.getStack()), i64Of(op.getIndex()));
}
