//===- ModuleReader.h - a module file, mapped and checked ---------*- C++ -*-===//
//
// Owner: shared; a session keeps its module. Threads: immutable after opening; any number may read.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_MODULE_MODULEREADER_H
#define DENIM_RUNTIME_MODULE_MODULEREADER_H

#include "formats/file/MappedFile.h"
#include "runtime/device/Device.h"
#include "runtime/module/Plan.h"

namespace denim {

struct ModuleSection {
  std::string kind, name;
  std::string_view content; ///< in the mapped file
};

class Module {
public:
  /// Maps a file and checks all of it: version, size, checksum, sections, and every value of the plan.
  static Status open(const std::string &path, std::shared_ptr<const Module> &out);

  const std::string &path() const { return source; }
  /// One for each machine that the module has code for, at least one; CPU first.
  const std::vector<Plan> &plans() const { return checkedPlans; }
  /// What all plans say alike: name, vocabulary, end tokens.
  const Plan &anyPlan() const { return checkedPlans.front(); }
  /// The plan for |machine|, which lives as long as the module.
  Status plan(Machine machine, const Plan *&out) const;
  const std::vector<ModuleSection> &sections() const { return allSections; }
  const ModuleSection *find(std::string_view kind, std::string_view name) const;

  /// Loads the first target whose features |device| has; |outTarget| indexes the targets of its machine's plan.
  Status load(Device &device, size_t &outTarget, std::shared_ptr<const Executable> &outExecutable) const;

private:
  Status read();

  std::string source;
  formats::MappedFile file;
  std::vector<ModuleSection> allSections;
  std::vector<Plan> checkedPlans;
};

} // namespace denim

#endif
