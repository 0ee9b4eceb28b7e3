// Which products of many rows have their weights in blocks dequantized in front of them.
//
// A kernel that multiplies with weights in blocks makes numbers of them for every block of rows. A few rows are done
// with that, and read a quarter or half of the bytes. Of many rows all blocks of rows would do it again, by the warps
// that multiply: there the weight becomes bf16 once, in memory that all such products of a step share, and the product
// is one of bf16 weights, which a library can do. The numbers are the same: both round to bf16 once.
//
// Products alone (model-to-plan makes them for many rows) whose rows are bf16; what is exact stays in blocks.
#include "compiler/conversion/Reshapes.h"
#include "compiler/conversion/Variants.h"
#include "compiler/passes/Passes.h"
#include "compiler/tuning/Choices.h"
#include "compiler/tuning/CostModel.h"
#include "dialects/model/ir/Model.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_DEQUANTIZEWEIGHTSPASS
#include "compiler/passes/Passes.h.inc"

namespace {

/// The weight in blocks of a kernel of one product of rows of bf16; null for others.
BlockArgument weightInBlocks(plan::KernelOp kernel) {
  auto kind = kernel->getAttrOfType<StringAttr>("kind");
  auto linears = kernel.getBlock()->getOps<model::LinearOp>();
  if (!kind || kind != "linear" || !llvm::hasSingleElement(linears))
    return {};
  model::LinearOp linear = *linears.begin();
  auto weight = dyn_cast<BlockArgument>(linear.getWeight());
  auto elementOf = [](Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); };
  if (!weight || !blockFormatOf(elementOf(weight)) || !elementOf(withoutReshapes(linear.getInput())).isBF16())
    return {};
  return weight;
}

/// Rows of a step up to which the product makes numbers of blocks itself.
FailureOr<int64_t> chooseRows(plan::KernelOp kernel, RankedTensorType weight) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  formats::BlockFormat format = *blockFormatOf(weight.getElementType());
  tuning::BlockWeight shape{weight.getDimSize(0), weight.getDimSize(1),
                            formats::rowBytes(format, weight.getDimSize(1))};
  tuning::Question question{
      "linear.dequantizing_rows",
      tuning::shapeText({{"inner", shape.inner}, {"columns", shape.columns}, {"bits", formats::integerBits(format)}}),
      {kSmallPassRows, 64, 128, 256, 512, 1024, 2048, kAnyNumber},
      [=](int64_t rows) { return tuning::dequantizingRows(*target, shape, rows); }};
  return tuning::choose(kernel, question);
}

class DequantizeWeightsPass : public impl::DequantizeWeightsPassBase<DequantizeWeightsPass> {
public:
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (!plan::isForCuda(module))
      return;
    SymbolTable symbols(module);
    SmallVector<plan::LaunchOp> launches;
    module.walk([&](plan::LaunchOp launch) { launches.push_back(launch); });
    llvm::StringSet<> replaced;
    for (plan::LaunchOp launch : launches) {
      auto kernel = symbols.lookup<plan::KernelOp>(launch.getKernel());
      BlockArgument weight = kernel ? weightInBlocks(kernel) : BlockArgument();
      if (!weight)
        continue;
      auto given = launch->getAttrOfType<DictionaryAttr>("when");
      // Small steps alone, or a condition on sequences: nothing to choose.
      if (failed(bothHold(given, whenRows(&getContext(), kSmallPassRows + 1))))
        continue;
      FailureOr<int64_t> rows = chooseRows(kernel, cast<RankedTensorType>(weight.getType()));
      if (failed(rows))
        return signalPassFailure();
      if (*rows >= kAnyNumber)
        continue;
      FailureOr<DictionaryAttr> many = bothHold(given, whenRows(&getContext(), *rows + 1));
      if (failed(many))
        continue;
      replaced.insert(kernel.getSymName());
      split(launch, kernel, weight, *many, bothHold(given, whenRows(&getContext(), 1, *rows)), symbols);
    }
    // A kernel all of whose launches are for many rows is launched no more.
    module.walk([&](plan::LaunchOp launch) { replaced.erase(launch.getKernel()); });
    for (const auto &name : replaced)
      symbols.lookup(name.getKey())->erase();
  }

private:
  /// The launch for few rows, if there are such, and for many: the weight as bf16, the product with that.
  void split(plan::LaunchOp launch, plan::KernelOp kernel, BlockArgument weight, DictionaryAttr many,
             FailureOr<DictionaryAttr> few, SymbolTable &symbols) {
    OpBuilder b(launch);
    SmallVector<Value> values;
    if (succeeded(few)) {
      auto own = cast<plan::LaunchOp>(b.clone(*launch));
      own->setAttr("when", *few);
      values.push_back(own.getResult(0));
    }
    unsigned position = weight.getArgNumber();
    auto type = cast<RankedTensorType>(weight.getType()).clone(b.getBF16Type());
    auto made = plan::LaunchOp::create(b, launch.getLoc(), TypeRange{type}, dequantizingKernel(kernel, weight, symbols),
                                       launch.getOperands()[position], DenseI64ArrayAttr());
    made->setAttr("when", many);
    SmallVector<Value> operands(launch.getOperands());
    operands[position] = made.getResult(0);
    auto product =
        plan::LaunchOp::create(b, launch.getLoc(), launch.getResultTypes(),
                               productKernel(kernel, position, type, symbols), operands, DenseI64ArrayAttr());
    product->setAttr("when", many);
    values.push_back(product.getResult(0));
    Value whole = values.back();
    if (values.size() > 1)
      whole = plan::MergeOp::create(b, launch.getLoc(), whole.getType(), values);
    launch.getResult(0).replaceAllUsesWith(whole);
    launch.erase();
  }

  /// One for each type of weight and kind of rows.
  StringRef dequantizingKernel(plan::KernelOp product, BlockArgument weight, SymbolTable &symbols) {
    plan::KernelOp &kernel = dequantizing[{weight.getType(), product->getAttr("rows")}];
    if (kernel)
      return kernel.getSymName();
    OpBuilder b(product);
    Location loc = product.getLoc();
    OperationState state(loc, plan::KernelOp::getOperationName());
    plan::KernelOp::build(b, state, "dequantize_" + std::to_string(dequantizing.size() - 1), DenseI64ArrayAttr());
    kernel = cast<plan::KernelOp>(b.create(state));
    kernel->setAttr("kind", b.getStringAttr("dequantize"));
    if (Attribute rows = product->getAttr("rows"))
      kernel->setAttr("rows", rows);
    Block *block = b.createBlock(&kernel.getBody());
    Value blocks = block->addArgument(weight.getType(), loc);
    auto type = cast<RankedTensorType>(weight.getType()).clone(b.getBF16Type());
    plan::YieldOp::create(b, loc, plan::CastOp::create(b, loc, type, blocks).getResult());
    symbols.insert(kernel, Block::iterator(product));
    return kernel.getSymName();
  }

  static StringRef productKernel(plan::KernelOp kernel, unsigned position, RankedTensorType type,
                                 SymbolTable &symbols) {
    std::string name = (kernel.getSymName() + "_dequantized").str();
    if (auto known = symbols.lookup<plan::KernelOp>(name))
      return known.getSymName();
    auto clone = cast<plan::KernelOp>(kernel->clone());
    clone.setSymName(name);
    clone.setDequantized(ArrayRef<int64_t>{position});
    clone.getBlock()->getArgument(position).setType(type);
    symbols.insert(clone, Block::iterator(kernel));
    return clone.getSymName();
  }

  llvm::MapVector<std::pair<Type, Attribute>, plan::KernelOp> dequantizing;
};

} // namespace
} // namespace denim
