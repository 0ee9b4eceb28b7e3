// expand-math: functions of f32 and vectors of f32 as polynomials, so that generated code calls no library.
//
// Errors are relative and were found by trying all or many inputs against double (test/codegen/math/ExpandMathTest):
// below 2e-7 each. NaN in, NaN out; infinities have their limits.
#include "codegen/math/ExpandMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace denim::codegen;

namespace {

/// Arithmetic on values of one shape, scalar or vector.
class Expander {
public:
  Expander(OpBuilder &b, Location loc, const MathInstructions &has, Type type) : b(b), loc(loc), has(has), type(type) {}

  Value exp(Value x) { return exponential(x, /*base2=*/false); }
  Value exp2(Value x) { return exponential(x, /*base2=*/true); }
  Value expm1(Value x);
  Value log(Value x);
  Value log1p(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value sine(Value x, bool cosine);
  Value k(double v) { return constant(type, v); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value sqrt(Value x) { return math::SqrtOp::create(b, loc, x); }
  Value fma(Value x, Value y, Value z);

private:
  Type withElement(Type element) {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  }
  Type integers() { return withElement(b.getI32Type()); }
  Value constant(Type type, double v) {
    Type element = getElementTypeOrSelf(type);
    TypedAttr one = isa<FloatType>(element) ? TypedAttr(b.getFloatAttr(element, v))
                                            : TypedAttr(b.getIntegerAttr(element, int64_t(v)));
    auto vector = dyn_cast<VectorType>(type);
    return arith::ConstantOp::create(b, loc, vector ? TypedAttr(DenseElementsAttr::get(vector, Attribute(one))) : one);
  }
  Value ki(int64_t v) { return constant(integers(), double(v)); }
  Value bits(Value x) { return arith::BitcastOp::create(b, loc, integers(), x); }
  Value real(Value x) { return arith::BitcastOp::create(b, loc, type, x); }
  Value addi(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value andi(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
  Value ori(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value less(Value x, Value y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y); }
  Value equal(Value x, Value y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, y); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value abs(Value x) { return real(andi(bits(x), ki(0x7fffffff))); }
  Value withSignOf(Value magnitude, Value x) { return real(ori(bits(magnitude), andi(bits(x), ki(0x80000000)))); }
  /// x within [low, high]; a NaN stays. One instruction per side, whose second operand wins where x is NaN.
  Value clamp(Value x, double low, double high) {
    Value l = k(low), h = k(high);
    x = select(less(x, l), l, x);
    return select(less(h, x), h, x);
  }
  /// c[0] x^n + ... + c[n].
  Value polynomial(Value x, ArrayRef<double> c) {
    Value sum = k(c[0]);
    for (double next : c.drop_front())
      sum = fma(sum, x, k(next));
    return sum;
  }
  Value exponential(Value x, bool base2);
  Value scale(Value x, Value rounded, Value integer);

  OpBuilder &b;
  Location loc;
  const MathInstructions &has;
  Type type;
};

Value Expander::fma(Value x, Value y, Value z) {
  if (!has.fusedMultiplyAdd)
    return add(mul(x, y), z);
  if (isa<VectorType>(x.getType()))
    return vector::FMAOp::create(b, loc, x, y, z);
  return LLVM::FMAOp::create(b, loc, x, y, z);
}

/// x * 2^n for n in [-151, 129], given as a float and as an integer. Results below the normal range are rounded once.
Value Expander::scale(Value x, Value rounded, Value integer) {
  auto vector = dyn_cast<VectorType>(type);
  if (vector && vector.getNumElements() == 16 && has.scale16) {
    Value all = arith::ConstantOp::create(b, loc, b.getI16IntegerAttr(-1));
    Value current = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(4)); // the rounding mode in force
    return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                                         ValueRange{x, rounded, k(0), all, current})
        .getResult(0);
  }
  // The exponent in two halves, so that neither leaves the range of normal numbers.
  Value first = arith::ShRSIOp::create(b, loc, integer, ki(1));
  Value second = arith::SubIOp::create(b, loc, integer, first);
  auto power = [&](Value n) { return real(arith::ShLIOp::create(b, loc, addi(n, ki(127)), ki(23))); };
  return mul(mul(x, power(first)), power(second));
}

/// e^x = 2^n e^r, n the nearest integer to x / ln 2, |r| <= ln 2 / 2.
Value Expander::exponential(Value x, bool base2) {
  x = base2 ? clamp(x, -151, 129) : clamp(x, -104, 89);
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  Value magic = k(12582912.0);
  Value t = base2 ? add(x, magic) : fma(x, k(1.44269504088896341), magic);
  Value n = sub(t, magic);
  Value r;
  if (base2) {
    r = mul(sub(x, n), k(0.693147180559945309));
  } else {
    r = fma(n, k(-0.693359375), x);
    r = fma(n, k(2.12194440054690583e-4), r);
  }
  // Of those with 1 + r in front the one with the least error, 3e-9; what is rounded last is r times something above 1.
  Value p = polynomial(r, {1.381453517e-3, 8.368745581e-3, 4.166839089e-2, 1.666652039e-1, 4.999999343e-1, 1, 1});
  return scale(p, n, arith::SubIOp::create(b, loc, bits(t), bits(magic)));
}

Value Expander::expm1(Value x) {
  Value p = polynomial(x, {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5});
  Value small = fma(mul(x, x), p, x);
  return select(less(abs(x), k(0.5)), small, sub(exp(x), k(1)));
}

/// x = 2^e m with m in [sqrt(1/2), sqrt(2)); log x = e ln 2 + log m.
Value Expander::log(Value x) {
  Value tiny = less(x, k(1.17549435e-38));
  Value scaled = select(tiny, mul(x, k(8388608.0)), x);
  Value offset = addi(bits(scaled), ki(-0x3f3504f3)); // the bits of sqrt(1/2)
  Value e = arith::ShRSIOp::create(b, loc, offset, ki(23));
  Value m = real(addi(andi(offset, ki(0x007fffff)), ki(0x3f3504f3)));
  Value exponent = arith::SIToFPOp::create(b, loc, type, e);
  exponent = select(tiny, sub(exponent, k(23)), exponent);
  Value f = sub(m, k(1)), z = mul(f, f);
  Value p = polynomial(f, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                           -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
  Value tail = mul(mul(f, z), p);
  tail = fma(exponent, k(-2.12194440e-4), tail);
  tail = fma(z, k(-0.5), tail);
  Value result = fma(exponent, k(0.693359375), add(f, tail));
  result = select(equal(x, k(0)), k(-INFINITY), result);
  result = select(equal(x, k(INFINITY)), x, result);
  // Below zero, and NaN.
  Value invalid = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ULT, x, k(0));
  return select(invalid, k(NAN), result);
}

/// log(1 + x): what rounding 1 + x lost is put back to first order.
Value Expander::log1p(Value x) {
  Value u = add(x, k(1));
  Value lost = div(sub(x, sub(u, k(1))), u);
  Value edge = arith::OrIOp::create(b, loc, equal(u, k(0)), equal(u, k(INFINITY)));
  return add(log(u), select(edge, k(0), lost));
}

Value Expander::tanh(Value x) {
  Value a = abs(x), z = mul(x, x);
  Value p =
      polynomial(z, {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1});
  Value small = fma(mul(z, p), x, x);
  Value large = sub(k(1), div(k(2), add(exp(add(a, a)), k(1))));
  return select(less(a, k(0.625)), small, withSignOf(large, x));
}

/// The series near 0; further out 1 - e^(-x^2) times a polynomial in 1 / (1 + p x), absolute error 1.5e-7.
Value Expander::erf(Value x) {
  Value a = abs(x), z = mul(x, x);
  SmallVector<double> series;
  double factorial = 1;
  for (int n = 0; n <= 11; ++n) {
    factorial *= n == 0 ? 1 : n;
    series.insert(series.begin(), (n % 2 ? -1 : 1) * 1.12837916709551257 / (factorial * (2 * n + 1)));
  }
  Value small = mul(polynomial(z, series), x);
  Value t = div(k(1), fma(a, k(0.3275911), k(1)));
  Value p = mul(polynomial(t, {1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592}), t);
  Value large = withSignOf(sub(k(1), mul(p, exp(sub(k(0), z)))), x);
  Value inside = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ULT, a, k(1));
  return select(inside, small, large);
}

/// sin or cos: the quadrant is taken off in double, which is exact enough to 1e6 and beyond.
Value Expander::sine(Value x, bool cosine) {
  Type doubles = withElement(b.getF64Type()), longs = withElement(b.getI64Type());
  auto kd = [&](double v) { return constant(doubles, v); };
  Value wide = arith::ExtFOp::create(b, loc, doubles, x);
  Value magic = kd(6755399441055744.0); // 1.5 * 2^52
  Value t = add(mul(wide, kd(0.636619772367581343)), magic);
  Value n = sub(t, magic);
  Value rest = sub(wide, mul(n, kd(1.57079632679489662)));
  Value r = arith::TruncFOp::create(b, loc, type, rest);
  Value low = arith::TruncIOp::create(b, loc, integers(), arith::BitcastOp::create(b, loc, longs, t));
  Value quadrant = cosine ? addi(low, ki(1)) : low;
  Value z = mul(r, r);
  Value s = fma(mul(z, r), polynomial(z, {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}), r);
  Value c = polynomial(z, {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2});
  c = fma(mul(z, z), c, fma(z, k(-0.5), k(1)));
  Value odd = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, andi(quadrant, ki(1)), ki(0));
  Value sign = arith::ShLIOp::create(b, loc, andi(quadrant, ki(2)), ki(30));
  Value value = select(odd, c, s);
  return real(arith::XOrIOp::create(b, loc, bits(value), sign));
}

struct ExpandMathPass : PassWrapper<ExpandMathPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)
  ExpandMathPass() = default;
  explicit ExpandMathPass(const MathInstructions &instructions) {
    fused = instructions.fusedMultiplyAdd;
    scale16 = instructions.scale16;
  }
  ExpandMathPass(const ExpandMathPass &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "expand-math"; }
  StringRef getDescription() const override { return "write functions of f32 as polynomials"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, vector::VectorDialect>();
  }

  void runOnOperation() override {
    MathInstructions has{fused, scale16};
    getOperation()->walk([&](Operation *op) {
      if (op->getNumResults() != 1 || !isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
          !getElementTypeOrSelf(op->getResult(0).getType()).isF32())
        return;
      OpBuilder builder(op);
      Expander e(builder, op->getLoc(), has, op->getResult(0).getType());
      auto x = [&] { return op->getOperand(0); };
      Value result = TypeSwitch<Operation *, Value>(op)
                         .Case([&](math::ExpOp) { return e.exp(x()); })
                         .Case([&](math::Exp2Op) { return e.exp2(x()); })
                         .Case([&](math::ExpM1Op) { return e.expm1(x()); })
                         .Case([&](math::LogOp) { return e.log(x()); })
                         .Case([&](math::Log2Op) { return e.mul(e.log(x()), e.k(1.44269504088896341)); })
                         .Case([&](math::Log10Op) { return e.mul(e.log(x()), e.k(0.434294481903251828)); })
                         .Case([&](math::Log1pOp) { return e.log1p(x()); })
                         .Case([&](math::TanhOp) { return e.tanh(x()); })
                         .Case([&](math::ErfOp) { return e.erf(x()); })
                         .Case([&](math::SinOp) { return e.sine(x(), false); })
                         .Case([&](math::CosOp) { return e.sine(x(), true); })
                         .Case([&](math::RsqrtOp) { return e.div(e.k(1), e.sqrt(x())); })
                         .Case([&](math::PowFOp) { return e.exp(e.mul(op->getOperand(1), e.log(x()))); })
                         .Case([&](math::FmaOp) { return e.fma(x(), op->getOperand(1), op->getOperand(2)); })
                         .Default([](Operation *) { return Value(); });
      if (!result)
        return;
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    });
  }

  Option<bool> fused{*this, "fused", llvm::cl::desc("has a*b+c with one rounding"), llvm::cl::init(true)};
  Option<bool> scale16{*this, "scale16", llvm::cl::desc("has x * 2^n of vectors of 16 (AVX-512)"),
                       llvm::cl::init(false)};
};

} // namespace

std::unique_ptr<Pass> denim::codegen::createExpandMathPass(const MathInstructions &instructions) {
  return std::make_unique<ExpandMathPass>(instructions);
}
void denim::codegen::registerMathPasses() {
  PassRegistration<ExpandMathPass>();
}
