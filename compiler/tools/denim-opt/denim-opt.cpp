// Reads a module, runs the passes named on the command line, prints the result. For people and for lit.
#include "compiler/conversion/Passes.h"
#include "compiler/passes/Passes.h"
#include "dialects/attn/transforms/Passes.h"
#include "dialects/plan/ir/Plan.h"
#include "dialects/model/ir/Model.h"
#include "dialects/tile/ir/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<denim::model::ModelDialect, denim::attn::AttnDialect, denim::plan::PlanDialect, denim::tile::TileDialect, mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::scf::SCFDialect>();
  mlir::registerTransformsPasses();
  denim::attn::registerAttnPasses();
  denim::registerConversionPasses();
  denim::registerCompilerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "denim optimizer driver\n", registry));
}
