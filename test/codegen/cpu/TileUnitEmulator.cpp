#include "test/codegen/cpu/TileUnitEmulator.h"
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

constexpr int tiles = 8, mostRows = 16, mostBytes = 64;

/// What one thread's unit holds.
struct Unit {
  bool configured = false;
  int rows[tiles] = {}, bytes[tiles] = {};
  unsigned char data[tiles][mostRows][mostBytes] = {};
};
thread_local Unit unit;
struct sigaction before;

/// An instruction C4 / RXB.map / W.vvvv.L.pp / opcode / ModRM [/ SIB / displacement].
struct Instruction {
  unsigned prefix, opcode, mode, reg, rm, vvvv;
  int length;
  uint64_t address = 0; ///< of what it reads or writes
  int64_t stride = 0;   ///< the index register, for tiles
};

bool decode(const unsigned char *code, const greg_t *registers, Instruction &out) {
  static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) // map 0F38, W0, 128 bits
    return false;
  unsigned x = (~code[1] >> 6) & 1, b = (~code[1] >> 5) & 1;
  out.prefix = code[2] & 3, out.vvvv = (~code[2] >> 3) & 15, out.opcode = code[3];
  unsigned modrm = code[4];
  out.mode = modrm >> 6, out.reg = (modrm >> 3) & 7, out.rm = modrm & 7;
  out.length = 5;
  if (out.mode == 3)
    return true;
  auto value = [&](unsigned number) { return registers[order[number]]; };
  bool hasBase = true;
  unsigned base = out.rm;
  if (out.rm == 4) {
    unsigned sib = code[out.length++], index = ((sib >> 3) & 7) | x << 3;
    base = sib & 7;
    if (index != 4)
      out.stride = value(index) * (int64_t(1) << (sib >> 6));
    hasBase = !(base == 5 && out.mode == 0);
  } else if (out.rm == 5 && out.mode == 0) {
    return false; // relative to the instruction: code generation has no such tiles
  }
  if (hasBase)
    out.address = value(base | b << 3);
  if (out.mode == 1) {
    out.address += int8_t(code[out.length]);
    out.length += 1;
  } else if (out.mode == 2 || !hasBase) {
    int32_t displacement;
    std::memcpy(&displacement, code + out.length, 4);
    out.address += displacement;
    out.length += 4;
  }
  return true;
}

bool configure(const unsigned char *description) {
  if (description[0] != 1)
    return false;
  Unit fresh;
  for (int t = 0; t < tiles; ++t) {
    fresh.bytes[t] = description[16 + 2 * t] | description[17 + 2 * t] << 8;
    fresh.rows[t] = description[48 + t];
    if (fresh.rows[t] > mostRows || fresh.bytes[t] > mostBytes)
      return false;
  }
  for (int reserved : {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
    if (description[reserved])
      return false;
  fresh.configured = true;
  unit = fresh;
  return true;
}

/// Denormal numbers are zero, as operands and as results.
float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}
float fromBrain(const unsigned char *bytes) {
  uint32_t bits = uint32_t(bytes[0]) << 16 | uint32_t(bytes[1]) << 24;
  float x;
  std::memcpy(&x, &bits, 4);
  return flushed(x);
}

/// Even and odd elements along k are summed apart, each sum with one rounding a step, and added at the end.
bool multiply(unsigned sums, unsigned left, unsigned right) {
  if (sums == left || sums == right || left == right || unit.bytes[left] / 4 != unit.rows[right] ||
      unit.rows[sums] != unit.rows[left] || unit.bytes[sums] != unit.bytes[right])
    return false;
  float x[mostRows][mostBytes / 2], y[mostRows][mostBytes / 2];
  for (int row = 0; row < mostRows; ++row)
    for (int column = 0; column < mostBytes / 2; ++column) {
      x[row][column] = fromBrain(&unit.data[left][row][2 * column]);
      y[row][column] = fromBrain(&unit.data[right][row][2 * column]);
    }
  for (int m = 0; m < unit.rows[sums]; ++m)
    for (int n = 0; n < unit.bytes[sums] / 4; ++n) {
      float part[2] = {0, 0};
      for (int k = 0; k < unit.bytes[left] / 4; ++k)
        for (int odd : {0, 1})
          part[odd] = flushed(std::fmaf(x[m][2 * k + odd], y[k][2 * n + odd], part[odd]));
      float sum;
      std::memcpy(&sum, &unit.data[sums][m][4 * n], 4);
      sum = flushed(flushed(sum) + flushed(part[0] + part[1]));
      std::memcpy(&unit.data[sums][m][4 * n], &sum, 4);
    }
  return true;
}

bool execute(const Instruction &i) {
  auto *memory = reinterpret_cast<unsigned char *>(i.address);
  if (i.opcode == 0x49 && i.prefix == 0 && i.mode == 3 && i.reg == 0 && i.rm == 0) { // TILERELEASE
    unit = Unit();
    return true;
  }
  if (i.opcode == 0x49 && i.prefix == 0 && i.mode != 3 && i.reg == 0) // LDTILECFG
    return configure(memory);
  if (!unit.configured)
    return false;
  if (i.opcode == 0x49 && i.prefix == 3 && i.mode == 3 && i.rm == 0) { // TILEZERO
    std::memset(unit.data[i.reg], 0, sizeof unit.data[i.reg]);
    return true;
  }
  if (i.opcode == 0x4b && i.mode != 3 && i.rm == 4 && (i.prefix == 3 || i.prefix == 1)) { // TILELOADD, TILELOADDT1
    std::memset(unit.data[i.reg], 0, sizeof unit.data[i.reg]);
    for (int row = 0; row < unit.rows[i.reg]; ++row)
      std::memcpy(unit.data[i.reg][row], memory + row * i.stride, unit.bytes[i.reg]);
    return true;
  }
  if (i.opcode == 0x4b && i.mode != 3 && i.rm == 4 && i.prefix == 2) { // TILESTORED
    for (int row = 0; row < unit.rows[i.reg]; ++row)
      std::memcpy(memory + row * i.stride, unit.data[i.reg][row], unit.bytes[i.reg]);
    return true;
  }
  if (i.opcode == 0x5c && i.prefix == 2 && i.mode == 3) // TDPBF16PS
    return multiply(i.reg, i.rm, i.vvvv);
  return false;
}

void handle(int signal, siginfo_t *, void *context) {
  auto *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
  Instruction instruction;
  // The handler's own arithmetic is scalar and keeps denormal numbers.
  unsigned mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x1f80);
  bool done = decode(reinterpret_cast<const unsigned char *>(registers[REG_RIP]), registers, instruction) &&
              execute(instruction);
  __builtin_ia32_ldmxcsr(mode);
  if (done)
    registers[REG_RIP] += instruction.length;
  else
    sigaction(signal, &before, nullptr); // and the instruction raises it again
}

} // namespace

bool denim::test::enableTileUnit() {
  constexpr int requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

void denim::test::emulateTileUnit() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &before);
}
