// One kernel on its way down: walks the kernel in order and writes code for each op.
//
// Each Lower<...>.cpp holds the ops it is named for. What they share is here: the places of tiles, the scalars that
// stand for the kernel's scalars, and who holds which part of scratch.
#ifndef CODEGEN_CPU_KERNELLOWERING_H
#define CODEGEN_CPU_KERNELLOWERING_H

#include "codegen/builder/StepFields.h"
#include "codegen/cpu/Layouts.h"
#include "codegen/cpu/Product.h"
#include "mlir/IR/IRMapping.h"

namespace denim::codegen {

class KernelLowering {
public:
  /// `batch`, `arguments` and `scratch` are the pointers of denim_kernel_fn.
  KernelLowering(tile::KernelOp kernel, Code &code, bool bf16Products, mlir::Value batch, mlir::Value arguments,
                 mlir::Value scratch)
      : kernel(kernel), code(code), access(code), layouts(kernel, code.target, bf16Products),
        lifetimes(kernel, [&](mlir::Operation *op) { return writtenAt(op); }), step(code, batch, code.pointerType()),
        arguments(arguments), scratchPointer(scratch) {}

  /// Writes items [begin, end). On failure an error stands at the op that has no lowering.
  mlir::LogicalResult lowerItems(mlir::Value begin, mlir::Value end);
  int64_t scratchBytes() const { return scratch.size(); }

private:
  // ---- control (LowerControl.cpp)
  mlir::LogicalResult lowerBlock(mlir::Block &block);
  mlir::LogicalResult lowerOp(mlir::Operation &op);
  mlir::LogicalResult lower(mlir::scf::ForOp op);
  mlir::LogicalResult lower(mlir::scf::IfOp op);
  void yieldInto(mlir::Operation *terminator, mlir::ValueRange results, llvm::ArrayRef<int> storages);
  void requestPlaces(mlir::Block &block, mlir::ValueRange yielded, llvm::ArrayRef<int> storages);

  // ---- rows of the next round (AskAhead.cpp)
  /// Rows of a memory that a round of a loop takes, or `count` of them from `first` on.
  struct RowsOfRound {
    mlir::Value memory, row, column;
    mlir::scf::ForOp loop;
    int64_t first, count, linesOfRow;
  };
  std::optional<RowsOfRound> rowsOfRound(mlir::Operation &op, mlir::scf::ForOp loop);
  struct Asker {
    mlir::Operation *op;
    int64_t cycles, rounds;
  };
  std::optional<Asker> askerOf(mlir::Operation &op);
  /// Which ops of a block in the loop ask for which rows; `rows` are taken in front of the block.
  void findAhead(mlir::scf::ForOp loop, mlir::Block &block, llvm::SmallVector<RowsOfRound> rows = {});
  void deal(llvm::ArrayRef<RowsOfRound> rows, llvm::ArrayRef<Asker> askers);
  EachRound askAhead(mlir::Operation *op);

  // ---- what the kernel knows of the step (LowerStep.cpp)
  void lower(tile::CountOp op);
  void lower(tile::SequenceOp op);
  void lower(tile::RowsOp op);
  void lower(tile::SlotOp op);
  void lower(tile::PageOp op);
  void lower(tile::BlockOp op);
  void lower(tile::StackedOp op);
  void loadArguments();

  // ---- memory (LowerMemory.cpp)
  void lower(tile::LoadOp op);
  void lower(tile::GatherOp op);
  void lower(tile::ScatterOp op);
  void lower(tile::StoreOp op);
  std::optional<Place> storeTarget(mlir::Operation *maker, Axis axis);
  Place memoryWindow(mlir::Value memory, mlir::Value row, mlir::Value column, int64_t rows, int64_t columns);
  bool isWrittenBefore(mlir::Value memory, mlir::Operation *load, int64_t lastUse);
  std::pair<mlir::Value, mlir::Value> rowsWithin(mlir::Value row, mlir::Value lo, mlir::Value hi, int64_t rows);

  // ---- elements (LowerMap.cpp)
  void lower(tile::SplatOp op);
  void lower(tile::WindowOp op);
  void lower(tile::TransposeOp op);
  void lower(tile::FlattenOp op);
  void lower(tile::ExtractOp op);
  void lower(tile::MapOp op);

  // ---- along a dimension (LowerReduce.cpp)
  void lower(tile::ReduceOp op);
  void lower(tile::CumsumOp op);
  void lower(tile::SpreadOp op);

  // ---- products (LowerMma.cpp, LowerSolve.cpp)
  void lower(tile::MmaOp op);
  tile::MmaOp addedTo(tile::MmaOp op) const;
  mlir::Operation *writtenAt(mlir::Operation *op) const;
  Product operandsOf(tile::MmaOp op, Axis axis);
  void multiplyByMatrixUnit(tile::MmaOp op, const Product &product);
  /// Makes the forms in tiles that the layouts ask for.
  void makeTiles(mlir::Value tile);
  void lower(tile::SolveOp op);
  void solveRows(const Place &lower, const Place &right, const Place &result);

  // ---- places of results (Storage.cpp)
  struct Storage {
    Place place;
    int64_t offset, bytes;
    mlir::Value occupant; ///< The value that lives here now.
    bool carried = false; ///< Held by a loop or branch: not released when its occupant dies.
  };
  /// A place in scratch for a tile of the shape, with vectors along the axis.
  int allocate(tile::TileType type, Axis axis);
  void release(int storage);
  int allocateBytes(int64_t bytes);
  /// Scratch that lives while `body` writes code.
  void withScratch(tile::TileType type, Axis axis, llvm::function_ref<void(const Place &)> body);
  /// The place of a result: what the enclosing loop or branch wants it in, the place of an operand of `reusable` that
  /// dies here, or new scratch. Operands in `reusable` are read element by element before the same element is written.
  Place &placeResult(mlir::Value result, llvm::ArrayRef<mlir::Value> reusable = {});
  Place &placeResult(mlir::Value result, Axis axis, llvm::ArrayRef<mlir::Value> reusable = {});
  void bind(mlir::Value value, const Place &place) { places[value] = place; }
  void hold(int storage, mlir::Value value);
  void releaseDead(mlir::Operation &op);
  /// Makes the transposed copies the layouts ask for.
  void copyTransposed(mlir::Value tile);
  /// The place as it is, or a copy in `borrowed` scratch whose vectors run along the axis.
  Place along(Axis axis, const Place &place, llvm::SmallVectorImpl<int> &borrowed);
  bool isFreeAt(const Storage &storage, mlir::Operation *op, llvm::ArrayRef<mlir::Value> reusable);
  const Place &placeOf(mlir::Value tile) { return places.find(tile)->second; }
  tile::TileType typeOf(mlir::Value tile) { return llvm::cast<tile::TileType>(tile.getType()); }
  mlir::Value scalarOf(mlir::Value value) { return scalars.lookup(value); }
  mlir::Value i64Of(mlir::Value index) { return code.toI64(scalars.lookup(index)); }

  tile::KernelOp kernel;
  Code &code;
  Access access;
  Layouts layouts;
  Lifetimes lifetimes;
  StepFields<Code> step;
  mlir::Value arguments, scratchPointer;
  mlir::IRMapping scalars;                           ///< The kernel's scalars to scalars of the function.
  llvm::DenseMap<mlir::Value, mlir::Value> pointers; ///< Memory, slots, pages and stacks to what args[i] holds.
  llvm::DenseMap<mlir::Value, mlir::Value> roots;    ///< Memory to the kernel argument it is a part of.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<RowsOfRound>> ahead; ///< what an op asks for
  llvm::DenseMap<mlir::Value, Place> places;
  llvm::DenseSet<mlir::Operation *> forwarded;       ///< stores whose tile was made in the memory itself
  llvm::DenseMap<mlir::Value, int> transposedCopies; ///< Storages with the other axis.
  struct TiledForm {
    OperandUse use;
    int storage;
    TiledOperand tiles;
  };
  llvm::DenseMap<mlir::Value, llvm::SmallVector<TiledForm, 1>> tiledForms;
  llvm::DenseMap<mlir::Value, int> storageOf; ///< Values that hold a storage.
  llvm::DenseMap<mlir::Value, int> requested; ///< Values an enclosing op wants in a storage.
  std::vector<Storage> storages;
  Scratch scratch;
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_KERNELLOWERING_H
