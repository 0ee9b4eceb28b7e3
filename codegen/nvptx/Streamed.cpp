// One row times a matrix that stands in memory, along the rows of the matrix: every weight is read once and used once,
// so reading is all it costs.
//
// No tile is held as a fragment. The columns are dealt in pieces of 8, which are 16 bytes of bf16: thread t has pieces
// t, t + T, t + 2T ... of every row, so that a warp reads 512 bytes of memory without a gap, and no two threads of a
// team hold the same element of the row on the left. All loads of the matrix are issued where the program loads it,
// packed words that nothing touches until the product.
//
//     x [1, 2048] times W [16, 2048]^T, 256 threads: a thread has 8 elements of x and 16 x 8 of W, 64 registers
//
// A short row has fewer pieces than there are threads: teams of T threads then take the rows of the matrix in turn.
// Sums over the lanes of a warp take all rows at once: in each step a lane gives away half of what it has left, n/2 +
// n/4 ... exchanges instead of n log 32.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kPiece = 8;

KernelLowering::Dealing KernelLowering::dealingOf(int64_t columns) const {
  int64_t all = warps * 32, pieces = columns / kPiece;
  int64_t team = std::min<int64_t>(all, int64_t(1) << llvm::Log2_64_Ceil(pieces));
  return {pieces, team, all / team, (pieces + team - 1) / team};
}

Value KernelLowering::hasPiece(const Dealing &dealing, int64_t turn) {
  if (!dealing.pads() || turn + 1 < dealing.turns)
    return {};
  Value piece = code.add(code.modulo(thread, dealing.threads), turn * dealing.threads);
  return code.lessThan(piece, code.constant32(dealing.pieces));
}

/// Loads whose memory is rows of whole pieces that begin at one.
static bool isInPieces(tile::LoadOp load, bool image, int64_t divisor) {
  auto memory = cast<tile::MemoryType>(load.getMemory().getType());
  Type stored = memory.getElementType();
  if (blockFormatOf(stored))
    return !load.getTransposed() && divisor % formats::kBlockElements == 0;
  return !load.getTransposed() && (stored.isBF16() || stored.isF32()) && !image && memory.getColumns() % kPiece == 0 &&
         divisor % kPiece == 0;
}

bool KernelLowering::isStreamed(tile::MmaOp op) {
  if (formOf(op) != Form::vector || op.getM() != 1 || !op.getTransposeRhs() || op.getTransposeLhs() || op.getN() == 1 ||
      op.getK() % kPiece != 0 || op.getAcc() == op.getLhs())
    return false;
  auto load = op.getRhs().getDefiningOp<tile::LoadOp>();
  if (!load || !load.getResult().hasOneUse())
    return false;
  tile::PagesType pages = pagesOf(load.getMemory());
  return isInPieces(load, pages && isImage(pages), divisorOf(load.getColumn()));
}

void KernelLowering::findStreamed() {
  kernel.walk([&](tile::MmaOp op) {
    if (isStreamed(op))
      streamed.insert(op.getRhs());
  });
  kernel.walk([&](tile::MmaOp op) {
    // A row that something else reads too is a fragment as well; its pieces are then made of that.
    if (streamed.contains(op.getRhs()))
      wantedPieces.insert(op.getLhs());
  });
}

void KernelLowering::loadStreamed(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  auto type = typeOf(op.getResult());
  Dealing dealing = dealingOf(type.getColumns());
  bool inBlocks = isInBlocks(op), brain = view.stored.isBF16();
  int64_t bytes = inBlocks ? 0 : Code::bytesOf(view.stored);
  Value team = dealing.groups > 1 ? code.divide(thread, dealing.threads) : code.constant32(0);
  Value column = code.mul(code.modulo(thread, dealing.threads), kPiece);
  Value firstRow = code.add(i64Of(op.getRow()), code.toI64(team));
  Value firstColumn = code.add(i64Of(op.getColumn()), code.toI64(column));
  Value base;
  BlockAddress first;
  if (inBlocks)
    first = addressInBlocks(view, firstRow, firstColumn);
  else
    base = code.advance(view.pointer, code.add(code.mul(firstRow, view.columns), firstColumn), view.stored);
  SmallVector<Value> &words = streamedWords[op.getResult()];
  for (int64_t row = 0; row < type.getRows(); row += dealing.groups) {
    Value own = code.add(team, row);
    Value predicate =
        row + dealing.groups > type.getRows() ? code.lessThan(own, code.constant32(type.getRows())) : Value();
    predicate = code.both(predicate, within(code.add(i64Of(op.getRow()), code.toI64(own)), op.getLo(), op.getHi()));
    for (int64_t turn = 0; turn < dealing.turns; ++turn) {
      int64_t plus = (row * view.columns + turn * dealing.threads * kPiece) * bytes;
      Value present = code.both(predicate, hasPiece(dealing, turn));
      if (inBlocks) {
        // A turn is whole blocks.
        formats::BlockFormat format = *blockFormatOf(view.stored);
        int64_t down = row * formats::rowBytes(format, view.columns);
        int64_t blocks = turn * dealing.threads * kPiece / formats::kBlockElements;
        streamedBlocks[op.getResult()].push_back(loadBlockPiece(view, first, present,
                                                                down + blocks * formats::blockBytes(format),
                                                                down + blocks * formats::kScaleBytes, /*once=*/true));
        continue;
      }
      for (int64_t part = 0; part < (brain ? 1 : 2); ++part)
        llvm::append_range(words, code.loadWords(base, 4, present, plus + part * 16, /*once=*/true));
    }
  }
}

void KernelLowering::dealPiecesIfWanted(Value row) {
  if (!wantedPieces.contains(row))
    return;
  int64_t columns = typeOf(row).getColumns();
  Dealing dealing = dealingOf(columns);
  SmallVector<Value> &pieces = rowPieces[row];
  Value first = code.mul(code.modulo(thread, dealing.threads), kPiece);
  auto load = row.getDefiningOp<tile::LoadOp>();
  tile::PagesType pages = load ? pagesOf(load.getMemory()) : tile::PagesType();
  if (load && isInPieces(load, pages && isImage(pages), divisorOf(load.getColumn()))) {
    View view = viewOf(load.getMemory());
    Value line = i64Of(load.getRow());
    Value element = code.add(code.mul(line, view.columns), code.add(i64Of(load.getColumn()), code.toI64(first)));
    Value base = code.advance(view.pointer, element, view.stored);
    Value inside = within(line, load.getLo(), load.getHi());
    for (int64_t turn = 0; turn < dealing.turns; ++turn) {
      Value present = code.both(inside, hasPiece(dealing, turn));
      int64_t plus = turn * dealing.threads * kPiece * Code::bytesOf(view.stored);
      if (view.stored.isBF16()) {
        for (Value word : code.loadWords(base, 4, present, plus))
          for (bool high : {false, true})
            pieces.push_back(code.unpackBrain(word, high));
      } else {
        for (int64_t part = 0; part < 2; ++part)
          for (Value word : code.loadWords(base, 4, present, plus + part * 16))
            pieces.push_back(code.realOf(word));
      }
    }
    return;
  }
  // By way of shared memory, where the row stands as it is. A flattened matrix stands there row by row.
  auto flatten = row.getDefiningOp<tile::FlattenOp>();
  const Fragment from = load ? loadFragment(load) : fragmentOf(flatten ? flatten.getSource() : row);
  int64_t bytes = columns * 4, offset = shared.allocate(bytes);
  shared.writes(offset, bytes);
  spill(from, code.constant32(offset), from.shape.columns, 0, from.shape.rows);
  shared.reads(offset, bytes);
  for (int64_t turn = 0; turn < dealing.turns; ++turn) {
    Value present = hasPiece(dealing, turn);
    Value column = code.add(first, turn * dealing.threads * kPiece);
    if (present)
      column = code.mini(column, code.constant32(columns - kPiece));
    Value at = code.add(code.mul(column, 4), offset);
    for (int64_t part = 0; part < 2; ++part)
      for (Value word : code.loadShared(at, 4, part * 16)) {
        Value value = code.realOf(word);
        pieces.push_back(present ? code.select(present, value, code.number(0)) : value);
      }
  }
  shared.release(offset);
}

/// Sums over teams of `lanes` neighbours. Of n values (a power of two) a lane ends with max(1, n / lanes): the steps
/// halve them while there are several, by the bits of the lane from the highest of the team down, and then add what is
/// left.
SmallVector<Value> KernelLowering::sumOverLanes(SmallVector<Value> values, int64_t lanes) {
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2) {
    if (values.size() == 1) {
      values[0] = code.addf(values[0], code.shuffleXor(values[0], mask));
      continue;
    }
    Value upper = code.equal(code.modulo(code.divide(lane, mask), 2), code.constant32(1));
    size_t half = values.size() / 2;
    SmallVector<Value> kept;
    for (size_t i = 0; i < half; ++i) {
      Value given = code.select(upper, values[i], values[half + i]);
      Value own = code.select(upper, values[half + i], values[i]);
      kept.push_back(code.addf(own, code.shuffleXor(given, mask)));
    }
    values = std::move(kept);
  }
  return values;
}

Fragment KernelLowering::streamedProduct(tile::MmaOp op) {
  Dealing dealing = dealingOf(op.getK());
  auto load = op.getRhs().getDefiningOp<tile::LoadOp>();
  View view = viewOf(load.getMemory());
  bool inBlocks = isInBlocks(load), brain = view.stored.isBF16();
  SmallVector<BlockPiece> blocks = streamedBlocks.lookup(op.getRhs());
  const SmallVector<Value> &x = rowPieces.find(op.getLhs())->second;
  // What raised integers add to the sum of a piece, turned over.
  SmallVector<Value> tooMuch;
  for (int64_t turn = 0; turn < dealing.turns && inBlocks && raisedBy(view) != 0; ++turn) {
    Value sum = x[turn * kPiece];
    for (int64_t i = 1; i < kPiece; ++i)
      sum = code.addf(sum, x[turn * kPiece + i]);
    tooMuch.push_back(code.mulf(sum, code.number(-raisedBy(view))));
  }
  ArrayRef<Value> words = streamedWords.find(op.getRhs())->second;
  int64_t rows = llvm::divideCeil(op.getN(), dealing.groups); // of a team
  SmallVector<Value> sums;
  for (int64_t row = 0; row < rows; ++row) {
    // Two chains: additions that wait for each other cost more than their number.
    Value parts[2];
    for (int64_t turn = 0; turn < dealing.turns; ++turn) {
      if (inBlocks) {
        // The scale is a factor of the sum.
        const BlockPiece &piece = blocks[row * dealing.turns + turn];
        Value sum = tooMuch.empty() ? Value() : tooMuch[turn];
        for (auto [i, integer] : llvm::enumerate(raisedIntegersOf(view, piece))) {
          Value element = x[turn * kPiece + i];
          sum = sum ? code.fma(element, integer, sum) : code.mulf(element, integer);
        }
        Value scale = code.unpackHalf(piece.scale, false), &part = parts[turn % 2];
        part = part ? code.fma(sum, scale, part) : code.mulf(sum, scale);
        continue;
      }
      for (int64_t i = 0; i < kPiece; ++i) {
        Value w = brain ? code.unpackBrain(words[i / 2], i % 2 == 1) : code.realOf(words[i]);
        Value &part = parts[i % 2];
        Value element = x[turn * kPiece + i];
        part = part ? code.fma(element, w, part) : code.mulf(element, w);
      }
      words = words.drop_front(brain ? 4 : 8);
    }
    sums.push_back(parts[1] ? code.addf(parts[0], parts[1]) : parts[0]);
  }
  sums.resize(llvm::PowerOf2Ceil(rows), code.number(0));
  int64_t count = sums.size(), lanes = std::min<int64_t>(dealing.threads, 32);
  sums = sumOverLanes(std::move(sums), lanes);

  // Sum s of a lane is that of row `first + s` of its team. Parts of one row of the matrix stand side by side, one from
  // each warp of the team.
  int64_t each = sums.size(), given = count / each, parts = dealing.threads / lanes;
  Value own = code.modulo(lane, lanes), number = code.divide(own, lanes / given);
  Value writer = given < lanes ? code.equal(code.modulo(own, lanes / given), code.constant32(0)) : Value();
  Value team = dealing.groups > 1 ? code.divide(thread, dealing.threads) : code.constant32(0);
  Value part = parts > 1 ? code.modulo(warp, parts) : code.constant32(0);
  int64_t bytes = llvm::alignTo(count * dealing.groups * parts * 4, 16), offset = shared.allocate(bytes);
  shared.writes(offset, bytes);
  for (int64_t s = 0; s < each; ++s) {
    Value row = code.add(code.mul(code.add(code.mul(number, each), s), dealing.groups), team);
    Value place = code.add(code.mul(code.add(code.mul(row, parts), part), 4), offset);
    code.storeShared({code.bitsOf(sums[s])}, place, writer);
  }
  shared.reads(offset, bytes);
  Distribution to = distributionOf(op.getResult());
  Fragment result{to, code.f32(), {}}, acc;
  if (op.getAcc())
    acc = fragmentOf(op.getAcc(), to.grid);
  int64_t width = std::min<int64_t>(parts, 4);
  for (int64_t group = 0; group < to.groups(); ++group)
    for (int64_t e = 0; e < to.pairs(); ++e) {
      Value column = columnOf(to, group, e);
      if (to.padsColumns()) // padding reads what some other element has
        column = code.mini(column, code.constant32(to.columns - 1));
      Value sum = op.getAcc() ? acc.at(0, group, 0, e) : Value();
      for (int64_t p = 0; p < parts; p += width)
        for (Value word : code.loadShared(code.add(code.mul(column, parts * 4), offset), width, p * 4)) {
          Value value = code.realOf(word);
          sum = sum ? code.addf(sum, value) : value;
        }
      result.values.push_back(sum);
    }
  shared.release(offset);
  streamedWords.erase(op.getRhs());
  streamedBlocks.erase(op.getRhs());
  return result;
}
