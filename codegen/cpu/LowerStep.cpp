// What a kernel knows of the step it runs in: fields of denim_batch_t, and the memory its arguments stand for. The
// offsets come from the struct itself, so the header is the only place that knows its layout.
#include "codegen/cpu/KernelLowering.h"
#include "runtime/abi/Kernel.h"
#include <cstddef>

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

static_assert(DENIM_KERNEL_ABI_VERSION == 1, "expected the lowering to be looked through for the new version");

Value KernelLowering::batchField(size_t offset, Type type) {
  return code.load(type, code.advance(batch, int64_t(offset), code.builder.getI8Type()), 8);
}

/// Entry of a list of i32, as i64.
Value KernelLowering::listEntry(Value list, Value index) {
  return code.toI64(code.load(code.i32(), code.advance(list, index, code.i32()), 4));
}

void KernelLowering::loadArguments() {
  for (auto [i, memory] : llvm::enumerate(kernel.getMemories())) {
    pointers[memory] = code.load(code.pointerType(), code.advance(arguments, int64_t(i), code.i64()), 8);
    roots[memory] = memory;
  }
}

void KernelLowering::lower(tile::CountOp op) {
  Value count;
  switch (op.getKind()) {
  case tile::CountKind::once:
    count = code.constant(1);
    break;
  case tile::CountKind::tokens:
    count = batchField(offsetof(denim_batch_t, token_count), code.i64());
    break;
  case tile::CountKind::outputs:
    count = batchField(offsetof(denim_batch_t, output_count), code.i64());
    break;
  case tile::CountKind::sequences:
    count = batchField(offsetof(denim_batch_t, sequence_count), code.i64());
    break;
  }
  scalars.map(op.getResult(), code.toIndex(count));
}

void KernelLowering::lower(tile::SequenceOp op) {
  Value rowBegin = batchField(offsetof(denim_batch_t, row_begin), code.pointerType());
  Value past = batchField(offsetof(denim_batch_t, past), code.pointerType());
  Value index = i64Of(op.getIndex());
  scalars.map(op.getBegin(), code.toIndex(listEntry(rowBegin, index)));
  scalars.map(op.getEnd(), code.toIndex(listEntry(rowBegin, code.add(index, 1))));
  scalars.map(op.getPast(), code.toIndex(listEntry(past, index)));
}

void KernelLowering::lower(tile::RowsOp op) {
  size_t offset = op.getList() == tile::RowList::tokens      ? offsetof(denim_batch_t, tokens)
                  : op.getList() == tile::RowList::positions ? offsetof(denim_batch_t, positions)
                                                             : offsetof(denim_batch_t, outputs);
  Value list = batchField(offset, code.pointerType()), row = i64Of(op.getRow());
  Place to = placeResult(op.getResult());
  Value present = code.max(code.min(code.sub(i64Of(op.getCount()), row), code.constant(to.rows)), code.constant(0));
  Value zero = code.constant(0);
  code.loop(zero, present, 1, [&](Value i) {
    access.setScalar(to, i, zero, code.load(code.i32(), code.advance(list, code.add(row, i), code.i32()), 4));
  });
  code.loop(present, code.constant(to.rows), 1,
            [&](Value i) { access.setScalar(to, i, zero, code.scalarConstant(code.i32(), 0)); });
}

void KernelLowering::lower(tile::SlotOp op) {
  Value table = pointers.lookup(op.getSlots());
  pointers[op.getResult()] = code.load(code.pointerType(), code.advance(table, i64Of(op.getSequence()), code.i64()), 8);
  roots[op.getResult()] = op.getSlots();
}

void KernelLowering::lower(tile::PageOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  Value table = batchField(offsetof(denim_batch_t, pages), code.pointerType());
  Value begin = batchField(offsetof(denim_batch_t, page_begin), code.pointerType());
  Value entry = code.add(listEntry(begin, i64Of(op.getSequence())), i64Of(op.getPage()));
  Value page = listEntry(table, entry);
  int64_t head = type.getTokens() * type.getColumns();
  Value offset = code.add(code.mul(page, type.getHeads() * head), code.mul(i64Of(op.getHead()), head));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
  roots[op.getResult()] = op.getPages();
}

void KernelLowering::lower(tile::BlockOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  int64_t head = type.getTokens() * type.getColumns();
  Value offset = code.add(code.mul(i64Of(op.getNumber()), type.getHeads() * head), code.mul(i64Of(op.getHead()), head));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
  roots[op.getResult()] = op.getPages();
}

void KernelLowering::lower(tile::StackedOp op) {
  Value table = pointers.lookup(op.getStack());
  pointers[op.getResult()] = code.load(code.pointerType(), code.advance(table, i64Of(op.getIndex()), code.i64()), 8);
  roots[op.getResult()] = op.getStack();
}
