// Launches of a step of one token that do not depend on each other, as one.
//
// Such a step is a chain of some dozens of launches of a few microseconds, and each link costs one or two that nothing
// is done in. A launch that writes caches and makes no value (a convolution's tail, new keys) has nobody behind it in
// the chain but later readers of those caches, so it may run beside an earlier launch. The kernel of both has the items
// of both:
//
//     one_row_8   [0, 704)   |                       one_row_8_cache_14   [0, 704)    what one_row_8 does
//     ...                    |   one behind    ==>                        [704, 752)  what cache_14 does
//     cache_14    [0, 48)    v   the other
//
// The numbers of items are known, for every count of a step of one token is 1: in other steps launches stay as they
// are, under conditions that say so. Of the launches beside which it may run it takes the one with most items: a few
// more blocks are least of it.
#include "compiler/conversion/Variants.h"
#include "compiler/passes/Passes.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include <set>

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_JOINLAUNCHESPASS
#include "compiler/passes/Passes.h.inc"

namespace {

int64_t numberOf(DictionaryAttr when, StringRef key) {
  return cast<IntegerAttr>(when.get(key)).getInt();
}
bool isOfRows(DictionaryAttr when) {
  return cast<StringAttr>(when.get("of")).getValue() == "rows";
}
DictionaryAttr whenOf(plan::LaunchOp launch) {
  return launch->getAttrOfType<DictionaryAttr>("when");
}

/// Whether the launch runs in a step of one token.
bool runsAlone(plan::LaunchOp launch) {
  DictionaryAttr when = whenOf(launch);
  if (!when)
    return true;
  for (StringRef key : {"tokens", "even", "sequences"})
    if (when.contains(key) && numberOf(when, key) > 1)
      return false;
  return numberOf(when, "least") <= 1 && numberOf(when, "most") >= 1;
}

bool touchesOneOf(plan::LaunchOp launch, ValueRange caches) {
  return llvm::any_of(launch.getOperands(), [&](Value operand) {
    return isa<attn::CacheType>(operand.getType()) && llvm::is_contained(caches, operand);
  });
}

struct JoinLaunchesPass : impl::JoinLaunchesPassBase<JoinLaunchesPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (!plan::isForCuda(module))
      return;
    SymbolTable symbols(module);
    for (auto program : module.getOps<plan::ProgramOp>()) {
      // Which runs beside which; decided before anything moves.
      llvm::MapVector<plan::LaunchOp, SmallVector<plan::LaunchOp>> beside;
      SmallVector<plan::LaunchOp> launches(program.getBlock()->getOps<plan::LaunchOp>());
      for (size_t i = 0; i < launches.size(); ++i)
        if (mayJoin(launches[i], symbols))
          if (plan::LaunchOp lead = leadOf(launches, i, symbols))
            beside[lead].push_back(launches[i]);
      for (auto &[lead, others] : beside)
        join(lead, others, symbols);
    }
    llvm::StringSet<> launched;
    module.walk([&](plan::LaunchOp launch) { launched.insert(launch.getKernel()); });
    for (const std::string &name : replaced)
      if (tile::KernelOp kernel = symbols.lookup<tile::KernelOp>(name); kernel && !launched.contains(name))
        symbols.erase(kernel);
  }

  /// The tile program of a launch whose items in a step of one token are `times` of it, or null.
  static tile::KernelOp kernelOf(plan::LaunchOp launch, SymbolTable &symbols) {
    auto kernel = symbols.lookup<tile::KernelOp>(launch.getKernel());
    tile::CountKind per = kernel ? kernel.getItems().getPer() : tile::CountKind::once;
    bool counts = per == tile::CountKind::tokens || per == tile::CountKind::sequences;
    // Token ids are an operand and no memory.
    counts &= kernel && kernel.getMemories().size() == launch.getNumOperands() + launch.getNumResults();
    return counts && !kernel->hasAttr("tile.parts") ? kernel : nullptr;
  }

  static bool copiesAhead(tile::KernelOp kernel) {
    return kernel->hasAttr("tile.ahead") || kernel->hasAttr("tile.warps_ahead");
  }

  /// Launches that make no value, of kernels that leave it to the others how many threads a block has.
  static bool mayJoin(plan::LaunchOp launch, SymbolTable &symbols) {
    tile::KernelOp kernel = kernelOf(launch, symbols);
    DictionaryAttr when = whenOf(launch);
    bool isPlain = kernel && !kernel->hasAttr("tile.warps") && !kernel->hasAttr("tile.blocks") &&
                   !kernel->hasAttr("tile.alternate") && !kernel->hasAttr("choices") && !copiesAhead(kernel);
    return isPlain && launch.getNumResults() == 0 && runsAlone(launch) && !launch->hasAttr("product") &&
           (!when || !isOfRows(when));
  }

  /// Launches of rows: a condition on their number they may have, copying warps for pages they have not.
  static bool mayLead(plan::LaunchOp launch, SymbolTable &symbols) {
    tile::KernelOp kernel = kernelOf(launch, symbols);
    DictionaryAttr when = whenOf(launch);
    return kernel && !copiesAhead(kernel) && kernel.getItems().getPer() == tile::CountKind::tokens &&
           launch.getNumResults() > 0 && runsAlone(launch) &&
           (!when || (isOfRows(when) && numberOf(when, "most") == 1)) && !launch->hasAttr("product") &&
           llvm::none_of(kernel.getMemories(),
                         [](BlockArgument memory) { return isa<tile::PagesType>(memory.getType()); });
  }

  /// Whether tiles of the one kernel fit the registers of the threads that the other one has.
  static bool fits(tile::KernelOp kernel, tile::KernelOp lead) {
    constexpr int64_t kUsualWarps = 4, kRegisters = 64, kSlab = 16; // rows are dealt by slabs
    auto warps = lead->getAttrOfType<IntegerAttr>("tile.warps");
    int64_t most = (warps ? warps.getInt() : kUsualWarps) * 32 * kRegisters;
    WalkResult result = kernel.walk([&](Operation *op) {
      for (Type type : op->getResultTypes())
        if (auto tile = dyn_cast<tile::TileType>(type))
          if (int64_t(llvm::alignTo(tile.getRows(), kSlab)) * tile.getColumns() > most)
            return WalkResult::interrupt();
      return WalkResult::advance();
    });
    return !result.wasInterrupted();
  }

  /// The launch in front of launch `index` beside which it is to run, or null.
  static plan::LaunchOp leadOf(ArrayRef<plan::LaunchOp> launches, size_t index, SymbolTable &symbols) {
    plan::LaunchOp launch = launches[index], best;
    SmallVector<Value> caches;
    for (Value operand : launch.getOperands())
      if (isa<attn::CacheType>(operand.getType()))
        caches.push_back(operand);
    for (size_t i = index; i-- > 0;) {
      plan::LaunchOp before = launches[i];
      if (runsAlone(before) && touchesOneOf(before, caches))
        break;
      bool isThere = llvm::all_of(launch.getOperands(), [&](Value operand) {
        Operation *def = operand.getDefiningOp();
        return !def || isBinding(def) || def->isBeforeInBlock(before);
      });
      if (!isThere)
        break;
      if (mayLead(before, symbols) && fits(kernelOf(launch, symbols), kernelOf(before, symbols)) &&
          (!best || kernelOf(before, symbols).getItems().getTimes() > kernelOf(best, symbols).getItems().getTimes()))
        best = before;
    }
    return best;
  }

  static bool isBinding(Operation *op) { return isa<model::ParamOp, attn::CacheOp>(op); }

  /// Takes a launch out of steps of one token.
  static void leaveToOthers(plan::LaunchOp launch) {
    MLIRContext *context = launch.getContext();
    DictionaryAttr when = whenOf(launch);
    NamedAttrList longer(when ? when : whenSequence(context, 1));
    longer.set("tokens", Builder(context).getI64IntegerAttr(2));
    launch->setAttr("when", longer.getDictionary(context));
  }

  void join(plan::LaunchOp lead, ArrayRef<plan::LaunchOp> others, SymbolTable &symbols) {
    SmallVector<plan::LaunchOp> all{lead};
    llvm::append_range(all, others);
    std::string name = lead.getKernel().str();
    SmallVector<Value> operands;
    for (plan::LaunchOp launch : all) {
      if (launch != lead)
        name += "_" + launch.getKernel().str();
      for (Value operand : launch.getOperands()) {
        if (Operation *def = operand.getDefiningOp(); def && isBinding(def) && !def->isBeforeInBlock(lead))
          def->moveBefore(lead);
        operands.push_back(operand);
      }
    }
    if (!symbols.lookup(name))
      writeKernel(name, all, symbols);
    OpBuilder b(lead);
    auto joined = plan::LaunchOp::create(b, lead.getLoc(), lead.getResultTypes(), name, operands, lead.getSlotsAttr());
    joined->setAttr("when", whenRows(b.getContext(), 1, 1));
    for (plan::LaunchOp launch : others)
      leaveToOthers(launch);
    if (whenOf(lead)) { // for one row alone
      replaced.insert(lead.getKernel().str());
      lead.replaceAllUsesWith(joined.getResults());
      lead.erase();
      return;
    }
    lead->setAttr("when", whenRows(b.getContext(), 2));
    b.setInsertionPointAfter(lead);
    for (auto [one, more] : llvm::zip(joined.getResults(), lead.getResults())) {
      auto whole = plan::MergeOp::create(b, lead.getLoc(), one.getType(), ValueRange{one, more});
      more.replaceAllUsesExcept(whole, whole);
    }
  }

  static void writeKernel(StringRef name, ArrayRef<plan::LaunchOp> launches, SymbolTable &symbols) {
    SmallVector<tile::KernelOp> kernels;
    int64_t items = 0;
    for (plan::LaunchOp launch : launches) {
      kernels.push_back(kernelOf(launch, symbols));
      items += kernels.back().getItems().getTimes();
    }
    tile::KernelOp lead = kernels.front();
    OpBuilder b(lead);
    OperationState state(lead.getLoc(), tile::KernelOp::getOperationName());
    auto own = tile::ItemsAttr::get(b.getContext(), tile::CountKind::tokens, 1, items);
    tile::KernelOp::build(b, state, name.str(), own);
    auto joined = cast<tile::KernelOp>(b.create(state));
    for (NamedAttribute attribute : lead->getDiscardableAttrs())
      joined->setAttr(attribute.getName(), attribute.getValue());
    Block *block = b.createBlock(&joined.getBody());
    // Operands of all, then the results of the first.
    SmallVector<IRMapping> maps(kernels.size());
    SmallVector<int64_t> constants;
    auto add = [&](size_t index, BlockArgument memory) {
      maps[index].map(memory, block->addArgument(memory.getType(), memory.getLoc()));
    };
    for (auto [index, kernel] : llvm::enumerate(kernels)) {
      int64_t first = block->getNumArguments();
      if (auto numbers = kernel->getAttrOfType<DenseI64ArrayAttr>("tile.constants"))
        for (int64_t number : numbers.asArrayRef())
          constants.push_back(first + number);
      for (BlockArgument memory : kernel.getMemories().take_front(launches[index]->getNumOperands()))
        add(index, memory);
    }
    for (BlockArgument memory : lead.getMemories().drop_front(launches[0]->getNumOperands()))
      add(0, memory);
    if (!constants.empty())
      joined->setAttr("tile.constants", b.getDenseI64ArrayAttr(constants));
    Value item = block->addArgument(b.getIndexType(), joined.getLoc());
    b.setInsertionPointToStart(block);
    writeItems(b, item, kernels, maps);
    symbols.insert(joined);
  }

  /// Items of the first kernel, or those of the others behind them.
  static void writeItems(OpBuilder &b, Value item, ArrayRef<tile::KernelOp> kernels, MutableArrayRef<IRMapping> maps) {
    tile::KernelOp kernel = kernels.front();
    Location loc = kernel.getLoc();
    auto write = [&](OpBuilder &b) {
      maps.front().map(kernel.getItem(), item);
      for (Operation &op : *kernel.getBlock())
        b.clone(op, maps.front());
    };
    if (kernels.size() == 1)
      return write(b);
    Value count = arith::ConstantIndexOp::create(b, loc, kernel.getItems().getTimes());
    Value isOwn = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, item, count);
    auto branch = scf::IfOp::create(b, loc, isOwn, /*withElseRegion=*/true);
    OpBuilder own = branch.getThenBodyBuilder(), others = branch.getElseBodyBuilder();
    write(own);
    writeItems(others, arith::SubIOp::create(others, loc, item, count), kernels.drop_front(), maps.drop_front());
  }

  std::set<std::string> replaced; ///< kernels that have lost a launch
};

} // namespace
} // namespace denim
