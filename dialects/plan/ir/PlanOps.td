#ifndef DIALECTS_PLAN_IR_PLANOPS_TD
#define DIALECTS_PLAN_IR_PLANOPS_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
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
  }];
}

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_KernelOp : Plan_Op<"kernel", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "what one launch computes";
  let description = [{
    Arguments are the activations, parameters and caches the launch passes; the body is `model` and `attn` ops; the
    results of `plan.yield` are the activations it makes. The ops of one kernel become one pass over memory.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{ ::mlir::Block *getBlock() { return &getBody().front(); } }];
}

def Plan_YieldOp : Plan_Op<"yield", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "the activations a kernel makes";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
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
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$operands,
                       OptionalAttr<DenseI64ArrayAttr>:$slots);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `(` $operands `)` (`slots` $slots^)? attr-dict `:` functional-type($operands, $results)
  }];
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
