// Products with weights and what is computed on their results before they are written.
//
// An item is a panel of columns of the result for a block of tokens. With many tokens the weights of the panel are
// turned and widened once and multiply blocks of rows; with few, each row of weights is read once, in place.
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/tuning/Choices.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

/// Tokens of one item: how often a turned panel of weights is used.
static constexpr int64_t kTokenBlock = 512;
/// Rows of one product of the many-token path; may not pass the rows that can be read behind a buffer.
static constexpr int64_t kRowBlock = DENIM_ROW_PADDING;
/// From this many tokens on turning the weights pays.
static constexpr int64_t kManyTokens = 16;
static constexpr int64_t kFewRows = 4;
/// The widest panel there is a question about.
static constexpr int64_t kWidestPanel = 128;

/// Columns of a panel.
static FailureOr<int64_t> choosePanel(plan::KernelOp kernel, int64_t columns, int64_t inner) {
  FailureOr<codegen::Target> target = tuning::cpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question;
  question.choice = "linear.panel_columns";
  question.shape = tuning::shapeText({{"inner", inner}, {"columns", columns}});
  for (int64_t width = 16; width <= std::min(columns, kWidestPanel); width += 16)
    question.candidates.push_back(width);
  if (columns <= kWidestPanel && columns % 16)
    question.candidates.push_back(columns);
  question.predict = [&](int64_t panel) { return tuning::linearPanel(*target, columns, inner, panel); };
  return tuning::choose(kernel, question);
}

tile::KernelOp denim::emitLinear(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  int64_t columns = channelsOf(result), inner = 0;
  for (auto linear : kernel.getBlock()->getOps<model::LinearOp>())
    inner = std::max(inner, cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(1));
  FailureOr<int64_t> chosen = choosePanel(kernel, columns, inner);
  if (failed(chosen))
    return nullptr;
  int64_t panel = *chosen, panels = llvm::divideCeil(columns, panel);

  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), kTokenBlock, panels));
  Value tokens = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(panels));
  Value number = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(panels));
  // The last panel begins early enough to be whole: columns that two panels share are written twice, alike.
  Value first = e.min(e.mul(number, panel), e.index(columns - panel));
  Window window{0, panels == 1 ? Value() : first, columns, panel};
  Value lo = e.mul(tokens, kTokenBlock);
  Value n = tile::CountOp::create(e.b, e.loc, rowKind(kernel));
  Value hi = e.min(e.add(lo, e.index(kTokenBlock)), n);

  // Weights are read where the loop over rows begins, so that they are turned once.
  llvm::DenseMap<Value, Value> weights;
  auto loadWeights = [&] {
    for (auto linear : kernel.getBlock()->getOps<model::LinearOp>()) {
      int64_t k = cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(1);
      Rows rows{firstChannel(e.b, e.loc, window), panel, {}, {}};
      weights[linear.getResult()] = e.load(e.memoryOf(linear.getWeight()), rows, e.index(0), k);
    }
  };
  e.setAnchor([&](Value value, const Rows &rows, const Window &w) -> Value {
    auto linear = value.getDefiningOp<model::LinearOp>();
    if (!linear)
      return e.fail(value.getDefiningOp(), "expected a product with weights");
    if (w.columns != window.columns || w.base != 0 || w.offset != window.offset)
      return e.fail(linear, "expected to be used at the columns of the result");
    Value input = linear.getInput();
    Value memory = e.memoryOf(input);
    if (!memory)
      return e.fail(linear, "expected an input that stands in memory");
    Value a = e.load(memory, Rows{rows.row, rows.count, {}, {}}, e.index(0), channelsOf(input));
    Value product = e.mma(a, weights.lookup(value), {false, true, {}, tile::Triangle::none});
    if (!linear.getBias())
      return product;
    return e.map(e.tileType(rows.count, panel), {product, e.emitVector(linear.getBias(), window)},
                 [&](OpBuilder &b, ValueRange in) -> Value { return arith::AddFOp::create(b, e.loc, in[0], in[1]); });
  });
  auto one = [&](const Rows &rows) { e.store(e.emit(result, rows, window), 0, rows, window); };

  auto block = [&](Value row) {
    // Rows behind the last are computed from padding and not stored.
    e.store(e.emit(result, Rows{row, kRowBlock, {}, {}}, window), 0, Rows{row, kRowBlock, lo, hi}, window);
  };
  Value many = e.less(e.index(kManyTokens - 1), e.sub(hi, lo));
  e.branch(
      many,
      [&] {
        // What only one block of rows multiplies is turned by parts, which stay nearer than a whole panel.
        e.branch(
            e.less(e.index(kRowBlock), e.sub(hi, lo)),
            [&] {
              loadWeights();
              e.loop(lo, hi, kRowBlock, block);
            },
            [&] {
              loadWeights();
              block(lo);
            });
      },
      [&] {
        loadWeights();
        Value full = e.sub(hi, arith::RemUIOp::create(e.b, e.loc, e.sub(hi, lo), e.index(kFewRows)));
        e.loop(lo, full, kFewRows, [&](Value row) { one(Rows{row, kFewRows, {}, {}}); });
        e.loop(full, hi, 1, [&](Value row) { one(Rows{row, 1, {}, {}}); });
      });
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}
