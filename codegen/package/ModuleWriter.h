// Writes a module file: the plan and the code (runtime/abi/Module.h is the format).
#ifndef CODEGEN_PACKAGE_MODULEWRITER_H
#define CODEGEN_PACKAGE_MODULEWRITER_H

#include "codegen/target/TensorMap.h"
#include "llvm/Support/JSON.h"
#include <cstdint>
#include <optional>
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

/// In which passes a launch runs: when its count of rows, or the new tokens of some sequence, lie within [least, most].
struct LaunchCondition {
  enum Of { Rows, Sequence } of;
  int64_t least, most;
  int64_t block = 0, stride = 1; ///< 0: keys do not count
  int64_t tokens = 0;            ///< that the pass has at least
  int64_t even = 0, uneven = 0;  ///< sequences of passes with even lengths, and of passes it is not for; 0: any
  int64_t longest = 0;           ///< tokens of a sequence of such passes; 0: any
  int64_t sequences = 0;         ///< such sequences that the pass has at least
  int64_t fewer = 0;             ///< such sequences that the pass has less than; 0: any
};

/// That a launch computes out = x * weight^T (+ residual): positions in its arguments; residual -1: none.
struct LaunchProduct {
  int64_t x, weight, out, residual;
  int64_t inner, columns;
  int64_t least; ///< rows from which a library may do it instead
};

struct Launch {
  int64_t kernel; ///< index into ModulePlan::kernels
  std::vector<LaunchArgument> arguments;
  std::optional<LaunchCondition> when;
  std::optional<LaunchProduct> product;
};

struct Program {
  std::string name;
  std::vector<Launch> launches;
};

struct Step {
  int64_t program, layer;
  std::vector<int64_t> parameters, caches;
};

/// Work items of a kernel: times * ceil(count of `per` / block), each in parts where they are few
/// (runtime/abi/Module.h).
struct KernelItems {
  std::string name, per;
  int64_t block, times;
  int64_t mostParts = 1, wanted = 1;
};

struct SlotSize {
  std::string rows;
  int64_t rowBytes;
  std::string type = "f32";
};

/// Everything about a model on one kind of machine but its code.
struct ModulePlan {
  std::string machine = "cpu"; ///< "cpu" or "cuda"
  std::string name, source;
  int64_t vocabulary = 0, logits = 0;
  std::vector<int64_t> eos;
  std::vector<NamedShape> parameters, caches;
  std::vector<SlotSize> slots;
  std::vector<KernelItems> kernels;
  std::vector<Program> programs;
  std::vector<Step> steps;
};

/// What a target makes of a kernel. On a CPU only scratch counts, on a CUDA device the others.
struct KernelCode {
  int64_t scratchBytes = 0;
  int64_t threads = 0, sharedBytes = 0;    ///< of a block; shared memory that is asked for at the launch
  int64_t registers = -1, spillBytes = -1; ///< of a thread; -1 when no assembler was there
  bool overlaps = false;                   ///< waits itself for the kernel before
  std::vector<TensorMap> tensorMaps = {};  ///< what it takes behind its arguments
};

/// Code for one target.
struct TargetCode {
  std::string name;
  std::vector<std::string> features;
  std::vector<KernelCode> kernels; ///< in the order of ModulePlan::kernels
  std::vector<char> object;        ///< an ELF shared object or a cubin; empty: none
  std::string ptx;                 ///< of CUDA targets
};

/// A machine's plan and code for it, the best target first.
struct MachineCode {
  ModulePlan plan;
  std::vector<TargetCode> targets;
};

/// The bytes of the module file; `text` is what the module was compiled from.
std::string writeModule(const std::vector<MachineCode> &machines, const std::string &text);

} // namespace denim::codegen

#endif // CODEGEN_PACKAGE_MODULEWRITER_H
