#include "compiler/conversion/ModelToPlan/FormKernels.h"
#include "compiler/conversion/ModelToPlan/KeptTypes.h"
#include "compiler/conversion/Passes.h"
#include "compiler/conversion/Reshapes.h"
#include "compiler/conversion/Variants.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_CONVERTMODELTOPLANPASS
#include "compiler/conversion/Passes.h.inc"

namespace {

class Converter {
public:
  Converter(ModuleOp module, bool isCuda, KeptTypes::Options types)
      : module(module), isCuda(isCuda), types(types), b(module.getContext()) {}

  void run() {
    SmallVector<model::BlockOp> blocks(module.getOps<model::BlockOp>());
    SmallVector<model::NetworkOp> networks(module.getOps<model::NetworkOp>());
    for (model::BlockOp block : blocks) {
      SmallVector<Operation *> body = withoutTerminator(*block.getBlock());
      Value output = llvm::cast<model::YieldOp>(block.getBlock()->getTerminator()).getValue();
      makeProgram(block.getLoc(), block.getSymName(), body, block.getBlock()->getArgument(0), output, {});
    }
    for (model::NetworkOp network : networks)
      splitNetwork(network);
    for (model::BlockOp block : blocks)
      block.erase();
    for (model::NetworkOp network : networks)
      network.erase();
  }

private:
  static SmallVector<Operation *> withoutTerminator(Block &block) {
    SmallVector<Operation *> body;
    for (Operation &op : block.without_terminator())
      body.push_back(&op);
    return body;
  }

  /// Embedding, layers and head of a network become the programs of a step.
  void splitNetwork(model::NetworkOp network) {
    auto layers = *network.getBlock()->getOps<model::LayersOp>().begin();
    SmallVector<Operation *> before, after;
    for (Operation &op : network.getBlock()->without_terminator()) {
      if (&op == layers)
        continue;
      if (isa<model::ParamOp>(op))
        before.push_back(&op), after.push_back(&op);
      else
        (op.isBeforeInBlock(layers) ? before : after).push_back(&op);
    }
    Value logits = llvm::cast<model::OutputOp>(network.getBlock()->getTerminator()).getLogits();
    std::string name = network.getSymName().str();
    makeProgram(network.getLoc(), name + "_embed", before, network.getBlock()->getArgument(0), layers.getInput(), {});
    makeProgram(network.getLoc(), name + "_head", after, layers.getResult(), logits, logits);

    SmallVector<Attribute> programs{FlatSymbolRefAttr::get(b.getContext(), name + "_embed")};
    SmallVector<std::string> prefixes{""};
    SmallVector<int64_t> numbers{-1};
    for (auto [i, block] : llvm::enumerate(layers.getLayers())) {
      programs.push_back(block);
      prefixes.push_back(layers.getLayerPrefix(i));
      numbers.push_back(i);
    }
    programs.push_back(FlatSymbolRefAttr::get(b.getContext(), name + "_head"));
    prefixes.push_back("");
    numbers.push_back(-1);
    b.setInsertionPointToEnd(module.getBody());
    SmallVector<StringRef> names(prefixes.begin(), prefixes.end());
    plan::ScheduleOp::create(b, network.getLoc(), b.getStringAttr(name), b.getArrayAttr(programs),
                             b.getStrArrayAttr(names), b.getDenseI64ArrayAttr(numbers),
                             b.getI64IntegerAttr(llvm::cast<RankedTensorType>(logits.getType()).getDimSize(1)),
                             b.getDenseI64ArrayAttr(network.getEos()), ArrayAttr(), IntegerAttr());
  }

  void makeProgram(Location loc, StringRef name, ArrayRef<Operation *> body, Value input, Value output, Value logits) {
    b.setInsertionPointToEnd(module.getBody());
    OperationState state(loc, plan::ProgramOp::getOperationName());
    plan::ProgramOp::build(b, state, name);
    auto program = llvm::cast<plan::ProgramOp>(b.create(state));
    Block *block = b.createBlock(&program.getBody());
    IRMapping map;
    KeptTypes kept(types, input, output, logits);
    map.map(input, block->addArgument(kept.of(input), input.getLoc()));

    // Rows behind `select` are those whose logits are wanted.
    llvm::DenseSet<Value> selected;
    llvm::DenseSet<Value> bound;
    SmallVector<KernelGroup> groups = formKernels(body, input, output, /*parts=*/isCuda);
    for (KernelGroup &group : groups)
      for (Value value : group.inputs)
        bound.insert(value);
    for (Operation *op : body) {
      if (isa<model::ParamOp, attn::CacheOp>(op)) {
        if (bound.contains(op->getResult(0))) {
          Operation *clone = b.clone(*op, map);
          if (isa<attn::CacheOp>(op))
            clone->getResult(0).setType(kept.of(op->getResult(0)));
        }
        continue;
      }
      if (isa<model::SelectOp>(op) || llvm::any_of(op->getOperands(), [&](Value v) { return selected.contains(v); }))
        selected.insert(op->getResults().begin(), op->getResults().end());
    }

    Value result = withoutReshapes(output);
    bool made = false, readBehind = false;
    std::vector<OneRowKernel> oneRow = isCuda ? formOneRowKernels(groups, output) : std::vector<OneRowKernel>();
    llvm::DenseMap<unsigned, OneRowKernel *> begins;
    llvm::DenseSet<unsigned> forMore; // kernels that a step of one row does without
    for (OneRowKernel &kernel : oneRow) {
      begins[kernel.products[0]] = &kernel;
      forMore.insert(kernel.products.begin(), kernel.products.end());
      if (kernel.prologue)
        forMore.insert(*kernel.prologue);
    }
    auto hasOutputRows = [&](const KernelGroup &group) {
      return llvm::any_of(group.results, [&](Value v) { return selected.contains(v); });
    };
    auto rows = [&](int64_t least, int64_t most) { return whenRows(b.getContext(), least, most); };
    llvm::DenseMap<Value, Value> ofOneRow;
    for (auto [i, group] : llvm::enumerate(groups)) {
      made |= llvm::is_contained(group.results, result);
      if (OneRowKernel *kernel = begins.lookup(i)) {
        made |= llvm::is_contained(kernel->fused.results, result);
        readBehind |= made && kernel->fused.inputs.contains(input);
      }
      readBehind |= made && group.inputs.contains(input);
      bool outputRows = hasOutputRows(group);
      if (OneRowKernel *kernel = begins.lookup(i)) {
        plan::LaunchOp launch = launchGroup(loc, kernel->fused, kept, outputRows, map);
        launch->setAttr("when", rows(1, 1));
        for (auto [value, own] : llvm::zip(kernel->fused.results, launch.getResults()))
          ofOneRow[value] = own;
      }
      SmallVector<Value> values; // of which one is written
      if (Value one = group.results.empty() ? Value() : ofOneRow.lookup(group.results[0]))
        values.push_back(one);
      int64_t least = forMore.contains(i) ? 2 : 1;
      std::vector<KernelGroup> split = isCuda ? splitProducts(group) : std::vector<KernelGroup>();
      // Few rows: all in one, since reading the weights is what it costs. Many: products alone, which a library may do.
      plan::LaunchOp whole = launchGroup(loc, group, kept, outputRows, map);
      if (!split.empty())
        whole->setAttr("when", rows(least, kSmallPassRows));
      else if (least > 1)
        whole->setAttr("when", rows(least, kAnyNumber));
      if (!group.results.empty())
        values.push_back(map.lookup(group.results[0]));
      for (KernelGroup &part : split)
        launchGroup(loc, part, kept, outputRows, map)->setAttr("when", rows(kSmallPassRows + 1, kAnyNumber));
      if (!split.empty())
        values.push_back(map.lookup(group.results[0]));
      if (values.size() > 1)
        map.map(group.results[0], plan::MergeOp::create(b, loc, values[0].getType(), values).getResult());
    }
    // The stream stays in one slot from layer to layer: it is written when nothing reads the old one any more. Logits
    // have a slot of their own, also those that are as wide as the stream.
    if (!logits && readBehind && kept.of(output) == kept.of(input))
      map.map(result, copy(loc, map.lookup(result)));
    plan::ReturnOp::create(b, loc, map.lookup(result));
  }

  plan::LaunchOp launchGroup(Location loc, KernelGroup &group, KeptTypes &kept, bool outputRows, IRMapping &map) {
    SmallVector<Type> inputTypes, resultTypes;
    SmallVector<Value> operands;
    for (Value v : group.inputs) {
      operands.push_back(map.lookup(v));
      inputTypes.push_back(operands.back().getType());
    }
    for (Value v : group.results)
      resultTypes.push_back(kept.of(v));
    auto kernel = makeKernel(loc, group, inputTypes, resultTypes, outputRows);
    auto launch = plan::LaunchOp::create(b, loc, resultTypes, kernel, operands, DenseI64ArrayAttr());
    for (auto [value, produced] : llvm::zip(group.results, launch.getResults()))
      map.map(value, produced);
    return launch;
  }

  Value copy(Location loc, Value value) {
    KernelGroup group;
    OwningOpRef<Operation *> op = [&] {
      OpBuilder::InsertionGuard guard(b);
      b.clearInsertionPoint();
      return OwningOpRef<Operation *>(model::ScaleOp::create(b, loc, value, b.getF64FloatAttr(1.0)).getOperation());
    }();
    group.kind = "rows";
    group.ops = {op.get()};
    group.inputs.insert(value);
    group.results = {op.get()->getResult(0)};
    auto kernel = makeKernel(loc, group, value.getType(), value.getType(), false);
    return plan::LaunchOp::create(b, loc, TypeRange{value.getType()}, kernel, value, DenseI64ArrayAttr()).getResult(0);
  }

  /// The symbol of the kernel; an equal one that exists already is used again. The types are those of its arguments and
  /// results as memory keeps them.
  FlatSymbolRefAttr makeKernel(Location loc, KernelGroup &group, TypeRange inputTypes, TypeRange resultTypes,
                               bool outputRows) {
    OpBuilder::InsertionGuard guard(b);
    b.clearInsertionPoint();
    OperationState state(loc, plan::KernelOp::getOperationName());
    plan::KernelOp::build(b, state, "", DenseI64ArrayAttr());
    OwningOpRef<plan::KernelOp> kernel(llvm::cast<plan::KernelOp>(b.create(state)));
    Block *block = b.createBlock(&kernel->getBody());
    IRMapping map, given;
    for (auto [input, type] : llvm::zip(group.inputs, inputTypes))
      given.map(input, cast(block->addArgument(type, loc), input.getType()));
    map = given;
    for (Operation *op : group.ops) {
      b.clone(*op, map);
      // One part of a split may stand in memory while the kernel makes another itself.
      for (Value made : op->getResults())
        if (Value argument = given.lookupOrNull(made))
          map.map(made, argument);
    }
    SmallVector<Value> results;
    for (auto [v, type] : llvm::zip(group.results, resultTypes))
      results.push_back(cast(map.lookup(v), type));
    plan::YieldOp::create(b, loc, results);
    if (outputRows)
      kernel.get()->setAttr("rows", b.getStringAttr("outputs"));
    kernel.get()->setAttr("kind", b.getStringAttr(group.kind));

    std::string text;
    llvm::raw_string_ostream os(text);
    kernel->print(os, OpPrintingFlags().printGenericOpForm().useLocalScope());
    auto [entry, isNew] = known.try_emplace(text);
    if (isNew) {
      entry->second = b.getStringAttr(group.kind + "_" + Twine(known.size() - 1));
      kernel->setSymName(entry->second);
      module.getBody()->push_back(kernel.release());
    }
    return FlatSymbolRefAttr::get(entry->second);
  }

  /// An activation in another element type; caches have the type that they are kept in.
  Value cast(Value value, Type type) {
    if (value.getType() == type || !isa<RankedTensorType>(type))
      return value;
    return plan::CastOp::create(b, value.getLoc(), type, value);
  }

  ModuleOp module;
  bool isCuda;
  KeptTypes::Options types;
  OpBuilder b;
  llvm::StringMap<StringAttr> known;
};

struct ConvertModelToPlanPass : impl::ConvertModelToPlanPassBase<ConvertModelToPlanPass> {
  using ConvertModelToPlanPassBase::ConvertModelToPlanPassBase;

  void runOnOperation() override {
    bool isCuda = machine == "cuda";
    if (!isCuda && machine != "cpu") {
      getOperation().emitError() << "expected a machine cpu or cuda, but got " << machine;
      return signalPassFailure();
    }
    WalkResult threaded = getOperation().walk([&](StatefulOpInterface op) {
      if (!op.getCachesMutable().empty())
        return WalkResult::advance();
      op->emitOpError() << "expected a cache for each need of the op; run attn-thread-caches first";
      return WalkResult::interrupt();
    });
    if (threaded.wasInterrupted())
      return signalPassFailure();
    if (isCuda)
      getOperation()->setAttr(plan::PlanDialect::getMachineAttrName(), StringAttr::get(&getContext(), machine));
    Converter(getOperation(), isCuda, {isCuda && !exact, narrowStream}).run();
  }
};

} // namespace
} // namespace denim
