#include "compiler/conversion/AttnToTile/SoftmaxPages.h"

using namespace mlir;
using namespace denim;

static Value dividedBy(Emitter &e, Value x, int64_t n) {
  return arith::DivUIOp::create(e.b, e.loc, x, e.index(n));
}

Value softmax::Pages::at(Emitter &e, Value number) const {
  if (!skipped)
    return number;
  return e.add(number, arith::SelectOp::create(e.b, e.loc, e.less(number, globals), e.index(0), skipped));
}

Value softmax::oldestKey(Emitter &e, const attn::VisibleKeys &keys, Value position) {
  if (keys.window)
    return e.max(e.sub(position, e.index(static_cast<int64_t>(*keys.window) - 1)), e.index(0));
  if (!keys.blockSize)
    return e.index(0);
  auto size = static_cast<int64_t>(*keys.blockSize), others = static_cast<int64_t>(*keys.localBlocks) - 1;
  return e.mul(e.max(e.sub(dividedBy(e, position, size), e.index(others)), e.index(0)), size);
}

softmax::Pages softmax::visiblePages(Emitter &e, const attn::VisibleKeys &keys, Value position, Value last,
                                     int64_t step) {
  Pages pages{e.index(0), e.add(dividedBy(e, last, step), e.index(1)), {}, {}};
  if (keys.all())
    return pages;
  Value local = dividedBy(e, oldestKey(e, keys, position), step);
  if (!keys.global()) {
    pages.first = local;
    return pages;
  }
  pages.globals = e.index(llvm::divideCeil(keys.global(), step));
  pages.skipped = e.max(e.sub(local, pages.globals), e.index(0));
  pages.end = e.sub(pages.end, pages.skipped);
  return pages;
}

Value softmax::sees(OpBuilder &b, Location loc, const attn::VisibleKeys &keys, Value back,
                    llvm::function_ref<Value()> key) {
  auto i32 = [&](int64_t n) -> Value { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(n)); };
  Value isPast = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, back, i32(0));
  if (keys.all())
    return isPast;
  Value position = keys.blockSize || keys.global() ? key() : Value(), isNear;
  if (keys.window) {
    isNear = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, back, i32(*keys.window));
  } else {
    auto size = static_cast<int64_t>(*keys.blockSize), others = static_cast<int64_t>(*keys.localBlocks) - 1;
    Value block = arith::DivUIOp::create(b, loc, arith::AddIOp::create(b, loc, position, back), i32(size));
    Value start = arith::MulIOp::create(b, loc, arith::SubIOp::create(b, loc, block, i32(others)), i32(size));
    isNear = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, position, start);
  }
  if (keys.global()) {
    Value isGlobal = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, position, i32(keys.global()));
    isNear = arith::OrIOp::create(b, loc, isNear, isGlobal);
  }
  return arith::AndIOp::create(b, loc, isPast, isNear);
}
