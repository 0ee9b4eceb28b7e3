#ifndef DIALECTS_MODEL_IR_MODELDIALECT_TD
#define DIALECTS_MODEL_IR_MODELDIALECT_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Model_Dialect : Dialect {
  let name = "model";
  let cppNamespace = "::denim::model";
  let summary = "a network: parameters, blocks, the layer schedule, and what acts on each token alone";
  let description = [{
    A model is written over one sequence of `?` tokens. Activations are f32 tensors `[T, N]` or `[T, H, D]`; every op
    of this dialect acts on each token alone (the ops of `attn` are those that look at other tokens or at positions).
    No cache, chunk, batch or device appears. Inside a block or a network the prefix `model.` may be left out, and
    operands are written without types.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

#endif
