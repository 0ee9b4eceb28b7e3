#include "codegen/package/ModuleWriter.h"
#include "runtime/abi/Kernel.h"
#include "runtime/abi/Module.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace denim::codegen;
namespace json = llvm::json;

template <typename T, typename Fn> static json::Array arrayOf(const std::vector<T> &values, Fn fn) {
  json::Array array;
  for (const T &value : values)
    array.push_back(fn(value));
  return array;
}

static json::Array numbers(const std::vector<int64_t> &values) {
  return arrayOf(values, [](int64_t n) { return json::Value(n); });
}

static json::Value argumentOf(const LaunchArgument &argument) {
  switch (argument.kind) {
  case LaunchArgument::Slot:
    return json::Array{"slot", argument.index};
  case LaunchArgument::Parameter:
    return json::Array{"parameter", argument.index};
  case LaunchArgument::Stack:
    return json::Array{"stack", argument.index, argument.count};
  case LaunchArgument::Cache:
    return json::Array{"cache", argument.index};
  }
  return nullptr;
}

static json::Value conditionOf(const LaunchCondition &when) {
  json::Object object{
      {"of", when.of == LaunchCondition::Rows ? "rows" : "sequence"}, {"least", when.least}, {"most", when.most}};
  if (when.block) {
    object["block"] = when.block;
    object["stride"] = when.stride;
  }
  std::pair<const char *, int64_t> others[] = {{"tokens", when.tokens},       {"even", when.even},
                                               {"uneven", when.uneven},       {"longest", when.longest},
                                               {"sequences", when.sequences}, {"fewer", when.fewer}};
  for (auto [key, number] : others)
    if (number)
      object[key] = number;
  return object;
}

static json::Value productOf(const LaunchProduct &product) {
  return json::Object{
      {"x", product.x},         {"weight", product.weight},   {"out", product.out},    {"residual", product.residual},
      {"inner", product.inner}, {"columns", product.columns}, {"least", product.least}};
}

static json::Value kernelOf(const KernelItems &kernel, const KernelCode &code, bool cuda) {
  if (!cuda)
    return json::Object{{"name", kernel.name}, {"scratch", code.scratchBytes}};
  const char *grid = kernel.mostParts > 1 ? "parts" : "items";
  json::Object object{
      {"name", kernel.name},         {"threads", code.threads},   {"shared", code.sharedBytes}, {"grid", grid},
      {"registers", code.registers}, {"spills", code.spillBytes}, {"overlaps", code.overlaps}};
  if (!code.tensorMaps.empty())
    object["tensor_maps"] = arrayOf(code.tensorMaps, [](const TensorMap &map) -> json::Value {
      return json::Object{
          {"memory", map.memory}, {"columns", map.columns}, {"box_rows", map.boxRows}, {"box_columns", map.boxColumns}};
    });
  return object;
}

/// The oldest that knows of all that the kernels take.
static int64_t kernelAbiOf(const std::vector<TargetCode> &targets) {
  for (const TargetCode &target : targets)
    for (const KernelCode &kernel : target.kernels)
      if (!kernel.tensorMaps.empty())
        return DENIM_KERNEL_ABI_TENSOR_MAPS;
  return DENIM_KERNEL_ABI_VERSION;
}

static json::Value planOf(const ModulePlan &plan, const std::vector<TargetCode> &targets) {
  auto launchOf = [&](const Launch &launch) -> json::Value {
    const KernelItems &kernel = plan.kernels[launch.kernel];
    json::Object items{{"per", kernel.per}, {"block", kernel.block}, {"times", kernel.times}};
    if (kernel.mostParts > 1) {
      items["parts"] = kernel.mostParts;
      items["wanted"] = kernel.wanted;
    }
    json::Object object{
        {"kernel", launch.kernel},
        {"items", std::move(items)},
        {"args", arrayOf(launch.arguments, argumentOf)},
    };
    if (launch.when)
      object["when"] = conditionOf(*launch.when);
    if (launch.product)
      object["product"] = productOf(*launch.product);
    return object;
  };
  auto targetOf = [&](const TargetCode &target) -> json::Value {
    json::Array kernels;
    for (size_t i = 0; i < plan.kernels.size(); ++i)
      kernels.push_back(kernelOf(plan.kernels[i], target.kernels[i], plan.machine == "cuda"));
    return json::Object{{"name", target.name},
                        {"features", arrayOf(target.features, [](const std::string &f) { return json::Value(f); })},
                        {"kernels", std::move(kernels)}};
  };
  return json::Object{
      {"name", plan.name},
      {"vocabulary", plan.vocabulary},
      {"kernel_abi", kernelAbiOf(targets)},
      {"page_tokens", DENIM_PAGE_TOKENS},
      {"source", plan.source},
      {"compiler", "denim 0.1"},
      {"eos_tokens", numbers(plan.eos)},
      {"parameters", arrayOf(plan.parameters,
                             [](const NamedShape &p) -> json::Value {
                               return json::Object{{"name", p.name}, {"type", p.type}, {"shape", numbers(p.shape)}};
                             })},
      {"caches",
       arrayOf(plan.caches,
               [](const NamedShape &c) -> json::Value {
                 return json::Object{{"name", c.name}, {"kind", c.kind}, {"type", c.type}, {"shape", numbers(c.shape)}};
               })},
      {"slots", arrayOf(plan.slots,
                        [](const SlotSize &s) -> json::Value {
                          return json::Object{{"rows", s.rows}, {"row_bytes", s.rowBytes}, {"type", s.type}};
                        })},
      {"programs", arrayOf(plan.programs,
                           [&](const Program &p) -> json::Value {
                             return json::Object{{"name", p.name}, {"launches", arrayOf(p.launches, launchOf)}};
                           })},
      {"steps", arrayOf(plan.steps,
                        [](const Step &s) -> json::Value {
                          return json::Object{{"program", s.program},
                                              {"layer", s.layer},
                                              {"parameters", numbers(s.parameters)},
                                              {"caches", numbers(s.caches)}};
                        })},
      {"logits", plan.logits},
      {"targets", arrayOf(targets, targetOf)},
  };
}

std::string denim::codegen::writeModule(const std::vector<MachineCode> &machines, const std::string &text) {
  struct Section {
    std::string kind, name, bytes;
  };
  std::vector<Section> sections;
  for (const MachineCode &machine : machines)
    sections.push_back(
        {"plan", machine.plan.machine, llvm::formatv("{0}", planOf(machine.plan, machine.targets)).str()});
  for (const MachineCode &machine : machines) {
    for (const TargetCode &target : machine.targets) {
      if (!target.object.empty())
        sections.push_back({"code", target.name, std::string(target.object.begin(), target.object.end())});
      if (!target.ptx.empty())
        sections.push_back({"ptx", target.name, target.ptx});
    }
  }
  sections.push_back({"text", "model", text});

  std::string file(sizeof(denim_module_header_t) + sections.size() * sizeof(denim_module_section_t), '\0');
  for (size_t i = 0; i < sections.size(); ++i) {
    file.resize(llvm::alignTo(file.size(), DENIM_MODULE_ALIGNMENT), '\0');
    denim_module_section_t entry = {};
    strncpy(entry.kind, sections[i].kind.c_str(), sizeof entry.kind - 1);
    strncpy(entry.name, sections[i].name.c_str(), sizeof entry.name - 1);
    entry.offset = file.size();
    entry.bytes = sections[i].bytes.size();
    memcpy(&file[sizeof(denim_module_header_t) + i * sizeof entry], &entry, sizeof entry);
    file += sections[i].bytes;
  }
  denim_module_header_t header = {};
  memcpy(header.magic, DENIM_MODULE_MAGIC, sizeof header.magic);
  header.version = DENIM_MODULE_VERSION;
  header.section_count = sections.size();
  header.file_bytes = file.size();
  header.checksum = denim_module_checksum(file.data() + sizeof header, file.size() - sizeof header);
  memcpy(file.data(), &header, sizeof header);
  return file;
}
