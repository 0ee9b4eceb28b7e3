// Operands of products in shared memory: which tiles need to be there, and how they get there.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

bool KernelLowering::isPanels(tile::WindowOp op) {
  auto load = op.getSource().getDefiningOp<tile::LoadOp>();
  auto part = cast<tile::TileType>(op.getResult().getType()), all = cast<tile::TileType>(op.getSource().getType());
  return load && load->getBlock() == op->getBlock() && termsOf(load.getResult()) == 1 && op.getRow() == 0 &&
         op.getColumn() % 64 == 0 && part.getRows() == all.getRows() && part.getColumns() % 64 == 0 &&
         part.getRows() > 1 && llvm::all_of(op.getResult().getUses(), [&](OpOperand &use) {
           auto mma = dyn_cast<tile::MmaOp>(use.getOwner());
           return mma && mma->getBlock() == op->getBlock() && mma.getM() > 1 && mma.getRhs() == use.get() &&
                  mma.getLhs() != use.get() && mma.getAcc() != use.get();
         });
}

Value KernelLowering::heldFor(Value rhs) {
  auto window = rhs.getDefiningOp<tile::WindowOp>();
  return window && isPanels(window) ? window.getSource() : rhs;
}

void KernelLowering::findSharedOperands() {
  llvm::DenseMap<Value, int64_t> sharedUses;
  kernel.walk([&](tile::MmaOp op) {
    Form form = formOf(op);
    if (form != Form::warp && form != Form::group)
      return;
    if (!lhsInRegisters(op))
      ++sharedUses[op.getLhs()];
    ++sharedUses[heldFor(op.getRhs())];
  });
  for (auto &[value, uses] : sharedUses) {
    wantedShared.insert(value);
    auto load = value.getDefiningOp<tile::LoadOp>();
    if (load && int64_t(readersOf(value).size()) == uses && canCopyToShared(load))
      onlyShared.insert(value);
  }
}

/// Ops that read the tile, or some of its panels.
SmallVector<Operation *> KernelLowering::readersOf(Value value) {
  SmallVector<Operation *> readers;
  for (Operation *user : value.getUsers()) {
    auto window = dyn_cast<tile::WindowOp>(user);
    if (window && isPanels(window))
      llvm::append_range(readers, window->getUsers());
    else
      readers.push_back(user);
  }
  return readers;
}

void KernelLowering::findDying() {
  dyingAt.clear();
  // Behind the last op of its own block that uses it, at any depth.
  auto dies = [&](Value value, ArrayRef<Operation *> readers) {
    Operation *last = nullptr;
    for (Operation *reader : readers) {
      Operation *own = value.getParentBlock()->findAncestorOpInBlock(*reader);
      if (isHere(reader) && (!last || last->isBeforeInBlock(own)))
        last = own;
    }
    // Both teams wait for what is copied ahead, and both give it back.
    if (!last && staged.contains(value))
      last = value.getDefiningOp();
    if (last)
      dyingAt[last].push_back(value);
  };
  for (Value value : wantedShared)
    if (team != Team::ahead || !handed.contains(value)) // what is handed over is theirs who take it
      dies(value, readersOf(value));
  kernel.walk([&](tile::LoadOp op) {
    if (isCopiedFirst(op) && !wantedShared.contains(op.getResult()))
      dies(op.getResult(), llvm::to_vector(op.getResult().getUsers()));
  });
  for (auto &[op, values] : dyingAt) // the order of uses is not that of addresses: fix one
    llvm::sort(values, [&](Value a, Value b) {
      auto key = [](Value v) {
        return std::pair(v.getDefiningOp() ? 1 : 0, isa<BlockArgument>(v) ? cast<BlockArgument>(v).getArgNumber()
                                                                          : cast<OpResult>(v).getResultNumber());
      };
      if (a.getDefiningOp() && b.getDefiningOp() && a.getDefiningOp() != b.getDefiningOp())
        return a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp());
      return key(a) < key(b);
    });
}

void KernelLowering::releaseDead(Operation &op) {
  auto it = dyingAt.find(&op);
  if (it == dyingAt.end())
    return;
  for (Value value : it->second) {
    if (firstPages.contains(value)) // leaves with the second
      continue;
    auto tile = sharedTiles.find(value);
    if (staged.contains(value) || handed.contains(value))
      releaseStaged(value);
    else
      shared.release(tile->second.offset);
    sharedTiles.erase(tile);
    arrivalsOf.erase(value);
  }
}

/// bf16 memory holds nothing that rounding to bf16 would leave over.
int64_t KernelLowering::termsOf(Value tile) {
  auto load = heldFor(tile).getDefiningOp<tile::LoadOp>();
  bool brain = load && cast<tile::MemoryType>(load.getMemory().getType()).getElementType().isBF16();
  return precision == Precision::exact && !brain ? 3 : 1;
}

SharedTile KernelLowering::allocateShared(int64_t rows, int64_t columns, int64_t terms, int64_t limit) {
  SharedTile tile{0, {}, rows, columns, terms};
  tile.offset = shared.allocate(tile.bytes(), 1024, limit);
  return tile;
}

void KernelLowering::shareIfWanted(Value value) {
  if (team == Team::ahead && handed.contains(value))
    return handOver(value);
  if (!wantedShared.contains(value) || staged.contains(value) || readLater.contains(value))
    return;
  SharedTile tile = allocateShared(typeOf(value).getRows(), typeOf(value).getColumns(), termsOf(value));
  if (onlyShared.contains(value))
    copyToShared(value.getDefiningOp<tile::LoadOp>(), tile);
  else
    writeShared(fragmentOf(value), tile);
  sharedTiles[value] = tile;
}

Value KernelLowering::pieceOffset(const SharedTile &tile, Value row, Value piece, int64_t term) {
  Value swizzled = code.exclusiveOr(code.modulo(piece, 8), code.modulo(row, 8));
  Value offset = code.add(code.mul(row, 128), code.mul(swizzled, 16));
  if (tile.panels() > 1)
    offset = code.add(offset, code.mul(code.divide(piece, 8), tile.panelBytes()));
  if (tile.slot)
    offset = code.add(offset, tile.slot);
  return code.add(offset, tile.offset + term * tile.termBytes());
}

Value KernelLowering::packTerm(Value low, Value high, int64_t term) {
  for (; term > 0; --term) {
    Value rounded = code.packBrain(low, high);
    low = code.subf(low, code.unpackBrain(rounded, false));
    high = code.subf(high, code.unpackBrain(rounded, true));
  }
  return code.packBrain(low, high);
}

void KernelLowering::writeShared(const Fragment &from, const SharedTile &to) {
  const Distribution &shape = from.shape;
  shared.writes(to.offset, to.bytes(), /*operand=*/true);
  int64_t contracted = llvm::alignTo(shape.columns, 16), covered = shape.grid.across * shape.columnsOfWarp();
  if (shape.oneRow() || shape.oneColumn() || covered < contracted) {
    // The fragment has no element for some of the padding: make all of it zero first.
    int64_t words = to.bytes() / 4, step = workers() * 4;
    for (int64_t at = 0; at < words; at += step) {
      Value own = code.add(code.mul(thread, 4), at);
      Value zero = code.constant32(0);
      code.storeShared({zero, zero, zero, zero}, code.add(code.mul(own, 4), to.offset),
                       at + step <= words ? Value() : code.lessThan(own, code.constant32(words)));
    }
    shared.writes(to.offset, to.bytes(), /*operand=*/true);
  }
  Value writer = isWriter(shape);
  bool single = shape.oneColumn();
  SmallVector<AddressOf> addresses;
  for (int64_t term = 0; term < to.terms; ++term)
    addresses.push_back(addressesOf(to, shape, term));
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      Value row = rowOf(shape, slab, half);
      Value inside = rowInside(shape, row), stored = writer;
      if (!shape.oneRow() && shape.slabs() * shape.grid.down * 16 > to.paddedRows())
        stored = code.both(stored, code.lessThan(row, code.constant32(to.paddedRows())));
      for (int64_t group = 0; group < shape.groups(); ++group) {
        Value column = columnOf(shape, group, 0);
        Value pair[2];
        for (int64_t e = 0; e < 2; ++e) {
          Value value = single && e == 1 ? code.number(0) : from.at(slab, group, half, e);
          Value present = code.both(inside, columnInside(shape, columnOf(shape, group, e)));
          pair[e] = present ? code.select(present, value, code.number(0)) : value;
        }
        Value predicate = stored;
        if (covered > to.panels() * 64)
          predicate = code.both(predicate, code.lessThan(column, code.constant32(to.panels() * 64)));
        for (int64_t term = 0; term < to.terms; ++term) {
          auto [at, plus] = addresses[term](slab, half, group, 0);
          code.storeShared({packTerm(pair[0], pair[1], term)}, at, predicate, plus);
        }
      }
    }
}

bool KernelLowering::canCopyToShared(tile::LoadOp op) {
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  auto type = typeOf(op.getResult());
  Type stored = memory.getElementType();
  if (isInBlocks(op))
    return !op.getTransposed();
  return !op.getTransposed() && (stored.isBF16() || stored.isF32()) && type.getColumns() % 8 == 0 &&
         memory.getColumns() % 8 == 0 && divisorOf(op.getColumn()) % 8 == 0;
}

bool KernelLowering::copiesAhead(tile::LoadOp op, const SharedTile &to) {
  int64_t pieces = to.columns / 8;
  auto memory = cast<tile::MemoryType>(op.getMemory().getType());
  return memory.getElementType().isBF16() && viewOf(op.getMemory()).imageRows == 0 && to.rows == to.paddedRows() &&
         llvm::isPowerOf2_64(pieces) && workers() / pieces >= 8 && to.rows * pieces % workers() == 0;
}

void KernelLowering::copyAhead(tile::LoadOp op, const SharedTile &to) {
  View view = viewOf(op.getMemory());
  int64_t pieces = to.columns / 8, step = workers() / pieces;
  shared.copies(to.offset, to.bytes());
  Value row = code.divide(thread, pieces), piece = code.modulo(thread, pieces);
  Value firstRow = code.add(i64Of(op.getRow()), code.toI64(row));
  Value from = elementAddress(view, firstRow, code.add(i64Of(op.getColumn()), code.toI64(code.mul(piece, 8))));
  // Rows of this thread, counted from its first, that exist.
  Value low, high;
  if (op.getLo()) {
    low = code.toI32(code.sub(i64Of(op.getLo()), firstRow));
    high = code.toI32(code.sub(i64Of(op.getHi()), firstRow));
  }
  Value at = pieceOffset(to, row, piece, 0); // eight rows on, pieces are exchanged alike
  for (int64_t down = 0; down < to.rows; down += step) {
    Value exists;
    if (low)
      exists = code.both(code.lessThan(code.constant32(down), high), code.lessThan(low, code.constant32(down + 1)));
    code.copyPiece(at, down * 128, from, down * view.columns * 2, exists);
  }
}

std::function<void()> KernelLowering::beginCopy(tile::LoadOp op, const SharedTile &to) {
  View view = viewOf(op.getMemory());
  Type stored = view.stored;
  Value row = i64Of(op.getRow()), firstColumn = i64Of(op.getColumn());
  int64_t pieces = llvm::alignTo(to.columns, 16) / 8, total = to.paddedRows() * pieces;
  // All loads first: they are under way together.
  struct Piece {
    Value row, piece, exists;
    SmallVector<Value, 8> words;
    BlockPiece blocks;
  };
  bool inBlocks = isInBlocks(op);
  SmallVector<Piece> mine;
  for (int64_t first = 0; first < total; first += workers()) {
    Value number = code.add(thread, first), row32, piece;
    if (llvm::isPowerOf2_64(pieces)) {
      row32 = code.divide(number, pieces), piece = code.modulo(number, pieces);
    } else {
      Value count = code.constant32(pieces);
      row32 = arith::DivUIOp::create(code.builder, code.loc, number, count);
      piece = arith::RemUIOp::create(code.builder, code.loc, number, count);
    }
    Value exists = first + workers() <= total ? Value() : code.lessThan(number, code.constant32(total));
    Value predicate = exists;
    if (to.rows != to.paddedRows())
      predicate = code.both(predicate, code.lessThan(row32, code.constant32(to.rows)));
    if (pieces * 8 != to.columns)
      predicate = code.both(predicate, code.lessThan(piece, code.constant32(to.columns / 8)));
    Value at = code.add(row, code.toI64(row32));
    predicate = code.both(predicate, within(at, op.getLo(), op.getHi()));
    Piece loaded{row32, piece, exists, {}, {}};
    Value column = code.add(firstColumn, code.toI64(code.mul(piece, 8)));
    if (inBlocks) {
      loaded.blocks = loadBlockPiece(view, addressInBlocks(view, at, column), predicate);
      mine.push_back(std::move(loaded));
      continue;
    }
    Value from = elementAddress(view, at, column);
    llvm::append_range(loaded.words, code.loadWords(from, 4, predicate));
    if (stored.isF32())
      llvm::append_range(loaded.words, code.loadWords(code.advance(from, code.constant(4), stored), 4, predicate));
    mine.push_back(std::move(loaded));
  }
  return [this, to, stored, view, inBlocks, mine = std::move(mine)] {
    shared.writes(to.offset, to.bytes(), /*operand=*/true);
    for (const Piece &piece : mine) {
      SmallVector<Value> reals;
      if (inBlocks)
        reals = elementsOf(view, piece.blocks);
      else if (stored.isF32())
        for (Value word : piece.words)
          reals.push_back(code.realOf(word));
      for (int64_t term = 0; term < to.terms; ++term) {
        SmallVector<Value> words(piece.words.begin(), piece.words.end());
        if (!reals.empty()) {
          words.clear();
          for (int64_t i = 0; i < 8; i += 2)
            words.push_back(packTerm(reals[i], reals[i + 1], term));
        }
        code.storeShared(words, pieceOffset(to, piece.row, piece.piece, term), piece.exists);
      }
    }
  };
}
