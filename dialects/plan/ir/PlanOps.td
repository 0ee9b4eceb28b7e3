#ifndef DIALECTS_PLAN_IR_PLANOPS_TD
#define DIALECTS_PLAN_IR_PLANOPS_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::denim::plan";
  let summary = "where and when: programs of launches, memory slots, the order of a step";
  let description = [{
    A step of the model runs the programs of `plan.schedule` in order. A program is a list of launches; a launch runs
    one kernel over activations, parameters and caches. Layers of one kind share one program: only the parameters and
    caches they are bound to differ. The dialect knows no mathematics: what a kernel computes is in its body until the
    tile phase replaces it.

    `plan.machine` on the module names the machine it is planned for, `"cpu"` or `"cuda"`; without it, the CPU.
    `plan.target` names the target of code generation that choices are made for, and `plan.overrides` what overrides
    them: `{by = "user"|"table", choice = "linear.panel_columns", shape = "...", value = 64 : i64}`, the first that fits
    (compiler/tuning).
  }];
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    static ::llvm::StringLiteral getMachineAttrName() { return "plan.machine"; }
    static ::llvm::StringLiteral getTargetAttrName() { return "plan.target"; }
    static ::llvm::StringLiteral getOverridesAttrName() { return "plan.overrides"; }
  }];
}

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_KernelOp : Plan_Op<"kernel", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "what one launch computes";
  let description = [{
    Arguments are the activations, parameters and caches the launch passes; the body is `model` and `attn` ops; the
    results of `plan.yield` are the activations it makes. The ops of one kernel become one pass over memory.

    An argument of fixed shape is a parameter, which nothing writes, unless `dequantized` has its position: then a launch
    before this one makes it, a weight [N, K] in bf16 (`dequantize-weights`).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<DenseI64ArrayAttr>:$dequantized);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getBody().front(); }
    /// Whether a launch makes the argument at `position`, although its shape is fixed.
    bool isDequantized(unsigned position) {
      return getDequantized() && ::llvm::is_contained(*getDequantized(), int64_t(position));
    }
  }];
}

def Plan_YieldOp : Plan_Op<"yield", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "the activations a kernel makes";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Plan_CastOp : Plan_Op<"cast", [Pure]> {
  let summary = "the same numbers in another element type";
  let description = [{
    Kernels compute in f32, whatever the type in which memory keeps an activation: a cast stands behind an argument that
    is kept in another type, and in front of `plan.yield` for such a result. Rounds to nearest.

    ```mlir
    plan.kernel @gate(%kept: tensor<?x64xbf16>) attributes {kind = "rows"} {
      %x = plan.cast %kept : tensor<?x64xbf16> to tensor<?x64xf32>
      %y = model.silu %x
      %r = plan.cast %y : tensor<?x64xf32> to tensor<?x64xbf16>
      plan.yield %r : tensor<?x64xbf16>
    }
    ```

    Elements in blocks (`!model.q8_0`, `!model.q4_0`) become those that they stand for, scale times integer, rounded to
    the type of the result once. Nothing becomes blocks: a checkpoint has them.

    ```mlir
    plan.kernel @dequantize(%w: tensor<128x64x!model.q8_0>) attributes {kind = "dequantize"} {
      %d = plan.cast %w : tensor<128x64x!model.q8_0> to tensor<128x64xbf16>
      plan.yield %d : tensor<128x64xbf16>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `to` type($result)";
  let hasVerifier = 1;
}

def Plan_ScratchOp : Plan_Op<"scratch", [Pure]> {
  let summary = "memory that the kernels of one op hand to each other";
  let description = [{
    Where an op is done by several kernels, one behind the other (`split-forms`), one yields `plan.scratch` of the op and
    a later one takes it as its last arguments. What stands in it is between the tile programs; the attribute `scratch` of
    such a kernel says how it sees what it takes, and then what it makes. A row per token, so that it is a slot like
    others.
  }];
  let arguments = (ins AnyRankedTensor:$of);
  let results = (outs Variadic<AnyRankedTensor>:$blocks);
  let assemblyFormat = "`of` $of attr-dict `:` type($of) `->` type($blocks)";
}

def Plan_ProgramOp : Plan_Op<"program", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "the launches of one kind of layer, in order";
  let description = [{
    The argument and the result are the residual stream (for the first program of a step: the token ids; for the last:
    the logits). `model.param` and `attn.cache` name what a layer binds.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{ ::mlir::Block *getBlock() { return &getBody().front(); } }];
}

def Plan_LaunchOp : Plan_Op<"launch", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "run a kernel";
  let description = [{
    `slots` says in which activation slot each result is kept, once memory is planned. Operands may appear more than
    once: a kernel may see one buffer in two ways.

    `when` says in which passes the launch runs, `product` what a library may do in its place (`runtime/abi/Module.h`):

    ```mlir
    plan.program @p(%x: tensor<?x64xf32>) {
      %w = model.param "w" : tensor<64x64xf32>
      %few  = plan.launch @few(%x, %w) slots [1] {when = {of = "rows", least = 1, most = 16}}
        : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
      %many = plan.launch @many(%x, %w) slots [1] {when = {of = "rows", least = 17, most = 1073741824}}
        : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
      %y = plan.merge %few, %many : tensor<?x64xf32>
      plan.return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$operands,
                       OptionalAttr<DenseI64ArrayAttr>:$slots);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `(` $operands `)` (`slots` $slots^)? attr-dict `:` functional-type($operands, $results)
  }];
}

def Plan_MergeOp : Plan_Op<"merge", [Pure, SameOperandsAndResultType]> {
  let summary = "one value that several launches write, each under its condition";
  let description = [{
    All operands and the result are one slot. A row of the value is the one that was written: by the launch whose
    condition (`when`) held in this pass, or, where conditions are about sequences, by the launch that does the row's.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$values attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Plan_ReturnOp : Plan_Op<"return", [Pure, Terminator, HasParent<"ProgramOp">]> {
  let summary = "what the next program of the step takes";
  let arguments = (ins AnyRankedTensor:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Plan_ScheduleOp : Plan_Op<"schedule", [Symbol]> {
  let summary = "a step: programs in order, each with the prefix of its parameters";
  let description = [{
    `layers[i]` is -1 for a program that stands outside the layers (embedding, head). Names of parameters and caches of
    step i are those of its program behind `prefixes[i]`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ArrayAttr:$programs, StrArrayAttr:$prefixes,
                       DenseI64ArrayAttr:$layers, I64Attr:$vocabulary, DenseI64ArrayAttr:$eos,
                       OptionalAttr<ArrayAttr>:$slots, OptionalAttr<I64Attr>:$logits);
  let assemblyFormat = [{
    $sym_name `programs` $programs `prefixes` $prefixes `layers` $layers `vocabulary` $vocabulary `eos` $eos
    (`slots` $slots^)? (`logits` $logits^)? attr-dict
  }];
}
#endif
