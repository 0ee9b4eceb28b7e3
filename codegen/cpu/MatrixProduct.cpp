#include "codegen/cpu/MatrixProduct.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

/// Rows of a tile, columns of sums, and elements along k.
static constexpr int64_t tileRows = 16, tileDepth = 32;
static constexpr int64_t tileBytes = TiledOperand::tileBytes, rowBytes = 64;
/// Products with fewer rows or columns leave most of a tile empty.
static constexpr int64_t leastExtent = 9;

//===--------------------------------------------------------------------------------------------------------------===//
// What it takes
//===--------------------------------------------------------------------------------------------------------------===//

Type denim::codegen::storedElement(Value tile) {
  Value source = tile;
  while (Operation *def = source.getDefiningOp()) {
    if (!isa<tile::WindowOp, tile::TransposeOp>(def))
      break;
    source = def->getOperand(0);
  }
  if (auto load = source.getDefiningOp<tile::LoadOp>())
    return load.getMemory().getType().getElementType();
  return cast<tile::TileType>(source.getType()).getElementType();
}

Terms denim::codegen::termsOf(Value tile, bool rounded) {
  Type element = storedElement(tile);
  if (element.isBF16())
    return {1, false};
  if (rounded)
    return {1, true};
  // An f16 scale of 11 bits times an integer, of at most three significant bits for four.
  if (auto format = blockFormatOf(element))
    return {*format == formats::BlockFormat::Q4_0 ? 2 : 3, false};
  return {element.isF16() ? 2 : 3, false}; // an f16 has 11 significant bits
}

/// Pairs of terms whose product counts.
static SmallVector<std::pair<int64_t, int64_t>> productsOf(Terms left, Terms right) {
  SmallVector<std::pair<int64_t, int64_t>> products;
  std::optional<int64_t> held; // the right term that is in the unit
  for (int64_t l = left.count - 1; l >= 0; --l) {
    int64_t high = std::min(right.count - 1, 2 - l);
    int64_t first = held && *held <= high ? *held : high;
    products.push_back({l, first});
    for (int64_t r = high; r >= 0; --r)
      if (r != first)
        products.push_back({l, r});
    held = products.back().second;
  }
  return products;
}

bool denim::codegen::matrixUnitPays(const Target &target, int64_t m, int64_t n, int64_t k, const OperandCost &left,
                                    const OperandCost &right) {
  if (!target.matrix || m < leastExtent || n < leastExtent)
    return false;
  const MatrixUnit &unit = *target.matrix;
  double rows = llvm::divideCeil(m, tileRows), columns = llvm::divideCeil(n, tileRows),
         steps = llvm::divideCeil(k, tileDepth);
  // An operand that is kept is made once for many products: a tenth, as in Layouts.
  auto tiles = [&](const OperandCost &operand, double blocks) {
    double time = unit.tile + unit.term * operand.terms.count + (operand.turned ? unit.turn : 0);
    return blocks * steps * time * (operand.kept ? 0.1 : 1.0);
  };
  double time = rows * columns * (steps * productsOf(left.terms, right.terms).size() * unit.product + unit.sums) +
                tiles(left, rows) + tiles(right, columns);
  // Two multiply-adds a cycle, of which products of vectors reach seven eighths.
  double vectors = double(m) * llvm::alignTo(n, target.lanes) * k / (2 * target.lanes) / 0.875;
  // Alone a product pays from 1 on. In a chunk of a recurrence or a page of attention its tiles push out of the
  // first-level cache what the other ops left there: the delta rule, lightning and softmax lost 5 to 50 percent at 0.8
  // to 0.95.
  return time < 0.75 * vectors;
}

int64_t MatrixProductWriter::stepsOf(int64_t k) {
  return llvm::divideCeil(k, tileDepth);
}
int64_t MatrixProductWriter::bytesOf(int64_t extent, int64_t k, Terms terms) {
  return llvm::divideCeil(extent, tileRows) * stepsOf(k) * terms.count * tileBytes;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Operands
//===--------------------------------------------------------------------------------------------------------------===//

void MatrixProductWriter::makeTiles(Side side, const Place &operand, Value first, int64_t depth,
                                    const TiledOperand &to) {
  // Both sides are lines with k along the columns from here on.
  Place lines = side == Side::left ? operand : operand.transposed();
  int64_t steps = depth / tileDepth, rest = depth % tileDepth;
  auto linesAt = [&](Value line, int64_t valid) {
    Value base = code.advance(to.base, code.mul(line, to.blockBytes() / tileRows), code.builder.getI8Type());
    auto stepAt = [&](Value step, int64_t validDepth) {
      tileOf(side, lines, line, valid, code.add(first, code.mul(step, tileDepth)), validDepth, to.terms,
             code.advance(base, code.mul(step, to.terms.count * tileBytes), code.builder.getI8Type()));
    };
    code.loop(0, steps, 1, [&](Value step) { stepAt(step, tileDepth); });
    if (rest)
      stepAt(code.constant(steps), rest);
  };
  int64_t full = lines.rows / tileRows * tileRows;
  code.loop(0, full, tileRows, [&](Value line) { linesAt(line, tileRows); });
  if (full < lines.rows)
    linesAt(code.constant(full), lines.rows - full);
}

/// All terms of one tile: lines [line, line + validLines) and validDepth elements along k; what is missing along k is
/// zero.
void MatrixProductWriter::tileOf(Side side, const Place &lines, Value line, int64_t validLines, Value k,
                                 int64_t validDepth, Terms terms, Value to) {
  Type byte = code.builder.getI8Type();
  Value zero = code.zero(code.f32());
  bool whole = validDepth == tileDepth;
  // A vector along k that begins at k + half * lanes.
  auto along = [&](Value line, int64_t half) -> Value {
    int64_t valid = std::clamp<int64_t>(validDepth - half * code.lanes, 0, code.lanes);
    if (valid == 0)
      return zero;
    Value x = access.vector(lines, Axis::columns, line, code.add(k, half * code.lanes), valid);
    return valid < code.lanes ? code.select(code.laneMask(valid), x, zero) : x;
  };
  auto across = [&](Value depth) { return access.vector(lines, Axis::rows, line, code.add(k, depth), validLines); };
  bool isAlong = lines.splat || lines.isContiguous(Axis::columns);
  auto rowOf = [&](Value row) { return code.advance(to, code.mul(row, rowBytes), byte); };

  // Pairs that lie in memory as they should lie in a tile, or turned by squares of pairs.
  if (isAlong && !lines.splat && lines.element.isBF16() && whole) {
    auto pairs = [&](Value line) {
      return code.load(code.vectorOf(code.i32()), access.address(lines, line, k), Code::bytesOf(lines.element));
    };
    if (side == Side::left)
      return code.loop(0, validLines, 1, [&](Value i) { code.store(pairs(code.add(line, i)), rowOf(i), rowBytes); });
    SmallVector<Value> square;
    for (int64_t i = 0; i < tileRows; ++i)
      square.push_back(i < validLines ? pairs(code.add(line, i)) : code.zero(code.i32()));
    square = transposeSquare(code, square);
    for (int64_t i = 0; i < tileRows; ++i)
      code.store(square[i], rowOf(code.constant(i)), rowBytes);
    return;
  }
  if (side == Side::left && isAlong)
    return code.loop(0, validLines, 1, [&](Value i) {
      Value at = code.add(line, i);
      storeTerms(side, along(at, 0), along(at, 1), terms, rowOf(i));
    });
  if (side == Side::right && !isAlong) {
    int64_t pairs = validDepth / 2;
    code.loop(0, pairs, 1, [&](Value pair) {
      Value depth = code.mul(pair, 2);
      storeTerms(side, across(depth), across(code.add(depth, 1)), terms, rowOf(pair));
    });
    if (validDepth % 2)
      storeTerms(side, across(code.constant(validDepth - 1)), zero, terms, rowOf(code.constant(pairs)));
    for (int64_t pair = llvm::divideCeil(validDepth, 2); pair < tileRows; ++pair)
      storeTerms(side, zero, zero, terms, rowOf(code.constant(pair)));
    return;
  }
  // Turned by squares.
  SmallVector<Value> halves[2];
  for (int64_t half = 0; half < 2; ++half) {
    SmallVector<Value> &square = halves[half];
    for (int64_t i = 0; i < code.lanes; ++i) {
      int64_t depth = half * code.lanes + i;
      if (isAlong)
        square.push_back(i < validLines ? along(code.add(line, i), half) : zero);
      else
        square.push_back(depth < validDepth ? across(code.constant(depth)) : zero);
    }
    square = transposeSquare(code, square);
  }
  if (side == Side::left) {
    for (int64_t i = 0; i < validLines; ++i)
      storeTerms(side, halves[0][i], halves[1][i], terms, rowOf(code.constant(i)));
    return;
  }
  for (int64_t pair = 0; pair < tileRows; ++pair) {
    const SmallVector<Value> &half = halves[pair * 2 / code.lanes];
    int64_t first = pair * 2 % code.lanes;
    storeTerms(side, half[first], half[first + 1], terms, rowOf(code.constant(pair)));
  }
}

/// One row of a tile of each term.
void MatrixProductWriter::storeTerms(Side side, Value a, Value b, Terms terms, Value to) {
  if (terms.rounded)
    a = code.roundToBrain(a), b = code.roundToBrain(b);
  for (int64_t term = 0; term < terms.count; ++term) {
    Value pairs = side == Side::left ? code.pairAlong(a, b) : code.pairAcross(a, b);
    code.store(pairs, code.advance(to, term * tileBytes, code.builder.getI8Type()), rowBytes);
    if (term + 1 < terms.count)
      a = code.subf(a, code.upperHalf(a)), b = code.subf(b, code.upperHalf(b));
  }
}

//===--------------------------------------------------------------------------------------------------------------===//
// Products
//===--------------------------------------------------------------------------------------------------------------===//

/// Tiles of sums in the unit: two by two where there are two, for then each operand's tile is used twice.
static std::pair<int64_t, int64_t> blockShape(int64_t rows, int64_t columns) {
  if (rows == 1)
    return {1, std::min<int64_t>(columns, 3)};
  if (columns == 1)
    return {std::min<int64_t>(rows, 3), 1};
  return {2, 2};
}

void MatrixProductWriter::write(const Product &p, const Operand &left, const Operand &right) {
  int64_t steps = stepsOf(p.k()), most = steps;
  auto rows = blockShape(llvm::divideCeil(p.lhs.rows, tileRows), llvm::divideCeil(p.rhs.columns, tileRows)).first;
  if (!left.tiled || !right.tiled)
    most = std::max<int64_t>(1, code.target.blockBytes / (rows * left.terms.count * tileBytes));
  // Pieces of equal length; the last may be shorter.
  int64_t depth = llvm::divideCeil(steps, llvm::divideCeil(steps, most)) * tileDepth;
  if (depth >= p.k())
    return piece(p, left, right, code.constant(0), p.k(), p.initial);
  // Between pieces the sums stay in scratch: rows of a result lie far apart, and tiles of it would meet in a few sets
  // of the first-level cache. Some bytes more than a power of two keep rows of scratch from doing the same.
  int64_t columns = llvm::alignTo(p.rhs.columns, tileRows), stride = columns + tileRows,
          rowsOfSums = llvm::alignTo(p.lhs.rows, tileRows);
  withScratch(rowsOfSums * stride * 4, [&](Value scratch) {
    Place sums;
    sums.base = scratch, sums.element = code.f32();
    sums.rows = rowsOfSums, sums.columns = columns, sums.rowStride = stride;
    sums.alignment = 64, sums.padded = true;
    int64_t last = (p.k() - 1) / depth * depth;
    Product q = p;
    q.result = sums;
    piece(q, left, right, code.constant(0), depth, p.initial);
    code.loop(depth, last, depth, [&](Value k) { piece(q, left, right, k, depth, sums); });
    piece(p, left, right, code.constant(last), p.k() - last, sums);
  });
}

void MatrixProductWriter::piece(const Product &p, const Operand &left, const Operand &right, Value k, int64_t depth,
                                const std::optional<Place> &initial) {
  auto offset = [&](const TiledOperand &tiled) {
    return code.advance(tiled.base, code.mul(k, tiled.terms.count * tileBytes / tileDepth), code.builder.getI8Type());
  };
  if (right.tiled)
    return rowsOfPiece(p, left, *right.tiled, offset(*right.tiled), k, depth, initial);
  withScratch(bytesOf(p.rhs.columns, depth, right.terms), [&](Value scratch) {
    TiledOperand tiled{scratch, stepsOf(depth), right.terms};
    makeTiles(Side::right, p.rhs, k, depth, tiled);
    rowsOfPiece(p, left, tiled, tiled.base, k, depth, initial);
  });
}

void MatrixProductWriter::rowsOfPiece(const Product &p, const Operand &left, const TiledOperand &right, Value rightBase,
                                      Value k, int64_t depth, const std::optional<Place> &initial) {
  Type byte = code.builder.getI8Type();
  int64_t m = llvm::divideCeil(p.lhs.rows, tileRows), n = llvm::divideCeil(p.rhs.columns, tileRows);
  std::pair<int64_t, int64_t> shape = blockShape(m, n);
  int64_t blockRows = shape.first, blockColumns = shape.second;
  int64_t lastRows = p.lhs.rows - (m - 1) * tileRows, lastColumns = p.rhs.columns - (n - 1) * tileRows;

  // Tiles [row, row + count) of the rows of the result.
  auto rowsAt = [&](Value row, int64_t count, int64_t validRows, Value leftBase, int64_t leftStride, Value ahead) {
    int64_t aheadRows = llvm::divideCeil(count * tileRows, n), aheadStride = p.lhs.rowStride * 4;
    auto columnsAt = [&](Value column, int64_t columns, int64_t validColumns) {
      Value steps = code.constant(stepsOf(depth));
      if (p.zeros == Zeros::lhsLower || p.zeros == Zeros::rhsUpper) {
        Value end = p.zeros == Zeros::lhsLower ? code.add(row, count) : code.add(column, columns);
        Value whole = code.sub(code.add(code.mul(end, tileRows), tileDepth - 1), k);
        steps = code.min(steps, code.max(code.constant(0), code.divide(whole, tileDepth)));
      }
      block(p,
            {row, column, count, columns, validRows, validColumns, leftBase,
             code.advance(rightBase, code.mul(column, right.blockBytes()), byte), leftStride, right.blockBytes(), steps,
             ahead ? code.advance(ahead, code.mul(column, aheadRows * aheadStride), byte) : Value(),
             aheadRows * columns, aheadStride},
            left.terms, right.terms, initial);
    };
    // The ragged last column of tiles is on its own.
    int64_t full = (lastColumns == tileRows ? n : n - 1) / blockColumns * blockColumns;
    Value low = code.constant(0), high = code.constant(full);
    if (p.zeros == Zeros::resultLower)
      high = code.min(high, code.add(row, count));
    if (p.zeros == Zeros::resultUpper)
      low = code.min(high, code.roundDown(row, blockColumns));
    code.loop(low, high, blockColumns, [&](Value column) { columnsAt(column, blockColumns, tileRows); });
    if (full < n)
      columnsAt(code.constant(full), n - full, lastColumns);
  };
  int64_t full = (lastRows == tileRows ? m : m - 1) / blockRows * blockRows;
  auto groups = [&](llvm::function_ref<void(Value row, int64_t count, int64_t validRows)> body) {
    code.loop(0, full, blockRows, [&](Value row) { body(row, blockRows, tileRows); });
    if (full < m)
      body(code.constant(full), m - full, lastRows);
  };
  if (left.tiled) {
    Value base = code.advance(left.tiled->base, code.mul(k, left.terms.count * tileBytes / tileDepth), byte);
    groups([&](Value row, int64_t count, int64_t validRows) {
      int64_t stride = left.tiled->blockBytes();
      rowsAt(row, count, validRows, code.advance(base, code.mul(row, stride), byte), stride, Value());
    });
    return;
  }
  // Pieces of the rows of a wide left operand lie pages apart, where the hardware does not look ahead: what the next
  // piece splits is asked for while this one is multiplied, and behind the last piece the rows that come next.
  bool isAhead = depth < p.k() && !p.lhs.splat && p.lhs.columnStride == 1 && p.lhs.element.isF32() && !p.lhs.padded;
  auto aheadOf = [&](Value row) {
    Value next = code.add(k, depth), isLast = code.lessThan(code.constant(p.k() - 1), next);
    Value rowAhead = code.select(isLast, code.add(row, p.lhs.rows), row);
    return access.address(p.lhs, rowAhead, code.select(isLast, code.constant(0), next));
  };
  withScratch(bytesOf(blockRows * tileRows, depth, left.terms), [&](Value scratch) {
    TiledOperand tiled{scratch, stepsOf(depth), left.terms};
    groups([&](Value row, int64_t count, int64_t validRows) {
      Value first = code.mul(row, tileRows);
      Place rows = p.lhs;
      if (rows.scales) {
        rows = access.window(p.lhs, first, code.constant(0), p.lhs.rows, p.lhs.columns);
      } else if (!rows.splat) {
        rows.base = access.address(p.lhs, first, code.constant(0));
        rows.alignment = llvm::MinAlign(rows.alignment, tileRows * Code::bytesOf(rows.element));
      }
      rows.rows = (count - 1) * tileRows + validRows;
      makeTiles(Side::left, rows, k, depth, tiled);
      rowsAt(row, count, validRows, tiled.base, tiled.blockBytes(), isAhead ? aheadOf(first) : Value());
    });
  });
}

void MatrixProductWriter::block(const Product &p, const Block &b, Terms left, Terms right,
                                const std::optional<Place> &initial) {
  Type byte = code.builder.getI8Type();
  auto sumsOf = [&](int64_t i, int64_t j) { return i * b.columns + j; };
  auto leftTile = [&](int64_t i) { return b.rows * b.columns + i; };
  auto rightTile = [&](int64_t j) { return b.rows * b.columns + b.rows + j; };
  assert(rightTile(b.columns) <= 8 && "expected the tiles of a block to fit");
  auto validRows = [&](int64_t i) { return i + 1 == b.rows ? b.validRows : tileRows; };
  auto validColumns = [&](int64_t j) { return j + 1 == b.columns ? b.validColumns : tileRows; };
  auto rowOf = [&](int64_t i) { return code.mul(code.add(b.row, i), tileRows); };
  auto columnOf = [&](int64_t j) { return code.mul(code.add(b.column, j), tileRows); };
  // A tile of sums may be read and written whole, in place.
  auto isWhole = [&](const Place &place, int64_t i, int64_t j) {
    return !place.splat && place.element.isF32() && place.columnStride == 1 &&
           (validRows(i) == tileRows || place.rows % tileRows == 0) && (validColumns(j) == tileRows || place.padded);
  };
  bool startsAtZero = !initial || (initial->splat && matchPattern(initial->splat, m_AnyZeroFloat()));
  auto isInPlace = [&](int64_t i, int64_t j) {
    return isWhole(p.result, i, j) && (startsAtZero || isWhole(*initial, i, j));
  };
  auto stride = [&](const Place &place) { return code.constant(place.rowStride * 4); };

  for (int64_t i = 0; i < b.rows; ++i)
    for (int64_t j = 0; j < b.columns; ++j) {
      if (!startsAtZero && isInPlace(i, j))
        code.loadTile(sumsOf(i, j), access.address(*initial, rowOf(i), columnOf(j)), stride(*initial));
      else
        code.zeroTile(sumsOf(i, j));
    }
  Value tileStride = code.constant(rowBytes);
  code.loop(code.constant(0), b.steps, 1, [&](Value step) {
    if (b.ahead)
      for (int64_t row = 0; row < b.aheadRows; ++row) {
        Value at = code.advance(code.advance(b.ahead, row * b.aheadStride, byte), code.mul(step, tileDepth * 4), byte);
        code.prefetch(at, /*level=*/2);
        code.prefetch(code.advance(at, 64, byte), /*level=*/2);
      }
    int64_t heldLeft = -1, heldRight = -1;
    for (std::pair<int64_t, int64_t> terms : productsOf(left, right)) {
      int64_t l = terms.first, r = terms.second;
      auto at = [&](Value base, int64_t blockStride, int64_t block, Terms terms, int64_t term) {
        Value here = code.advance(base, code.mul(step, terms.count * tileBytes), byte);
        return code.advance(here, block * blockStride + term * tileBytes, byte);
      };
      if (heldLeft != l)
        for (int64_t i = 0; i < b.rows; ++i)
          code.loadTile(leftTile(i), at(b.left, b.leftStride, i, left, l), tileStride);
      if (heldRight != r)
        for (int64_t j = 0; j < b.columns; ++j)
          code.loadTile(rightTile(j), at(b.right, b.rightStride, j, right, r), tileStride);
      heldLeft = l, heldRight = r;
      for (int64_t i = 0; i < b.rows; ++i)
        for (int64_t j = 0; j < b.columns; ++j)
          code.multiplyTiles(sumsOf(i, j), leftTile(i), rightTile(j));
    }
  });
  for (int64_t i = 0; i < b.rows; ++i)
    for (int64_t j = 0; j < b.columns; ++j) {
      if (isInPlace(i, j)) {
        code.storeTile(sumsOf(i, j), access.address(p.result, rowOf(i), columnOf(j)), stride(p.result));
        continue;
      }
      withScratch(tileBytes, [&](Value scratch) {
        code.storeTile(sumsOf(i, j), scratch, tileStride);
        code.loop(0, validRows(i), 1, [&](Value row) {
          Value at = code.add(rowOf(i), row);
          Value sums = code.load(code.vectorOf(code.f32()), code.advance(scratch, code.mul(row, rowBytes), byte), 64);
          if (!startsAtZero)
            sums = code.addf(sums, access.vector(*initial, Axis::columns, at, columnOf(j), validColumns(j)));
          access.setVector(p.result, Axis::columns, at, columnOf(j), validColumns(j), sums);
        });
      });
    }
}
