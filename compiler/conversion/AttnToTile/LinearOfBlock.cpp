// Products with weights, an item to a block of threads. A single row has kernels of its own (OneRow.cpp); two variants
// for more, by their number:
//
//   few    up to 16 rows: bound by reading the weights, but the products of 16 rows are matrix products. Where it can
//          be, weights and rows are copied ahead by warps of their own
//   many   a square of the result for each item; where the launch is a product and nothing else, it says so, and a
//          device with a library for products uses that
//
// Both walk along the rows of the weights in steps, so that a tile is small enough for registers and shared
// memory whatever the length of those rows.
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/tuning/Choices.h"
#include "compiler/tuning/CostModel.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

namespace {

/// Warps that multiply few rows by up to 64 columns of weights of bf16, where eight were slower; and where some are in
/// blocks, of which each warp makes numbers for its part of a step: of one product four took from 0.93 to 1.02 of the
/// time, of two 1.13 to 1.22, and sixteen 1.05 to 1.2.
constexpr int64_t kFewWarps = 4, kFewWarpsOfBlocks = 8;

/// What one item does: `rows` rows and at most `columns` columns, in steps of `step` along the contraction.
struct ItemShape {
  StringRef name;
  int64_t rows, columns, step;
  int64_t warps = 0;  ///< that multiply what others copy ahead; 0: they read operands themselves
  int64_t blocks = 1; ///< of such items that should be on a multiprocessor together
};

Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}
int64_t innerOf(model::LinearOp linear) {
  return cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(1);
}
bool isInBlocks(model::LinearOp linear) {
  return blockFormatOf(elementOf(linear.getWeight())).has_value();
}

class BlockProduct {
public:
  BlockProduct(plan::KernelOp kernel, const ItemShape &shape)
      : kernel(kernel), shape(shape), result(kernel.getBlock()->getTerminator()->getOperand(0)),
        columns(channelsOf(result)),
        // Warps copy whole blocks of 16 rows of weights.
        width(panelWidth(columns, shape.columns, shape.warps ? 16 : 8)), panels(llvm::divideCeil(columns, width)),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), shape.rows, panels), shape.name) {}

  LogicalResult write(Variant &variant) {
    Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(panels));
    Value number = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(panels));
    // The last panel begins early enough to be whole: columns that two panels share are written twice, alike.
    Value first = e.min(e.mul(number, width), e.index(columns - width));
    window = {0, panels == 1 ? Value() : first, columns, width};
    if (shape.warps) {
      e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(shape.warps));
      e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(shape.blocks));
      e.tileKernel->setAttr("tile.ahead", e.b.getUnitAttr());
    }
    Value row = e.mul(block, shape.rows), count = tile::CountOp::create(e.b, e.loc, rowKind(kernel));
    // Behind the last row follow rows that may be read, but not as many as the largest items have.
    Rows stored{row, shape.rows, row, count}, read = stored;
    if (shape.rows <= DENIM_ROW_PADDING)
      read = Rows{row, shape.rows, {}, {}};
    if (failed(multiplyAll(read)))
      return failure();
    e.anchorProducts(products, window);
    e.store(e.emit(result, read, window), 0, stored, window);
    variant.kernel = e.tileKernel;
    variant.extraOperands.assign(e.extraOperands().begin(), e.extraOperands().end());
    return failure(e.failed());
  }

  /// `out = x weight^T (+ residual)` and nothing else, in types that a library takes; null for more.
  DictionaryAttr asProduct(int64_t least) {
    auto linears = kernel.getBlock()->getOps<model::LinearOp>();
    if (!llvm::hasSingleElement(linears))
      return {};
    model::LinearOp linear = *linears.begin();
    Value last = withoutReshapes(result), residual;
    if (auto add = last.getDefiningOp<model::AddOp>()) {
      bool productLeft = withoutReshapes(add.getLhs()) == linear.getResult();
      residual = withoutReshapes(productLeft ? add.getRhs() : add.getLhs());
      last = withoutReshapes(productLeft ? add.getLhs() : add.getRhs());
    }
    Value x = withoutReshapes(linear.getInput());
    if (last != linear.getResult() || linear.getBias() || elementOf(x) != elementOf(linear.getWeight()))
      return {};
    if (residual && (!isa<BlockArgument>(residual) || residual.getType() != result.getType()))
      return {};
    auto entry = [&](StringRef key, int64_t value) { return e.b.getNamedAttr(key, e.b.getI64IntegerAttr(value)); };
    return e.b.getDictionaryAttr({entry("x", e.positionOf(x)), entry("weight", e.positionOf(linear.getWeight())),
                                  entry("out", e.positionOfResult(0)),
                                  entry("residual", residual ? e.positionOf(residual) : -1),
                                  entry("inner", innerOf(linear)), entry("columns", columns), entry("least", least)});
  }

private:
  /// All products of the kernel; those along rows of weights of one length are done side by side.
  LogicalResult multiplyAll(const Rows &rows) {
    llvm::MapVector<int64_t, SmallVector<model::LinearOp>> byLength;
    for (auto linear : kernel.getBlock()->getOps<model::LinearOp>()) {
      if (!e.memoryOf(linear.getInput()))
        return e.fail(linear, "expected an input that stands in memory"), failure();
      byLength[innerOf(linear)].push_back(linear);
    }
    for (auto &entry : byLength) {
      ArrayRef<model::LinearOp> linears = entry.second;
      bool blocks = llvm::any_of(linears, isInBlocks);
      int64_t inner = entry.first, step = stepOf(inner, blocks ? formats::kBlockElements : 16),
              whole = inner / step * step;
      SmallVector<Value> sums(linears.size(), e.splat(0, rows.count, width));
      sums = e.loop(e.index(0), e.index(whole), step, sums,
                    [&](Value k, ValueRange carried) { return multiply(linears, rows, k, step, carried); });
      if (whole < inner)
        sums = multiply(linears, rows, e.index(whole), inner - whole, sums);
      for (auto [own, sum] : llvm::zip(linears, sums)) {
        model::LinearOp linear = own;
        products[linear.getResult()] = withBias(linear, rows, sum);
      }
    }
    return success();
  }

  /// Adds the products of one step; all weights are under way before the first is used.
  SmallVector<Value> multiply(ArrayRef<model::LinearOp> linears, const Rows &rows, Value k, int64_t step,
                              ValueRange sums) {
    SmallVector<Value> next, weights;
    Rows panel{firstChannel(e.b, e.loc, window), width, {}, {}};
    for (model::LinearOp linear : linears)
      weights.push_back(e.load(e.memoryOf(linear.getWeight()), panel, k, step));
    for (auto [own, weight, sum] : llvm::zip(linears, weights, sums)) {
      model::LinearOp linear = own;
      Value x = e.load(e.memoryOf(linear.getInput()), rows, k, step);
      next.push_back(e.mma(x, weight, {false, true, sum, tile::Triangle::none}));
    }
    return next;
  }

  /// A step of a multiple of `unit`, without a rest if there is one that is not much shorter.
  int64_t stepOf(int64_t inner, int64_t unit) const {
    if (inner <= shape.step)
      return inner;
    // Eight warps read whole pieces of 16 bytes of bf16 when each has a multiple of 32 columns.
    for (int64_t step = shape.step; step >= shape.step / 2; step -= 256)
      if (inner % step == 0)
        return step;
    for (int64_t step = shape.step; step >= shape.step / 2; step -= unit)
      if (inner % step == 0)
        return step;
    return shape.step;
  }

  Value withBias(model::LinearOp linear, const Rows &rows, Value sum) {
    if (!linear.getBias())
      return sum;
    return e.map(e.tileType(rows.count, width), {sum, e.emitVector(linear.getBias(), window)},
                 [&](OpBuilder &b, ValueRange in) -> Value { return arith::AddFOp::create(b, e.loc, in[0], in[1]); });
  }

  plan::KernelOp kernel;
  ItemShape shape;
  Value result;
  int64_t columns, width, panels;
  Emitter e;
  Window window;
  llvm::DenseMap<Value, Value> products;
};

} // namespace

/// Two steps as they are copied; and one as bf16, as other targets of the same tile program have it that copy nothing
/// ahead.
static bool fits(const codegen::GpuTarget &target, const tuning::FewRows &shape, int64_t width) {
  int64_t bytes = 2 * shape.step * (shape.products * width + shape.inputs * kSmallPassRows);
  return shape.slots(target, width) >= 2 && llvm::all_of(codegen::gpuTargetNames(), [&](StringRef name) {
           return bytes <= llvm::cantFail(codegen::findGpuTarget(name)).sharedBytes;
         });
}

/// Few rows and the weights they multiply, where both can be copied ahead by warps of their own: they are bf16, or
/// blocks beside rows of bf16, of one length, which is several steps of whole panels of a shared operand, and shared
/// memory has room for two steps of 16 columns. A copying warp takes 256 channels of a row at most. Of blocks, and
/// beside them, boxes are copied, of which each memory needs a map; 256 channels of blocks are whole pieces and whole
/// panels.
static std::optional<tuning::FewRows> copiedAhead(plan::KernelOp kernel, const codegen::GpuTarget &target) {
  if (!target.bulkCopy)
    return std::nullopt;
  tuning::FewRows shape{};
  shape.columns = channelsOf(kernel.getBlock()->getTerminator()->getOperand(0));
  shape.rows = kSmallPassRows;
  llvm::SmallDenseSet<Value> inputs;
  int64_t rowBytes = 0;
  bool blocks = false;
  for (auto linear : kernel.getBlock()->getOps<model::LinearOp>()) {
    Value input = withoutReshapes(linear.getInput());
    std::optional<formats::BlockFormat> format = blockFormatOf(elementOf(linear.getWeight()));
    if ((!format && !elementOf(linear.getWeight()).isBF16()) || !elementOf(input).isBF16() ||
        (shape.products && shape.inner != innerOf(linear)))
      return std::nullopt;
    shape.inner = innerOf(linear);
    rowBytes += format ? formats::rowBytes(*format, shape.inner) : 2 * shape.inner;
    blocks |= format.has_value();
    ++shape.products;
    inputs.insert(input);
  }
  shape.inputs = static_cast<int64_t>(inputs.size());
  if (blocks)
    shape.rowBytes = rowBytes;
  if (blocks && shape.products + shape.inputs > DENIM_TENSOR_MAP_MOST)
    return std::nullopt;
  for (int64_t step : {512, 256, 128, 64}) {
    if (blocks ? step < 256 : step > 256)
      continue;
    shape.step = step;
    if (shape.inner % step == 0 && shape.inner > step && shape.columns >= 16 && fits(target, shape, 16))
      return shape;
  }
  return std::nullopt;
}

/// Columns of an item.
static FailureOr<int64_t> chooseFewColumns(plan::KernelOp kernel, const codegen::GpuTarget &target,
                                           const tuning::FewRows &shape) {
  SmallVector<std::pair<StringRef, int64_t>> fields{
      {"inner", shape.inner}, {"columns", shape.columns}, {"products", shape.products}};
  if (shape.inBlocks())
    fields.push_back({"row_bytes", shape.rowBytes});
  tuning::Question question{"linear.few_columns", tuning::shapeText(fields), {}, [=](int64_t width) {
                              return tuning::fewRows(target, shape, width);
                            }};
  for (int64_t width : {16, 32, 64})
    if (width <= shape.columns && fits(target, shape, width))
      question.candidates.push_back(width);
  return tuning::choose(kernel, question);
}

LogicalResult denim::emitLinearOfBlock(plan::KernelOp kernel, Variants &variants) {
  MLIRContext *context = kernel.getContext();
  int64_t columns = channelsOf(kernel.getBlock()->getTerminator()->getOperand(0));
  auto linears = kernel.getBlock()->getOps<model::LinearOp>();
  // All products together: their sums take half of the registers.
  int64_t manyColumns = std::max<int64_t>(256 / std::distance(linears.begin(), linears.end()), 64);
  // Weights in blocks are made numbers by the warps that multiply: longer steps wait for memory less often. Operands
  // in three terms (exact), or of more products, leave no room for that.
  bool isRounded = llvm::all_of(
      linears, [](model::LinearOp linear) { return elementOf(withoutReshapes(linear.getInput())).isBF16(); });
  bool hasRoom = isRounded && std::distance(linears.begin(), linears.end()) <= 2;
  bool blocks = llvm::any_of(linears, isInBlocks);
  int64_t manyStep = blocks && hasRoom ? 128 : 64;
  // As many blocks as there are multiprocessors follow from results of 2048 columns and more. Wider results take wider
  // panels for the few rows that each block reads too.
  int64_t fewColumns = columns <= 4096 ? 16 : columns <= 16384 ? 32 : 64, fewStep = blocks && !isRounded ? 256 : 512;
  ItemShape few{"few", kSmallPassRows, fewColumns, fewStep};
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  if (std::optional<tuning::FewRows> ahead = copiedAhead(kernel, *target)) {
    FailureOr<int64_t> width = chooseFewColumns(kernel, *target, *ahead);
    if (failed(width))
      return failure();
    few.columns = *width, few.step = ahead->step, few.warps = ahead->inBlocks() ? kFewWarpsOfBlocks : kFewWarps;
    few.blocks = ahead->blocks(*target, *width);
  }
  std::pair<ItemShape, DictionaryAttr> forms[] = {
      {few, whenRows(context, 1, kSmallPassRows)},
      {{"many", 128, manyColumns, manyStep, /*warps=*/8}, whenRows(context, kSmallPassRows + 1)},
  };
  for (auto &[shape, when] : forms) {
    BlockProduct product(kernel, shape);
    Variant &variant = variants.emplace_back();
    if (failed(product.write(variant)))
      return failure();
    variant.when = when;
    if (shape.rows > kSmallPassRows)
      variant.product = product.asProduct(kSmallPassRows + 1);
  }
  return success();
}
