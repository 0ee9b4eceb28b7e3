#include "compiler/conversion/AttnToTile/GroupedExperts.h"
#include "compiler/conversion/AttnToTile/LatentKeys.h"
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "compiler/conversion/Passes.h"
#include "compiler/conversion/Reshapes.h"
#include "compiler/conversion/Variants.h"
#include "compiler/tuning/Choices.h"
#include "dialects/plan/ir/Plan.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_SPLITFORMSPASS
#include "compiler/conversion/Passes.h.inc"

namespace {

/// A launch in place of the one for all.
struct Form {
  StringRef name;
  int64_t least, most; ///< new tokens of a sequence
  /// Of a chain of kernels with scratch between them: whether it leaves scratch, behind the result for some sequences
  /// or instead of it, and the earlier ones whose scratch it takes.
  enum Makes : uint8_t { result, scratch, both };
  Makes makes = result;
  SmallVector<StringRef, 2> takes = {};
  bool takesFronts = false; ///< reads what is computed in front of keys, queries and values from memory
  bool beyond = false;      ///< only sequences whose latents have no room in scratch
  /// Only steps with at least so many sequences, of about the same length and none longer than `longest`; or only other
  /// steps. 0: all steps.
  int64_t even = 0, uneven = 0, longest = 0;
  int64_t fromTokens = 0; ///< only steps of so many new tokens and more; 0: all
  /// Only steps with at least so many of these sequences, or with fewer than so many. 0: all steps.
  int64_t sequences = 0, fewer = 0;

  bool isInChain() const { return takesFronts || makes != result || !takes.empty(); }
};

attn::AttendLatentOp latentOf(plan::KernelOp kernel) {
  for (auto op : kernel.getBlock()->getOps<attn::AttendLatentOp>())
    return op;
  return nullptr;
}

RecurrenceOpInterface recurrenceOf(plan::KernelOp kernel) {
  for (Operation &op : *kernel.getBlock())
    if (auto recurrence = dyn_cast<RecurrenceOpInterface>(op))
      return recurrence;
  return nullptr;
}

/// The steps in which a launch of attention, or of the parts of it, is for whole keys.
FailureOr<WholeSteps> wholeStepsOf(plan::LaunchOp launch, plan::KernelOp kernel, SymbolTable &symbols) {
  if (!kernel.getBlock()->getOps<attn::AttendPartOp>().empty()) {
    auto next = launch->hasOneUse() ? dyn_cast<plan::LaunchOp>(*launch->getUsers().begin()) : plan::LaunchOp();
    kernel = next ? symbols.lookup<plan::KernelOp>(next.getKernel()) : plan::KernelOp();
  }
  if (kernel)
    for (auto attend : kernel.getBlock()->getOps<attn::AttendOp>())
      return wholeSteps(kernel, attend);
  return WholeSteps();
}

/// Tokens one by one: sequences with fewer than `many` new tokens, in steps with few such sequences and with many.
SmallVector<Form> tokenForms(int64_t many, int64_t wideFrom) {
  Form few{"few", 1, many - 1}, wide{"wide", 1, many - 1};
  if (!wideFrom)
    return {few};
  few.fewer = wide.sequences = wideFrom;
  return {few, wide};
}

/// Forms of a recurrence that is scanned: what later ones need is prepared first, where something is corrected, and
/// what follows from segments of the step.
FailureOr<SmallVector<Form>> scannedForms(plan::KernelOp kernel, SmallVector<Form> forms) {
  NormalForm normal = recurrenceOf(kernel).getNormalForm();
  auto add = [&](StringRef name, Form::Makes makes, SmallVector<StringRef, 2> takes) -> Form & {
    return forms.emplace_back(
        Form{name, kRecurrenceLongTokens, kAnyNumber, makes, std::move(takes), /*takesFronts=*/true});
  };
  FailureOr<int64_t> segments = scanSegments(kernel, normal);
  if (failed(segments))
    return failure();
  SmallVector<StringRef, 2> prepared;
  if (!canSegment(normal)) {
    prepared = {"prepare"};
    add("prepare", Form::scratch, {});
  }
  if (*segments == 1) {
    add("scan", Form::result, prepared);
    return forms;
  }
  // As many sequences of about the same length are as many items as segments of one that are scanned at once; two may
  // be of any lengths.
  int64_t even = std::max<int64_t>(3, *segments - 1);
  auto inSteps = [](Form &form, int64_t even, int64_t uneven) {
    form.even = even, form.uneven = uneven, form.longest = kAnyNumber;
  };
  inSteps(add("whole", Form::result, prepared), even, 0);
  inSteps(add("segment", Form::both, prepared), 0, even);
  size_t common = forms.size();
  if (!canSegment(normal))
    inSteps(add("fold", Form::scratch, {"segment"}), 0, even);
  SmallVector<StringRef, 2> taken = prepared;
  taken.push_back(canSegment(normal) ? "segment" : "fold");
  inSteps(add("scan", Form::result, taken), 0, even);
  for (Form &form : llvm::MutableArrayRef(forms).drop_front(common))
    form.fromTokens = tokensInSegments(normal, *segments);
  return forms;
}

FailureOr<SmallVector<Form>> formsOf(plan::KernelOp kernel, StringRef kind, bool scans, bool exact,
                                     const WholeSteps &steps, int64_t wideFrom) {
  auto ofTokens = [&](StringRef name, int64_t even, int64_t uneven) {
    Form form{name, 1, kSoftmaxManyTokens - 1};
    form.even = even, form.uneven = uneven, form.longest = steps.longest;
    return form;
  };
  SmallVector<Form> ofFew{ofTokens("few", 0, steps.sequences)};
  // Of so many sequences and more, but fewer than `behind`.
  auto whole = [&](StringRef name, int64_t from, int64_t behind) {
    ofFew.push_back(ofTokens(name, from, 0));
    ofFew.back().fewer = behind;
  };
  if (kind == "softmax" && steps.sequences) {
    bool pairs = steps.paired < steps.unpaired;
    if (!pairs || steps.sequences < steps.paired)
      whole("whole", steps.sequences, pairs ? steps.paired : 0);
    if (pairs) {
      whole("pairs", steps.paired, steps.unpaired);
      whole("whole", steps.unpaired, 0);
    }
  }
  // Over latents: sequences with many new tokens take the expanded form (AttnToTile/Latent.cpp) instead.
  for (auto attend : kernel.getBlock()->getOps<attn::AttendOp>())
    if (attend.getKeys() == attend.getValues())
      return ofFew;
  if (kind == "softmax_part") // parts of the keys are for few queries only
    return ofFew;
  if (kind == "softmax") {
    bool isLong = llvm::any_of(kernel.getBlock()->getOps<attn::AttendOp>(),
                               [](attn::AttendOp attend) { return hasLongForm(Attention(attend)); });
    ofFew.push_back({"many", kSoftmaxManyTokens, isLong ? kSoftmaxLongTokens - 1 : kAnyNumber});
    if (isLong)
      ofFew.push_back({"long", kSoftmaxLongTokens, kAnyNumber});
    return ofFew;
  }
  if (kind == "recurrence") {
    SmallVector<Form> forms = tokenForms(scans ? kRecurrenceLongTokens : kRecurrenceManyTokens, wideFrom);
    if (scans)
      return scannedForms(kernel, std::move(forms));
    forms.push_back({"many", kRecurrenceManyTokens, kAnyNumber});
    return forms;
  }
  if (kind == "latent" && !exact && latentOf(kernel) && canExpandLatents(latentOf(kernel)))
    return SmallVector<Form>{{"few", 1, kSoftmaxManyTokens - 1},
                             {"expand", kSoftmaxManyTokens, kAnyNumber, Form::scratch},
                             {"many", kSoftmaxManyTokens, kAnyNumber, Form::result, {"expand"}},
                             {"far", kSoftmaxManyTokens, kAnyNumber, Form::result, {}, false, /*beyond=*/true}};
  return SmallVector<Form>();
}

/// What is computed in front of keys, queries and values (convolutions, activations). One token does it where it is
/// used; the two kernels of a long sequence read it from memory, for they would do it once for each head, or from chunk
/// to chunk. Norms and cuts are theirs (RecurrencePrepare.cpp).
llvm::SetVector<Value> frontsOf(RecurrenceOpInterface op) {
  llvm::SetVector<Value> fronts;
  std::function<void(Value)> visit = [&](Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner()->getParentOp() == op.getOperation())
      return visit(cast<attn::RecurrenceOp>(op.getOperation()).getInput(argument));
    if (argument)
      return;
    Operation *def = value.getDefiningOp();
    if (def->getParentOp() == op.getOperation()) {
      for (Value operand : def->getOperands())
        visit(operand);
      return;
    }
    if (isReshape(def) || isa<model::L2NormOp, model::SplitOp>(def))
      return visit(def->getOperand(0));
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (type && type.isDynamicDim(0))
      fronts.insert(value);
  };
  NormalForm form = op.getNormalForm();
  for (Value value : {form.k.vector, form.query, form.value})
    visit(value);
  return fronts;
}

/// What form `maker` leaves to later ones: the activations that hold it, and how the kernel of form `seer` sees them.
struct Scratch {
  SmallVector<Type> tensors, seen;
};
Scratch scratchOf(plan::KernelOp kernel, StringRef maker, StringRef seer) {
  if (attn::AttendLatentOp latent = latentOf(kernel)) {
    LatentKeys keys(latent);
    return {{keys.scratch(kernel.getContext())}, {keys.blocks(kernel.getContext())}};
  }
  NormalForm normal = recurrenceOf(kernel).getNormalForm();
  return {recurrenceScratchTensors(kernel, normal, maker), recurrenceScratch(kernel, normal, maker, seer)};
}

/// Drops what nothing uses; the numbers of the arguments that are left.
SmallVector<unsigned> dropUnused(plan::KernelOp kernel) {
  Block &block = *kernel.getBlock();
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
  SmallVector<unsigned> left;
  for (BlockArgument argument : block.getArguments())
    if (!argument.use_empty())
      left.push_back(argument.getArgNumber());
  block.eraseArguments([](BlockArgument argument) { return argument.use_empty(); });
  return left;
}

struct SplitFormsPass : impl::SplitFormsPassBase<SplitFormsPass> {
  using SplitFormsPassBase::SplitFormsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto machine = module->getAttrOfType<StringAttr>(plan::PlanDialect::getMachineAttrName());
    if (!machine)
      return;
    bool isCuda = machine.getValue() != "cpu";
    SmallVector<plan::LaunchOp> launches;
    module.walk([&](plan::LaunchOp launch) { launches.push_back(launch); });
    SymbolTable symbols(module);
    llvm::SetVector<Operation *> replaced;
    for (plan::LaunchOp launch : launches) {
      auto kernel = symbols.lookup<plan::KernelOp>(launch.getKernel());
      auto kind = kernel ? kernel->getAttrOfType<StringAttr>("kind") : StringAttr();
      if (!kind || launch->hasAttr("when"))
        continue;
      if (kind.getValue() == "experts") {
        if (failed(splitExperts(launch, kernel, symbols)))
          return signalPassFailure();
        replaced.insert(kernel);
        continue;
      }
      if (!isCuda)
        continue;
      RecurrenceOpInterface recurrence = recurrenceOf(kernel);
      auto chunk = recurrence ? recurrence->getAttrOfType<IntegerAttr>("chunk") : IntegerAttr();
      bool scans = !exact && chunk && canScan(recurrence.getNormalForm(), chunk.getInt());
      FailureOr<WholeSteps> steps = wholeStepsOf(launch, kernel, symbols);
      FailureOr<int64_t> wideFrom =
          recurrence ? wideTokenSequences(kernel, recurrence.getNormalForm()) : FailureOr<int64_t>(0);
      if (failed(steps) || failed(wideFrom))
        return signalPassFailure();
      FailureOr<SmallVector<Form>> forms = formsOf(kernel, kind.getValue(), scans, exact, *steps, *wideFrom);
      if (failed(forms))
        return signalPassFailure();
      if (forms->empty())
        continue;
      split(launch, kernel, *forms, scans, symbols);
      replaced.insert(kernel);
    }
    for (Operation *kernel : replaced)
      symbols.erase(kernel);
  }

  /// A kernel that writes the front of others.
  void addFront(plan::KernelOp kernel, Value front, StringRef name, SymbolTable &symbols) {
    IRMapping map;
    auto clone = cast<plan::KernelOp>(kernel->clone(map));
    OpBuilder b(clone.getBlock()->getTerminator());
    clone.setSymName(name);
    clone->removeAttr("choices");
    clone->setAttr("kind", b.getStringAttr("rows"));
    Value result = plan::CastOp::create(b, front.getLoc(), frontType(front), map.lookup(front));
    clone.getBlock()->getTerminator()->setOperands(result);
    operandsOf[name] = dropUnused(clone);
    symbols.insert(clone, Block::iterator(kernel));
  }

  static RankedTensorType frontType(Value front) {
    auto type = cast<RankedTensorType>(front.getType());
    return RankedTensorType::get(type.getShape(), BFloat16Type::get(type.getContext()));
  }

  /// Which forms there are is recorded on the kernel that had none: each keeps what it is about.
  static void keepChoices(plan::KernelOp kernel, ArrayRef<StringRef> prefixes) {
    auto choices = kernel->getAttrOfType<DictionaryAttr>("choices");
    if (!choices)
      return;
    SmallVector<NamedAttribute> kept;
    for (NamedAttribute choice : choices)
      if (llvm::any_of(prefixes, [&](StringRef prefix) { return choice.getName().getValue().starts_with(prefix); }))
        kept.push_back(choice);
    kernel->removeAttr("choices");
    if (!kept.empty())
      kernel->setAttr("choices", DictionaryAttr::get(kernel.getContext(), kept));
  }

  /// The kernel of a form; made for the first launch that asks.
  void addKernel(plan::KernelOp kernel, const Form &form, StringRef name, bool scans, ArrayRef<Value> fronts,
                 SymbolTable &symbols) {
    IRMapping map;
    auto clone = cast<plan::KernelOp>(kernel->clone(map));
    OpBuilder b(&getContext());
    clone.setSymName(name);
    clone->setAttr("form", b.getStringAttr(form.name));
    symbols.insert(clone, Block::iterator(kernel));
    if (recurrenceOf(clone))
      keepChoices(clone, isTokenForm(form.name) ? ArrayRef<StringRef>{"recurrence_few.", "recurrence_wide."}
                                                : ArrayRef<StringRef>{"recurrence_scan."});
    else if (form.name != "few" && form.name != "whole" && form.name != "pairs")
      keepChoices(clone, {});
    if (scans)
      clone->setAttr("scans", b.getUnitAttr());
    if (exact && recurrenceOf(clone) && form.name == "many")
      clone->setAttr("exact", b.getUnitAttr());
    if (!form.isInChain())
      return;
    for (Value front : fronts) {
      BlockArgument argument = clone.getBlock()->addArgument(frontType(front), front.getLoc());
      b.setInsertionPointToStart(clone.getBlock());
      Value inner = map.lookup(front);
      inner.replaceAllUsesWith(plan::CastOp::create(b, front.getLoc(), inner.getType(), argument));
    }
    if (!fronts.empty())
      operandsOf[name] = dropUnused(clone);
    SmallVector<Type> seen;
    for (StringRef maker : form.takes) {
      Scratch taken = scratchOf(clone, maker, form.name);
      llvm::append_range(seen, taken.seen);
      for (Type type : taken.tensors)
        clone.getBlock()->addArgument(type, clone.getLoc());
    }
    if (form.makes != Form::result) {
      Scratch made = scratchOf(clone, form.name, form.name);
      llvm::append_range(seen, made.seen);
      Operation *yield = clone.getBlock()->getTerminator();
      OpBuilder inside(yield);
      auto handed = plan::ScratchOp::create(inside, yield->getLoc(), made.tensors, yield->getOperand(0));
      SmallVector<Value> yielded;
      if (form.makes == Form::both)
        llvm::append_range(yielded, yield->getOperands());
      llvm::append_range(yielded, handed.getResults());
      yield->setOperands(yielded);
    }
    clone->setAttr("scratch", b.getTypeArrayAttr(seen));
  }

  void split(plan::LaunchOp launch, plan::KernelOp kernel, ArrayRef<Form> forms, bool scans, SymbolTable &symbols) {
    OpBuilder b(launch);
    SmallVector<plan::LaunchOp> made;
    llvm::StringMap<SmallVector<Value>> handed;
    auto condition = [&](const Form &form) {
      DictionaryAttr when = whenSequence(&getContext(), form.least, form.most);
      // Smaller steps have one segment, which needs no state of another.
      if (form.fromTokens)
        when = whenTokens(when, form.fromTokens);
      if (form.sequences || form.fewer)
        when = whenSequences(when, form.sequences, form.fewer);
      if (form.even || form.uneven)
        when = whenEven(when, form.even, form.uneven, form.longest);
      return form.beyond ? whenSequenceBeyond(&getContext(), form.least, kLatentBlock, kLatentStride) : when;
    };
    auto operandsFor = [&](StringRef name, SmallVector<Value> all) {
      auto it = operandsOf.find(name);
      if (it == operandsOf.end())
        return all;
      SmallVector<Value> left;
      for (unsigned index : it->second)
        left.push_back(all[index]);
      return left;
    };
    SmallVector<Value> fronts, inFront;
    if (scans)
      fronts = frontsOf(recurrenceOf(kernel)).takeVector();
    for (const Form &form : forms) {
      std::string name = (kernel.getSymName() + "_" + form.name).str();
      if (form.isInChain() && inFront.empty())
        for (auto [index, front] : llvm::enumerate(fronts)) {
          std::string own = (kernel.getSymName() + "_front").str() + (index ? std::to_string(index) : "");
          if (!symbols.lookup(own))
            addFront(kernel, front, own, symbols);
          auto made =
              plan::LaunchOp::create(b, launch.getLoc(), TypeRange{frontType(front)}, own,
                                     operandsFor(own, SmallVector<Value>(launch.getOperands())), DenseI64ArrayAttr());
          made->setAttr("when", whenSequence(&getContext(), form.least, form.most));
          inFront.push_back(made.getResult(0));
        }
      if (!symbols.lookup(name))
        addKernel(kernel, form, name, scans, fronts, symbols);
      SmallVector<Value> operands(launch.getOperands());
      if (form.isInChain()) {
        llvm::append_range(operands, inFront);
        operands = operandsFor(name, operands);
      }
      SmallVector<Type> results(launch.getResultTypes());
      if (form.makes == Form::scratch)
        results.clear();
      if (form.makes != Form::result)
        llvm::append_range(results, scratchOf(kernel, form.name, form.name).tensors);
      for (StringRef maker : form.takes)
        llvm::append_range(operands, handed[maker]);
      auto own = plan::LaunchOp::create(b, launch.getLoc(), results, name, operands, DenseI64ArrayAttr());
      own->setAttr("when", condition(form));
      if (form.makes != Form::scratch)
        made.push_back(own);
      handed[form.name] = own->getResults().drop_front(form.makes == Form::scratch ? 0 : launch.getNumResults());
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

  /// A chain of kernels for few rows, and one for many (AttnToTile/GroupedExperts.h).
  LogicalResult splitExperts(plan::LaunchOp launch, plan::KernelOp kernel, SymbolTable &symbols) {
    FailureOr<ExpertKernels> experts = ExpertKernels::of(kernel);
    if (failed(experts))
      return failure();
    OpBuilder b(launch);
    Value handed[ExpertKernels::results + 1];
    SmallVector<Value> made;
    for (const ExpertKernels::Form &form : ExpertKernels::forms(experts->isCuda())) {
      std::string name = (kernel.getSymName() + "_" + form.name).str();
      if (!symbols.lookup(name))
        addExpertKernel(kernel, form, name, *experts, symbols);
      SmallVector<Value> operands(launch.getOperands());
      for (ExpertKernels::Scratch scratch : form.takes)
        operands.push_back(handed[scratch]);
      SmallVector<Type> results(launch.getResultTypes());
      if (form.makes)
        results = {experts->tensorOf(*form.makes)};
      auto own = plan::LaunchOp::create(b, launch.getLoc(), results, name, operands, DenseI64ArrayAttr());
      own->setAttr("when", form.few ? whenRows(&getContext(), 1, experts->fewRows())
                                    : whenRows(&getContext(), experts->fewRows() + 1));
      if (form.makes)
        handed[*form.makes] = own.getResult(0);
      else
        made.push_back(own.getResult(0));
    }
    launch.getResult(0).replaceAllUsesWith(plan::MergeOp::create(b, launch.getLoc(), made[0].getType(), made));
    launch.erase();
    return success();
  }

  void addExpertKernel(plan::KernelOp kernel, const ExpertKernels::Form &form, StringRef name,
                       const ExpertKernels &experts, SymbolTable &symbols) {
    auto clone = cast<plan::KernelOp>(kernel->clone());
    OpBuilder b(&getContext());
    clone.setSymName(name);
    clone->setAttr("form", b.getStringAttr(form.name));
    symbols.insert(clone, Block::iterator(kernel));
    SmallVector<Type> seen;
    for (ExpertKernels::Scratch scratch : form.takes) {
      clone.getBlock()->addArgument(experts.tensorOf(scratch), clone.getLoc());
      seen.push_back(experts.seenAs(scratch));
    }
    if (form.makes) {
      seen.push_back(experts.seenAs(*form.makes));
      Operation *yield = clone.getBlock()->getTerminator();
      b.setInsertionPoint(yield);
      auto scratch =
          plan::ScratchOp::create(b, yield->getLoc(), TypeRange{experts.tensorOf(*form.makes)}, yield->getOperand(0));
      yield->setOperands(scratch.getResults());
    }
    clone->setAttr("scratch", b.getTypeArrayAttr(seen));
  }

  /// Which operands of the launch that is replaced, and of fronts behind them, a kernel has kept.
  llvm::StringMap<SmallVector<unsigned>> operandsOf;
};

} // namespace
} // namespace denim
