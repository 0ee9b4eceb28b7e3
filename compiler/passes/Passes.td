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

def SplitFormsPass : Pass<"split-forms", "::mlir::ModuleOp"> {
  let summary = "one launch for sequences with few new tokens, one for those with many";
  let description = [{
    A mixer does a decode token and a long prompt by different programs. On a machine where a kernel takes the registers
    and the memory of its hungriest path, the two are kernels of their own: the launch becomes one for each `form`, with
    the condition (`when`) that some sequence needs it, and `plan.merge` brings their rows together. Each kernel leaves
    the other's sequences alone. Nothing changes where `plan.machine` is a CPU.

    ```mlir
    %y = plan.launch @softmax_3(%q, %k, %v) : ...
    ==>
    %few  = plan.launch @softmax_3_few(%q, %k, %v) {when = {of = "sequence", least = 1, most = 7}} : ...
    %many = plan.launch @softmax_3_many(%q, %k, %v) {when = {of = "sequence", least = 8, most = 1073741824}} : ...
    %y = plan.merge %few, %many : ...
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
