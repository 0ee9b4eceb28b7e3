// Loads and stores. A thread reads the elements it holds, two neighbours at a time where the address allows it; what
// only products read goes to shared memory in pieces of 16 bytes, without passing through fragments.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <memory>
#include <numeric>

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// From how many registers and readers on a load of bf16 is read anew by each of them from shared memory: eight
/// elements by one instruction, and one to widen each.
static constexpr int64_t kManyRegisters = 32, kManyReaders = 4;

int64_t KernelLowering::divisorOf(Value value) {
  constexpr int64_t kAny = 1 << 20; // of zero, and where products would grow without end
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && argument == loop.getInductionVar())
      return std::gcd(divisorOf(loop.getLowerBound()), divisorOf(loop.getStep()));
    return 1;
  }
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto integer = dyn_cast<IntegerAttr>(constant.getValue());
    return !integer ? 1 : integer.getInt() == 0 ? kAny : std::abs(integer.getInt());
  }
  auto both = [&] { return std::gcd(divisorOf(op->getOperand(0)), divisorOf(op->getOperand(1))); };
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp, arith::RemUIOp>(op))
    return both();
  if (isa<arith::MulIOp>(op))
    return std::gcd(divisorOf(op->getOperand(0)) * divisorOf(op->getOperand(1)), kAny);
  if (isa<arith::SelectOp>(op))
    return std::gcd(divisorOf(op->getOperand(1)), divisorOf(op->getOperand(2)));
  return 1;
}

bool KernelLowering::isImage(tile::PagesType type) {
  return type.getElementType().isBF16() && type.getColumns() % 64 == 0 && type.getTokens() % 16 == 0;
}

KernelLowering::View KernelLowering::viewOf(Value memory) {
  auto type = cast<tile::MemoryType>(memory.getType());
  tile::PagesType pages = pagesOf(memory);
  return {pointers.lookup(memory), type.getColumns(), type.getElementType(),
          pages && isImage(pages) ? pages.getTokens() : 0};
}

Value KernelLowering::rootOf(Value memory) {
  while (Operation *op = memory.getDefiningOp())
    memory = op->getOperand(0);
  return memory;
}

void KernelLowering::seesStores(Value memory) {
  Value root = rootOf(memory);
  if (stored.contains(root)) {
    shared.meet();
    stored.clear();
    loaded.clear();
  }
  auto [it, isFirst] = loaded.insert({root, current});
  if (!isFirst)
    it->second = nullptr;
}

void KernelLowering::awaitsLoads(tile::StoreOp op) {
  auto it = loaded.find(rootOf(op.getMemory()));
  if (it == loaded.end())
    return;
  // A thread may overwrite what it alone has loaded: the same place, dealt the same way, without copies.
  auto load = dyn_cast_or_null<tile::LoadOp>(it->second);
  if (load && load.getMemory() == op.getMemory() && load.getRow() == op.getRow() &&
      load.getColumn() == op.getColumn() && !load.getTransposed() && !onlyShared.contains(load.getResult()) &&
      !streamed.contains(load.getResult()) && !isStoredTurned(op) && !isStoredAcross(op)) {
    Distribution from = distributionOf(load.getResult()), to = distributionOf(op.getValue());
    if (from.rows == to.rows && from.columns == to.columns && from.grid == to.grid && !to.oneRow() && !to.oneColumn())
      return;
  }
  awaitsLoads(op.getMemory());
}

void KernelLowering::awaitsLoads(Value memory) {
  if (!loaded.contains(rootOf(memory)))
    return;
  shared.finishCopies();
  shared.meet();
  stored.clear();
  loaded.clear();
}

/// The pages that a memory is one of, or null.
tile::PagesType KernelLowering::pagesOf(Value memory) {
  Operation *op = memory.getDefiningOp();
  return isa_and_nonnull<tile::PageOp, tile::BlockOp>(op) ? cast<tile::PagesType>(op->getOperand(0).getType())
                                                          : tile::PagesType();
}

Value KernelLowering::elementAddress(const View &view, Value row, Value column) {
  if (!view.imageRows) {
    Value line = code.advance(view.pointer, code.mul(code.toI64(row), view.columns), view.stored);
    return code.advance(line, column, view.stored);
  }
  // Panels of 64 columns, pieces of 8 columns exchanged by xor with the row (SharedTile).
  Value row32 = code.toI32(row), column32 = code.toI32(column);
  Value piece = code.exclusiveOr(code.modulo(code.divide(column32, 8), 8), code.modulo(row32, 8));
  Value offset = code.add(code.mul(row32, 64), code.add(code.mul(piece, 8), code.modulo(column32, 8)));
  if (view.columns > 64)
    offset = code.add(offset, code.mul(code.divide(column32, 64), 64 * view.imageRows));
  return code.advance(view.pointer, offset, view.stored);
}

Value KernelLowering::within(Value row, Value lo, Value hi) {
  if (!lo)
    return {};
  Value above = arith::CmpIOp::create(code.builder, code.loc, arith::CmpIPredicate::sge, row, i64Of(lo));
  return code.both(above, code.lessThan(row, i64Of(hi)));
}

std::function<Value(int64_t)> KernelLowering::piecesFrom(Value base, Value exchangedRow, bool global) {
  auto made = std::make_shared<llvm::DenseMap<int64_t, Value>>();
  return [=](int64_t piece) {
    Value &known = (*made)[piece];
    if (!known) {
      Value bytes = code.mul(code.exclusiveOr(exchangedRow, code.constant32(piece)), 16);
      known = global ? code.advance(base, bytes, code.builder.getI8Type()) : code.add(base, bytes);
    }
    return known;
  };
}

KernelLowering::AddressOf KernelLowering::addressesOf(const View &view, const Distribution &shape, Value rowIndex,
                                                      Value columnIndex, bool transposed) {
  Value row = i64Of(rowIndex), column = i64Of(columnIndex);
  int64_t bytes = Code::bytesOf(view.stored), down = 16 * shape.grid.down;
  Value r0 = code.toI64(rowOf(shape, 0, 0)), c0 = code.toI64(columnOf(shape, 0, 0));
  if (transposed)
    std::swap(r0, c0);
  if (!view.imageRows) {
    Value element = code.add(code.mul(code.add(row, r0), view.columns), code.add(column, c0));
    Value base = code.advance(view.pointer, element, view.stored);
    int64_t pitch = view.columns;
    return [=](int64_t slab, int64_t half, int64_t group, int64_t e) -> Address {
      int64_t i = shape.rowAt(slab, half), j = shape.columnAt(group, e);
      return {base, (transposed ? j * pitch + i : i * pitch + j) * bytes};
    };
  }
  int64_t across = shape.columnsOfWarp();
  bool aligned = !transposed && divisorOf(rowIndex) % 8 == 0 && divisorOf(columnIndex) % 64 == 0 &&
                 (shape.grid.across == 1 || across % 64 == 0 || (llvm::isPowerOf2_64(across) && across < 64));
  if (!aligned)
    return [=](int64_t slab, int64_t half, int64_t group, int64_t e) -> Address {
      Value i = code.toI64(rowOf(shape, slab, half)), j = code.toI64(columnOf(shape, group, e));
      if (transposed)
        std::swap(i, j);
      return {elementAddress(view, code.add(row, i), code.add(column, j)), 0};
    };
  // Rows of 128 bytes; the row of a lane modulo 8 is `laneRow`, whatever slab and half. Where a panel is divided among
  // warps, their part of the piece's number goes to the row's side of the exchange.
  Value rowBytes = code.mul(code.add(code.toI32(row), rowOf(shape, 0, 0)), 128);
  Value base = code.add(rowBytes, code.mul(laneColumn, 4)), exchanged = laneRow;
  Value firstPanel = code.divide(code.toI32(column), 64);
  if (shape.grid.across > 1 && across % 64 == 0)
    firstPanel = code.add(firstPanel, code.mul(warpAcross(shape.grid), across / 64));
  else if (shape.grid.across > 1) {
    Value start = code.mul(warpAcross(shape.grid), across);
    firstPanel = code.add(firstPanel, code.divide(start, 64));
    exchanged = code.exclusiveOr(laneRow, code.divide(code.modulo(start, 64), 8));
  }
  base = code.add(base, code.mul(firstPanel, 128 * view.imageRows));
  auto pieces = piecesFrom(code.advance(view.pointer, base, code.builder.getI8Type()), exchanged, /*global=*/true);
  int64_t panelBytes = 128 * view.imageRows;
  return [=](int64_t slab, int64_t half, int64_t group, int64_t e) -> Address {
    return {pieces(group % 8), (slab * down + half * 8) * 128 + group / 8 * panelBytes + e * 2};
  };
}

KernelLowering::AddressOf KernelLowering::addressesOf(const SharedTile &tile, const Distribution &shape, int64_t term) {
  int64_t across = shape.columnsOfWarp(), down = 16 * shape.grid.down, panelBytes = tile.panelBytes();
  bool simple =
      shape.oneColumn() || shape.grid.across == 1 || across % 64 == 0 || (llvm::isPowerOf2_64(across) && across < 64);
  if (!simple || shape.oneRow() || shape.oneColumn()) {
    SharedTile copy = tile;
    return [=](int64_t slab, int64_t half, int64_t group, int64_t) -> Address {
      Value row = rowOf(shape, slab, half), column = columnOf(shape, group, 0);
      return {code.add(pieceOffset(copy, row, code.divide(column, 8), term), code.mul(code.modulo(column, 8), 2)), 0};
    };
  }
  Value base = code.add(code.mul(rowOf(shape, 0, 0), 128), code.mul(laneColumn, 4)), exchanged = laneRow;
  if (shape.grid.across > 1) {
    Value start = code.mul(warpAcross(shape.grid), across);
    base = code.add(base, code.mul(code.divide(start, 64), panelBytes));
    if (across % 64 != 0)
      exchanged = code.exclusiveOr(laneRow, code.divide(code.modulo(start, 64), 8));
  }
  base = code.add(base, tile.offset + term * tile.termBytes());
  if (tile.slot)
    base = code.add(base, tile.slot);
  auto pieces = piecesFrom(base, exchanged, /*global=*/false);
  return [=](int64_t slab, int64_t half, int64_t group, int64_t) -> Address {
    return {pieces(group % 8), (slab * down + half * 8) * 128 + group / 8 * panelBytes};
  };
}

Fragment KernelLowering::loadElements(const Distribution &shape, Type stored, int64_t atOnce,
                                      const AddressOf &addressOf,
                                      llvm::function_ref<Value(int64_t, int64_t, int64_t, int64_t)> predicateOf) {
  bool real = isa<FloatType>(stored), half16 = Code::bytesOf(stored) == 2;
  Fragment to{shape, real ? code.f32() : stored, SmallVector<Value>(shape.registers())};
  auto widen = [&](Value word, bool high) {
    return stored.isBF16() ? code.unpackBrain(word, high) : code.unpackHalf(word, high);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half)
      for (int64_t group = 0; group < shape.groups(); group += std::max<int64_t>(atOnce / 2, 1))
        for (int64_t e = 0; e < shape.pairs(); e += atOnce) {
          auto [pointer, plus] = addressOf(slab, half, group, e);
          Value predicate = predicateOf(slab, half, group, e);
          if (atOnce == 1) {
            Value value = half16 ? widen(code.loadHalfWord(pointer, predicate, plus), false)
                                 : code.ofType(code.loadWords(pointer, 1, predicate, plus)[0], to.element);
            to.values[shape.at(slab, group, half, e)] = value;
            continue;
          }
          SmallVector<Value, 8> words;
          for (int64_t count = half16 ? atOnce / 2 : atOnce; int64_t(words.size()) < count;)
            llvm::append_range(words, code.loadWords(pointer, std::min<int64_t>(count, 4), predicate,
                                                     plus + int64_t(words.size()) * 4));
          for (int64_t n = 0; n < atOnce; ++n)
            to.values[shape.at(slab, group + n / 2, half, n % 2)] =
                half16 ? widen(words[n / 2], n % 2 == 1) : code.ofType(words[n], to.element);
        }
  return to;
}

Fragment KernelLowering::loadFragment(tile::LoadOp op) {
  if (isInBlocks(op))
    return loadBlocks(op);
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  Value row = i64Of(op.getRow());
  bool transposed = op.getTransposed();
  if (isPickedOut(op))
    return loadPickedOut(op);
  if (isPartOfRow(op))
    return loadPartOfRow(op);
  int64_t atOnce = transposed ? 1 : elementsAtOnce(view, shape, divisorOf(op.getColumn()));
  if (shape.sliding && !shape.oneRow() && atOnce > 2)
    return loadSliding(op);
  if (!transposed && goesByQuads(view, shape, op.getColumn()))
    return loadByQuads(op, shape);
  AddressOf addresses = addressesOf(view, shape, op.getRow(), op.getColumn(), transposed);
  // One predicate for a row of memory.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> rows;
  return loadElements(shape, view.stored, atOnce, addresses, [&](int64_t slab, int64_t half, int64_t group, int64_t e) {
    Value i = rowOf(shape, slab, half), j = columnOf(shape, group, e);
    auto key = transposed ? std::pair(group, e) : std::pair(slab, half);
    if (op.getLo() && !rows.count(key))
      rows[key] = within(code.add(row, code.toI64(transposed ? j : i)), op.getLo(), op.getHi());
    return code.both(rows.lookup(key), code.both(rowInside(shape, i), columnInside(shape, j)));
  });
}

void KernelLowering::lower(tile::LoadOp op) {
  seesStores(op.getMemory());
  if (isWord(op))
    return; // with the scalar
  if (standsInFragments(op.getMemory()))
    return bind(op.getResult(), loadInFragments(op));
  if (staged.contains(op.getResult()))
    awaitStaged(op);
  else if (streamed.contains(op.getResult()))
    loadStreamed(op);
  else if (wantedPieces.contains(op.getResult()))
    return; // read in pieces (Streamed.cpp)
  else if (isCopiedFirst(op)) {
    auto type = typeOf(op.getResult());
    SharedTile tile = allocateShared(type.getRows(), type.getColumns(), 1);
    // Four warps have the registers to pass them through, beside what else they load: 3 % of a prepared chunk.
    if ((wantedShared.contains(op.getResult()) || workers() > 128) && copiesAhead(op, tile))
      copyAhead(op, tile);
    else
      begunCopies.push_back(beginCopy(op, tile));
    sharedTiles[op.getResult()] = tile;
    readLater.insert(op.getResult());
    endCopiesBefore(op->getNextNode());
  } else if (!onlyShared.contains(op.getResult()))
    bind(op.getResult(), loadFragment(op));
}

bool KernelLowering::isCopiedFirst(tile::LoadOp op) {
  Value tile = op.getResult();
  Distribution shape = distributionOf(tile);
  bool brain = cast<tile::MemoryType>(op.getMemory().getType()).getElementType().isBF16();
  // A product reads it there; or so many ops do that registers are better used for what they make of it.
  bool isAsked = wantedShared.contains(tile)
                     ? !onlyShared.contains(tile)
                     : !staged.contains(tile) && !streamed.contains(tile) && shape.joined == 1 && !shape.sliding &&
                           shape.registers() >= kManyRegisters && tile.hasNUsesOrMore(kManyReaders);
  // A fragment that is made late, and kept, must not be made inside a branch that not every reader passes.
  auto canRead = [&](Operation *user) {
    Operation *own = user;
    while (own->getBlock() != op->getBlock() && isa<scf::IfOp>(own->getParentOp()))
      own = own->getParentOp();
    return own->getBlock() == op->getBlock() && (own == user || !wantedShared.contains(tile));
  };
  return brain && isAsked && canCopyToShared(op) && !shape.padsRows() && !shape.padsColumns() && !shape.oneRow() &&
         shape.columns % 64 == 0 && llvm::all_of(tile.getUsers(), canRead);
}

void KernelLowering::endCopiesBefore(Operation *next) {
  while (next && next->getNumRegions() == 0 && next->getNumResults() == 1 &&
         !isa<tile::TileType>(next->getResult(0).getType()))
    next = next->getNextNode(); // a scalar
  if (auto load = dyn_cast_or_null<tile::LoadOp>(next); load && isCopiedFirst(load))
    return; // both are on their way together
  for (const std::function<void()> &end : begunCopies)
    end();
  begunCopies.clear();
}

void KernelLowering::readCopied(Value tile) {
  if (wantedShared.contains(tile)) // else every reader reads it anew
    readLater.erase(tile);
  const SharedTile from = sharedOf(tile);
  shared.reads(from.offset, from.bytes());
  bind(tile, readShared(from, distributionOf(tile), /*transposed=*/false));
}

void KernelLowering::lower(tile::GatherOp op) {
  seesStores(op.getMemory());
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  Fragment rows = fragmentOf(op.getRows(), shape.grid);
  int64_t atOnce = elementsAtOnce(view, shape, divisorOf(op.getColumn()));
  Value column = code.add(i64Of(op.getColumn()), code.toI64(columnOf(shape, 0, 0)));
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> lines;
  auto addressOf = [&](int64_t slab, int64_t half, int64_t group, int64_t e) -> Address {
    Value &line = lines[{slab, half}];
    if (!line)
      line = elementAddress(view, code.toI64(rows.at(slab, 0, half, 0)), column);
    return {line, shape.columnAt(group, e) * Code::bytesOf(view.stored)};
  };
  bind(op.getResult(),
       loadElements(shape, view.stored, atOnce, addressOf, [&](int64_t slab, int64_t half, int64_t group, int64_t e) {
         return code.both(rowInside(shape, rowOf(shape, slab, half)), columnInside(shape, columnOf(shape, group, e)));
       }));
}

std::optional<int64_t> KernelLowering::storedPanels(tile::StoreOp op) {
  tile::PagesType pages = pagesOf(op.getMemory());
  auto type = typeOf(op.getValue());
  std::optional<int64_t> column = getConstantIntValue(op.getColumn());
  bool whole = pages && isImage(pages) && !op.getLo() && type.getRows() == pages.getTokens() &&
               type.getColumns() % 64 == 0 && getConstantIntValue(op.getRow()) == 0 && column && *column % 64 == 0;
  return whole ? std::optional(*column / 64 * pages.getTokens() * 128) : std::nullopt;
}

bool KernelLowering::isStoredAsImage(tile::StoreOp op) {
  const Distribution shape = distributionOf(op.getValue());
  tile::PagesType pages = pagesOf(op.getMemory());
  // Whole panels, from a row on at which the exchange of pieces begins again.
  bool panels = pages && isImage(pages) && !op.getLo() && divisorOf(op.getRow()) % 8 == 0 &&
                divisorOf(op.getColumn()) % 64 == 0 && shape.columns % 64 == 0;
  return panels && code.target.matrixStore && !shape.padsRows() && !shape.padsColumns() && shape.groups() % 2 == 0 &&
         shape.columnsOfWarp() % 64 == 0;
}

void KernelLowering::storeByMatrices(const Fragment &from, const SharedTile &to) {
  const Distribution &shape = from.shape;
  Value inMatrix = code.modulo(lane, 8), second = code.modulo(code.divide(lane, 8), 2), fourth = code.divide(lane, 16);
  Value firstPiece = code.mul(warpAcross(shape.grid), shape.columnsOfWarp() / 8);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); group += 2) {
      auto words = operandWords(from, slab, group, 0);
      Value row = code.add(code.add(code.mul(warpDown(shape.grid), 16), code.mul(second, 8)),
                           code.add(inMatrix, slab * 16 * shape.grid.down));
      Value piece = code.add(code.add(firstPiece, fourth), group);
      code.storeMatrices(words, pieceOffset(to, row, piece, 0), /*transposed=*/false);
    }
}

/// The fragment is stored to shared memory as it stands in the image, and copied from there in pieces of 16 bytes. A
/// warp has whole panels of its rows: it copies what it wrote.
void KernelLowering::storeImage(tile::StoreOp op) {
  View view = viewOf(op.getMemory());
  const Fragment from = fragmentOf(op.getValue());
  const Distribution &shape = from.shape;
  SharedTile tile = allocateShared(shape.rows, shape.columns, 1);
  shared.writes(tile.offset, tile.bytes());
  storeByMatrices(from, tile);
  code.warpBarrier();
  constexpr int64_t slabBytes = 16 * 128;
  int64_t panels = shape.columnsOfWarp() / 64, panelBytes = view.imageRows * 128; // of the page
  Value inPanel = code.add(code.mul(warpDown(shape.grid), slabBytes), code.mul(lane, 16));
  Value first =
      code.add(code.mul(code.divide(i64Of(op.getColumn()), 64), panelBytes), code.mul(i64Of(op.getRow()), 128));
  Value own = code.add(code.mul(warpAcross(shape.grid), panels * panelBytes), inPanel);
  Value to = code.advance(view.pointer, code.add(first, code.toI64(own)), code.builder.getI8Type());
  Value read = code.add(code.add(code.mul(warpAcross(shape.grid), panels * tile.panelBytes()), inPanel), tile.offset);
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t slab = 0; slab < shape.slabs(); ++slab)
      for (int64_t at = 0; at < slabBytes; at += 32 * 16) {
        int64_t down = slab * shape.grid.down * slabBytes + at;
        code.storeWords(code.loadShared(read, 4, panel * tile.panelBytes() + down), to, Value(),
                        panel * panelBytes + down);
      }
  shared.release(tile.offset);
}

bool KernelLowering::isStoredTurned(tile::StoreOp op) {
  auto turned = op.getValue().getDefiningOp<tile::TransposeOp>();
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  tile::PagesType pages = pagesOf(op.getMemory());
  if (!turned || !turned.getResult().hasOneUse() || turned->getBlock() != op->getBlock() ||
      !memory.getElementType().isBF16() || (pages && isImage(pages) && !storedPanels(op)) || !code.target.matrixStore)
    return false;
  Distribution from = distributionOf(turned.getSource());
  return !from.padsRows() && !from.padsColumns() && !from.oneRow() && !from.oneColumn() && from.groups() % 2 == 0 &&
         from.rows % 64 == 0 && memory.getColumns() % 8 == 0 && divisorOf(op.getColumn()) % 8 == 0;
}

/// A store of one register of a warp is then eight neighbours in each of four rows, whole sectors of memory, where a
/// turn through shared memory takes two accesses there for each element, and a barrier. Done where nothing else hides
/// that, as `goesByQuads`: blocks that share a multiprocessor hide it from each other, and have fewer registers (the
/// delta rule's scan would load two spilled words in each turn for the places it stores to at its end).
bool KernelLowering::isStoredAcross(tile::StoreOp op) {
  auto blocks = kernel->getAttrOfType<IntegerAttr>("tile.blocks");
  if (staged.empty() || (blocks && blocks.getInt() > 1) || standsInFragments(op.getMemory()))
    return false;
  auto turned = op.getValue().getDefiningOp<tile::TransposeOp>();
  if (!turned || !turned.getResult().hasOneUse() || turned->getBlock() != op->getBlock() || op.getLo() ||
      pagesOf(op.getMemory()) || !cast<tile::MemoryType>(op.getMemory().getType()).getElementType().isF32())
    return false;
  Distribution from = distributionOf(turned.getSource());
  return !from.oneRow() && !from.oneColumn() && !from.sliding && from.joined == 1;
}

/// The fragment is stored to shared memory transposed, as a bf16 operand would stand there, and copied from it in
/// pieces of 16 bytes.
void KernelLowering::storeTurned(tile::StoreOp op) {
  View view = viewOf(op.getMemory());
  const Fragment from = fragmentOf(op.getValue().getDefiningOp<tile::TransposeOp>().getSource());
  const Distribution &shape = from.shape;
  SharedTile tile = allocateShared(shape.columns, shape.rows, 1, staged.empty() ? 0 : sharedLimit());
  shared.writes(tile.offset, tile.bytes());
  // Matrix m of an instruction: rows `8 (m mod 2)` of the slab, columns of group `m div 2`; a lane gives the address of
  // one row of the turned matrix.
  Value inMatrix = code.modulo(lane, 8), second = code.modulo(code.divide(lane, 8), 2), fourth = code.divide(lane, 16);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); group += 2) {
      auto words = operandWords(from, slab, group, 0);
      Value row = code.add(code.add(code.mul(warpAcross(shape.grid), shape.columnsOfWarp()), inMatrix),
                           code.add(code.mul(fourth, 8), code.constant32(group * 8)));
      Value piece = code.add(code.add(code.mul(warpDown(shape.grid), 2), second), slab * 2 * shape.grid.down);
      code.storeMatrices(words, pieceOffset(tile, row, piece, 0), /*transposed=*/true);
    }
  shared.reads(tile.offset, tile.bytes());
  if (std::optional<int64_t> first = storedPanels(op)) {
    Value own = code.mul(thread, 16), to = code.advance(view.pointer, code.add(own, *first), code.builder.getI8Type());
    for (int64_t at = 0; at < tile.bytes(); at += workers() * 16) {
      Value exists =
          at + workers() * 16 > tile.bytes() ? code.lessThan(own, code.constant32(tile.bytes() - at)) : Value();
      Value read = exists ? code.mini(own, code.constant32(tile.bytes() - at - 16)) : own;
      code.storeWords(code.loadShared(code.add(read, tile.offset), 4, at), to, exists, at);
    }
    shared.release(tile.offset);
    return;
  }
  int64_t pieces = shape.rows / 8, total = shape.columns * pieces;
  Value row = i64Of(op.getRow()), column = i64Of(op.getColumn());
  for (int64_t first = 0; first < total; first += workers()) {
    Value number = code.add(thread, first);
    Value r, piece;
    if (llvm::isPowerOf2_64(pieces)) {
      r = code.divide(number, pieces), piece = code.modulo(number, pieces);
    } else {
      r = arith::DivUIOp::create(code.builder, code.loc, number, code.constant32(pieces));
      piece = arith::RemUIOp::create(code.builder, code.loc, number, code.constant32(pieces));
    }
    Value exists = first + workers() > total ? code.lessThan(number, code.constant32(total)) : Value();
    Value last = exists ? code.mini(r, code.constant32(shape.columns - 1)) : r;
    auto words = code.loadShared(pieceOffset(tile, last, piece, 0), 4);
    Value at = code.add(row, code.toI64(r));
    code.storeWords(words, elementAddress(view, at, code.add(column, code.toI64(code.mul(piece, 8)))),
                    code.both(exists, within(at, op.getLo(), op.getHi())));
  }
  shared.release(tile.offset);
}

void KernelLowering::noteStored(Value memory) {
  Value root = rootOf(memory);
  stored.insert(root);
  llvm::erase_if(slidingRows, [&](const auto &known) { return rootOf(known.first.front()) == root; });
}

void KernelLowering::lower(tile::StoreOp op) {
  awaitsLoads(op);
  noteStored(op.getMemory());
  if (inverses.contains(op.getValue()))
    return storeInverse(op);
  if (isStoredTurned(op))
    return storeTurned(op);
  if (isStoredAsImage(op))
    return storeImage(op);
  if (standsInFragments(op.getMemory()))
    return storeInFragments(op);
  View view = viewOf(op.getMemory());
  bool across = isStoredAcross(op);
  const Fragment from =
      fragmentOf(across ? op.getValue().getDefiningOp<tile::TransposeOp>().getSource() : op.getValue());
  const Distribution &shape = from.shape;
  if (across)
    return storeElements(from, view.stored, /*atOnce=*/1,
                         addressesOf(view, shape, op.getRow(), op.getColumn(), /*transposed=*/true),
                         [](int64_t, int64_t) { return Value(); });
  Value row = i64Of(op.getRow());
  if (goesByQuads(view, shape, op.getColumn()))
    return storeByQuads(op, from);
  storeElements(from, view.stored, elementsAtOnce(view, shape, divisorOf(op.getColumn())),
                addressesOf(view, shape, op.getRow(), op.getColumn(), /*transposed=*/false),
                [&](int64_t slab, int64_t half) {
                  return within(code.add(row, code.toI64(rowOf(shape, slab, half))), op.getLo(), op.getHi());
                });
}

void KernelLowering::lower(tile::ScatterOp op) {
  awaitsLoads(op.getMemory());
  noteStored(op.getMemory());
  View view = viewOf(op.getMemory());
  const Fragment from = fragmentOf(op.getValue());
  const Distribution &shape = from.shape;
  const Fragment rows = fragmentOf(op.getRows(), shape.grid);
  Value column = code.add(i64Of(op.getColumn()), code.toI64(columnOf(shape, 0, 0)));
  auto numberOf = [&](int64_t slab, int64_t half) { return rows.at(slab, 0, half, 0); };
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> lines;
  auto addressOf = [&](int64_t slab, int64_t half, int64_t group, int64_t e) -> Address {
    Value &line = lines[{slab, half}];
    if (!line)
      line = elementAddress(view, code.toI64(numberOf(slab, half)), column);
    return {line, shape.columnAt(group, e) * Code::bytesOf(view.stored)};
  };
  storeElements(from, view.stored, elementsAtOnce(view, shape, divisorOf(op.getColumn())), addressOf,
                [&](int64_t slab, int64_t half) { return code.lessThan(code.constant32(-1), numberOf(slab, half)); });
}

void KernelLowering::storeElements(const Fragment &from, Type stored, int64_t atOnce, const AddressOf &addressOf,
                                   llvm::function_ref<Value(int64_t, int64_t)> rowPredicate) {
  const Distribution &shape = from.shape;
  bool half16 = Code::bytesOf(stored) == 2;
  Value writer = isWriter(shape);
  auto pack = [&](Value low, Value high) {
    return stored.isBF16() ? code.packBrain(low, high) : code.packHalf(low, high);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      Value r = rowOf(shape, slab, half);
      Value predicate = code.both(code.both(writer, rowInside(shape, r)), rowPredicate(slab, half));
      for (int64_t group = 0; group < shape.groups(); group += std::max<int64_t>(atOnce / 2, 1))
        for (int64_t e = 0; e < shape.pairs(); e += atOnce) {
          auto [to, plus] = addressOf(slab, half, group, e);
          Value own = code.both(predicate, columnInside(shape, columnOf(shape, group, e)));
          Value first = from.at(slab, group, half, e);
          if (atOnce == 1 && half16) {
            code.storeHalfWord(pack(first, first), to, own, plus);
            continue;
          }
          SmallVector<Value, 8> words;
          for (int64_t n = 0; n < atOnce; n += half16 ? 2 : 1) {
            Value low = atOnce == 1 ? first : from.at(slab, group + n / 2, half, n % 2);
            words.push_back(half16 ? pack(low, from.at(slab, group + n / 2, half, 1)) : code.bitsOf(low));
          }
          for (size_t word = 0; word < words.size(); word += 4)
            code.storeWords(ArrayRef<Value>(words).slice(word, std::min<size_t>(words.size() - word, 4)), to, own,
                            plus + int64_t(word) * 4);
        }
    }
}
