// Products with weights for one row, a decode step: bound by reading the weights, each of them once.
//
// An item is some columns of one of the kernel's results. Its weights are loaded first, all of them, before anything
// that the row depends on: a machine that overlaps kernels reads them while the kernel before still runs. What leads to
// the row (a norm, a gate) is computed again by every item, as a matrix of the row, which costs little beside its
// weights and spares a kernel and its round through memory.
//
//   weights [16, 2048] of the item   loads, under way
//   x [16, 128] -> norm              every item, the same
//   flatten, mma                     [1, 16]
//   what follows the products, store
#include "compiler/conversion/AttnToTile/FoldedRow.h"
#include <map>

using namespace mlir;
using namespace denim;

namespace {

/// Threads of a block, and columns of a row that each of them loads at once.
constexpr int64_t kWarps = 8, kPiece = 8, kTurn = kWarps * 32 * kPiece;
/// Registers for the pieces of weights that a thread has under way.
constexpr int64_t kMostRegisters = 96;
/// Columns of a result that an item makes.
constexpr int64_t kMostColumns = 16, kLeastColumns = 4;

/// A result with the products that lead to it.
struct Part {
  unsigned index;
  SmallVector<model::LinearOp> linears;
  int64_t columns, width, panels;
};

void findProducts(Value value, llvm::SetVector<Operation *> &products) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return;
  if (isa<model::LinearOp>(op)) {
    products.insert(op);
    return;
  }
  for (Value operand : op->getOperands())
    findProducts(operand, products);
}

int64_t innerOf(model::LinearOp linear) {
  return cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(1);
}

/// Registers of a piece of weights: 16 bytes of bf16, or 8 bytes and their scale.
int64_t registersOf(model::LinearOp linear) {
  return blockFormatOf(cast<RankedTensorType>(linear.getWeight().getType()).getElementType()) ? 3 : 4;
}

Part partOf(Value result, unsigned index) {
  Part part{index, {}, channelsOf(result), 0, 0};
  llvm::SetVector<Operation *> products;
  findProducts(result, products);
  int64_t registers = 0; // for a column
  for (Operation *op : products) {
    part.linears.push_back(cast<model::LinearOp>(op));
    registers += llvm::divideCeil(innerOf(part.linears.back()), kTurn) * registersOf(part.linears.back());
  }
  part.width = kMostColumns;
  while (part.width > kLeastColumns && part.width * registers > kMostRegisters)
    part.width /= 2;
  part.width = std::min(part.width, part.columns);
  part.panels = llvm::divideCeil(part.columns, part.width);
  return part;
}

SmallVector<Part> partsOf(plan::KernelOp kernel) {
  SmallVector<Part> parts;
  for (auto [i, result] : llvm::enumerate(kernel.getBlock()->getTerminator()->getOperands()))
    parts.push_back(partOf(result, i));
  return parts;
}

int64_t panelsOf(ArrayRef<Part> parts) {
  int64_t panels = 0;
  for (const Part &part : parts)
    panels += part.panels;
  return panels;
}

class OneRow {
public:
  explicit OneRow(plan::KernelOp kernel)
      : kernel(kernel), parts(partsOf(kernel)),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), 1, panelsOf(parts))) {}

  tile::KernelOp write(SmallVectorImpl<unsigned> &extras) {
    e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(kWarps));
    // Two blocks on a multiprocessor: one asks for weights while the other adds up.
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(2));
    Value all = e.index(panelsOf(parts));
    row = arith::DivUIOp::create(e.b, e.loc, e.item(), all);
    writeParts(parts, arith::RemUIOp::create(e.b, e.loc, e.item(), all));
    extras.append(e.extraOperands().begin(), e.extraOperands().end());
    return e.failed() ? nullptr : e.tileKernel;
  }

private:
  void writeParts(ArrayRef<Part> left, Value number) {
    if (left.size() == 1)
      return writePart(left[0], number);
    Value panels = e.index(left[0].panels);
    e.branch(
        e.less(number, panels), [&] { writePart(left[0], number); },
        [&] { writeParts(left.drop_front(), e.sub(number, panels)); });
  }

  void writePart(const Part &part, Value number) {
    // The last panel begins early enough to be whole: columns that two panels share are written twice, alike.
    Value first = e.mul(number, part.width);
    if (part.columns % part.width != 0)
      first = e.min(first, e.index(part.columns - part.width));
    Window window{0, part.panels == 1 ? Value() : first, part.columns, part.width};
    Rows rows{row, 1, {}, {}};
    llvm::DenseMap<Value, Value> products;
    multiply(part, window, products);
    if (e.failed())
      return;
    e.anchorProducts(products, window);
    Value result = kernel.getBlock()->getTerminator()->getOperand(part.index);
    e.store(e.emit(result, rows, window), part.index, rows, window);
  }

  /// All products of a part. Longer rows of weights than a block has registers for go in steps.
  void multiply(const Part &part, const Window &window, llvm::DenseMap<Value, Value> &products) {
    int64_t registers = 0; // of a turn
    for (model::LinearOp linear : part.linears)
      registers += part.width * registersOf(linear);
    int64_t step = kTurn * std::max<int64_t>(1, kMostRegisters / registers);
    Rows panel{firstChannel(e.b, e.loc, window), part.width, {}, {}};
    int64_t longest = 0;
    for (model::LinearOp linear : part.linears)
      longest = std::max(longest, innerOf(linear));
    llvm::DenseMap<Value, Value> inputs; // rows that are computed, whole
    for (int64_t k = 0; k < longest; k += step) {
      SmallVector<Value> weights;
      for (model::LinearOp linear : part.linears)
        if (int64_t columns = std::min(step, innerOf(linear) - k); columns > 0)
          weights.push_back(e.load(e.memoryOf(linear.getWeight()), panel, e.index(k), columns));
      for (model::LinearOp linear : part.linears) {
        int64_t columns = std::min(step, innerOf(linear) - k);
        if (columns <= 0)
          continue;
        Value x = inputOf(linear.getInput(), k, columns, inputs);
        if (!x)
          return;
        Value &sum = products[linear.getResult()];
        sum = e.mma(x, weights.front(), {false, true, sum, tile::Triangle::none});
        weights.erase(weights.begin());
      }
    }
    for (model::LinearOp linear : part.linears)
      if (linear.getBias()) {
        Value &sum = products[linear.getResult()];
        sum =
            e.map(e.tileType(1, part.width), {sum, e.emitVector(linear.getBias(), window)},
                  [&](OpBuilder &b, ValueRange in) -> Value { return arith::AddFOp::create(b, e.loc, in[0], in[1]); });
      }
  }

  /// Columns [k, k + columns) of the row that a product takes.
  Value inputOf(Value value, int64_t k, int64_t columns, llvm::DenseMap<Value, Value> &computed) {
    if (Value memory = e.memoryOf(value))
      return e.load(memory, Rows{row, 1, {}, {}}, e.index(k), columns);
    Value &whole = computed[value];
    if (!whole) {
      int64_t width = foldedColumns(value, llvm::IsaPred<BlockArgument>);
      if (!width)
        return e.fail(value.getDefiningOp(), "expected a row that can be computed as a matrix");
      Value matrix = folded.try_emplace(width, e, row, width).first->second.emit(value);
      if (!matrix)
        return {};
      whole = tile::FlattenOp::create(e.b, e.loc, e.tileType(1, channelsOf(value)), matrix);
    }
    return e.window(whole, 0, k, 1, columns);
  }

  plan::KernelOp kernel;
  SmallVector<Part> parts;
  Emitter e;
  Value row;
  std::map<int64_t, FoldedRow> folded; ///< by columns; they see arguments once for all parts
};

} // namespace

tile::KernelOp denim::emitOneRow(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  return OneRow(kernel).write(extras);
}
