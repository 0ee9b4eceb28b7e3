// Statements to instructions: slots of registers, constants, control flow. What an opcode does is in the topics' files.
#include "test/codegen/nvptx/emulator/Program.h"

using namespace denim::ptx;

static bool isWide(const std::string &type) {
  return type.size() == 3 && type[1] == '6' && type[2] == '4';
}

Decoder::Decoder(const Module &module, const Entry &entry, Program &out) : program(out), module(module), entry(entry) {
  for (const Register &reg : entry.registers) {
    slotOf.push_back(program.slots);
    program.slots += reg.type == RegisterClass::bits64 ? 2 : 1;
  }
}

Slot Decoder::constant(uint64_t value, bool wide) {
  for (const Preset &preset : program.presets)
    if (preset.kind == Preset::Kind::constant && preset.value == value && preset.wide == wide)
      return preset.slot;
  program.presets.push_back({program.slots, Preset::Kind::constant, wide, value});
  program.slots += wide ? 2 : 1;
  return program.presets.back().slot;
}

static const char *nameOf(RegisterClass type) {
  switch (type) {
  case RegisterClass::predicate:
    return "a predicate";
  case RegisterClass::bits16:
    return "16 bits";
  case RegisterClass::bits32:
    return "32 bits";
  case RegisterClass::bits64:
    return "64 bits";
  }
  return "?";
}

static RegisterClass classOf(const std::string &type) {
  if (type == "pred")
    return RegisterClass::predicate;
  if (isWide(type))
    return RegisterClass::bits64;
  bool half = type.size() >= 2 && type.substr(type.size() - 2) == "16" && type != "bf16x2" && type != "f16x2";
  return half ? RegisterClass::bits16 : RegisterClass::bits32;
}

Slot Decoder::read(const Operand &operand, const std::string &type) {
  bool wide = isWide(type);
  switch (operand.kind) {
  case Operand::Kind::reg: {
    RegisterClass have = entry.registers[operand.index].type, want = classOf(type);
    if (have != want)
      fail("expected " + operand.name + " to have " + nameOf(want) + ", but it has " + nameOf(have));
    return slotOf[operand.index];
  }
  case Operand::Kind::integer:
    return constant(wide ? uint64_t(operand.value) : uint32_t(operand.value), wide);
  case Operand::Kind::real:
    if (operand.wide != wide)
      fail("expected a constant of " + std::string(wide ? "64" : "32") + " bits");
    return constant(uint64_t(operand.value), wide);
  case Operand::Kind::symbol: {
    static const std::pair<const char *, Preset::Kind> specials[] = {{"%tid.x", Preset::Kind::threadX},
                                                                     {"%laneid", Preset::Kind::laneId},
                                                                     {"%ctaid.x", Preset::Kind::blockX},
                                                                     {"%ntid.x", Preset::Kind::threadsX},
                                                                     {"%nctaid.x", Preset::Kind::blocksX}};
    for (auto [name, kind] : specials)
      if (operand.name == name) {
        for (const Preset &preset : program.presets)
          if (preset.kind == kind && preset.wide == wide)
            return preset.slot;
        program.presets.push_back({program.slots, kind, wide, 0});
        program.slots += wide ? 2 : 1;
        return program.presets.back().slot;
      }
    // Blocks are one-dimensional here; a launch with more is refused.
    for (const char *zero : {"%tid.y", "%tid.z", "%ctaid.y", "%ctaid.z"})
      if (operand.name == zero)
        return constant(0, wide);
    for (const std::string &shared : module.dynamicShared)
      if (operand.name == shared)
        return constant(kSharedBase, wide);
    // The address of a parameter counts from the first one; cvta.param makes it one of the generic window.
    for (const Parameter &parameter : program.parameters)
      if (operand.name == parameter.name)
        return constant(uint64_t(parameter.offset), wide);
    fail("expected a register, a constant, a parameter or dynamic shared memory, but got '" + operand.name + "'");
    return 0;
  }
  default:
    fail("expected a register or a constant, but got another operand");
    return 0;
  }
}

Slot Decoder::written(const Operand &operand, const std::string &type) {
  if (operand.kind == Operand::Kind::reg)
    return read(operand, type);
  fail("expected a register to write");
  return 0;
}

Slot Decoder::address(const Operand &operand, Instruction &to, bool shared) {
  to.offset = operand.value;
  if (operand.kind != Operand::Kind::address) {
    fail("expected an address");
    return 0;
  }
  Operand base;
  base.kind = operand.index < 0 ? Operand::Kind::symbol : Operand::Kind::reg;
  base.index = operand.index, base.name = operand.name;
  // Shared addresses are written in registers of both widths; handlers read the lower half, which comes first for
  // each lane only when the register is narrow, so the width is kept.
  bool wide = base.kind == Operand::Kind::reg ? entry.registers[base.index].type == RegisterClass::bits64 : !shared;
  to.immediate[2] = wide;
  return read(base, wide ? "b64" : "b32");
}

void Decoder::outs(Instruction &to, const Operand &operand, const std::string &type) {
  size_t before = to.slots.size();
  if (operand.kind == Operand::Kind::list)
    for (const Operand &part : operand.list)
      to.slots.push_back(written(part, type));
  else
    to.slots.push_back(written(operand, type));
  to.outs += uint8_t(to.slots.size() - before);
}

void Decoder::ins(Instruction &to, const Operand &operand, const std::string &type) {
  if (operand.kind == Operand::Kind::list)
    for (const Operand &part : operand.list)
      to.slots.push_back(read(part, type));
  else
    to.slots.push_back(read(operand, type));
}

std::string Decoder::holder(const Operand &operand, const std::string &type) const {
  const Operand &first = operand.kind == Operand::Kind::list && !operand.list.empty() ? operand.list[0] : operand;
  if (first.kind != Operand::Kind::reg)
    return type;
  switch (entry.registers[first.index].type) {
  case RegisterClass::bits16:
    return type == "b8" || type == "u8" || type == "s8" ? "b16" : type;
  case RegisterClass::bits32:
    return isWide(type) ? type : "b32";
  case RegisterClass::bits64:
    return "b64";
  case RegisterClass::predicate:
    break;
  }
  return type;
}

int64_t Decoder::integer(const Operand &operand) {
  if (operand.kind != Operand::Kind::integer)
    fail("expected a constant");
  return operand.value;
}

bool denim::ptx::decode(const std::shared_ptr<const Module> &module, const Entry &entry, Program &out,
                        std::string &error) {
  out.name = entry.name;
  out.text = module;
  out.parameters = entry.parameters;
  out.mostThreads = entry.mostThreads;
  Decoder decoder(*module, entry, out);
  for (const Statement &statement : entry.statements) {
    Instruction to;
    to.line = statement.line;
    to.guardNegated = statement.guardNegated;
    if (statement.guard >= 0) {
      Operand guard;
      guard.kind = Operand::Kind::reg, guard.index = statement.guard;
      guard.name = entry.registers[statement.guard].name;
      to.guard = int32_t(decoder.read(guard, "pred"));
    }
    if (statement.is(0, "bra")) {
      to.flow = Flow::branch, to.target = statement.target;
    } else if (statement.is(0, "brx")) {
      to.flow = Flow::jump, to.targets = statement.targets;
      decoder.ins(to, statement.operands[0], "b32");
    } else if (statement.is(0, "ret") || statement.is(0, "exit")) {
      to.flow = Flow::exit;
    } else {
      bool known = decodeArithmetic(statement, decoder, to) || decodeConversion(statement, decoder, to) ||
                   decodeMemory(statement, decoder, to) || decodeWarp(statement, decoder, to) ||
                   decodeSignals(statement, decoder, to) || decodeAsync(statement, decoder, to) ||
                   decodeGroup(statement, decoder, to);
      if (!known)
        decoder.fail("expected an instruction that the emulator knows");
    }
    if (!decoder.error.empty()) {
      error = "line " + std::to_string(statement.line) + ": " + decoder.error + ": " + statement.name();
      return false;
    }
    out.code.push_back(std::move(to));
  }
  // Code that runs off its end is an error of its own; a last `ret` makes targets behind it valid.
  Instruction end;
  end.flow = Flow::exit;
  out.code.push_back(end);
  return true;
}
