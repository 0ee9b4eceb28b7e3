// Arithmetic that the code of every machine is written in: integers, folded where both sides are known, and f32.
//
// Integers are i32 or i64, both sides of an operation alike; a real is an f32 or a vector of them.
#ifndef CODEGEN_BUILDER_ARITHBUILDER_H
#define CODEGEN_BUILDER_ARITHBUILDER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include <optional>

namespace denim::codegen {

class ArithBuilder {
public:
  ArithBuilder(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;

  // ---- types
  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Type i64() { return builder.getI64Type(); }
  mlir::Type i32() { return builder.getI32Type(); }
  mlir::Type i1() { return builder.getI1Type(); }
  /// Bytes of an element in memory; a byte for an i1.
  static int64_t bytesOf(mlir::Type element);

  // ---- integers
  mlir::Value constant(int64_t value);   ///< i64
  mlir::Value constant32(int64_t value); ///< i32
  static std::optional<int64_t> constantOf(mlir::Value value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b);
  mlir::Value min(mlir::Value a, mlir::Value b); ///< signed
  mlir::Value max(mlir::Value a, mlir::Value b);
  mlir::Value lessThan(mlir::Value a, mlir::Value b); ///< signed
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value both(mlir::Value a, mlir::Value b); ///< of i1; a null side counts as true
  mlir::Value toI64(mlir::Value value);           ///< from index or a narrower signed integer
  mlir::Value toI32(mlir::Value value);           ///< from index or i64
  mlir::Value toIndex(mlir::Value value);         ///< from i32 or i64

  // ---- reals, and integers element by element of vectors
  mlir::Value addf(mlir::Value a, mlir::Value b);
  mlir::Value subf(mlir::Value a, mlir::Value b);
  mlir::Value mulf(mlir::Value a, mlir::Value b);
  mlir::Value maxf(mlir::Value a, mlir::Value b); ///< NaN if either is
  mlir::Value minf(mlir::Value a, mlir::Value b);
  mlir::Value maxi(mlir::Value a, mlir::Value b); ///< signed
  mlir::Value mini(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);

protected:
  mlir::Value integer(mlir::Type type, int64_t value);
};

} // namespace denim::codegen

#endif // CODEGEN_BUILDER_ARITHBUILDER_H
