// Two pages as one operand.
//
// A page has the tokens that a cache hands out at a time, fewer than a product of matrix units wants: with 64 columns
// it reads its left operand twice as often as with 128. Where a kernel takes its pages in twos, the copying warpgroup
// puts the rows of both behind each other in one slot of the ring, and
//
//     s0 = q k0^T, s1 = q k1^T            is one product with the columns of both
//     acc' = (acc + p0 v0) + p1 v1        is one product along the rows of both
//
// It is done with all pages of a kernel or with none: slots are of one size.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Whether nothing but scalars stands between two ops of a block.
static bool areNeighbours(Operation *from, Operation *to, llvm::function_ref<bool(Operation *)> isPart) {
  if (from->getBlock() != to->getBlock() || !from->isBeforeInBlock(to))
    return false;
  for (Operation *op = from->getNextNode(); op != to; op = op->getNextNode())
    if (!isPart(op) && (op->getNumRegions() != 0 || llvm::any_of(op->getResultTypes(), llvm::IsaPred<tile::TileType>) ||
                        isa<tile::StoreOp, tile::ScatterOp, tile::ExtractOp>(op)))
      return false;
  return true;
}

bool KernelLowering::isPair(tile::MmaOp first, tile::MmaOp second) {
  if (formOf(first) != Form::group || formOf(second) != Form::group || first.getTransposeLhs() ||
      second.getTransposeLhs() || first.getLhs().getType() != second.getLhs().getType() ||
      first.getTransposeRhs() != second.getTransposeRhs())
    return false;
  bool columns = first.getTransposeRhs();
  Shape both{first.getM(), first.getN() * (columns ? 2 : 1), first.getK() * (columns ? 1 : 2)};
  Distribution one = distributionOf(first.getResult()), all{both.m, both.n, chooseGrid(both.m, both.n, warps)};
  if (formOf(both, columns) != Form::group || !(one.grid == all.grid) || one.grid.across != 1)
    return false;
  if (columns)
    return first.getLhs() == second.getLhs() && !first.getAcc() && !second.getAcc();
  return second.getAcc() == first.getResult() && first.getResult().hasOneUse() && lhsInRegisters(first) &&
         lhsInRegisters(second);
}

void KernelLowering::findPairs() {
  SmallVector<Value> loads;
  for (auto &[value, load] : staged)
    loads.push_back(value);
  if (ownSlots || loads.size() % 2)
    return;
  auto productOf = [&](Value load) {
    bool once = onlyShared.contains(load) && load.hasOneUse();
    auto product = once ? dyn_cast<tile::MmaOp>(*load.getUsers().begin()) : tile::MmaOp();
    return product && product.getRhs() == load ? product : tile::MmaOp();
  };
  for (size_t i = 0; i < loads.size(); i += 2) {
    auto first = loads[i].getDefiningOp<tile::LoadOp>(), second = loads[i + 1].getDefiningOp<tile::LoadOp>();
    tile::MmaOp product = productOf(first), next = productOf(second);
    bool fits = product && next && first.getType() == second.getType() &&
                rootOf(first.getMemory()) == rootOf(second.getMemory()) && isPair(product, next) &&
                areNeighbours(first, next, [&](Operation *op) { return op == second || op == product; });
    if (!fits)
      return;
  }
  for (size_t i = 0; i < loads.size(); i += 2) {
    firstPages.insert(loads[i]);
    firstPageOf[loads[i + 1]] = loads[i];
    firstProducts.insert(productOf(loads[i]));
    firstProductOf[productOf(loads[i + 1])] = productOf(loads[i]);
  }
  for (auto &[value, load] : staged)
    load.bytes *= 2;
}

void KernelLowering::multiplyPair(tile::MmaOp first, tile::MmaOp second) {
  bool columns = first.getTransposeRhs();
  Shape both{first.getM(), first.getN() * (columns ? 2 : 1), first.getK() * (columns ? 1 : 2)};
  Fragment acc{{both.m, both.n, chooseGrid(both.m, both.n, warps)}, code.f32(), {}}, left;
  Operand lhs, rhs;
  rhs.transposed = columns;
  rhs.shared = &sharedOf(second.getRhs());
  SmallVector<Value> words;
  if (columns) {
    if (!lhsInRegisters(first)) {
      lhs.shared = &sharedOf(first.getLhs());
    } else if (auto it = packedWords.find(first.getLhs()); it != packedWords.end()) {
      lhs.packed = it->second;
    } else {
      left = fragmentOf(first.getLhs());
      lhs.fragment = &left;
    }
  } else {
    if (Value before = first.getAcc()) {
      bool continues = groupOf.lookup(before) && before.hasOneUse();
      if (continues)
        groupOf.erase(before);
      acc.values = (continues ? fragments.find(before)->second : fragmentOf(before, acc.shape.grid)).values;
    }
    // Words of both left operands, slab by slab.
    Distribution one{first.getM(), first.getK(), acc.shape.grid};
    Operand parts[2];
    Fragment held[2];
    for (int64_t i = 0; i < 2; ++i) {
      tile::MmaOp product = i == 0 ? first : second;
      if (auto it = packedWords.find(product.getLhs()); it != packedWords.end()) {
        parts[i].packed = it->second;
        continue;
      }
      held[i] = fragmentOf(product.getLhs());
      parts[i].fragment = &held[i];
    }
    for (int64_t slab = 0; slab < one.slabs(); ++slab)
      for (const Operand &part : parts)
        for (int64_t group = 0; group < one.groups(); group += 2)
          llvm::append_range(words, wordsOf(part, one, slab, group, 0));
    lhs.packed = words;
  }
  multiply(both, lhs, rhs, acc, bool(first.getAcc()));
  if (!columns) {
    bind(second.getResult(), std::move(acc));
    return startGroup(second.getResult());
  }
  Distribution half = distributionOf(first.getResult());
  for (int64_t i = 0; i < 2; ++i) {
    Fragment part{half, code.f32(), SmallVector<Value>(half.registers())};
    for (int64_t slab = 0; slab < half.slabs(); ++slab)
      for (int64_t group = 0; group < half.groups(); ++group)
        for (int64_t h = 0; h < 2; ++h)
          for (int64_t e = 0; e < 2; ++e)
            part.values[half.at(slab, group, h, e)] = acc.at(slab, group + i * half.groups(), h, e);
    bind((i == 0 ? first : second).getResult(), std::move(part));
  }
  startGroup(first.getResult());
  groupOf[second.getResult()] = groupsIssued;
}
