// Rows of an activation that one thread asks for: tensor copies (cp.async.bulk.tensor).
//
// Keys, queries and values of one head stand in memory as parts of rows, a row for all heads. A tensor copy takes a box
// of them, R rows of 64 columns, writes it as a panel of a shared operand with its pieces exchanged (SharedTile: that
// is the 128-byte swizzle), and counts its bytes at the mbarrier of the slot: one instruction of one thread where a
// warp copies R * 8 pieces. It writes as products read, by the async proxy, so those who wait for it need no fence.
//
// What is fetched so. A staged load of rows (isStagedRows) of bf16
//
//   - of a memory that is an argument of the kernel: its rows are known to whoever launches it, who describes them in a
//     map for each memory and number of rows (`tile.tensor_maps` of the function, a parameter behind the memories);
//     pages, slots of a state and stacked parameters are parts of an argument that the kernel computes
//   - in boxes of at most 256 rows and whole panels, in rows of a multiple of 16 bytes: what the instruction can do
//   - whose rows go on from turn to turn, as the chunks of a sequence. Those of a product are the same in all turns:
//     they gain nothing by boxes, and would come the slow way below in every turn if some of them are left out. Beside
//     weights in blocks (BlocksAhead.cpp) they would be what all wait for: there they are boxes if none is left out
//
// A box has no bounds of its own. In the last chunk of a sequence rows behind its end are those of the next one, and
// count as zeros: there the warp copies pieces of 16 bytes to the same places, waits for them, fences them for the
// other proxy and hands them over, so that whoever waits at the mbarrier need not know which way they came:
//
//   all rows within [lo, hi):     lane 0: arrive, expect bytes; a box for each panel           -> full[n] completes
//   else:                         pieces, zeros; wait; fence.proxy.async; lane 0: arrive       -> full[n] completes
//
// The warp stands still while its pieces come, once for a sequence. Each lane arrives on top of what the phase expects,
// too: lane 0 does it for all, behind a barrier of the warp, but compute-sanitizer does not follow an arrival for
// others.
//
// Rows of a few numbers stay pieces, although their bytes follow each other: bulk copies of 256 bytes behind boxes come
// too late on an H200, by 300 cycles a turn of a scan.
#include "codegen/nvptx/KernelLowering.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// What the bytes of a row are a multiple of; and the columns of a panel, within which the swizzle exchanges pieces.
static constexpr int64_t kRowMultiple = 16, kBoxColumns = DENIM_TENSOR_BOX_COLUMNS;

bool KernelLowering::isTensorCopy(tile::LoadOp op) {
  auto memory = dyn_cast<tile::MemoryType>(op.getMemory().getType());
  if (!memory || !memory.getElementType().isBF16() || op.getMemory().getDefiningOp() || !isStagedRows(op))
    return false;
  if (cast<scf::ForOp>(op->getParentOp()).isDefinedOutsideOfLoop(op.getRow()) && (op.getLo() || !goesWithBlocks(op)))
    return false;
  SharedTile tile = stagedTile(op);
  return tile.rows <= DENIM_TENSOR_BOX_MOST_ROWS && tile.rows % 8 == 0 && tile.columns % kBoxColumns == 0 &&
         memory.getColumns() * 2 % kRowMultiple == 0;
}

void KernelLowering::makeTensorMaps() {
  Block *entry = code.builder.getInsertionBlock();
  for (auto &[value, load] : staged) {
    if (load.fetch != Fetch::tensor && load.fetch != Fetch::blocks)
      continue;
    auto op = value.getDefiningOp<tile::LoadOp>();
    // Two bytes of a row in blocks count as an element.
    int64_t columns = load.fetch == Fetch::blocks ? bytesOfRow(op) / 2
                                                  : cast<tile::MemoryType>(op.getMemory().getType()).getColumns();
    TensorMap map{cast<BlockArgument>(op.getMemory()).getArgNumber(), columns, stagedTile(op).rows, kBoxColumns};
    load.map = llvm::find(maps, map) - maps.begin();
    if (load.map == maps.size()) {
      maps.push_back(map);
      mapPointers.push_back(entry->addArgument(code.genericPointer(), code.loc));
    }
  }
}

void KernelLowering::prefetchTensorMaps() {
  if (mapPointers.empty())
    return;
  code.branch(code.equal(thread, code.constant32(computingWarps() * 32)), {}, [&] {
    for (Value map : mapPointers)
      code.prefetchTensorMap(map);
    return SmallVector<Value>();
  });
}

/// Null when all rows of the load always exist.
Value KernelLowering::takesAllRows(tile::LoadOp op) {
  if (!op.getLo())
    return {};
  Value row = i64Of(op.getRow());
  Value all = code.lessThan(code.add(row, stagedTile(op).rows - 1), i64Of(op.getHi()));
  if (op.getLo() == op.getRow())
    return all;
  return code.both(code.lessThan(i64Of(op.getLo()), code.add(row, 1)), all);
}

void KernelLowering::copyBoxes(tile::LoadOp op, Value slot, Value full) {
  auto withoutResults = [](auto body) {
    return [body] {
      body();
      return SmallVector<Value>();
    };
  };
  auto boxes = withoutResults([&] {
    SharedTile tile = stagedTile(op);
    code.expectBytes(full, tile.bytes());
    Value row = code.toI32(i64Of(op.getRow())), column = code.toI32(i64Of(op.getColumn()));
    for (int64_t across = 0; across < tile.columns; across += kBoxColumns)
      code.copyBox(code.add(slot, across * 2 * tile.rows), mapPointers[staged[op.getResult()].map],
                   code.add(column, across), row, full);
  });
  Value isFirstLane = code.equal(lane, code.constant32(0));
  auto byLane = withoutResults([&] { code.branch(isFirstLane, {}, boxes); });
  auto byPieces = withoutResults([&] {
    copyRows(op, slot);
    code.awaitPieces();
    code.fenceForProducts();
    code.arriveOnTop(full);
    code.warpBarrier();
    code.handOver(full, isFirstLane);
  });
  if (Value all = takesAllRows(op))
    code.branch(all, {}, byLane, byPieces);
  else
    byLane();
}
