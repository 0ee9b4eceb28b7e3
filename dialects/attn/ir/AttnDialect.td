#ifndef DIALECTS_ATTN_IR_ATTNDIALECT_TD
#define DIALECTS_ATTN_IR_ATTNDIALECT_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::denim::attn";
  let summary = "token mixers, and what depends on the position of a token";
  let description = [{
    Ops that look at other tokens of the sequence, or at the position of their own. Each is written as mathematics
    over a whole sequence `[T, H, D]`; caches, chunks and devices are decided below. The recurrences describe
    themselves in the normal form of `spec/attention.md` section 2 (`RecurrenceOpInterface`).
  }];
  let useDefaultTypePrinterParser = 1;
}
#endif
