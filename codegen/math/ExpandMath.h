// Functions of f32 as polynomials: the door of this room, which all machines share.
#ifndef CODEGEN_MATH_EXPANDMATH_H
#define CODEGEN_MATH_EXPANDMATH_H

#include <memory>

namespace mlir {
class Pass;
} // namespace mlir

namespace denim::codegen {

/// The instructions that expansions may use.
struct MathInstructions {
  bool fusedMultiplyAdd = true; ///< a*b+c with one rounding
  bool scale16 = false;         ///< x * 2^n of vectors of 16 (AVX-512 vscalefps)
};

/// `expand-math`: functions of math on f32, or vectors of f32, become polynomials in arith and vector. What machines
/// have an instruction for (sqrt, absf, maximum) stays.
std::unique_ptr<mlir::Pass> createExpandMathPass(const MathInstructions &instructions);

/// Makes the pass known to denim-opt.
void registerMathPasses();

} // namespace denim::codegen

#endif // CODEGEN_MATH_EXPANDMATH_H
