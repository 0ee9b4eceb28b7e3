//===- Plan.h - what a module does, as checked data ---------------*- C++ -*-===//
//
// The plan of a module (its JSON is described in runtime/abi/Module.h) after every name, index and count was
// checked; code that walks it needs no checks of its own. Plain data, immutable once read.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_MODULE_PLAN_H
#define DENIM_RUNTIME_MODULE_PLAN_H

#include "formats/blocks/BlockFormat.h"
#include "runtime/base/Machine.h"
#include "runtime/base/TensorMap.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace denim {

/// The last two are of parameters alone: elements in blocks (formats/blocks).
enum class PlanType : uint8_t { F32, BF16, F16, Q8_0, Q4_0 };
std::string_view name(PlanType type);
/// The format of a type whose elements are in blocks.
std::optional<formats::BlockFormat> blockFormat(PlanType type);
/// Bytes of an element that stands for itself; those of a row where elements are in blocks are for its format to say.
size_t bytes(PlanType type);

struct PlanParameter {
  std::string name;
  PlanType type;
  std::vector<int64_t> shape;
  size_t bytes;
};

enum class CacheKind : uint8_t { State, Tail, Paged };
std::string_view name(CacheKind kind);

struct PlanCache {
  std::string name;
  CacheKind kind;
  PlanType type;
  std::vector<int64_t> shape;
  size_t bytes; ///< state, tail: of one slot, a multiple of the machine's alignment; paged: of one page
};

/// What a number of rows or work items follows.
enum class Per : uint8_t { Once, Tokens, Outputs, Sequences };

struct PlanSlot {
  Per rows; ///< Tokens, Outputs, or Once: one row whatever the step brings
  size_t rowBytes;
  PlanType type; ///< F32 or BF16
};

struct PlanArgument {
  enum Kind : uint8_t { Slot, Parameter, Stack, Cache } kind;
  uint32_t index; ///< Slot: of the plan; others: of the step's list
  uint32_t count; ///< Stack: consecutive parameters; others 1
};

/// In which passes a launch runs: when its own count, or the new tokens of some sequence, lie within [least, most].
struct PlanCondition {
  enum Of : uint8_t { Rows, Sequence } of;
  int64_t least, most;
  /// Of a sequence, 0: not asked for. All its tokens, in blocks of so many, are more blocks than one for each `stride`
  /// of the new ones.
  int64_t block = 0, stride = 1;
  int64_t tokens = 0; ///< of a sequence: the pass has at least so many
  /// Of a sequence: only passes that are even from so many such sequences on, or only passes that are not. 0: any.
  int64_t even = 0, uneven = 0;
  int64_t longest = INT64_MAX; ///< tokens of a sequence in an even pass
  /// Of a sequence: only passes with at least so many such sequences, or with fewer than so many. 0: any.
  int64_t sequences = 0, fewer = 0;

  /// Whether it may hold in a pass of so many new tokens, of whose sequences so many are such, with so many tokens in
  /// all and at most.
  bool holdsIn(int64_t newTokens, int64_t count, int64_t all, int64_t most) const {
    auto isEven = [&](int64_t least) { return count >= least && most <= longest && most * count <= 2 * all; };
    return newTokens >= tokens && count >= sequences && (fewer == 0 || count < fewer) && (even == 0 || isEven(even)) &&
           (uneven == 0 || !isEven(uneven));
  }
  bool holdsFor(int64_t past, int64_t count) const {
    return count >= least && count <= most && (block == 0 || (past + count + block - 1) / block > count / stride);
  }
  bool operator==(const PlanCondition &other) const {
    return of == other.of && least == other.least && most == other.most && block == other.block &&
           stride == other.stride && tokens == other.tokens && even == other.even && uneven == other.uneven &&
           longest == other.longest && sequences == other.sequences && fewer == other.fewer;
  }
};

/// That a launch computes out = x * weight^T (+ residual). Indices into its arguments, whose types and sizes fit; the
/// weight is a parameter or a slot with one row.
struct PlanProduct {
  uint32_t x, weight, out;
  std::optional<uint32_t> residual;
  int64_t inner, columns;
  int64_t least; ///< rows from which a library may do it
};

struct PlanLaunch {
  uint32_t kernel;
  Per per;
  int64_t block, times; ///< work items = times * ceil(count / block)
  /// Where these are fewer than `wanted`, each is cut into as many parts as make so many, at most `mostParts`.
  int64_t wanted = 0, mostParts = 1;
  std::vector<PlanArgument> args;
  std::optional<PlanCondition> when;
  std::optional<PlanProduct> product;

  int64_t items(int64_t count) const {
    int64_t whole = times * ((count + block - 1) / block);
    int64_t parts = whole ? std::clamp<int64_t>((wanted + whole - 1) / whole, 1, mostParts) : 1;
    return whole * parts;
  }
};

struct PlanProgram {
  std::string name;
  std::vector<PlanLaunch> launches;
};

struct PlanStep {
  uint32_t program;
  int64_t layer; ///< -1 outside of the layers; for people
  std::vector<uint32_t> parameters, caches;
};

struct PlanKernel {
  std::string name;
  uint64_t scratchBytes = 0; ///< CPU: private to each thread
  // CUDA: of each block, and what the assembler said of each thread (-1: it was not asked).
  uint32_t threads = 0, sharedBytes = 0;
  int64_t registers = -1, spillBytes = -1;
  bool overlaps = false; ///< waits itself for the kernel before, and may begin earlier
  std::vector<TensorMapInfo> tensorMaps;
};

struct PlanTarget {
  std::string name;
  std::vector<std::string> features;
  std::vector<PlanKernel> kernels;
};

struct Plan {
  Machine machine = Machine::Cpu;
  std::string name, source, compiler;
  int32_t vocabulary = 0;
  std::vector<int32_t> eosTokens;
  std::vector<PlanParameter> parameters;
  std::vector<PlanCache> caches;
  std::vector<PlanSlot> slots;
  std::vector<PlanProgram> programs;
  std::vector<PlanStep> steps;
  uint32_t logits = 0;
  std::vector<PlanTarget> targets;

  /// Bytes that one sequence holds whatever its length, and bytes that one page of tokens adds.
  size_t slotBytes() const;
  size_t pageBytes() const;
  size_t parameterBytes() const;
};

} // namespace denim

#endif
