#include "codegen/cpu/Product.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace denim::codegen;

/// Steps of k written out in one round of the inner loop.
static constexpr int64_t unroll = 4;
/// Beyond so many rows of lhs, bringing rhs into panels pays.
static constexpr int64_t mostRowsOfDotForm = 8;
static constexpr int64_t kLineBytes = 64;

Product Product::transposed() const {
  Product p;
  p.eachRound = eachRound;
  p.lhs = rhs.transposed(), p.rhs = lhs.transposed(), p.result = result.transposed();
  if (initial)
    p.initial = initial->transposed();
  switch (zeros) {
  case Zeros::none:
    break;
  case Zeros::lhsLower:
    p.zeros = Zeros::rhsUpper;
    break;
  case Zeros::rhsUpper:
    p.zeros = Zeros::lhsLower;
    break;
  case Zeros::resultLower:
    p.zeros = Zeros::resultUpper;
    break;
  case Zeros::resultUpper:
    p.zeros = Zeros::resultLower;
    break;
  }
  return p;
}

/// Register tiles of a result, without those of a triangle that are left out.
static int64_t countTiles(const RegisterTile &tile, int64_t m, int64_t vectors, int64_t lanes, Zeros zeros) {
  int64_t count = 0;
  for (int64_t v = 0; v < vectors; v += tile.vectors)
    for (int64_t row = 0; row < m; row += tile.rows)
      count += !(zeros == Zeros::resultLower && row + tile.rows <= v * lanes) &&
               !(zeros == Zeros::resultUpper && row >= (v + tile.vectors) * lanes);
  return count;
}

ProductTime denim::codegen::timeOf(const Target &target, int64_t m, int64_t vectors, int64_t k, Zeros zeros) {
  RegisterTile tile = chooseRegisterTile(target, m, vectors, k);
  int64_t count = countTiles(tile, m, vectors, target.lanes, zeros);
  return {count * tile.rows * tile.vectors * k / 2, count * static_cast<int64_t>(llvm::divideCeil(k, unroll))};
}

/// Time of a product is its register tiles' time: per k a tile issues two fused multiply-adds and two loads per cycle,
/// and its chains of additions need four cycles each. Where lhs does not stay in the first-level cache from strip to
/// strip, a step waits some two cycles more: of f32 products of 512 x 2048 x 2048, tiles of 8 x 2 and of 4 x 4 took
/// 1.07 times as long as those of 6 x 4. Every kind of tile a ragged product needs is code of its own.
RegisterTile denim::codegen::chooseRegisterTile(const Target &target, int64_t m, int64_t vectors, int64_t k) {
  RegisterTile best = {1, 1};
  double bestTime = 1e30, wait = m * k * 4 > 2 * target.blockBytes ? 2.0 : 0.25;
  auto time = [&](int64_t r, int64_t v) {
    return r == 0 || v == 0 ? 0.0 : std::max({4.0, r * v / 2.0, (r + v) / 2.0}) + wait;
  };
  for (int64_t v = 1; v <= std::min<int64_t>(vectors, 8); ++v)
    for (int64_t r = 1; r <= std::min<int64_t>(m, 8); ++r) {
      if (r * v + v + 1 > target.registers)
        continue;
      int64_t fullRows = m / r, restRows = m % r, fullVectors = vectors / v, restVectors = vectors % v;
      double total = fullVectors * (fullRows * time(r, v) + time(restRows, v)) + fullRows * time(r, restVectors) +
                     time(restRows, restVectors);
      total *= 1 + 0.01 * ((restRows != 0) + (restVectors != 0));
      if (total < bestTime)
        bestTime = total, best = {r, v};
    }
  return best;
}

bool ProductWriter::hasRounds(int64_t m, int64_t n) {
  return m > mostRowsOfDotForm && n > mostRowsOfDotForm;
}

void ProductWriter::write(const Product &p) {
  // Vectors of the result run along its columns from here on.
  bool byRows = p.result.isContiguous(Axis::columns) && !(p.result.columns == 1 && p.result.rowStride == 1);
  if (!byRows)
    return write(p.transposed());
  bool alongK = !p.rhs.splat &&
                (!p.rhs.isContiguous(Axis::columns) || (p.rhs.columns == 1 && p.rhs.rowStride == 1 && p.rhs.rows > 1));
  if (alongK && p.rhs.isContiguous(Axis::rows) && p.m() <= mostRowsOfDotForm)
    return dot(p);
  outer(p);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Outer form
//===--------------------------------------------------------------------------------------------------------------===//

/// Rows of f32 that one block of k takes: as many as `bytes` hold, or all where the last block would be a short one.
/// They begin where blocks with scales of their own do.
static int64_t depthOf(int64_t bytes, int64_t width, const Product &p) {
  int64_t k = p.k(), multiple = p.rhs.scales ? denim::formats::kBlockElements : unroll;
  int64_t block = std::max<int64_t>(multiple, bytes / (width * 4) / multiple * multiple);
  return k <= block + block / 2 ? k : block;
}

void ProductWriter::outer(const Product &given) {
  Product p = given;
  auto materialize = [&](const Place &place, llvm::function_ref<void(const Place &)> body) {
    withScratch(place.rows, place.columns, [&](const Place &to) {
      access.copy(place, to);
      body(to);
    });
  };
  // Scalars of lhs are read once per strip: not worth widening each time.
  if (p.lhs.splat || !p.lhs.element.isF32())
    return materialize(p.lhs, [&](const Place &to) {
      p.lhs = to;
      outer(p);
    });
  bool contiguous = p.rhs.splat || p.rhs.isContiguous(Axis::columns);
  bool pack = p.m() > mostRowsOfDotForm && (p.rhs.splat || !contiguous || !p.rhs.element.isF32());
  if ((!contiguous || p.rhs.scales) && !pack)
    return materialize(p.rhs, [&](const Place &to) {
      p.rhs = to;
      outer(p);
    });

  int64_t vectors = llvm::divideCeil(p.n(), code.lanes);
  int64_t lastValid = p.n() - (vectors - 1) * code.lanes;
  RegisterTile tile = chooseRegisterTile(code.target, p.m(), vectors, p.k());
  int64_t width = tile.vectors * code.lanes;
  // Strips of whole vectors in a loop, the last ones on their own.
  int64_t full = vectors / tile.vectors * tile.vectors;
  // A ragged last vector is written with code of its own, unless whole vectors may be read and written throughout.
  auto mayRunOver = [](const Place &place) { return place.padded || place.splat; };
  bool ragged = lastValid != code.lanes &&
                !(mayRunOver(p.result) && contiguous && mayRunOver(p.rhs) && (!p.initial || mayRunOver(*p.initial)));
  if (ragged && full == vectors)
    full -= tile.vectors;
  auto strips = [&](function_ref<void(const Strip &)> body) {
    auto strip = [&](Value n, int64_t vectors, int64_t valid) { body({n, vectors, valid, code.divide(n, width)}); };
    code.loop(0, full * code.lanes, width, [&](Value n) { strip(n, tile.vectors, code.lanes); });
    if (full < vectors)
      strip(code.constant(full * code.lanes), vectors - full, lastValid);
  };
  tiles = countTiles(tile, p.m(), vectors, code.lanes, p.zeros);
  if (pack)
    return strips([&](const Strip &strip) { packedStrip(p, strip, tile.rows); });
  // All strips take a block of k before the next one, so that the rows of lhs come from near for all but the first.
  int64_t depth = depthOf(code.target.cacheBytes / 4, std::max(vectors * code.lanes, p.m()), p);
  alongK(p, depth, [&](Value k, int64_t depth, const std::optional<Place> &initial) {
    strips([&](const Strip &strip) {
      Place rows = p.rhs;
      if (rows.base)
        rows.base = access.address(p.rhs, k, strip.n);
      rows.rows = depth, rows.columns = strip.vectors * code.lanes;
      rowsOfStrip(p, rows, strip, tile.rows, k, depth, initial);
    });
  });
}

/// body(k, depth, initial) for each block of k: the first starts the sums, the others add to what is in the result.
void ProductWriter::alongK(const Product &p, int64_t depth,
                           function_ref<void(Value, int64_t, const std::optional<Place> &)> body) {
  body(code.constant(0), depth, p.initial);
  if (depth == p.k())
    return;
  int64_t full = p.k() / depth * depth;
  code.loop(depth, full, depth, [&](Value k) { body(k, depth, p.result); });
  if (full < p.k())
    body(code.constant(full), p.k() - full, p.result);
}

/// Columns of the result whose part of rhs comes through a panel.
void ProductWriter::packedStrip(const Product &p, const Strip &strip, int64_t tileRows) {
  int64_t width = strip.vectors * code.lanes, depth = depthOf(code.target.blockBytes, width, p);
  withScratch(depth, width, [&](const Place &panel) {
    alongK(p, depth, [&](Value k, int64_t depth, const std::optional<Place> &initial) {
      Place used = panel;
      used.rows = depth;
      pack(p.rhs, k, strip.n, used);
      rowsOfStrip(p, used, strip, tileRows, k, depth, initial);
    });
  });
}

/// How many register tiles come before that of a strip's row 0: of a triangle, about a quadratic of the strips.
Value ProductWriter::tilesBefore(const Product &p, const Strip &strip, int64_t tileRows) {
  Value all = code.mul(strip.number, llvm::divideCeil(p.m(), tileRows));
  Value half = code.divide(code.mul(strip.n, code.add(strip.number, 1)), 2 * tileRows);
  return p.zeros == Zeros::resultLower ? code.sub(all, half) : p.zeros == Zeros::resultUpper ? half : all;
}

/// All rows of the result in one strip, for k in [k, k + depth).
void ProductWriter::rowsOfStrip(const Product &p, const Place &rhs, const Strip &strip, int64_t tileRows, Value k,
                                int64_t depth, const std::optional<Place> &initial) {
  Value n = strip.n;
  int64_t width = strip.vectors * code.lanes;
  int64_t m = p.m(), full = m / tileRows * tileRows;
  Value before = p.eachRound ? tilesBefore(p, strip, tileRows) : Value();
  // Vectors [from, to) of the strip.
  auto tileAt = [&](Value row, int64_t rows, int64_t from, int64_t to) {
    Value end = code.constant(depth);
    if (p.zeros == Zeros::lhsLower)
      end = code.min(end, code.max(code.constant(0), code.sub(code.add(row, rows), k)));
    if (p.zeros == Zeros::rhsUpper)
      end = code.min(end, code.max(code.constant(0), code.sub(code.add(n, width), k)));
    Value number = p.eachRound ? code.add(before, code.divide(row, tileRows)) : Value();
    int64_t valid = to == strip.vectors ? strip.valid : code.lanes;
    Place used = from == 0 ? rhs
                           : access.window(rhs, code.constant(0), code.constant(from * code.lanes), rhs.rows,
                                           rhs.columns - from * code.lanes);
    registerTile(p, used, {row, code.add(n, from * code.lanes), rows, to - from, valid, number}, k, end, depth,
                 initial);
  };
  // Whole register tiles up to that of row `end`, with those vectors.
  Value done = code.constant(0), all = code.constant(full);
  auto rowsTo = [&](Value end, int64_t from, int64_t to) {
    end = code.min(all, end);
    if (to > from)
      code.loop(done, end, tileRows, [&](Value row) { tileAt(row, tileRows, from, to); });
    done = end;
  };
  // Of a triangle, register tiles on the diagonal take the vectors that reach into it.
  for (int64_t v = 0; v < strip.vectors; ++v) {
    Value first = code.add(n, v * code.lanes), next = code.add(first, code.lanes + tileRows - 1);
    if (p.zeros == Zeros::resultLower) // rows m with m + rows <= first end in front of vector v
      rowsTo(code.roundDown(first, tileRows), 0, v);
    if (p.zeros == Zeros::resultUpper) // rows m >= first + lanes begin behind it
      rowsTo(code.roundDown(next, tileRows), v, strip.vectors);
  }
  if (p.zeros != Zeros::resultUpper)
    rowsTo(all, 0, strip.vectors);
  if (full < m)
    tileAt(all, m - full, 0, strip.vectors);
}

/// One register tile, for k in [k, k + depthEnd).
void ProductWriter::registerTile(const Product &p, const Place &rhs, const Block &b, Value k, Value depthEnd,
                                 int64_t depth, const std::optional<Place> &initial) {
  SmallVector<Value> sums = loadSums(initial, b);
  addProducts(p, rhs, b, k, depthEnd, depth, sums);
  storeSums(p.result, b, sums);
}

SmallVector<Value> ProductWriter::loadSums(const std::optional<Place> &initial, const Block &b) {
  SmallVector<Value> sums;
  for (int64_t i = 0; i < b.rows; ++i)
    for (int64_t j = 0; j < b.vectors; ++j)
      sums.push_back(initial ? access.vector(*initial, Axis::columns, code.add(b.m, i), code.add(b.n, j * code.lanes),
                                             validLanes(b, j))
                             : code.zero(code.f32()));
  return sums;
}

void ProductWriter::storeSums(const Place &result, const Block &b, ArrayRef<Value> sums) {
  for (int64_t i = 0; i < b.rows; ++i)
    for (int64_t j = 0; j < b.vectors; ++j)
      access.setVector(result, Axis::columns, code.add(b.m, i), code.add(b.n, j * code.lanes), validLanes(b, j),
                       sums[i * b.vectors + j]);
}

/// The loop of a register tile. `depthEnd`, of those `depth` steps, may be known only at run time; it is then rounded
/// up to whole rounds of the loop, which adds zeros.
void ProductWriter::addProducts(const Product &p, const Place &rhs, const Block &b, Value k, Value depthEnd,
                                int64_t depth, SmallVector<Value> &sums) {
  Value zero = code.constant(0);
  Value lhsBase = access.address(p.lhs, b.m, k);
  auto step = [&](Value at, int64_t u, SmallVector<Value> &sums) {
    SmallVector<Value> row;
    Value kHere = code.add(at, u);
    for (int64_t j = 0; j < b.vectors; ++j)
      row.push_back(access.vector(rhs, Axis::columns, kHere, code.constant(j * code.lanes), validLanes(b, j)));
    Value column =
        p.lhs.columns == 1 ? lhsBase : code.advance(lhsBase, code.mul(kHere, p.lhs.columnStride), p.lhs.element);
    for (int64_t i = 0; i < b.rows; ++i) {
      Value pointer = code.advance(column, p.lhs.rows == 1 ? 0 : i * p.lhs.rowStride, p.lhs.element);
      Value scalar = code.broadcast(code.load(code.f32(), pointer, 4));
      for (int64_t j = 0; j < b.vectors; ++j)
        sums[i * b.vectors + j] = code.fma(scalar, row[j], sums[i * b.vectors + j]);
    }
  };
  // Rows of a wide lhs lie pages apart, where the hardware does not look ahead from one to the next: the rows of the
  // next register tile are asked for while this one is computed.
  bool ahead = p.lhs.columnStride == 1 && p.m() > 2 * b.rows && p.m() * p.k() * 4 > code.target.cacheBytes;
  Value next = ahead ? code.advance(lhsBase, b.rows * p.lhs.rowStride, p.lhs.element) : Value();
  int64_t rounds = depth / unroll * unroll;
  auto known = Code::constantOf(depthEnd);
  Value high = code.constant(rounds);
  if (!known || *known < depth)
    high = code.min(high, code.roundDown(code.add(depthEnd, unroll - 1), unroll));
  sums = code.loop(zero, high, unroll, sums, [&](Value at, ValueRange carried) {
    SmallVector<Value> sums = llvm::to_vector(carried);
    if (p.eachRound) {
      int64_t rounds = llvm::divideCeil(p.k(), unroll);
      Value round = code.add(code.mul(b.number, rounds), code.divide(code.add(k, at), unroll));
      p.eachRound(round, tiles * rounds);
    }
    if (next)
      for (int64_t i = 0; i < b.rows; ++i)
        code.prefetch(code.advance(code.advance(next, at, p.lhs.element), i * p.lhs.rowStride, p.lhs.element));
    for (int64_t u = 0; u < unroll; ++u)
      step(at, u, sums);
    return sums;
  });
  for (int64_t u = rounds; u < depth; ++u)
    step(code.constant(u), 0, sums);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Sums of products
//===--------------------------------------------------------------------------------------------------------------===//

/// Whether the terms come in outer form as they are, with all of k at once and whole vectors.
bool ProductWriter::canJoin(ArrayRef<Product> terms) const {
  const Place &result = terms.front().result;
  return result.isContiguous(Axis::columns) && result.columns % code.lanes == 0 &&
         llvm::all_of(terms, [&](const Product &p) {
           bool plain = !p.lhs.splat && p.lhs.element.isF32() && !p.rhs.splat && !p.rhs.scales &&
                        p.rhs.element.isF32() && p.rhs.columns > 1 && p.rhs.isContiguous(Axis::columns);
           return plain && p.zeros != Zeros::resultLower && p.zeros != Zeros::resultUpper &&
                  depthOf(code.target.cacheBytes / 4, std::max(p.n(), p.m()), p) >= p.k();
         });
}

void ProductWriter::write(ArrayRef<Product> sum) {
  std::vector<Product> terms(sum.begin(), sum.end());
  if (!terms.front().result.isContiguous(Axis::columns))
    for (Product &p : terms)
      p = p.transposed();
  if (terms.size() > 1 && canJoin(terms))
    return joined(terms);
  for (auto [i, p] : llvm::enumerate(terms)) {
    if (i > 0)
      p.initial = p.result;
    write(p);
  }
}

void ProductWriter::joined(ArrayRef<Product> terms) {
  const Product &first = terms.front();
  int64_t m = first.m(), vectors = first.n() / code.lanes, depth = 0;
  for (const Product &p : terms)
    depth += p.k();
  RegisterTile tile = chooseRegisterTile(code.target, m, vectors, depth);
  tiles = countTiles(tile, m, vectors, code.lanes, Zeros::none);
  auto strip = [&](Value n, int64_t wide) {
    Value before = code.mul(code.divide(n, tile.vectors * code.lanes), llvm::divideCeil(m, tile.rows));
    auto tileAt = [&](Value row, int64_t rows) {
      Block block{row, n, rows, wide, code.lanes, code.add(before, code.divide(row, tile.rows))};
      SmallVector<Value> sums = loadSums(first.initial, block);
      for (const Product &p : terms) {
        Place rhs = access.window(p.rhs, code.constant(0), n, p.k(), wide * code.lanes);
        Value end = code.constant(p.k());
        if (p.zeros == Zeros::lhsLower)
          end = code.min(end, code.add(row, rows));
        if (p.zeros == Zeros::rhsUpper)
          end = code.min(end, code.add(n, wide * code.lanes));
        addProducts(p, rhs, block, code.constant(0), end, p.k(), sums);
      }
      storeSums(first.result, block, sums);
    };
    int64_t full = m / tile.rows * tile.rows;
    code.loop(0, full, tile.rows, [&](Value row) { tileAt(row, tile.rows); });
    if (full < m)
      tileAt(code.constant(full), m - full);
  };
  int64_t full = vectors / tile.vectors * tile.vectors;
  code.loop(0, full * code.lanes, tile.vectors * code.lanes, [&](Value n) { strip(n, tile.vectors); });
  if (full < vectors)
    strip(code.constant(full * code.lanes), vectors - full);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Panels
//===--------------------------------------------------------------------------------------------------------------===//

/// panel(i, j) = rhs(k + i, n + j), as f32. Columns behind rhs's last are zero or arbitrary.
void ProductWriter::pack(const Place &rhs, Value k, Value n, const Place &panel) {
  int64_t depth = panel.rows;
  auto knownN = Code::constantOf(n);
  int64_t width = knownN ? std::min(panel.columns, rhs.columns - *knownN) : panel.columns;
  Place from = access.window(rhs, k, n, depth, width);
  from.alignment = rhs.scales ? 1 : 4;
  from.padded = false;
  Place to = panel;
  to.columns = width;
  access.copy(from, to);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Dot form
//===--------------------------------------------------------------------------------------------------------------===//

/// Folds pairs of vectors until one is left: each step adds the halves of every group of lanes and puts two vectors
/// into one.
Value ProductWriter::sumLanes(SmallVector<Value> vectors) {
  int64_t lanes = code.lanes;
  while (int64_t(vectors.size()) < lanes)
    vectors.push_back(code.zero(code.f32()));
  for (int64_t group = lanes; group > 1; group /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < 2 * lanes; i += group)
      for (int64_t g = 0; g < group / 2; ++g)
        low.push_back(i + g), high.push_back(i + g + group / 2);
    SmallVector<Value> next;
    for (size_t i = 0; i < vectors.size(); i += 2)
      next.push_back(
          code.addf(code.shuffle(vectors[i], vectors[i + 1], low), code.shuffle(vectors[i], vectors[i + 1], high)));
    vectors = next;
  }
  return vectors.front();
}

/// For each column of the result and each block the sum of products with its integers, then that times its scale.
/// The scales of a few columns are converted at once, before their integers are read.
void ProductWriter::dotOfBlocks(const Product &p) {
  int64_t m = p.m(), k = p.k(), blocks = k / formats::kBlockElements;
  int64_t vectors = formats::kBlockElements / code.lanes;
  int64_t group =
      std::clamp<int64_t>((code.target.registers - vectors * (m + 1)) / (m + 1), 1, code.target.dotTile.vectors);
  Value zero = code.constant(0);
  auto columns = [&](Value j, int64_t count, const Place &scales) {
    access.copy(access.scalesOf(p.rhs, j, count), access.window(scales, zero, zero, count, blocks));
    // As in `dot`: nobody has asked for those that come next when their turn comes.
    for (int64_t c = 0; c < count && m == 1; ++c) {
      Place next = access.scalesOf(p.rhs, code.add(j, c + count), 1);
      for (int64_t block = 0; block < blocks; block += kLineBytes / formats::kScaleBytes)
        code.prefetch(access.address(next, zero, code.constant(block)));
    }
    SmallVector<Value> sums(m * count, code.zero(code.f32()));
    sums = code.loop(zero, code.constant(k), formats::kBlockElements, sums, [&](Value at, ValueRange carried) {
      SmallVector<Value> sums = llvm::to_vector(carried), left;
      for (int64_t i = 0; i < m; ++i)
        for (int64_t v = 0; v < vectors; ++v)
          left.push_back(
              access.vector(p.lhs, Axis::columns, code.constant(i), code.add(at, v * code.lanes), code.lanes));
      Value block = code.divide(at, formats::kBlockElements);
      for (int64_t c = 0; c < count; ++c) {
        SmallVector<Value> integers = access.integersOfBlock(p.rhs, at, code.add(j, c));
        if (m == 1)
          code.prefetch(access.address(p.rhs, at, code.add(j, c + count)));
        Value scale = code.broadcast(access.scalar(scales, code.constant(c), block));
        for (int64_t i = 0; i < m; ++i) {
          Value sum = code.mulf(left[i * vectors], integers[0]);
          for (int64_t v = 1; v < vectors; ++v)
            sum = code.fma(left[i * vectors + v], integers[v], sum);
          sums[i * count + c] = code.fma(scale, sum, sums[i * count + c]);
        }
      }
      return sums;
    });
    storeDots(p, j, count, sums);
  };
  int64_t whole = p.n() / group * group;
  withScratch(group, blocks, [&](const Place &scales) {
    code.loop(0, whole, group, [&](Value j) { columns(j, group, scales); });
    if (whole < p.n())
      columns(code.constant(whole), p.n() - whole, scales);
  });
}

/// Adds up the lanes of sums of rows times columns [j, j + count).
void ProductWriter::storeDots(const Product &p, Value j, int64_t count, ArrayRef<Value> sums) {
  int64_t elements = p.m() * count;
  for (int64_t first = 0; first < elements; first += code.lanes) {
    int64_t last = std::min(first + code.lanes, elements);
    Value folded = sumLanes(SmallVector<Value>(sums.begin() + first, sums.begin() + last));
    for (int64_t s = first; s < last; ++s) {
      Value row = code.constant(s / count), column = code.add(j, s % count);
      Value sum = code.extract(folded, s - first);
      if (p.initial)
        sum = code.addf(sum, access.scalar(*p.initial, row, column));
      access.setScalar(p.result, row, column, sum);
    }
  }
}

void ProductWriter::dot(const Product &p) {
  int64_t m = p.m(), n = p.n(), k = p.k(), lanes = code.lanes;
  if (p.lhs.splat || !p.lhs.isContiguous(Axis::columns) || !p.lhs.element.isF32())
    return withScratch(m, k, [&](const Place &to) {
      access.copy(p.lhs, to);
      Product q = p;
      q.lhs = to;
      dot(q);
    });
  if (p.rhs.scales)
    return dotOfBlocks(p);
  int64_t group =
      std::max<int64_t>(1, std::min<int64_t>(code.target.dotTile.vectors, (code.target.registers - 4) / (m + 1)));
  int64_t full = k / lanes * lanes;
  Value zero = code.constant(0);
  // Columns [j, j + count) of the result.
  auto columns = [&](Value j, int64_t count) {
    auto step = [&](Value at, int64_t valid, SmallVector<Value> &sums) {
      SmallVector<Value> left;
      for (int64_t i = 0; i < m; ++i) {
        Value x = access.vector(p.lhs, Axis::columns, code.constant(i), at, valid);
        left.push_back(valid < lanes ? code.select(code.laneMask(valid), x, code.zero(code.f32())) : x);
      }
      for (int64_t c = 0; c < count; ++c) {
        Value x = access.vector(p.rhs, Axis::rows, at, code.add(j, c), valid);
        // One row of lhs is bound by memory: the columns that come next are asked for while these are used, for the
        // hardware stops at the end of a page. Asking for what lies behind the last one does no harm.
        if (m == 1 && valid == lanes && !p.rhs.padded && !p.rhs.splat)
          code.prefetch(access.address(p.rhs, at, code.add(j, c + count)));
        if (valid < lanes)
          x = code.select(code.laneMask(valid), x, code.zero(code.f32()));
        for (int64_t i = 0; i < m; ++i)
          sums[i * count + c] = code.fma(left[i], x, sums[i * count + c]);
      }
    };
    SmallVector<Value> sums(m * count, code.zero(code.f32()));
    sums = code.loop(zero, code.constant(full), lanes, sums, [&](Value at, ValueRange carried) {
      SmallVector<Value> next = llvm::to_vector(carried);
      step(at, lanes, next);
      return next;
    });
    if (full < k)
      step(code.constant(full), k - full, sums);
    storeDots(p, j, count, sums);
  };
  int64_t whole = n / group * group;
  code.loop(0, whole, group, [&](Value j) { columns(j, group); });
  if (whole < n)
    columns(code.constant(whole), n - whole);
}
