// Matrix products by a unit that multiplies tiles of bf16 and adds in f32 (Target::matrix; AMX).
//
// Terms. An f32 has 24 significant bits, a bf16 has 8, and x = t0 + t1 + t2 holds without error when each term is what
// is left of x, cut off behind 8 bits. Of the nine products of two such sums the six largest are taken; the others are
// below 2^-21 of the product, what f32 loses in a sum of a few numbers. What was read from bf16 memory is one term as
// it stands, so f32 activations times bf16 weights take three tile products. An infinity leaves NaN in the second term.
//
// Tiles. A product reads both operands as tiles of 1 KiB in scratch:
//
//                  32 along k                            16 columns
//             +----------------+                    +-------------------+
//   left  16  | row 0: k 0..31 |       right  16    | k 0,1 of each col |   two bf16 in the place of one f32
//       rows  | row 1          |       pairs of k   | k 2,3             |
//             +----------------+                    +-------------------+
//
// so the left operand wants to lie along k and the right one across it; what lies otherwise is turned by squares of
// registers on its way. Tile (block of 16 rows or columns, step of 32 along k, term) lies at
// ((block * steps + step) * terms + term) KiB: a product reads forward through one such row for each of its blocks.
//
// A block of 2 x 2 tiles of sums stays in the unit while k runs. An operand that is read by products of a loop around
// them, or by several products, is brought into tiles once, where it is made (Layouts decides); the others by pieces of
// k for which the left tiles of two blocks stay in the first-level cache.
#ifndef CODEGEN_CPU_MATRIXPRODUCT_H
#define CODEGEN_CPU_MATRIXPRODUCT_H

#include "codegen/cpu/Product.h"

namespace denim::codegen {

enum class Side { left, right };

/// How the elements of an operand become bf16.
struct Terms {
  int64_t count = 3;
  bool rounded = false; ///< One term, rounded: the choice of a compilation (CpuOptions::bf16Products).
};
/// The type memory keeps the elements of a tile in: that of the memory it is loaded from, by windows and transposes.
mlir::Type storedElement(mlir::Value tile);
/// Terms that hold the elements of the tile without error, or one rounded term if that is asked for.
Terms termsOf(mlir::Value tile, bool rounded);

/// Whether the operand of a product reads tiles made where the operand is made, and whether it must be turned.
struct OperandCost {
  Terms terms;
  bool kept, turned;
};
/// Whether the unit is faster than vectors for a product of this shape.
bool matrixUnitPays(const Target &target, int64_t m, int64_t n, int64_t k, const OperandCost &left,
                    const OperandCost &right);

/// An operand in tiles.
struct TiledOperand {
  mlir::Value base;
  int64_t steps = 0; ///< Of 32 along k.
  Terms terms;
  static constexpr int64_t tileBytes = 1024;
  int64_t blockBytes() const { return steps * terms.count * tileBytes; }
};

class MatrixProductWriter {
public:
  using WithScratch = llvm::function_ref<void(int64_t bytes, llvm::function_ref<void(mlir::Value)>)>;
  MatrixProductWriter(Code &code, WithScratch withScratch) : code(code), access(code), withScratch(withScratch) {}

  /// Scratch of an operand in tiles: `extent` rows of a left one or columns of a right one.
  static int64_t bytesOf(int64_t extent, int64_t k, Terms terms);
  static int64_t stepsOf(int64_t k);
  /// Brings k in [first, first + depth) of an operand into tiles. Blocks beyond its last row or column are unspecified.
  void makeTiles(Side side, const Place &operand, mlir::Value first, int64_t depth, const TiledOperand &to);

  struct Operand {
    Terms terms;
    std::optional<TiledOperand> tiled; ///< All of it, made before.
  };
  /// The result's columns must be contiguous.
  void write(const Product &product, const Operand &left, const Operand &right);

private:
  /// Sums of up to 2 x 2 (or 1 x 3, 3 x 1) tiles.
  struct Block {
    mlir::Value row, column;         ///< First tile.
    int64_t rows, columns;           ///< Tiles,
    int64_t validRows, validColumns; ///< and what is wanted of the last of them.
    mlir::Value left, right;         ///< Its first tiles,
    int64_t leftStride, rightStride; ///< and bytes from one block of an operand to the next.
    mlir::Value steps;
    mlir::Value ahead; ///< What is asked for early, if anything: rows of 32 f32 for each step.
    int64_t aheadRows, aheadStride;
  };
  void piece(const Product &product, const Operand &left, const Operand &right, mlir::Value k, int64_t depth,
             const std::optional<Place> &initial);
  void rowsOfPiece(const Product &product, const Operand &left, const TiledOperand &right, mlir::Value rightBase,
                   mlir::Value k, int64_t depth, const std::optional<Place> &initial);
  void block(const Product &product, const Block &block, Terms left, Terms right, const std::optional<Place> &initial);
  void tileOf(Side side, const Place &lines, mlir::Value line, int64_t validLines, mlir::Value k, int64_t validSteps,
              Terms terms, mlir::Value to);
  void storeTerms(Side side, mlir::Value a, mlir::Value b, Terms terms, mlir::Value to);

  Code &code;
  Access access;
  WithScratch withScratch;
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_MATRIXPRODUCT_H
