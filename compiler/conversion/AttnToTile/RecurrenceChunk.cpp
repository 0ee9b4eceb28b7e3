// A chunk of C tokens, state S at its start (spec/attention.md 3.1 to 3.4). With w_i for what token i adds along its
// key, S_i = Diag(exp(g_i)) S_(i-1) + k_i w_i^T:
//
//   diagonal       W = beta V
//   delta family   W = beta (V - R),      R_i = what k_i reads of the decayed state before its own write
//   free rank 1    a second write along P: U = p R, R_i = what Q_i reads
//
// R is linear in W (and U), so it is a unit lower triangular system: (I + beta L) W = beta (V - K S...). It is solved
// for the right-hand side itself and not by way of an inverse: it costs the same and keeps f32 throughout. With a decay
// per channel the chunk is handled in blocks of rows (ChunkDecay.h), one after the other: what earlier blocks wrote is
// on the right-hand side by then.
//
// A CPU takes several such chunks as one where no channel forgets so much that its decay cannot be split in the middle:
// one product for all pairs, two exponentials for each channel of a token instead of seven, and the state is read and
// written once. The log decays say so when the kernel runs, for each head. Where they do not, each chunk is asked in
// turn, and handled in blocks of rows only if it forgets too much itself. Joined chunks have no rows to leave out: what
// they read and write stays where it stands. The last rows of a sequence, fewer than that, are chunks of their own.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/Scalars.h"

using namespace mlir;
using namespace denim;

namespace {
/// Rows of what a chunk writes along one vector, block by block.
struct Write {
  Value along; ///< [C, dk]
  SmallVector<Value> rows;
};
} // namespace

/// What the chunk's heads share: tiles of vectors, and products of them that no decay stands in.
struct RecurrenceWriter::ChunkVectors {
  Shared tiles;
  llvm::SmallDenseMap<std::pair<Value, Value>, Value, 4> products;
};

void RecurrenceWriter::writeChunk(Value row, int64_t length) {
  Rows rows{row, length, begin, end};
  ChunkVectors shared = chunkVectors(rows);
  if (e.failed())
    return;
  forEachHead([&](Value head) { writeChunkOfHead(rows, shared, head, {}, nullptr); });
}

void RecurrenceWriter::writeJoinedChunks(Value row, int64_t joined, int64_t length) {
  Rows rows{row, joined, begin, end};
  auto writeOne = [&](const Rows &own, Value head, Value g, ChunkDecay *decay) {
    ChunkVectors shared = chunkVectors(own);
    if (!e.failed())
      writeChunkOfHead(own, shared, head, g, decay);
  };
  forEachHead([&](Value head) {
    // Where the decay of a reader's own token is not in what it reads, from one row earlier on.
    int64_t front = wantsFrontRow();
    Rows decayed = rows;
    if (front)
      decayed.row = e.sub(row, e.index(front)), decayed.count += front;
    Value g = logDecay(decayed, head);
    if (e.failed())
      return;
    ChunkDecay decay(e, g, ChunkDecay::Form::inMiddle, joined, front);
    // No rows behind the end, and no bounds on what is read and written.
    Value areThere = e.less(e.index(joined - 1), e.sub(end, row));
    e.branch(
        arith::AndIOp::create(e.b, e.loc, decay.canSplit(), areThere),
        [&] {
          Rows inside = rows;
          inside.inside = true;
          writeOne(inside, head, e.window(g, front, 0, joined, cast<tile::TileType>(g.getType()).getColumns()), &decay);
        },
        [&] {
          int64_t channels = cast<tile::TileType>(g.getType()).getColumns();
          auto decaysFrom = [&](int64_t row, int64_t count) { return e.window(g, row, 0, count, channels); };
          for (int64_t first = 0; first < joined; first += length) {
            Rows few{first ? e.add(row, e.index(first)) : row, length, begin, end};
            auto chunk = [&] {
              Value own = decaysFrom(first + front, length);
              ChunkDecay part(e, decaysFrom(first, length + front), ChunkDecay::Form::inMiddle, length, front);
              e.branch(
                  part.canSplit(), [&] { writeOne(few, head, own, &part); },
                  [&] { writeOne(few, head, own, nullptr); });
            };
            if (first == 0)
              chunk();
            else
              e.branch(e.less(few.row, end), chunk);
          }
        });
  });
}

bool RecurrenceWriter::isConvolved(Value value) {
  Operation *op = operandOf(value).getDefiningOp();
  return op && (isa<attn::ShortConvOp>(op) ||
                llvm::any_of(op->getOperands(), [&](Value operand) { return isConvolved(operand); }));
}

bool RecurrenceWriter::wantsFrontRow() {
  bool readsBefore = !form.readAfter || (form.p && !form.isDelta() && !form.q.decayed);
  return readsBefore && !isConvolved(form.decay);
}

RecurrenceWriter::ChunkVectors RecurrenceWriter::chunkVectors(const Rows &rows) {
  ChunkVectors made;
  made.tiles = sharedVectors(rows);
  if (e.failed() || perChannel())
    return made;
  // One decay per head leaves products of vectors alone: heads that share the vectors share them.
  bool freeRank = form.p && !form.isDelta();
  Value solveVector = form.isDelta() ? form.k.vector : form.q.vector;
  auto product = [&](Value reader, Value source) {
    if (reader && made.tiles.count(reader) && made.tiles.count(source)) {
      Value &xy = made.products[{reader, source}];
      if (!xy)
        xy = e.mma(made.tiles.lookup(reader), made.tiles.lookup(source), {false, true, {}, tile::Triangle::result});
    }
  };
  for (Value reader : {form.p ? solveVector : Value(), form.query}) {
    product(reader, form.k.vector);
    if (freeRank)
      product(reader, form.p.vector);
  }
  return made;
}

void RecurrenceWriter::writeChunkOfHead(const Rows &rows, const ChunkVectors &shared, Value head, Value g,
                                        ChunkDecay *known) {
  using Reader = ChunkDecay::Reader;
  bool delta = form.isDelta(), freeRank = form.p && !delta;
  Value solveVector = delta ? form.k.vector : form.q.vector;
  if (!g)
    g = logDecay(rows, head);
  Value beta = strength(form.k, rows, head);
  Value v = valueOf(form.value, rows, head);
  Value k = vectorOf(form.k.vector, shared.tiles, rows, head), q = vectorOf(form.query, shared.tiles, rows, head);
  Value solver = form.p ? vectorOf(solveVector, shared.tiles, rows, head) : Value();
  Value along = freeRank ? vectorOf(form.p.vector, shared.tiles, rows, head) : Value();
  Value gain = freeRank ? strength(form.p, rows, head) : Value();
  if (e.failed())
    return;
  Value skipped = form.skip ? valueOf(form.skip.vector, rows, head) : Value();
  Value skip = form.skip ? strength(form.skip, rows, head) : Value();
  if (e.failed())
    return;
  Value s = stateOf(head);
  std::optional<ChunkDecay> own;
  if (!known)
    known = &own.emplace(e, g, perChannel() ? ChunkDecay::Form::perChannel : ChunkDecay::Form::perHead, rows.count);
  ChunkDecay &decay = *known;
  if (decay.halvesState()) { // where it stands: what is added to it later needs no second place
    storeState(decay.halved(s), head);
    s = stateOf(head);
  }
  auto panel = e.tileType(decay.blockRows(), width);
  auto square = e.tileType(decay.blockRows(), decay.blockRows());
  Reader solving = delta || form.q.decayed ? Reader::behind : Reader::before;
  Reader reading = form.readAfter ? Reader::behind : Reader::before;

  SmallVector<Write, 2> writes;
  if (freeRank)
    writes.push_back({along, {}});
  writes.push_back({k, {}});
  Write &input = writes.back();

  /// What x reads of the state and of the blocks before this one.
  auto readEarlier = [&](Value x, int64_t block, Reader reader, double scale) {
    Value sum = decay.ofState(x, s, block, reader, scale);
    for (Write &write : writes) {
      if (block == 0)
        break;
      Value weights = decay.withEarlier(x, write.along, block, reader, scale);
      for (int64_t earlier = 0; earlier < block; ++earlier)
        sum = e.mma(e.window(weights, 0, earlier * decay.blockRows(), decay.blockRows(), decay.blockRows()),
                    write.rows[earlier], {false, false, sum, tile::Triangle::none});
    }
    return sum;
  };
  auto within = [&](Value xVector, Value x, Value yVector, Value y, int64_t block, Reader reader, bool diagonal,
                    double scale) {
    return decay.withinBlock(x, y, block, reader, diagonal, scale, shared.products.lookup({xVector, yVector}));
  };
  auto scaled = [&](tile::TileType type, Value strength, Value tile, double factor) {
    return e.map(type, {strength, tile}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value product = times(b, e.loc, in[0], in[1]);
      return factor == 1 ? product : arith::NegFOp::create(b, e.loc, product).getResult();
    });
  };

  SmallVector<Value> outputs;
  for (int64_t block = 0; block < decay.blocks(); ++block) {
    Value ownBeta = decay.part(beta, block), ownV = decay.part(v, block);
    if (delta) {
      Value lower = scaled(square, ownBeta, within(solveVector, solver, form.k.vector, k, block, solving, false, 1), 1);
      Value rhs = e.map(panel, {ownV, readEarlier(solver, block, solving, 1), ownBeta},
                        [&](OpBuilder &b, ValueRange in) -> Value {
                          return times(b, e.loc, in[2], arith::SubFOp::create(b, e.loc, in[0], in[1]));
                        });
      input.rows.push_back(tile::SolveOp::create(e.b, e.loc, rhs.getType(), lower, rhs));
    } else {
      input.rows.push_back(scaled(panel, ownBeta, ownV, 1));
    }
    if (freeRank) {
      // U = gain (R0 + L_QK W + L_QP U): the part of R that U itself makes goes to the left.
      Value ownGain = decay.part(gain, block);
      Value known = e.mma(within(solveVector, solver, form.k.vector, k, block, solving, false, 1), input.rows.back(),
                          {false, false, readEarlier(solver, block, solving, 1), tile::Triangle::lhs});
      Value lower =
          scaled(square, ownGain, within(solveVector, solver, form.p.vector, along, block, solving, false, 1), -1);
      Value rhs = scaled(panel, ownGain, known, 1);
      writes.front().rows.push_back(tile::SolveOp::create(e.b, e.loc, rhs.getType(), lower, rhs));
    }
    Value out = readEarlier(q, block, reading, form.readScale);
    for (Write &write : writes) {
      Value vector = &write == &input ? form.k.vector : form.p.vector;
      out = e.mma(within(form.query, q, vector, write.along, block, reading, form.readAfter, form.readScale),
                  write.rows[block], {false, false, out, tile::Triangle::lhs});
    }
    if (skip)
      out = withSkip(out, decay.part(skip, block), decay.part(skipped, block));
    outputs.push_back(out);
  }
  for (auto [block, out] : llvm::enumerate(outputs)) {
    Rows own = rows;
    if (block > 0)
      own.row = e.add(rows.row, e.index(int64_t(block) * decay.blockRows()));
    own.count = decay.blockRows();
    storeOutput(out, own, head);
  }
  Value next = decay.kept(s);
  for (int64_t block = 0; block < decay.blocks(); ++block)
    for (Write &write : writes)
      next = decay.addToState(write.along, write.rows[block], block, next);
  storeState(decay.halvesState() ? decay.halved(next) : next, head);
}
