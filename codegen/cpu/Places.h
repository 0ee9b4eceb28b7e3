// Where tiles live.
//
// Every tile value has a place: addresses of its elements, in scratch or in memory outside the kernel.
//
//   scratch   a range of the thread's scratch, held from the value's definition to its last use and then free for
//             another value. Rows (or columns) are padded to whole vectors, so code may read and write whole vectors
//             everywhere; elements in the padding are arbitrary, and only reductions have to mask them.
//   alias     a load that needs no copy: the place is the memory itself, with the memory's row stride. The last
//             vector of a ragged row is masked there. Elements may be bf16 or f16: they widen when read.
//   blocks    an alias of memory whose elements are integers with a scale for every 32 of them (formats/blocks): two
//             addresses. Vectors begin at multiples of their lanes, so one has one scale. Read by products alone, which
//             have the scale behind their sums or make a panel of f32; for others a load makes a copy.
//   splat     no address at all: one scalar.
//   window    the place of its source, moved.
//
// A place has a stride per row and per column, one of them 1. The axis of stride 1 is the axis its vectors run along:
// columns for "row-major", rows for "column-major". A tile of one column keeps its elements contiguous along rows, a
// tile of one row along columns. Two strides make a transposed view free: swap them.
//
// Example. %t = load of 64x37 f32 of scratch on a machine of 16 lanes: row stride 48, column stride 1; vectors at
// columns 0, 16 and 32 of each row, the last with 5 useful lanes. Its window [8, 16] of 4x8 is the same base moved by
// 8 * 48 + 16 elements.
#ifndef CODEGEN_CPU_PLACES_H
#define CODEGEN_CPU_PLACES_H

#include "codegen/cpu/Code.h"
#include "dialects/tile/ir/Tile.h"

namespace denim::codegen {

enum class Axis { rows, columns };
inline Axis otherAxis(Axis axis) {
  return axis == Axis::rows ? Axis::columns : Axis::rows;
}

struct Place {
  mlir::Value base;   ///< Pointer to element (0, 0).
  mlir::Value scales; ///< Elements in blocks: pointer to the first scale of a row, whose first integer is at `base`,
  mlir::Value first;  ///< and position of element (0, 0) along it, a multiple of lanes.
  mlir::Value splat;  ///< The scalar of all elements, instead of an address.
  mlir::Type element;
  int64_t rows = 1, columns = 1;           ///< Extents of the tile that lives here.
  int64_t rowStride = 1, columnStride = 1; ///< In elements; of elements in blocks bytes from row to row.
  int64_t alignment = 4;                   ///< Bytes `base` is known to be aligned to.
  bool padded = false;                     ///< The last vector along the contiguous axis may be read and written whole.

  int64_t extent(Axis axis) const { return axis == Axis::rows ? rows : columns; }
  int64_t stride(Axis axis) const { return axis == Axis::rows ? rowStride : columnStride; }
  /// The axis along which blocks lie.
  Axis blockAxis() const { return columnStride == 1 ? Axis::columns : Axis::rows; }
  bool isContiguous(Axis axis) const { return stride(axis) == 1 || extent(axis) == 1; }
  Place transposed() const {
    Place p = *this;
    std::swap(p.rows, p.columns);
    std::swap(p.rowStride, p.columnStride);
    return p;
  }
};

/// The axis vectors run along in a tile of this shape, if nothing speaks for the other one.
inline Axis naturalAxis(tile::TileType type) {
  return type.getColumns() == 1 && type.getRows() > 1 ? Axis::rows : Axis::columns;
}

/// Reads and writes of places. Rows and columns of one-row and one-column places broadcast.
class Access {
public:
  explicit Access(Code &code) : code(code) {}
  /// Pointer to an element; of elements in blocks to the byte that has its integer.
  mlir::Value address(const Place &place, mlir::Value row, mlir::Value column);
  /// One element as it is computed with: f32, i32 or i1.
  mlir::Value scalar(const Place &place, mlir::Value row, mlir::Value column);
  void setScalar(const Place &place, mlir::Value row, mlir::Value column, mlir::Value value);
  /// The vector along `axis` that begins at (row, column); lanes from `valid` on are arbitrary.
  mlir::Value vector(const Place &place, Axis axis, mlir::Value row, mlir::Value column, int64_t valid);
  /// Writes lanes below `valid`; the others as well where the place is padded.
  void setVector(const Place &place, Axis axis, mlir::Value row, mlir::Value column, int64_t valid, mlir::Value value);
  /// The part of a place that begins at (row, column).
  Place window(const Place &place, mlir::Value row, mlir::Value column, int64_t rows, int64_t columns);
  /// body(row, column, valid) for each vector along `axis`; with `whole`, ragged vectors count as full.
  void forEachVector(int64_t rows, int64_t columns, Axis axis, bool whole,
                     llvm::function_ref<void(mlir::Value, mlir::Value, int64_t)> body);
  /// Copies rows [low, high) of `from` into `to`, widening or narrowing elements.
  void copyRows(const Place &from, const Place &to, mlir::Value low, mlir::Value high);
  void copy(const Place &from, const Place &to);

  // ---- elements in blocks (Blocks.cpp)
  /// The part of a memory that begins at (row, column): `base` points to the memory's first row, `memoryColumns` wide.
  Place blocksOf(mlir::Value base, mlir::Type element, int64_t memoryColumns, mlir::Value row, mlir::Value column,
                 int64_t rows, int64_t columns);
  /// The scales of a place whose blocks lie along its rows: a place of f16 with a row for each of its columns.
  Place scalesOf(const Place &place, mlir::Value column, int64_t columns);
  /// The integers of the block that begins at (row, column), as f32, along the axis of blocks.
  llvm::SmallVector<mlir::Value> integersOfBlock(const Place &place, mlir::Value row, mlir::Value column);

private:
  mlir::Value positionInRow(const Place &place, mlir::Value row, mlir::Value column);
  mlir::Value inRow(const Place &place, mlir::Value pointer, mlir::Value row, mlir::Value column);
  Place windowOfBlocks(const Place &place, mlir::Value row, mlir::Value column, int64_t rows, int64_t columns);
  mlir::Value addressInBlock(const Place &place, mlir::Value row, mlir::Value column);
  /// A scalar, or the vector along the axis of blocks, that begins at (row, column).
  mlir::Value elementOfBlock(const Place &place, mlir::Value row, mlir::Value column, bool vector);
  std::pair<mlir::Value, mlir::Value> realsOfFourBits(mlir::Value bytes);
  void copyTransposed(const Place &from, const Place &to);
  int64_t vectorAlignment(const Place &place, Axis axis);
  Code &code;
};

/// The transpose of a square of lanes x lanes elements, in registers.
llvm::SmallVector<mlir::Value> transposeSquare(Code &code, llvm::SmallVector<mlir::Value> rows);

/// Offsets in the thread's scratch, by first fit.
class Scratch {
public:
  int64_t allocate(int64_t bytes);
  void release(int64_t offset, int64_t bytes);
  int64_t size() const { return highWater; }

private:
  std::vector<std::pair<int64_t, int64_t>> holes; ///< free [begin, end), ascending, below `top`
  int64_t top = 0, highWater = 0;
};

/// When values are last used. Ops of a kernel are numbered in the order they are lowered, an op with regions behind
/// its regions. A use inside a region of a later op of the value's block counts as a use at the end of that op, so
/// that what a loop reads lives through all its rounds; a use by a window lives as long as the window. An op whose code
/// stands at a later op of its block (`writtenAt`) uses what it reads there.
class Lifetimes {
public:
  Lifetimes(tile::KernelOp kernel, llvm::function_ref<mlir::Operation *(mlir::Operation *)> writtenAt);
  int64_t position(mlir::Operation *op) const { return positions.lookup(op); }
  int64_t lastUse(mlir::Value value) const { return lastUses.lookup(value); }

private:
  void number(mlir::Block &block);
  llvm::DenseMap<mlir::Operation *, int64_t> positions;
  llvm::DenseMap<mlir::Value, int64_t> lastUses;
  std::vector<mlir::Value> tiles;
  int64_t next = 1;
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_PLACES_H
