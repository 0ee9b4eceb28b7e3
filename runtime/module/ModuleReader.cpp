//===- ModuleReader.cpp - a module file, mapped and checked ---------------===//

#include "runtime/module/ModuleReader.h"
#include "runtime/abi/Module.h"
#include "runtime/module/PlanReader.h"

#include <cstring>
#include <set>

namespace denim {

namespace {

/// A zero-padded name; false if it is not padded with zeros or has other than printable characters.
template <size_t N> bool paddedName(const char (&field)[N], std::string &out) {
  size_t length = strnlen(field, N);
  out.assign(field, length);
  for (size_t i = 0; i < N; ++i)
    if (i < length ? field[i] <= ' ' || field[i] > '~' : field[i] != 0)
      return false;
  return true;
}

} // namespace

Status Module::open(const std::string &path, std::shared_ptr<const Module> &out) {
  auto module = std::make_shared<Module>();
  module->source = path;
  if (formats::Error fault = formats::MappedFile::open(path, module->file))
    return error(DENIM_STATUS_NOT_FOUND, fault.message());
  if (Status status = module->read())
    return error(status.code(), "'", path, "': ", status.message());
  out = std::move(module);
  return {};
}

Status Module::read() {
  denim_module_header_t header;
  auto damaged = [](const auto &...parts) { return error(DENIM_STATUS_DATA_LOSS, parts...); };
  if (file.size() < sizeof header)
    return damaged("expected a module of at least ", sizeof header, " bytes, but got ", file.size());
  std::memcpy(&header, file.data(), sizeof header);
  if (std::memcmp(header.magic, DENIM_MODULE_MAGIC, sizeof header.magic) != 0)
    return damaged("expected a Denim module, but got another kind of file");
  if (header.version != DENIM_MODULE_VERSION)
    return error(DENIM_STATUS_INCOMPATIBLE, "expected a module of version ", DENIM_MODULE_VERSION, ", but got ",
                 header.version, "; ", header.version < DENIM_MODULE_VERSION ? "recompile it" : "update this runtime");
  if (header.file_bytes != file.size())
    return damaged("expected ", header.file_bytes, " bytes as the header says, but got ", file.size());
  uint64_t checksum = denim_module_checksum(file.data() + sizeof header, file.size() - sizeof header);
  if (checksum != header.checksum)
    return damaged("expected checksum ", header.checksum, ", but got ", checksum, "; the file is damaged");

  uint64_t tableRoom = (file.size() - sizeof header) / sizeof(denim_module_section_t);
  if (header.section_count > tableRoom)
    return damaged("expected at most ", tableRoom, " sections in this size, but got ", header.section_count);
  uint64_t firstByte = sizeof header + header.section_count * sizeof(denim_module_section_t);
  std::set<std::pair<std::string, std::string>> names;
  for (uint32_t i = 0; i < header.section_count; ++i) {
    denim_module_section_t entry;
    std::memcpy(&entry, file.data() + sizeof header + i * sizeof entry, sizeof entry);
    ModuleSection section;
    if (!paddedName(entry.kind, section.kind) || !paddedName(entry.name, section.name))
      return damaged("section ", i, ": expected printable names, but got others");
    if (entry.offset % DENIM_MODULE_ALIGNMENT != 0 || entry.offset < firstByte || entry.offset > file.size() ||
        entry.bytes > file.size() - entry.offset)
      return damaged("section ", i, " (", section.kind, "/", section.name, "): expected a multiple of ",
                     DENIM_MODULE_ALIGNMENT, " and an end within ", file.size(), " bytes, but got ", entry.bytes,
                     " bytes at ", entry.offset);
    if (!names.emplace(section.kind, section.name).second)
      return damaged("section ", i, ": expected each section once, but got ", section.kind, "/", section.name,
                     " again");
    section.content =
        std::string_view(reinterpret_cast<const char *>(file.data()) + entry.offset, static_cast<size_t>(entry.bytes));
    allSections.push_back(std::move(section));
  }

  for (Machine machine : kMachines) {
    const ModuleSection *text = find("plan", name(machine));
    if (!text)
      continue;
    Plan plan;
    if (Status status = readPlan(text->content, machine, plan))
      return error(status.code(), "plan/", name(machine), ": ", status.message());
    // The driver can compile PTX for a device that no cubin fits.
    std::string_view kind = machine == Machine::Cpu ? "code" : "ptx";
    for (const PlanTarget &target : plan.targets)
      if (!find(kind, target.name))
        return damaged("expected a section ", kind, "/", target.name, ", but got none");
    if (!checkedPlans.empty() && (plan.name != anyPlan().name || plan.vocabulary != anyPlan().vocabulary ||
                                  plan.eosTokens != anyPlan().eosTokens))
      return damaged("expected plans of one model, but got '", anyPlan().name, "' with vocabulary ",
                     anyPlan().vocabulary, " and '", plan.name, "' with vocabulary ", plan.vocabulary);
    checkedPlans.push_back(std::move(plan));
  }
  if (checkedPlans.empty())
    return damaged("expected a section plan/cpu or plan/cuda, but got none");
  return {};
}

Status Module::plan(Machine machine, const Plan *&out) const {
  std::string have;
  for (const Plan &plan : checkedPlans) {
    if (plan.machine == machine) {
      out = &plan;
      return {};
    }
    have += (have.empty() ? "" : ", ") + std::string(name(plan.machine));
  }
  return error(DENIM_STATUS_INCOMPATIBLE, "'", source, "': expected a plan for ", name(machine), ", but got one for ",
               have);
}

const ModuleSection *Module::find(std::string_view kind, std::string_view name) const {
  for (const ModuleSection &section : allSections)
    if (section.kind == kind && section.name == name)
      return &section;
  return nullptr;
}

Status Module::load(Device &device, size_t &outTarget, std::shared_ptr<const Executable> &outExecutable) const {
  const Plan *found = nullptr;
  if (Status status = plan(device.machine(), found))
    return status;
  std::string tried;
  for (size_t t = 0; t < found->targets.size(); ++t) {
    const PlanTarget &target = found->targets[t];
    const std::string *missing = nullptr;
    for (const std::string &feature : target.features)
      if (!missing && !device.hasFeature(feature))
        missing = &feature;
    if (missing) {
      tried += (tried.empty() ? "" : ", ") + target.name + " (this one lacks " + *missing + ")";
      continue;
    }
    auto content = [&](std::string_view kind) {
      const ModuleSection *section = find(kind, target.name);
      return section ? section->content : std::string_view();
    };
    std::vector<KernelInfo> kernels;
    for (const PlanKernel &kernel : target.kernels)
      kernels.push_back(
          {kernel.name, kernel.scratchBytes, kernel.threads, kernel.sharedBytes, kernel.overlaps, kernel.tensorMaps});
    std::shared_ptr<const Executable> executable;
    if (Status status = device.load({target.name, content("code"), content("ptx")}, kernels, executable))
      return error(status.code(), "'", source, "': target ", target.name, ": ", status.message());
    outTarget = t;
    outExecutable = std::move(executable);
    return {};
  }
  return error(DENIM_STATUS_INCOMPATIBLE, "'", source,
               "': expected a machine for one of the module's targets, but got ", device.name(), ": ", tried);
}

} // namespace denim
