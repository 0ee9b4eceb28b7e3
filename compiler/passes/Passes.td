#ifndef COMPILER_PASSES_PASSES_TD
#define COMPILER_PASSES_PASSES_TD
include "mlir/Pass/PassBase.td"

def SelectOutputsPass : Pass<"select-outputs", "::mlir::ModuleOp"> {
  let summary = "compute what follows the layers for the wanted rows only";
  let description = [{
    A step may carry hundreds of prompt tokens of which one needs logits. Puts `model.select` behind `model.layers`,
    so that the last norm and the head run on the rows the caller asked for.

    ```mlir
    %y = layers %x, "model.layers.{i}" = 8 x @block
    %h = rms_norm %y, %norm
    ==>
    %y = layers %x, "model.layers.{i}" = 8 x @block
    %s = select %y
    %h = rms_norm %s, %norm
    ```
  }];
}

def AssignSlotsPass : Pass<"assign-slots", "::mlir::ModuleOp"> {
  let summary = "give every activation a slot of memory";
  let description = [{
    Activations of one program whose lives do not overlap share a slot. The residual stream is slot 0 on both sides
    of every layer, so layers follow each other without a copy. A slot has one element type. What launches under
    different conditions write, and `plan.merge` brings together, is one activation that lives from the first of them.
  }];
}

def VerifyPhasePass : Pass<"verify-phase", "::mlir::ModuleOp"> {
  let summary = "refuse what should be gone at the end of a phase";
  let description = [{
    Each phase ends with this pass: `phase` names the phase that has just run (import, mix, plan, tile). An op that the
    phase should have replaced is an error that names the op and the phase.
  }];
  let options = [Option<"phase", "phase", "std::string", /*default=*/"\"import\"", "the phase that has run">];
}
#endif
