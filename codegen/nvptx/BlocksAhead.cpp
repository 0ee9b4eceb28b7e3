// Products of few rows with weights in blocks (Blocks.cpp) that are copied ahead as they are.
//
// Such a product is bound by reading weights. Its warps must not wait for memory with what they read in registers, as
// they do where they make an operand of blocks in shared memory and multiply with that behind a barrier. Here copying
// warps (Staging.cpp) bring blocks to a slot, and those that multiply make numbers of them where matrix units take
// them:
//
//   slot    integers of a step, row by row: panels of 128 bytes, as a shared operand of as many bytes    boxes
//           scales, row by row                                                                           pieces
//
//   - A step is divided among warps by blocks, not by columns: each reads its part of the rows once, for all columns,
//     and holds a part of all sums, which are added when the loop is behind (`partialSums`).
//   - Matrix units sum over 16 channels in any order that is the same on both sides: lane t of a row of weights takes
//     channels 4t to 4t + 3 instead of two pairs, so one word of eight bits has all it needs, and a word of four bits
//     is that of two instructions, by its lower and its upper halves.
//   - Integers are exact as bf16; the sum over a block is multiplied by its scale in f32. A byte in two's complement is
//     (128 + its lower 7 bits) - (128, or 256 if it is negative), and both are bits of it behind 0x43.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;
using formats::BlockFormat;
using formats::kBlockElements;

/// Channels of a step: whole panels of integers of four bits, and 16 bytes of scales.
static constexpr int64_t kStepMultiple = 256;
static constexpr int64_t kRows = 16, kPieceBytes = 16, kLanes = 32, kPanelPieces = 8, kBoxColumns = 64;
/// 128 as two bf16 has this byte above each number; and 128 + 8.
static constexpr uint32_t kExponents = 0x43434343, kMiddle = 0x43084308;

static tile::MemoryType memoryOf(tile::LoadOp op) {
  return cast<tile::MemoryType>(op.getMemory().getType());
}
static BlockFormat formatOf(tile::LoadOp op) {
  return *blockFormatOf(memoryOf(op).getElementType());
}
/// Pieces of 16 bytes that the integers of a block are.
static int64_t piecesOfBlock(tile::LoadOp op) {
  return formats::blockBytes(formatOf(op)) / kPieceBytes;
}
static scf::ForOp loopOf(Operation *op) {
  return dyn_cast<scf::ForOp>(op->getParentOp());
}

int64_t KernelLowering::bytesOfRow(tile::LoadOp op) {
  return formats::rowBytes(formatOf(op), memoryOf(op).getColumns());
}
int64_t KernelLowering::bytesOfIntegers(tile::LoadOp op, int64_t columns) {
  return columns / kBlockElements * formats::blockBytes(formatOf(op));
}
int64_t KernelLowering::scaleBytesOf(tile::LoadOp op) {
  return typeOf(op.getResult()).getRows() * formats::scalesBytes(typeOf(op.getResult()).getColumns());
}

//===--------------------------------------------------------------------------------------------------------------===//
// Which
//===--------------------------------------------------------------------------------------------------------------===//

bool KernelLowering::isOfStagedBlocks(tile::MmaOp op, Value weights) {
  auto loop = loopOf(op);
  auto rows = op.getLhs().getDefiningOp<tile::LoadOp>();
  if (!loop || !rows || op.getRhs() != weights || op.getLhs() == weights || !op.getTransposeRhs() ||
      op.getTransposeLhs() || op.getM() != kRows || formOf(op) != Form::warp || lhsInRegisters(op) ||
      rows.getTransposed() || rows.getLo() ||
      !cast<tile::MemoryType>(rows.getMemory().getType()).getElementType().isBF16())
    return false;
  auto sum = dyn_cast_or_null<BlockArgument>(op.getAcc());
  if (!sum || sum.getOwner() != loop.getBody() || !sum.hasOneUse() || !op.getResult().hasOneUse())
    return false;
  unsigned index = sum.getArgNumber() - 1;
  auto begin = loop.getInitArgs()[index].getDefiningOp<tile::SplatOp>();
  return loop.getYieldedValues()[index] == op.getResult() && begin && matchPattern(begin.getValue(), m_AnyZeroFloat());
}

bool KernelLowering::isStagedBlocks(tile::LoadOp op) {
  if (!kernel->hasAttr("tile.ahead") || precision == Precision::exact || !isa<BlockArgument>(op.getMemory()) ||
      !isInBlocks(op) || op.getTransposed() || op.getLo() || !loopOf(op))
    return false;
  auto type = typeOf(op.getResult());
  int64_t ofWarp = type.getColumns() / kBlockElements / warps;
  return type.getRows() % 16 == 0 && type.getRows() <= 256 && type.getColumns() % kStepMultiple == 0 &&
         memoryOf(op).getColumns() % kStepMultiple == 0 && divisorOf(op.getColumn()) % kStepMultiple == 0 &&
         llvm::isPowerOf2_64(ofWarp) && ofWarp * warps * kBlockElements == type.getColumns() &&
         llvm::all_of(op.getResult().getUsers(), [&](Operation *user) {
           auto product = dyn_cast<tile::MmaOp>(user);
           return product && product->getBlock() == op->getBlock() && isOfStagedBlocks(product, op.getResult());
         });
}

bool KernelLowering::goesWithBlocks(tile::LoadOp op) {
  auto isBlocks = [&](tile::LoadOp other) { return isStagedBlocks(other); };
  return kernel->hasAttr("tile.ahead") && llvm::any_of(op->getBlock()->getOps<tile::LoadOp>(), isBlocks);
}

void KernelLowering::findPartialSums() {
  partialSums.clear();
  for (auto &[value, load] : staged)
    if (load.fetch == Fetch::blocks)
      for (Operation *user : value.getUsers()) {
        auto product = cast<tile::MmaOp>(user);
        partialSums.insert(product.getAcc());
        partialSums.insert(product.getResult());
      }
}

bool KernelLowering::isPartialSum(Operation *op, unsigned index) {
  auto loop = dyn_cast<scf::ForOp>(op);
  return loop && partialSums.contains(loop.getRegionIterArg(index));
}

Distribution KernelLowering::carriedAs(Operation *op, unsigned index) {
  Distribution shape = distributionOf(typeOf(op->getResult(index)));
  if (isPartialSum(op, index))
    shape.grid = {};
  return shape;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Copies
//===--------------------------------------------------------------------------------------------------------------===//

void KernelLowering::copyBlocks(tile::LoadOp op, Value slot, Value full) {
  SharedTile integers = stagedTile(op);
  View view = viewOf(op.getMemory());
  Value row = i64Of(op.getRow()), column = i64Of(op.getColumn());
  code.branch(code.equal(lane, code.constant32(0)), {}, [&] {
    code.expectBytes(full, integers.bytes());
    int64_t elements = kBlockElements / (formats::blockBytes(formatOf(op)) / 2); // of two bytes
    Value first = code.add(code.divide(code.toI32(column), elements), formats::scalesBytes(view.columns) / 2);
    for (int64_t across = 0; across < integers.columns; across += kBoxColumns)
      code.copyBox(code.add(slot, across * 2 * integers.rows), mapPointers[staged[op.getResult()].map],
                   code.add(first, across), code.toI32(row), full);
    return SmallVector<Value>();
  });
  int64_t pieces = formats::scalesBytes(typeOf(op.getResult()).getColumns()) / kPieceBytes; // of a row
  int64_t total = typeOf(op.getResult()).getRows() * pieces, rowBytes = bytesOfRow(op);
  Type byte = code.builder.getI8Type();
  // Scales of 16 channels are as many bytes as a channel's.
  Value from = code.advance(view.pointer, code.add(code.mul(row, rowBytes), code.divide(column, 16)), byte);
  for (int64_t begin = 0; begin < total; begin += kLanes) {
    Value number = code.add(lane, begin);
    auto copy = [&] {
      Value there = code.add(code.mul(code.toI64(code.divide(number, pieces)), rowBytes),
                             code.toI64(code.mul(code.modulo(number, pieces), kPieceBytes)));
      code.copyPiece(code.add(slot, code.mul(number, kPieceBytes)), integers.bytes(), code.advance(from, there, byte),
                     0);
      return SmallVector<Value>();
    };
    if (begin + kLanes <= total)
      copy();
    else
      code.branch(code.lessThan(lane, code.constant32(total - begin)), {}, copy);
  }
  code.arriveWithPieces(code.add(full, 8));
}

//===--------------------------------------------------------------------------------------------------------------===//
// Products
//===--------------------------------------------------------------------------------------------------------------===//

/// Of each group of 8 columns the words of its blocks, one for each 16 bytes; and as many scales as blocks of both
/// columns whose sums a thread holds.
KernelLowering::BlocksOfWarp KernelLowering::readBlocks(tile::LoadOp op) {
  const SharedTile &integers = sharedOf(op.getResult());
  auto type = typeOf(op.getResult());
  int64_t blocks = type.getColumns() / kBlockElements, own = blocks / warps, groups = type.getRows() / 8;
  BlocksOfWarp read;
  // Matrix m of an instruction is piece `m mod near` of group `m div near`: pieces of a row as far as there are.
  int64_t pieces = own * piecesOfBlock(op), near = std::min<int64_t>(pieces, 4);
  Value matrix = code.divide(lane, 8), row = code.modulo(lane, 8), first = code.mul(warp, pieces);
  Value begin = code.add(integers.slot, integers.offset), base = begin;
  base = code.add(base, code.mul(code.add(code.mul(code.divide(matrix, near), 8), row), 128));
  if (integers.panels() > 1)
    base = code.add(base, code.mul(code.divide(first, kPanelPieces), integers.panelBytes()));
  Value exchanged =
      code.exclusiveOr(code.exclusiveOr(row, code.modulo(matrix, near)), code.modulo(first, kPanelPieces));
  auto at = piecesFrom(base, exchanged, /*global=*/false);
  for (int64_t n = 0; n < groups * pieces; n += 4) {
    int64_t piece = n % pieces;
    Value address =
        code.add(at(piece % kPanelPieces), piece / kPanelPieces * integers.panelBytes() + n / pieces * 1024);
    llvm::append_range(read.words, code.loadMatrices(address, std::min<int64_t>(groups * pieces - n, 4), false));
  }
  // Words of two scales; one alone is a half of what two warps read.
  int64_t pitch = formats::scalesBytes(type.getColumns());
  Value ofWarp = own > 1 ? code.mul(warp, own * formats::kScaleBytes) : code.mul(code.divide(warp, 2), 4);
  Value scales = code.add(code.add(begin, integers.bytes()), code.add(code.mul(laneColumn, 2 * pitch), ofWarp));
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t column = 0; column < 2; ++column)
      for (int64_t block = 0; block < own; block += 2) {
        Value word = code.loadShared(scales, 1, (group * 8 + column) * pitch + block * formats::kScaleBytes).front();
        if (own == 1)
          word = arith::ShRUIOp::create(code.builder, code.loc, word, code.mul(code.modulo(warp, 2), 16));
        for (int64_t half = 0; half < std::min<int64_t>(own, 2); ++half)
          read.scales.push_back(code.unpackHalf(word, half == 1));
      }
  return read;
}

/// Four neighbours of a word of bytes as two words of bf16; `half`: the lower or the upper one of bytes of four bits.
static SmallVector<Value, 2> integersOf(Code &code, BlockFormat format, Value word, int64_t half) {
  Value exponents = code.constant32(kExponents);
  if (format == BlockFormat::Q4_0 && half == 1)
    word = code.divide(word, 16);
  SmallVector<Value, 2> pairs;
  for (uint32_t selector : {0x4140, 0x4342}) {
    Value bytes = code.pickBytes(word, exponents, selector);
    if (format == BlockFormat::Q4_0)
      pairs.push_back(code.subBrains(code.bitsAnd(bytes, 0xff0fff0f), code.constant32(kMiddle)));
    else
      pairs.push_back(code.subBrains(code.bitsAnd(bytes, 0xff7fff7f), code.bitsAnd(bytes, 0xff80ff80)));
  }
  return pairs;
}

Fragment KernelLowering::blockProduct(tile::MmaOp op) {
  auto load = op.getRhs().getDefiningOp<tile::LoadOp>();
  const SharedTile &rows = sharedOf(op.getLhs());
  if (!rows.slot) {
    shared.awaits(rows.offset, rows.bytes());
    shared.reads(rows.offset, rows.bytes());
  }
  BlockFormat format = formatOf(load);
  Fragment sum = fragmentOf(op.getAcc());
  int64_t own = op.getK() / kBlockElements / warps, groups = op.getN() / 8, words = own * piecesOfBlock(load);
  BlocksOfWarp blocks = readBlocks(load);
  // Of the rows each lane takes 8 bytes of each 16 channels. Two lanes share a piece; its rows are `laneRow` and 8 on.
  constexpr int64_t kPieces = kBlockElements / 8;
  Value first = code.mul(warp, own * kPieces);
  Value base = code.add(code.mul(laneRow, 128), code.add(code.mul(code.modulo(laneColumn, 2), 8), rows.offset));
  if (rows.slot)
    base = code.add(base, rows.slot);
  base = code.add(base, code.mul(code.divide(first, kPanelPieces), rows.panelBytes()));
  Value exchanged =
      code.exclusiveOr(code.exclusiveOr(laneRow, code.divide(laneColumn, 2)), code.modulo(first, kPanelPieces));
  auto at = piecesFrom(base, exchanged, /*global=*/false);
  for (int64_t block = 0; block < own; ++block) {
    SmallVector<Value, 4> left[2];
    for (int64_t half = 0; half < 2; ++half) {
      int64_t piece = block * kPieces + half * 2, panel = piece / kPanelPieces * rows.panelBytes();
      auto upper = code.loadShared(at(piece % kPanelPieces), 2, panel);
      auto lower = code.loadShared(at(piece % kPanelPieces), 2, panel + 8 * 128);
      left[half] = {upper[0], lower[0], upper[1], lower[1]};
    }
    for (int64_t group = 0; group < groups; ++group) {
      SmallVector<Value, 4> product(4, code.number(0));
      for (int64_t half = 0; half < 2; ++half) {
        int64_t word = format == BlockFormat::Q8_0 ? block * 2 + half : block;
        product =
            code.multiply(product, left[half], integersOf(code, format, blocks.words[group * words + word], half));
      }
      for (int64_t i = 0; i < 4; ++i) {
        Value &to = sum.values[sum.shape.at(0, group, i / 2, i % 2)];
        to = code.fma(product[i], blocks.scales[(group * 2 + i % 2) * own + block], to);
      }
    }
  }
  return sum;
}

/// Each warp leaves its part in shared memory, and adds up those of its columns. When somebody asks for the sum the
/// slots of the loop are free.
void KernelLowering::addParts(Value value, const Fragment &part) {
  bindLater(value, [this, value, part] {
    constexpr int64_t kGroupBytes = kLanes * kPieceBytes; // four words of each lane
    int64_t groups = part.shape.groups(), bytes = partBytes(typeOf(value)), offset = shared.allocate(bytes);
    shared.writes(offset, bytes);
    Value place = code.add(code.mul(lane, kPieceBytes), offset);
    Value own = code.add(place, code.mul(warp, groups * kGroupBytes));
    for (int64_t group = 0; group < groups; ++group) {
      SmallVector<Value> words;
      for (int64_t i = 0; i < 4; ++i)
        words.push_back(code.bitsOf(part.at(0, group, i / 2, i % 2)));
      code.storeShared(words, own, {}, group * kGroupBytes);
    }
    shared.reads(offset, bytes);
    Distribution to = distributionOf(value);
    Fragment sum{to, code.f32(), SmallVector<Value>(to.registers())};
    for (int64_t group = 0; group < to.groups(); ++group) {
      Value number = code.add(code.mul(warpAcross(to.grid), to.groups()), group);
      if (to.padsColumns()) // who has no columns reads some that are
        number = code.mini(number, code.constant32(groups - 1));
      Value from = code.add(place, code.mul(number, kGroupBytes));
      for (int64_t other = 0; other < warps; ++other) {
        auto words = code.loadShared(from, 4, other * groups * kGroupBytes);
        for (int64_t i = 0; i < 4; ++i) {
          Value &into = sum.values[to.at(0, group, i / 2, i % 2)];
          into = other == 0 ? code.realOf(words[i]) : code.addf(into, code.realOf(words[i]));
        }
      }
    }
    shared.release(offset);
    return sum;
  });
}
