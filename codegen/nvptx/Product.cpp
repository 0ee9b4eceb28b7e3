// Products by matrix units: of single warps (mma.sync) and of warpgroups (wgmma).
//
// Operands are bf16. In exact mode an operand is the sum of three, each what rounding the ones before left over (24
// bits of mantissa together), and the product is the sum of the six products of terms i and j with i + j <= 2, all
// accumulated in f32.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Columns of a left operand that a loop may keep in registers: half a register each for a thread.
static constexpr int64_t kMostHeldColumns = 128;

KernelLowering::Form KernelLowering::formOf(const Shape &shape, bool transposeRhs) {
  if (shape.k == 1)
    return Form::outer;
  if (shape.m == 1 || shape.n == 1)
    return Form::vector;
  Distribution result{shape.m, shape.n, chooseGrid(shape.m, shape.n, warps)};
  int64_t columns = result.columnsOfWarp();
  bool group = code.target.warpgroupProduct && shape.m % 64 == 0 && !result.padsRows() && !result.padsColumns() &&
               result.grid.down >= 4 && shape.k % 16 == 0 && columns <= 256;
  // Columns of a warpgroup must be whole panels, or all in one.
  if (!transposeRhs && result.grid.across > 1)
    group &= columns % 64 == 0 || 64 % columns == 0;
  return group ? Form::group : Form::warp;
}

KernelLowering::Form KernelLowering::formOf(tile::MmaOp op) {
  DealtFor own(*this, op);
  return isOfSlabs(op) ? Form::slabs : formOf({op.getM(), op.getN(), op.getK()}, op.getTransposeRhs());
}

bool KernelLowering::isOfSlabs(tile::MmaOp op) {
  auto blocks = op.getBlocks();
  if (!blocks || 16 % *blocks != 0 || op.getTransposeLhs() || !op.getTransposeRhs() || op.getAcc())
    return false;
  Distribution operand = distributionOf(op.getLhs()), result = distributionOf(op.getResult());
  return !operand.padsRows() && !operand.padsColumns() && operand.groups() % 2 == 0 && // whole steps of 16
         result.grid == operand.grid && result.groups() % 2 == 0;
}

bool KernelLowering::lhsInRegisters(tile::MmaOp op) {
  DealtFor own(*this, op);
  if (op.getTransposeLhs())
    return false;
  // What stands in shared memory for another product of the block needs no registers for this one.
  for (Operation *user : op.getLhs().getUsers())
    if (auto other = dyn_cast<tile::MmaOp>(user); other && other.getRhs() == op.getLhs() &&
                                                  other->getBlock() == op->getBlock() && formOf(op) == Form::group &&
                                                  formOf(other) == Form::group)
      return false;
  // A load that only products read is nearer in shared memory, unless a loop uses it again and again.
  // (One that is turned stands there as memory has it.)
  if (auto load = op.getLhs().getDefiningOp<tile::LoadOp>(); load && !load.getTransposed()) {
    auto isOfLoop = [&](Operation *user) { return user->getBlock() != load->getBlock(); };
    if (llvm::none_of(load->getUsers(), isOfLoop) || precision == Precision::exact || formOf(op) != Form::group ||
        op.getK() > kMostHeldColumns)
      return false;
  }
  Distribution lhs = distributionOf(op.getLhs()), result = distributionOf(op.getResult());
  return lhs.grid.across == 1 && lhs.grid == result.grid && !lhs.padsColumns() && lhs.columns % 16 == 0;
}

SmallVector<Value, 4> KernelLowering::operandWords(const Fragment &lhs, int64_t slab, int64_t group, int64_t term) {
  SmallVector<Value, 4> words;
  for (int64_t g = group; g < group + 2; ++g)
    for (int64_t half = 0; half < 2; ++half)
      words.push_back(g < lhs.shape.groups() && lhs.shape.isUsed(slab, half)
                          ? packTerm(lhs.at(slab, g, half, 0), lhs.at(slab, g, half, 1), term)
                          : code.constant32(0));
  return words;
}

/// Pairs of terms (left, right) that a product is the sum of.
static SmallVector<std::pair<int64_t, int64_t>> termPairs(int64_t lhs, int64_t rhs) {
  SmallVector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < lhs; ++i)
    for (int64_t j = 0; j < rhs && i + j <= 2; ++j)
      pairs.push_back({i, j});
  return pairs;
}

SmallVector<Value, 4> KernelLowering::wordsOf(const Operand &lhs, const Distribution &shape, int64_t slab,
                                              int64_t group, int64_t term) {
  if (lhs.packed.empty())
    return operandWords(*lhs.fragment, slab, group, term);
  ArrayRef<Value> words = lhs.packed.slice((slab * llvm::divideCeil(shape.groups(), 2) + group / 2) * 4, 4);
  return SmallVector<Value, 4>(words.begin(), words.end());
}

void KernelLowering::multiply(const Shape &shape, const Operand &lhs, const Operand &rhs, Fragment &acc,
                              bool accumulate) {
  bool group = formOf(shape, rhs.transposed) == Form::group;
  for (const Operand *operand : {&lhs, &rhs})
    if (isResident(*operand))
      shared.awaits(operand->shared->offset, operand->shared->bytes());
  for (const Operand *operand : {&lhs, &rhs}) {
    if (!isResident(*operand))
      continue;
    if (group)
      shared.readsInGroup(operand->shared->offset, operand->shared->bytes(), groupsIssued + 1);
    else
      shared.reads(operand->shared->offset, operand->shared->bytes());
  }
  if (group)
    return multiplyByGroups(shape, lhs, rhs, acc, accumulate);
  if (!accumulate)
    acc.values.assign(acc.shape.registers(), code.number(0));
  multiplyByWarps(shape, lhs, rhs, acc);
}

Fragment KernelLowering::slabProduct(tile::MmaOp op) {
  const Fragment lhs = fragmentOf(op.getLhs()), rhs = fragmentOf(op.getRhs());
  int64_t leftTerms = termsOf(op.getLhs()), rightTerms = termsOf(op.getRhs());
  Fragment result{distributionOf(op.getResult()), code.f32(), {}};
  SmallVector<SmallVector<Value>> sums; // of a slab: two pieces of 8 columns
  for (int64_t slab = 0; slab < result.shape.slabs(); ++slab) {
    sums.emplace_back(8, code.number(0));
    for (int64_t group = 0; group < lhs.shape.groups(); group += 2) {
      SmallVector<SmallVector<Value, 4>> a, b;
      for (int64_t term = 0; term < leftTerms; ++term)
        a.push_back(operandWords(lhs, slab, group, term));
      // Rows of the left operand are held as columns of a right one are: words of rows g, then of rows g + 8.
      for (int64_t term = 0; term < rightTerms; ++term)
        b.push_back(op.getLhs() == op.getRhs() ? a[term] : operandWords(rhs, slab, group, term));
      for (auto [left, right] : termPairs(leftTerms, rightTerms))
        for (int64_t piece = 0; piece < 2; ++piece)
          llvm::copy(
              code.multiply(ArrayRef(sums[slab]).slice(piece * 4, 4), a[left], {b[right][piece], b[right][piece + 2]}),
              sums[slab].begin() + piece * 4);
    }
  }
  if (lhs.shape.grid.across > 1)
    addAcross(sums, lhs.shape.grid);
  // Columns of other blocks may hold anything: the same registers again.
  for (const SmallVector<Value> &slab : sums)
    for (int64_t group = 0; group < result.shape.groups(); ++group)
      for (int64_t i = 0; i < 4; ++i)
        result.values.push_back(slab[group % 2 * 4 + i]);
  return result;
}

/// Warps across hold parts of the same sums; all add them in the same order.
void KernelLowering::addAcross(MutableArrayRef<SmallVector<Value>> sums, const WarpGrid &grid) {
  constexpr int64_t quarter = 32 * 16; // four words of each lane
  int64_t slabBytes = 2 * quarter, partBytes = int64_t(sums.size()) * grid.down * slabBytes;
  int64_t bytes = grid.across * partBytes, offset = shared.allocate(bytes);
  shared.writes(offset, bytes);
  Value place =
      code.add(code.add(code.mul(warpDown(grid), int64_t(sums.size()) * slabBytes), code.mul(lane, 16)), offset);
  Value own = code.add(place, code.mul(warpAcross(grid), partBytes));
  for (auto [slab, values] : llvm::enumerate(sums))
    for (int64_t part = 0; part < 2; ++part) {
      SmallVector<Value> words;
      for (int64_t i = 0; i < 4; ++i)
        words.push_back(code.bitsOf(values[part * 4 + i]));
      code.storeShared(words, own, {}, slab * slabBytes + part * quarter);
    }
  shared.reads(offset, bytes);
  for (auto [slab, values] : llvm::enumerate(sums))
    for (int64_t part = 0; part < 2; ++part)
      for (int64_t across = 0; across < grid.across; ++across) {
        auto words = code.loadShared(place, 4, across * partBytes + slab * slabBytes + part * quarter);
        for (int64_t i = 0; i < 4; ++i) {
          Value word = code.realOf(words[i]);
          values[part * 4 + i] = across == 0 ? word : code.addf(values[part * 4 + i], word);
        }
      }
  // The next ones go elsewhere: who still reads these need not be waited for.
  if (acrossOffset)
    shared.release(*acrossOffset);
  acrossOffset = offset;
}

void KernelLowering::multiplyByWarps(const Shape &shape, const Operand &lhs, const Operand &rhs, Fragment &acc) {
  const Distribution &result = acc.shape;
  Value inMatrix = code.modulo(lane, 8), second = code.modulo(code.divide(lane, 8), 2), fourth = code.divide(lane, 16);
  auto clamp = [&](Value start, bool pads, int64_t most) {
    return pads ? code.mini(start, code.constant32(std::max<int64_t>(most, 0))) : start;
  };
  // First rows of the warp's slabs and first columns of its groups; behind the operands' ends read something that is.
  auto rowStart = [&](int64_t slab) {
    Value start = code.add(code.mul(warpDown(result.grid), 16), slab * 16 * result.grid.down);
    return clamp(start, result.padsRows(), llvm::alignTo(shape.m, 16) - 16);
  };
  auto columnStart = [&](int64_t group, int64_t width) {
    Value start = code.add(code.mul(warpAcross(result.grid), result.columnsOfWarp()), group * 8);
    return clamp(start, result.padsColumns(), llvm::alignTo(shape.n, 16) - width);
  };
  auto times8 = [&](Value v) { return code.mul(v, 8); };
  for (int64_t k = 0; k < int64_t(llvm::alignTo(shape.k, 16)); k += 16) {
    // B: fragments of two groups at a time, for each term.
    SmallVector<SmallVector<Value>> b(rhs.terms);
    for (int64_t term = 0; term < rhs.terms; ++term)
      for (int64_t group = 0; group < result.groups(); group += 2) {
        bool two = group + 1 < result.groups();
        Value n = columnStart(group, two ? 16 : 8), row, piece;
        if (rhs.transposed) {
          row = code.add(code.add(n, inMatrix), two ? times8(fourth) : code.constant32(0));
          piece = code.add(second, k / 8);
        } else {
          row = code.add(code.add(inMatrix, times8(second)), k);
          piece = code.divide(n, 8);
          if (two)
            piece = code.add(piece, fourth);
        }
        llvm::append_range(b[term],
                           code.loadMatrices(pieceOffset(*rhs.shared, row, piece, term), two ? 4 : 2, !rhs.transposed));
      }
    for (int64_t slab = 0; slab < result.slabs(); ++slab) {
      SmallVector<SmallVector<Value, 4>> a;
      for (int64_t term = 0; term < lhs.terms; ++term) {
        if (!lhs.shared) {
          a.push_back(wordsOf(lhs, {shape.m, shape.k, result.grid}, slab, k / 8, term));
          continue;
        }
        Value m = rowStart(slab), row, piece;
        if (lhs.transposed) {
          row = code.add(code.add(inMatrix, times8(fourth)), k);
          piece = code.add(code.divide(m, 8), second);
        } else {
          row = code.add(code.add(m, inMatrix), times8(second));
          piece = code.add(fourth, k / 8);
        }
        a.push_back(code.loadMatrices(pieceOffset(*lhs.shared, row, piece, term), 4, lhs.transposed));
      }
      for (auto [left, right] : termPairs(lhs.terms, rhs.terms))
        for (int64_t group = 0; group < result.groups(); ++group) {
          int64_t at = result.at(slab, group, 0, 0);
          auto sums = code.multiply(ArrayRef(acc.values).slice(at, 4), a[left], ArrayRef(b[right]).slice(group * 2, 2));
          llvm::copy(sums, acc.values.begin() + at);
        }
    }
  }
}

/// Columns of one instruction. Its registers must be there when the kernel begins, before warps ask for more.
int64_t KernelLowering::mostColumnsAtOnce() {
  constexpr int64_t most = 256, others = 32;
  return code.target.registers / blocksTogether() / threads() >= most / 2 + others ? most : most / 2;
}

void KernelLowering::multiplyByGroups(const Shape &shape, const Operand &lhs, const Operand &rhs, Fragment &acc,
                                      bool accumulate) {
  const Distribution &result = acc.shape;
  int64_t perSlab = result.groups() * 4;
  if (!accumulate)
    acc.values.assign(result.registers(), code.number(0));
  Major aMajor = lhs.transposed ? Major::outer : Major::contraction;
  Major bMajor = rhs.transposed ? Major::contraction : Major::outer;
  // Units of 16 bytes from the begin of an operand to step k of a term.
  auto stepOffset = [&](const SharedTile &tile, Major major, int64_t k, int64_t term) {
    int64_t bytes =
        term * tile.termBytes() + (major == Major::contraction ? k / 64 * tile.panelBytes() + k % 64 * 2 : k * 128);
    return bytes / 16;
  };
  // Bytes from the begin of an operand to its outer index `start` (of a warp: the same for the whole warpgroup).
  auto outerOffset = [&](const SharedTile &tile, Major major, Value start) {
    if (major == Major::contraction)
      return code.mul(start, 128);
    Value panel = code.mul(code.divide(start, 64), tile.panelBytes());
    return code.add(panel, code.mul(code.modulo(start, 64), 2));
  };
  auto baseOf = [&](const SharedTile &tile, Value offset) {
    offset = code.add(offset, tile.offset);
    return tile.slot ? code.add(offset, tile.slot) : offset;
  };
  Value column = code.mul(warpAcross(result.grid), result.columnsOfWarp());
  int64_t groups = std::min(result.groups(), mostColumnsAtOnce() / 8);
  for (int64_t slab = 0; slab < result.slabs(); ++slab) {
    Value a;
    if (lhs.shared) {
      Value row = code.add(code.mul(code.divide(warpDown(result.grid), 4), 64), slab * 16 * result.grid.down);
      a = code.descriptor(baseOf(*lhs.shared, outerOffset(*lhs.shared, aMajor, row)), aMajor, lhs.shared->panelBytes());
    }
    SmallVector<Code::GroupStep> steps;
    for (auto [left, right] : termPairs(lhs.terms, rhs.terms))
      for (int64_t k = 0; k < shape.k; k += 16) {
        Code::GroupStep step;
        step.b = stepOffset(*rhs.shared, bMajor, k, right);
        if (!lhs.shared)
          step.aRegisters = wordsOf(lhs, {shape.m, shape.k, result.grid}, slab, k / 8, left);
        else
          step.a = stepOffset(*lhs.shared, aMajor, k, left);
        steps.push_back(std::move(step));
      }
    for (int64_t first = 0; first < result.groups(); first += groups) {
      Value b = code.descriptor(baseOf(*rhs.shared, outerOffset(*rhs.shared, bMajor, code.add(column, first * 8))),
                                bMajor, rhs.shared->panelBytes());
      int64_t count = std::min(groups, result.groups() - first) * 4;
      auto part = MutableArrayRef(acc.values).slice(slab * perSlab + first * 4, count);
      ArrayRef<Code::GroupStep> left = steps;
      bool adds = accumulate;
      for (const Arrival &arrival : rhs.arrivals.drop_back(rhs.arrivals.empty() ? 0 : 1)) {
        size_t count = arrival.columns / 16;
        code.waitBarrier(arrival.barrier, arrival.parity);
        llvm::copy(code.multiplyGroup(part, adds, a, aMajor, b, bMajor, left.take_front(count)), part.begin());
        left = left.drop_front(count), adds = true;
      }
      if (!rhs.arrivals.empty())
        code.waitBarrier(rhs.arrivals.back().barrier, rhs.arrivals.back().parity);
      llvm::copy(code.multiplyGroup(part, adds, a, aMajor, b, bMajor, left), part.begin());
    }
  }
}
