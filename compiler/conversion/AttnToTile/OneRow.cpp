// Products with weights for one row, a decode step: bound by reading the weights, each of them once.
//
// An item is some columns of one of the kernel's results. Its weights are loaded first, all of them, before anything
// that the row depends on: a machine that overlaps kernels reads them while the kernel before still runs. What leads to
// the row (a norm, a gate) is computed again by every item, as a matrix of the row, which costs little beside its
// weights and spares a kernel and its round through memory.
//
//   weights [8, 2048] of two panels  loads, under way
//   x [16, 128] -> norm              every item, the same
//   flatten, mma                     [1, 8]
//   weights of the panel after the next
//   what follows the products, store; and so on with the next panel
#include "compiler/conversion/AttnToTile/FoldedRow.h"
#include <map>

using namespace mlir;
using namespace denim;

namespace {

/// Threads of a block, and columns of a row that each of them loads at once.
constexpr int64_t kWarps = 8, kPiece = 8, kTurn = kWarps * 32 * kPiece;
/// Pieces of weights of a panel that a thread has under way, 4 registers each; those of two panels are at a time.
constexpr int64_t kMostPieces = 12;
/// Columns of a result in a panel.
constexpr int64_t kMostColumns = 8, kLeastColumns = 2;
/// Items that run at once, two on each multiprocessor: wider results have more panels in an item rather than more
/// items, for what leads to the row is done once in each.
constexpr int64_t kItems = 264, kMostPanels = 16;

/// A result with the products that lead to it: panels of `width` columns, of which an item does `each`.
struct Part {
  unsigned index;
  SmallVector<model::LinearOp> linears;
  int64_t columns, width, panels, each = 1;
  int64_t items() const { return llvm::divideCeil(panels, each); }
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

Part partOf(Value result, unsigned index) {
  Part part{index, {}, channelsOf(result), 0, 0};
  llvm::SetVector<Operation *> products;
  findProducts(result, products);
  int64_t turns = 0;
  for (Operation *op : products) {
    part.linears.push_back(cast<model::LinearOp>(op));
    turns += llvm::divideCeil(innerOf(part.linears.back()), kTurn);
  }
  part.width = kMostColumns;
  while (part.width > kLeastColumns && part.width * turns > kMostPieces)
    part.width /= 2;
  part.width = std::min(part.width, part.columns);
  part.panels = llvm::divideCeil(part.columns, part.width);
  return part;
}

SmallVector<Part> partsOf(plan::KernelOp kernel) {
  SmallVector<Part> parts;
  for (auto [i, result] : llvm::enumerate(kernel.getBlock()->getTerminator()->getOperands()))
    parts.push_back(partOf(result, i));
  int64_t panels = 0;
  for (const Part &part : parts)
    panels += part.panels;
  for (Part &part : parts)
    part.each = std::min(int64_t(llvm::divideCeil(panels, kItems)), kMostPanels);
  return parts;
}

int64_t itemsOf(ArrayRef<Part> parts) {
  int64_t items = 0;
  for (const Part &part : parts)
    items += part.items();
  return items;
}

class OneRow {
public:
  explicit OneRow(plan::KernelOp kernel)
      : kernel(kernel), parts(partsOf(kernel)),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), 1, itemsOf(parts))) {}

  tile::KernelOp write(SmallVectorImpl<unsigned> &extras) {
    e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(kWarps));
    // Two blocks on a multiprocessor: one asks for weights while the other adds up.
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(2));
    Value all = e.index(itemsOf(parts));
    row = arith::DivUIOp::create(e.b, e.loc, e.item(), all);
    writeParts(parts, arith::RemUIOp::create(e.b, e.loc, e.item(), all));
    extras.append(e.extraOperands().begin(), e.extraOperands().end());
    return e.failed() ? nullptr : e.tileKernel;
  }

private:
  void writeParts(ArrayRef<Part> left, Value number) {
    if (left.size() == 1)
      return writePart(left[0], number);
    Value items = e.index(left[0].items());
    e.branch(
        e.less(number, items), [&] { writePart(left[0], number); },
        [&] { writeParts(left.drop_front(), e.sub(number, items)); });
  }

  /// A panel of the item that is being written.
  struct Panel {
    Window window;
    SmallVector<Value> weights; ///< of each product and step, under way
    llvm::DenseMap<Value, Value> products;
  };

  void writePart(const Part &part, Value number) {
    SmallVector<Panel> panels(part.each);
    for (auto [i, panel] : llvm::enumerate(panels)) {
      // Behind the last column there is nothing: columns that two panels share are written twice, alike.
      Value first = e.mul(number, part.each * part.width);
      if (i)
        first = e.add(first, e.index(i * part.width));
      if (part.columns % (part.each * part.width) != 0)
        first = e.min(first, e.index(part.columns - part.width));
      panel.window = {0, part.panels == 1 ? Value() : first, part.columns, part.width};
    }
    Rows rows{row, 1, {}, {}};
    llvm::DenseMap<Value, Value> inputs; // rows that are computed, whole
    Value result = kernel.getBlock()->getTerminator()->getOperand(part.index);
    int64_t ahead = 2;
    for (int64_t i = 0; i < std::min(ahead, part.each); ++i)
      loadWeights(part, panels[i], 0);
    for (int64_t i = 0; i < part.each; ++i) {
      Panel &panel = panels[i];
      multiply(part, panel, inputs);
      if (e.failed())
        return;
      if (i + ahead < part.each)
        loadWeights(part, panels[i + ahead], 0);
      e.setAnchor([&](Value value, const Rows &, const Window &w) -> Value {
        if (!panel.products.contains(value))
          return e.fail(value.getDefiningOp(), "expected a product with weights");
        if (w.columns != panel.window.columns || w.base != 0 || w.offset != panel.window.offset)
          return e.fail(value.getDefiningOp(), "expected to be used at the columns of the result");
        return panel.products.lookup(value);
      });
      e.store(e.emit(result, rows, panel.window), part.index, rows, panel.window);
    }
  }

  /// Columns of a step along the rows of weights: all of them unless a block has too few registers.
  int64_t stepOf(const Part &part) const {
    return kTurn * std::max<int64_t>(1, kMostPieces / (part.width * int64_t(part.linears.size())));
  }

  void loadWeights(const Part &part, Panel &panel, int64_t k) {
    Rows rows{firstChannel(e.b, e.loc, panel.window), part.width, {}, {}};
    panel.weights.clear();
    for (model::LinearOp linear : part.linears) {
      int64_t columns = std::min(stepOf(part), innerOf(linear) - k);
      panel.weights.push_back(columns > 0 ? e.load(e.memoryOf(linear.getWeight()), rows, e.index(k), columns)
                                          : Value());
    }
  }

  /// All products of a panel, whose first step is under way.
  void multiply(const Part &part, Panel &panel, llvm::DenseMap<Value, Value> &inputs) {
    int64_t longest = 0;
    for (model::LinearOp linear : part.linears)
      longest = std::max(longest, innerOf(linear));
    for (int64_t k = 0; k < longest; k += stepOf(part)) {
      if (k)
        loadWeights(part, panel, k);
      for (auto [own, weights] : llvm::zip(part.linears, panel.weights)) {
        model::LinearOp linear = own;
        Value x =
            weights ? inputOf(linear.getInput(), k, std::min(stepOf(part), innerOf(linear) - k), inputs) : Value();
        if (!x)
          continue;
        Value &sum = panel.products[linear.getResult()];
        sum = e.mma(x, weights, {false, true, sum, tile::Triangle::none});
      }
    }
    for (model::LinearOp linear : part.linears)
      if (linear.getBias()) {
        Value &sum = panel.products[linear.getResult()];
        sum =
            e.map(e.tileType(1, part.width), {sum, e.emitVector(linear.getBias(), panel.window)},
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
