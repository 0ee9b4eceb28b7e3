#ifndef DIALECTS_INTERFACES_INTERFACES_TD
#define DIALECTS_INTERFACES_INTERFACES_TD
include "mlir/IR/OpBase.td"

def TokenMixerOpInterface : OpInterface<"TokenMixerOpInterface"> {
  let cppNamespace = "::denim";
  let description = [{
    An op whose result at one token depends on other tokens. Every other op of a model acts on each token alone,
    which is what lets the compiler cut a sequence anywhere.
  }];
  let methods = [
    InterfaceMethod<"Heads whose work is independent: the unit that is spread over a machine.", "int64_t",
                    "getIndependentHeads">,
  ];
}

def StatefulOpInterface : OpInterface<"StatefulOpInterface"> {
  let cppNamespace = "::denim";
  let description = [{
    An op that must remember something of the tokens before this call. The author of a model never writes it: the
    pass `attn-thread-caches` asks for the needs and attaches one cache for each.
  }];
  let methods = [
    InterfaceMethod<"What is kept for one sequence, in the order of the op's cache operands.",
                    "::llvm::SmallVector<::denim::CacheNeed>", "getCacheNeeds">,
    InterfaceMethod<"The caches attached so far; empty before threading.", "::mlir::MutableOperandRange",
                    "getCachesMutable">,
  ];
}

def CostOpInterface : OpInterface<"CostOpInterface"> {
  let cppNamespace = "::denim";
  let description = [{
    What one new token costs when the sequence holds `context` tokens with it, by the formulas of `spec/attention.md`.
  }];
  let methods = [
    InterfaceMethod<"Operations (a multiply-add counts two) and bytes of cache touched.", "::denim::Cost",
                    "getCostPerToken", (ins "int64_t":$context)>,
  ];
}

def RecurrenceOpInterface : OpInterface<"RecurrenceOpInterface"> {
  let cppNamespace = "::denim";
  let description = [{
    A linear recurrence that describes itself in the normal form of `spec/attention.md` section 2. The recurrent and
    the chunked form are both derived from the description; no mixer has a kernel of its own.
  }];
  let methods = [
    InterfaceMethod<"The recurrence, operand by operand.", "::denim::NormalForm", "getNormalForm">,
  ];
}

def BlockTypeInterface : TypeInterface<"BlockTypeInterface"> {
  let cppNamespace = "::denim";
  let description = [{
    An element type of parameters that memory keeps in blocks with a scale (`formats/blocks/BlockFormat.h`). Elements are
    read as f32 and never written.
  }];
  let methods = [
    InterfaceMethod<"How a row lies in memory.", "::denim::formats::BlockFormat", "getFormat">,
  ];
}
#endif
