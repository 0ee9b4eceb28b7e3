// `attn.recurrence` and the words of its region: what one token does to the state. Included by AttnOps.td.
#ifndef DIALECTS_ATTN_IR_RECURRENCEOPS_TD
#define DIALECTS_ATTN_IR_RECURRENCEOPS_TD

def Attn_RecurrenceOp : Attn_Op<"recurrence", [Pure, IsolatedFromAbove, AttrSizedOperandSegments,
    SingleBlock, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getDefaultDialect"]>,
    DeclareOpInterfaceMethods<TokenMixerOpInterface>, DeclareOpInterfaceMethods<StatefulOpInterface>,
    DeclareOpInterfaceMethods<CostOpInterface>, DeclareOpInterfaceMethods<RecurrenceOpInterface>]> {
  let summary = "a token mixer with a state, written as what one token does to it";
  let description = [{
    For every head a state `[dk, dv]`, zero before the first token. The region takes the state and one token's share of
    the operands, and yields the next state and the token's output. It is written for one head: `[T, H, D]` is seen as
    a vector `[D]`, `[T, H]` and `[H]` as a number. H is the largest number of heads of an operand; head h uses head
    `h * H' / H` of an operand with H' heads.

    ```mlir
    model.block @gated_delta_net(%x: tensor<?x194xf32>) {
      %query, %key, %value, %beta, %gate = split %x into 1x64, 1x64, 1x64, 1, 1
      %o = attn.recurrence (%s : 64x64, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
        %d = decay %s, %g            // Diag(exp g) S
        %p = read %d, %k             // S^T k: what the state holds for this key
        %e = sub %v, %p
        %w = mul %b, %e
        %n = write %d, %k, %w        // S + k w^T
        %y = read %n, %q
        yield %n, %y
      }
      yield %x
    }
    ```

    Whatever the region says runs token by token. If it says no more than the normal form of `spec/attention.md`
    section 2 (one decay, then writes that are linear in the old state and read it along at most one vector, one read
    of the old or the new state as output), sequences run in chunks as well; else a remark of `attn-choose-chunk` names
    what stands outside. Arithmetic on the operands alone is free.

    * (C1) operands `[T, H', D]`, `[T, H']` or `[H']`, H' a divisor of H
    * (C2) region arguments: the state, then a vector or a number for each operand
    * (C3) the region yields a state and an output `[dv]`
    * (C4) decays given as numbers: one for each of H heads, at most 0
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, /* recurrence_c1 */
                       Optional<Attn_AnyCache>:$state, OptionalAttr<I64Attr>:$chunk);
  let results = (outs AnyRankedTensor:$result);
  let regions = (region SizedRegion<1>:$step);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getStep().front(); }
    ::mlir::RankedTensorType getStateType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getBlock()->getArgument(0).getType());
    }
    /// H, the heads of state and result.
    int64_t getHeads();
    /// The operand behind an argument of the region.
    ::mlir::Value getInput(::mlir::BlockArgument argument) { return getInputs()[argument.getArgNumber() - 1]; }
  }];
}

class Attn_Step<string mnemonic, list<Trait> traits = []>
    : Attn_Op<mnemonic, traits # [Pure, HasParent<"RecurrenceOp">]>;
class Attn_StepInferred<string mnemonic> : Attn_Step<mnemonic, [InferTypeOpAdaptor]> {
  let results = (outs AnyRankedTensor:$result);
}

def Attn_DecayOp : Attn_StepInferred<"decay"> {
  let summary = "let a state fade: Diag(exp g) S";
  let description = [{
    `g`, at most 0, is a number or a vector `[dk]`; or numbers of the text, one for each head: `decay %s, [-0.5, -0.25]`.
  }];
  let arguments = (ins AnyRankedTensor:$state, Optional<AnyRankedTensor>:$decay,
                       OptionalAttr<DenseF64ArrayAttr>:$rates);
  let assemblyFormat = [{
    custom<Value>($state, type($state)) `,` custom<Fading>($decay, type($decay), $rates) attr-dict
  }];
}

def Attn_ReadOp : Attn_StepInferred<"read"> {
  let summary = "what a state holds for a key: S^T k";
  let arguments = (ins AnyRankedTensor:$state, AnyRankedTensor:$key);
  let assemblyFormat = "custom<Value>($state, type($state)) `,` custom<Value>($key, type($key)) attr-dict";
}

def Attn_WriteOp : Attn_StepInferred<"write"> {
  let summary = "add to a state along a key: S + k v^T";
  let arguments = (ins AnyRankedTensor:$state, AnyRankedTensor:$key, AnyRankedTensor:$value);
  let assemblyFormat = [{
    custom<Value>($state, type($state)) `,` custom<Value>($key, type($key)) `,` custom<Value>($value, type($value))
    attr-dict
  }];
}

class Attn_StepBinary<string mnemonic, string text> : Attn_StepInferred<mnemonic> {
  let summary = text;
  let description = [{ Operands of one shape, or one of them a number. }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let assemblyFormat = "custom<Value>($lhs, type($lhs)) `,` custom<Value>($rhs, type($rhs)) attr-dict";
}
def Attn_AddOp : Attn_StepBinary<"add", "sum inside a recurrence">;
def Attn_SubOp : Attn_StepBinary<"sub", "difference inside a recurrence">;
def Attn_MulOp : Attn_StepBinary<"mul", "product of elements inside a recurrence">;

def Attn_ScaleOp : Attn_StepInferred<"scale"> {
  let summary = "multiply by a constant inside a recurrence";
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$factor);
  let assemblyFormat = "custom<Value>($input, type($input)) `,` custom<Number>($factor) attr-dict";
}

def Attn_YieldOp : Attn_Step<"yield", [Terminator]> {
  let summary = "the state behind a token, and its output";
  let arguments = (ins AnyRankedTensor:$state, AnyRankedTensor:$output);
  let assemblyFormat = "custom<Value>($state, type($state)) `,` custom<Value>($output, type($output)) attr-dict";
}
#endif
