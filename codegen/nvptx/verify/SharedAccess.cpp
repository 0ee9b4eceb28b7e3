#include "codegen/nvptx/verify/SharedAccess.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace denim::codegen::nvptx;
using Kind = SharedAccess::Kind;

namespace {

class Reader {
public:
  explicit Reader(LLVM::InlineAsmOp op) : op(op), text(op.getAsmString()) {
    outputs = StringRef(op.getConstraints()).count('=');
  }

  bool has(StringRef part) const { return text.contains(part); }

  /// The operand that the text calls $number.
  Value operand(StringRef number) const {
    unsigned index = 0;
    if (number.getAsInteger(10, index) || index < outputs || index - outputs >= op.getOperands().size())
      return {};
    return op.getOperands()[index - outputs];
  }

  /// `[$1+64]`, the first behind `mnemonic`.
  bool address(StringRef mnemonic, SharedAccess &access) const {
    SmallVector<StringRef> found;
    if (!llvm::Regex("\\[\\$([0-9]+)(\\+([0-9]+))?\\]").match(behind(mnemonic), &found))
      return false;
    access.address = operand(found[1]);
    if (!found[3].empty())
      (void)found[3].getAsInteger(10, access.plus);
    return bool(access.address);
  }

  Value predicate() const {
    SmallVector<StringRef> found;
    if (!llvm::Regex("setp\\.ne\\.b32 p, \\$([0-9]+), 0").match(text, &found))
      return {};
    return operand(found[1]);
  }

  StringRef behind(StringRef mnemonic) const { return text.substr(text.find(mnemonic) + mnemonic.size()); }

  /// The first number that matches `pattern` behind the mnemonic; `otherwise` if there is none.
  int64_t number(StringRef mnemonic, StringRef pattern, int64_t otherwise = 0) const {
    SmallVector<StringRef> found;
    int64_t value = otherwise;
    if (llvm::Regex(pattern).match(behind(mnemonic), &found))
      (void)found[1].getAsInteger(10, value);
    return value;
  }

  void products(SharedAccess &access) const;

private:
  mutable LLVM::InlineAsmOp op; // its accessors are not const
  StringRef text;
  unsigned outputs;
};

} // namespace

/// "add.s64 db, $64, 2; add.s64 da, $65, 2; wgmma.mma_async....m64n128k16... {...}, da, db, 1, 1, 1, 0, 1;" The last
/// numbers say which way operands in shared memory run.
void Reader::products(SharedAccess &access) const {
  StringRef rest = text;
  std::optional<SharedAccess::Operand> a, b;
  while (!rest.empty()) {
    auto [statement, tail] = rest.split(';');
    rest = tail;
    SmallVector<StringRef> found;
    if (llvm::Regex("add\\.s64 d([ab]), \\$([0-9]+), (-?[0-9]+)").match(statement, &found)) {
      int64_t sixteens = 0;
      (void)found[3].getAsInteger(10, sixteens);
      (found[1] == "a" ? a : b) = SharedAccess::Operand{operand(found[2]), sixteens * 16, 0, 0, 0};
    } else if (llvm::Regex("wgmma\\.mma_async\\.[^ ]*m64n([0-9]+)k16").match(statement, &found)) {
      int64_t columns = 0;
      (void)found[1].getAsInteger(10, columns);
      SmallVector<StringRef> last;
      statement.rsplit('}').second.split(last, ',');
      auto add = [&](SharedAccess::Operand operand, bool outer, int64_t extent) {
        operand.rows = outer ? 16 : extent;
        operand.panels = outer ? (extent + 63) / 64 : 1;
        access.operands.push_back(operand);
      };
      bool bOuter = last.back().trim() == "1";
      if (a)
        add(*a, last[last.size() - 2].trim() == "1", 64);
      if (b)
        add(*b, bOuter, columns);
      a.reset();
      b.reset();
    }
  }
}

/// Bytes that a copy of one box writes: those of the entry of `tile.tensor_maps` that the parameter is for. These stand
/// behind all others.
static std::optional<int64_t> boxBytes(LLVM::InlineAsmOp op, Value map) {
  auto function = op->getParentOfType<LLVM::LLVMFuncOp>();
  auto maps = function->getAttrOfType<ArrayAttr>("tile.tensor_maps");
  auto parameter = dyn_cast_or_null<BlockArgument>(map);
  int64_t index = maps && parameter ? int64_t(parameter.getArgNumber()) - function.getNumArguments() + maps.size() : -1;
  if (index < 0)
    return std::nullopt;
  auto one = cast<DictionaryAttr>(maps[index]);
  return one.getAs<IntegerAttr>("box_rows").getInt() * one.getAs<IntegerAttr>("box_columns").getInt() * 2;
}

SharedAccess denim::codegen::nvptx::classify(LLVM::InlineAsmOp op) {
  Reader text(op);
  SharedAccess access;
  access.predicate = text.predicate();
  auto made = [&](Kind kind) {
    access.kind = kind;
    return access;
  };
  auto at = [&](StringRef mnemonic, Kind kind, int64_t bytes = 0) {
    access.bytes = bytes;
    return made(text.address(mnemonic, access) ? kind : Kind::unknown);
  };
  auto words = [&](StringRef mnemonic) { return 4 * text.number(mnemonic, "^\\.v([24])\\.", 1); };
  auto lanes = [&](StringRef mnemonic) { return 8 * text.number(mnemonic, "\\.x([124])", 1); };

  if (text.has("wgmma.mma_async")) {
    text.products(access);
    return made(Kind::product);
  }
  if (text.has("wgmma.wait_group")) {
    access.bytes = text.number("wgmma.wait_group", "aligned ([0-9]+)");
    return made(Kind::awaitProducts);
  }
  if (text.has("bar.warp.sync"))
    return made(Kind::warpBarrier);
  if (text.has("bar.sync $") || text.has("bar.arrive $"))
    return made(Kind::turnBarrier);
  if (text.has("bar.sync")) {
    access.number = text.number("bar.sync", "^ ([0-9]+)");
    access.bytes = text.number("bar.sync", ", ([0-9]+)");
    return made(Kind::blockBarrier);
  }
  if (text.has("fence.proxy.async"))
    return made(Kind::proxyFence);
  if (text.has("fence.mbarrier_init"))
    return made(Kind::fenceInit);
  if (text.has("setmaxnreg")) {
    access.bytes = text.number("setmaxnreg", "u32 ([0-9]+)");
    return made(Kind::setRegisters);
  }
  if (text.has("mbarrier.init"))
    return at("mbarrier.init", Kind::initBarrier, text.number("mbarrier.init", ", ([0-9]+);"));
  if (text.has("cp.async.mbarrier.arrive.noinc"))
    return at("cp.async.mbarrier.arrive", Kind::arriveWithPieces);
  if (text.has("cp.async.mbarrier.arrive"))
    return at("cp.async.mbarrier.arrive", Kind::arriveOnTop);
  if (text.has("mbarrier.arrive.expect_tx"))
    return at("mbarrier.arrive", Kind::expectBytes, text.number("mbarrier.arrive", "\\], ([0-9]+);"));
  if (text.has("mbarrier.arrive.release"))
    return at("mbarrier.arrive", Kind::handOver);
  if (text.has("mbarrier.arrive"))
    return at("mbarrier.arrive", Kind::arrive);
  if (text.has("mbarrier.try_wait"))
    return at("mbarrier.try_wait", Kind::await);
  if (text.has("cp.async.bulk.prefetch.L2"))
    return made(Kind::none);
  if (text.has("cp.async.wait_all"))
    return made(Kind::awaitPieces);
  if (text.has("cp.async.bulk.tensor.2d.shared")) {
    SmallVector<StringRef> found;
    if (!llvm::Regex("\\], \\[\\$([0-9]+), \\{[^}]*\\}\\], \\[\\$([0-9]+)\\]").match(op.getAsmString(), &found))
      return made(Kind::unknown);
    auto bytes = boxBytes(op, text.operand(found[1]));
    access.barrier = text.operand(found[2]);
    access.alignment = 1024; // of the exchange of pieces
    return bytes ? at("cp.async.bulk", Kind::bulkCopy, *bytes) : made(Kind::unknown);
  }
  if (text.has("cp.async.bulk.shared")) {
    SmallVector<StringRef> found;
    if (llvm::Regex("\\], \\[\\$[0-9]+\\], ([0-9]+), \\[\\$([0-9]+)\\]").match(op.getAsmString(), &found)) {
      int64_t bytes = 0;
      (void)found[1].getAsInteger(10, bytes);
      access.barrier = text.operand(found[2]);
      return at("cp.async.bulk", Kind::bulkCopy, bytes);
    }
    return made(Kind::unknown);
  }
  if (text.has("cp.async.cg.shared"))
    return at("cp.async.cg", Kind::piece, 16);
  if (text.has("cp.async.ca.shared"))
    return at("cp.async.ca", Kind::piece, 4);
  if (text.has("ldmatrix")) {
    access.lanes = lanes("ldmatrix");
    return at("ldmatrix", Kind::loadMatrices, 16);
  }
  if (text.has("stmatrix")) {
    access.lanes = lanes("stmatrix");
    return at("stmatrix", Kind::storeMatrices, 16);
  }
  if (text.has("ld.shared"))
    return at("ld.shared", Kind::load, words("ld.shared"));
  if (text.has("st.shared"))
    return at("st.shared", Kind::store, words("st.shared"));
  return made(text.has("shared") || text.has("bar.") || text.has("cp.async") ? Kind::unknown : Kind::none);
}
