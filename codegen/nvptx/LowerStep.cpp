// What a kernel knows of the step it runs in: fields of denim_batch_t, and the memory its arguments stand for. The
// offsets come from the struct itself, so the header is the only place that knows its layout.
#include "codegen/nvptx/KernelLowering.h"
#include "runtime/abi/Kernel.h"
#include <cstddef>

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

Value KernelLowering::batchField(size_t offset, Type type) {
  return code.load(type, code.advance(batch, code.constant(int64_t(offset)), code.builder.getI8Type()));
}

/// Entry of a list of i32, as i64.
Value KernelLowering::listEntry(Value list, Value index) {
  return code.toI64(code.load(code.i32(), code.advance(list, index, code.i32())));
}

Value KernelLowering::rowList(tile::RowList list) {
  size_t offset = list == tile::RowList::tokens      ? offsetof(denim_batch_t, tokens)
                  : list == tile::RowList::positions ? offsetof(denim_batch_t, positions)
                                                     : offsetof(denim_batch_t, outputs);
  return batchField(offset, code.globalPointer());
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
  Value rowBegin = batchField(offsetof(denim_batch_t, row_begin), code.globalPointer());
  Value past = batchField(offsetof(denim_batch_t, past), code.globalPointer());
  Value index = i64Of(op.getIndex());
  scalars.map(op.getBegin(), code.toIndex(listEntry(rowBegin, index)));
  scalars.map(op.getEnd(), code.toIndex(listEntry(rowBegin, code.add(index, 1))));
  scalars.map(op.getPast(), code.toIndex(listEntry(past, index)));
}

void KernelLowering::lower(tile::RowsOp op) {
  Distribution shape = distributionOf(op.getResult());
  Value list = rowList(op.getList()), row = i64Of(op.getRow()), count = i64Of(op.getCount());
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
  Value table = pointers.lookup(op.getSlots());
  pointers[op.getResult()] = code.load(code.globalPointer(), code.advance(table, i64Of(op.getSequence()), code.i64()));
}

void KernelLowering::lower(tile::PageOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  Value table = batchField(offsetof(denim_batch_t, pages), code.globalPointer());
  Value begin = batchField(offsetof(denim_batch_t, page_begin), code.globalPointer());
  Value entry = code.add(listEntry(begin, i64Of(op.getSequence())), i64Of(op.getPage()));
  Value page = listEntry(table, entry);
  int64_t head = type.getTokens() * type.getColumns();
  Value offset = code.add(code.mul(page, type.getHeads() * head), code.mul(i64Of(op.getHead()), head));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
}

void KernelLowering::lower(tile::BlockOp op) {
  auto type = cast<tile::PagesType>(op.getPages().getType());
  int64_t head = type.getTokens() * type.getColumns();
  Value offset = code.add(code.mul(i64Of(op.getNumber()), type.getHeads() * head), code.mul(i64Of(op.getHead()), head));
  pointers[op.getResult()] = code.advance(pointers.lookup(op.getPages()), offset, type.getElementType());
}

void KernelLowering::lower(tile::StackedOp op) {
  Value table = pointers.lookup(op.getStack());
  pointers[op.getResult()] = code.load(code.globalPointer(), code.advance(table, i64Of(op.getIndex()), code.i64()));
}
