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

bool KernelLowering::isImage(tile::PagesType type) {
  return type.getElementType().isBF16() && type.getColumns() % 64 == 0 && type.getTokens() % 16 == 0;
}

KernelLowering::View KernelLowering::viewOf(Value memory) {
  auto type = cast<tile::MemoryType>(memory.getType());
  tile::PagesType pages = pagesOf(memory);
  return {pointers.lookup(memory), type.getColumns(), type.getElementType(),
          pages && isImage(pages) ? pages.getTokens() : 0};
}

/// The pages that a memory is one of, or null.
tile::PagesType KernelLowering::pagesOf(Value memory) {
  Operation *op = memory.getDefiningOp();
  return isa_and_nonnull<tile::PageOp, tile::BlockOp>(op) ? cast<tile::PagesType>(op->getOperand(0).getType())
                                                          : tile::PagesType();
}

Value KernelLowering::elementAddress(const View &view, Value row, Value column) {
  if (!view.imageRows) {
    Value line = code.advance(view.pointer, code.mul(code.toI64(row), view.columns), view.stored);
    return code.advance(line, column, view.stored);
  }
  // Panels of 64 columns, pieces of 8 columns exchanged by xor with the row (SharedTile).
  Value row32 = code.toI32(row), column32 = code.toI32(column);
  Value piece = code.exclusiveOr(code.modulo(code.divide(column32, 8), 8), code.modulo(row32, 8));
  Value offset = code.add(code.mul(row32, 64), code.add(code.mul(piece, 8), code.modulo(column32, 8)));
  if (view.columns > 64)
    offset = code.add(offset, code.mul(code.divide(column32, 64), 64 * view.imageRows));
  return code.advance(view.pointer, offset, view.stored);
}

Value KernelLowering::within(Value row, Value lo, Value hi) {
  if (!lo)
    return {};
  Value above = arith::CmpIOp::create(code.builder, code.loc, arith::CmpIPredicate::sge, row, i64Of(lo));
  return code.both(above, code.lessThan(row, i64Of(hi)));
}

Fragment KernelLowering::loadRows(const Distribution &shape, const View &view, Value first, bool pairs,
                                  RowOfMemory rowOfMemory) {
  Type stored = view.stored;
  bool real = isa<FloatType>(stored), half16 = Code::bytesOf(stored) == 2;
  Fragment to{shape, real ? code.f32() : stored, SmallVector<Value>(shape.registers())};
  pairs &= !shape.oneColumn() && shape.columns % 2 == 0;
  auto widen = [&](Value word, bool high) {
    return stored.isBF16() ? code.unpackBrain(word, high) : code.unpackHalf(word, high);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t h = 0; h < shape.halves(); ++h) {
      auto [row, rowPredicate] = rowOfMemory(rowOf(shape, slab, h));
      for (int64_t group = 0; group < shape.groups(); ++group) {
        if (pairs) {
          Value column = columnOf(shape, group, 0);
          Value at = elementAddress(view, row, code.add(first, code.toI64(column)));
          Value predicate = code.both(rowPredicate, columnInside(shape, column));
          auto words = code.loadWords(at, half16 ? 1 : 2, predicate);
          for (int64_t e = 0; e < 2; ++e)
            to.values[shape.at(slab, group, h, e)] =
                half16 ? widen(words[0], e == 1) : code.ofType(words[e], to.element);
          continue;
        }
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value column = columnOf(shape, group, e);
          Value at = elementAddress(view, row, code.add(first, code.toI64(column)));
          Value predicate = code.both(rowPredicate, columnInside(shape, column));
          to.values[shape.at(slab, group, h, e)] = half16
                                                       ? widen(code.loadHalfWord(at, predicate), false)
                                                       : code.ofType(code.loadWords(at, 1, predicate)[0], to.element);
        }
      }
    }
  return to;
}

Fragment KernelLowering::loadFragment(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  Value row = i64Of(op.getRow()), first = i64Of(op.getColumn());
  if (!op.getTransposed())
    return loadRows(shape, view, first, view.columns % 2 == 0 && divisorOf(op.getColumn()) % 2 == 0,
                    [&](Value r) -> std::pair<Value, Value> {
                      Value at = code.add(row, code.toI64(r));
                      return {at, code.both(within(at, op.getLo(), op.getHi()), rowInside(shape, r))};
                    });
  // Element (i, j) stands at row j, column i of memory.
  Fragment to{shape, isa<FloatType>(view.stored) ? code.f32() : view.stored, {}};
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t half = 0; half < shape.halves(); ++half)
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value i = rowOf(shape, slab, half), j = columnOf(shape, group, e);
          Value down = code.add(row, code.toI64(j));
          Value at = elementAddress(view, down, code.add(first, code.toI64(i)));
          Value predicate =
              code.both(within(down, op.getLo(), op.getHi()), code.both(rowInside(shape, i), columnInside(shape, j)));
          Value value;
          if (Code::bytesOf(view.stored) == 2) {
            Value word = code.loadHalfWord(at, predicate);
            value = view.stored.isBF16() ? code.unpackBrain(word, false) : code.unpackHalf(word, false);
          } else {
            value = code.ofType(code.loadWords(at, 1, predicate)[0], to.element);
          }
          to.values.push_back(value);
        }
  return to;
}

void KernelLowering::lower(tile::LoadOp op) {
  if (staged.contains(op.getResult()))
    awaitStaged(op);
  else if (!onlyShared.contains(op.getResult()))
    bind(op.getResult(), loadFragment(op));
}

void KernelLowering::lower(tile::GatherOp op) {
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  Fragment rows = fragmentOf(op.getRows(), shape.grid);
  int64_t next = 0; // rows are asked for in the order they are held
  bind(op.getResult(),
       loadRows(shape, view, i64Of(op.getColumn()), view.columns % 2 == 0 && divisorOf(op.getColumn()) % 2 == 0,
                [&](Value r) -> std::pair<Value, Value> {
                  return {code.toI64(rows.values[next++]), rowInside(shape, r)};
                }));
}

void KernelLowering::lower(tile::StoreOp op) {
  View view = viewOf(op.getMemory());
  const Fragment from = fragmentOf(op.getValue());
  const Distribution &shape = from.shape;
  Type stored = view.stored;
  Value row = i64Of(op.getRow()), first = i64Of(op.getColumn());
  bool half16 = Code::bytesOf(stored) == 2;
  bool pairs =
      !shape.oneColumn() && shape.columns % 2 == 0 && view.columns % 2 == 0 && divisorOf(op.getColumn()) % 2 == 0;
  Value writer = isWriter(shape);
  auto pack = [&](Value low, Value high) {
    return stored.isBF16() ? code.packBrain(low, high) : code.packHalf(low, high);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      Value r = rowOf(shape, slab, half), at = code.add(row, code.toI64(r));
      Value predicate = code.both(code.both(writer, rowInside(shape, r)), within(at, op.getLo(), op.getHi()));
      for (int64_t group = 0; group < shape.groups(); ++group) {
        if (pairs) {
          Value column = columnOf(shape, group, 0);
          Value low = from.at(slab, group, half, 0), high = from.at(slab, group, half, 1);
          SmallVector<Value> words;
          if (half16)
            words = {pack(low, high)};
          else
            words = {code.bitsOf(low), code.bitsOf(high)};
          code.storeWords(words, elementAddress(view, at, code.add(first, code.toI64(column))),
                          code.both(predicate, columnInside(shape, column)));
          continue;
        }
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value column = columnOf(shape, group, e), value = from.at(slab, group, half, e);
          Value to = elementAddress(view, at, code.add(first, code.toI64(column)));
          Value own = code.both(predicate, columnInside(shape, column));
          if (half16)
            code.storeHalfWord(pack(value, value), to, own);
          else
            code.storeWords({code.bitsOf(value)}, to, own);
        }
      }
    }
}
