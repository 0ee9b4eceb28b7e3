// convert-tile-to-cpu: one function per kernel.
#include "codegen/cpu/Compile.h"
#include "codegen/cpu/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

namespace {

struct ConvertTileToCpuPass : PassWrapper<ConvertTileToCpuPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertTileToCpuPass)
  ConvertTileToCpuPass() = default;
  ConvertTileToCpuPass(const Target &target, bool rounds) : chosen(target) { bf16Products = rounds; }
  ConvertTileToCpuPass(const ConvertTileToCpuPass &other) : PassWrapper(other), chosen(other.chosen) {}

  StringRef getArgument() const override { return "convert-tile-to-cpu"; }
  StringRef getDescription() const override { return "turn tile kernels into functions on vectors"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry
        .insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect, vector::VectorDialect>();
  }

  void runOnOperation() override {
    if (!chosen) {
      llvm::Expected<Target> found = findTarget(name);
      if (!found) {
        getOperation()->emitError() << llvm::toString(found.takeError());
        return signalPassFailure();
      }
      chosen = *found;
    }
    for (tile::KernelOp kernel : llvm::make_early_inc_range(getOperation().getOps<tile::KernelOp>()))
      if (failed(convert(kernel)))
        return signalPassFailure();
  }

  /// An inverse is a solve for the identity.
  static void expandInverses(tile::KernelOp kernel) {
    kernel.walk([](tile::InverseOp op) {
      OpBuilder b(op);
      Location loc = op.getLoc();
      auto type = cast<tile::TileType>(op.getResult().getType());
      auto number = [&](double x) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(x)); };
      Value one = number(1), zero = number(0);
      Value identity = tile::MapOp::create(b, loc, type, {}, [&](OpBuilder &b, Location loc, ValueRange) -> Value {
        Value row = tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(0));
        Value column = tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(1));
        Value onDiagonal = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, row, column);
        return arith::SelectOp::create(b, loc, onDiagonal, one, zero);
      });
      op.getResult().replaceAllUsesWith(tile::SolveOp::create(b, loc, type, op.getLower(), identity));
      op.erase();
    });
  }

  LogicalResult convert(tile::KernelOp kernel) {
    expandInverses(kernel);
    OpBuilder builder(kernel);
    Location loc = kernel.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(builder.getContext()), i64 = builder.getI64Type();
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()),
                                            {pointer, pointer, i64, i64, pointer});
    auto function = LLVM::LLVMFuncOp::create(builder, loc, kernel.getSymName(), type);
    for (unsigned i : {0u, 1u})
      function.setArgAttr(i, "llvm.readonly", builder.getUnitAttr());
    function.setArgAttr(4, "llvm.noalias", builder.getUnitAttr());
    function.setArgAttr(4, "llvm.align", builder.getI64IntegerAttr(64));
    Block *entry = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    Code code(builder, loc, *chosen);
    KernelLowering lowering(kernel, code, bf16Products, entry->getArgument(0), entry->getArgument(1),
                            entry->getArgument(4));
    if (failed(lowering.lowerItems(entry->getArgument(2), entry->getArgument(3))))
      return failure();
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    function->setAttr("tile.scratch_bytes", builder.getI64IntegerAttr(lowering.scratchBytes()));
    kernel.erase();
    return success();
  }

  std::optional<Target> chosen;
  Option<std::string> name{*this, "target", llvm::cl::desc("x86-64-v4-amx, x86-64-v4, x86-64-v3, x86-64-v2 or native"),
                           llvm::cl::init("native")};
  Option<bool> bf16Products{*this, "bf16-products",
                            llvm::cl::desc("round operands of products by a matrix unit to bf16 once"),
                            llvm::cl::init(false)};
};

} // namespace

std::unique_ptr<Pass> denim::codegen::createConvertTileToCpuPass(const Target &target, bool bf16Products) {
  return std::make_unique<ConvertTileToCpuPass>(target, bf16Products);
}
std::unique_ptr<Pass> denim::codegen::createConvertTileToCpuPass() {
  return std::make_unique<ConvertTileToCpuPass>();
}
