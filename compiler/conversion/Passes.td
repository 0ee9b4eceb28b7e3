#ifndef COMPILER_CONVERSION_PASSES_TD
#define COMPILER_CONVERSION_PASSES_TD
include "mlir/Pass/PassBase.td"

def ConvertModelToPlanPass : Pass<"convert-model-to-plan", "::mlir::ModuleOp"> {
  let summary = "turn blocks and the network into programs of launches";
  let description = [{
    Decides which ops become one kernel. A kernel has at most one anchor (a product with weights, a recurrence, softmax
    attention, a mixture of experts); everything cheap is computed again where it is used, in front of its anchor or
    behind it, so that only what must be read twice or by another head is written to memory. Two kernels with the same
    body become one. Expects threaded caches.

    ```mlir
    model.block @b(%x: tensor<?x64xf32>) {
      %w = param "w" : tensor<64x64xf32>
      %y = linear %x, %w
      %s = silu %y
      %z = add %x, %s
      yield %z
    }
    ==>
    plan.kernel @linear_0(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) { ... plan.yield %z }
    plan.program @b(%x: tensor<?x64xf32>) {
      %w = model.param "w" : tensor<64x64xf32>
      %z = plan.launch @linear_0(%x, %w) ...
      plan.return %z
    }
    ```
  }];
  let dependentDialects = ["::denim::plan::PlanDialect"];
  let options = [
    Option<"machine", "machine", "std::string", /*default=*/"\"cpu\"", "what is planned for: cpu or cuda">,
    Option<"exact", "exact", "bool", /*default=*/"false", "cuda: keep activations and pages in f32">,
    Option<"narrowStream", "narrow-stream", "bool", /*default=*/"false", "cuda: keep the residual stream in bf16 too">
  ];
}

def ConvertAttnToTilePass : Pass<"convert-attn-to-tile", "::mlir::ModuleOp"> {
  let summary = "write every kernel as a tile program";
  let description = [{
    A kernel is written from its results backwards: for each tile of a result, the tiles of the operands it needs are
    written first. One tile program per family: rows, products, linear recurrences (recurrent and chunked form, both
    from the normal form of the op), softmax attention, experts.
  }];
  let dependentDialects = ["::denim::tile::TileDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
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

    Attention to all keys, over pages of bf16, has a third for long sequences (`long`, from 16384 new tokens on), in
    which the hardware deals out the work that items of `many` share by their numbers (AttnToTile/SoftmaxBlocks.cpp).

    A recurrence with one decay per head does long sequences by two kernels, one behind the other, `prepare` and `scan`,
    with `plan.scratch` between them (RecurrencePrepare.cpp), that of a few heads with `segment` and `fold` between
    (RecurrenceTransitions.cpp) and `whole` for steps of several sequences of about the same length, a diagonal one by
    `segment` and `scan` or `whole`, with nothing in front of them (RecurrenceSegments.cpp). What is computed in front of its keys, queries and values, but for
    norms and cuts, is then a kernel of its own in front of both (`_front`). Tokens one by one have a second form
    (`wide`) for steps of many sequences. With `exact` one kernel does the chunks of a long sequence (`many`), as for
    recurrences that cannot be scanned, and says so (`exact`): what its products need of shared memory depends on it. Latent attention of many tokens does the same with `expand` and `many`, and has
    `far` for sequences whose keys have no room in scratch (AttnToTile/LatentKeys.h).
  }];
  let options = [Option<"exact", "exact", "bool", /*default=*/"false", "nothing may be handed over in bf16">];
  let dependentDialects = ["::denim::tile::TileDialect"];
}
#endif
