#include "compiler/tuning/Choices.h"
#include "dialects/plan/ir/Plan.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace mlir;
using namespace denim;
using namespace denim::tuning;

/// The record on a kernel: what was chosen, by name.
static constexpr StringLiteral kRecord = "choices";

static ModuleOp moduleOf(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  return module ? module : op->getParentOfType<ModuleOp>();
}

static StringRef targetNameOf(Operation *op) {
  auto name = moduleOf(op)->getAttrOfType<StringAttr>(plan::PlanDialect::getTargetAttrName());
  if (name)
    return name;
  return plan::isForCuda(op) ? codegen::gpuTargetNames().front() : codegen::targetNames().front();
}

template <typename T> static FailureOr<T> orReport(Operation *op, llvm::Expected<T> found) {
  if (found)
    return *found;
  return op->emitError() << llvm::toString(found.takeError());
}

FailureOr<codegen::GpuTarget> tuning::gpuTargetOf(Operation *op) {
  return orReport(moduleOf(op), codegen::findGpuTarget(targetNameOf(op)));
}
FailureOr<codegen::Target> tuning::cpuTargetOf(Operation *op) {
  return orReport(moduleOf(op), codegen::findTarget(targetNameOf(op)));
}

//===--------------------------------------------------------------------------------------------------------------===//
// Overrides
//===--------------------------------------------------------------------------------------------------------------===//

void tuning::attachOverrides(ModuleOp module, ArrayRef<Entry> forced, const Table *table) {
  Builder b(module.getContext());
  SmallVector<Attribute> overrides;
  auto add = [&](const Entry &entry, StringRef by) {
    NamedAttrList fields;
    fields.set("by", b.getStringAttr(by));
    fields.set("choice", b.getStringAttr(entry.choice));
    if (!entry.shape.empty())
      fields.set("shape", b.getStringAttr(entry.shape));
    fields.set("value", b.getI64IntegerAttr(entry.value));
    overrides.push_back(fields.getDictionary(b.getContext()));
  };
  for (const Entry &entry : forced)
    add(entry, "user");
  for (const Entry &entry : table ? ArrayRef(table->entries) : ArrayRef<Entry>())
    add(entry, "table");
  if (!overrides.empty())
    module->setAttr(plan::PlanDialect::getOverridesAttrName(), b.getArrayAttr(overrides));
}

static ArrayRef<Attribute> overridesOf(ModuleOp module) {
  auto overrides = module->getAttrOfType<ArrayAttr>(plan::PlanDialect::getOverridesAttrName());
  return overrides ? overrides.getValue() : ArrayRef<Attribute>();
}

namespace {
struct Override {
  int64_t value;
  StringRef by; ///< "user" or "table"
};
} // namespace

/// The first override that speaks of the question; those of the user stand in front.
static std::optional<Override> overrideOf(Operation *kernel, const Question &question) {
  for (Attribute attribute : overridesOf(moduleOf(kernel))) {
    auto entry = cast<DictionaryAttr>(attribute);
    auto shape = entry.getAs<StringAttr>("shape");
    if (entry.getAs<StringAttr>("choice") == question.choice && (!shape || shape == question.shape))
      return Override{entry.getAs<IntegerAttr>("value").getInt(), entry.getAs<StringAttr>("by")};
  }
  if (const Table *table = embeddedTable(targetNameOf(kernel)))
    if (std::optional<int64_t> value = table->find(question.choice, question.shape))
      return Override{*value, "table"};
  return std::nullopt;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Answers
//===--------------------------------------------------------------------------------------------------------------===//

static std::string listOf(ArrayRef<int64_t> candidates) {
  std::string text;
  for (int64_t candidate : candidates)
    text += (text.empty() ? "" : ", ") + std::to_string(candidate);
  return text;
}

/// Three digits: more would promise more than a model has, and every text would be longer.
static double rounded(double x) {
  if (!(x > 0) || !std::isfinite(x))
    return x;
  double unit = std::pow(10.0, std::floor(std::log10(x)) - 2);
  return std::round(x / unit) * unit;
}

FailureOr<int64_t> tuning::choose(Operation *kernel, const Question &question) {
  assert(!question.candidates.empty() && "expected a candidate");
  assert(!llvm::errorToBool(checkChoice(question.choice)) && "expected a choice that has a name");
  auto isCandidate = [&](int64_t value) { return llvm::is_contained(question.candidates, value); };
  auto wrong = [&](int64_t value) {
    return kernel->emitError() << "expected " << question.choice << " of " << question.shape << " to be one of "
                               << listOf(question.candidates) << ", but got " << value;
  };
  auto record = kernel->getAttrOfType<DictionaryAttr>(kRecord);
  if (auto known = record ? record.getAs<DictionaryAttr>(question.choice) : DictionaryAttr()) {
    auto value = known.getAs<IntegerAttr>("value");
    if (!value || !isCandidate(value.getInt()))
      return wrong(value ? value.getInt() : 0);
    return value.getInt();
  }
  if (question.candidates.size() == 1) // nothing to choose, nothing to record
    return question.candidates.front();
  Prediction prediction = predict(question);
  int64_t value = prediction.best;
  StringRef by = "model";
  if (std::optional<Override> given = overrideOf(kernel, question)) {
    if (isCandidate(given->value)) {
      value = given->value;
      by = given->by;
    } else if (given->by == "table") {
      kernel->emitWarning() << "the table has " << given->value << " for " << question.choice << " of "
                            << question.shape << ", which is none of " << listOf(question.candidates) << " any more";
    }
  }
  Builder b(kernel->getContext());
  for (double &time : prediction.microseconds)
    time = rounded(time);
  NamedAttrList fields, all(record);
  fields.set("by", b.getStringAttr(by));
  fields.set("candidates", b.getDenseI64ArrayAttr(question.candidates));
  fields.set("predicted", b.getDenseF64ArrayAttr(prediction.microseconds));
  fields.set("shape", b.getStringAttr(question.shape));
  fields.set("value", b.getI64IntegerAttr(value));
  all.set(question.choice, fields.getDictionary(b.getContext()));
  kernel->setAttr(kRecord, all.getDictionary(b.getContext()));
  return value;
}

void tuning::copyChoices(Operation *from, Operation *to) {
  NamedAttrList all(to->getAttrOfType<DictionaryAttr>(kRecord));
  from->walk([&](Operation *op) {
    if (auto record = op->getAttrOfType<DictionaryAttr>(kRecord))
      for (NamedAttribute choice : record)
        all.set(choice.getName(), choice.getValue());
  });
  if (!all.empty())
    to->setAttr(kRecord, all.getDictionary(to->getContext()));
}

//===--------------------------------------------------------------------------------------------------------------===//
// Lists
//===--------------------------------------------------------------------------------------------------------------===//

std::string tuning::choicesAsTable(ModuleOp module) {
  llvm::MapVector<std::pair<StringAttr, Attribute>, SmallVector<StringRef>> all;
  for (Operation &kernel : *module.getBody())
    kernel.walk([&](Operation *op) {
      if (auto record = op->getAttrOfType<DictionaryAttr>(kRecord))
        for (NamedAttribute choice : record)
          if (auto name = SymbolTable::getSymbolName(&kernel))
            all[{choice.getName(), choice.getValue()}].push_back(name.getValue());
    });
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "{\n  \"target\": \"" << targetNameOf(module) << "\",\n  \"entries\": [";
  StringRef comma = "";
  for (auto &[key, kernels] : all) {
    auto record = cast<DictionaryAttr>(key.second);
    os << comma << "\n    {\"choice\": \"" << key.first.getValue() << "\", \"shape\": \""
       << record.getAs<StringAttr>("shape").getValue()
       << "\", \"value\": " << record.getAs<IntegerAttr>("value").getInt() << ", \"by\": \""
       << record.getAs<StringAttr>("by").getValue() << "\", \"predicted_us\": {";
    for (auto [i, candidate] : llvm::enumerate(record.getAs<DenseI64ArrayAttr>("candidates").asArrayRef()))
      os << (i ? ", " : "") << '"' << candidate
         << "\": " << llvm::format("%.6g", record.getAs<DenseF64ArrayAttr>("predicted")[i]);
    os << "}, \"kernels\": [";
    llvm::SetVector<StringRef> names(kernels.begin(), kernels.end());
    llvm::interleave(
        names, os, [&](StringRef name) { os << '"' << name << '"'; }, ", ");
    os << "]}";
    comma = ",";
  }
  os << "\n  ]\n}\n";
  return text;
}

SmallVector<std::string> tuning::unusedForced(ModuleOp module) {
  llvm::SetVector<DictionaryAttr> forced;
  for (Attribute attribute : overridesOf(module))
    if (auto entry = cast<DictionaryAttr>(attribute); entry.getAs<StringAttr>("by") == "user")
      forced.insert(entry);
  module.walk([&](Operation *op) {
    if (auto record = op->getAttrOfType<DictionaryAttr>(kRecord))
      for (NamedAttribute choice : record) {
        auto made = cast<DictionaryAttr>(choice.getValue());
        forced.remove_if([&](DictionaryAttr entry) {
          return entry.getAs<StringAttr>("choice") == choice.getName() && entry.get("value") == made.get("value");
        });
      }
  });
  SmallVector<std::string> texts;
  for (DictionaryAttr entry : forced)
    texts.push_back(
        (entry.getAs<StringAttr>("choice").getValue() + "=" + Twine(entry.getAs<IntegerAttr>("value").getInt())).str());
  return texts;
}
