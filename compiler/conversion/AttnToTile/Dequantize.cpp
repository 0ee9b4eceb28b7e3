// Weights in blocks as bf16, for products of many rows behind it (dequantize-weights). All it costs is reading and
// writing, so an item is a tile that the registers of a block of threads hold, whose lanes have eight neighbours each:
// 8 or 4 bytes of integers are read at once, and 16 of bf16 written.
#include "compiler/conversion/AttnToTile/Emitter.h"

using namespace mlir;
using namespace denim;

/// Rows and columns of an item: up to four times as many of either were even on an H200. Columns are a power of two of
/// at least a block, so that lanes have whole pieces.
static constexpr int64_t kRowBlock = 16, kColumnBlock = 256;

tile::KernelOp denim::emitDequantize(plan::KernelOp kernel, SmallVectorImpl<unsigned> &) {
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  auto cast = result.getDefiningOp<plan::CastOp>();
  auto weight = cast ? dyn_cast<BlockArgument>(cast.getInput()) : BlockArgument();
  auto type = weight ? llvm::cast<RankedTensorType>(weight.getType()) : RankedTensorType();
  if (!type || type.getRank() != 2 || !blockFormatOf(type.getElementType())) {
    kernel.emitOpError() << "expected a kernel that dequantizes to be a plan.cast of a weight [N, K] in blocks";
    return nullptr;
  }
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  int64_t width = std::min<int64_t>(kColumnBlock, llvm::bit_floor(uint64_t(columns)));
  int64_t panels = llvm::divideCeil(columns, width), blocks = llvm::divideCeil(rows, kRowBlock);
  // The whole weight whatever the step brings, as long as it brings a row: all its rows are one block.
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), kAnyNumber, blocks * panels));
  Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(panels));
  Value number = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(panels));
  // The last panel begins early enough to be whole: columns that two panels share are written twice, alike.
  Value first = e.min(e.mul(number, width), e.index(columns - width));
  Window window{0, panels == 1 ? Value() : first, columns, width};
  Value row = e.mul(block, kRowBlock);
  Rows own{row, kRowBlock, row, e.index(rows)};
  e.store(e.load(e.memoryOf(weight), own, firstChannel(e.b, e.loc, window), width), 0, own, window);
  return e.failed() ? nullptr : e.tileKernel;
}
