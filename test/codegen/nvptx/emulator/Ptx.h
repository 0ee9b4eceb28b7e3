// PTX text as statements: labels resolved, operands taken apart, nothing understood yet.
//
// Read is what LLVM's NVPTX backend and our inline assembly write: entries with parameters, register declarations in
// nested scopes, statements with guards, labels. Functions, calls and static shared variables are refused.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_PTX_H
#define TEST_CODEGEN_NVPTX_EMULATOR_PTX_H

#include <cstdint>
#include <string>
#include <vector>

namespace denim::ptx {

enum class RegisterClass : uint8_t { predicate, bits16, bits32, bits64 };

struct Operand {
  enum class Kind : uint8_t { reg, integer, real, address, list, symbol, sink };
  Kind kind = Kind::sink;
  bool negated = false;      ///< `!%p1`
  int32_t index = -1;        ///< reg and base of an address: into Entry::registers; -1: the base is a symbol or none
  int64_t value = 0;         ///< integer; bits of a real; offset of an address
  bool wide = false;         ///< real: of 64 bits
  std::string name;          ///< symbol, special register, base of an address
  std::vector<Operand> list; ///< {a, b}; address: what follows the base, [map, {a, b}]
};

struct Statement {
  int32_t line = 0;
  int32_t guard = -1; ///< index of a predicate register, or -1
  bool guardNegated = false;
  std::vector<std::string> opcode; ///< "ld", "shared", "v4", "b32"
  std::vector<Operand> operands;
  int32_t target = -1;          ///< of a branch: index of a statement
  std::vector<int32_t> targets; ///< of brx.idx
  bool is(size_t part, const char *text) const { return part < opcode.size() && opcode[part] == text; }
  bool has(const char *text) const;
  std::string name() const; ///< "ld.shared.v4.b32"
};

struct Register {
  std::string name;
  RegisterClass type;
};

struct Parameter {
  std::string name;
  int64_t offset, bytes;
};

struct Entry {
  std::string name;
  int64_t mostThreads = 0; ///< .maxntid
  std::vector<Parameter> parameters;
  std::vector<Register> registers;
  std::vector<Statement> statements;
};

struct Module {
  std::vector<Entry> entries;
  std::vector<std::string> lines;         ///< of the text, for messages
  std::vector<std::string> dynamicShared; ///< symbols of `.extern .shared`
};

/// False, and a message with the line, when the text is not of the kind above.
bool parse(const std::string &text, Module &out, std::string &error);

/// A change of PTX text, to see that what it breaks is found: `from` becomes `to` in entries whose name holds `entry`,
/// everywhere or (`at`, from 1) where it is found for the n-th time.
struct Mutation {
  std::string entry, from, to;
  int64_t at = 0;
  /// False when there is nothing to change.
  bool apply(std::string &text) const;
};

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_PTX_H
