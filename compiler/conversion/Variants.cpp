#include "compiler/conversion/Variants.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace denim;

static DictionaryAttr when(MLIRContext *context, StringRef of, int64_t least, int64_t most) {
  Builder b(context);
  return b.getDictionaryAttr({b.getNamedAttr("of", b.getStringAttr(of)),
                              b.getNamedAttr("least", b.getI64IntegerAttr(least)),
                              b.getNamedAttr("most", b.getI64IntegerAttr(most))});
}

DictionaryAttr denim::whenRows(MLIRContext *context, int64_t least, int64_t most) {
  return when(context, "rows", least, most);
}
DictionaryAttr denim::whenSequence(MLIRContext *context, int64_t least, int64_t most) {
  return when(context, "sequence", least, most);
}
DictionaryAttr denim::whenSequenceBeyond(MLIRContext *context, int64_t least, int64_t block, int64_t stride) {
  Builder b(context);
  NamedAttrList all(whenSequence(context, least));
  all.set("block", b.getI64IntegerAttr(block));
  all.set("stride", b.getI64IntegerAttr(stride));
  return all.getDictionary(context);
}

DictionaryAttr denim::whenTokens(DictionaryAttr when, int64_t tokens) {
  NamedAttrList all(when);
  all.set("tokens", Builder(when.getContext()).getI64IntegerAttr(tokens));
  return all.getDictionary(when.getContext());
}

DictionaryAttr denim::whenSequences(DictionaryAttr when, int64_t least, int64_t fewer) {
  NamedAttrList all(when);
  all.set(least ? "sequences" : "fewer", Builder(when.getContext()).getI64IntegerAttr(least ? least : fewer));
  return all.getDictionary(when.getContext());
}

DictionaryAttr denim::whenEven(DictionaryAttr when, int64_t even, int64_t uneven, int64_t longest) {
  Builder b(when.getContext());
  NamedAttrList all(when);
  all.set(even ? "even" : "uneven", b.getI64IntegerAttr(even ? even : uneven));
  all.set("longest", b.getI64IntegerAttr(longest));
  return all.getDictionary(when.getContext());
}

FailureOr<DictionaryAttr> denim::bothHold(DictionaryAttr a, DictionaryAttr b) {
  if (!a || !b)
    return a ? a : b;
  auto number = [](DictionaryAttr d, StringRef key) { return cast<IntegerAttr>(d.get(key)).getInt(); };
  int64_t least = std::max(number(a, "least"), number(b, "least"));
  int64_t most = std::min(number(a, "most"), number(b, "most"));
  // Two conditions on sequences may hold for two different ones.
  if (a.get("of") != b.get("of") || cast<StringAttr>(a.get("of")) != "rows" || least > most)
    return failure();
  return whenRows(a.getContext(), least, most);
}
