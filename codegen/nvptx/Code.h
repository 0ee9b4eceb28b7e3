// The words the lowering writes in: what one thread does.
//
// All of the lowering goes through this class, so that the heavy dialect headers are read by Code.cpp alone. Numbers of
// the thread and offsets inside a tile are i32, addresses and rows of memory i64. A "global" pointer is of address
// space 1, shared memory is named by its offset in bytes, i32.
#ifndef CODEGEN_NVPTX_CODE_H
#define CODEGEN_NVPTX_CODE_H

#include "codegen/builder/ArithBuilder.h"
#include "codegen/target/GpuTarget.h"
#include "mlir/IR/IRMapping.h"

namespace denim::codegen::nvptx {

/// Which way the rows of a shared operand run in a product (CUTLASS says K-major and MN-major).
enum class Major : uint8_t { contraction, outer };

class Code : public ArithBuilder {
public:
  Code(mlir::OpBuilder &builder, mlir::Location loc, const GpuTarget &target)
      : ArithBuilder(builder, loc), target(target) {}

  const GpuTarget &target;

  // ---- types
  mlir::Type globalPointer();
  mlir::Type genericPointer(); ///< of any memory, as to a parameter

  // ---- more of integers
  mlir::Value divide(mlir::Value a, int64_t powerOfTwo); ///< of no negative number
  mlir::Value modulo(mlir::Value a, int64_t powerOfTwo);
  mlir::Value exclusiveOr(mlir::Value a, mlir::Value b);
  mlir::Value bitsAnd(mlir::Value a, uint32_t mask); ///< of i32
  /// Four bytes of the eight of low and high, i32 both; the lowest digit of the selector says which is the lowest.
  mlir::Value pickBytes(mlir::Value low, mlir::Value high, uint32_t selector);

  // ---- the thread
  mlir::Value threadNumber();
  mlir::Value blockNumber();
  /// All `threads` threads that come here; `number` names the barrier.
  void barrier(int64_t number, int64_t threads);
  /// The same with a number that is known to the running kernel; `wait` false: counts as arrived and goes on.
  void namedBarrier(mlir::Value number, int64_t threads, bool wait);
  void warpBarrier();
  /// What this thread wrote to shared memory is seen by products and bulk copies behind the next barrier.
  void fenceForProducts();

  // ---- global memory. A predicate may be null: always. `plus`: bytes that the instruction adds to the address.
  mlir::Value advance(mlir::Value pointer, mlir::Value elements, mlir::Type element);
  mlir::Value load(mlir::Type type, mlir::Value pointer);
  /// `count` (1, 2, 4) words of 32 bits as i32; zero where the predicate is false. `constant`: nothing writes there.
  /// `once`: no thread of the block reads them again, so they need no place in the first cache.
  llvm::SmallVector<mlir::Value, 4> loadWords(mlir::Value pointer, int count, mlir::Value predicate, int64_t plus = 0,
                                              bool once = false);
  void storeWords(llvm::ArrayRef<mlir::Value> words, mlir::Value pointer, mlir::Value predicate, int64_t plus = 0);
  mlir::Value loadHalfWord(mlir::Value pointer, mlir::Value predicate,
                           int64_t plus = 0); ///< 16 bits, in the low half of an i32
  void storeHalfWord(mlir::Value word, mlir::Value pointer, mlir::Value predicate, int64_t plus = 0);

  // ---- kernels that follow each other on a stream
  /// The next kernel may begin; it waits for the end of this one when it needs to.
  void letNextBegin();
  /// All kernels before are done, and what they wrote is seen.
  void awaitKernelsBefore();

  // ---- shared memory
  llvm::SmallVector<mlir::Value, 4> loadShared(mlir::Value offset, int count, int64_t plus = 0); ///< words, as i32
  void storeShared(llvm::ArrayRef<mlir::Value> words, mlir::Value offset, mlir::Value predicate = {}, int64_t plus = 0);
  /// Four 8x8 matrices of 16-bit elements, a row from the address of each lane.
  llvm::SmallVector<mlir::Value, 4> loadMatrices(mlir::Value offset, int count, bool transposed);

  /// The other way: four 8x8 matrices of 16-bit elements from the words of loadMatrices.
  void storeMatrices(llvm::ArrayRef<mlir::Value> words, mlir::Value offset, bool transposed);

  // ---- barriers in shared memory that count arrivals and bytes (mbarrier), and copies that complete on them
  void initBarrier(mlir::Value offset, int64_t arrivals);
  void fenceBarrierInit();
  void arrive(mlir::Value barrier, mlir::Value predicate);
  /// Arrives for a warp, and says that what the warp stored is there for those who wait.
  void handOver(mlir::Value barrier, mlir::Value predicate);
  void expectBytes(mlir::Value barrier, int64_t bytes); ///< arrives as well
  void waitBarrier(mlir::Value barrier, mlir::Value parity);
  void copyBulk(mlir::Value sharedOffset, mlir::Value pointer, int64_t bytes, mlir::Value barrier);
  /// A box of a tensor from element (row, column) on, both i32; its pieces are exchanged as in a shared operand.
  void copyBox(mlir::Value sharedOffset, mlir::Value map, mlir::Value column, mlir::Value row, mlir::Value barrier);
  void prefetchTensorMap(mlir::Value map);
  /// Asks for bytes that will be copied: the last cache has them then.
  void prefetchBulk(mlir::Value pointer, int64_t bytes);
  /// 16 or 4 bytes, zeros where the predicate is false; `plus...`: bytes that the instruction adds to the addresses.
  void copyPiece(mlir::Value sharedOffset, int64_t plusShared, mlir::Value pointer, int64_t plus,
                 mlir::Value predicate = {}, int64_t bytes = 16);
  /// Waits until this thread's pieces so far are there.
  void awaitPieces();
  /// Arrives when this thread's pieces so far are there.
  void arriveWithPieces(mlir::Value barrier);
  /// Arrives, and lets the phase expect one arrival more: nobody waits longer or less.
  void arriveOnTop(mlir::Value barrier);
  /// Gives registers to the warpgroup, or takes some away.
  void setRegisters(int64_t count, bool increase);

  // ---- between warps' lanes
  mlir::Value shuffleXor(mlir::Value value, int64_t mask);
  mlir::Value shuffleUp(mlir::Value value, int64_t distance);
  mlir::Value shuffleIndex(mlir::Value value, int64_t lane);
  mlir::Value shuffleIndex(mlir::Value value, mlir::Value lane);

  // ---- f32, and what memory holds
  mlir::Value number(double value);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value bitsOf(mlir::Value real);                     ///< f32 to i32; an i32 stays, an i1 becomes 0 or 1
  mlir::Value realOf(mlir::Value bits);                     ///< i32 to f32
  mlir::Value ofType(mlir::Value bits, mlir::Type element); ///< i32 to f32, i32 or i1
  mlir::Value packBrain(mlir::Value low, mlir::Value high); ///< two f32 to a word of two bf16, nearest even
  mlir::Value packHalf(mlir::Value low, mlir::Value high);
  mlir::Value unpackBrain(mlir::Value word, bool high);
  mlir::Value unpackHalf(mlir::Value word, bool high);
  mlir::Value subBrains(mlir::Value a, mlir::Value b); ///< two bf16 of a word less those of another, nearest even

  // ---- products
  /// One warp: a 16x8 piece of f32 plus 16x16 times 16x8 of bf16.
  llvm::SmallVector<mlir::Value, 4> multiply(llvm::ArrayRef<mlir::Value> acc, llvm::ArrayRef<mlir::Value> a,
                                             llvm::ArrayRef<mlir::Value> b);
  /// One step of a warpgroup's product over 16 of the contraction: where the operands stand.
  struct GroupStep {
    int64_t a = 0, b = 0;                         ///< added to the descriptors (units of 16 bytes)
    llvm::SmallVector<mlir::Value, 4> aRegisters; ///< instead of a descriptor of A
  };
  /// acc += sum of steps, for 64 rows of a warpgroup and acc.size() / 4 * 8 columns; begins and commits a group that
  /// is in flight behind the call. Descriptors name where step 0 of all begins.
  llvm::SmallVector<mlir::Value> multiplyGroup(llvm::ArrayRef<mlir::Value> acc, bool accumulate, mlir::Value a,
                                               Major aMajor, mlir::Value b, Major bMajor,
                                               llvm::ArrayRef<GroupStep> steps);
  /// Waits until at most `inFlight` groups are; the values pass through, so that no use moves above the wait.
  llvm::SmallVector<mlir::Value> waitGroups(llvm::ArrayRef<mlir::Value> values, int64_t inFlight);
  /// Descriptor of an operand in shared memory with rows of 128 bytes, swizzled by 128. `panelBytes`: from one panel of
  /// 64 columns to the next.
  mlir::Value descriptor(mlir::Value offset, Major major, int64_t panelBytes);

  // ---- control
  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)>;
  llvm::SmallVector<mlir::Value> loop(mlir::Value low, mlir::Value high, mlir::Value step, mlir::ValueRange carried,
                                      LoopBody body);
  /// Runs `then` where the condition holds, `otherwise` elsewhere; what they give has the types.
  llvm::SmallVector<mlir::Value> branch(mlir::Value condition, llvm::ArrayRef<mlir::Type> types,
                                        llvm::function_ref<llvm::SmallVector<mlir::Value>()> then,
                                        llvm::function_ref<llvm::SmallVector<mlir::Value>()> otherwise = {});

private:
  llvm::SmallVector<mlir::Value> assembly(llvm::StringRef text, llvm::StringRef constraints, mlir::ValueRange operands,
                                          llvm::ArrayRef<mlir::Type> results, bool sideEffects);
  mlir::Value sharedPointer(mlir::Value offset);
  mlir::Value addressOf(mlir::Value offset); ///< of shared memory, as the i32 that instructions take
};

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_CODE_H
