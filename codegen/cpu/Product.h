// Matrix products on places: result = lhs * rhs + initial.
//
// Outer form. A register tile of `rows` x `vectors` accumulators stays in registers while k runs: per k it takes
// `vectors` vectors of a row of rhs and `rows` scalars of a column of lhs, each broadcast. rhs must have its columns
// contiguous; lhs may lie in any way. What does not come so (columns apart, bf16) is brought into a panel of k x one
// tile's columns, which stays in the first-level cache while all rows of lhs pass over it.
//
// Dot form, for few rows of lhs when both operands run along k: vectors along k, one accumulator per element of the
// result, lanes summed at the end. rhs is read once, in place, at the speed of memory. Of elements in blocks a vector
// sums up integers, and their scale is a factor of that sum.
//
// A result whose vectors run along rows is the transposed product of transposed operands, which costs nothing to say:
// places have two strides. For S = Q K^T with K stored by rows this saves the transposition of K.
#ifndef CODEGEN_CPU_PRODUCT_H
#define CODEGEN_CPU_PRODUCT_H

#include "codegen/cpu/Places.h"
#include <functional>

namespace denim::codegen {

/// What is known of zeros: lhs(m, k) is zero for k > m (lower) or rhs(k, n) for k > n (upper), or the result above
/// (lower) or below (upper) its diagonal is not wanted.
enum class Zeros { none, lhsLower, rhsUpper, resultLower, resultUpper };

/// Called in round `round` of `rounds` of an op's innermost loop, all its loops together.
using EachRound = std::function<void(mlir::Value round, int64_t rounds)>;

struct Product {
  Place lhs, rhs, result;
  std::optional<Place> initial; ///< May be the result's own place.
  Zeros zeros = Zeros::none;
  EachRound eachRound;
  int64_t m() const { return result.rows; }
  int64_t n() const { return result.columns; }
  int64_t k() const { return lhs.columns; }
  Product transposed() const;
};

/// The register tile for a result of m rows and `vectors` vectors of columns, summed over k: the one with the least
/// estimated time of those that fit the registers.
RegisterTile chooseRegisterTile(const Target &target, int64_t m, int64_t vectors, int64_t k);
/// Cycles of such a product at two multiply-adds in each, and rounds of its innermost loop, without register tiles that
/// are left out.
struct ProductTime {
  int64_t cycles, rounds;
};
ProductTime timeOf(const Target &target, int64_t m, int64_t vectors, int64_t k, Zeros zeros);

class ProductWriter {
public:
  using WithScratch = llvm::function_ref<void(int64_t rows, int64_t columns, llvm::function_ref<void(const Place &)>)>;
  ProductWriter(Code &code, WithScratch withScratch) : code(code), access(code), withScratch(withScratch) {}
  void write(const Product &product);
  /// A sum of products with one result, on top of what the first begins with: its register tiles stay in registers from
  /// term to term, where all terms can be read as they lie.
  void write(llvm::ArrayRef<Product> terms);
  /// Whether a product of this size has rounds whatever its operands lie like: the outer form.
  static bool hasRounds(int64_t m, int64_t n);

private:
  struct Block {
    mlir::Value m, n;      ///< First row and column of the register tile.
    int64_t rows, vectors; ///< Its shape,
    int64_t valid;         ///< and the useful lanes of its last vector.
    mlir::Value number;    ///< Register tiles before it.
  };
  /// Columns of the result that one register tile is wide.
  struct Strip {
    mlir::Value n;      ///< The first,
    int64_t vectors;    ///< how many vectors of them,
    int64_t valid;      ///< and the useful lanes of the last.
    mlir::Value number; ///< Strips before it.
  };
  void outer(const Product &product);
  void dot(const Product &product);
  void dotOfBlocks(const Product &product);
  void storeDots(const Product &product, mlir::Value j, int64_t count, llvm::ArrayRef<mlir::Value> sums);
  mlir::Value tilesBefore(const Product &product, const Strip &strip, int64_t tileRows);
  void packedStrip(const Product &product, const Strip &strip, int64_t tileRows);
  void alongK(const Product &product, int64_t depth,
              llvm::function_ref<void(mlir::Value k, int64_t depth, const std::optional<Place> &initial)> body);
  void rowsOfStrip(const Product &product, const Place &rhs, const Strip &strip, int64_t tileRows, mlir::Value k,
                   int64_t depth, const std::optional<Place> &initial);
  void registerTile(const Product &product, const Place &rhs, const Block &block, mlir::Value k, mlir::Value depthEnd,
                    int64_t depth, const std::optional<Place> &initial);
  llvm::SmallVector<mlir::Value> loadSums(const std::optional<Place> &initial, const Block &block);
  void addProducts(const Product &product, const Place &rhs, const Block &block, mlir::Value k, mlir::Value depthEnd,
                   int64_t depth, llvm::SmallVector<mlir::Value> &sums);
  void storeSums(const Place &result, const Block &block, llvm::ArrayRef<mlir::Value> sums);
  int64_t validLanes(const Block &b, int64_t vector) const { return vector + 1 == b.vectors ? b.valid : code.lanes; }
  bool canJoin(llvm::ArrayRef<Product> terms) const;
  void joined(llvm::ArrayRef<Product> terms);
  void pack(const Place &rhs, mlir::Value k, mlir::Value n, const Place &panel);
  /// Sums of the lanes of up to `lanes` vectors, one per lane.
  mlir::Value sumLanes(llvm::SmallVector<mlir::Value> vectors);

  Code &code;
  Access access;
  WithScratch withScratch;
  int64_t tiles = 0; ///< Register tiles of the product.
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_PRODUCT_H
