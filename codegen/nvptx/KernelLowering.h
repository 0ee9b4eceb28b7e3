// One kernel on its way down: walks the kernel in order and writes what a thread does for each op.
//
// Each Lower<...>.cpp holds the ops it is named for. What they share is here: the fragments of tiles, their copies in
// shared memory, and the scalars that stand for the kernel's scalars. A block does one work item. Scalars are the same
// in all its threads, so branches and loops are never divergent, and barriers may stand anywhere in them.
#ifndef CODEGEN_NVPTX_KERNELLOWERING_H
#define CODEGEN_NVPTX_KERNELLOWERING_H

#include "codegen/builder/StepFields.h"
#include "codegen/nvptx/Code.h"
#include "codegen/nvptx/Fragment.h"
#include "codegen/nvptx/SharedMemory.h"
#include "codegen/target/TensorMap.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace denim::codegen::nvptx {

/// How exactly products take their operands.
enum class Precision : uint8_t {
  bf16,  ///< rounded to bf16
  exact, ///< as a sum of three bf16, six products for one: errors near those of f32
};

class KernelLowering {
public:
  /// `arguments`: the memory arguments of the kernel as global pointers, in order.
  KernelLowering(tile::KernelOp kernel, Code &code, Precision precision, mlir::Value batch,
                 llvm::ArrayRef<mlir::Value> arguments);

  /// Writes the work of item `blockNumber`. On failure an error stands at the op that has no lowering.
  mlir::LogicalResult lower();
  /// Threads of a block: those that compute, and a warpgroup that copies ahead when there is something to copy.
  int64_t threads() const { return computingWarps() * 32 + (staged.empty() ? 0 : 128); }
  int64_t sharedBytes() const { return shared.size(); }

  /// Of memories, for tensor copies: parameters that the walk has added behind the others, in this order.
  llvm::ArrayRef<TensorMap> tensorMaps() const { return maps; }

  /// The load of one number that is a scalar at once: every thread reads it itself.
  static bool isWord(tile::LoadOp op);
  /// The argument of the kernel that a memory is a part of.
  static mlir::Value rootOf(mlir::Value memory);

private:
  /// Threads of the team that code is written for; and warps of all of them.
  int64_t workers() const { return warps * 32; }
  int64_t computingWarps() const { return hasTeams() ? sumWarps + aheadWarps : warps; }

  // ---- control (LowerControl.cpp)
  mlir::LogicalResult lowerBlock(mlir::Block &block);
  mlir::LogicalResult lowerOp(mlir::Operation &op);
  /// Registers that warps ask for by what they do; 0: they keep what they have.
  struct Registers {
    int64_t computing, ahead, copying;
  };
  Registers dealRegisters();
  void settle();
  bool isLoadedAhead(mlir::scf::IfOp op);
  mlir::LogicalResult lower(mlir::scf::ForOp op);
  mlir::LogicalResult lower(mlir::scf::IfOp op);
  /// What control flow carries of a value: registers of tiles, packed for those that only products read; scalars; and
  /// behind all values of an op that holds staged loads, the place in their ring.
  llvm::SmallVector<mlir::Value> flatten(mlir::Operation *op, mlir::ValueRange values);
  llvm::SmallVector<mlir::Type> flatTypes(mlir::Operation *op);
  /// The other way: binds kernel values to registers.
  void unflatten(mlir::Operation *op, mlir::ValueRange values, mlir::ValueRange registers);
  bool isCarriedPacked(mlir::Operation *op, unsigned index);
  void packReplaced(mlir::scf::ForOp op);
  llvm::SmallVector<mlir::Value> packed(const Fragment &fragment);

  // ---- the kernel before (Overlap.cpp)
  /// A wait in front of `op` if it is the first that touches what another kernel may write, or still reads.
  void awaitIfTouched(mlir::Operation &op);
  /// Whether this walk touches memory for the op that the kernel in front may still write or read.
  bool touchesUnfinished(mlir::Operation &op);
  void awaitKernelsBefore();

  // ---- what the kernel knows of the step (LowerStep.cpp)
  void lower(tile::CountOp op);
  void lower(tile::SequenceOp op);
  void lower(tile::RowsOp op);
  void lower(tile::SlotOp op);
  void lower(tile::PageOp op);
  void lower(tile::BlockOp op);
  void lower(tile::StackedOp op);

  // ---- memory (LowerMemory.cpp)
  void lower(tile::LoadOp op);
  void lower(tile::GatherOp op);
  void lower(tile::StoreOp op);
  void lower(tile::ScatterOp op);
  /// How the elements of a memory stand. An image is a page as products read it from shared memory (SharedTile).
  struct View {
    mlir::Value pointer;
    int64_t columns;
    mlir::Type stored;
    int64_t imageRows; ///< rows of the page that is one; 0: row-major
  };
  View viewOf(mlir::Value memory);

  // ---- elements in blocks (Blocks.cpp)
  struct BlockAddress {
    mlir::Value integers, scales; ///< of the element's byte and of its block's scale
    mlir::Value shift;            ///< i32: from which bit of the byte on it has the element; null for whole bytes
  };
  /// Eight neighbours of a block, as memory has them.
  struct BlockPiece {
    llvm::SmallVector<mlir::Value, 4> words;
    mlir::Value scale, shift; ///< bits of the f16; as in the address
  };
  static bool isInBlocks(tile::LoadOp op);
  /// Of element (row, column), i64 or i32.
  BlockAddress addressInBlocks(const View &view, mlir::Value row, mlir::Value column);
  /// The piece at an address whose column is a multiple of 8; `plus...`: bytes further on.
  BlockPiece loadBlockPiece(const View &view, const BlockAddress &address, mlir::Value predicate, int64_t plus = 0,
                            int64_t plusScale = 0, bool once = false);
  /// The elements of a piece.
  llvm::SmallVector<mlir::Value> elementsOf(const View &view, const BlockPiece &piece);
  /// Their integers as f32, each larger by raisedBy.
  llvm::SmallVector<mlir::Value> raisedIntegersOf(const View &view, const BlockPiece &piece);
  double raisedBy(const View &view) const;
  /// A word whose bytes are integers, from 0 on; one of them as f32, larger by raisedBy.
  mlir::Value bytesOfBlock(const View &view, mlir::Value word, mlir::Value shift);
  mlir::Value raisedInteger(const View &view, mlir::Value bytes, int64_t byte);
  Fragment loadBlocks(tile::LoadOp op);
  /// Where threads have eight neighbours of a row (WideAccess.cpp).
  bool isReadByPieces(tile::LoadOp op);
  Fragment loadBlockPieces(tile::LoadOp op);

  // ---- blocks copied ahead as they are (BlocksAhead.cpp)
  bool isStagedBlocks(tile::LoadOp op);
  /// Whether the load stands in a loop with blocks that are copied ahead.
  bool goesWithBlocks(tile::LoadOp op);
  /// Whether the product is of such blocks, and its result a sum that a loop carries.
  bool isOfStagedBlocks(tile::MmaOp op, mlir::Value weights);
  void findPartialSums();
  /// Bytes of the scales behind the integers of a slot.
  int64_t scaleBytesOf(tile::LoadOp op);
  /// By the lanes of a warp.
  void copyBlocks(tile::LoadOp op, mlir::Value slot, mlir::Value full);
  /// A thread's words of the blocks that its warp multiplies, and scales: of each group of 8 columns, by block.
  struct BlocksOfWarp {
    llvm::SmallVector<mlir::Value> words, scales;
  };
  BlocksOfWarp readBlocks(tile::LoadOp op);
  static int64_t bytesOfRow(tile::LoadOp op); ///< of the memory
  static int64_t bytesOfIntegers(tile::LoadOp op, int64_t columns);
  Fragment blockProduct(tile::MmaOp op);
  /// Whether value `index` that a loop carries is a sum of which each warp has a part.
  bool isPartialSum(mlir::Operation *op, unsigned index);
  /// How it is dealt while it is carried.
  Distribution carriedAs(mlir::Operation *op, unsigned index);
  /// What becomes of such a sum behind the loop.
  void addParts(mlir::Value sum, const Fragment &part);
  /// Shared memory that this takes.
  int64_t partBytes(tile::TileType sum) { return warps * 16 * llvm::alignTo(sum.getColumns(), 8) * 4; }
  /// Where element (row, column) is; row i64 or i32, column i32.
  mlir::Value elementAddress(const View &view, mlir::Value row, mlir::Value column);
  /// The first byte of a store that writes whole panels of a page that is an image; and whether one does so by way of
  /// shared memory.
  std::optional<int64_t> storedPanels(tile::StoreOp op);
  bool isStoredAsImage(tile::StoreOp op);
  /// Writes a tile as it stands in a shared operand of bf16, by 8x8 matrices; a thread has whole pairs of groups.
  void storeByMatrices(const Fragment &from, const SharedTile &to);
  void storeImage(tile::StoreOp op);
  /// Whether a tile that is turned only to be stored as bf16 goes to memory by way of whole 8x8 pieces.
  bool isStoredTurned(tile::StoreOp op);
  void storeTurned(tile::StoreOp op);
  // ---- memory in the order of registers (FragmentMemory.cpp)
  bool standsInFragments(mlir::Value memory);
  mlir::LogicalResult verifyFragmentMemories();
  mlir::Value placeInFragments(const View &view, const Distribution &shape, mlir::Value row);
  Fragment loadInFragments(tile::LoadOp op);
  void storeInFragments(tile::StoreOp op);

  /// Whether a tile that is turned only to be stored as f32 goes to memory from where it is, column by column.
  bool isStoredAcross(tile::StoreOp op);
  /// A barrier if threads may have stored what is loaded now. Other arguments do not overlap (codegen/README.md).
  void seesStores(mlir::Value memory);
  void markTurn(mlir::scf::ForOp op);
  void rejoin(const std::pair<llvm::DenseSet<mlir::Value>, llvm::DenseMap<mlir::Value, mlir::Operation *>> &before);
  /// A barrier if other threads may still have to load what is overwritten now.
  void awaitsLoads(tile::StoreOp op);
  void awaitsLoads(mlir::Value memory);
  void noteStored(mlir::Value memory);
  static bool isImage(tile::PagesType type);
  static tile::PagesType pagesOf(mlir::Value memory);
  Fragment loadFragment(tile::LoadOp op);
  bool canCopyToShared(tile::LoadOp op);
  void copyToShared(tile::LoadOp op, const SharedTile &to) { beginCopy(op, to)(); }
  /// Loads the pieces; what is returned stores them.
  std::function<void()> beginCopy(tile::LoadOp op, const SharedTile &to);
  /// A copy that nobody waits for before it is read, where all threads have as many pieces, in rows 8 or more apart.
  bool copiesAhead(tile::LoadOp op, const SharedTile &to);
  void copyAhead(tile::LoadOp op, const SharedTile &to);
  /// A load that products and threads read, or more ops than it should take registers for: copied in pieces of 16
  /// bytes, and read from there when it is asked for, by every op anew if no product is among them.
  bool isCopiedFirst(tile::LoadOp op);
  /// Ends the copies that were begun, unless the next tile is one of their kind.
  void endCopiesBefore(mlir::Operation *next);
  void readCopied(mlir::Value tile);
  /// An address and bytes that the instruction adds.
  struct Address {
    mlir::Value pointer;
    int64_t plus = 0;
  };
  using AddressOf = std::function<Address(int64_t slab, int64_t half, int64_t group, int64_t element)>;
  /// Where the thread's elements of a window stand that begins at (row, column): few pointers, the rest in `plus`.
  /// `transposed`: element (i, j) stands at row + j, column + i.
  AddressOf addressesOf(const View &view, const Distribution &shape, mlir::Value row, mlir::Value column,
                        bool transposed); // row and column are indices of the kernel

  /// The same in a shared tile, of pairs of columns.
  AddressOf addressesOf(const SharedTile &tile, const Distribution &shape, int64_t term);
  /// Pointers to piece k of a row, k exchanged with the lane's row: base + ((k xor row) * 16 bytes); one per k asked
  /// for.
  std::function<mlir::Value(int64_t)> piecesFrom(mlir::Value base, mlir::Value exchangedRow, bool global);
  Fragment
  loadElements(const Distribution &shape, mlir::Type stored, int64_t atOnce, const AddressOf &addressOf,
               llvm::function_ref<mlir::Value(int64_t slab, int64_t half, int64_t group, int64_t e)> predicate);
  /// The other way; `rowPredicate` of a row of the thread's is null where it is always written.
  void storeElements(const Fragment &from, mlir::Type stored, int64_t atOnce, const AddressOf &addressOf,
                     llvm::function_ref<mlir::Value(int64_t slab, int64_t half)> rowPredicate);
  /// Null when every row may be used.
  mlir::Value within(mlir::Value row, mlir::Value lo, mlir::Value hi);

  // ---- 16 bytes for each lane of a row (Quads.cpp)
  bool goesByQuads(const View &view, const Distribution &shape, mlir::Value column);
  using QuadBody =
      llvm::function_ref<void(int64_t slab, int64_t half, int64_t group, Address address, mlir::Value inside)>;
  template <typename Op> void forEachQuad(Op op, const Distribution &shape, QuadBody body);
  Fragment loadByQuads(tile::LoadOp op, const Distribution &shape);
  void storeByQuads(tile::StoreOp op, const Fragment &from);
  /// What `value` is known to be a multiple of.
  int64_t divisorOf(mlir::Value value);

  // ---- 16 bytes at a time where there are no products (WideAccess.cpp)
  int64_t joinedGroups();
  bool isOfVectors(tile::MmaOp op);
  /// Lanes that share a row.
  int64_t lanesOfRow();
  /// `divisor`: of the column of memory that the tile begins at.
  int64_t elementsAtOnce(const View &view, const Distribution &shape, int64_t divisor);
  bool isPickedOut(tile::LoadOp op);
  Fragment loadPickedOut(tile::LoadOp op);
  /// Whether rows of a thread should be neighbours; loads of windows that overlap, and of a column that is part of a
  /// row of memory.
  bool hasNeighbouringRows();
  Fragment loadSliding(tile::LoadOp op);
  bool isPartOfRow(tile::LoadOp op);
  Fragment loadPartOfRow(tile::LoadOp op);
  /// What was read around one row and column of a memory, in a block of the kernel: elements by row and group.
  struct SlidingRows {
    mlir::Block *block = nullptr;
    int64_t columns = 0;
    mlir::Value first, pointer; ///< the row of the thread that counts as 0, and its first element
    llvm::DenseMap<std::pair<int64_t, int64_t>, llvm::SmallVector<mlir::Value>> elements;
  };
  /// Words that were read of a memory from one of its rows on, in a block of the kernel.
  struct PickedOut {
    mlir::Block *block = nullptr;
    int64_t columns = 0;
    llvm::SmallVector<mlir::Value> words;
  };

  // ---- elements (LowerMap.cpp)
  void lower(tile::SplatOp op);
  void lower(tile::WindowOp op);
  void lower(tile::TransposeOp op);
  void lower(tile::FlattenOp op);
  mlir::LogicalResult lower(tile::ExtractOp op);
  void lower(tile::MapOp op);

  // ---- along a dimension (LowerReduce.cpp)
  void lower(tile::ReduceOp op);
  void lower(tile::CumsumOp op);
  void lower(tile::SpreadOp op);
  /// What is left to do of a sum over warps, each of which has put its part into shared memory: null if one warp has
  /// all of it, and `sum` is complete. Until then `sum` is what the thread's own warp has.
  using Rest = std::function<Fragment()>;
  Rest reduce(const Fragment &from, tile::Combiner combiner, bool overColumns, Fragment &sum);
  /// Whether the op's results are squares of what stands in shared memory, summed by matrix units now (Squares.cpp).
  bool sumSquares(tile::MapOp op);
  /// Binds a tile when something asks for it: sums that follow each other meet at one barrier.
  void bindLater(mlir::Value tile, Rest rest) { unfinished.insert({tile, std::move(rest)}); }
  void finish(mlir::Value tile);
  mlir::Value combine(tile::Combiner combiner, mlir::Value a, mlir::Value b);

  // ---- products (Product.cpp, LowerMma.cpp, LowerSolve.cpp)
  /// How a product is done: as products of two numbers, of a matrix and a vector, of blocks of rows with themselves, by
  /// single warps, by warpgroups.
  enum class Form : uint8_t { outer, vector, slabs, warp, group };
  /// Panels of a page that a product waits for when it comes to them.
  struct Arrival {
    mlir::Value barrier, parity;
    int64_t columns;
  };
  /// An operand of a product by matrix units: in shared memory, or (on the left) in registers.
  struct Operand {
    const SharedTile *shared = nullptr;
    const Fragment *fragment = nullptr;
    llvm::ArrayRef<mlir::Value> packed; ///< instead of a fragment: its words
    bool transposed = false;
    int64_t terms = 1;
    llvm::ArrayRef<Arrival> arrivals; ///< of its panels; empty: all of it is there
  };
  struct Shape {
    int64_t m, n, k;
  };
  Form formOf(const Shape &shape, bool transposeRhs);
  Form formOf(tile::MmaOp op);
  bool lhsInRegisters(tile::MmaOp op);
  void lower(tile::MmaOp op);
  void multiplyAlone(tile::MmaOp op);
  /// acc += lhs * rhs; `accumulate` false: acc holds nothing yet.
  void multiply(const Shape &shape, const Operand &lhs, const Operand &rhs, Fragment &acc, bool accumulate);
  void multiplyByWarps(const Shape &shape, const Operand &lhs, const Operand &rhs, Fragment &acc);
  void multiplyByGroups(const Shape &shape, const Operand &lhs, const Operand &rhs, Fragment &acc, bool accumulate);
  int64_t mostColumnsAtOnce();
  bool isResident(const Operand &operand) { return operand.shared && !operand.shared->slot; }
  llvm::SmallVector<mlir::Value, 4> wordsOf(const Operand &lhs, const Distribution &shape, int64_t slab, int64_t group,
                                            int64_t term);
  /// Products of 16 rows with 16 rows that a warp holds of both sides: nothing leaves its registers.
  bool isOfSlabs(tile::MmaOp op);
  Fragment slabProduct(tile::MmaOp op);
  void addAcross(llvm::MutableArrayRef<llvm::SmallVector<mlir::Value>> sums, const WarpGrid &grid);
  Fragment outerProduct(tile::MmaOp op);
  bool turnLater(tile::MmaOp op);
  void vectorProduct(tile::MmaOp op);
  /// Words of the left operand for 16 columns from `group` on; term 1 is what rounding left over.
  llvm::SmallVector<mlir::Value, 4> operandWords(const Fragment &lhs, int64_t slab, int64_t group, int64_t term);
  mlir::Value packTerm(mlir::Value low, mlir::Value high, int64_t term);
  mlir::LogicalResult lower(tile::SolveOp op);
  mlir::LogicalResult lower(tile::InverseOp op);

  // ---- one row times a matrix in memory (Streamed.cpp)
  /// How threads are dealt the pieces (8 columns) of a row: `threads` of them share one row of the matrix, `groups`
  /// such teams stand side by side, and a thread has `turns` pieces, `threads` apart.
  struct Dealing {
    int64_t pieces, threads, groups, turns;
    bool pads() const { return pieces % threads != 0; } ///< some threads have no piece in the last turn
  };
  Dealing dealingOf(int64_t columns) const;
  bool isStreamed(tile::MmaOp op);
  void findStreamed();
  void loadStreamed(tile::LoadOp op);
  /// The thread's pieces of a row that streamed products take on the left, as soon as the row is there.
  void dealPiecesIfWanted(mlir::Value row);
  llvm::SmallVector<mlir::Value> sumOverLanes(llvm::SmallVector<mlir::Value> values, int64_t lanes);
  Fragment streamedProduct(tile::MmaOp op);
  /// Whether the thread has a piece in this turn; null: always.
  mlir::Value hasPiece(const Dealing &dealing, int64_t turn);

  // ---- products in flight (Groups.cpp)
  /// Remembers that the registers of `tile` are being written by the group that was issued last.
  void startGroup(mlir::Value tile);
  /// Around the products of a loop's turn: the two computing warpgroups issue theirs one after the other.
  bool alternates() { return kernel->hasAttr("tile.alternate") && workers() == 256 && !staged.empty(); }
  void beginAlternation();
  llvm::SmallVector<mlir::Operation *> productsOfTurn(mlir::Operation *product);
  void awaitTurn(mlir::Operation *product);
  void passTurn(mlir::Operation *product);
  /// Waits for all groups up to number `group`.
  void finishGroups(int64_t group);
  void finishAllGroups() { finishGroups(groupsIssued); }

  // ---- copies ahead of their use (Staging.cpp)
  enum class Fetch : uint8_t {
    bulk,   ///< a page, as it stands, by one thread
    pieces, ///< of 16 bytes, or of 4 for a column, by a warp
    tensor, ///< boxes of rows, by one thread; pieces where rows are left out (TensorCopies.cpp)
    blocks, ///< integers in boxes, by one thread, and scales in pieces, by its warp (BlocksAhead.cpp)
  };
  /// Where a load stands that is copied ahead: slot n of its own, or of all loads, begins at offset + n * bytes.
  struct Staged {
    Fetch fetch = Fetch::bulk;
    int64_t bytes = 0, offset = 0, barriers = 0;
    /// Groups of panels that a page comes in, or integers and scales of blocks: each with an mbarrier that says it is
    /// there.
    int64_t parts = 1;
    int64_t warp = 0; ///< the copying warp
    unsigned ring = 0, map = 0;
    mlir::Value as; ///< the load of another loop whose slots it has; null: its own
  };
  /// The place that both sides keep count of.
  struct Ring {
    int64_t slots = 0;
    mlir::Value index, phase;               ///< i32: the slot and the parity of the next load
    llvm::SmallVector<mlir::Value, 2> last; ///< the place moves on behind these, of each loop one; none: behind each
  };
  void findStaged();
  /// The extract of a word (isWord) whose place is known, in memory that the kernel does not write: the copying warps
  /// read it as well.
  bool isGivenWord(mlir::Operation &op);
  bool isKnownAhead(tile::LoadOp op, llvm::DenseMap<mlir::Value, bool> &known);
  bool isStagedPage(tile::LoadOp op);
  bool isStagedRows(tile::LoadOp op);
  bool isStagedColumn(tile::LoadOp op);
  Fetch fetchOf(tile::LoadOp op);
  bool shareSlots(llvm::ArrayRef<mlir::Value> own, llvm::ArrayRef<mlir::Value> others);
  void addStaged(tile::LoadOp op);
  /// What a load of rows or of a page is in its slot.
  SharedTile stagedTile(tile::LoadOp op);
  /// Shared memory that may be taken for slots: all loads go through the same ones, or each has its own. False if it is
  /// too little.
  bool dealSlots(int64_t bytes);
  bool dealOwnSlots(int64_t bytes);
  /// A page may come in parts for warps that compute ahead: their first product begins with the first of them.
  void cutPages();
  bool waitsByParts(mlir::Value page);
  /// From the mbarriers of a slot to those of the next: full for each part, empty.
  static int64_t barrierBytes(const Staged &load) { return llvm::alignTo(8 * (load.parts + 1), 16); }
  /// Whether no load ahead comes behind the op: the rings' memory is free there.
  bool isBehindRings(mlir::Operation *op);
  bool holdsStagedBeside(mlir::Operation *branch, mlir::Operation &op);
  bool holdsStaged(mlir::Operation *op);
  void makeRings();
  /// Gives their memory back behind the last op that holds staged loads.
  void releaseRings(mlir::Operation &done);
  void advance(mlir::Value load);
  mlir::Value pageAddress(tile::LoadOp op);
  void issueStaged(tile::LoadOp op);
  void copyRows(tile::LoadOp op, mlir::Value slot);
  void awaitStaged(tile::LoadOp op);
  void releaseStaged(mlir::Value tile);
  /// Tells a copying warp that this one is done with a slot, by one lane or by all of them.
  void leave(mlir::Value barrier, bool byLanes);
  bool leavesByLanes(mlir::Value tile);
  bool isReadByLanes(mlir::Value tile);
  /// The fragment of a tile of bf16 that stands in shared memory, or of its transpose.
  Fragment readShared(const SharedTile &from, const Distribution &shape, bool transposed);
  int64_t blocksTogether();
  /// Shared memory that a block may take.
  int64_t sharedLimit();
  /// Where rings take most of shared memory anyway, what is left beside them is used in turn, so that few bytes which
  /// threads exchange are written without a barrier (SharedMemory::allocate); 0 in other kernels.
  int64_t roomForFew() { return ownSlots ? sharedLimit() : 0; }

  // ---- boxes of rows by one thread (TensorCopies.cpp)
  bool isTensorCopy(tile::LoadOp op);
  void makeTensorMaps();
  /// By one thread, in front of the first copy.
  void prefetchTensorMaps();
  mlir::Value takesAllRows(tile::LoadOp op);
  /// By the lanes of a warp.
  void copyBoxes(tile::LoadOp op, mlir::Value slot, mlir::Value full);

  // ---- two teams of computing warps (Teams.cpp)
  enum class Team : uint8_t { all, sums, ahead };
  /// What one team makes and the other uses: where it stands, and the mbarriers that say so.
  struct Handed {
    bool operand; ///< of products; else a column of f32
    int64_t offset, barriers;
    unsigned ring;
  };
  void findTeams();
  void dropTeams();
  bool findSums();
  void addSums(mlir::Value value, llvm::SmallVectorImpl<mlir::Value> &added);
  bool followSums(llvm::SmallVector<mlir::Value> found);
  bool findHanded();
  bool fitsTeams();
  bool hasTeams() const { return aheadWarps != 0; }
  int64_t warpsOf(mlir::Operation *op);
  /// Whether the team that code is written for holds the tile, or does the op.
  bool isHere(mlir::Value tile);
  bool isHere(mlir::Operation *op);
  void makeHanded(llvm::function_ref<void(int64_t barriers, int64_t full, int64_t empty)> add);
  int64_t handedBytes(mlir::Value value);
  void enterTeam(Team next);
  void forHandedRows(const Distribution &shape, int64_t offset,
                     llvm::function_ref<void(int64_t at, mlir::Value place, int64_t plus)> body);
  void handOver(mlir::Value value);
  void receiveFor(mlir::Operation &op);
  /// While it lives, tiles are dealt as the warps hold them that do `op`.
  struct DealtFor {
    DealtFor(KernelLowering &lowering, mlir::Operation *op) : lowering(lowering), before(lowering.warps) {
      lowering.warps = lowering.warpsOf(op);
    }
    ~DealtFor() { lowering.warps = before; }
    KernelLowering &lowering;
    int64_t before;
  };

  // ---- two pages as one operand (PagePairs.cpp)
  void findPairs();
  bool isPair(tile::MmaOp first, tile::MmaOp second);
  /// The first of the two products of a pair waits for the second.
  bool waitsForPair(tile::MmaOp op) { return firstProducts.contains(op); }
  void multiplyPair(tile::MmaOp first, tile::MmaOp second);

  bool canInvert(int64_t size) { return size % 16 == 0 && size <= workers() && llvm::isPowerOf2_64(size); }
  /// (I + the strictly lower part)^-1 in terms of bf16.
  SharedTile invertUnitLower(const Fragment &matrix, int64_t terms);
  /// Whether all that becomes of an inverse is a page that is its image; written when the store comes.
  bool isStoredFromShared(tile::InverseOp op);
  void storeInverse(tile::StoreOp op);
  void writeBlocks(const Fragment &matrix, const SharedTile &to);
  void invertDiagonal(int64_t diagonal, const SharedTile &to);
  void invertRow(mlir::Value row, int64_t mostLeft, const SharedTile &lower, const SharedTile &inverse);
  mlir::Value blockOffset(const SharedTile &tile, mlir::Value blockRow, mlir::Value blockColumn, int64_t term);
  void storeBlock(llvm::ArrayRef<mlir::Value> words, const SharedTile &tile, mlir::Value blockRow,
                  mlir::Value blockColumn, int64_t term);

  // ---- rows that are asked for (UsedRows.cpp)
  void findUsedRows();
  int64_t rowsAskedBy(mlir::OpOperand &use);

  // ---- fragments (Exchange.cpp)
  Distribution distributionOf(mlir::Value tile) {
    Distribution shape = distributionOf(typeOf(tile));
    if (auto it = usedRows.find(tile); it != usedRows.end())
      shape.used = it->second;
    if (partialSums.contains(tile))
      shape.grid = {};
    return shape;
  }
  Distribution distributionOf(tile::TileType type) {
    return {type.getRows(), type.getColumns(), chooseGrid(type.getRows(), type.getColumns(), warps),
            joined,         sliding,           lanes};
  }
  /// The registers of a tile; waits for the product that makes it.
  const Fragment &fragmentOf(mlir::Value tile) {
    if (int64_t group = groupOf.lookup(tile))
      finishGroups(group);
    if (readLater.contains(tile))
      readCopied(tile);
    if (unfinished.contains(tile))
      finish(tile);
    return fragments.find(tile)->second;
  }
  Fragment fragmentOf(mlir::Value tile, const WarpGrid &grid) { return convert(fragmentOf(tile), grid); }
  Fragment convert(const Fragment &from, const WarpGrid &grid);
  /// The fragment of the same elements with rows and columns exchanged or shifted: through shared memory.
  Fragment exchange(const Fragment &from, const Distribution &to, bool transposed, int64_t row, int64_t column);
  /// Writes it; what is left is to read. `limit`: of SharedMemory::allocate.
  Rest beginExchange(const Fragment &from, const Distribution &to, bool transposed, int64_t row, int64_t column,
                     int64_t limit = 0);
  /// Writes the elements of some rows as 32-bit words, row-major with `pitch` words, to shared memory; each by one
  /// thread.
  void spill(const Fragment &from, mlir::Value offset, int64_t pitch, int64_t firstRow, int64_t rows);
  Fragment splat(mlir::Value value, const Distribution &shape);
  void bind(mlir::Value tile, Fragment fragment) {
    if (groupsIssued > groupsFinished)
      besideGroups.push_back(tile);
    fragment.shape.used = distributionOf(tile).used;
    fragments[tile] = std::move(fragment);
  }

  // ---- where a thread's elements are; each asked for at most once per function
  mlir::Value rowOf(const Distribution &shape, int64_t slab, int64_t half);        ///< i32
  mlir::Value columnOf(const Distribution &shape, int64_t group, int64_t element); ///< i32
  mlir::Value warpDown(const WarpGrid &grid);
  mlir::Value warpAcross(const WarpGrid &grid);
  /// Null when all rows (columns) are of the tile.
  mlir::Value rowInside(const Distribution &shape, mlir::Value row);
  mlir::Value columnInside(const Distribution &shape, mlir::Value column);
  /// Whether this thread is the one of several with the same elements that writes them; null when all are.
  mlir::Value isWriter(const Distribution &shape);

  // ---- shared operands (SharedOperands.cpp)
  /// The tile that stands in shared memory for a right operand: itself, or what it is some panels of.
  mlir::Value heldFor(mlir::Value rhs);
  bool isPanels(tile::WindowOp op);
  /// Finds all tiles that products read from shared memory.
  void findSharedOperands();
  /// Behind which op each of them is dead, of those that the team does.
  void findDying();
  llvm::SmallVector<mlir::Operation *> readersOf(mlir::Value value);
  /// Copies the tile to shared memory if a product wants it there.
  void shareIfWanted(mlir::Value tile);
  SharedTile allocateShared(int64_t rows, int64_t columns, int64_t terms, int64_t limit = 0);
  void writeShared(const Fragment &from, const SharedTile &to);
  int64_t termsOf(mlir::Value tile);
  const SharedTile &sharedOf(mlir::Value tile) { return sharedTiles.find(tile)->second; }
  /// Byte offset of 16-byte piece `piece` (8 columns) of row `row`, swizzled.
  mlir::Value pieceOffset(const SharedTile &tile, mlir::Value row, mlir::Value piece, int64_t term);
  void releaseDead(mlir::Operation &op);

  tile::TileType typeOf(mlir::Value tile) { return llvm::cast<tile::TileType>(tile.getType()); }
  mlir::Value scalarOf(mlir::Value value) { return scalars.lookup(value); }
  mlir::Value i64Of(mlir::Value index) { return code.toI64(scalars.lookup(index)); }

  tile::KernelOp kernel;
  Code &code;
  Precision precision;
  // Asked for by the first analyses already.
  int64_t aheadWarps = 0, sumWarps = 0; ///< of two teams; 0: there is one
  llvm::DenseSet<mlir::Operation *> sumOps;
  int64_t warps, joined, lanes;
  bool sliding;
  SharedMemory shared;
  StepFields<Code> step;
  mlir::Value thread, lane, warp, laneRow, laneColumn;
  mlir::IRMapping scalars;
  llvm::DenseMap<mlir::Value, mlir::Value> pointers;
  llvm::DenseMap<mlir::Value, Fragment> fragments;
  llvm::DenseMap<mlir::Value, int64_t> usedRows; ///< of a tile, from its first on; Distribution::kAllRows: all
  llvm::DenseSet<mlir::Value> stored;            ///< roots of memory written since the last barrier for them
  /// Roots of memory read since the last barrier for them: by this load alone, or (null) by more than it.
  llvm::DenseMap<mlir::Value, mlir::Operation *> loaded;
  llvm::DenseMap<mlir::Value, SharedTile> sharedTiles;
  llvm::DenseSet<mlir::Value> wantedShared; ///< tiles some product reads from shared memory
  llvm::DenseSet<mlir::Value> onlyShared;   ///< of these, loads nothing else reads
  llvm::DenseSet<mlir::Value> streamed;     ///< matrices that streamed products read as they come from memory
  llvm::DenseSet<mlir::Value> wantedPieces; ///< rows that only streamed products read
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> streamedWords; ///< of a matrix: by row, turn, word
  llvm::DenseMap<mlir::Value, llvm::SmallVector<BlockPiece>> streamedBlocks; ///< of one in blocks: by row, turn
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> rowPieces;     ///< f32, by turn and element
  llvm::DenseSet<mlir::Value> readLater;                ///< loads that stand there and have no fragment yet
  llvm::SmallVector<std::function<void()>> begunCopies; ///< their pieces are on the way to registers
  llvm::DenseMap<std::pair<mlir::Value, mlir::Value>, PickedOut> pickedOut; ///< of a memory and a row
  llvm::SmallVector<std::pair<llvm::SmallVector<mlir::Value>, SlidingRows>>
      slidingRows;                               ///< of memory, row, column, bounds
  llvm::MapVector<mlir::Value, Rest> unfinished; ///< sums whose parts stand in shared memory
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Value>> dyingAt;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>>
      packedWords; ///< of tiles that are carried packed, or replaced

  llvm::DenseMap<mlir::Value, Fragment> squares;    ///< sums of squares that are made before their op comes
  llvm::DenseMap<mlir::Value, SharedTile> inverses; ///< of matrices for later solves, and to be stored

  llvm::DenseSet<mlir::Value> constants; ///< memory that no kernel writes: parameters
  llvm::DenseSet<mlir::Value> finished;  ///< memory that the kernel in front does not write
  /// Where a kernel lets the next one begin (Overlap.cpp).
  enum class NextBegins { BehindWait, BehindCopies, AtEnd };
  NextBegins nextBegins() const;
  bool awaited = true;                 ///< behind the wait for the kernels before, or there is none
  std::optional<int64_t> acrossOffset; ///< where sums of parts were left last (addAcross)

  int64_t groupsIssued = 0, groupsFinished = 0;
  llvm::MapVector<mlir::Value, int64_t> groupOf; ///< tiles whose products are in flight
  llvm::SmallVector<mlir::Value> besideGroups;   ///< tiles made while products were in flight
  mlir::Operation *current = nullptr;            ///< the op that is being lowered
  struct Leaving {
    mlir::Value barrier;
    int64_t group;
    bool byLanes;
  };
  llvm::SmallVector<Leaving> leaving; ///< barriers of ring slots that a group still reads

  llvm::SmallVector<Ring> rings;
  llvm::MapVector<mlir::Value, Staged> staged; ///< loads that a warpgroup of its own copies ahead
  bool ownSlots = false;                       ///< each load has its own, and a warp that copies it
  llvm::DenseSet<mlir::Value> partialSums;     ///< tiles of which every warp holds a part of all elements
  llvm::SmallVector<TensorMap> maps;
  llvm::SmallVector<mlir::Value> mapPointers;
  llvm::DenseMap<mlir::Value, mlir::Value> emptyBarrierOf;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Arrival>>
      arrivalsOf;                                       ///< of pages whose parts are waited for one by one
  llvm::DenseMap<mlir::Value, mlir::Value> firstPageOf; ///< of the second page of a pair
  llvm::DenseSet<mlir::Value> firstPages;               ///< of all pairs
  llvm::DenseMap<mlir::Operation *, mlir::Operation *> firstProductOf;
  llvm::DenseSet<mlir::Operation *> firstProducts;
  bool ringsHeld = false; ///< the memory of the slots is not given back yet
  bool copying = false;   ///< this walk is that warpgroup's

  Team team = Team::all;            ///< this walk is that team's
  llvm::DenseSet<mlir::Value> sums; ///< tiles of the team that holds the sums
  llvm::MapVector<mlir::Value, Handed> handed;
};

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_KERNELLOWERING_H
