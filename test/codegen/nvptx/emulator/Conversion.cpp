// cvt and cvta: numbers from type to type, with the rounding the instruction names.
#include "test/codegen/nvptx/emulator/Machine.h"
#include "test/codegen/nvptx/emulator/Numbers.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace denim::ptx;

namespace {

enum class Rounding { none, nearest, zero, down, up };

double rounded(double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::nearest:
    return std::nearbyint(value); // to even, the mode of a program that did not change it
  case Rounding::zero:
    return std::trunc(value);
  case Rounding::down:
    return std::floor(value);
  case Rounding::up:
    return std::ceil(value);
  case Rounding::none:
    break;
  }
  return value;
}

template <typename T> T clampedInteger(double value) {
  if (std::isnan(value))
    return 0;
  if (value <= double(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  if (value >= double(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  return T(value);
}

int64_t readInteger(Warp &warp, Slot slot, const char type[4], int lane) {
  uint64_t bits = type[1] == '6' ? warp.slot<uint64_t>(slot)[lane] : warp.slot<uint32_t>(slot)[lane];
  int width = type[1] == '6' ? 64 : type[1] == '3' ? 32 : type[1] == '1' ? 16 : 8;
  if (width == 64)
    return int64_t(bits);
  bits &= (uint64_t(1) << width) - 1;
  return type[0] == 's' && bits >> (width - 1) ? int64_t(bits | ~uint64_t(0) << width) : int64_t(bits);
}

double readReal(Warp &warp, Slot slot, const char type[4], int lane) {
  if (type[0] == 'b')
    return fromBrain(uint16_t(warp.slot<uint32_t>(slot)[lane]));
  if (type[1] == '1')
    return fromHalf(uint16_t(warp.slot<uint32_t>(slot)[lane]));
  if (type[1] == '6')
    return warp.slot<double>(slot)[lane];
  return warp.slot<float>(slot)[lane];
}

void writeReal(Warp &warp, Slot slot, const char type[4], int lane, double value) {
  if (type[0] == 'b')
    warp.slot<uint32_t>(slot)[lane] = toBrain(float(value));
  else if (type[1] == '1')
    warp.slot<uint32_t>(slot)[lane] = toHalf(float(value));
  else if (type[1] == '6')
    warp.slot<double>(slot)[lane] = value;
  else
    warp.slot<float>(slot)[lane] = float(value);
}

void writeInteger(Warp &warp, Slot slot, const char type[4], int lane, int64_t value) {
  if (type[1] == '6')
    warp.slot<uint64_t>(slot)[lane] = uint64_t(value);
  else if (type[1] == '3')
    warp.slot<uint32_t>(slot)[lane] = uint32_t(value);
  else
    warp.slot<uint32_t>(slot)[lane] = type[1] == '1' ? uint16_t(value) : uint8_t(value);
}

/// Types stand in the first two immediates as text, the rounding and saturation in the third.
void convert(Warp &warp, const Instruction &i, uint32_t lanes) {
  const char *to = reinterpret_cast<const char *>(&i.immediate[0]);
  const char *from = reinterpret_cast<const char *>(&i.immediate[1]);
  Rounding rounding = Rounding(i.immediate[2] & 7);
  bool toReal = to[0] == 'f' || to[0] == 'b', fromReal = from[0] == 'f' || from[0] == 'b';
  forLanes(lanes, [&](int lane) {
    if (!fromReal) {
      int64_t value = readInteger(warp, i.slots[1], from, lane);
      if (!toReal)
        return writeInteger(warp, i.slots[0], to, lane, value);
      // Rounded once, from the integer to the type that it becomes.
      bool isUnsigned = from[0] == 'u';
      if (to[1] == '6')
        return writeReal(warp, i.slots[0], to, lane, isUnsigned ? double(uint64_t(value)) : double(value));
      return writeReal(warp, i.slots[0], to, lane, isUnsigned ? float(uint64_t(value)) : float(value));
    }
    double value = readReal(warp, i.slots[1], from, lane);
    if (toReal) {
      double result = i.immediate[2] & 16 ? rounded(value, rounding) : value;
      return writeReal(warp, i.slots[0], to, lane, i.immediate[2] & 8 ? std::min(std::max(result, 0.0), 1.0) : result);
    }
    value = rounded(value, rounding);
    int64_t result = 0;
    if (to[0] == 's')
      result = to[1] == '6'   ? clampedInteger<int64_t>(value)
               : to[1] == '3' ? clampedInteger<int32_t>(value)
                              : clampedInteger<int16_t>(value);
    else
      result = to[1] == '6'   ? int64_t(clampedInteger<uint64_t>(value))
               : to[1] == '3' ? int64_t(clampedInteger<uint32_t>(value))
                              : clampedInteger<uint16_t>(value);
    writeInteger(warp, i.slots[0], to, lane, result);
  });
}

template <typename To, typename From, bool isSigned>
void convertWidth(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<To>(i.slots[0]);
  auto *from = warp.slot<From>(i.slots[1]);
  forLanes(lanes, [&](int lane) { to[lane] = isSigned ? To(std::make_signed_t<From>(from[lane])) : To(from[lane]); });
}

/// cvt.rn.bf16x2.f32 d, a, b: a above b.
template <uint16_t (*convertOne)(float)> void packPair(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<uint32_t>(i.slots[0]);
  auto *high = warp.slot<float>(i.slots[1]), *low = warp.slot<float>(i.slots[2]);
  forLanes(lanes, [&](int lane) { to[lane] = uint32_t(convertOne(high[lane])) << 16 | convertOne(low[lane]); });
}

/// sub.rn.bf16x2: both halves apart.
void subtractPair(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<uint32_t>(i.slots[0]), *a = warp.slot<uint32_t>(i.slots[1]),
       *b = warp.slot<uint32_t>(i.slots[2]);
  auto halfOf = [](uint32_t word, int at) { return fromBrain(uint16_t(word >> at)); };
  forLanes(lanes, [&](int lane) {
    uint32_t high = toBrain(halfOf(a[lane], 16) - halfOf(b[lane], 16));
    to[lane] = high << 16 | toBrain(halfOf(a[lane], 0) - halfOf(b[lane], 0));
  });
}

void copy64(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<uint64_t>(i.slots[0]), *from = warp.slot<uint64_t>(i.slots[1]);
  forLanes(lanes, [&](int lane) { to[lane] = from[lane]; });
}

bool isNumber(const std::string &type) {
  for (const char *known : {"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f16", "bf16", "f32", "f64"})
    if (type == known)
      return true;
  return false;
}

} // namespace

bool denim::ptx::decodeConversion(const Statement &s, Decoder &d, Instruction &to) {
  if (s.is(0, "cvta") && s.operands.size() == 2 && s.has("global")) {
    // Addresses of global memory are the same in the generic window; other windows are refused.
    d.outs(to, s.operands[0], "b64");
    d.ins(to, s.operands[1], "b64");
    to.execute = copy64;
    return true;
  }
  if (s.name() == "cvta.param.u64" && s.operands.size() == 2) {
    d.outs(to, s.operands[0], "b64");
    d.ins(to, s.operands[1], "b64");
    to.execute = [](Warp &warp, const Instruction &i, uint32_t lanes) {
      auto base = reinterpret_cast<uint64_t>(warp.block.launch.parameters.data());
      forLanes(lanes,
               [&](int lane) { warp.slot<uint64_t>(i.slots[0])[lane] = base + warp.slot<uint64_t>(i.slots[1])[lane]; });
    };
    return true;
  }
  if (s.name() == "sub.rn.bf16x2" && s.operands.size() == 3) {
    d.outs(to, s.operands[0], "b32");
    d.ins(to, s.operands[1], "b32");
    d.ins(to, s.operands[2], "b32");
    to.execute = subtractPair;
    return true;
  }
  if (!s.is(0, "cvt") || s.opcode.size() < 3)
    return false;
  const std::string &target = s.opcode[s.opcode.size() - 2], &source = s.opcode.back();
  if ((target == "bf16x2" || target == "f16x2") && source == "f32" && s.is(1, "rn") && s.operands.size() == 3) {
    d.outs(to, s.operands[0], "b32");
    d.ins(to, s.operands[1], "f32");
    d.ins(to, s.operands[2], "f32");
    to.execute = target == "bf16x2" ? packPair<toBrain> : packPair<toHalf>;
    return s.opcode.size() == 4;
  }
  if (!isNumber(target) || !isNumber(source) || s.operands.size() != 2)
    return false;
  d.outs(to, s.operands[0], d.holder(s.operands[0], target));
  d.ins(to, s.operands[1], d.holder(s.operands[1], source));
  if (d.holder(s.operands[0], target).substr(1) == "64" && target.substr(1) != "64")
    return false;
  if (s.opcode.size() == 3 && target.back() != '8' && source.back() != '8') {
    if (target == "u64" && source == "u32")
      return to.execute = convertWidth<uint64_t, uint32_t, false>, true;
    if (target == "s64" && source == "s32")
      return to.execute = convertWidth<uint64_t, uint32_t, true>, true;
    if (target == "u32" && source == "u64")
      return to.execute = convertWidth<uint32_t, uint64_t, false>, true;
  }
  auto text = [](const std::string &type) {
    int64_t value = 0;
    std::string own = type == "bf16" ? "b16" : type;
    std::memcpy(&value, own.data(), own.size());
    return value;
  };
  to.immediate[0] = text(target), to.immediate[1] = text(source);
  bool narrows = target == "f32" || target == "f16" || target == "bf16";
  for (size_t i = 1; i + 2 < s.opcode.size(); ++i) {
    const std::string &flag = s.opcode[i];
    if (flag == "rni" || flag == "rzi" || flag == "rmi" || flag == "rpi")
      to.immediate[2] |= 16 | int64_t(flag == "rni"   ? Rounding::nearest
                                      : flag == "rzi" ? Rounding::zero
                                      : flag == "rmi" ? Rounding::down
                                                      : Rounding::up);
    else if (flag == "sat")
      to.immediate[2] |= 8;
    else if (!(flag == "rn" && (narrows || target == "f64")) && flag != "ftz")
      return false;
  }
  to.execute = convert;
  return true;
}
