// The words the lowering writes in: addresses, vectors, loops.
//
// All of the lowering goes through this class, so that the heavy dialect headers are read by Code.cpp alone. Counters,
// bounds and offsets are i64, and offsets are in elements. Vectors have one shape: as many lanes as the target has
// for f32, whatever their element; a value "of element T" is such a vector, or a scalar where the name says so.
#ifndef CODEGEN_CPU_CODE_H
#define CODEGEN_CPU_CODE_H

#include "codegen/builder/ArithBuilder.h"
#include "codegen/target/Target.h"

namespace denim::codegen {

class Code : public ArithBuilder {
public:
  Code(mlir::OpBuilder &builder, mlir::Location loc, const Target &target)
      : ArithBuilder(builder, loc), target(target), lanes(target.lanes) {}

  const Target &target;
  const int64_t lanes;

  // ---- types
  mlir::Type pointerType();
  mlir::VectorType vectorOf(mlir::Type element) { return mlir::VectorType::get({lanes}, element); }
  /// What an element of a tile or memory is in memory: bits for bf16 and f16, a byte for i1 and for integers of blocks.
  mlir::Type storageOf(mlir::Type element);

  // ---- i64
  mlir::Value divide(mlir::Value a, int64_t by); ///< towards zero
  mlir::Value roundDown(mlir::Value a, int64_t multiple);

  // ---- memory
  mlir::Value advance(mlir::Value pointer, mlir::Value elements, mlir::Type element);
  mlir::Value advance(mlir::Value pointer, int64_t elements, mlir::Type element);
  mlir::Value load(mlir::Type type, mlir::Value pointer, int64_t alignment);
  mlir::Value load(mlir::Type scalar, mlir::Value pointer); ///< aligned to its size
  void store(mlir::Value value, mlir::Value pointer, int64_t alignment);
  mlir::Value maskedLoad(mlir::Type vectorType, mlir::Value pointer, mlir::Value mask, int64_t alignment);
  void maskedStore(mlir::Value value, mlir::Value pointer, mlir::Value mask, int64_t alignment);
  void prefetch(mlir::Value pointer, int level = 1); ///< into the cache of that level, 1 to 3

  // ---- vectors and scalars of f32, i32, i1
  mlir::Value laneMask(int64_t count); ///< lanes below count
  mlir::Value laneNumbers();           ///< 0, 1, 2, ... of i32
  mlir::Value scalarConstant(mlir::Type element, double value);
  mlir::Value broadcast(mlir::Value scalar);
  mlir::Value zero(mlir::Type element) { return broadcast(scalarConstant(element, 0)); }
  mlir::Value addi(mlir::Value a, mlir::Value b); ///< of i32, any shape
  mlir::Value negf(mlir::Value a);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c); ///< a * b + c, fused where the target can
  mlir::Value shuffle(mlir::Value a, mlir::Value b, llvm::ArrayRef<int64_t> mask);
  mlir::Value extract(mlir::Value vector, int64_t lane);
  mlir::Value insert(mlir::Value scalar, mlir::Value vector, int64_t lane);
  /// Between what memory holds (storageOf) and what is computed with: f32 for bf16 and f16, i1 for a byte.
  mlir::Value widen(mlir::Value stored, mlir::Type element);
  mlir::Value narrow(mlir::Value value, mlir::Type element);
  /// Bytes as i32, with their sign or without one.
  mlir::Value widenBytes(mlir::Value bytes, bool hasSign);
  mlir::Value toReal(mlir::Value integer); ///< f32 from i32
  /// Four bits of each i32, of which they are the lower eight: those from bit `first` (i32 or a constant) on.
  mlir::Value fourBits(mlir::Value bytes, mlir::Value first);
  mlir::Value shiftRight(mlir::Value integers, mlir::Value by); ///< of i32; zeros come in, `by` a scalar
  /// Of 16 numbers, in each lane the one that the lower four bits of `indices` count (Target::lookUp).
  mlir::Value lookUp(llvm::ArrayRef<float> numbers, mlir::Value indices);
  /// The first or second bf16 of each i32, as f32.
  mlir::Value widenPair(mlir::Value pairs, bool second);

  // ---- tiles of the matrix unit (Target::matrix): eight of 16 rows of 64 bytes
  /// Gives all tiles that shape; `scratch` are 64 bytes for the description.
  void configureTiles(mlir::Value scratch);
  void releaseTiles();
  void zeroTile(int64_t tile);
  void loadTile(int64_t tile, mlir::Value pointer, mlir::Value strideBytes);
  void storeTile(int64_t tile, mlir::Value pointer, mlir::Value strideBytes);
  /// sums += left * right, of bf16 in f32.
  void multiplyTiles(int64_t sums, int64_t left, int64_t right);

  // ---- pairs of bf16 for it, one i32 each
  /// The upper halves of two vectors of f32 in pairs: (a[0], b[0]), (a[1], b[1]), ...
  mlir::Value pairAcross(mlir::Value a, mlir::Value b);
  /// The same with neighbours as pairs: (a[0], a[1]), ..., (b[0], b[1]), ...
  mlir::Value pairAlong(mlir::Value a, mlir::Value b);
  /// The f32 without the bits that bf16 has no room for.
  mlir::Value upperHalf(mlir::Value value);
  /// The f32 rounded to bf16, nearest even.
  mlir::Value roundToBrain(mlir::Value value);

  // ---- control
  using LoopBody = llvm::function_ref<void(mlir::Value)>;
  using CarryingBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)>;
  /// for (i = low; i < high; i += step). A loop known to run once is written without a loop, one of none not at all.
  void loop(mlir::Value low, mlir::Value high, int64_t step, LoopBody body);
  void loop(int64_t low, int64_t high, int64_t step, LoopBody body) { loop(constant(low), constant(high), step, body); }
  llvm::SmallVector<mlir::Value> loop(mlir::Value low, mlir::Value high, int64_t step, mlir::ValueRange carried,
                                      CarryingBody body);
  void branch(mlir::Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = {});

private:
  void callIntrinsic(llvm::StringRef name, mlir::ValueRange operands);
  mlir::Value integerConstantLike(mlir::Type type, int64_t value);
  mlir::Value widenHalf(mlir::Value bits);
  mlir::Value narrowHalf(mlir::Value value);
  mlir::Value narrowBrain(mlir::Value value);
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_CODE_H
