#include "compiler/driver/PlanOfModule.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"
#include "dialects/tile/ir/Tile.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen;

namespace {

std::string nameOf(Type element) {
  if (auto format = blockFormatOf(element))
    return std::string(formats::name(*format));
  std::string text;
  llvm::raw_string_ostream(text) << element;
  return text;
}

class Collector {
public:
  explicit Collector(ModuleOp module) : module(module) {}

  FailureOr<ModulePlan> run() {
    SmallVector<plan::ScheduleOp> schedules(module.getOps<plan::ScheduleOp>());
    if (schedules.size() != 1)
      return module.emitError() << "expected one plan.schedule, but got " << schedules.size();
    schedule = schedules[0];
    result.name = schedule.getSymName().str();
    result.vocabulary = schedule.getVocabulary();
    result.eos.assign(schedule.getEos().begin(), schedule.getEos().end());
    if (!schedule.getSlots() || !schedule.getLogits())
      return schedule.emitOpError() << "expected slots; run assign-slots first";
    result.logits = *schedule.getLogits();
    ArrayAttr slots = *schedule.getSlots();
    for (Attribute slot : slots) {
      auto entry = cast<DictionaryAttr>(slot);
      auto type = entry.getAs<StringAttr>("type");
      result.slots.push_back({entry.getAs<StringAttr>("rows").str(), entry.getAs<IntegerAttr>("row_bytes").getInt(),
                              type ? type.str() : "f32"});
    }
    for (auto kernel : module.getOps<tile::KernelOp>()) {
      kernels[kernel.getSymName()] = result.kernels.size();
      auto items = kernel.getItems();
      KernelItems made{kernel.getSymName().str(), stringifyCountKind(items.getPer()).str(), items.getBlock(),
                       items.getTimes()};
      if (auto parts = kernel->getAttrOfType<DictionaryAttr>("tile.parts")) {
        auto most = parts.getAs<IntegerAttr>("most"), wanted = parts.getAs<IntegerAttr>("wanted");
        if (!most || !wanted)
          return kernel.emitOpError() << "expected whole numbers most and wanted in tile.parts, but got " << parts;
        made.mostParts = most.getInt(), made.wanted = wanted.getInt();
      }
      result.kernels.push_back(made);
    }
    for (auto program : module.getOps<plan::ProgramOp>())
      if (failed(addProgram(program)))
        return failure();
    for (auto [symbol, prefix, layer] : llvm::zip(schedule.getPrograms(), schedule.getPrefixes(), schedule.getLayers()))
      if (failed(addStep(cast<FlatSymbolRefAttr>(symbol), cast<StringAttr>(prefix).getValue(), layer)))
        return failure();
    return result;
  }

private:
  LogicalResult addProgram(plan::ProgramOp program) {
    llvm::DenseMap<Value, LaunchArgument> arguments;
    int64_t parameters = 0, caches = 0;
    Value input = program.getBlock()->getArgument(0);
    if (cast<RankedTensorType>(input.getType()).getRank() == 2)
      arguments[input] = {LaunchArgument::Slot, 0};
    Program made;
    made.name = program.getSymName().str();
    for (Operation &op : *program.getBlock()) {
      if (auto param = dyn_cast<model::ParamOp>(op)) {
        int64_t count = param.isStack() ? param.getType().getDimSize(0) : 1;
        arguments[param.getResult()] = {param.isStack() ? LaunchArgument::Stack : LaunchArgument::Parameter, parameters,
                                        count};
        parameters += count;
      } else if (auto cache = dyn_cast<attn::CacheOp>(op)) {
        arguments[cache.getResult()] = {LaunchArgument::Cache, caches++};
      } else if (auto launch = dyn_cast<plan::LaunchOp>(op)) {
        if (failed(addLaunch(launch, arguments, made)))
          return failure();
      } else if (auto merge = dyn_cast<plan::MergeOp>(op)) {
        for (Value value : merge.getValues())
          if (arguments[value].index != arguments[merge.getValues()[0]].index)
            return merge.emitOpError() << "expected values of one slot, but got slots "
                                       << arguments[merge.getValues()[0]].index << " and " << arguments[value].index;
        // A copy first: the entry of the result may move all others.
        LaunchArgument whole = arguments.lookup(merge.getValues()[0]);
        arguments[merge.getResult()] = whole;
      }
    }
    programs[program.getSymName()] = {static_cast<int64_t>(result.programs.size()), program};
    result.programs.push_back(std::move(made));
    return success();
  }

  LogicalResult addLaunch(plan::LaunchOp launch, llvm::DenseMap<Value, LaunchArgument> &arguments, Program &program) {
    auto kernel = kernels.find(launch.getKernel());
    if (kernel == kernels.end())
      return launch.emitOpError() << "expected a tile.kernel named " << launch.getKernelAttr();
    Launch made{kernel->second, {}, {}, {}};
    if (failed(addCondition(launch, made)) || failed(addProduct(launch, made)))
      return failure();
    for (Value operand : launch.getOperands()) {
      auto argument = arguments.find(operand);
      if (argument != arguments.end())
        made.arguments.push_back(argument->second);
      else if (cast<RankedTensorType>(operand.getType()).getRank() != 1) // token ids are part of the step
        return launch.emitOpError() << "expected operands that stand in slots, parameters or caches";
    }
    for (auto [i, value] : llvm::enumerate(launch.getResults())) {
      arguments[value] = {LaunchArgument::Slot, launch.getSlots().value()[i]};
      made.arguments.push_back(arguments[value]);
    }
    auto tileKernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(launch, launch.getKernelAttr());
    if (made.arguments.size() != tileKernel.getMemories().size())
      return launch.emitOpError() << "expected " << tileKernel.getMemories().size() << " arguments of kernel "
                                  << launch.getKernelAttr() << ", but got " << made.arguments.size();
    program.launches.push_back(std::move(made));
    return success();
  }

  /// A whole number of a dictionary on a launch.
  static FailureOr<int64_t> numberOf(plan::LaunchOp launch, StringRef name, DictionaryAttr dictionary, StringRef key) {
    if (auto number = dictionary.getAs<IntegerAttr>(key))
      return number.getInt();
    return launch.emitOpError() << "expected a whole number " << key << " in " << name << ", but got " << dictionary;
  }

  /// `when = {of = "rows", least = 1, most = 16}`: in which passes the launch runs (runtime/abi/Module.h).
  LogicalResult addCondition(plan::LaunchOp launch, Launch &made) {
    auto when = launch->getAttrOfType<DictionaryAttr>("when");
    if (!when)
      return success();
    auto of = when.getAs<StringAttr>("of");
    if (!of || (of != "rows" && of != "sequence"))
      return launch.emitOpError() << "expected when to be of \"rows\" or \"sequence\", but got " << when;
    FailureOr<int64_t> least = numberOf(launch, "when", when, "least"), most = numberOf(launch, "when", when, "most");
    if (failed(least) || failed(most))
      return failure();
    made.when = {of == "rows" ? LaunchCondition::Rows : LaunchCondition::Sequence, *least, *most};
    if (when.contains("block")) {
      FailureOr<int64_t> block = numberOf(launch, "when", when, "block"),
                         stride = numberOf(launch, "when", when, "stride");
      if (failed(block) || failed(stride))
        return failure();
      made.when->block = *block, made.when->stride = *stride;
    }
    std::pair<StringRef, int64_t *> others[] = {{"tokens", &made.when->tokens},       {"even", &made.when->even},
                                                {"uneven", &made.when->uneven},       {"longest", &made.when->longest},
                                                {"sequences", &made.when->sequences}, {"fewer", &made.when->fewer}};
    for (auto [key, to] : others)
      if (when.contains(key)) {
        FailureOr<int64_t> number = numberOf(launch, "when", when, key);
        if (failed(number))
          return failure();
        *to = *number;
      }
    return success();
  }

  /// `product = {x = 0, weight = 1, out = 2, residual = -1, inner = 64, columns = 32, least = 128}`.
  LogicalResult addProduct(plan::LaunchOp launch, Launch &made) {
    auto product = launch->getAttrOfType<DictionaryAttr>("product");
    if (!product)
      return success();
    SmallVector<int64_t> values;
    for (StringRef key : {"x", "weight", "out", "residual", "inner", "columns", "least"}) {
      FailureOr<int64_t> value = numberOf(launch, "product", product, key);
      if (failed(value))
        return failure();
      values.push_back(*value);
    }
    made.product = {values[0], values[1], values[2], values[3], values[4], values[5], values[6]};
    return success();
  }

  LogicalResult addStep(FlatSymbolRefAttr symbol, StringRef prefix, int64_t layer) {
    auto found = programs.find(symbol.getValue());
    if (found == programs.end())
      return schedule.emitOpError() << "expected a plan.program named " << symbol;
    Step step{found->second.first, layer, {}, {}};
    for (Operation &op : *found->second.second.getBlock()) {
      if (auto param = dyn_cast<model::ParamOp>(op)) {
        std::string name = (prefix + param.getName()).str();
        if (!param.isStack()) {
          step.parameters.push_back(addParameter(param, name, param.getType().getShape()));
          continue;
        }
        size_t at = name.find("{e}");
        for (int64_t e = 0; e < param.getType().getDimSize(0); ++e)
          step.parameters.push_back(addParameter(param, name.substr(0, at) + std::to_string(e) + name.substr(at + 3),
                                                 param.getType().getShape().drop_front()));
      } else if (auto cache = dyn_cast<attn::CacheOp>(op)) {
        auto type = cache.getResult().getType();
        step.caches.push_back(result.caches.size());
        result.caches.push_back({(prefix + cache.getName()).str(), stringifyKind(type.getKind()).str(),
                                 nameOf(type.getElementType()),
                                 std::vector<int64_t>(type.getShape().begin(), type.getShape().end())});
      }
    }
    result.steps.push_back(std::move(step));
    return success();
  }

  /// The index of a tensor of the checkpoint; tied tensors are one.
  int64_t addParameter(model::ParamOp param, const std::string &name, ArrayRef<int64_t> shape) {
    auto [entry, isNew] = parameterIndex.try_emplace(name, result.parameters.size());
    if (isNew)
      result.parameters.push_back(
          {name, "", nameOf(param.getType().getElementType()), std::vector<int64_t>(shape.begin(), shape.end())});
    return entry->second;
  }

  ModuleOp module;
  plan::ScheduleOp schedule;
  ModulePlan result;
  llvm::StringMap<int64_t> kernels, parameterIndex;
  llvm::StringMap<std::pair<int64_t, plan::ProgramOp>> programs;
};

} // namespace

FailureOr<ModulePlan> denim::planOfModule(ModuleOp module) {
  return Collector(module).run();
}
