// Kernels without an anchor, an item to a block of threads: no loops over rows, and tiles of a size that the registers
// of a block hold.
//
//   folded    an item is one row, seen as a matrix of the same elements: [1, 2048] as [16, 128]. For norms over all
//             channels of a token: every thread has a part of the row, and there are as many items as rows
//   blocks    an item is 16 rows of one head, or of a part of the channels where ops take each channel alone
#include "compiler/conversion/AttnToTile/Emitter.h"

using namespace mlir;
using namespace denim;

/// Rows of one item: a slab of the way in which threads hold tiles.
static constexpr int64_t kRowBlock = 16;
/// Channels of one item where they may be cut anywhere, and where a convolution keeps a tile for each of its taps.
static constexpr int64_t kColumnBlock = 256, kConvColumnBlock = 128;

void denim::forPieces(Emitter &e, ArrayRef<Piece> pieces, Value number, llvm::function_ref<void(const Window &)> body) {
  const Piece &piece = pieces[0];
  auto own = [&] {
    body({piece.first, piece.count > 1 ? e.mul(number, piece.width) : Value(), piece.width * piece.count, piece.width});
  };
  if (pieces.size() == 1)
    return own();
  Value inside = e.less(number, e.index(piece.count));
  e.branch(inside, own, [&] { forPieces(e, pieces.drop_front(), e.sub(number, e.index(piece.count)), body); });
}

namespace {

bool takesChannelsAlone(Operation *op) {
  return isReshape(op) || isa<model::AddOp, model::MulOp, model::SiluOp, model::SigmoidOp, model::SoftplusOp,
                              model::ExpOp, model::ScaleOp, model::EmbedOp, model::SelectOp, plan::YieldOp>(op);
}

/// Pieces of the result, cut further where its ops allow it.
SmallVector<Piece> smallPieces(plan::KernelOp kernel, Value result) {
  SmallVector<Piece> pieces = piecesOf(result);
  bool convolves = !kernel.getBlock()->getOps<attn::ShortConvOp>().empty();
  for (Operation &op : *kernel.getBlock())
    if (!takesChannelsAlone(&op) && !isa<attn::ShortConvOp, model::SplitOp, model::ConcatOp>(op))
      return pieces;
  if (convolves)
    for (Piece &piece : pieces)
      while (piece.width > kConvColumnBlock && piece.width % 2 == 0)
        piece.width /= 2, piece.count *= 2;
  if (pieces.size() > 1 || pieces[0].count > 1)
    return pieces;
  for (int64_t width = kColumnBlock; width >= 64; width -= 8)
    if (pieces[0].width > width && pieces[0].width % width == 0)
      return {{0, width, pieces[0].width / width}};
  return pieces;
}

/// A row as a matrix.
class FoldedRows {
public:
  FoldedRows(plan::KernelOp kernel, int64_t width, int64_t columns)
      : kernel(kernel), width(width), columns(columns),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), 1, 1)) {}

  /// Columns of the matrix; 0 where a kernel is not of this kind.
  static int64_t columnsFor(plan::KernelOp kernel, Value result) {
    auto type = cast<RankedTensorType>(result.getType());
    int64_t width = channelsOf(result);
    auto isRow = [&](Value v) {
      auto own = cast<RankedTensorType>(v.getType());
      return own.getRank() == 2 && own.isDynamicDim(0) && (own.getDimSize(1) == width || own.getDimSize(1) == 1);
    };
    bool norms = false;
    for (Operation &op : kernel.getBlock()->without_terminator()) {
      if (!isa<model::RmsNormOp, model::L2NormOp>(op) && !takesChannelsAlone(&op))
        return 0;
      if (isa<model::EmbedOp>(op) || !isRow(op.getResult(0)))
        return 0;
      for (Value operand : op.getOperands())
        if (auto own = cast<RankedTensorType>(operand.getType()); !own.isDynamicDim(0))
          if (own.getRank() != 1 || (own.getDimSize(0) != width && own.getDimSize(0) != 1))
            return 0;
      norms |= isa<model::RmsNormOp, model::L2NormOp>(op);
    }
    if (type.getRank() != 2 || !norms || width < 256)
      return 0;
    return width % 128 == 0 ? 128 : width % 64 == 0 ? 64 : 0;
  }

  tile::KernelOp write(SmallVectorImpl<unsigned> &extras) {
    Value result = kernel.getBlock()->getTerminator()->getOperand(0);
    Value tile = emit(result);
    if (!tile)
      return nullptr;
    Type element = cast<RankedTensorType>(result.getType()).getElementType();
    // The result once more, as a matrix: its memory is dense.
    BlockArgument memory = cast<BlockArgument>(e.resultMemory(0));
    memory.setType(tile::MemoryType::get(e.b.getContext(), columns, element));
    Value row = e.mul(e.item(), rows());
    tile::StoreOp::create(e.b, e.loc, tile, memory, row, e.index(0), Value(), Value());
    extras.append(e.extraOperands().begin(), e.extraOperands().end());
    return e.failed() ? nullptr : e.tileKernel;
  }

private:
  int64_t rows() const { return width / columns; }
  tile::TileType typeOf(Value v) { return channelsOf(v) == 1 ? e.tileType(1, 1) : e.tileType(rows(), columns); }

  /// Row `row` of an argument; parameters have one.
  Value load(Value argument, Value row) {
    auto type = cast<RankedTensorType>(argument.getType());
    if (type.getNumElements() == 1 || (type.getRank() == 2 && type.getDimSize(1) == 1))
      return e.load(e.memoryOf(argument), Rows{row ? row : e.index(0), 1, {}, {}}, e.index(0), 1);
    Value &view = views[argument];
    if (!view)
      view = e.viewOf(argument, columns);
    return e.load(view, Rows{row ? e.mul(row, rows()) : e.index(0), rows(), {}, {}}, e.index(0), columns);
  }

  Value emitNorm(Operation *op, Value weight, double eps, bool mean, bool zeroCentered) {
    Value x = emit(op->getOperand(0));
    if (!x)
      return {};
    Value squares = e.map(e.tileType(rows(), columns), x, [&](OpBuilder &b, ValueRange in) -> Value {
      return arith::MulFOp::create(b, e.loc, in[0], in[0]);
    });
    Value sum = e.reduce(tile::Combiner::add, e.reduce(tile::Combiner::add, squares, 1), 0);
    SmallVector<Value> inputs{x, sum};
    if (weight)
      inputs.push_back(load(weight, {}));
    return e.map(e.tileType(rows(), columns), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      return normalised(b, e.loc, in, mean ? width : 1, eps, zeroCentered);
    });
  }

  Value emit(Value value) {
    if (isa<BlockArgument>(value))
      return load(value, e.item());
    Operation *op = value.getDefiningOp();
    if (isReshape(op))
      return emit(op->getOperand(0));
    if (auto norm = dyn_cast<model::RmsNormOp>(op))
      return emitNorm(op, norm.getWeight(), norm.getEps().convertToDouble(), true, norm.getZeroCentered());
    if (auto norm = dyn_cast<model::L2NormOp>(op))
      return emitNorm(op, {}, norm.getEps().convertToDouble(), false, false);
    if (auto select = dyn_cast<model::SelectOp>(op)) {
      // The row is one of the stream's: its number stands in the list of outputs.
      auto i32 = tile::TileType::get(e.b.getContext(), 1, 1, e.b.getI32Type());
      Value n = tile::CountOp::create(e.b, e.loc, tile::CountKind::outputs);
      Value list = tile::RowsOp::create(e.b, e.loc, i32,
                                        tile::RowListAttr::get(e.b.getContext(), tile::RowList::outputs), e.item(), n);
      Value row = tile::ExtractOp::create(e.b, e.loc, e.b.getIndexType(), list, e.b.getI64IntegerAttr(0),
                                          e.b.getI64IntegerAttr(0));
      return load(withoutReshapes(select.getInput()), row);
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      bool isParameter = !cast<RankedTensorType>(operand.getType()).isDynamicDim(0);
      operands.push_back(isParameter ? load(operand, {}) : emit(operand));
      if (!operands.back())
        return {};
    }
    return e.map(typeOf(value), operands,
                 [&](OpBuilder &b, ValueRange in) -> Value { return elementwise(b, e.loc, op, in); });
  }

  plan::KernelOp kernel;
  int64_t width, columns;
  Emitter e;
  llvm::DenseMap<Value, Value> views;
};

} // namespace

tile::KernelOp denim::emitRowsOfBlock(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  if (int64_t columns = FoldedRows::columnsFor(kernel, result))
    return FoldedRows(kernel, channelsOf(result), columns).write(extras);

  SmallVector<Piece> pieces = smallPieces(kernel, result);
  int64_t parts = 0;
  for (const Piece &piece : pieces)
    parts += piece.count;
  auto convs = kernel.getBlock()->getOps<attn::ShortConvOp>();
  int64_t before = 0; // rows that convolutions read in front of their own
  for (attn::ShortConvOp conv : convs)
    before += conv.getTaps() - 1;
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), kRowBlock, parts));
  Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(parts));
  Value part = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(parts));
  Value lo = e.mul(block, kRowBlock);
  Value hi = e.min(e.add(lo, e.index(kRowBlock)), tile::CountOp::create(e.b, e.loc, rowKind(kernel)));
  // Rows behind the last are padding: computed and not stored. Those of another sequence are zero.
  auto write = [&](const Rows &read, const Rows &stored) {
    forPieces(e, pieces, part, [&](const Window &window) {
      for (const Emitter::Part &part : e.emitParts(result, read, window))
        e.store(part.tile, 0, stored, window.shifted(part.channel));
    });
  };
  if (convs.empty())
    write(Rows{lo, kRowBlock, {}, {}}, Rows{lo, kRowBlock, lo, hi});
  else
    // A convolution reads earlier rows of its own sequence.
    e.loop(e.index(0), tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences), 1, [&](Value s) {
      auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value first = e.max(lo, sequence.getBegin()), last = e.min(hi, sequence.getEnd());
      e.branch(e.less(first, last), [&] {
        auto writeOwn = [&](bool tails) {
          e.readsTails = tails;
          write(Rows{first, kRowBlock, sequence.getBegin(), sequence.getEnd()}, Rows{first, kRowBlock, first, last});
        };
        // What earlier steps left is looked at in the first rows only.
        e.branch(
            e.less(e.sub(first, sequence.getBegin()), e.index(before)), [&] { writeOwn(true); },
            [&] { writeOwn(false); });
      });
    });
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}
