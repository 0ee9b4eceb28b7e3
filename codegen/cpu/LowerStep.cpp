// What a kernel knows of the step it runs in, and the memory its arguments stand for.
#include "codegen/cpu/KernelLowering.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void KernelLowering::loadArguments() {
  for (auto [i, memory] : llvm::enumerate(kernel.getMemories())) {
    pointers[memory] = step.pointer(arguments, code.constant(int64_t(i)));
    roots[memory] = memory;
  }
}

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
  Value list = step.list(op.getList()), row = i64Of(op.getRow());
  Place to = placeResult(op.getResult());
  Value present = code.max(code.min(code.sub(i64Of(op.getCount()), row), code.constant(to.rows)), code.constant(0));
  Value zero = code.constant(0);
  code.loop(zero, present, 1, [&](Value i) {
    access.setScalar(to, i, zero, code.load(code.i32(), code.advance(list, code.add(row, i), code.i32())));
  });
  code.loop(present, code.constant(to.rows), 1,
            [&](Value i) { access.setScalar(to, i, zero, code.scalarConstant(code.i32(), 0)); });
}

void KernelLowering::lower(tile::SlotOp op) {
  pointers[op.getResult()] = step.pointer(pointers.lookup(op.getSlots()), i64Of(op.getSequence()));
  roots[op.getResult()] = op.getSlots();
}

void KernelLowering::lower(tile::PageOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  Value number = step.pageNumber(i64Of(op.getSequence()), i64Of(op.getPage()));
  Value offset = step.blockOffset(type, number, i64Of(op.getHead()));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
  roots[op.getResult()] = op.getPages();
}

void KernelLowering::lower(tile::BlockOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  Value offset = step.blockOffset(type, i64Of(op.getNumber()), i64Of(op.getHead()));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
  roots[op.getResult()] = op.getPages();
}

void KernelLowering::lower(tile::StackedOp op) {
  pointers[op.getResult()] = step.pointer(pointers.lookup(op.getStack()), i64Of(op.getIndex()));
  roots[op.getResult()] = op.getStack();
}
