// What a CPU can do. Code generation asks these fields and never compares names; the runtime checks `requiredFlags`
// against /proc/cpuinfo before it loads code made for the target.
#ifndef CODEGEN_TARGET_TARGET_H
#define CODEGEN_TARGET_TARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace denim::codegen {

/// Rows of scalars times vectors of columns: how much of a product one pass of the inner loop holds in registers.
struct RegisterTile {
  int64_t rows;
  int64_t vectors;
};

/// A unit that multiplies tiles: 16 x 32 of bf16 times 32 x 16, whose rows come in pairs, added to 16 x 16 of f32. An
/// f32 operand is the sum of three terms of bf16; products of two such operands take six tile products.
///
/// Times are cycles of one core, for the choice between this unit and vectors (cpu/MatrixProduct.h).
struct MatrixUnit {
  double product = 0; ///< One tile product with the loads beside it.
  double tile = 0;    ///< Bringing 512 elements into a tile,
  double term = 0;    ///< for each term of them,
  double turn = 0;    ///< and when they do not lie the way a tile wants them.
  double sums = 0;    ///< Reading and writing a tile of sums.
};

struct Target {
  std::string name;                       ///< "x86-64-v4"; what the user writes and a module records.
  std::string cpu;                        ///< LLVM's name of the oldest processor the code must run on.
  std::string features;                   ///< LLVM feature string.
  std::vector<std::string> requiredFlags; ///< Flags of /proc/cpuinfo without which the code must not run.
  int64_t lanes;                          ///< f32 elements of one vector register.
  int64_t registers;                      ///< Vector registers.
  int64_t vectorBits;                     ///< Widest vector LLVM may use.
  bool fusedMultiplyAdd;                  ///< Has an instruction for a*b+c with one rounding.
  bool halfConvert;                       ///< Has instructions between f16 and f32.
  bool bf16Convert;                       ///< Has an instruction that rounds f32 to bf16.
  bool lookUp = false;                    ///< Has an instruction that picks one of 16 f32 in each lane.
  std::optional<MatrixUnit> matrix;       ///< What the machine has beside vectors.
  RegisterTile outerTile;                 ///< Shape of the outer-product form of tile.mma.
  RegisterTile dotTile;                   ///< Shape of the dot form: rows of lhs times rows of rhs.
  int64_t blockBytes;                     ///< Bytes of first-level cache one panel of a product may take.
  int64_t cacheBytes = 1024 * 1024; ///< Bytes a core has near it; what is read from further off is asked for early.
  int64_t turnedBytes = 256 * 1024; ///< Bytes of scratch for an operand that is turned once for many products.
  double nearRate = 95e3;           ///< Bytes in a microsecond that a core reads from there,
  double farRate = 22e3;            ///< and from further off.
  /// Operations in a microsecond: two vectors of multiply-adds in each cycle at the clock of wide vectors.
  double operationRate() const { return (fusedMultiplyAdd ? 4 : 2) * static_cast<double>(lanes) * 2.4e3; }
};

/// Names that findTarget takes, fastest first; "native" is taken too.
llvm::ArrayRef<llvm::StringRef> targetNames();

/// The target of a name; "native" is the fastest that runs on this machine.
llvm::Expected<Target> findTarget(llvm::StringRef name);

/// Whether code for the target runs on this machine.
bool runsHere(const Target &target);

} // namespace denim::codegen

#endif // CODEGEN_TARGET_TARGET_H
