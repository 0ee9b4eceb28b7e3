#include "codegen/builder/ArithBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim::codegen;

int64_t ArithBuilder::bytesOf(Type element) {
  return (element.getIntOrFloatBitWidth() + 7) / 8;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Integers
//===--------------------------------------------------------------------------------------------------------------===//

Value ArithBuilder::integer(Type type, int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(type, value));
}
Value ArithBuilder::constant(int64_t value) {
  return integer(i64(), value);
}
Value ArithBuilder::constant32(int64_t value) {
  return integer(i32(), value);
}

std::optional<int64_t> ArithBuilder::constantOf(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto attribute = constant ? dyn_cast<IntegerAttr>(constant.getValue()) : IntegerAttr();
  return attribute ? std::optional(attribute.getInt()) : std::nullopt;
}

Value ArithBuilder::add(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  if (x && y)
    return integer(a.getType(), *x + *y);
  if (x && *x == 0)
    return b;
  if (y && *y == 0)
    return a;
  return arith::AddIOp::create(builder, loc, a, b);
}
Value ArithBuilder::add(Value a, int64_t b) {
  return b == 0 ? a : add(a, integer(a.getType(), b));
}
Value ArithBuilder::sub(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  return x && y ? integer(a.getType(), *x - *y) : Value(arith::SubIOp::create(builder, loc, a, b));
}
Value ArithBuilder::mul(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  return x && y ? integer(a.getType(), *x * *y) : Value(arith::MulIOp::create(builder, loc, a, b));
}
Value ArithBuilder::mul(Value a, int64_t b) {
  return b == 1 ? a : mul(a, integer(a.getType(), b));
}
Value ArithBuilder::min(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  return x && y ? integer(a.getType(), std::min(*x, *y)) : mini(a, b);
}
Value ArithBuilder::max(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  return x && y ? integer(a.getType(), std::max(*x, *y)) : maxi(a, b);
}
Value ArithBuilder::lessThan(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
}
Value ArithBuilder::equal(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, b);
}
Value ArithBuilder::both(Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  return arith::AndIOp::create(builder, loc, a, b);
}

Value ArithBuilder::toI64(Value value) {
  if (value.getType() == i64())
    return value;
  if (!value.getType().isIndex())
    return arith::ExtSIOp::create(builder, loc, i64(), value);
  if (auto x = constantOf(value))
    return constant(*x);
  return arith::IndexCastOp::create(builder, loc, i64(), value);
}
Value ArithBuilder::toI32(Value value) {
  if (value.getType() == i32())
    return value;
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(builder, loc, i32(), value);
  return arith::TruncIOp::create(builder, loc, i32(), value);
}
Value ArithBuilder::toIndex(Value value) {
  if (value.getType().isIndex())
    return value;
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Reals, and integers element by element
//===--------------------------------------------------------------------------------------------------------------===//

Value ArithBuilder::addf(Value a, Value b) {
  return arith::AddFOp::create(builder, loc, a, b);
}
Value ArithBuilder::subf(Value a, Value b) {
  return arith::SubFOp::create(builder, loc, a, b);
}
Value ArithBuilder::mulf(Value a, Value b) {
  return arith::MulFOp::create(builder, loc, a, b);
}
Value ArithBuilder::maxf(Value a, Value b) {
  return arith::MaximumFOp::create(builder, loc, a, b);
}
Value ArithBuilder::minf(Value a, Value b) {
  return arith::MinimumFOp::create(builder, loc, a, b);
}
Value ArithBuilder::maxi(Value a, Value b) {
  return arith::MaxSIOp::create(builder, loc, a, b);
}
Value ArithBuilder::mini(Value a, Value b) {
  return arith::MinSIOp::create(builder, loc, a, b);
}
Value ArithBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(builder, loc, condition, a, b);
}
