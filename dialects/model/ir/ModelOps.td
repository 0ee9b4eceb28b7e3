#ifndef DIALECTS_MODEL_IR_MODELOPS_TD
#define DIALECTS_MODEL_IR_MODELOPS_TD
include "dialects/model/ir/ModelTypes.td"
include "dialects/interfaces/Interfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Model_Op<string mnemonic, list<Trait> traits = []> : Op<Model_Dialect, mnemonic, traits>;
class Model_Structure<string mnemonic, list<Trait> traits = []>
    : Model_Op<mnemonic, traits # [DeclareOpInterfaceMethods<OpAsmOpInterface, ["getDefaultDialect"]>]>;
/// An op whose result types follow from its operands.
class Model_Inferred<string mnemonic, list<Trait> traits = []>
    : Model_Op<mnemonic, traits # [Pure, InferTypeOpAdaptor]>;

//===--------------------------------------------------------------------------------------------------------------===//
// Structure
//===--------------------------------------------------------------------------------------------------------------===//

def Model_BlockOp : Model_Structure<"block", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "one kind of layer";
  let description = [{
    Takes the residual stream `[T, hidden]` and yields the next one. Parameters inside are named relative to the layer
    that uses the block.

    ```mlir
    model.block @mlp(%x: tensor<?x64xf32>) {
      %norm = param "input_layernorm.weight" : tensor<64xf32>
      %up   = param "up_proj.weight" : tensor<96x64xf32>
      %down = param "down_proj.weight" : tensor<64x96xf32>
      %h = rms_norm %x, %norm
      %u = linear %h, %up
      %a = silu %u
      %y = linear %a, %down
      %z = add %x, %y
      yield %z
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{ ::mlir::Block *getBlock() { return &getBody().front(); } }];
}

def Model_NetworkOp : Model_Structure<"network", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "from token ids to logits";
  let description = [{
    The argument holds token ids `[T]`; the body embeds them, runs the `layers`, and gives logits `[T, vocabulary]`.
    Ops behind `layers` read parameters and what follows from its result: a step computes them for the rows whose logits
    are wanted, when nothing from before the layers is there any more.
    `eos` lists the tokens that end a text.

    ```mlir
    model.network @tiny(%ids: tensor<?xi32>) eos [2] {
      %table = param "model.embed_tokens.weight" : tensor<256x64xbf16>
      %norm  = param "model.norm.weight" : tensor<64xbf16>
      %x = embed %ids, %table
      %y = layers %x, "model.layers.{i}" = 2 x (3 x @mlp)
      %h = rms_norm %y, %norm
      %logits = linear %h, %table
      output %logits
    }
    model.block @mlp(%x: tensor<?x64xf32>) {
      yield %x
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$eos);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{ ::mlir::Block *getBlock() { return &getBody().front(); } }];
}

def Model_ParamOp : Model_Op<"param", [Pure]> {
  let summary = "a tensor of the checkpoint";
  let description = [{
    The name is that of the checkpoint; inside a block it stands behind the layer's own prefix. `{e}` in a name makes
    a stack: one tensor per index of the first axis (the experts of a layer). The type is the checkpoint's: elements
    of f32, bf16 or f16, and for weights of `linear` also of `!model.q8_0` or `!model.q4_0`, in blocks along a last axis
    of whole blocks.
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// One tensor per index of the first axis.
    bool isStack() { return getName().contains("{e}"); }
    ::mlir::RankedTensorType getType() { return ::llvm::cast<::mlir::RankedTensorType>(getResult().getType()); }
  }];
}

def Model_RepeatAttr : AttrDef<Model_Dialect, "Repeat"> {
  let mnemonic = "repeat";
  let summary = "a part of a layer schedule, repeated";
  let description = [{ `count` times the items in turn; an item is a block's symbol or another repeat. }];
  let parameters = (ins "int64_t":$count, "::mlir::ArrayAttr":$items);
  let assemblyFormat = "`<` $count `,` $items `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// How many layers the schedule has, and no more than a large number.
    int64_t countLayers();
  }];
}

def Model_LayersOp : Model_Op<"layers", [Pure, AllTypesMatch<["input", "result"]>,
                                         DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the layer schedule";
  let description = [{
    Applies blocks in the order of the schedule: `2 x (3 x @linear, 1 x @full)` is eight layers. Layer i reads the
    parameters of its block with the prefix in which `{i}` stands for i, counted from 0, followed by a dot.
  }];
  let arguments = (ins AnyRankedTensor:$input, StrAttr:$prefix, Model_RepeatAttr:$schedule);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) `,` $prefix `=` custom<Schedule>($schedule) attr-dict";
  let extraClassDeclaration = [{
    /// The block of every layer, in order.
    ::llvm::SmallVector<::mlir::FlatSymbolRefAttr> getLayers();
    /// `model.layers.3.` for layer 3.
    std::string getLayerPrefix(int64_t layer);
  }];
}

def Model_YieldOp : Model_Op<"yield", [Pure, Terminator, HasParent<"BlockOp">]> {
  let summary = "the residual stream behind a block";
  let arguments = (ins AnyRankedTensor:$value);
  let assemblyFormat = "custom<Value>($value, type($value)) attr-dict";
}

def Model_OutputOp : Model_Op<"output", [Pure, Terminator, HasParent<"NetworkOp">]> {
  let summary = "the logits";
  let arguments = (ins AnyRankedTensor:$logits);
  let assemblyFormat = "custom<Value>($logits, type($logits)) attr-dict";
}

def Model_SelectOp : Model_Inferred<"select"> {
  let summary = "the rows whose logits are wanted";
  let description = [{
    Written by the compiler behind `layers`: all that follows is computed for the rows that the caller of a step
    asked for, and for no other.
  }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) attr-dict";
}

//===--------------------------------------------------------------------------------------------------------------===//
// Products and lookups
//===--------------------------------------------------------------------------------------------------------------===//

def Model_EmbedOp : Model_Inferred<"embed"> {
  let summary = "row of a table for each token id";
  let description = [{ `result[t, :] = table[ids[t], :]`; ids `[T]` i32, table `[V, hidden]`. }];
  let arguments = (ins AnyRankedTensor:$ids, AnyRankedTensor:$table);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($ids, type($ids)) `,` custom<Value>($table, type($table)) attr-dict";
}

def Model_LinearOp : Model_Inferred<"linear", [DeclareOpInterfaceMethods<CostOpInterface>]> {
  let summary = "y = W x + b";
  let description = [{
    `result[t, n] = sum_k weight[n, k] input[t, k] + bias[n]`, accumulated in f32. Weight `[N, K]` as checkpoints store
    it, perhaps in blocks (`!model.q8_0`, `!model.q4_0`): then it is the numbers that blocks stand for, exactly. Heads of
    the input are taken one behind the other: `[T, H, D]` is read as `[T, H*D]`.
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$weight, Optional<AnyRankedTensor>:$bias);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($input, type($input)) `,` custom<Value>($weight, type($weight))
    (`bias` custom<OptionalValue>($bias, type($bias))^)? attr-dict
  }];
}

//===--------------------------------------------------------------------------------------------------------------===//
// Norms
//===--------------------------------------------------------------------------------------------------------------===//

def Model_RmsNormOp : Model_Inferred<"rms_norm"> {
  let summary = "root mean square norm over the last axis";
  let description = [{
    `result = input / sqrt(mean(input^2) + eps) * weight`, the mean over the last axis. With `zero_centered` the factor
    is `1 + weight` (checkpoints of Qwen3-Next store weights around 0). Weight `[D]`, D the last extent of the input;
    so a weight of one head's width norms each head alone. (`spec/attention.md` 5.1)
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$weight, DefaultValuedAttr<F64Attr, "1.0e-6">:$eps,
                       UnitAttr:$zero_centered);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($input, type($input)) `,` custom<Value>($weight, type($weight)) (`zero_centered` $zero_centered^)?
    (`eps` custom<Number>($eps)^)? attr-dict
  }];
}

def Model_L2NormOp : Model_Inferred<"l2_norm"> {
  let summary = "divide by the Euclidean norm over the last axis";
  let description = [{ `result = input / sqrt(sum(input^2) + eps)`, eps inside the root. (`spec/attention.md` 2.6) }];
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<F64Attr, "1.0e-6">:$eps);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) (`eps` custom<Number>($eps)^)? attr-dict";
}

//===--------------------------------------------------------------------------------------------------------------===//
// Elementwise
//===--------------------------------------------------------------------------------------------------------------===//

class Model_Unary<string mnemonic, string text> : Model_Inferred<mnemonic> {
  let summary = text;
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) attr-dict";
}
def Model_SiluOp : Model_Unary<"silu", "x * sigmoid(x)">;
def Model_SigmoidOp : Model_Unary<"sigmoid", "1 / (1 + exp(-x))">;
def Model_SoftplusOp : Model_Unary<"softplus", "log(1 + exp(x)), and x itself above 20">;
def Model_ExpOp : Model_Unary<"exp", "e to the x">;

class Model_Binary<string mnemonic, string text> : Model_Inferred<mnemonic> {
  let summary = text;
  let description = [{
    Operands of one shape, or one of them without the leading axes of the other: `[D]` meets every row of `[T, H, D]`,
    `[H]` every row of `[T, H]`. A last axis of 1 meets every channel: `[T, 1]`, one factor per token, meets `[T, N]`.

    ```mlir
    model.block @gated(%x: tensor<?x64xf32>) {
      %w = param "gate.weight" : tensor<1x64xf32>
      %score = linear %x, %w
      %gate = sigmoid %score       // [T, 1]
      %y = mul %x, %gate           // [T, 64]
      yield %y
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($lhs, type($lhs)) `,` custom<Value>($rhs, type($rhs)) attr-dict";
}
def Model_AddOp : Model_Binary<"add", "sum">;
def Model_MulOp : Model_Binary<"mul", "product of elements">;

def Model_ScaleOp : Model_Inferred<"scale"> {
  let summary = "multiply by a constant";
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$factor);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) `,` custom<Number>($factor) attr-dict";
}

//===--------------------------------------------------------------------------------------------------------------===//
// Shape
//===--------------------------------------------------------------------------------------------------------------===//

def Model_HeadsOp : Model_Inferred<"heads"> {
  let summary = "see the channels of a token as heads";
  let description = [{ `[T, N]` or `[T, H', D']` becomes `[T, H, N/H]`; no element moves. }];
  let arguments = (ins AnyRankedTensor:$input, ConfinedAttr<I64Attr, [IntPositive]>:$count);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) `,` $count attr-dict";
}

def Model_FlattenOp : Model_Inferred<"flatten"> {
  let summary = "see the heads of a token as one row of channels";
  let description = [{ `[T, H, D]` becomes `[T, H*D]`; no element moves. }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Value>($input, type($input)) attr-dict";
}

def Model_SplitOp : Model_Inferred<"split", [DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "cut the last axis into parts";
  let description = [{
    Parts are consecutive and fill the axis. A part is a width, or `H x D` for a part that is seen as heads at once
    (of an input `[T, N]` only):

    ```mlir
    model.block @parts(%x: tensor<?x320xf32>) {
      %q, %k, %v = split %x into 1x64, 1x64, 3x64      // [T, 1, 64], [T, 1, 64], [T, 3, 64]
      %a, %b = split %v into 16, 48                    // [T, 3, 16], [T, 3, 48]
      yield %x
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, DenseI64ArrayAttr:$heads, DenseI64ArrayAttr:$widths);
  let results = (outs Variadic<AnyRankedTensor>:$parts);
  let assemblyFormat = "custom<Value>($input, type($input)) `into` custom<Parts>($heads, $widths) attr-dict";
}

def Model_ConcatOp : Model_Inferred<"concat"> {
  let summary = "channels of all inputs, one behind the other";
  let description = [{ Heads of an input are taken in order; the result is `[T, N]`. }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "custom<Values>($inputs, type($inputs)) attr-dict";
}

//===--------------------------------------------------------------------------------------------------------------===//
// Mixture of experts
//===--------------------------------------------------------------------------------------------------------------===//

def Model_RouteOp : Model_Inferred<"route", [DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "choose experts by the softmax of their scores";
  let description = [{
    `p = softmax(scores)`; the `top` largest p of each token are chosen, the lowest index first among equals; their
    weights are p, divided by their sum with `renormalized`. Scores `[T, E]`; results: weights `[T, top]` f32 and
    experts `[T, top]` i32. (`spec/models.md` section 3, "softmax top-k")
  }];
  let arguments = (ins AnyRankedTensor:$scores, ConfinedAttr<I64Attr, [IntPositive]>:$top, UnitAttr:$renormalized);
  let results = (outs AnyRankedTensor:$weights, AnyRankedTensor:$experts);
  let assemblyFormat = "custom<Value>($scores, type($scores)) `top` $top (`renormalized` $renormalized^)? attr-dict";
}

def Model_ExpertsOp : Model_Inferred<"experts"> {
  let summary = "sum of the chosen experts";
  let description = [{
    `result[t] = sum_j weights[t, j] * down_e (silu(gate_e x_t) * up_e x_t)` with `e = experts[t, j]`. Gate and up
    `[E, I, hidden]`, down `[E, hidden, I]`: stacks. No token is dropped. (`spec/models.md` section 2)
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$weights, AnyRankedTensor:$experts,
                       AnyRankedTensor:$gate, AnyRankedTensor:$up, AnyRankedTensor:$down);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($input, type($input)) `,` custom<Value>($weights, type($weights)) `,`
    custom<Value>($experts, type($experts)) `gate` custom<Value>($gate, type($gate))
    `up` custom<Value>($up, type($up)) `down` custom<Value>($down, type($down)) attr-dict
  }];
}
#endif
