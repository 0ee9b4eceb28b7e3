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

def AttachTargetPass : Pass<"attach-target", "::mlir::ModuleOp"> {
  let summary = "say on the module what it is planned for";
  let description = [{
    Sets `plan.machine`, and `plan.target` to the target whose fields and measured tables decide what is chosen
    (compiler/tuning); without the option, to the best target of the machine. Begins the phase plan.

    ```mlir
    module {}
    ==>
    module attributes {plan.machine = "cuda", plan.target = "sm_90a"} {}
    ```
  }];
  let options = [
    Option<"machine", "machine", "std::string", /*default=*/"\"cpu\"", "cpu or cuda">,
    Option<"target", "target", "std::string", /*default=*/"", "a target of the machine">
  ];
  let dependentDialects = ["::denim::plan::PlanDialect"];
}

def SetPageTypePass : Pass<"set-page-type", "::mlir::ModuleOp"> {
  let summary = "keep keys, values and latents in another element type";
  let description = [{
    Gives every paged cache the element type `type`: f32, bf16 or f16. Keys and values are rounded to it when they are
    appended, and widened when they are read; products and sums stay in f32. States and tails are left alone. What a
    CUDA device keeps is decided later, with its activations (`convert-model-to-plan`).

    ```mlir
    %keys = attn.cache "k" : !attn.cache<paged 2x64xf32>
    ==>
    %keys = attn.cache "k" : !attn.cache<paged 2x64xf16>
    ```
  }];
  let options = [Option<"type", "type", "std::string", /*default=*/"\"f32\"", "f32, bf16 or f16">];
  let dependentDialects = ["::denim::attn::AttnDialect"];
}

def ChooseKeySplitsPass : Pass<"choose-key-splits", "::mlir::ModuleOp"> {
  let summary = "choose in how many parts the keys of a sequence are attended to";
  let description = [{
    Puts `splits` on each `attn.attend` that has no parts yet, for `attn-split-keys` behind it: the choice
    `attend_part.key_splits` of compiler/tuning. Few key heads leave most of a machine idle unless their keys are split;
    many parts cost their merging.

    ```mlir
    %o = attn.attend %q, %keys, %values scale 0.125
    ==>
    %o = attn.attend %q, %keys, %values scale 0.125 {splits = 16 : i64}
    ```
  }];
}

def DequantizeWeightsPass : Pass<"dequantize-weights", "::mlir::ModuleOp"> {
  let summary = "make bf16 of weights in blocks in front of products of many rows";
  let description = [{
    On a CUDA device the launch of a product of rows of bf16 with a weight in blocks becomes, for more rows than
    `linear.dequantizing_rows` of compiler/tuning, two: one that makes the weight bf16, and the product with that. Fewer
    rows are multiplied with the blocks as before. Behind it all weights made so share one slot (`assign-slots`).

    ```mlir
    %y = plan.launch @linear_3(%x, %w) : (tensor<?x64xbf16>, tensor<128x64x!model.q8_0>) -> tensor<?x128xbf16>
    ==>
    %few  = plan.launch @linear_3(%x, %w) {when = {of = "rows", least = 1, most = 128}} : ...
    %d    = plan.launch @dequantize_0(%w) {when = {of = "rows", least = 129, most = 2147483647}}
          : (tensor<128x64x!model.q8_0>) -> tensor<128x64xbf16>
    %many = plan.launch @linear_3_dequantized(%x, %d) {when = {of = "rows", least = 129, most = 2147483647}} : ...
    %y    = plan.merge %few, %many : tensor<?x128xbf16>
    ```
  }];
  let dependentDialects = ["::denim::plan::PlanDialect"];
}

def AssignSlotsPass : Pass<"assign-slots", "::mlir::ModuleOp"> {
  let summary = "give every activation a slot of memory";
  let description = [{
    Activations of one program whose lives do not overlap share a slot. The residual stream is slot 0 on both sides
    of every layer, so layers follow each other without a copy. A slot has one element type, and a row per token, per
    output, or one in all for values of fixed shape (weights that were dequantized). What launches under
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
def JoinLaunchesPass : Pass<"join-launches", "::mlir::ModuleOp"> {
  let summary = "let launches of a step of one token run beside each other";
  let description = [{
    On a CUDA device a launch that writes caches and makes no value becomes part of an earlier launch with which it has
    nothing to do, in steps of one token: one kernel with the items of both. In other steps launches are as before. Expects
    tile programs, and slots.

    ```mlir
    %q = plan.launch @rows_18(%x) slots [1] : ...
    plan.launch @cache_19(%x, %keys) : ...
    ==>
    %one  = plan.launch @rows_18_cache_19(%x, %x, %keys) slots [1] {when = {of = "rows", least = 1, most = 1}} : ...
    %more = plan.launch @rows_18(%x) slots [1] {when = {of = "rows", least = 2, most = 2147483647}} : ...
    %q = plan.merge %one, %more : ...
    plan.launch @cache_19(%x, %keys) {when = {of = "sequence", least = 1, most = 2147483647, tokens = 2}} : ...
    ```
  }];
  let dependentDialects = ["::denim::tile::TileDialect", "::denim::plan::PlanDialect", "::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect"];
}

def OverlapLaunchesPass : Pass<"overlap-launches", "::mlir::ModuleOp"> {
  let summary = "which kernels let the next one begin while they run, and what that one may read";
  let description = [{
    On a CUDA device marks kernels all of whose launches have a bound on the rows, or on the new tokens of each sequence, for
    which they run. Marks on each kernel the operands that no launch writes which may still run when it begins: not the one
    in front of it, nor, where that may be left out of a pass, those before it back to one that is not. Operands in activation
    slots only; none where there is no launch in front in the program, or a library may do it. Expects tile programs, and
    slots.

    ```mlir
    tile.kernel @one_row_6(...) items <...> at %item {...}
    plan.launch @one_row_6(%x) {when = {of = "rows", least = 1, most = 1}} : ...
    ==>
    tile.kernel @one_row_6(...) items <...> at %item attributes {tile.next_behind_wait} {...}

    %0:2 = plan.launch @segment(%q) slots [2, 3] : ...
    %1 = plan.launch @scan(%q, %0#1) slots [4] : ...
    ==>
    tile.kernel @scan(...) items <...> at %item attributes {tile.finished = array<i64: 0>} {...}
    ```
  }];
  let dependentDialects = ["::denim::tile::TileDialect", "::denim::plan::PlanDialect"];
}
#endif
