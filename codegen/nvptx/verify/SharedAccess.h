// What one piece of inline PTX does with the shared memory of a block.
#ifndef CODEGEN_NVPTX_VERIFY_SHAREDACCESS_H
#define CODEGEN_NVPTX_VERIFY_SHAREDACCESS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Support/LLVM.h"

namespace denim::codegen::nvptx {

struct SharedAccess {
  enum class Kind {
    none,          ///< nothing to do with shared memory, or with order
    load,          ///< by the thread, `bytes` from `address` + `plus`
    store,         ///< the same
    loadMatrices,  ///< 16 bytes from the address of each of the first `lanes` lanes, for all of the warp
    storeMatrices, ///< the same, by all of the warp
    piece,         ///< cp.async: 16 bytes, done with the thread's next `awaitPieces`, or `arriveWithPieces`
    awaitPieces,
    bulkCopy,      ///< cp.async.bulk, also of a box of a tensor: `bytes`, done when they are counted by `barrier`
    product,       ///< wgmma: reads its operands until it is waited for
    awaitProducts, ///< all but the last `bytes` groups
    blockBarrier,  ///< bar.sync `number`, `bytes` threads
    turnBarrier,   ///< bar.sync or bar.arrive of a number that is computed
    warpBarrier,
    proxyFence,  ///< fence.proxy.async
    initBarrier, ///< mbarrier.init for `bytes` arrivals
    fenceInit,
    arrive,
    handOver,    ///< mbarrier.arrive.release: what the warp stored is there for those who wait
    expectBytes, ///< arrives, and expects `bytes`
    arriveWithPieces,
    arriveOnTop, ///< cp.async.mbarrier.arrive without .noinc: counts up and down, nobody waits longer or less
    await,       ///< mbarrier.try_wait until it has
    setRegisters,
    unknown ///< names shared memory, and is none of these
  };
  Kind kind = Kind::none;
  mlir::Value address;   ///< of bytes, or of an mbarrier; of no operand: null
  mlir::Value barrier;   ///< of a bulk copy
  mlir::Value predicate; ///< null: every thread
  int64_t plus = 0, bytes = 0, lanes = 32, number = 0;
  int64_t alignment = 16; ///< of where a bulk copy writes

  /// A step of a product reads `rows` rows of 128 bytes of each of `panels` panels, `panelBytes` apart, from `offset`
  /// (bytes) behind the address in the descriptor on.
  struct Operand {
    mlir::Value descriptor;
    int64_t offset, rows, panels, panelBytes;
  };
  llvm::SmallVector<Operand> operands;
};

SharedAccess classify(mlir::LLVM::InlineAsmOp op);

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_VERIFY_SHAREDACCESS_H
