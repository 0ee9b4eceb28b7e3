#include "compiler/driver/KernelRemarks.h"
#include "codegen/target/GpuTarget.h"
#include "compiler/tuning/CostModel.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace denim;

static void remarkOnGpu(Location loc, StringRef name, const codegen::GpuTarget &target,
                        const codegen::KernelCode &kernel) {
  // Without an assembler nobody has counted registers.
  bool isCounted = kernel.registers > 0;
  bool spills = isCounted && kernel.spillBytes > 0;
  InFlightDiagnostic said = spills ? emitWarning(loc) : emitRemark(loc);
  said << name << " for " << target.name << ": " << kernel.threads << " threads, ";
  if (isCounted)
    said << kernel.registers << " registers, " << kernel.spillBytes << " bytes spilled, ";
  said << kernel.sharedBytes << " bytes of shared memory";
  if (!isCounted)
    return;
  tuning::Occupancy occupancy = tuning::occupancyOf(target, kernel.threads, kernel.registers, kernel.sharedBytes);
  said << "; blocks on a multiprocessor: " << occupancy.blocks << ", limited by " << occupancy.limit;
}

void denim::remarkKernels(ModuleOp module, const codegen::ModulePlan &plan, const codegen::TargetCode &code) {
  SymbolTable symbols(module);
  llvm::Expected<codegen::GpuTarget> gpu = codegen::findGpuTarget(code.name);
  for (auto [items, kernel] : llvm::zip(plan.kernels, code.kernels)) {
    Operation *op = symbols.lookup(items.name);
    Location loc = op ? op->getLoc() : module.getLoc();
    if (gpu)
      remarkOnGpu(loc, items.name, *gpu, kernel);
    else
      emitRemark(loc) << items.name << " for " << code.name << ": " << kernel.scratchBytes << " bytes of scratch";
  }
  if (!gpu)
    llvm::consumeError(gpu.takeError());
}
