//===- PlanReader.cpp - the plan's JSON, checked --------------------------===//
//
// Checks come in two layers: each value by itself while reading (type, range, index within its list), then what one
// program demands of all steps that run it (check of uses at the end). Bounds on sizes are chosen such that no
// product or sum of the runtime leaves 64 bits.
//
//===----------------------------------------------------------------------===//

#include "runtime/module/PlanReader.h"
#include "runtime/abi/Kernel.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace denim {

namespace {

using nlohmann::json;

// One tensor, one slot of a cache, one page; all of one kind.
constexpr int64_t kMaxBytes = int64_t(1) << 46;
constexpr int64_t kMaxRowBytes = int64_t(1) << 30;
constexpr int64_t kMaxScratchBytes = int64_t(1) << 32;
constexpr int64_t kMaxInt32 = INT32_MAX;
constexpr int64_t kMaxBlockThreads = 1024; // of every CUDA device
constexpr int64_t kTensorPiece = 8;        // elements of bf16 in the 16 bytes whose multiple a row of a tensor has

/// The value under a path, with the first error kept. After an error every reading gives an empty value, so that the
/// code below reads straight on and looks once per list.
class PlanText {
public:
  Status status;

  template <typename... Parts> void expected(const std::string &path, std::string_view what, const Parts &...found) {
    if (!status)
      status = error(DENIM_STATUS_DATA_LOSS, path, ": expected ", what, ", but got ", found...);
  }

  const json &member(const json &object, const std::string &path, const char *key) {
    static const json none;
    if (!object.is_object()) {
      expected(path, "an object", object.type_name());
      return none;
    }
    auto it = object.find(key);
    if (it == object.end()) {
      expected(path, std::string("a member \"") + key + "\"", "none");
      return none;
    }
    return *it;
  }

  int64_t integer(const json &value, const std::string &path, int64_t low, int64_t high) {
    std::optional<int64_t> number;
    if (value.is_number_unsigned() && value.get<uint64_t>() <= INT64_MAX)
      number = static_cast<int64_t>(value.get<uint64_t>());
    else if (value.is_number_integer() && !value.is_number_unsigned())
      number = value.get<int64_t>();
    if (number && *number >= low && *number <= high)
      return *number;
    std::string found = value.is_number() ? value.dump() : value.type_name();
    if (low == high)
      expected(path, std::to_string(low), found);
    else if (low > high)
      expected(path, "no index into an empty list", found);
    else
      expected(path, "a whole number from " + std::to_string(low) + " to " + std::to_string(high), found);
    return low;
  }
  int64_t integer(const json &object, const std::string &path, const char *key, int64_t low, int64_t high) {
    return integer(member(object, path, key), path + "." + key, low, high);
  }

  /// A member that may be absent, which counts as false.
  bool flag(const json &object, const std::string &path, const char *key) {
    if (!object.is_object() || !object.contains(key))
      return false;
    const json &value = object[key];
    if (!value.is_boolean())
      expected(path + "." + key, "true or false", value.type_name());
    return value.is_boolean() && value.get<bool>();
  }

  std::string text(const json &value, const std::string &path) {
    if (value.is_string() && value.get_ref<const std::string &>().find('\0') == std::string::npos)
      return value.get<std::string>();
    expected(path, "text", value.type_name());
    return "";
  }
  std::string text(const json &object, const std::string &path, const char *key) {
    return text(member(object, path, key), path + "." + key);
  }

  /// Calls read(element, path) for each element of a list until an error.
  template <typename Read> void each(const json &value, const std::string &path, const Read &read) {
    if (!value.is_array())
      return expected(path, "a list", value.type_name());
    for (size_t i = 0; i < value.size() && !status; ++i)
      read(value[i], path + "[" + std::to_string(i) + "]");
  }
  template <typename Read> void each(const json &object, const std::string &path, const char *key, const Read &read) {
    each(member(object, path, key), path + "." + key, read);
  }

  template <typename Enum>
  Enum choice(const json &object, const std::string &path, const char *key,
              std::initializer_list<std::pair<const char *, Enum>> choices) {
    std::string value = text(object, path, key), all;
    for (auto &[name, result] : choices) {
      if (value == name)
        return result;
      all += (all.empty() ? "" : ", ") + std::string(name);
    }
    expected(path + "." + key, "one of " + all, "'" + value + "'");
    return choices.begin()->second;
  }

  /// Shape and the bytes of its elements; of rows that are whole blocks where these are in blocks.
  std::vector<int64_t> shape(const json &object, const std::string &path, PlanType type, size_t &outBytes) {
    std::vector<int64_t> shape;
    int64_t size = static_cast<int64_t>(bytes(type));
    each(object, path, "shape", [&](const json &value, const std::string &at) {
      shape.push_back(integer(value, at, 1, kMaxBytes));
      if (__builtin_mul_overflow(size, shape.back(), &size) || size > kMaxBytes)
        expected(path + ".shape", "at most " + std::to_string(kMaxBytes) + " bytes", "more");
    });
    outBytes = static_cast<size_t>(size);
    if (std::optional<formats::BlockFormat> format = blockFormat(type); format && !status) {
      if (shape.size() != 2 || shape[1] % formats::kBlockElements != 0)
        expected(path + ".shape",
                 "[rows, columns] with columns a multiple of " + std::to_string(formats::kBlockElements) + " for " +
                     std::string(name(type)),
                 shape.size() == 2 ? std::to_string(shape[1]) + " columns"
                                   : std::to_string(shape.size()) + " dimensions");
      else // no more than two bytes for each element, which were counted
        outBytes = static_cast<size_t>(shape[0] * formats::rowBytes(*format, shape[1]));
    }
    return shape;
  }
};

void readParameters(PlanText &in, const json &root, Plan &plan) {
  std::set<std::string> names;
  size_t sum = 0;
  in.each(root, "plan", "parameters", [&](const json &value, const std::string &path) {
    PlanParameter parameter;
    parameter.name = in.text(value, path, "name");
    parameter.type = in.choice<PlanType>(value, path, "type",
                                         {{"f32", PlanType::F32},
                                          {"bf16", PlanType::BF16},
                                          {"f16", PlanType::F16},
                                          {"q8_0", PlanType::Q8_0},
                                          {"q4_0", PlanType::Q4_0}});
    parameter.shape = in.shape(value, path, parameter.type, parameter.bytes);
    if (!names.insert(parameter.name).second)
      in.expected(path + ".name", "each name once", "'" + parameter.name + "' again");
    sum += parameter.bytes;
    if (sum > size_t(kMaxBytes))
      in.expected(path, "at most " + std::to_string(kMaxBytes) + " bytes of parameters", "more");
    plan.parameters.push_back(std::move(parameter));
  });
}

void readCaches(PlanText &in, const json &root, Plan &plan) {
  size_t sum = 0;
  in.each(root, "plan", "caches", [&](const json &value, const std::string &path) {
    PlanCache cache;
    cache.name = in.text(value, path, "name");
    cache.kind = in.choice<CacheKind>(
        value, path, "kind", {{"state", CacheKind::State}, {"tail", CacheKind::Tail}, {"paged", CacheKind::Paged}});
    cache.type = in.choice<PlanType>(value, path, "type",
                                     {{"f32", PlanType::F32}, {"bf16", PlanType::BF16}, {"f16", PlanType::F16}});
    cache.shape = in.shape(value, path, cache.type, cache.bytes);
    if (cache.kind == CacheKind::Paged) {
      if (cache.shape.size() != 2)
        in.expected(path + ".shape", "[heads, columns]", cache.shape.size(), " dimensions");
      cache.bytes *= DENIM_PAGE_TOKENS; // kernels count on pages without gaps
    } else {
      size_t alignment = plan.machine == Machine::Cpu ? DENIM_BUFFER_ALIGNMENT : DENIM_CUDA_ALIGNMENT;
      cache.bytes = (cache.bytes + alignment - 1) / alignment * alignment;
    }
    sum += cache.bytes;
    if (sum > size_t(kMaxBytes) * DENIM_PAGE_TOKENS)
      in.expected(path, "at most " + std::to_string(kMaxBytes) + " bytes of caches", "more");
    plan.caches.push_back(std::move(cache));
  });
}

void readSlots(PlanText &in, const json &root, Plan &plan) {
  in.each(root, "plan", "slots", [&](const json &value, const std::string &path) {
    PlanSlot slot;
    slot.rows =
        in.choice<Per>(value, path, "rows", {{"tokens", Per::Tokens}, {"outputs", Per::Outputs}, {"once", Per::Once}});
    slot.type = in.choice<PlanType>(value, path, "type", {{"f32", PlanType::F32}, {"bf16", PlanType::BF16}});
    size_t unit = plan.machine == Machine::Cpu ? 4 : bytes(slot.type);
    int64_t most = slot.rows == Per::Once ? kMaxBytes : kMaxRowBytes;
    slot.rowBytes = static_cast<size_t>(in.integer(value, path, "row_bytes", int64_t(unit), most));
    if (slot.rowBytes % unit != 0)
      in.expected(path + ".row_bytes", "a multiple of " + std::to_string(unit), slot.rowBytes);
    plan.slots.push_back(slot);
  });
}

/// Its argument is looked at with the launches.
TensorMapInfo readTensorMap(PlanText &in, const json &value, const std::string &path) {
  TensorMapInfo map{};
  map.argument = static_cast<uint32_t>(in.integer(value, path, "memory", 0, kMaxInt32));
  map.columns = in.integer(value, path, "columns", DENIM_TENSOR_BOX_COLUMNS, kMaxRowBytes);
  if (map.columns % kTensorPiece != 0)
    in.expected(path + ".columns", "a multiple of " + std::to_string(kTensorPiece), map.columns);
  map.boxRows = static_cast<uint32_t>(in.integer(value, path, "box_rows", 1, DENIM_TENSOR_BOX_MOST_ROWS));
  map.boxColumns =
      static_cast<uint32_t>(in.integer(value, path, "box_columns", DENIM_TENSOR_BOX_COLUMNS, DENIM_TENSOR_BOX_COLUMNS));
  return map;
}

PlanKernel readKernel(PlanText &in, const json &value, const std::string &path, Machine machine, int64_t kernelAbi) {
  PlanKernel kernel;
  kernel.name = in.text(value, path, "name");
  if (machine == Machine::Cpu) {
    kernel.scratchBytes = static_cast<uint64_t>(in.integer(value, path, "scratch", 0, kMaxScratchBytes));
    return kernel;
  }
  kernel.threads = static_cast<uint32_t>(in.integer(value, path, "threads", 1, kMaxBlockThreads));
  kernel.sharedBytes = static_cast<uint32_t>(in.integer(value, path, "shared", 0, DENIM_CUDA_MAX_SHARED));
  kernel.registers = in.integer(value, path, "registers", -1, kMaxInt32);
  kernel.spillBytes = in.integer(value, path, "spills", -1, kMaxInt32);
  kernel.overlaps = in.flag(value, path, "overlaps");
  if (value.is_object() && value.contains("grid"))
    in.choice<int>(value, path, "grid", {{"items", 0}, {"parts", 1}});
  if (value.is_object() && value.contains("tensor_maps"))
    in.each(value, path, "tensor_maps",
            [&](const json &map, const std::string &at) { kernel.tensorMaps.push_back(readTensorMap(in, map, at)); });
  if (kernel.tensorMaps.size() > DENIM_TENSOR_MAP_MOST)
    in.expected(path + ".tensor_maps", "at most " + std::to_string(DENIM_TENSOR_MAP_MOST), kernel.tensorMaps.size());
  if (!kernel.tensorMaps.empty() && kernelAbi != DENIM_KERNEL_ABI_TENSOR_MAPS)
    in.expected(path + ".tensor_maps", "none in a plan with kernel_abi " + std::to_string(kernelAbi),
                kernel.tensorMaps.size());
  return kernel;
}

void readTargets(PlanText &in, const json &root, int64_t kernelAbi, Plan &plan) {
  std::set<std::string> names;
  in.each(root, "plan", "targets", [&](const json &value, const std::string &path) {
    PlanTarget target;
    target.name = in.text(value, path, "name");
    if (!names.insert(target.name).second)
      in.expected(path + ".name", "each name once", "'" + target.name + "' again");
    in.each(value, path, "features",
            [&](const json &feature, const std::string &at) { target.features.push_back(in.text(feature, at)); });
    in.each(value, path, "kernels", [&](const json &kernel, const std::string &at) {
      target.kernels.push_back(readKernel(in, kernel, at, plan.machine, kernelAbi));
    });
    if (!plan.targets.empty() && target.kernels.size() != plan.targets[0].kernels.size())
      in.expected(path + ".kernels", std::to_string(plan.targets[0].kernels.size()) + " as in the first target",
                  target.kernels.size());
    plan.targets.push_back(std::move(target));
  });
  if (plan.targets.empty())
    in.expected("plan.targets", "at least one target", 0);
}

PlanArgument readArgument(PlanText &in, const json &value, const std::string &path, const Plan &plan) {
  PlanArgument argument{PlanArgument::Slot, 0, 1};
  std::string kind = value.is_array() && !value.empty() && value[0].is_string() ? value[0].get<std::string>() : "";
  size_t length = kind == "stack" ? 3 : 2;
  if (kind == "slot")
    argument.kind = PlanArgument::Slot;
  else if (kind == "parameter")
    argument.kind = PlanArgument::Parameter;
  else if (kind == "stack")
    argument.kind = PlanArgument::Stack;
  else if (kind == "cache")
    argument.kind = PlanArgument::Cache;
  else
    length = 0;
  if (length == 0 || value.size() != length) {
    in.expected(path, R"(["slot"|"parameter"|"cache", index] or ["stack", index, count])",
                value.is_array() ? "another list" : value.type_name());
    return argument;
  }
  // Indices into a step's lists are checked with the steps.
  int64_t high = kind == "slot" ? static_cast<int64_t>(plan.slots.size()) - 1 : kMaxInt32;
  argument.index = static_cast<uint32_t>(in.integer(value[1], path + "[1]", 0, high));
  if (kind == "stack")
    argument.count = static_cast<uint32_t>(in.integer(value[2], path + "[2]", 1, kMaxInt32));
  return argument;
}

PlanCondition readCondition(PlanText &in, const json &value, const std::string &path) {
  PlanCondition when{};
  when.of = in.choice<PlanCondition::Of>(value, path, "of",
                                         {{"rows", PlanCondition::Rows}, {"sequence", PlanCondition::Sequence}});
  when.least = in.integer(value, path, "least", 0, INT64_MAX);
  when.most = in.integer(value, path, "most", when.least, INT64_MAX);
  if (value.is_object() && value.contains("block")) {
    when.block = in.integer(value, path, "block", 1, kMaxInt32);
    when.stride = in.integer(value, path, "stride", 1, kMaxInt32);
    if (when.of != PlanCondition::Sequence)
      in.expected(path + ".block", "a condition on sequences", "one on rows");
  }
  std::pair<const char *, int64_t *> others[] = {{"tokens", &when.tokens},       {"even", &when.even},
                                                 {"uneven", &when.uneven},       {"longest", &when.longest},
                                                 {"sequences", &when.sequences}, {"fewer", &when.fewer}};
  for (auto [key, to] : others)
    if (value.is_object() && value.contains(key)) {
      *to = in.integer(value, path, key, 1, kMaxInt32);
      if (when.of != PlanCondition::Sequence)
        in.expected(path + "." + key, "a condition on sequences", "one on rows");
    }
  return when;
}

/// What a launch hands to a kernel for its tensor maps: rows of bf16. The types of parameters come with the steps.
void checkTensorMaps(PlanText &in, const Plan &plan, const PlanLaunch &launch, const std::string &path) {
  for (const PlanTarget &target : plan.targets)
    for (const TensorMapInfo &map : target.kernels[launch.kernel].tensorMaps) {
      if (map.argument >= launch.args.size())
        return in.expected(path + ".args", "at least " + std::to_string(map.argument + 1) + " for a tensor map",
                           launch.args.size());
      const PlanArgument &argument = launch.args[map.argument];
      std::string at = path + ".args[" + std::to_string(map.argument) + "]";
      if (argument.kind != PlanArgument::Slot && argument.kind != PlanArgument::Parameter)
        return in.expected(at, "a slot or a parameter for a tensor map", "another argument");
      if (argument.kind != PlanArgument::Slot)
        continue;
      const PlanSlot &slot = plan.slots[argument.index];
      size_t want = static_cast<size_t>(map.columns) * bytes(PlanType::BF16);
      if (slot.type != PlanType::BF16 || slot.rowBytes < want)
        return in.expected(at,
                           "a slot of bf16 with rows of at least " + std::to_string(want) + " bytes for a tensor map",
                           name(slot.type), " with ", slot.rowBytes);
    }
}

std::string perRow(Per rows) {
  return rows == Per::Outputs ? "for each output" : rows == Per::Tokens ? "for each token" : "in all";
}

/// Everything but the type and shape of a weight that is a parameter, which each step brings along.
PlanProduct readProduct(PlanText &in, const json &value, const std::string &path, const Plan &plan,
                        const PlanLaunch &launch) {
  PlanProduct product{};
  int64_t last = static_cast<int64_t>(launch.args.size()) - 1;
  auto argument = [&](const char *key, bool orParameter = false) {
    auto index = static_cast<uint32_t>(in.integer(value, path, key, 0, last));
    bool fits = in.status || launch.args[index].kind == PlanArgument::Slot ||
                (orParameter && launch.args[index].kind == PlanArgument::Parameter);
    if (!fits)
      in.expected(path + "." + key, orParameter ? "a parameter or a slot" : "a slot", "another argument");
    return index;
  };
  product.x = argument("x");
  product.weight = argument("weight", /*orParameter=*/true);
  product.out = argument("out");
  if (in.integer(value, path, "residual", -1, last) >= 0)
    product.residual = argument("residual");
  product.inner = in.integer(value, path, "inner", 1, kMaxRowBytes);
  product.columns = in.integer(value, path, "columns", 1, kMaxRowBytes);
  product.least = in.integer(value, path, "least", 1, kMaxInt32);
  if (in.status)
    return product;
  if (launch.per != Per::Tokens && launch.per != Per::Outputs)
    in.expected(path, "items per tokens or outputs", "others");
  auto rows = [&](const char *key, uint32_t index, int64_t columns) {
    const PlanSlot &slot = plan.slots[launch.args[index].index];
    size_t want = static_cast<size_t>(columns) * bytes(slot.type);
    if (slot.rowBytes < want || slot.rows != launch.per)
      in.expected(path + "." + key,
                  "a slot with at least " + std::to_string(want) + " bytes for each of the items' rows", slot.rowBytes,
                  " bytes ", perRow(slot.rows));
  };
  rows("x", product.x, product.inner);
  rows("out", product.out, product.columns);
  if (const PlanArgument &weight = launch.args[product.weight]; weight.kind == PlanArgument::Slot) {
    const PlanSlot &slot = plan.slots[weight.index], &x = plan.slots[launch.args[product.x].index];
    size_t want = static_cast<size_t>(product.columns * product.inner) * bytes(x.type);
    if (slot.rows != Per::Once || slot.type != x.type || slot.rowBytes < want)
      in.expected(path + ".weight",
                  "a slot of " + std::string(name(x.type)) + " with at least " + std::to_string(want) + " bytes in all",
                  name(slot.type), " with ", slot.rowBytes, " bytes ", perRow(slot.rows));
  }
  if (!product.residual)
    return product;
  rows("residual", *product.residual, product.columns);
  PlanType out = plan.slots[launch.args[product.out].index].type;
  PlanType residual = plan.slots[launch.args[*product.residual].index].type;
  if (out != residual)
    in.expected(path + ".residual", std::string(name(out)) + " like the result", name(residual));
  return product;
}

void readPrograms(PlanText &in, const json &root, Plan &plan) {
  int64_t kernels = plan.targets.empty() ? 0 : static_cast<int64_t>(plan.targets[0].kernels.size());
  in.each(root, "plan", "programs", [&](const json &value, const std::string &path) {
    PlanProgram program;
    program.name = in.text(value, path, "name");
    in.each(value, path, "launches", [&](const json &entry, const std::string &at) {
      PlanLaunch launch;
      launch.kernel = static_cast<uint32_t>(in.integer(entry, at, "kernel", 0, kernels - 1));
      const json &items = in.member(entry, at, "items");
      launch.per = in.choice<Per>(
          items, at + ".items", "per",
          {{"once", Per::Once}, {"tokens", Per::Tokens}, {"outputs", Per::Outputs}, {"sequences", Per::Sequences}});
      bool once = launch.per == Per::Once;
      launch.block = once ? 1 : in.integer(items, at + ".items", "block", 1, kMaxInt32);
      launch.times = in.integer(items, at + ".items", "times", 1, kMaxInt32);
      if (items.is_object() && items.contains("parts")) {
        launch.mostParts = in.integer(items, at + ".items", "parts", 1, kMaxInt32);
        launch.wanted = in.integer(items, at + ".items", "wanted", 1, kMaxInt32);
      }
      in.each(entry, at, "args", [&](const json &arg, const std::string &argPath) {
        launch.args.push_back(readArgument(in, arg, argPath, plan));
      });
      if (!in.status)
        checkTensorMaps(in, plan, launch, at);
      if (entry.is_object() && entry.contains("when"))
        launch.when = readCondition(in, entry["when"], at + ".when");
      if (entry.is_object() && entry.contains("product"))
        launch.product = readProduct(in, entry["product"], at + ".product", plan, launch);
      program.launches.push_back(std::move(launch));
    });
    plan.programs.push_back(std::move(program));
  });
}

void readSteps(PlanText &in, const json &root, Plan &plan) {
  in.each(root, "plan", "steps", [&](const json &value, const std::string &path) {
    PlanStep step;
    step.program =
        static_cast<uint32_t>(in.integer(value, path, "program", 0, static_cast<int64_t>(plan.programs.size()) - 1));
    step.layer = in.integer(value, path, "layer", -1, kMaxInt32);
    auto indices = [&](const char *key, size_t size, std::vector<uint32_t> &out) {
      in.each(value, path, key, [&](const json &index, const std::string &at) {
        out.push_back(static_cast<uint32_t>(in.integer(index, at, 0, static_cast<int64_t>(size) - 1)));
      });
    };
    indices("parameters", plan.parameters.size(), step.parameters);
    indices("caches", plan.caches.size(), step.caches);
    plan.steps.push_back(std::move(step));
  });
}

std::string describe(const PlanParameter &p) {
  std::string text = std::string(name(p.type)) + "[";
  for (size_t i = 0; i < p.shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(p.shape[i]);
  return text + "]";
}

void checkWeight(PlanText &in, const Plan &plan, const PlanLaunch &launch, const PlanStep &step,
                 const std::string &path) {
  const PlanProduct &product = *launch.product;
  if (launch.args[product.weight].kind == PlanArgument::Slot)
    return;
  uint32_t index = launch.args[product.weight].index;
  const PlanParameter &weight = plan.parameters[step.parameters[index]];
  PlanParameter want{"", plan.slots[launch.args[product.x].index].type, {product.columns, product.inner}, 0};
  if (weight.type != want.type || weight.shape != want.shape)
    in.expected(path + ".parameters[" + std::to_string(index) + "]", describe(want) + " for a product",
                describe(weight), " ('", weight.name, "')");
}

void checkMappedParameters(PlanText &in, const Plan &plan, const PlanLaunch &launch, const PlanStep &step,
                           const std::string &path) {
  for (const PlanTarget &target : plan.targets)
    for (const TensorMapInfo &map : target.kernels[launch.kernel].tensorMaps) {
      const PlanArgument &argument = launch.args[map.argument];
      if (argument.kind != PlanArgument::Parameter)
        continue;
      const PlanParameter &parameter = plan.parameters[step.parameters[argument.index]];
      bool inBlocks = blockFormat(parameter.type).has_value();
      std::string at = path + ".parameters[" + std::to_string(argument.index) + "]";
      if (parameter.bytes / bytes(PlanType::BF16) < static_cast<size_t>(map.columns))
        in.expected(at, "at least a row of " + std::to_string(map.columns) + " for a tensor map", describe(parameter),
                    " ('", parameter.name, "')");
      // Blocks are copied as they are: two bytes count as an element, and rows are those of the parameter.
      if (inBlocks && formats::rowBytes(*blockFormat(parameter.type), parameter.shape.back()) !=
                          map.columns * static_cast<int64_t>(bytes(PlanType::BF16)))
        in.expected(at, "rows of " + std::to_string(map.columns * bytes(PlanType::BF16)) + " bytes for a tensor map",
                    describe(parameter), " ('", parameter.name, "')");
      if (!inBlocks && parameter.type != PlanType::BF16)
        in.expected(at, "bf16 or blocks for a tensor map", describe(parameter), " ('", parameter.name, "')");
    }
}

/// A kernel is compiled for fixed types and shapes: what the steps that share a program hand to one argument must
/// agree, or the kernel would read behind the smaller one.
void checkUses(PlanText &in, const Plan &plan) {
  std::vector<const PlanStep *> first(plan.programs.size());
  for (size_t s = 0; s < plan.steps.size() && !in.status; ++s) {
    const PlanStep &step = plan.steps[s];
    std::string path = "plan.steps[" + std::to_string(s) + "]";
    const PlanStep *&model = first[step.program];
    for (const PlanLaunch &launch : plan.programs[step.program].launches) {
      for (const PlanArgument &arg : launch.args) {
        bool parameter = arg.kind == PlanArgument::Parameter || arg.kind == PlanArgument::Stack;
        if (arg.kind == PlanArgument::Slot || in.status)
          continue;
        size_t end = size_t(arg.index) + arg.count;
        size_t size = parameter ? step.parameters.size() : step.caches.size();
        if (end > size) {
          in.expected(path + (parameter ? ".parameters" : ".caches"), "at least " + std::to_string(end), size);
          continue;
        }
        for (size_t i = arg.index; i < end && parameter && !in.status; ++i) {
          // Tensors of a stack agree with its first.
          size_t like = arg.kind == PlanArgument::Stack ? arg.index : i;
          const PlanParameter &want = plan.parameters[(model ? *model : step).parameters[like]];
          const PlanParameter &have = plan.parameters[step.parameters[i]];
          if (want.type != have.type || want.shape != have.shape)
            in.expected(path + ".parameters[" + std::to_string(i) + "]", describe(want) + " as '" + want.name + "'",
                        describe(have), " ('", have.name, "')");
        }
        if (!parameter && model) {
          const PlanCache &want = plan.caches[model->caches[arg.index]], &have = plan.caches[step.caches[arg.index]];
          if (want.kind != have.kind || want.type != have.type || want.shape != have.shape)
            in.expected(path + ".caches[" + std::to_string(arg.index) + "]",
                        "a cache like '" + want.name + "' of an earlier step", "'" + have.name + "'");
        }
      }
    }
    for (const PlanLaunch &launch : plan.programs[step.program].launches) {
      if (launch.product && !in.status)
        checkWeight(in, plan, launch, step, path);
      if (!in.status)
        checkMappedParameters(in, plan, launch, step, path);
    }
    if (!model)
      model = &step;
  }
}

} // namespace

Status readPlan(std::string_view text, Machine machine, Plan &out) {
  json root = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return error(DENIM_STATUS_DATA_LOSS, "plan: expected a JSON object, but got ",
                 root.is_discarded() ? "text that is no JSON" : root.type_name());
  PlanText in;
  Plan plan;
  plan.machine = machine;
  const std::string path = "plan";
  plan.name = in.text(root, path, "name");
  plan.source = in.text(root, path, "source");
  plan.compiler = in.text(root, path, "compiler");
  plan.vocabulary = static_cast<int32_t>(in.integer(root, path, "vocabulary", 1, kMaxRowBytes / 4));
  if (in.status)
    return std::move(in.status);
  int64_t abi = in.integer(root, path, "kernel_abi", 0, kMaxInt32);
  if (!in.status && abi != DENIM_KERNEL_ABI_VERSION && abi != DENIM_KERNEL_ABI_TENSOR_MAPS)
    return error(DENIM_STATUS_INCOMPATIBLE, "module has kernels for ABI ", abi, ", this runtime calls ABI ",
                 DENIM_KERNEL_ABI_VERSION, " and ", DENIM_KERNEL_ABI_TENSOR_MAPS, "; recompile or update");
  in.integer(root, path, "page_tokens", DENIM_PAGE_TOKENS, DENIM_PAGE_TOKENS);
  in.each(root, path, "eos_tokens", [&](const json &value, const std::string &at) {
    plan.eosTokens.push_back(static_cast<int32_t>(in.integer(value, at, 0, plan.vocabulary - 1)));
  });
  readParameters(in, root, plan);
  readCaches(in, root, plan);
  readSlots(in, root, plan);
  readTargets(in, root, abi, plan);
  readPrograms(in, root, plan);
  readSteps(in, root, plan);
  plan.logits = static_cast<uint32_t>(in.integer(root, path, "logits", 0, static_cast<int64_t>(plan.slots.size()) - 1));
  if (in.status)
    return std::move(in.status);

  const PlanSlot &logits = plan.slots[plan.logits];
  if (logits.rows != Per::Outputs || logits.type != PlanType::F32 || logits.rowBytes != size_t(plan.vocabulary) * 4)
    in.expected("plan.slots[" + std::to_string(plan.logits) + "]",
                "f32 logits with a row of " + std::to_string(plan.vocabulary * int64_t(4)) + " bytes for each output",
                name(logits.type), ", ", logits.rowBytes, " bytes ", perRow(logits.rows));
  checkUses(in, plan);
  if (in.status)
    return std::move(in.status);
  out = std::move(plan);
  return {};
}

} // namespace denim
