// An entry in the form that is executed: every operand is a slot of a warp's register file.
//
// A slot holds 32 lanes of 32 bits; a register of 64 bits takes two, one of 16 bits the lower halves of one, a
// predicate the first word of one, a bit for each lane. Constants and special registers are slots too, filled when a
// warp starts, so that handlers see no difference.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_PROGRAM_H
#define TEST_CODEGEN_NVPTX_EMULATOR_PROGRAM_H

#include "test/codegen/nvptx/emulator/Ptx.h"
#include <memory>

namespace denim::ptx {

class Warp;
struct Instruction;

/// Does the instruction for the lanes of the mask, at least one.
using Execute = void (*)(Warp &, const Instruction &, uint32_t lanes);

enum class Flow : uint8_t {
  plain,  ///< each lane for itself
  branch, ///< to `target`, lanes whose guard holds
  jump,   ///< to the target whose number is in the slot
  exit,
  waits,   ///< may have to be tried again later: `Warp::blocked`
  together ///< the same, and all lanes of the warp execute it at once (.aligned)
};

using Slot = uint32_t;

struct Instruction {
  Execute execute = nullptr;
  Flow flow = Flow::plain;
  bool guardNegated = false;
  int32_t guard = -1; ///< slot
  int32_t line = 0;
  int32_t target = -1;
  std::vector<int32_t> targets;
  uint8_t outs = 0;               ///< registers that are written; they come first in `slots`. 0 for more than 255
  int64_t offset = 0;             ///< of an address
  int64_t immediate[3] = {};      ///< what the opcode and constant operands say; each handler's own
  std::vector<Slot> slots;        ///< registers written, then registers read
  std::vector<Slot> accumulators; ///< wgmma: read and written while it is in flight
  Slot in(size_t i) const { return slots[outs + i]; }
};

/// What a slot holds when a warp starts.
struct Preset {
  enum class Kind : uint8_t { constant, threadX, laneId, blockX, threadsX, blocksX };
  Slot slot;
  Kind kind;
  bool wide;
  uint64_t value;
};

struct Program {
  std::string name;
  std::vector<Instruction> code;
  std::vector<Preset> presets;
  std::vector<Parameter> parameters;
  Slot slots = 0;
  int64_t mostThreads = 0;
  bool usesGroups = false; ///< wgmma
  bool waits = false;      ///< griddepcontrol.wait: it may begin while the launches before it run
  std::shared_ptr<const Module> text;
};

/// Where dynamic shared memory begins in the shared window; the first kilobyte is the system's on real machines.
constexpr uint32_t kSharedBase = 1024;

/// Turns statements into instructions; the message names the line.
bool decode(const std::shared_ptr<const Module> &module, const Entry &entry, Program &out, std::string &error);

/// What the files for topics use to turn one statement into an instruction.
class Decoder {
public:
  Decoder(const Module &module, const Entry &entry, Program &out);

  /// The slot of a register or constant read with this type ("b32", "f64", "pred", ...).
  Slot read(const Operand &operand, const std::string &type);
  Slot written(const Operand &operand, const std::string &type);
  /// A register that names an address, and its offset.
  Slot address(const Operand &operand, Instruction &to, bool shared);
  void outs(Instruction &to, const Operand &operand, const std::string &type);
  void ins(Instruction &to, const Operand &operand, const std::string &type);
  int64_t integer(const Operand &operand);
  /// "b16", "b32" or "b64": ld and st take registers wider than what they move.
  std::string holder(const Operand &operand, const std::string &type) const;
  void fail(const std::string &what) {
    if (error.empty())
      error = what;
  }

  std::string error;
  Program &program;

private:
  Slot constant(uint64_t value, bool wide);
  const Module &module;
  const Entry &entry;
  std::vector<Slot> slotOf; ///< of Entry::registers
};

/// Each decodes the statements of its topic; false: not one of its.
bool decodeArithmetic(const Statement &statement, Decoder &decoder, Instruction &to);
bool decodeConversion(const Statement &statement, Decoder &decoder, Instruction &to);
bool decodeMemory(const Statement &statement, Decoder &decoder, Instruction &to);
bool decodeWarp(const Statement &statement, Decoder &decoder, Instruction &to);
bool decodeSignals(const Statement &statement, Decoder &decoder, Instruction &to);
bool decodeAsync(const Statement &statement, Decoder &decoder, Instruction &to);
bool decodeGroup(const Statement &statement, Decoder &decoder, Instruction &to);

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_PROGRAM_H
