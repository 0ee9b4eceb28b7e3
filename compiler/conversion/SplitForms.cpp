#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "compiler/conversion/Passes.h"
#include "dialects/plan/ir/Plan.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_SPLITFORMSPASS
#include "compiler/conversion/Passes.h.inc"

namespace {

/// More tokens than a sequence can have.
constexpr int64_t kAnyNumber = int64_t(1) << 30;

/// A launch in place of the one for all.
struct Form {
  StringRef name;
  int64_t least, most; ///< new tokens of a sequence
};

SmallVector<Form> formsOf(plan::KernelOp kernel, StringRef kind, bool scans) {
  // Over latents: sequences with many new tokens take the expanded form (AttnToTile/Latent.cpp) instead.
  for (auto attend : kernel.getBlock()->getOps<attn::AttendOp>())
    if (attend.getKeys() == attend.getValues())
      return {{"few", 1, kSoftmaxManyTokens - 1}};
  if (kind == "softmax")
    return {{"few", 1, kSoftmaxManyTokens - 1}, {"many", kSoftmaxManyTokens, kAnyNumber}};
  if (kind == "softmax_part") // parts of the keys are for few queries only
    return {{"few", 1, kSoftmaxManyTokens - 1}};
  if (kind == "recurrence" && scans)
    return {{"few", 1, kRecurrenceLongTokens - 1},
            {"prepare", kRecurrenceLongTokens, kAnyNumber},
            {"scan", kRecurrenceLongTokens, kAnyNumber}};
  if (kind == "recurrence")
    return {{"few", 1, kRecurrenceManyTokens - 1}, {"many", kRecurrenceManyTokens, kAnyNumber}};
  return {};
}

RecurrenceOpInterface recurrenceOf(plan::KernelOp kernel) {
  for (Operation &op : *kernel.getBlock())
    if (auto recurrence = dyn_cast<RecurrenceOpInterface>(op))
      return recurrence;
  return nullptr;
}

struct SplitFormsPass : impl::SplitFormsPassBase<SplitFormsPass> {
  using SplitFormsPassBase::SplitFormsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto machine = module->getAttrOfType<StringAttr>(plan::PlanDialect::getMachineAttrName());
    if (!machine || machine.getValue() == "cpu")
      return;
    SmallVector<plan::LaunchOp> launches;
    module.walk([&](plan::LaunchOp launch) { launches.push_back(launch); });
    SymbolTable symbols(module);
    llvm::SetVector<Operation *> replaced;
    for (plan::LaunchOp launch : launches) {
      auto kernel = symbols.lookup<plan::KernelOp>(launch.getKernel());
      auto kind = kernel ? kernel->getAttrOfType<StringAttr>("kind") : StringAttr();
      if (!kind || launch->hasAttr("when"))
        continue;
      RecurrenceOpInterface recurrence = recurrenceOf(kernel);
      auto chunk = recurrence ? recurrence->getAttrOfType<IntegerAttr>("chunk") : IntegerAttr();
      bool scans = !exact && chunk && canScan(recurrence.getNormalForm(), chunk.getInt());
      SmallVector<Form> forms = formsOf(kernel, kind.getValue(), scans);
      if (forms.empty())
        continue;
      split(launch, kernel, forms, scans, symbols);
      replaced.insert(kernel);
    }
    for (Operation *kernel : replaced)
      symbols.erase(kernel);
  }

  /// The kernel of a form; made for the first launch that asks.
  void addKernel(plan::KernelOp kernel, const Form &form, StringRef name, bool scans, SymbolTable &symbols) {
    auto clone = cast<plan::KernelOp>(kernel->clone());
    Builder b(&getContext());
    clone.setSymName(name);
    clone->setAttr("form", b.getStringAttr(form.name));
    symbols.insert(clone, Block::iterator(kernel));
    if (!scans)
      return;
    clone->setAttr("scans", b.getUnitAttr());
    if (form.name == "few")
      return;
    NormalForm normal = recurrenceOf(clone).getNormalForm();
    clone->setAttr("scratch", b.getTypeArrayAttr(scanScratch(clone, normal, form.name)));
    SmallVector<Type> tensors = scanScratchTensors(clone, normal);
    Operation *yield = clone.getBlock()->getTerminator();
    if (form.name == "prepare") {
      OpBuilder inside(yield);
      auto scratch = plan::ScratchOp::create(inside, yield->getLoc(), tensors, yield->getOperand(0));
      yield->setOperands(scratch.getResults());
    } else {
      for (Type type : tensors)
        clone.getBlock()->addArgument(type, clone.getLoc());
    }
  }

  void split(plan::LaunchOp launch, plan::KernelOp kernel, ArrayRef<Form> forms, bool scans, SymbolTable &symbols) {
    OpBuilder b(launch);
    SmallVector<plan::LaunchOp> made;
    plan::LaunchOp prepared;
    for (const Form &form : forms) {
      std::string name = (kernel.getSymName() + "_" + form.name).str();
      if (!symbols.lookup(name))
        addKernel(kernel, form, name, scans, symbols);
      SmallVector<Value> operands(launch.getOperands());
      SmallVector<Type> results(launch.getResultTypes());
      if (form.name == "prepare")
        results = scanScratchTensors(kernel, recurrenceOf(kernel).getNormalForm());
      else if (form.name == "scan")
        llvm::append_range(operands, prepared.getResults());
      auto own = plan::LaunchOp::create(b, launch.getLoc(), results, name, operands, DenseI64ArrayAttr());
      own->setAttr("when", b.getDictionaryAttr({b.getNamedAttr("of", b.getStringAttr("sequence")),
                                                b.getNamedAttr("least", b.getI64IntegerAttr(form.least)),
                                                b.getNamedAttr("most", b.getI64IntegerAttr(form.most))}));
      if (form.name == "prepare")
        prepared = own;
      else
        made.push_back(own);
    }
    for (unsigned i = 0; i < launch.getNumResults(); ++i) {
      SmallVector<Value> parts;
      for (plan::LaunchOp own : made)
        parts.push_back(own.getResult(i));
      Value whole = parts.size() == 1
                        ? parts.front()
                        : Value(plan::MergeOp::create(b, launch.getLoc(), parts.front().getType(), parts));
      launch.getResult(i).replaceAllUsesWith(whole);
    }
    launch.erase();
  }
};

} // namespace
} // namespace denim
