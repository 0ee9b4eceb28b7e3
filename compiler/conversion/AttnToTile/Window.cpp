#include "compiler/conversion/AttnToTile/Window.h"
#include "dialects/attn/ir/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;

int64_t denim::channelsOf(Value value) {
  int64_t n = 1;
  for (int64_t extent : cast<RankedTensorType>(value.getType()).getShape().drop_front())
    n *= extent;
  return n;
}

int64_t denim::panelWidth(int64_t columns, int64_t limit, int64_t unit) {
  if (columns <= limit)
    return columns;
  for (int64_t width = limit; width > 0 && width >= limit / 2; width -= unit)
    if (columns % width == 0)
      return width;
  return limit;
}

Value denim::firstChannel(OpBuilder &b, Location loc, const Window &window) {
  if (!window.offset)
    return arith::ConstantIndexOp::create(b, loc, window.base);
  if (window.base == 0)
    return window.offset;
  return arith::AddIOp::create(b, loc, window.offset, arith::ConstantIndexOp::create(b, loc, window.base));
}

FailureOr<Window> denim::throughSplit(OpBuilder &b, Location loc, model::SplitOp split, unsigned part,
                                      const Window &window) {
  auto input = cast<RankedTensorType>(split.getInput().getType());
  int64_t first = 0;
  for (unsigned i = 0; i < part; ++i)
    first += std::max<int64_t>(split.getHeads()[i], 1) * split.getWidths()[i];
  int64_t groups = input.getRank() == 3 ? input.getDimSize(1) : 1;
  if (groups == 1)
    return window.shifted(first);

  // Each of the groups holds `width` channels of the part among `all` of its own.
  int64_t width = split.getWidths()[part], all = input.getDimSize(2);
  if (width % window.columns)
    return failure();
  Value channel = firstChannel(b, loc, window);
  auto constant = [&](int64_t n) -> Value { return arith::ConstantIndexOp::create(b, loc, n); };
  Value group = arith::DivUIOp::create(b, loc, channel, constant(width));
  Value within = arith::RemUIOp::create(b, loc, channel, constant(width));
  Value offset = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, group, constant(all)), within);
  return Window{first, offset, (groups - 1) * all + width, window.columns};
}

FailureOr<std::pair<Value, Window>> denim::throughConcat(model::ConcatOp concat, const Window &window) {
  int64_t first = 0;
  for (Value input : concat.getInputs()) {
    int64_t end = first + channelsOf(input);
    if (window.lies(first, end))
      return std::make_pair(input, window.shifted(-first));
    first = end;
  }
  return failure();
}

SmallVector<Piece> denim::piecesOf(Value value) {
  Operation *op = value.getDefiningOp();
  SmallVector<Piece> pieces;
  if (auto concat = dyn_cast_or_null<model::ConcatOp>(op)) {
    int64_t first = 0;
    for (Value input : concat.getInputs()) {
      for (Piece piece : piecesOf(input))
        pieces.push_back({first + piece.first, piece.width, piece.count});
      first += channelsOf(input);
    }
    return pieces;
  }
  auto type = cast<RankedTensorType>(value.getType());
  // Elementwise and reshaping ops, and convolutions of each channel, are cut where what they read is cut.
  if (isReshape(op) || isa_and_present<model::AddOp, model::MulOp, model::SiluOp, model::SigmoidOp, model::SoftplusOp,
                                       model::ExpOp, model::ScaleOp, attn::ShortConvOp>(op))
    for (Value operand : op->getOperands())
      if (auto own = dyn_cast<RankedTensorType>(operand.getType());
          own && own.isDynamicDim(0) && channelsOf(operand) == channelsOf(value))
        if (SmallVector<Piece> inner = piecesOf(operand); inner.size() > 1)
          return inner;
  if (type.getRank() == 3)
    return {{0, type.getDimSize(2), type.getDimSize(1)}};
  if (isReshape(op))
    return piecesOf(op->getOperand(0));
  return {{0, type.getDimSize(1), 1}};
}
