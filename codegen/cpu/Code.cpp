#include "codegen/cpu/Code.h"
#include "dialects/interfaces/Interfaces.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace denim::codegen;

//===--------------------------------------------------------------------------------------------------------------===//
// Types and i64
//===--------------------------------------------------------------------------------------------------------------===//

Type Code::pointerType() {
  return LLVM::LLVMPointerType::get(builder.getContext());
}

Type Code::storageOf(Type element) {
  if (element.isBF16() || element.isF16())
    return builder.getI16Type();
  return element.isInteger(1) || blockFormatOf(element) ? builder.getI8Type() : element;
}

Value Code::divide(Value a, int64_t by) {
  if (auto x = constantOf(a))
    return constant(*x / by);
  return arith::DivSIOp::create(builder, loc, a, constant(by));
}
Value Code::roundDown(Value a, int64_t multiple) {
  return mul(divide(a, multiple), multiple);
}
//===--------------------------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------------------------===//

Value Code::advance(Value pointer, Value elements, Type element) {
  if (auto x = constantOf(elements))
    return advance(pointer, *x, element);
  return LLVM::GEPOp::create(builder, loc, pointerType(), storageOf(element), pointer, LLVM::GEPArg(elements));
}
Value Code::advance(Value pointer, int64_t elements, Type element) {
  if (elements == 0)
    return pointer;
  // A constant index of GEPOp has 32 bits.
  if (elements != int32_t(elements))
    return LLVM::GEPOp::create(builder, loc, pointerType(), storageOf(element), pointer,
                               LLVM::GEPArg(constant(elements)));
  return LLVM::GEPOp::create(builder, loc, pointerType(), storageOf(element), pointer, LLVM::GEPArg(int32_t(elements)));
}
Value Code::load(Type type, Value pointer, int64_t alignment) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, alignment);
}
Value Code::load(Type scalar, Value pointer) {
  return load(scalar, pointer, isa<LLVM::LLVMPointerType>(scalar) ? 8 : bytesOf(scalar));
}
void Code::store(Value value, Value pointer, int64_t alignment) {
  LLVM::StoreOp::create(builder, loc, value, pointer, alignment);
}
Value Code::maskedLoad(Type type, Value pointer, Value mask, int64_t alignment) {
  Value nothing = LLVM::ZeroOp::create(builder, loc, type);
  return LLVM::MaskedLoadOp::create(builder, loc, type, pointer, mask, nothing, uint32_t(alignment));
}
void Code::maskedStore(Value value, Value pointer, Value mask, int64_t alignment) {
  LLVM::MaskedStoreOp::create(builder, loc, value, pointer, mask, uint32_t(alignment));
}
void Code::prefetch(Value pointer, int level) {
  LLVM::Prefetch::create(builder, loc, pointer, /*rw=*/0u, /*hint=*/unsigned(4 - level), /*cache=*/1u);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Vectors
//===--------------------------------------------------------------------------------------------------------------===//

Value Code::laneMask(int64_t count) {
  SmallVector<bool> bits;
  for (int64_t i = 0; i < lanes; ++i)
    bits.push_back(i < count);
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(vectorOf(builder.getI1Type()), ArrayRef<bool>(bits)));
}
Value Code::laneNumbers() {
  SmallVector<int32_t> numbers;
  for (int64_t i = 0; i < lanes; ++i)
    numbers.push_back(i);
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorOf(i32()), ArrayRef<int32_t>(numbers)));
}
Value Code::scalarConstant(Type element, double value) {
  TypedAttr attribute = isa<FloatType>(element) ? TypedAttr(builder.getFloatAttr(element, value))
                                                : TypedAttr(builder.getIntegerAttr(element, int64_t(value)));
  return arith::ConstantOp::create(builder, loc, attribute);
}
Value Code::broadcast(Value scalar) {
  if (isa<VectorType>(scalar.getType()))
    return scalar;
  if (auto constant = scalar.getDefiningOp<arith::ConstantOp>())
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(vectorOf(scalar.getType()), Attribute(constant.getValue())));
  return vector::BroadcastOp::create(builder, loc, vectorOf(scalar.getType()), scalar);
}
Value Code::addi(Value a, Value b) {
  return arith::AddIOp::create(builder, loc, a, b);
}
Value Code::negf(Value a) {
  return arith::NegFOp::create(builder, loc, a);
}
Value Code::fma(Value a, Value b, Value c) {
  if (!target.fusedMultiplyAdd)
    return addf(mulf(a, b), c);
  if (!isa<VectorType>(a.getType()))
    return math::FmaOp::create(builder, loc, a, b, c);
  return vector::FMAOp::create(builder, loc, a, b, c);
}
Value Code::shuffle(Value a, Value b, ArrayRef<int64_t> mask) {
  return vector::ShuffleOp::create(builder, loc, a, b, mask);
}
Value Code::extract(Value vector, int64_t lane) {
  return vector::ExtractOp::create(builder, loc, vector, lane);
}
Value Code::insert(Value scalar, Value vector, int64_t lane) {
  return vector::InsertOp::create(builder, loc, scalar, vector, lane);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Narrow elements
//===--------------------------------------------------------------------------------------------------------------===//

/// `element` in the shape of `shape`: itself, or a vector of it.
static Type inShapeOf(Type shape, Type element) {
  auto vector = dyn_cast<VectorType>(shape);
  return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
}

Value Code::integerConstantLike(Type type, int64_t value) {
  Type element = getElementTypeOrSelf(type);
  IntegerAttr attribute = builder.getIntegerAttr(element, value);
  auto vector = dyn_cast<VectorType>(type);
  return arith::ConstantOp::create(
      builder, loc, vector ? TypedAttr(DenseElementsAttr::get(vector, Attribute(attribute))) : TypedAttr(attribute));
}

/// f16 bits (as i32) to f32 without the instruction: the exponent moves by 112. A subnormal number stands behind 2^-14
/// and is what is left without that; as it is, it would be denormal in f32, which kernels take for zero.
Value Code::widenHalf(Value bits) {
  auto integer = bits.getType();
  auto real = inShapeOf(integer, f32());
  auto k = [&](int64_t v) { return integerConstantLike(integer, v); };
  Value magnitude = arith::AndIOp::create(builder, loc, bits, k(0x7fff));
  Value shifted = arith::ShLIOp::create(builder, loc, magnitude, k(13));
  Value least = k(int64_t(127 - 14) << 23); // 2^-14
  Value behind = arith::SubFOp::create(builder, loc, arith::BitcastOp::create(builder, loc, real, addi(shifted, least)),
                                       arith::BitcastOp::create(builder, loc, real, least));
  Value isSmall = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, magnitude, k(0x400));
  Value finite =
      select(isSmall, arith::BitcastOp::create(builder, loc, integer, behind), addi(shifted, k(int64_t(112) << 23)));
  Value special = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::uge, magnitude, k(0x7c00));
  Value full = arith::OrIOp::create(builder, loc, shifted, k(0x7f800000));
  Value sign = arith::ShLIOp::create(builder, loc, arith::AndIOp::create(builder, loc, bits, k(0x8000)), k(16));
  Value joined = arith::OrIOp::create(builder, loc, select(special, full, finite), sign);
  return arith::BitcastOp::create(builder, loc, real, joined);
}

/// f32 to f16 bits (as i32), nearest even. Normal results round in integers; subnormal ones let the adder round, by
/// adding the number whose last place is the f16 subnormals' place; above the largest, infinity; NaN stays NaN.
Value Code::narrowHalf(Value value) {
  auto real = value.getType();
  auto integer = inShapeOf(real, i32());
  auto k = [&](int64_t v) { return integerConstantLike(integer, v); };
  auto compare = [&](arith::CmpIPredicate p, Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, p, a, b);
  };
  Value bits = arith::BitcastOp::create(builder, loc, integer, value);
  Value sign = arith::AndIOp::create(builder, loc, arith::ShRUIOp::create(builder, loc, bits, k(16)), k(0x8000));
  Value magnitude = arith::AndIOp::create(builder, loc, bits, k(0x7fffffff));
  Value odd = arith::AndIOp::create(builder, loc, arith::ShRUIOp::create(builder, loc, magnitude, k(13)), k(1));
  Value rounded = addi(addi(magnitude, k(-(int64_t(112) << 23) + 0xfff)), odd);
  Value normal = arith::ShRUIOp::create(builder, loc, rounded, k(13));
  Value magic = k(int64_t(127 - 15 + 23 - 10 + 1) << 23);
  Value sum = addf(arith::BitcastOp::create(builder, loc, real, magnitude),
                   arith::BitcastOp::create(builder, loc, real, magic));
  Value subnormal = arith::SubIOp::create(builder, loc, arith::BitcastOp::create(builder, loc, integer, sum), magic);
  Value result = select(compare(arith::CmpIPredicate::slt, magnitude, k(113 << 23)), subnormal, normal);
  result = select(compare(arith::CmpIPredicate::sge, magnitude, k(0x477ff000)), k(0x7c00), result);
  result = select(compare(arith::CmpIPredicate::sgt, magnitude, k(0x7f800000)), k(0x7e00), result);
  return arith::OrIOp::create(builder, loc, result, sign);
}

/// f32 to bf16 bits (as i32), nearest even; a NaN keeps its upper bits and is made quiet.
Value Code::narrowBrain(Value value) {
  auto integer = inShapeOf(value.getType(), i32());
  auto k = [&](int64_t v) { return integerConstantLike(integer, v); };
  Value bits = arith::BitcastOp::create(builder, loc, integer, value);
  Value upper = arith::ShRUIOp::create(builder, loc, bits, k(16));
  Value odd = arith::AndIOp::create(builder, loc, upper, k(1));
  Value rounded = arith::ShRUIOp::create(builder, loc, addi(addi(bits, k(0x7fff)), odd), k(16));
  Value isNaN = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, value, value);
  return select(isNaN, arith::OrIOp::create(builder, loc, upper, k(0x40)), rounded);
}

Value Code::widen(Value stored, Type element) {
  Type shape = stored.getType();
  if (element.isInteger(1))
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, stored, integerConstantLike(shape, 0));
  if (element.isBF16()) {
    Type integer = inShapeOf(shape, i32());
    Value wide = arith::ExtUIOp::create(builder, loc, integer, stored);
    wide = arith::ShLIOp::create(builder, loc, wide, integerConstantLike(integer, 16));
    return arith::BitcastOp::create(builder, loc, inShapeOf(shape, f32()), wide);
  }
  if (element.isF16()) {
    if (!target.halfConvert)
      return widenHalf(arith::ExtUIOp::create(builder, loc, inShapeOf(shape, i32()), stored));
    Value half = arith::BitcastOp::create(builder, loc, inShapeOf(shape, builder.getF16Type()), stored);
    return arith::ExtFOp::create(builder, loc, inShapeOf(shape, f32()), half);
  }
  return stored;
}

Value Code::widenBytes(Value bytes, bool hasSign) {
  Type integer = inShapeOf(bytes.getType(), i32());
  return hasSign ? Value(arith::ExtSIOp::create(builder, loc, integer, bytes))
                 : Value(arith::ExtUIOp::create(builder, loc, integer, bytes));
}
Value Code::toReal(Value integer) {
  return arith::SIToFPOp::create(builder, loc, inShapeOf(integer.getType(), f32()), integer);
}
Value Code::fourBits(Value bytes, Value first) {
  if (auto known = constantOf(first); !known || *known != 0)
    bytes = shiftRight(bytes, first);
  return arith::AndIOp::create(builder, loc, bytes, integerConstantLike(bytes.getType(), 15));
}

Value Code::shiftRight(Value integers, Value by) {
  return arith::ShRUIOp::create(builder, loc, integers, isa<VectorType>(integers.getType()) ? broadcast(by) : by);
}
Value Code::lookUp(ArrayRef<float> numbers, Value indices) {
  Value table = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorOf(f32()), numbers));
  return LLVM::CallIntrinsicOp::create(builder, loc, vectorOf(f32()),
                                       builder.getStringAttr("llvm.x86.avx512.permvar.sf.512"),
                                       ValueRange{table, indices})
      .getResult(0);
}

Value Code::widenPair(Value pairs, bool second) {
  Type integer = pairs.getType();
  Value bits =
      second ? Value(arith::AndIOp::create(builder, loc, pairs, integerConstantLike(integer, int32_t(0xffff0000))))
             : Value(arith::ShLIOp::create(builder, loc, pairs, integerConstantLike(integer, 16)));
  return arith::BitcastOp::create(builder, loc, inShapeOf(integer, f32()), bits);
}

Value Code::narrow(Value value, Type element) {
  Type shape = value.getType();
  if (element.isInteger(1))
    return arith::ExtUIOp::create(builder, loc, inShapeOf(shape, builder.getI8Type()), value);
  Type bits = inShapeOf(shape, builder.getI16Type());
  if (element.isBF16()) {
    if (!target.bf16Convert)
      return arith::TruncIOp::create(builder, loc, bits, narrowBrain(value));
    Value brain = arith::TruncFOp::create(builder, loc, inShapeOf(shape, element), value);
    return arith::BitcastOp::create(builder, loc, bits, brain);
  }
  if (element.isF16()) {
    if (!target.halfConvert)
      return arith::TruncIOp::create(builder, loc, bits, narrowHalf(value));
    Value half = arith::TruncFOp::create(builder, loc, inShapeOf(shape, element), value);
    return arith::BitcastOp::create(builder, loc, bits, half);
  }
  return value;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Tiles of the matrix unit
//===--------------------------------------------------------------------------------------------------------------===//

void Code::callIntrinsic(StringRef name, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name), operands);
}

/// Tiles are named by number, which leaves nothing for LLVM to allocate or to spill: tiles never live across control
/// flow that their product did not write.
static Value tileNumber(OpBuilder &builder, Location loc, int64_t tile) {
  return arith::ConstantOp::create(builder, loc, builder.getI8IntegerAttr(tile));
}

void Code::configureTiles(Value scratch) {
  // Byte 0: palette 1. From byte 16: bytes of a row of each tile, 16 bits each. From byte 48: rows of each tile.
  SmallVector<int32_t> words(16, 0);
  words[0] = 1;
  for (int i = 4; i < 8; ++i)
    words[i] = 64 << 16 | 64;
  for (int i = 12; i < 14; ++i)
    words[i] = 0x10101010;
  Value description =
      arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorOf(i32()), ArrayRef<int32_t>(words)));
  store(description, scratch, 64);
  callIntrinsic("llvm.x86.ldtilecfg", scratch);
}
void Code::releaseTiles() {
  callIntrinsic("llvm.x86.tilerelease", {});
}
void Code::zeroTile(int64_t tile) {
  callIntrinsic("llvm.x86.tilezero", tileNumber(builder, loc, tile));
}
void Code::loadTile(int64_t tile, Value pointer, Value strideBytes) {
  callIntrinsic("llvm.x86.tileloadd64", {tileNumber(builder, loc, tile), pointer, strideBytes});
}
void Code::storeTile(int64_t tile, Value pointer, Value strideBytes) {
  callIntrinsic("llvm.x86.tilestored64", {tileNumber(builder, loc, tile), pointer, strideBytes});
}
void Code::multiplyTiles(int64_t sums, int64_t left, int64_t right) {
  callIntrinsic("llvm.x86.tdpbf16ps",
                {tileNumber(builder, loc, sums), tileNumber(builder, loc, left), tileNumber(builder, loc, right)});
}

Value Code::pairAcross(Value a, Value b) {
  Type integer = inShapeOf(a.getType(), i32());
  Value low = arith::ShRUIOp::create(builder, loc, arith::BitcastOp::create(builder, loc, integer, a),
                                     integerConstantLike(integer, 16));
  Value high = arith::AndIOp::create(builder, loc, arith::BitcastOp::create(builder, loc, integer, b),
                                     integerConstantLike(integer, int32_t(0xffff0000)));
  return arith::OrIOp::create(builder, loc, low, high);
}
Value Code::pairAlong(Value a, Value b) {
  auto halves = VectorType::get({2 * lanes}, builder.getI16Type());
  SmallVector<int64_t> upper;
  for (int64_t i = 0; i < 2 * lanes; ++i)
    upper.push_back(2 * i + 1);
  Value joined = shuffle(vector::BitCastOp::create(builder, loc, halves, a),
                         vector::BitCastOp::create(builder, loc, halves, b), upper);
  return vector::BitCastOp::create(builder, loc, vectorOf(i32()), joined);
}
Value Code::upperHalf(Value value) {
  Type integer = inShapeOf(value.getType(), i32());
  Value bits = arith::AndIOp::create(builder, loc, arith::BitcastOp::create(builder, loc, integer, value),
                                     integerConstantLike(integer, int32_t(0xffff0000)));
  return arith::BitcastOp::create(builder, loc, value.getType(), bits);
}
Value Code::roundToBrain(Value value) {
  return widen(narrow(value, builder.getBF16Type()), builder.getBF16Type());
}

//===--------------------------------------------------------------------------------------------------------------===//
// Control
//===--------------------------------------------------------------------------------------------------------------===//

void Code::loop(Value low, Value high, int64_t step, LoopBody body) {
  loop(low, high, step, ValueRange(), [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

SmallVector<Value> Code::loop(Value low, Value high, int64_t step, ValueRange carried, CarryingBody body) {
  auto x = constantOf(low), y = constantOf(high);
  if (x && y && *x >= *y)
    return llvm::to_vector(carried);
  if (x && y && *x + step >= *y)
    return body(low, carried);
  auto loopOp = scf::ForOp::create(builder, loc, low, high, constant(step), carried);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = loopOp.getBody();
  // Without carried values the builder has made the terminator; with them it is ours to make.
  if (carried.empty())
    builder.setInsertionPoint(block->getTerminator());
  else
    builder.setInsertionPointToEnd(block);
  SmallVector<Value> next = body(loopOp.getInductionVar(), loopOp.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(loopOp.getResults());
}

void Code::branch(Value condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto ifOp = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  then();
  if (otherwise) {
    builder.setInsertionPointToStart(ifOp.elseBlock());
    otherwise();
  }
}
