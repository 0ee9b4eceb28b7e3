// How the threads of a block hold a tile.
//
// There is one way, that of the accumulators of matrix products (PTX ISA, "wgmma.mma_async" and "mma.m16n8k16"), and
// its projections for tiles of one row or one column. Warps stand in a grid of `warpsDown` times `warpsAcross`, warp
// w at (w mod warpsDown, w div warpsDown). A tile is cut into slabs of 16 rows, dealt to the warps down the grid, and
// its columns into equal parts, one for each warp across. Inside a slab, with g = lane / 4 and t = lane mod 4,
//
//                columns 2t  2t+1   8+2t 8+2t+1   ...
//     row g         [0]  [1]        [4]  [5]               registers of the thread, for one slab; the next slab of
//     row g + 8     [2]  [3]        [6]  [7]               the warp follows behind them
//
// So: an elementwise function needs no exchange, a sum over columns one among the four lanes of a row, and what a
// product leaves is what the next one takes as its left operand. A tile of one column is held by row (all t and all
// warps across have copies), a tile of one row by column (all g and all warps down), one of one element by everyone.
//
//     64x128, 4 warps, grid 4x1: each warp 16 rows of 128 columns, 64 registers
//     4x64,   4 warps, grid 1x4: each warp 16 columns; rows 4 to 15 are padding and hold anything
//
// Products want pairs of columns, memory wants 16 bytes. A kernel without products exchanges the numbers of its columns
// (WideAccess.cpp): of four joined groups, which are 32 columns, thread t has the eight neighbours from 8t on instead
// of four pairs. All else stays as it is: rows, who adds with whom, and where a register stands.
//
//     joined = 1   thread 0 has columns 0 1  8 9  16 17  24 25       joined = 4   thread 0 has columns 0 1 2 3 4 5 6 7
//
// Where windows of one memory overlap row by row, as those of a convolution do, the rows of a thread are neighbours as
// well (`sliding`): of a tile of 64 rows a thread of one warp has 8g to 8g+7, and four windows are 11 rows, not 32.
//
// Four lanes with 16 bytes of f32 each are half of a line of memory. A kernel without products that reads a matrix of
// f32 deals a row to eight (`lanes`): g = lane / 8 and t = lane mod 8, a slab is 8 rows, a group 16 columns.
#ifndef CODEGEN_NVPTX_FRAGMENT_H
#define CODEGEN_NVPTX_FRAGMENT_H

#include "dialects/tile/ir/Tile.h"
#include <limits>

namespace denim::codegen::nvptx {

struct WarpGrid {
  int64_t down = 1, across = 1;
  bool operator==(const WarpGrid &other) const { return down == other.down && across == other.across; }
};

/// The shape of a tile and how it is dealt.
struct Distribution {
  int64_t rows, columns;
  WarpGrid grid;
  int64_t joined = 1;   ///< groups whose columns of a thread are neighbours; the same for all tiles of a kernel
  bool sliding = false; ///< the rows of a thread are neighbours; the same for all tiles of a kernel
  int64_t lanes = 4;    ///< that share a row; the same for all tiles of a kernel
  /// Rows from the first on that anything asks for (UsedRows.cpp): registers of others hold anything.
  static constexpr int64_t kAllRows = std::numeric_limits<int64_t>::max();
  int64_t used = kAllRows;

  bool oneRow() const { return rows == 1; }
  bool oneColumn() const { return columns == 1; }
  int64_t laneRows() const { return 32 / lanes; }
  int64_t slabRows() const { return 2 * laneRows(); }
  int64_t groupColumns() const { return 2 * lanes; }
  int64_t slabs() const { return oneRow() ? 1 : llvm::divideCeil(rows, slabRows() * grid.down); } ///< of a warp
  int64_t groups() const { return oneColumn() ? 1 : llvm::divideCeil(columns, groupColumns() * grid.across); }
  int64_t halves() const { return oneRow() ? 1 : 2; }
  int64_t pairs() const { return oneColumn() ? 1 : 2; }
  int64_t registers() const { return slabs() * groups() * halves() * pairs(); }
  int64_t at(int64_t slab, int64_t group, int64_t half, int64_t element) const {
    return ((slab * groups() + group) * halves() + half) * pairs() + element;
  }
  int64_t columnsOfWarp() const { return groups() * groupColumns(); }
  /// Rows from the first of a thread to this one.
  int64_t rowAt(int64_t slab, int64_t half) const {
    return sliding ? slab * 2 + half : slab * slabRows() * grid.down + half * laneRows();
  }
  /// Whether some thread has a row there that is asked for.
  bool isUsed(int64_t slab, int64_t half) const { return oneRow() || sliding || rowAt(slab, half) < used; }
  int64_t neighbours() const { return pairs() * joined; }
  /// Columns from the first of a thread to this one.
  int64_t columnAt(int64_t group, int64_t element) const {
    return group / joined * groupColumns() * joined + group % joined * 2 + element;
  }
  /// Whether threads hold elements that the tile does not have.
  bool padsRows() const { return !oneRow() && rows % (slabRows() * grid.down) != 0; }
  bool padsColumns() const { return !oneColumn() && columns % (groupColumns() * grid.across) != 0; }
};

/// A tile in registers: one value per register.
struct Fragment {
  Distribution shape;
  mlir::Type element;
  llvm::SmallVector<mlir::Value> values;

  mlir::Value at(int64_t slab, int64_t group, int64_t half, int64_t e) const {
    return values[shape.at(shape.oneRow() ? 0 : slab, shape.oneColumn() ? 0 : group, shape.oneRow() ? 0 : half,
                           shape.oneColumn() ? 0 : e)];
  }
};

/// A tile of 16-bit elements in shared memory, as products read it: panels of 64 columns, rows of 128 bytes, the
/// 16-byte pieces of row r exchanged by xor with r mod 8. Rows are padded to a multiple of 16, whole of zeros where the
/// tile is contracted over them; columns to whole panels.
struct SharedTile {
  int64_t offset = 0; ///< bytes, multiple of 1024
  mlir::Value slot;   ///< i32 bytes on top of the offset: the slot of a ring (Staging.cpp); null elsewhere
  int64_t rows = 0, columns = 0;
  int64_t terms = 1; ///< the tile of term n + 1 stands behind that of term n and holds what rounding left over

  int64_t paddedRows() const { return llvm::alignTo(rows, 16); }
  int64_t panels() const { return llvm::divideCeil(columns, 64); }
  int64_t panelBytes() const { return paddedRows() * 128; }
  int64_t termBytes() const { return llvm::alignTo(panels() * panelBytes(), 1024); }
  int64_t bytes() const { return terms * termBytes(); }
};

/// The number of warps a kernel should have, a power of two.
int64_t chooseWarps(tile::KernelOp kernel);

/// How a tile of this shape is dealt to the warps.
WarpGrid chooseGrid(int64_t rows, int64_t columns, int64_t warps);

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_FRAGMENT_H
