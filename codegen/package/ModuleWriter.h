// Writes a module file: the plan and the code (runtime/abi/Module.h is the format).
#ifndef CODEGEN_PACKAGE_MODULEWRITER_H
#define CODEGEN_PACKAGE_MODULEWRITER_H

#include "llvm/Support/JSON.h"
#include <cstdint>
#include <string>
#include <vector>

namespace denim::codegen {

/// A tensor of the checkpoint, or a cache: name, element type ("bf16", "f32"), shape.
struct NamedShape {
  std::string name, kind, type;
  std::vector<int64_t> shape;
};

/// What a launch passes for one parameter of its kernel.
struct LaunchArgument {
  enum Kind { Slot, Parameter, Stack, Cache } kind;
  int64_t index;     ///< slot, or position in the step's own parameters or caches
  int64_t count = 1; ///< tensors of a stack
};

struct Launch {
  int64_t kernel; ///< index into ModulePlan::kernels
  std::vector<LaunchArgument> arguments;
};

struct Program {
  std::string name;
  std::vector<Launch> launches;
};

struct Step {
  int64_t program, layer;
  std::vector<int64_t> parameters, caches;
};

/// Work items of a kernel: times * ceil(count of `per` / block).
struct KernelItems {
  std::string name, per;
  int64_t block, times;
};

struct SlotSize {
  std::string rows;
  int64_t rowBytes;
};

/// Everything about a model but its code.
struct ModulePlan {
  std::string name, source;
  int64_t vocabulary = 0, logits = 0;
  std::vector<int64_t> eos;
  std::vector<NamedShape> parameters, caches;
  std::vector<SlotSize> slots;
  std::vector<KernelItems> kernels;
  std::vector<Program> programs;
  std::vector<Step> steps;
};

/// Code for one machine.
struct TargetCode {
  std::string name;
  std::vector<std::string> features;
  std::vector<int64_t> scratch; ///< bytes, in the order of ModulePlan::kernels
  std::vector<char> sharedObject;
};

/// The bytes of the module file; `text` is what the module was compiled from.
std::string writeModule(const ModulePlan &plan, const std::vector<TargetCode> &targets, const std::string &text);

} // namespace denim::codegen

#endif // CODEGEN_PACKAGE_MODULEWRITER_H
