//===- Inspect.cpp - denim-run inspect ------------------------------------===//

#include "runtime/tools/Commands.h"

#include <cstdio>

namespace denim {

namespace {

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

const char *perText(Per per) {
  switch (per) {
  case Per::Once:
    return "once";
  case Per::Tokens:
    return "tokens";
  case Per::Outputs:
    return "outputs";
  case Per::Sequences:
    return "sequences";
  }
  return "?";
}

void printPrograms(const Plan &plan) {
  const std::vector<PlanKernel> &kernels = plan.targets[0].kernels;
  std::printf("\nprograms:\n");
  for (size_t p = 0; p < plan.programs.size(); ++p) {
    size_t uses = 0;
    for (const PlanStep &step : plan.steps)
      uses += step.program == p;
    std::printf("  %s, run %zu times in a step\n", plan.programs[p].name.c_str(), uses);
    for (const PlanLaunch &launch : plan.programs[p].launches) {
      std::printf("    %-40s %lld x %s", kernels[launch.kernel].name.c_str(), static_cast<long long>(launch.times),
                  perText(launch.per));
      if (launch.block != 1)
        std::printf(" / %lld", static_cast<long long>(launch.block));
      std::printf(", %zu arguments", launch.args.size());
      if (launch.when)
        std::printf(", when %s in [%lld, %lld]", launch.when->of == PlanCondition::Rows ? "rows" : "a sequence",
                    static_cast<long long>(launch.when->least), static_cast<long long>(launch.when->most));
      if (launch.when && launch.when->block)
        std::printf(" and more blocks of %lld keys than one per %lld of them",
                    static_cast<long long>(launch.when->block), static_cast<long long>(launch.when->stride));
      if (launch.when && launch.when->tokens)
        std::printf(", of %lld tokens and more", static_cast<long long>(launch.when->tokens));
      if (launch.when && launch.when->sequences)
        std::printf(", %lld sequences and more", static_cast<long long>(launch.when->sequences));
      if (launch.when && launch.when->fewer)
        std::printf(", fewer than %lld sequences", static_cast<long long>(launch.when->fewer));
      if (launch.when && (launch.when->even || launch.when->uneven))
        std::printf(", %s %lld sequences of about one length", launch.when->even ? "from" : "unless there are",
                    static_cast<long long>(launch.when->even ? launch.when->even : launch.when->uneven));
      if (launch.product)
        std::printf(", a product %lld x %lld from %lld rows", static_cast<long long>(launch.product->columns),
                    static_cast<long long>(launch.product->inner), static_cast<long long>(launch.product->least));
      std::printf("\n");
    }
  }
}

void printTargets(const Module &module, const Plan &plan) {
  std::shared_ptr<Device> device;
  Status absent = createDevice(name(plan.machine), 1, device);
  std::printf("\ntargets of %s:\n", std::string(name(plan.machine)).c_str());
  if (absent)
    std::printf("  no such device here: %s\n", absent.message().c_str());
  for (const PlanTarget &target : plan.targets) {
    std::string missing;
    for (const std::string &feature : target.features)
      if (device && !device->hasFeature(feature))
        missing += " " + feature;
    const ModuleSection *code = module.find("code", target.name), *ptx = module.find("ptx", target.name);
    std::printf("  %-20s %zu kernels, %zu bytes of code", target.name.c_str(), target.kernels.size(),
                code ? code->content.size() : 0);
    if (ptx)
      std::printf(", %zu bytes of PTX", ptx->content.size());
    std::printf("%s%s\n",
                !device           ? ""
                : missing.empty() ? ", runs here"
                                  : ", not here: this machine lacks",
                missing.c_str());
    if (plan.machine != Machine::Cuda)
      continue;
    // What the assembler did not say is -1.
    for (const PlanKernel &kernel : target.kernels) {
      std::printf("    %-40s %4u threads, %6u bytes shared, %3lld registers, %lld bytes spilled\n", kernel.name.c_str(),
                  kernel.threads, kernel.sharedBytes, static_cast<long long>(kernel.registers),
                  static_cast<long long>(kernel.spillBytes));
      for (const TensorMapInfo &map : kernel.tensorMaps)
        std::printf("      argument %u in boxes of %u x %u, rows of %lld\n", map.argument, map.boxRows, map.boxColumns,
                    static_cast<long long>(map.columns));
    }
  }
}

void printPlan(const Module &module, const Plan &plan) {
  std::printf("\nmachine %s\n", std::string(name(plan.machine)).c_str());
  std::printf("\nparameters: %zu, %zu bytes\n", plan.parameters.size(), plan.parameterBytes());
  for (const PlanParameter &p : plan.parameters)
    std::printf("  %-60s %s%s\n", p.name.c_str(), std::string(name(p.type)).c_str(), shapeText(p.shape).c_str());

  std::printf("\ncaches: %zu bytes for each sequence, %zu bytes for each token (in pages of %d)\n", plan.slotBytes(),
              plan.pageBytes() / DENIM_PAGE_TOKENS, DENIM_PAGE_TOKENS);
  for (const PlanCache &c : plan.caches) {
    bool paged = c.kind == CacheKind::Paged;
    std::printf("  %-40s %-5s %s%s  %zu bytes per %s\n", c.name.c_str(), std::string(name(c.kind)).c_str(),
                std::string(name(c.type)).c_str(), shapeText(c.shape).c_str(),
                paged ? c.bytes / DENIM_PAGE_TOKENS : c.bytes, paged ? "token" : "sequence");
  }

  size_t tokenBytes = 0, outputBytes = 0, onceBytes = 0;
  for (const PlanSlot &slot : plan.slots)
    (slot.rows == Per::Tokens ? tokenBytes : slot.rows == Per::Outputs ? outputBytes : onceBytes) += slot.rowBytes;
  std::printf("\nactivations: %zu slots, %zu bytes per token, %zu bytes per output", plan.slots.size(), tokenBytes,
              outputBytes);
  std::printf(onceBytes ? ", %zu bytes in all steps\n" : "\n", onceBytes);

  printPrograms(plan);
  printTargets(module, plan);
}

} // namespace

Status runInspect(int count, char **words) {
  Arguments arguments;
  if (Status status = Arguments::parse(count, words, {"--text"}, arguments))
    return status;
  std::shared_ptr<const Module> module;
  if (Status status = Module::open(arguments.file(), module))
    return status;
  if (arguments.has("--text")) {
    std::string phase = arguments.text("--text", "");
    const ModuleSection *text = module->find("text", phase);
    if (!text)
      return error(DENIM_STATUS_NOT_FOUND, "'", arguments.file(), "': expected a section text/", phase,
                   ", but got none");
    std::fwrite(text->content.data(), 1, text->content.size(), stdout);
    return {};
  }
  const Plan &any = module->anyPlan();
  std::printf("%s: vocabulary %d, from %s, by %s\n", any.name.c_str(), any.vocabulary, any.source.c_str(),
              any.compiler.c_str());
  std::printf("\ntexts:");
  for (const ModuleSection &section : module->sections())
    if (section.kind == "text")
      std::printf(" %s (%zu bytes)", section.name.c_str(), section.content.size());
  std::printf("\n");
  for (const Plan &plan : module->plans())
    printPlan(*module, plan);
  return {};
}

} // namespace denim
