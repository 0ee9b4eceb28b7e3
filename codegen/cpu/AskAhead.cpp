// Rows that the next round of a loop takes are asked for while this one computes.
//
// A chunk of a sequence reads some rows of each activation and writes some of its result, a head's columns of each.
// They lie pages apart, where the hardware does not look ahead from one to the next. So the next round's are asked for
// by ops of this one, into the second cache: rows that are a power of two apart would drive each other out of the
// first. What is written is asked for as well, or the stores behind it wait for its lines. What lies behind the last
// row does no harm. A side of a branch asks for what it takes itself and for what its block took before, unless its
// block has an op behind its last load that asks: the next round most likely goes the same way.
//
// A core waits for some sixteen lines at a time, and what asks for one more stands still. So lines are dealt to the ops
// that compute longest, products and exponentials, by how long they take, and these ask for one now and then: a product
// in the rounds of its innermost loop, a map with its vectors. Asked for at once by other ops they hold up what comes
// behind (measured; test/perf/README.md).
#include "codegen/cpu/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

static constexpr int64_t kLineBytes = 64;
/// What a vector of exponentials takes, as a product counts it.
static constexpr int64_t kCyclesOfExp = 12;
/// Who computes longer for each line than this is not kept by memory, and would ask in vain: a product with weights.
static constexpr int64_t kMostCyclesOfLine = 128;

static bool isSameInEveryRound(Value value, scf::ForOp loop) {
  if (loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *op = value.getDefiningOp();
  return op && op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) { return isSameInEveryRound(operand, loop); });
}

/// Whether the row goes up by the step of the loop from one round to the next.
static bool goesAlong(Value row, scf::ForOp loop) {
  if (row == loop.getInductionVar())
    return true;
  if (auto difference = row.getDefiningOp<arith::SubIOp>())
    return goesAlong(difference.getLhs(), loop) && isSameInEveryRound(difference.getRhs(), loop);
  auto sum = row.getDefiningOp<arith::AddIOp>();
  return sum && ((goesAlong(sum.getLhs(), loop) && isSameInEveryRound(sum.getRhs(), loop)) ||
                 (goesAlong(sum.getRhs(), loop) && isSameInEveryRound(sum.getLhs(), loop)));
}

/// Whether the value is there when the op's turn comes.
static bool isKnownAt(Value value, Operation *op) {
  Operation *made = value.getDefiningOp();
  Operation *at = made ? made->getBlock()->findAncestorOpInBlock(*op) : op;
  return at && (!made || made->isBeforeInBlock(at));
}

/// The rows that an op takes of an argument of the kernel, if they are others in each round, parts of longer ones, and
/// not less than a line.
std::optional<KernelLowering::RowsOfRound> KernelLowering::rowsOfRound(Operation &op, scf::ForOp loop) {
  RowsOfRound rows;
  tile::TileType type;
  if (auto load = dyn_cast<tile::LoadOp>(op); load && !load.getTransposed()) {
    rows = {load.getMemory(), load.getRow(), load.getColumn(), loop, 0, 0, 0};
    type = typeOf(load.getResult());
  } else if (auto store = dyn_cast<tile::StoreOp>(op)) {
    rows = {store.getMemory(), store.getRow(), store.getColumn(), loop, 0, 0, 0};
    type = typeOf(store.getValue());
  } else {
    return std::nullopt;
  }
  auto memory = cast<tile::MemoryType>(rows.memory.getType());
  Type element = memory.getElementType();
  bool isPart = type.getRows() > 1 && type.getColumns() < memory.getColumns();
  if (!isa<BlockArgument>(rows.memory) || blockFormatOf(element) || !isPart || !goesAlong(rows.row, loop) ||
      !isSameInEveryRound(rows.column, loop))
    return std::nullopt;
  int64_t bytes = type.getColumns() * Code::bytesOf(element);
  if (bytes < kLineBytes)
    return std::nullopt;
  rows.count = type.getRows(), rows.linesOfRow = llvm::divideCeil(bytes, kLineBytes);
  return rows;
}

/// What an op that asks for lines takes, and in how many rounds; none of others.
std::optional<KernelLowering::Asker> KernelLowering::askerOf(Operation &op) {
  if (auto map = dyn_cast<tile::MapOp>(op)) {
    auto type = typeOf(map.getResult());
    auto exponentials =
        llvm::count_if(map.getBody().front(), [](Operation &inner) { return isa<math::ExpOp, math::Exp2Op>(inner); });
    int64_t vectors = type.getRows() * llvm::divideCeil(type.getColumns(), code.lanes);
    if (type.getRows() == 1 || exponentials == 0)
      return std::nullopt;
    return Asker{&op, vectors * exponentials * kCyclesOfExp, vectors};
  }
  auto mma = dyn_cast<tile::MmaOp>(op);
  if (!mma || layouts.usesMatrixUnit(mma))
    return std::nullopt;
  auto type = typeOf(mma.getResult());
  int64_t depth = mma.getTransposeLhs() ? typeOf(mma.getLhs()).getRows() : typeOf(mma.getLhs()).getColumns();
  // A product with a triangle has fewer rounds in its first rows.
  if (mma.getTriangle() == tile::Triangle::lhs || !ProductWriter::hasRounds(type.getRows(), type.getColumns()))
    return std::nullopt;
  ProductTime time = timeOf(code.target, type.getRows(), llvm::divideCeil(type.getColumns(), code.lanes), depth,
                            mma.getTriangle() == tile::Triangle::result ? Zeros::resultLower : Zeros::none);
  return Asker{&op, time.cycles, time.rounds};
}

void KernelLowering::findAhead(scf::ForOp loop, Block &block, SmallVector<RowsOfRound> rows) {
  SmallVector<Asker> askers;
  SmallVector<RowsOfRound> written;
  for (Operation &op : block) {
    if (std::optional<RowsOfRound> own = rowsOfRound(op, loop)) {
      (isa<tile::LoadOp>(op) ? rows : written).push_back(*own);
      if (isa<tile::LoadOp>(op)) // what is read comes first
        askers.clear();
    } else if (std::optional<Asker> asker = askerOf(op)) {
      askers.push_back(*asker);
    }
  }
  if (askers.empty()) {
    for (Operation &op : block)
      if (auto branch = dyn_cast<scf::IfOp>(op))
        for (Region &side : branch->getRegions())
          if (!side.empty())
            findAhead(loop, side.front(), rows);
    return;
  }
  llvm::append_range(rows, written);
  llvm::erase_if(rows, [&](const RowsOfRound &r) {
    return !isKnownAt(r.row, askers.front().op) || !isKnownAt(r.column, askers.front().op);
  });
  deal(rows, askers);
}

/// Deals rows to ops, in their order, by what these take: whole lines for each of an op's rounds, or it would ask for
/// some of them again. An op with a line for fewer than every other round leaves them to the next.
void KernelLowering::deal(ArrayRef<RowsOfRound> rows, ArrayRef<Asker> askers) {
  int64_t lines = 0, cycles = 0, asked = 0, spent = 0;
  for (const RowsOfRound &r : rows)
    lines += r.count * r.linesOfRow;
  for (const Asker &asker : askers)
    cycles += asker.cycles;
  if (cycles > kMostCyclesOfLine * lines)
    return;
  const RowsOfRound *next = rows.begin();
  int64_t first = 0; // of the next rows
  for (const Asker &asker : askers) {
    spent += asker.cycles;
    int64_t due = lines * spent / cycles - asked;
    if (spent < cycles)
      due = (due + asker.rounds / 2) / asker.rounds * asker.rounds;
    while (due > 0 && next != rows.end()) {
      RowsOfRound part = *next;
      part.first = first;
      part.count = std::min<int64_t>(llvm::divideCeil(due, part.linesOfRow), next->count - first);
      ahead[asker.op].push_back(part);
      due -= part.count * part.linesOfRow, asked += part.count * part.linesOfRow, first += part.count;
      if (first == next->count)
        ++next, first = 0;
    }
  }
}

/// What an op calls in each of its rounds, to ask for its lines one after the other.
EachRound KernelLowering::askAhead(Operation *op) {
  struct Lines {
    Value first;
    int64_t count, ofRow, stride;
  };
  std::vector<Lines> lines;
  auto asked = ahead.find(op);
  if (asked == ahead.end())
    return {};
  for (RowsOfRound rows : asked->second) {
    // The last round has no next one and asks for what it has itself.
    Value turn = i64Of(rows.loop.getInductionVar()), step = i64Of(rows.loop.getStep());
    Value goesOn = code.lessThan(code.add(turn, step), i64Of(rows.loop.getUpperBound()));
    Value row = code.add(code.add(i64Of(rows.row), code.select(goesOn, step, code.constant(0))), rows.first);
    Place place = memoryWindow(rows.memory, row, i64Of(rows.column), 1, 1);
    lines.push_back(
        {place.base, rows.count * rows.linesOfRow, rows.linesOfRow, place.rowStride * Code::bytesOf(place.element)});
  }
  int64_t total = 0;
  for (const Lines &l : lines)
    total += l.count;
  return [this, lines, total](Value round, int64_t rounds) {
    int64_t each = llvm::divideCeil(total, rounds);
    Value first = each * rounds == total ? code.mul(round, each) : code.divide(code.mul(round, total), rounds);
    for (int64_t i = 0; i < each; ++i) {
      Value line = code.add(first, i), address;
      int64_t before = 0; // lines of earlier parts
      for (const Lines &l : lines) {
        // Counted from the first part on where rows are alike, so that one offset does for all.
        int64_t skipped = before % l.ofRow == 0 ? before / l.ofRow : 0;
        Value own = skipped * l.ofRow == before ? line : code.add(line, -before);
        Value row = code.divide(own, l.ofRow), ofRow = code.sub(own, code.mul(row, l.ofRow));
        Value offset = code.add(code.mul(row, l.stride), code.mul(ofRow, kLineBytes));
        Type byte = code.builder.getI8Type();
        Value here = code.advance(code.advance(l.first, -skipped * l.stride, byte), offset, byte);
        address = address ? code.select(code.lessThan(line, code.constant(before)), address, here) : here;
        before += l.count;
      }
      code.prefetch(address, /*level=*/2);
    }
  };
}
