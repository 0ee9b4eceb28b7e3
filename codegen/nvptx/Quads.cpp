// Loads and stores of which the four lanes of a row exchange their pairs of columns, so that each has eight neighbours
// of one group for one access of 16 bytes.
//
// A pair by itself is 4 bytes in each of eight rows: a tile of 128 x 128 takes 32 instructions of each warp, which
// touch a line for every row, some 2000 cycles; so it takes eight. Done where nothing else hides them: at the begin and
// the end of an item whose pages are copied ahead.
//
//     lane of the row     0        1        2        3             0        1        2        3
//     group 0..3     0  1 | 2  3 | 4  5 | 6  7  of each   <->   all of 0 | all of 1 | all of 2 | all of 3
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

bool KernelLowering::goesByQuads(const View &view, const Distribution &shape, Value column) {
  bool hidesNothing = !staged.empty() && !ownSlots;
  bool hasPairs = shape.joined == 1 && !shape.sliding && !shape.oneRow() && !shape.oneColumn() && !shape.padsColumns();
  return hidesNothing && hasPairs && shape.columnsOfWarp() % 32 == 0 && !view.imageRows && view.stored.isBF16() &&
         view.columns % 8 == 0 && divisorOf(column) % 8 == 0;
}

/// Word w of lane t of a quad becomes word t of lane w.
static void exchangeInQuad(Code &code, Value laneColumn, MutableArrayRef<Value> words) {
  for (int64_t distance : {1, 2}) {
    Value upper = code.equal(code.modulo(code.divide(laneColumn, distance), 2), code.constant32(1));
    for (int64_t low : {0, distance == 1 ? 2 : 1}) {
      Value &a = words[low], &b = words[low + distance];
      Value got = code.shuffleXor(code.select(upper, a, b), distance);
      Value kept = code.select(upper, b, got);
      a = code.select(upper, got, a);
      b = kept;
    }
  }
}

/// body(slab, half, group, address, whether the row is there) for each four groups of a row.
template <typename Op> void KernelLowering::forEachQuad(Op op, const Distribution &shape, QuadBody body) {
  AddressOf addresses = addressesOf(viewOf(op.getMemory()), shape, op.getRow(), op.getColumn(), /*transposed=*/false);
  Value row = i64Of(op.getRow());
  // From the pair of a lane in the first of four groups to the eight columns of its own group.
  Value ownGroup = code.toI64(code.mul(laneColumn, 16 - 4));
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < 2; ++half) {
      if (!shape.isUsed(slab, half))
        continue;
      Value i = rowOf(shape, slab, half);
      Value inside = code.both(within(code.add(row, code.toI64(i)), op.getLo(), op.getHi()), rowInside(shape, i));
      for (int64_t group = 0; group < shape.groups(); group += 4) {
        auto [pair, plus] = addresses(slab, half, group, 0);
        body(slab, half, group, {code.advance(pair, ownGroup, code.builder.getI8Type()), plus}, inside);
      }
    }
}

Fragment KernelLowering::loadByQuads(tile::LoadOp op, const Distribution &shape) {
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers(), code.number(0))};
  forEachQuad(op, shape, [&](int64_t slab, int64_t half, int64_t group, Address from, Value inside) {
    auto words = code.loadWords(from.pointer, 4, inside, from.plus);
    exchangeInQuad(code, laneColumn, words);
    for (int64_t n = 0; n < 4; ++n)
      for (int64_t e = 0; e < 2; ++e)
        to.values[shape.at(slab, group + n, half, e)] = code.unpackBrain(words[n], e == 1);
  });
  return to;
}

void KernelLowering::storeByQuads(tile::StoreOp op, const Fragment &from) {
  forEachQuad(op, from.shape, [&](int64_t slab, int64_t half, int64_t group, Address to, Value inside) {
    SmallVector<Value, 4> words;
    for (int64_t n = 0; n < 4; ++n)
      words.push_back(code.packBrain(from.at(slab, group + n, half, 0), from.at(slab, group + n, half, 1)));
    exchangeInQuad(code, laneColumn, words);
    code.storeWords(words, to.pointer, inside, to.plus);
  });
}
