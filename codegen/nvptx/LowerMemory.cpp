// Loads and stores. A thread reads the elements it holds, two neighbours at a time where the address allows it; what
// only products read goes to shared memory in pieces of 16 bytes, without passing through fragments.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <numeric>

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

int64_t KernelLowering::divisorOf(Value value) {
  constexpr int64_t kAny = 1 << 20; // of zero, and where products would grow without end
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && argument == loop.getInductionVar())
      return std::gcd(divisorOf(loop.getLowerBound()), divisorOf(loop.getStep()));
    return 1;
  }
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto integer = dyn_cast<IntegerAttr>(constant.getValue());
    return !integer ? 1 : integer.getInt() == 0 ? kAny : std::abs(integer.getInt());
  }
  auto both = [&] { return std::gcd(divisorOf(op->getOperand(0)), divisorOf(op->getOperand(1))); };
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp, arith::RemUIOp>(op))
    return both();
  if (isa<arith::MulIOp>(op))
    return std::gcd(divisorOf(op->getOperand(0)) * divisorOf(op->getOperand(1)), kAny);
  if (isa<arith::SelectOp>(op))
    return std::gcd(divisorOf(op->getOperand(1)), divisorOf(op->getOperand(2)));
  return 1;
}

Fragment KernelLowering::loadRows(const Distribution &shape, Type stored, bool pairs, RowAddress address) {
  bool real = isa<FloatType>(stored), half16 = Code::bytesOf(stored) == 2;
  Fragment to{shape, real ? code.f32() : stored, SmallVector<Value>(shape.registers())};
  pairs &= !shape.oneColumn() && shape.columns % 2 == 0;
  auto widen = [&](Value word, bool high) {
    return stored.isBF16() ? code.unpackBrain(word, high) : code.unpackHalf(word, high);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t h = 0; h < shape.halves(); ++h) {
      auto [base, rowPredicate] = address(rowOf(shape, slab, h));
      for (int64_t group = 0; group < shape.groups(); ++group) {
        Value column = columnOf(shape, group, 0);
        if (pairs) {
          Value at = code.advance(base, column, stored);
          Value predicate = code.both(rowPredicate, columnInside(shape, column));
          auto words = code.loadWords(at, half16 ? 1 : 2, predicate);
          for (int64_t e = 0; e < 2; ++e)
            to.values[shape.at(slab, group, h, e)] =
                half16 ? widen(words[0], e == 1) : code.ofType(words[e], to.element);
          continue;
        }
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value own = columnOf(shape, group, e), at = code.advance(base, own, stored);
          Value predicate = code.both(rowPredicate, columnInside(shape, own));
          to.values[shape.at(slab, group, h, e)] = half16
                                                       ? widen(code.loadHalfWord(at, predicate), false)
                                                       : code.ofType(code.loadWords(at, 1, predicate)[0], to.element);
        }
      }
    }
  return to;
}

Fragment KernelLowering::loadFragment(tile::LoadOp op) {
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  Distribution shape = distributionOf(op.getResult());
  Value pointer = pointers.lookup(op.getMemory()), row = i64Of(op.getRow()), column = i64Of(op.getColumn());
  Type stored = memory.getElementType();
  auto within = [&](Value r) -> Value { // r: i64 row of memory
    if (!op.getLo())
      return {};
    return code.both(arith::CmpIOp::create(code.builder, code.loc, arith::CmpIPredicate::sge, r, i64Of(op.getLo())),
                     code.lessThan(r, i64Of(op.getHi())));
  };
  Value base = code.advance(pointer, code.add(code.mul(row, memory.getColumns()), column), stored);
  if (!op.getTransposed())
    return loadRows(shape, stored, memory.getColumns() % 2 == 0 && divisorOf(op.getColumn()) % 2 == 0,
                    [&](Value r) -> std::pair<Value, Value> {
                      return {code.advance(base, code.mul(r, memory.getColumns()), stored),
                              code.both(within(code.add(row, code.toI64(r))), rowInside(shape, r))};
                    });
  // Element (i, j) stands at row j, column i of memory.
  Fragment to{shape, isa<FloatType>(stored) ? code.f32() : stored, {}};
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t half = 0; half < shape.halves(); ++half)
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value i = rowOf(shape, slab, half), j = columnOf(shape, group, e);
          Value at = code.advance(base, code.add(code.mul(j, memory.getColumns()), i), stored);
          Value predicate = code.both(within(code.add(row, code.toI64(j))),
                                      code.both(rowInside(shape, i), columnInside(shape, j)));
          Value value;
          if (Code::bytesOf(stored) == 2) {
            Value word = code.loadHalfWord(at, predicate);
            value = stored.isBF16() ? code.unpackBrain(word, false) : code.unpackHalf(word, false);
          } else {
            value = code.ofType(code.loadWords(at, 1, predicate)[0], to.element);
          }
          to.values.push_back(value);
        }
  return to;
}

void KernelLowering::lower(tile::LoadOp op) {
  if (!onlyShared.contains(op.getResult()))
    bind(op.getResult(), loadFragment(op));
}

void KernelLowering::lower(tile::GatherOp op) {
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  Distribution shape = distributionOf(op.getResult());
  Fragment rows = fragmentOf(op.getRows(), shape.grid);
  Value base = code.advance(pointers.lookup(op.getMemory()), i64Of(op.getColumn()), memory.getElementType());
  int64_t next = 0; // rows are asked for in the order they are held
  bind(op.getResult(),
       loadRows(shape, memory.getElementType(), memory.getColumns() % 2 == 0 && divisorOf(op.getColumn()) % 2 == 0,
                [&](Value r) -> std::pair<Value, Value> {
                  Value number = code.toI64(rows.values[next++]);
                  return {code.advance(base, code.mul(number, memory.getColumns()), memory.getElementType()),
                          rowInside(shape, r)};
                }));
}

void KernelLowering::lower(tile::StoreOp op) {
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  const Fragment &from = fragmentOf(op.getValue());
  const Distribution &shape = from.shape;
  Type stored = memory.getElementType();
  Value row = i64Of(op.getRow());
  Value base = code.advance(pointers.lookup(op.getMemory()),
                            code.add(code.mul(row, memory.getColumns()), i64Of(op.getColumn())), stored);
  bool half16 = Code::bytesOf(stored) == 2;
  bool pairs = !shape.oneColumn() && shape.columns % 2 == 0 && memory.getColumns() % 2 == 0 &&
               divisorOf(op.getColumn()) % 2 == 0;
  Value writer = isWriter(shape);
  auto pack = [&](Value low, Value high) {
    return stored.isBF16() ? code.packBrain(low, high) : code.packHalf(low, high);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      Value r = rowOf(shape, slab, half);
      Value predicate = code.both(writer, rowInside(shape, r));
      if (op.getLo()) {
        Value at = code.add(row, code.toI64(r));
        predicate = code.both(predicate, arith::CmpIOp::create(code.builder, code.loc, arith::CmpIPredicate::sge, at,
                                                               i64Of(op.getLo())));
        predicate = code.both(predicate, code.lessThan(at, i64Of(op.getHi())));
      }
      Value line = code.advance(base, code.mul(r, memory.getColumns()), stored);
      for (int64_t group = 0; group < shape.groups(); ++group) {
        if (pairs) {
          Value column = columnOf(shape, group, 0);
          Value low = from.at(slab, group, half, 0), high = from.at(slab, group, half, 1);
          SmallVector<Value> words;
          if (half16)
            words = {pack(low, high)};
          else
            words = {code.bitsOf(low), code.bitsOf(high)};
          code.storeWords(words, code.advance(line, column, stored),
                          code.both(predicate, columnInside(shape, column)));
          continue;
        }
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value column = columnOf(shape, group, e), value = from.at(slab, group, half, e);
          Value at = code.advance(line, column, stored);
          Value own = code.both(predicate, columnInside(shape, column));
          if (half16)
            code.storeHalfWord(pack(value, value), at, own);
          else
            code.storeWords({code.bitsOf(value)}, at, own);
        }
      }
    }
}
