// Diagnostics, definitions and hovers for our languages in an editor that speaks the language server protocol.
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"
#include "dialects/tile/ir/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry
      .insert<denim::model::ModelDialect, denim::attn::AttnDialect, denim::plan::PlanDialect, denim::tile::TileDialect,
              mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::scf::SCFDialect>();
  return llvm::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
