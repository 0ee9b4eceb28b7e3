#include "compiler/conversion/ModelToPlan/FormKernels.h"
#include "compiler/conversion/AttnToTile/FoldedRow.h"
#include "compiler/conversion/Reshapes.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"

using namespace mlir;
using namespace denim;

namespace {

RankedTensorType tensorOf(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

/// One element of the result needs that element of each operand only.
bool isElementwise(Operation *op) {
  return isa_and_present<model::AddOp, model::MulOp, model::SiluOp, model::SigmoidOp, model::SoftplusOp, model::ExpOp,
                         model::ScaleOp>(op);
}

bool isMixer(Operation *op) {
  return isa_and_present<RecurrenceOpInterface, attn::AttendOp, attn::AttendPartOp, attn::AttendLatentOp>(op);
}
bool isAnchor(Operation *op) {
  return isMixer(op) || isa_and_present<model::LinearOp, model::ExpertsOp, model::RouteOp, attn::AbsorbOp>(op);
}

/// Computed outside every kernel.
bool isBinding(Operation *op) {
  return isa<model::ParamOp, attn::CacheOp>(op);
}

/// Channels of a head as the epilogue of a mixer sees them.
int64_t headWidth(Value mixerResult) {
  return tensorOf(mixerResult).getShape().back();
}

class Former {
public:
  Former(ArrayRef<Operation *> body, ArrayRef<Value> inputs, ArrayRef<Value> outputs, bool parts)
      : body(body), given(inputs.begin(), inputs.end()), outputs(outputs), parts(parts) {}

  SmallVector<KernelGroup> run() {
    for (Value output : outputs)
      materialise(output);
    for (Operation *op : body)
      addRequiredRoots(op);
    findHomes();
    closeRoots();
    return group();
  }

private:
  void materialise(Value value) {
    value = withoutReshapes(value);
    if (!given.contains(value))
      roots.insert(value);
  }

  /// Takes each channel by itself, so that parts of a concatenation need not be brought together for it.
  static bool readsByChannel(Operation *op) { return isa<attn::ShortConvOp, attn::RememberOp>(op); }

  /// A convolution reads rows of earlier steps, which only the cache has: what it reads of this step must be zero
  /// there, so it may be cut out of memory but not computed.
  void materialiseSources(Value value) {
    Operation *op = value.getDefiningOp();
    if (!given.contains(value) && (isReshape(op) || isa_and_present<model::SplitOp, model::ConcatOp>(op)))
      for (Value operand : op->getOperands())
        materialiseSources(operand);
    else
      materialise(value);
  }

  /// Values that some op reads in a pattern for which they must stand in memory.
  void addRequiredRoots(Operation *op) {
    if (auto linear = dyn_cast<model::LinearOp>(op))
      materialise(linear.getInput());
    else if (parts && isa<RecurrenceOpInterface>(op))
      materialise(op->getResult(0));
    else if (readsByChannel(op))
      materialiseSources(op->getOperand(0));
    else if (auto attend = dyn_cast<attn::AttendOp>(op)) {
      materialise(attend.getQuery());
      if (attend.getParts())
        materialise(attend.getParts());
    } else if (auto part = dyn_cast<attn::AttendPartOp>(op)) {
      materialise(part.getQuery());
      materialise(part.getResult());
    } else if (isa<attn::AbsorbOp>(op)) {
      materialise(op->getResult(0));
    } else if (auto latent = dyn_cast<attn::AttendLatentOp>(op)) {
      materialise(latent.getAbsorbed());
    } else if (auto route = dyn_cast<model::RouteOp>(op)) {
      materialise(route.getScores());
      materialise(route.getWeights());
      materialise(route.getExperts());
    } else if (auto experts = dyn_cast<model::ExpertsOp>(op)) {
      for (Value v : {experts.getInput(), experts.getWeights(), experts.getExperts(), experts.getResult()})
        materialise(v);
    } else if (isa<model::ConcatOp>(op) && !llvm::all_of(op->getUsers(), readsByChannel))
      materialise(op->getResult(0));
  }

  /// May `op` stand between an anchor and the root in whose kernel it lives?
  bool isEpilogue(Operation *op, Operation *anchor) {
    if (isa<model::LinearOp>(anchor))
      return isElementwise(op) && op->getResult(0).getType() == anchor->getResult(0).getType();
    if (auto norm = dyn_cast<model::RmsNormOp>(op))
      return tensorOf(norm.getInput()).getShape().back() == headWidth(anchor->getResult(0));
    return isElementwise(op) || isReshape(op);
  }

  /// The last value that the kernel of `op` can compute, on the way from its result. Where the way branches or ends, or
  /// meets that of a mixer, what was computed so far is written: several products share a kernel, a mixer shares none.
  Value endOfWay(Operation *op, llvm::SmallPtrSetImpl<Operation *> &ofMixers) {
    Value value = op->getResult(0);
    while (!roots.contains(value) && value.hasOneUse()) {
      Operation *user = *value.getUsers().begin();
      if (!isEpilogue(user, op) || ofMixers.contains(user))
        break;
      if (isMixer(op))
        ofMixers.insert(user);
      value = user->getResult(0);
    }
    return value;
  }

  void findHomes() {
    llvm::SmallPtrSet<Operation *, 8> ofMixers;
    llvm::DenseMap<Operation *, Value> ends;
    for (Operation *op : body)
      if (isMixer(op))
        ends[op] = endOfWay(op, ofMixers);
    for (Operation *op : body) {
      if (!isMixer(op) && !isa<model::LinearOp>(op))
        continue;
      Value value = isMixer(op) ? ends.lookup(op) : endOfWay(op, ofMixers);
      home[op] = withoutReshapes(value);
      materialise(value);
    }
  }

  /// Walks back from a root; whatever cannot be computed inside its kernel becomes a root.
  void visit(Value value, Value root, Operation *anchor, llvm::SmallPtrSetImpl<Operation *> &seen) {
    Operation *op = value.getDefiningOp();
    if (given.contains(value) || !op || isBinding(op) || (value != root && roots.contains(value)))
      return;
    bool needsMemory = false;
    if (isAnchor(op))
      needsMemory = value != root && home.lookup(op) != root;
    else if (anchor && isa<model::LinearOp>(anchor))
      needsMemory = value != root && !isElementwise(op) && !isReshape(op) && !isa<model::SplitOp>(op);
    else if (anchor && isa<model::RmsNormOp, model::L2NormOp>(op)) {
      int64_t width = tensorOf(value).getShape().back();
      needsMemory = !llvm::is_contained(headWidths(anchor), width) || tensorOf(value).getRank() != 3;
    } else if (isa<model::EmbedOp>(op))
      needsMemory = value != root;
    if (needsMemory) {
      materialise(value);
      return;
    }
    if (!seen.insert(op).second)
      return;
    for (Value operand : op->getOperands())
      if (tensorOf(operand))
        visit(operand, root, anchor, seen);
  }

  SmallVector<int64_t> headWidths(Operation *anchor) {
    SmallVector<int64_t> widths;
    for (Value v :
         llvm::concat<Value>(SmallVector<Value>(anchor->getOperands()), SmallVector<Value>(anchor->getResults())))
      if (auto type = tensorOf(v); type && type.getRank() == 3)
        widths.push_back(type.getShape().back());
    return widths;
  }

  Operation *anchorOf(Value root) {
    for (auto &[op, value] : home)
      if (value == root)
        return op;
    return isAnchor(root.getDefiningOp()) ? root.getDefiningOp() : nullptr;
  }

  /// What the kernel of a cache-writing op reads from.
  static SmallVector<Value> writtenValues(Operation *op) {
    if (auto append = dyn_cast<attn::AppendOp>(op))
      return SmallVector<Value>(append.getInputs());
    if (auto remember = dyn_cast<attn::RememberOp>(op))
      return {remember.getInput()};
    return {};
  }

  void closeRoots() {
    size_t before;
    do {
      before = roots.size();
      for (Value root : SmallVector<Value>(roots.getArrayRef())) {
        llvm::SmallPtrSet<Operation *, 16> seen;
        visit(root, root, anchorOf(root), seen);
      }
      for (Operation *op : body)
        for (Value written : writtenValues(op)) {
          llvm::SmallPtrSet<Operation *, 16> seen;
          visit(written, {}, nullptr, seen);
        }
    } while (roots.size() != before);
  }

  void collect(Value value, ArrayRef<Value> results, KernelGroup &group, llvm::SmallPtrSetImpl<Operation *> &ops) {
    Operation *op = value.getDefiningOp();
    if (given.contains(value) || !op || isBinding(op) ||
        (roots.contains(value) && !llvm::is_contained(results, value))) {
      group.inputs.insert(value);
      return;
    }
    if (!ops.insert(op).second)
      return;
    for (Value operand : op->getOperands())
      collect(operand, results, group, ops);
  }

  KernelGroup makeGroup(Operation *last, ArrayRef<Value> results, StringRef kind) {
    KernelGroup group;
    group.kind = kind;
    group.results.assign(results.begin(), results.end());
    llvm::SmallPtrSet<Operation *, 16> ops;
    if (results.empty()) {
      ops.insert(last);
      for (Value operand : last->getOperands())
        collect(operand, results, group, ops);
    }
    for (Value result : results)
      collect(result, results, group, ops);
    for (Operation *op : body)
      if (ops.contains(op))
        group.ops.push_back(op);
    return group;
  }

  StringRef kindOf(Operation *anchor) {
    if (!anchor)
      return "rows";
    if (isa<model::LinearOp>(anchor))
      return "linear";
    if (isa<RecurrenceOpInterface>(anchor))
      return "recurrence";
    if (isa<attn::AttendOp>(anchor))
      return "softmax";
    if (isa<attn::AttendPartOp>(anchor))
      return "softmax_part";
    if (isa<attn::AbsorbOp>(anchor))
      return "absorb";
    if (isa<attn::AttendLatentOp>(anchor))
      return "latent";
    return isa<model::RouteOp>(anchor) ? "route" : "experts";
  }

  SmallVector<KernelGroup> group() {
    SmallVector<KernelGroup> groups, tails;
    for (Operation *op : body) {
      if (isa<attn::AppendOp>(op))
        groups.push_back(makeGroup(op, {}, "cache"));
      else if (isa<attn::RememberOp>(op))
        // A tail is read by every kernel that computes the convolution again: it is overwritten behind them all.
        tails.push_back(makeGroup(op, {}, "cache"));
      else if (isa<model::RouteOp>(op))
        groups.push_back(makeGroup(op, SmallVector<Value>(op->getResults()), "route"));
      else
        for (Value result : op->getResults())
          if (roots.contains(result))
            groups.push_back(makeGroup(op, result, kindOf(anchorOf(result))));
    }
    llvm::append_range(groups, tails);
    return groups;
  }

  ArrayRef<Operation *> body;
  llvm::DenseSet<Value> given;
  ArrayRef<Value> outputs;
  llvm::SetVector<Value> roots;
  bool parts;
  llvm::MapVector<Operation *, Value> home;
};

} // namespace

SmallVector<KernelGroup> denim::formKernels(ArrayRef<Operation *> body, ArrayRef<Value> inputs, ArrayRef<Value> outputs,
                                            bool parts) {
  return Former(body, inputs, outputs, parts).run();
}

/// Whether `result` is the product, or the sum of it and a value from outside the kernel.
static bool isProductAlone(Value result, model::LinearOp linear) {
  Value last = withoutReshapes(result);
  if (auto add = last.getDefiningOp<model::AddOp>()) {
    bool left = withoutReshapes(add.getLhs()) == linear.getResult();
    Value other = left ? add.getRhs() : add.getLhs();
    last = withoutReshapes(left ? add.getLhs() : add.getRhs());
    if (other.getType() != linear.getResult().getType())
      return false;
  }
  return last == linear.getResult();
}

std::vector<KernelGroup> denim::splitProducts(const KernelGroup &group) {
  SmallVector<model::LinearOp> linears;
  for (Operation *op : group.ops)
    if (auto linear = dyn_cast<model::LinearOp>(op))
      linears.push_back(linear);
  if (linears.empty() || group.results.size() != 1)
    return {};
  bool alone = linears.size() == 1 && isProductAlone(group.results[0], linears[0]);
  for (Operation *op : group.ops)
    alone &= isa<model::LinearOp, model::AddOp>(op) || isReshape(op);
  if (alone)
    return {};

  std::vector<KernelGroup> parts;
  auto add = [&](Value result, StringRef kind) {
    KernelGroup &part = parts.emplace_back();
    part.kind = kind;
    part.results = {result};
    llvm::SmallPtrSet<Operation *, 16> ops;
    std::function<void(Value)> collect = [&](Value value) {
      Operation *op = value.getDefiningOp();
      if (group.inputs.contains(value) || (value != result && isa<model::LinearOp>(op))) {
        part.inputs.insert(value);
        return;
      }
      if (ops.insert(op).second)
        llvm::for_each(op->getOperands(), collect);
    };
    collect(result);
    for (Operation *op : group.ops)
      if (ops.contains(op))
        part.ops.push_back(op);
  };
  for (model::LinearOp linear : linears)
    add(linear.getResult(), "linear");
  add(group.results[0], "rows");
  return parts;
}

/// The value that all products of a kernel take; null if they take several.
static Value productsInput(const KernelGroup &group) {
  Value input;
  for (Operation *op : group.ops)
    if (auto linear = dyn_cast<model::LinearOp>(op)) {
      Value own = withoutReshapes(linear.getInput());
      if (input && own != input)
        return {};
      input = own;
    }
  return input;
}

/// Whether a kernel reads `value` as the input of products only.
static bool onlyMultiplies(const KernelGroup &group, Value value) {
  return llvm::all_of(group.ops, [&](Operation *op) {
    auto linear = dyn_cast<model::LinearOp>(op);
    return isReshape(op) || llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
             return withoutReshapes(operand.get()) != value || (linear && operand.get() == linear.getInput());
           });
  });
}

std::vector<OneRowKernel> denim::formOneRowKernels(ArrayRef<KernelGroup> groups, Value output) {
  llvm::DenseMap<Value, unsigned> maker;
  std::vector<OneRowKernel> kernels;
  llvm::DenseMap<Value, unsigned> kernelOf; // by the value that products take
  for (auto [i, group] : llvm::enumerate(groups)) {
    for (Value result : group.results)
      maker[result] = i;
    if (group.kind != "linear")
      continue;
    // Products of one value go together, unless one waits for something that is made behind the first.
    Value input = productsInput(group);
    auto known = input ? kernelOf.find(input) : kernelOf.end();
    bool joins = known != kernelOf.end() && llvm::all_of(group.inputs, [&](Value v) {
                   auto made = maker.find(v);
                   return made == maker.end() || made->second < kernels[known->second].products[0];
                 });
    if (!joins) {
      kernels.push_back({});
      if (input)
        kernelOf[input] = kernels.size() - 1;
    }
    kernels[joins ? known->second : kernels.size() - 1].products.push_back(i);
  }
  for (OneRowKernel &kernel : kernels) {
    Value input = productsInput(groups[kernel.products[0]]);
    auto made = input ? maker.find(input) : maker.end();
    if (made == maker.end() || input == withoutReshapes(output))
      continue;
    const KernelGroup &group = groups[made->second];
    bool alone = group.kind == "rows" && group.results.size() == 1 && llvm::all_of(groups, [&](const KernelGroup &g) {
                   return !g.inputs.contains(input) ||
                          (g.kind == "linear" && productsInput(g) == input && onlyMultiplies(g, input));
                 });
    if (alone && foldedColumns(input, [&](Value v) { return group.inputs.contains(v); }))
      kernel.prologue = made->second;
  }
  for (OneRowKernel &kernel : kernels) {
    KernelGroup &fused = kernel.fused;
    fused.kind = "one_row";
    llvm::SetVector<Operation *> ops;
    auto add = [&](const KernelGroup &group) {
      fused.inputs.insert(group.inputs.begin(), group.inputs.end());
      ops.insert(group.ops.begin(), group.ops.end());
    };
    if (kernel.prologue)
      add(groups[*kernel.prologue]);
    for (unsigned i : kernel.products) {
      add(groups[i]);
      llvm::append_range(fused.results, groups[i].results);
    }
    if (kernel.prologue)
      fused.inputs.remove(groups[*kernel.prologue].results[0]);
    fused.ops.assign(ops.begin(), ops.end());
    llvm::sort(fused.ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  }
  return kernels;
}
