// Reads a module, runs the passes named on the command line, prints the result. For people and for lit.
#include "codegen/cpu/Compile.h"
#include "codegen/math/ExpandMath.h"
#include "codegen/nvptx/Compile.h"
#include "compiler/pipelines/Pipelines.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  denim::registerDialects(registry);
  registry.insert<mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect>(); // what code generation leaves is read back
  denim::registerPasses();
  denim::codegen::registerMathPasses();
  denim::codegen::registerCpuPasses();
  denim::codegen::registerNvptxPasses();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "denim optimizer driver\n", registry));
}
