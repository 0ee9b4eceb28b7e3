// Kernels without an anchor, an item to a block of threads: no loops over rows, and tiles of a size that the registers
// of a block hold.
//
//   folded    an item is one row, seen as a matrix of the same elements: [1, 2048] as [16, 128]. For norms over all
//             channels of a token: every thread has a part of the row, and there are as many items as rows
//   blocks    an item is 16 rows of one head, or of a part of the channels where ops take each channel alone; more rows
//             of few channels where a convolution reads its taps from rows that overlap, so that each thread has
//             neighbouring rows: how many is chosen
#include "compiler/conversion/AttnToTile/FoldedRow.h"
#include "compiler/tuning/Choices.h"

using namespace mlir;
using namespace denim;

/// Rows of one item: a slab of the way in which threads hold tiles.
static constexpr int64_t kRowBlock = 16;
/// Channels of one item where they may be cut anywhere, and where a convolution keeps a tile for each of its taps.
static constexpr int64_t kColumnBlock = 256, kConvColumnBlock = 128;
/// Pieces of 16 bytes of bf16 for the four lanes of a row: convolutions whose channels are whole such pieces slide.
static constexpr int64_t kSlidingColumns = 32;

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

/// Rows that convolutions read in front of their own.
int64_t rowsInFront(plan::KernelOp kernel) {
  int64_t before = 0;
  for (attn::ShortConvOp conv : kernel.getBlock()->getOps<attn::ShortConvOp>())
    before += conv.getTaps() - 1;
  return before;
}

/// An item of a convolution that slides, and how many of them a multiprocessor should hold.
struct Sliding {
  int64_t rows = 0, columns = 0, blocks = 0;
};

FailureOr<Sliding> chooseSliding(plan::KernelOp kernel, ArrayRef<Piece> pieces) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  int64_t taps = rowsInFront(kernel) + 1;
  std::string shape = tuning::shapeText({{"taps", taps}});
  // With six blocks what is under way hides the latency of memory; more would only have fewer registers.
  const SmallVector<int64_t> allRows{64, 128, 256}, allBlocks{1, 2, 3, 4, 5, 6};
  auto least = [](ArrayRef<int64_t> candidates, llvm::function_ref<double(int64_t)> time) {
    double best = time(candidates.front());
    for (int64_t candidate : candidates.drop_front())
      best = std::min(best, time(candidate));
    return best;
  };
  auto ofRows = [&](int64_t rows, int64_t columns) {
    return least(allBlocks, [&](int64_t blocks) { return tuning::shortConv(*target, taps, rows, columns, blocks); });
  };
  Sliding answer;
  tuning::Question columns{"short_conv.columns", shape, {}, [&](int64_t columns) {
                             return least(allRows, [&](int64_t rows) { return ofRows(rows, columns); });
                           }};
  for (int64_t width : {kSlidingColumns, 2 * kSlidingColumns})
    if (llvm::all_of(pieces, [&](const Piece &piece) { return piece.width % width == 0; }))
      columns.candidates.push_back(width);
  tuning::Question rows{"short_conv.rows", shape, allRows, [&](int64_t rows) { return ofRows(rows, answer.columns); }};
  tuning::Question blocks{"short_conv.blocks", shape, allBlocks, [&](int64_t blocks) {
                            return tuning::shortConv(*target, taps, answer.rows, answer.columns, blocks);
                          }};
  const std::pair<tuning::Question *, int64_t *> questions[] = {
      {&columns, &answer.columns}, {&rows, &answer.rows}, {&blocks, &answer.blocks}};
  for (auto [question, value] : questions) {
    FailureOr<int64_t> chosen = tuning::choose(kernel, *question);
    if (failed(chosen))
      return failure();
    *value = *chosen;
  }
  return answer;
}

/// Pieces of the result, cut further where its ops allow it. `sliding`: of a convolution that slides, else as it was.
FailureOr<SmallVector<Piece>> smallPieces(plan::KernelOp kernel, Value result, std::optional<Sliding> &sliding) {
  SmallVector<Piece> pieces = piecesOf(result);
  bool convolves = !kernel.getBlock()->getOps<attn::ShortConvOp>().empty();
  for (Operation &op : *kernel.getBlock())
    if (!takesChannelsAlone(&op) && !isa<attn::ShortConvOp, model::SplitOp, model::ConcatOp>(op))
      return pieces;
  if (convolves && llvm::all_of(pieces, [](const Piece &piece) { return piece.width % kSlidingColumns == 0; })) {
    FailureOr<Sliding> chosen = chooseSliding(kernel, pieces);
    if (failed(chosen))
      return failure();
    sliding = *chosen;
  }
  for (Piece &piece : pieces)
    if (sliding)
      piece.count *= piece.width / sliding->columns, piece.width = sliding->columns;
    else
      while (convolves && piece.width > kConvColumnBlock && piece.width % 2 == 0)
        piece.width /= 2, piece.count *= 2;
  if (pieces.size() > 1 || pieces[0].count > 1)
    return pieces;
  for (int64_t width = kColumnBlock; width >= 64; width -= 8)
    if (pieces[0].width > width && pieces[0].width % width == 0)
      return SmallVector<Piece>{{0, width, pieces[0].width / width}};
  return pieces;
}

/// A kernel that norms over all channels of a token, as the matrix of each row. Columns of it; 0: of another kind.
int64_t columnsOfFoldedRows(plan::KernelOp kernel, Value result) {
  auto norms = [](Operation &op) { return isa<model::RmsNormOp, model::L2NormOp>(op); };
  int64_t width = channelsOf(result);
  auto isRow = [&](Operation &op) {
    auto type = dyn_cast<RankedTensorType>(op.getResult(0).getType());
    return type && type.getRank() == 2 && type.isDynamicDim(0) && (channelsOf(op.getResult(0)) == width);
  };
  if (width < 256 || llvm::none_of(*kernel.getBlock(), norms) ||
      !llvm::all_of(kernel.getBlock()->without_terminator(), isRow))
    return 0;
  return foldedColumns(result, llvm::IsaPred<BlockArgument>);
}

/// What is read of parameters does not depend on the kernel before, nor on the sum of a norm: it is asked for first.
void loadParametersFirst(tile::KernelOp kernel) {
  auto constants = kernel->getAttrOfType<DenseI64ArrayAttr>("tile.constants");
  if (!constants)
    return;
  Block &block = *kernel.getBlock();
  SmallVector<tile::LoadOp> loads;
  for (auto load : block.getOps<tile::LoadOp>()) {
    auto memory = dyn_cast<BlockArgument>(load.getMemory());
    bool known = llvm::all_of(load->getOperands().drop_front(), [](Value v) { return getConstantIntValue(v); });
    if (memory && known && llvm::is_contained(constants.asArrayRef(), memory.getArgNumber()))
      loads.push_back(load);
  }
  for (tile::LoadOp load : llvm::reverse(loads)) {
    load->moveBefore(&block.front());
    for (Value place : load->getOperands().drop_front())
      place.getDefiningOp()->moveBefore(&block.front());
  }
}

tile::KernelOp writeFoldedRows(plan::KernelOp kernel, int64_t columns, SmallVectorImpl<unsigned> &extras) {
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), 1, 1));
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  Value tile = FoldedRow(e, e.item(), columns).emit(result);
  if (!tile)
    return nullptr;
  // The result once more, as a matrix: its memory is dense.
  BlockArgument memory = cast<BlockArgument>(e.resultMemory(0));
  memory.setType(
      tile::MemoryType::get(e.b.getContext(), columns, cast<RankedTensorType>(result.getType()).getElementType()));
  Value row = e.mul(e.item(), channelsOf(result) / columns);
  tile::StoreOp::create(e.b, e.loc, tile, memory, row, e.index(0), Value(), Value());
  loadParametersFirst(e.tileKernel);
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}

} // namespace

tile::KernelOp denim::emitRowsOfBlock(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  if (int64_t columns = columnsOfFoldedRows(kernel, result))
    return writeFoldedRows(kernel, columns, extras);

  std::optional<Sliding> sliding;
  FailureOr<SmallVector<Piece>> small = smallPieces(kernel, result, sliding);
  if (failed(small))
    return nullptr;
  ArrayRef<Piece> pieces = *small;
  int64_t rowBlock = sliding ? sliding->rows : kRowBlock;
  int64_t parts = 0;
  for (const Piece &piece : pieces)
    parts += piece.count;
  auto convs = kernel.getBlock()->getOps<attn::ShortConvOp>();
  int64_t before = rowsInFront(kernel);
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), rowBlock, parts));
  if (sliding)
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(sliding->blocks));
  Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(parts));
  Value part = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(parts));
  Value lo = e.mul(block, rowBlock);
  Value hi = e.min(e.add(lo, e.index(rowBlock)), tile::CountOp::create(e.b, e.loc, rowKind(kernel)));
  // Rows behind the last are padding: computed and not stored. Those of another sequence are zero.
  auto write = [&](const Rows &read, const Rows &stored) {
    forPieces(e, pieces, part, [&](const Window &window) {
      for (const Emitter::Part &part : e.emitParts(result, read, window))
        e.store(part.tile, 0, stored, window.shifted(part.channel));
    });
  };
  if (convs.empty())
    write(Rows{lo, rowBlock, {}, {}}, Rows{lo, rowBlock, lo, hi});
  else
    // A convolution reads earlier rows of its own sequence.
    e.loop(e.index(0), tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences), 1, [&](Value s) {
      auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value first = e.max(lo, sequence.getBegin()), last = e.min(hi, sequence.getEnd());
      e.branch(e.less(first, last), [&] {
        auto writeOwn = [&](bool tails) {
          e.readsTails = tails;
          write(Rows{first, rowBlock, sequence.getBegin(), sequence.getEnd()}, Rows{first, rowBlock, first, last});
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
