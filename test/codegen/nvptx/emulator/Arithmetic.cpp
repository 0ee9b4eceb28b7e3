// What each lane computes for itself: integers, floating point, predicates, moves.
#include "test/codegen/nvptx/emulator/Machine.h"
#include <algorithm>
#include <cmath>
#include <type_traits>

using namespace denim::ptx;

namespace {

/// 16 bits stand in slots of 32.
template <typename T> using Storage = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <typename T> inline T load(const Storage<T> *slot, int lane) {
  if constexpr (std::is_floating_point_v<T>) {
    T value;
    std::memcpy(&value, &slot[lane], sizeof value);
    return value;
  } else {
    return T(slot[lane]);
  }
}
template <typename T> inline void store(Storage<T> *slot, int lane, T value) {
  if constexpr (std::is_floating_point_v<T>)
    std::memcpy(&slot[lane], &value, sizeof value);
  else
    slot[lane] = Storage<T>(std::make_unsigned_t<T>(value));
}

/// out(T) = function(in(S)...)
template <typename T, typename S, typename F> void unary(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<Storage<T>>(i.slots[0]);
  auto *a = warp.slot<Storage<S>>(i.slots[1]);
  forLanes(lanes, [&](int lane) { store<T>(to, lane, F()(load<S>(a, lane))); });
}
template <typename T, typename S, typename F> void binary(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<Storage<T>>(i.slots[0]);
  auto *a = warp.slot<Storage<S>>(i.slots[1]), *b = warp.slot<Storage<S>>(i.slots[2]);
  forLanes(lanes, [&](int lane) { store<T>(to, lane, F()(load<S>(a, lane), load<S>(b, lane))); });
}
template <typename T, typename S, typename F> void shift(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<Storage<T>>(i.slots[0]);
  auto *a = warp.slot<Storage<S>>(i.slots[1]);
  auto *b = warp.slot<uint32_t>(i.slots[2]);
  forLanes(lanes, [&](int lane) { store<T>(to, lane, F()(load<S>(a, lane), b[lane])); });
}
/// out(T) = function(in(S), in(S), in(T))
template <typename T, typename S, typename F> void ternary(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<Storage<T>>(i.slots[0]);
  auto *a = warp.slot<Storage<S>>(i.slots[1]), *b = warp.slot<Storage<S>>(i.slots[2]);
  auto *c = warp.slot<Storage<T>>(i.slots[3]);
  forLanes(lanes, [&](int lane) { store<T>(to, lane, F()(load<S>(a, lane), load<S>(b, lane), load<T>(c, lane))); });
}

template <typename S, typename F> void compare(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *a = warp.slot<Storage<S>>(i.slots[1]), *b = warp.slot<Storage<S>>(i.slots[2]);
  uint32_t bits = 0;
  forLanes(lanes, [&](int lane) { bits |= uint32_t(F()(load<S>(a, lane), load<S>(b, lane))) << lane; });
  // setp.lt.and.s32 p, a, b, c
  if (i.slots.size() > 3) {
    uint32_t with = warp.predicate(i.slots[3]);
    bits = i.immediate[0] == 0 ? bits & with : i.immediate[0] == 1 ? bits | with : bits ^ with;
  }
  uint32_t &to = warp.predicate(i.slots[0]);
  to = (to & ~lanes) | (bits & lanes);
}

template <typename T> void select(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<T>(i.slots[0]), *a = warp.slot<T>(i.slots[1]), *b = warp.slot<T>(i.slots[2]);
  uint32_t which = warp.predicate(i.slots[3]);
  forLanes(lanes, [&](int lane) { to[lane] = which >> lane & 1 ? a[lane] : b[lane]; });
}

enum class Logic { andOp, orOp, xorOp, notOp, move };
template <Logic logic> void predicates(Warp &warp, const Instruction &i, uint32_t lanes) {
  uint32_t a = warp.predicate(i.slots[1]), b = i.slots.size() > 2 ? warp.predicate(i.slots[2]) : 0;
  uint32_t value = logic == Logic::andOp   ? a & b
                   : logic == Logic::orOp  ? a | b
                   : logic == Logic::xorOp ? a ^ b
                   : logic == Logic::notOp ? ~a
                                           : a;
  uint32_t &to = warp.predicate(i.slots[0]);
  to = (to & ~lanes) | (value & lanes);
}
void constantPredicate(Warp &warp, const Instruction &i, uint32_t lanes) {
  uint32_t &to = warp.predicate(i.slots[0]);
  to = i.immediate[0] ? to | lanes : to & ~lanes;
}

template <typename T> void move(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<T>(i.slots[0]), *from = warp.slot<T>(i.slots[1]);
  forLanes(lanes, [&](int lane) { to[lane] = from[lane]; });
}
/// mov.b32 {l, h}, r and mov.b64 {l, h}, r: `Part` bits each.
template <typename Whole, int part> void unpack(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *from = warp.slot<Whole>(i.slots[2]);
  auto *low = warp.slot<uint32_t>(i.slots[0]), *high = warp.slot<uint32_t>(i.slots[1]);
  forLanes(lanes, [&](int lane) {
    Whole value = from[lane];
    low[lane] = uint32_t(value & ((Whole(1) << part) - 1));
    high[lane] = uint32_t(value >> part);
  });
}
template <typename Whole, int part> void pack(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<Whole>(i.slots[0]);
  auto *low = warp.slot<uint32_t>(i.slots[1]), *high = warp.slot<uint32_t>(i.slots[2]);
  forLanes(lanes,
           [&](int lane) { to[lane] = (Whole(low[lane]) & ((Whole(1) << part) - 1)) | Whole(high[lane]) << part; });
}

template <typename T> void extractBits(Warp &warp, const Instruction &i, uint32_t lanes) {
  using U = std::make_unsigned_t<T>;
  auto *to = warp.slot<U>(i.slots[0]), *from = warp.slot<U>(i.slots[1]);
  auto *begin = warp.slot<uint32_t>(i.slots[2]), *length = warp.slot<uint32_t>(i.slots[3]);
  constexpr uint32_t width = sizeof(T) * 8;
  forLanes(lanes, [&](int lane) {
    uint32_t at = begin[lane] & 255, bits = length[lane] & 255;
    U value = at < width ? U(from[lane] >> at) : 0;
    if (std::is_signed_v<T> && at >= width)
      value = T(from[lane]) < 0 ? ~U(0) : 0;
    if (bits == 0)
      value = 0;
    else if (bits < width) {
      value &= (U(1) << bits) - 1;
      uint32_t top = std::min(at + bits - 1, width - 1);
      if (std::is_signed_v<T> && from[lane] >> top & 1)
        value |= ~((U(1) << bits) - 1);
    }
    to[lane] = value;
  });
}
template <typename U> void insertBits(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<U>(i.slots[0]), *value = warp.slot<U>(i.slots[1]), *base = warp.slot<U>(i.slots[2]);
  auto *begin = warp.slot<uint32_t>(i.slots[3]), *length = warp.slot<uint32_t>(i.slots[4]);
  constexpr uint32_t width = sizeof(U) * 8;
  forLanes(lanes, [&](int lane) {
    uint32_t at = begin[lane] & 255, bits = length[lane] & 255;
    U mask = bits >= width ? ~U(0) : (U(1) << bits) - 1;
    mask = at < width ? mask << at : 0;
    to[lane] = (base[lane] & ~mask) | ((at < width ? value[lane] << at : 0) & mask);
  });
}
void permuteBytes(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<uint32_t>(i.slots[0]), *a = warp.slot<uint32_t>(i.slots[1]);
  auto *b = warp.slot<uint32_t>(i.slots[2]), *which = warp.slot<uint32_t>(i.slots[3]);
  forLanes(lanes, [&](int lane) {
    uint64_t bytes = uint64_t(b[lane]) << 32 | a[lane];
    uint32_t value = 0;
    for (int n = 0; n < 4; ++n) {
      uint32_t choice = which[lane] >> 4 * n & 15, byte = uint32_t(bytes >> 8 * (choice & 7)) & 255;
      if (choice & 8)
        byte = byte & 128 ? 255 : 0;
      value |= byte << 8 * n;
    }
    to[lane] = value;
  });
}
void anyLogic(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<uint32_t>(i.slots[0]), *a = warp.slot<uint32_t>(i.slots[1]);
  auto *b = warp.slot<uint32_t>(i.slots[2]), *c = warp.slot<uint32_t>(i.slots[3]);
  forLanes(lanes, [&](int lane) {
    uint32_t value = 0;
    for (int n = 0; n < 8; ++n)
      if (i.immediate[0] >> n & 1)
        value |= (n & 4 ? a[lane] : ~a[lane]) & (n & 2 ? b[lane] : ~b[lane]) & (n & 1 ? c[lane] : ~c[lane]);
    to[lane] = value;
  });
}
template <bool left, bool wraps> void funnel(Warp &warp, const Instruction &i, uint32_t lanes) {
  auto *to = warp.slot<uint32_t>(i.slots[0]), *a = warp.slot<uint32_t>(i.slots[1]);
  auto *b = warp.slot<uint32_t>(i.slots[2]), *c = warp.slot<uint32_t>(i.slots[3]);
  forLanes(lanes, [&](int lane) {
    uint64_t both = uint64_t(b[lane]) << 32 | a[lane];
    uint32_t by = wraps ? c[lane] & 31 : std::min(c[lane], 32u);
    to[lane] = left ? uint32_t(both << by >> 32) : uint32_t(both >> by);
  });
}

//===--------------------------------------------------------------------------------------------------------------===//
// Functions
//===--------------------------------------------------------------------------------------------------------------===//

template <typename T> T flush(T value) {
  return std::fabs(value) < T(1.17549435e-38f) ? std::copysign(T(0), value) : value;
}

struct Add {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return T(std::make_unsigned_t<T>(a) + std::make_unsigned_t<T>(b));
    else
      return a + b;
  }
};
struct Sub {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return T(std::make_unsigned_t<T>(a) - std::make_unsigned_t<T>(b));
    else
      return a - b;
  }
};
struct Mul {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return T(uint64_t(a) * uint64_t(b));
    else
      return a * b;
  }
};
struct MulHigh {
  template <typename T> T operator()(T a, T b) const {
    using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return T(Wide(a) * Wide(b) >> sizeof(T) * 8);
  }
};
template <typename To> struct MulWide {
  template <typename T> To operator()(T a, T b) const { return To(To(a) * To(b)); }
};
struct MulAdd {
  template <typename T> T operator()(T a, T b, T c) const { return T(uint64_t(a) * uint64_t(b) + uint64_t(c)); }
};
template <typename To> struct MulAddWide {
  template <typename T> To operator()(T a, T b, To c) const {
    using U = std::make_unsigned_t<To>;
    return To(U(To(a) * To(b)) + U(c));
  }
};
struct Fma {
  double operator()(double a, double b, double c) const { return std::fma(a, b, c); }
  /// The product is exact in double; the sum is rounded twice, which differs from once in one of 2^29 cases by a bit
  /// of the last place.
  float operator()(float a, float b, float c) const { return float(double(a) * double(b) + double(c)); }
};
struct Div {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return b == 0 ? T(-1) : T(a / b);
    else
      return a / b;
  }
};
struct Rem {
  template <typename T> T operator()(T a, T b) const { return b == 0 ? a : T(a % b); }
};
struct Min {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::fmin(a, b);
    else
      return std::min(a, b);
  }
};
struct Max {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::fmax(a, b);
    else
      return std::max(a, b);
  }
};
struct MinNan {
  template <typename T> T operator()(T a, T b) const { return a != a ? a : b != b ? b : std::min(a, b); }
};
struct MaxNan {
  template <typename T> T operator()(T a, T b) const { return a != a ? a : b != b ? b : std::max(a, b); }
};
struct And {
  template <typename T> T operator()(T a, T b) const { return a & b; }
};
struct Or {
  template <typename T> T operator()(T a, T b) const { return a | b; }
};
struct Xor {
  template <typename T> T operator()(T a, T b) const { return a ^ b; }
};
struct ShiftLeft {
  template <typename T> T operator()(T a, uint32_t by) const { return by < sizeof(T) * 8 ? T(a << by) : T(0); }
};
struct ShiftRight {
  template <typename T> T operator()(T a, uint32_t by) const {
    return T(a >> std::min<uint32_t>(by, sizeof(T) * 8 - 1));
  }
};
struct ShiftRightZero {
  template <typename T> T operator()(T a, uint32_t by) const { return by < sizeof(T) * 8 ? T(a >> by) : T(0); }
};
struct Not {
  template <typename T> T operator()(T a) const { return T(~a); }
};
struct Negate {
  template <typename T> T operator()(T a) const {
    if constexpr (std::is_integral_v<T>)
      return T(0 - std::make_unsigned_t<T>(a));
    else
      return -a;
  }
};
struct Absolute {
  template <typename T> T operator()(T a) const {
    if constexpr (std::is_integral_v<T>)
      return a < 0 ? Negate()(a) : a;
    else
      return std::fabs(a);
  }
};
struct Popcount {
  template <typename T> uint32_t operator()(T a) const { return uint32_t(__builtin_popcountll(a)); }
};
struct LeadingZeros {
  template <typename T> uint32_t operator()(T a) const {
    return a ? uint32_t(__builtin_clzll(a)) - (64 - sizeof(T) * 8) : sizeof(T) * 8;
  }
};
struct Exp2 {
  float operator()(float a) const { return flush(std::exp2(flush(a))); }
};
struct Log2 {
  float operator()(float a) const { return std::log2(a); }
};
struct Reciprocal {
  template <typename T> T operator()(T a) const { return T(1) / a; }
};
struct ReciprocalRoot {
  float operator()(float a) const { return 1 / std::sqrt(a); }
};
struct Root {
  template <typename T> T operator()(T a) const { return std::sqrt(a); }
};
struct Tanh {
  float operator()(float a) const { return std::tanh(a); }
};
struct Sine {
  float operator()(float a) const { return std::sin(a); }
};
struct Cosine {
  float operator()(float a) const { return std::cos(a); }
};
struct CopySign {
  template <typename T> T operator()(T sign, T a) const { return std::copysign(a, sign); }
};

#define COMPARISON(Name, expression)                                                                                   \
  struct Name {                                                                                                        \
    template <typename T> bool operator()(T a, T b) const { return expression; }                                       \
  };
COMPARISON(Equal, a == b)
COMPARISON(NotEqual, a<b || a> b)
COMPARISON(Less, a < b)
COMPARISON(LessEqual, a <= b)
COMPARISON(Greater, a > b)
COMPARISON(GreaterEqual, a >= b)
COMPARISON(UnorderedEqual, !(a < b || a > b))
COMPARISON(UnorderedNotEqual, a != b)
COMPARISON(UnorderedLess, !(a >= b))
COMPARISON(UnorderedLessEqual, !(a > b))
COMPARISON(UnorderedGreater, !(a <= b))
COMPARISON(UnorderedGreaterEqual, !(a < b))
COMPARISON(BothNumbers, a == a && b == b)
COMPARISON(NotBothNumbers, a != a || b != b)
#undef COMPARISON

//===--------------------------------------------------------------------------------------------------------------===//
// By type
//===--------------------------------------------------------------------------------------------------------------===//

template <template <typename, typename, typename> class, typename> struct Of;

#define BY_INTEGER(form, F, type)                                                                                      \
  (type == "s32"                    ? form<int32_t, int32_t, F>                                                        \
   : type == "u32" || type == "b32" ? form<uint32_t, uint32_t, F>                                                      \
   : type == "s64"                  ? form<int64_t, int64_t, F>                                                        \
   : type == "u64" || type == "b64" ? form<uint64_t, uint64_t, F>                                                      \
   : type == "s16"                  ? form<int16_t, int16_t, F>                                                        \
   : type == "u16" || type == "b16" ? form<uint16_t, uint16_t, F>                                                      \
                                    : Execute(nullptr))
#define BY_FLOAT(form, F, type)                                                                                        \
  (type == "f32" ? form<float, float, F> : type == "f64" ? form<double, double, F> : Execute(nullptr))
#define BY_NUMBER(form, F, type)                                                                                       \
  (type == "f32" ? form<float, float, F> : type == "f64" ? form<double, double, F> : BY_INTEGER(form, F, type))
#define BY_COMPARED(F, type)                                                                                           \
  (type == "f32"                    ? compare<float, F>                                                                \
   : type == "f64"                  ? compare<double, F>                                                               \
   : type == "s32"                  ? compare<int32_t, F>                                                              \
   : type == "u32" || type == "b32" ? compare<uint32_t, F>                                                             \
   : type == "s64"                  ? compare<int64_t, F>                                                              \
   : type == "u64" || type == "b64" ? compare<uint64_t, F>                                                             \
   : type == "s16"                  ? compare<int16_t, F>                                                              \
   : type == "u16" || type == "b16" ? compare<uint16_t, F>                                                             \
                                    : Execute(nullptr))

Execute comparison(const std::string &op, const std::string &type) {
  bool real = type[0] == 'f';
  if (op == "eq")
    return BY_COMPARED(Equal, type);
  if (op == "ne")
    return BY_COMPARED(NotEqual, type);
  if (op == "lt" || (op == "lo" && !real))
    return BY_COMPARED(Less, type);
  if (op == "le" || (op == "ls" && !real))
    return BY_COMPARED(LessEqual, type);
  if (op == "gt" || (op == "hi" && !real))
    return BY_COMPARED(Greater, type);
  if (op == "ge" || (op == "hs" && !real))
    return BY_COMPARED(GreaterEqual, type);
  if (!real)
    return nullptr;
  if (op == "equ")
    return BY_COMPARED(UnorderedEqual, type);
  if (op == "neu")
    return BY_COMPARED(UnorderedNotEqual, type);
  if (op == "ltu")
    return BY_COMPARED(UnorderedLess, type);
  if (op == "leu")
    return BY_COMPARED(UnorderedLessEqual, type);
  if (op == "gtu")
    return BY_COMPARED(UnorderedGreater, type);
  if (op == "geu")
    return BY_COMPARED(UnorderedGreaterEqual, type);
  if (op == "num")
    return BY_COMPARED(BothNumbers, type);
  if (op == "nan")
    return BY_COMPARED(NotBothNumbers, type);
  return nullptr;
}

/// Operations whose result and operands have the type; flags of rounding that change nothing here are known.
Execute sameType(const Statement &s, const std::string &type) {
  const std::string &op = s.opcode[0];
  bool real = type[0] == 'f';
  for (size_t i = 1; i + 1 < s.opcode.size(); ++i) {
    const std::string &flag = s.opcode[i];
    bool known = flag == "rn" || flag == "ftz" || flag == "approx" || flag == "full" || flag == "lo" || flag == "hi" ||
                 flag == "NaN";
    if (!known)
      return nullptr;
  }
  if (op == "add")
    return BY_NUMBER(binary, Add, type);
  if (op == "sub")
    return BY_NUMBER(binary, Sub, type);
  if (op == "mul" && (real || s.is(1, "lo")))
    return BY_NUMBER(binary, Mul, type);
  if (op == "mul" && s.is(1, "hi"))
    return BY_INTEGER(binary, MulHigh, type);
  if (op == "mad" && s.is(1, "lo"))
    return BY_INTEGER(ternary, MulAdd, type);
  if (op == "fma" || (op == "mad" && real))
    return BY_FLOAT(ternary, Fma, type);
  if (op == "div")
    return BY_NUMBER(binary, Div, type);
  if (op == "rem")
    return BY_INTEGER(binary, Rem, type);
  if (op == "min")
    return s.has("NaN") ? BY_FLOAT(binary, MinNan, type) : BY_NUMBER(binary, Min, type);
  if (op == "max")
    return s.has("NaN") ? BY_FLOAT(binary, MaxNan, type) : BY_NUMBER(binary, Max, type);
  if (op == "and")
    return BY_INTEGER(binary, And, type);
  if (op == "or")
    return BY_INTEGER(binary, Or, type);
  if (op == "xor")
    return BY_INTEGER(binary, Xor, type);
  if (op == "not")
    return BY_INTEGER(unary, Not, type);
  if (op == "neg")
    return BY_NUMBER(unary, Negate, type);
  if (op == "abs")
    return type == "s32"   ? unary<int32_t, int32_t, Absolute>
           : type == "s64" ? unary<int64_t, int64_t, Absolute>
                           : BY_FLOAT(unary, Absolute, type);
  if (op == "shl")
    return BY_INTEGER(shift, ShiftLeft, type);
  if (op == "shr")
    return type[0] == 's' ? BY_INTEGER(shift, ShiftRight, type) : BY_INTEGER(shift, ShiftRightZero, type);
  if (op == "copysign")
    return BY_FLOAT(binary, CopySign, type);
  if (op == "rcp")
    return BY_FLOAT(unary, Reciprocal, type);
  if (op == "sqrt")
    return BY_FLOAT(unary, Root, type);
  if (type != "f32")
    return nullptr;
  return op == "ex2"     ? unary<float, float, Exp2>
         : op == "lg2"   ? unary<float, float, Log2>
         : op == "rsqrt" ? unary<float, float, ReciprocalRoot>
         : op == "tanh"  ? unary<float, float, Tanh>
         : op == "sin"   ? unary<float, float, Sine>
         : op == "cos"   ? unary<float, float, Cosine>
                         : Execute(nullptr);
}

Execute wideProduct(const std::string &op, const std::string &type) {
  bool adds = op == "mad";
  if (type == "s32")
    return adds ? ternary<int64_t, int32_t, MulAddWide<int64_t>> : binary<int64_t, int32_t, MulWide<int64_t>>;
  if (type == "u32")
    return adds ? ternary<uint64_t, uint32_t, MulAddWide<uint64_t>> : binary<uint64_t, uint32_t, MulWide<uint64_t>>;
  if (type == "s16")
    return adds ? ternary<int32_t, int16_t, MulAddWide<int32_t>> : binary<int32_t, int16_t, MulWide<int32_t>>;
  if (type == "u16")
    return adds ? ternary<uint32_t, uint16_t, MulAddWide<uint32_t>> : binary<uint32_t, uint16_t, MulWide<uint32_t>>;
  return nullptr;
}

bool decodeMove(const Statement &s, Decoder &d, Instruction &to) {
  const std::string &type = s.opcode.back();
  const Operand &left = s.operands[0], &right = s.operands[1];
  bool wide = type.substr(1) == "64";
  std::string part = wide ? "b32" : "b16";
  if (left.kind == Operand::Kind::list || right.kind == Operand::Kind::list) {
    const Operand &list = left.kind == Operand::Kind::list ? left : right;
    if (list.list.size() != 2)
      return false;
    bool packs = &list == &right;
    d.outs(to, left, packs ? type : part);
    d.ins(to, right, packs ? part : type);
    to.execute =
        packs ? (wide ? pack<uint64_t, 32> : pack<uint32_t, 16>) : (wide ? unpack<uint64_t, 32> : unpack<uint32_t, 16>);
    return true;
  }
  d.outs(to, left, type);
  if (type == "pred" && right.kind == Operand::Kind::integer) {
    to.immediate[0] = right.value;
    to.execute = constantPredicate;
    return true;
  }
  d.ins(to, right, type);
  to.execute = type == "pred" ? predicates<Logic::move> : wide ? move<uint64_t> : move<uint32_t>;
  return true;
}

} // namespace

bool denim::ptx::decodeArithmetic(const Statement &s, Decoder &d, Instruction &to) {
  const std::string &op = s.opcode[0], &type = s.opcode.back();
  if (op == "mov" && s.operands.size() == 2)
    return decodeMove(s, d, to);
  auto operands = [&](std::initializer_list<const char *> types) {
    if (s.operands.size() != types.size())
      return d.fail("expected " + std::to_string(types.size()) + " operands");
    size_t i = 0;
    for (const char *own : types)
      if (i++ == 0)
        d.outs(to, s.operands[0], own);
      else
        d.ins(to, s.operands[i - 1], own);
  };
  const char *own = type.c_str();
  if (op == "setp") {
    to.execute = comparison(s.opcode[1], type);
    if (!to.execute || s.operands.size() < 3)
      return false;
    d.outs(to, s.operands[0], "pred");
    d.ins(to, s.operands[1], type);
    d.ins(to, s.operands[2], type);
    if (s.operands.size() > 3) {
      to.immediate[0] = s.is(2, "and") ? 0 : s.is(2, "or") ? 1 : 2;
      d.ins(to, s.operands[3], "pred");
    }
    return s.operands.size() <= 4 && !s.has("ftz");
  }
  if (op == "selp") {
    operands({own, own, own, "pred"});
    to.execute = type.substr(1) == "64" ? select<uint64_t> : select<uint32_t>;
    return true;
  }
  if (type == "pred") {
    to.execute = op == "and"   ? predicates<Logic::andOp>
                 : op == "or"  ? predicates<Logic::orOp>
                 : op == "xor" ? predicates<Logic::xorOp>
                 : op == "not" ? predicates<Logic::notOp>
                               : nullptr;
    if (op == "not")
      operands({"pred", "pred"});
    else
      operands({"pred", "pred", "pred"});
    return to.execute;
  }
  if ((op == "mul" || op == "mad") && s.is(1, "wide")) {
    const char *result = type == "s32" || type == "u32" ? "b64" : "b32";
    to.execute = wideProduct(op, type);
    if (op == "mad")
      operands({result, own, own, result});
    else
      operands({result, own, own});
    return to.execute;
  }
  if (op == "shl" || op == "shr") {
    operands({own, own, "b32"});
    to.execute = sameType(s, type);
    return to.execute;
  }
  if (op == "bfe") {
    operands({own, own, "b32", "b32"});
    to.execute = type == "u32"   ? extractBits<uint32_t>
                 : type == "s32" ? extractBits<int32_t>
                 : type == "u64" ? extractBits<uint64_t>
                 : type == "s64" ? extractBits<int64_t>
                                 : nullptr;
    return to.execute;
  }
  if (op == "bfi") {
    operands({own, own, own, "b32", "b32"});
    to.execute = type == "b64" ? insertBits<uint64_t> : insertBits<uint32_t>;
    return true;
  }
  if (op == "prmt" && s.opcode.size() == 2) {
    operands({"b32", "b32", "b32", "b32"});
    to.execute = permuteBytes;
    return true;
  }
  if (op == "lop3" && s.operands.size() == 5) {
    to.immediate[0] = d.integer(s.operands[4]);
    d.outs(to, s.operands[0], "b32");
    for (int i = 1; i < 4; ++i)
      d.ins(to, s.operands[i], "b32");
    to.execute = anyLogic;
    return true;
  }
  if (op == "shf") {
    operands({"b32", "b32", "b32", "b32"});
    bool wraps = s.is(2, "wrap");
    to.execute = s.is(1, "l") ? (wraps ? funnel<true, true> : funnel<true, false>)
                              : (wraps ? funnel<false, true> : funnel<false, false>);
    return true;
  }
  if (op == "popc" || op == "clz") {
    operands({"b32", own});
    bool wide = type == "b64";
    to.execute = op == "popc"
                     ? (wide ? unary<uint32_t, uint64_t, Popcount> : unary<uint32_t, uint32_t, Popcount>)
                     : (wide ? unary<uint32_t, uint64_t, LeadingZeros> : unary<uint32_t, uint32_t, LeadingZeros>);
    return true;
  }
  to.execute = sameType(s, type);
  if (!to.execute)
    return false;
  size_t count = s.operands.size();
  if (count == 2)
    operands({own, own});
  else if (count == 3)
    operands({own, own, own});
  else
    operands({own, own, own, own});
  return true;
}
