// Writes a tile program backwards from what is wanted.
//
// `emit(value, rows, window)` writes the ops that compute that tile of that value and returns it: it asks for the
// tiles of the operands it needs, down to what stands in memory. So a norm in front of a product, a convolution in
// front of a recurrence or a gate behind attention needs no fusion of its own: each op only says how a tile of its
// result follows from tiles of its operands. Common parts are written twice and merged by CSE.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_EMITTER_H
#define COMPILER_CONVERSION_ATTNTOTILE_EMITTER_H

#include "compiler/conversion/AttnToTile/Window.h"
#include "compiler/conversion/Variants.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/plan/ir/Plan.h"
#include "dialects/tile/ir/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace denim {

class Emitter {
public:
  /// How a tile of an anchor's result is made; set by the kernel family.
  using AnchorFn = std::function<mlir::Value(mlir::Value value, const Rows &rows, const Window &window)>;

  /// Begins a tile kernel for `kernel` with its memory arguments: the kernel's own arguments, then its results.
  /// `variant` stands behind its name where there are several.
  Emitter(plan::KernelOp kernel, tile::ItemsAttr items, llvm::StringRef variant = "");

  /// The tile of `value`; null after an error was reported.
  mlir::Value emit(mlir::Value value, const Rows &rows, const Window &window);
  /// A tile and the channel of the window at which it begins.
  struct Part {
    mlir::Value tile;
    int64_t channel;
  };
  /// The same in parts side by side, where that saves moving channels: halves of a rotation.
  llvm::SmallVector<Part> emitParts(mlir::Value value, const Rows &rows, const Window &window);
  /// The tile of one row as a column; null where that has to be turned (EmitColumn.cpp).
  mlir::Value emitColumn(mlir::Value value, const Rows &rows, const Window &window);
  /// The tile of a parameter [N] as one row.
  mlir::Value emitVector(mlir::Value param, const Window &window);
  /// Writes a tile of result `index` of the kernel.
  void store(mlir::Value tile, unsigned index, const Rows &rows, const Window &window);

  void setAnchor(AnchorFn fn) { anchor = std::move(fn); }
  /// The anchors are products with weights, made already at the window's columns. The map is borrowed.
  void anchorProducts(const llvm::DenseMap<mlir::Value, mlir::Value> &products, const Window &window);
  bool failed() const { return hasFailed; }
  mlir::Value fail(mlir::Operation *op, llvm::Twine what);

  /// The memory of a kernel argument, as the argument of the tile kernel.
  mlir::Value memoryOf(mlir::Value argument) const { return memories.lookup(withoutReshapes(argument)); }
  mlir::Value resultMemory(unsigned index) const { return results[index]; }
  /// Where an argument of the kernel, or a result, stands among those of the launch.
  int64_t positionOf(mlir::Value argument) const;
  int64_t positionOfResult(unsigned index) const;
  mlir::Value item() { return tileKernel.getItem(); }
  /// An argument once more, seen with another number of columns; the launch passes its operand a second time.
  mlir::Value viewOf(mlir::Value argument, int64_t columns);
  /// Operands of the launch behind the kernel's own, as positions in those.
  llvm::ArrayRef<unsigned> extraOperands() const { return extras; }

  // Shorthand.
  mlir::Value index(int64_t n) { return mlir::arith::ConstantIndexOp::create(b, loc, n); }
  mlir::Value real(double x);
  mlir::Value add(mlir::Value x, mlir::Value y) { return mlir::arith::AddIOp::create(b, loc, x, y); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return mlir::arith::SubIOp::create(b, loc, x, y); }
  mlir::Value mul(mlir::Value x, int64_t n);
  mlir::Value min(mlir::Value x, mlir::Value y) { return mlir::arith::MinSIOp::create(b, loc, x, y); }
  mlir::Value max(mlir::Value x, mlir::Value y) { return mlir::arith::MaxSIOp::create(b, loc, x, y); }
  mlir::Value less(mlir::Value x, mlir::Value y);
  /// x / y rounded up, of a positive y.
  mlir::Value ceilDiv(mlir::Value x, mlir::Value y);
  tile::TileType tileType(int64_t rows, int64_t columns);
  using Body = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange)>;
  mlir::Value map(tile::TileType type, mlir::ValueRange inputs, Body body);
  /// Element by element, the product of those tiles that are there; null if none is.
  mlir::Value product(tile::TileType type, llvm::SmallVector<mlir::Value> factors);
  mlir::Value load(mlir::Value memory, const Rows &rows, mlir::Value column, int64_t columns);
  mlir::Value splat(double x, int64_t rows, int64_t columns);
  mlir::Value reduce(tile::Combiner combiner, mlir::Value source, int64_t dimension);
  struct MmaOptions {
    bool transposeLhs = false, transposeRhs = false;
    mlir::Value acc;
    tile::Triangle triangle = tile::Triangle::none;
    int64_t blocks = 0; ///< 0: the whole result is used
  };
  mlir::Value mma(mlir::Value lhs, mlir::Value rhs, MmaOptions options);
  mlir::Value mma(mlir::Value lhs, mlir::Value rhs) { return mma(lhs, rhs, MmaOptions()); }
  /// The other orientation of a tile of one row or one column; exact.
  mlir::Value turned(mlir::Value vector);
  /// Row `row` of each `group` rows, for all of them.
  mlir::Value spread(mlir::Value source, int64_t row, int64_t group);
  mlir::Value window(mlir::Value source, int64_t row, int64_t column, int64_t rows, int64_t columns);
  /// The first element of a tile of integers, as a number that rows and columns are counted with.
  mlir::Value firstAsIndex(mlir::Value tile);
  /// `for i = lo to hi step step`, body written by `body(i)`.
  void loop(mlir::Value lo, mlir::Value hi, int64_t step, llvm::function_ref<void(mlir::Value)> body);
  /// The same with values carried from turn to turn.
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value lo, mlir::Value hi, int64_t step, mlir::ValueRange carried,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body);
  void branch(mlir::Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = {});
  /// The values of one side or the other.
  llvm::SmallVector<mlir::Value> choose(mlir::Value condition,
                                        llvm::function_ref<llvm::SmallVector<mlir::Value>()> then,
                                        llvm::function_ref<llvm::SmallVector<mlir::Value>()> otherwise);

  mlir::OpBuilder b;
  mlir::Location loc;
  tile::KernelOp tileKernel;

private:
  mlir::Value emitNorm(mlir::Value input, mlir::Value weight, double eps, bool mean, bool zeroCentered,
                       mlir::Operation *op, const Rows &rows, const Window &window);
  mlir::Value emitBinary(mlir::Operation *op, const Rows &rows, const Window &window);
  mlir::Value emitConv(attn::ShortConvOp op, const Rows &rows, const Window &window);
  mlir::Value emitConvColumn(attn::ShortConvOp op, const Rows &rows, const Window &window);
  mlir::Value emitRotary(attn::RotaryOp op, const Rows &rows, const Window &window);
  mlir::Value positionsOf(const Rows &rows);
  mlir::Value emitUnary(mlir::Operation *op, const Rows &rows, const Window &window);
  mlir::Value emitSelect(model::SelectOp op, const Rows &rows, const Window &window);
  mlir::Value emitEmbed(model::EmbedOp op, const Rows &rows, const Window &window);
  mlir::Value emitLogDecay(attn::LogDecayOp op, const Rows &rows, const Window &window);
  mlir::Value emitLogDecayColumn(attn::LogDecayOp op, const Rows &rows, const Window &window);
  mlir::Type memoryType(mlir::Type type);

  llvm::DenseMap<mlir::Value, mlir::Value> memories;
  llvm::SmallVector<mlir::Value> results;
  llvm::SmallVector<unsigned> extras;
  AnchorFn anchor;
  bool hasFailed = false;

public:
  /// The sequence whose rows are being written; caches are read for it. Set by families that work by sequence.
  mlir::Value sequence;
  /// Whether a convolution may reach rows of earlier steps.
  bool readsTails = true;
};

/// One element of an elementwise op from those of its operands.
mlir::Value elementwise(mlir::OpBuilder &b, mlir::Location loc, mlir::Operation *op, mlir::ValueRange in);
/// One element of a norm: x, the sum of squares over `count` channels (1: the sum itself), and maybe a weight.
mlir::Value normalised(mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange in, int64_t count, double eps,
                       bool zeroCentered);
/// One log decay from what its projection left, the log of a rate and a bias.
mlir::Value logDecay(mlir::OpBuilder &b, mlir::Location loc, attn::LogDecayOp op, mlir::ValueRange in);
/// `body` with the window of piece `number`, counted through all pieces.
void forPieces(Emitter &e, llvm::ArrayRef<Piece> pieces, mlir::Value number,
               llvm::function_ref<void(const Window &)> body);

// One function per kernel family; each writes the whole tile kernel and returns it, or null after an error.
tile::KernelOp emitRows(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitCacheWrite(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitLinear(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitRecurrence(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitSoftmax(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitSoftmaxPart(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
mlir::LogicalResult emitAbsorb(plan::KernelOp kernel, Variants &variants);
mlir::LogicalResult emitLatent(plan::KernelOp kernel, Variants &variants);
tile::KernelOp emitRoute(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitExperts(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
/// One of several kernels that do it together, by the form of the kernel (GroupedExperts.h).
tile::KernelOp emitGroupedExperts(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);

// The same for a machine on which a block of threads does an item: everything that must be in flight at once is one
// tile, no item walks through rows that could be items of their own, and rows behind the last are not stored.
tile::KernelOp emitRowsOfBlock(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitOneRow(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
tile::KernelOp emitRouteOfBlock(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
mlir::LogicalResult emitLinearOfBlock(plan::KernelOp kernel, Variants &variants);
tile::KernelOp emitDequantize(plan::KernelOp kernel, llvm::SmallVectorImpl<unsigned> &extras);
mlir::LogicalResult emitCacheWriteOfBlock(plan::KernelOp kernel, Variants &variants);

/// What the rows of a kernel count: tokens, or outputs behind `select`.
tile::CountKind rowKind(plan::KernelOp kernel);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_EMITTER_H
