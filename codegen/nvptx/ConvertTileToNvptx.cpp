// convert-tile-to-nvptx: one entry per kernel.
#include "codegen/nvptx/Compile.h"
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/Pass.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen;

namespace {

struct ConvertTileToNvptxPass : PassWrapper<ConvertTileToNvptxPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertTileToNvptxPass)
  ConvertTileToNvptxPass() = default;
  ConvertTileToNvptxPass(const GpuTarget &target, bool isExact) : chosen(target) { exact = isExact; }
  ConvertTileToNvptxPass(const ConvertTileToNvptxPass &other) : PassWrapper(other), chosen(other.chosen) {}

  StringRef getArgument() const override { return "convert-tile-to-nvptx"; }
  StringRef getDescription() const override { return "turn tile kernels into what one thread of a GPU does"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    if (!chosen) {
      llvm::Expected<GpuTarget> found = findGpuTarget(name);
      if (!found) {
        getOperation()->emitError() << llvm::toString(found.takeError());
        return signalPassFailure();
      }
      chosen = *found;
    }
    auto kernels = llvm::to_vector(getOperation().getOps<tile::KernelOp>());
    if (kernels.empty())
      return;
    OpBuilder builder(&getContext());
    builder.setInsertionPointToStart(getOperation().getBody());
    // All dynamic shared memory of a block; how much a kernel has is said at its launch.
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
    LLVM::GlobalOp::create(builder, getOperation().getLoc(), bytes, /*isConstant=*/false, LLVM::Linkage::External,
                           "denim_shared", Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
    for (tile::KernelOp kernel : kernels)
      if (failed(convert(kernel)))
        return signalPassFailure();
  }

  /// Parameters that the walk has added to the first block: maps of memories for tensor copies, as they stand.
  static void addTensorMaps(LLVM::LLVMFuncOp function, ArrayRef<TensorMap> maps) {
    if (maps.empty())
      return;
    Builder b(function.getContext());
    Type word = b.getI64Type();
    unsigned before = function.getNumArguments();
    function.setFunctionType(LLVM::LLVMFunctionType::get(function.getFunctionType().getReturnType(),
                                                         llvm::to_vector(function.front().getArgumentTypes())));
    SmallVector<Attribute> described;
    for (auto [index, map] : llvm::enumerate(maps)) {
      function.setArgAttr(before + index, LLVM::LLVMDialect::getByValAttrName(),
                          TypeAttr::get(LLVM::LLVMArrayType::get(b.getI8Type(), DENIM_TENSOR_MAP_BYTES)));
      function.setArgAttr(before + index, LLVM::LLVMDialect::getAlignAttrName(),
                          b.getI64IntegerAttr(DENIM_TENSOR_MAP_ALIGNMENT));
      function.setArgAttr(before + index, NVVM::NVVMDialect::getGridConstantAttrName(), b.getUnitAttr());
      auto number = [&](StringRef name, int64_t value) { return b.getNamedAttr(name, b.getIntegerAttr(word, value)); };
      described.push_back(
          b.getDictionaryAttr({number("memory", map.memory), number("columns", map.columns),
                               number("box_rows", map.boxRows), number("box_columns", map.boxColumns)}));
    }
    function->setAttr("tile.tensor_maps", b.getArrayAttr(described));
  }

  LogicalResult convert(tile::KernelOp kernel) {
    OpBuilder builder(kernel);
    Location loc = kernel.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(builder.getContext(), 1);
    SmallVector<Type> parameters{pointer, builder.getI64Type()};
    parameters.append(kernel.getMemories().size(), pointer);
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()), parameters);
    auto function = LLVM::LLVMFuncOp::create(builder, loc, kernel.getSymName(), type);
    function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
    Block *entry = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    nvptx::Code code(builder, loc, *chosen);
    SmallVector<Value> arguments(entry->getArguments().drop_front(2));
    nvptx::KernelLowering lowering(kernel, code, exact ? nvptx::Precision::exact : nvptx::Precision::bf16,
                                   entry->getArgument(0), arguments);
    if (failed(lowering.lower()))
      return failure();
    builder.setInsertionPointToEnd(entry);
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    if (lowering.tensorMaps().size() > DENIM_TENSOR_MAP_MOST)
      return kernel.emitError() << "expected at most " << DENIM_TENSOR_MAP_MOST
                                << " kinds of boxes that are copied, but got " << lowering.tensorMaps().size();
    if (lowering.sharedBytes() > chosen->sharedBytes)
      return kernel.emitError() << "expected a block of " << kernel.getSymName() << " to need at most "
                                << chosen->sharedBytes << " bytes of shared memory, but it needs "
                                << lowering.sharedBytes() << "; smaller operands of its products need less"
                                << (exact ? ", and each is one bf16 instead of three where products are not exact"
                                          : "");
    function->setAttr("nvvm.maxntid", builder.getDenseI32ArrayAttr({int32_t(lowering.threads())}));
    // Blocks that should be on a multiprocessor together: the assembler then keeps registers down.
    if (auto blocks = kernel->getAttrOfType<IntegerAttr>("tile.blocks"))
      function->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(blocks.getInt()));
    function->setAttr("tile.threads", builder.getI64IntegerAttr(lowering.threads()));
    int64_t shared = lowering.sharedBytes();
    // More than half of a multiprocessor's: no other block of the kernel is put beside it.
    if (kernel->hasAttr("tile.spread"))
      shared = std::max<int64_t>(shared, llvm::alignTo(chosen->sharedBytes / 2 + 1, 128));
    function->setAttr("tile.shared_bytes", builder.getI64IntegerAttr(shared));
    addTensorMaps(function, lowering.tensorMaps());
    lowerMath(function);
    kernel.erase();
    return success();
  }

  /// Whether x is an exponential of what is not above 0.
  static bool isFraction(Value x) {
    auto exp = x.getDefiningOp<math::ExpOp>();
    auto negative = exp ? exp.getOperand().getDefiningOp<arith::NegFOp>() : nullptr;
    return negative && negative.getOperand().getDefiningOp<math::AbsFOp>();
  }

  /// log(1 + x). The hardware's logarithm of 1 + x is off by up to 2^-22.5, which is three units in the last place at
  /// sqrt(2) and too much closer to 1: there the polynomial of `expand-math` for log is used, of x itself.
  /// Of an x from 0 to 1 a polynomial is enough: log(1 + x) / x as near as f32 goes, off by 3e-8 before rounding.
  static Value logOfOnePlus(OpBuilder &b, Location loc, Value x) {
    auto number = [&](double value) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value)); };
    auto times = [&](Value p, Value q) -> Value { return arith::MulFOp::create(b, loc, p, q); };
    auto fma = [&](Value p, Value q, Value r) -> Value { return math::FmaOp::create(b, loc, p, q, r); };
    if (isFraction(x)) {
      Value p = number(5.2326941106e-3);
      for (double c : {-2.9505237279e-2, 7.8225947822e-2, -1.3663245296e-1, 1.9106006445e-1, -2.4842982110e-1,
                       3.3319096792e-1, -4.9999493140e-1, 9.9999996988e-1})
        p = fma(p, x, number(c));
      return times(x, p);
    }
    Value z = times(x, x), p = number(7.0376836292e-2);
    for (double c : {-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
                     2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1})
      p = fma(p, x, number(c));
    Value near = fma(z, fma(x, p, number(-0.5)), x);
    Value log2 = LLVM::CallIntrinsicOp::create(b, loc, b.getF32Type(), b.getStringAttr("llvm.nvvm.lg2.approx.ftz.f"),
                                               arith::AddFOp::create(b, loc, x, number(1)).getResult())
                     .getResult(0);
    Value far = times(log2, number(0.693147180559945309));
    // 1 + x between sqrt(1/2) and sqrt(2).
    Value distance = math::AbsFOp::create(b, loc, arith::SubFOp::create(b, loc, x, number(0.060660172)));
    Value isNear = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, distance, number(0.35355339));
    return arith::SelectOp::create(b, loc, isNear, near, far);
  }

  /// The function the hardware has, within two units in the last place: ex2. Denormal numbers count as zero
  /// (runtime/abi/Kernel.h); keeping them costs three instructions on top of each exponential.
  void lowerMath(LLVM::LLVMFuncOp function) {
    function.walk([](math::Log1pOp op) { // while exponentials are to be seen as such
      OpBuilder b(op);
      op.replaceAllUsesWith(logOfOnePlus(b, op.getLoc(), op.getOperand()));
      op.erase();
    });
    function.walk([](Operation *op) {
      OpBuilder b(op);
      Location loc = op->getLoc();
      auto replace = [&](Value exponent) {
        auto name = b.getStringAttr("llvm.nvvm.ex2.approx.ftz");
        op->getResult(0).replaceAllUsesWith(
            LLVM::CallIntrinsicOp::create(b, loc, b.getF32Type(), name, exponent).getResult(0));
        op->erase();
      };
      if (auto exp = dyn_cast<math::ExpOp>(op)) {
        Value log2e = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1.44269504088896341f));
        Value x = arith::MulFOp::create(b, loc, exp.getOperand(), log2e);
        replace(x);
      } else if (auto exp2 = dyn_cast<math::Exp2Op>(op)) {
        replace(exp2.getOperand());
      }
    });
  }

  std::optional<GpuTarget> chosen;
  Option<std::string> name{*this, "target", llvm::cl::desc("sm_90a or sm_80"), llvm::cl::init("sm_90a")};
  Option<bool> exact{*this, "exact", llvm::cl::desc("products with errors near those of f32"), llvm::cl::init(false)};
};

/// f32 / f32 and square roots become those of the hardware, within two units in the last place; the exact ones branch
/// for what is very large or small, and nothing is moved across a branch to hide what it waits for. Behind
/// `expand-math`, whose polynomials divide, too.
struct NvptxDivisionPass : PassWrapper<NvptxDivisionPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NvptxDivisionPass)

  StringRef getArgument() const final { return "nvptx-division"; }
  StringRef getDescription() const final { return "Divides f32 and takes its roots as NVIDIA GPUs do"; }
  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<LLVM::LLVMDialect>(); }
  void runOnOperation() override {
    auto replace = [](Operation *op, StringRef name, ValueRange operands) {
      OpBuilder b(op);
      auto call =
          LLVM::CallIntrinsicOp::create(b, op->getLoc(), op->getResult(0).getType(), b.getStringAttr(name), operands);
      op->replaceAllUsesWith(call->getResults());
      op->erase();
    };
    getOperation().walk([&](arith::DivFOp op) {
      if (!op.getType().isF32())
        return;
      // Reciprocals need no quotient behind them. They differ where one is a denormal number, which counts as zero.
      bool reciprocal = matchPattern(op.getLhs(), m_OneFloat());
      if (auto root = op.getRhs().getDefiningOp<math::SqrtOp>(); root && reciprocal)
        return replace(op, "llvm.nvvm.rsqrt.approx.ftz.f", root.getOperand());
      SmallVector<Value> operands(op->getOperands().drop_front(reciprocal ? 1 : 0));
      replace(op, reciprocal ? "llvm.nvvm.rcp.approx.ftz.f" : "llvm.nvvm.div.full", operands);
    });
    getOperation().walk([&](math::SqrtOp op) {
      if (op.use_empty())
        op.erase();
      else if (op.getType().isF32())
        replace(op, "llvm.nvvm.sqrt.approx.ftz.f", op.getOperand());
    });
  }
};

} // namespace

std::unique_ptr<Pass> denim::codegen::createNvptxDivisionPass() {
  return std::make_unique<NvptxDivisionPass>();
}
std::unique_ptr<Pass> denim::codegen::createConvertTileToNvptxPass(const GpuTarget &target, bool exact) {
  return std::make_unique<ConvertTileToNvptxPass>(target, exact);
}
std::unique_ptr<Pass> denim::codegen::createConvertTileToNvptxPass() {
  return std::make_unique<ConvertTileToNvptxPass>();
}
