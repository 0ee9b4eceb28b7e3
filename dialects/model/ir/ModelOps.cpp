// What acts on each token alone: result types, their refusals, costs.
#include "dialects/model/ir/ModelSyntax.h"

using namespace mlir;
using namespace denim::model;
using denim::parseNumber;
using denim::parseOptionalValue;
using denim::parseValue;
using denim::parseValues;
using denim::printNumber;
using denim::printOptionalValue;
using denim::printValue;
using denim::printValues;

#define GET_OP_CLASSES
#include "dialects/model/ir/ModelOps.cpp.inc"

using Types = SmallVectorImpl<Type>;
using MaybeLoc = std::optional<Location>;

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// An activation of the same tokens with other channels.
static RankedTensorType withChannels(RankedTensorType like, ArrayRef<int64_t> channels) {
  SmallVector<int64_t> shape{like.getDimSize(0)};
  shape.append(channels.begin(), channels.end());
  return RankedTensorType::get(shape, Float32Type::get(like.getContext()));
}

/// Channels of one token.
static int64_t channelsOf(RankedTensorType type) {
  int64_t n = 1;
  for (int64_t extent : type.getShape().drop_front())
    n *= extent;
  return n;
}

/// `what` is an activation: [T, N] or [T, H, D], all but T static.
static LogicalResult expectActivation(MaybeLoc loc, RankedTensorType type, StringRef what) {
  if (type.getRank() < 2 || type.getRank() > 3 || llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic))
    return emitOptionalError(loc, "expected ", what, " of shape [T, N] or [T, H, D], but got ", type);
  return success();
}

static LogicalResult expectShape(MaybeLoc loc, RankedTensorType type, ArrayRef<int64_t> shape, StringRef what) {
  if (type.getShape() == shape)
    return success();
  return emitOptionalError(loc, "expected ", what, " of shape ", RankedTensorType::get(shape, type.getElementType()),
                           ", but got ", type);
}

LogicalResult EmbedOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto ids = tensorOf(adaptor.getIds()), table = tensorOf(adaptor.getTable());
  if (ids.getRank() != 1 || !ids.getElementType().isInteger(32))
    return emitOptionalError(loc, "expected token ids of type tensor<?xi32>, but got ", ids);
  if (table.getRank() != 2 || !table.hasStaticShape())
    return emitOptionalError(loc, "expected a table of shape [vocabulary, hidden], but got ", table);
  results.push_back(withChannels(ids, table.getDimSize(1)));
  return success();
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput()), weight = tensorOf(adaptor.getWeight());
  if (failed(expectActivation(loc, input, "an input")))
    return failure();
  if (weight.getRank() != 2 || !weight.hasStaticShape())
    return emitOptionalError(loc, "expected a weight of shape [N, K], but got ", weight);
  if (weight.getDimSize(1) != channelsOf(input))
    return emitOptionalError(loc, "expected a weight with ", channelsOf(input), " columns for the input ", input,
                             ", but got ", weight);
  if (Value bias = adaptor.getBias())
    if (failed(expectShape(loc, tensorOf(bias), weight.getDimSize(0), "a bias")))
      return failure();
  results.push_back(withChannels(input, weight.getDimSize(0)));
  return success();
}

denim::Cost LinearOp::getCostPerToken(int64_t) {
  auto weight = tensorOf(getWeight());
  return {2.0 * weight.getNumElements(), 0};
}

LogicalResult RmsNormOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput()), weight = tensorOf(adaptor.getWeight());
  if (failed(expectActivation(loc, input, "an input")) ||
      failed(expectShape(loc, weight, input.getShape().back(), "a weight")))
    return failure();
  results.push_back(input);
  return success();
}

/// One activation in, the same shape out.
template <typename Adaptor> static LogicalResult inferSame(MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput());
  results.push_back(RankedTensorType::get(input.getShape(), Float32Type::get(input.getContext())));
  return success();
}
#define DENIM_INFER_SAME(Op)                                                                                           \
  LogicalResult Op::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {                   \
    return inferSame(loc, adaptor, results);                                                                           \
  }
DENIM_INFER_SAME(L2NormOp)
DENIM_INFER_SAME(SiluOp)
DENIM_INFER_SAME(SigmoidOp)
DENIM_INFER_SAME(SoftplusOp)
DENIM_INFER_SAME(ExpOp)
DENIM_INFER_SAME(ScaleOp)
DENIM_INFER_SAME(SelectOp)
#undef DENIM_INFER_SAME

/// Equal shapes, or the shorter is the tail of the longer, or they differ in a last axis of 1.
template <typename Adaptor> static LogicalResult inferBroadcast(MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto lhs = tensorOf(adaptor.getLhs()), rhs = tensorOf(adaptor.getRhs());
  bool lhsIsLonger =
      lhs.getRank() != rhs.getRank() ? lhs.getRank() > rhs.getRank() : rhs.getRank() < 2 || rhs.getShape().back() == 1;
  auto longer = lhsIsLonger ? lhs : rhs, shorter = lhsIsLonger ? rhs : lhs;
  bool isTail = longer.getShape().take_back(shorter.getRank()) == shorter.getShape();
  bool isColumn = longer.getRank() == shorter.getRank() && longer.getRank() >= 2 && shorter.getShape().back() == 1 &&
                  longer.getShape().drop_back() == shorter.getShape().drop_back();
  if (!isTail && !isColumn)
    return emitOptionalError(loc,
                             "expected operands of one shape, or one that is the tail of the other or has a last axis "
                             "of 1, but got ",
                             lhs, " and ", rhs);
  results.push_back(RankedTensorType::get(longer.getShape(), Float32Type::get(lhs.getContext())));
  return success();
}
LogicalResult AddOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  return inferBroadcast(loc, adaptor, results);
}
LogicalResult MulOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  return inferBroadcast(loc, adaptor, results);
}

/// Every result under a name of its own: `%q, %k, %v = split ...` where the location names the parts, as frontends
/// write it (fused, with an array of names), and `%0, %1, %2 = split ...` where it does not; never `%0:3`.
static void nameEachResult(Operation *op, OpAsmSetValueNameFn setName) {
  auto fused = dyn_cast<FusedLoc>(op->getLoc());
  auto names = fused ? dyn_cast_or_null<ArrayAttr>(fused.getMetadata()) : nullptr;
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    auto name = names && i < names.size() ? dyn_cast<StringAttr>(names[i]) : nullptr;
    setName(result, name ? name.getValue() : StringRef());
  }
}
void SplitOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  nameEachResult(*this, setName);
}
void RouteOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  nameEachResult(*this, setName);
}

LogicalResult HeadsOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput());
  if (failed(expectActivation(loc, input, "an input")))
    return failure();
  int64_t channels = channelsOf(input), count = adaptor.getCount();
  if (count < 1 || channels % count)
    return emitOptionalError(loc, "expected a count of heads that divides ", channels, " channels, but got ", count);
  results.push_back(withChannels(input, {count, channels / count}));
  return success();
}

LogicalResult FlattenOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput());
  if (failed(expectActivation(loc, input, "an input")))
    return failure();
  results.push_back(withChannels(input, channelsOf(input)));
  return success();
}

LogicalResult SplitOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput());
  if (failed(expectActivation(loc, input, "an input")))
    return failure();
  if (adaptor.getHeads().size() != adaptor.getWidths().size())
    return emitOptionalError(loc, "expected as many heads as widths, but got ", adaptor.getHeads().size(), " and ",
                             adaptor.getWidths().size());
  int64_t sum = 0;
  for (auto [heads, width] : llvm::zip(adaptor.getHeads(), adaptor.getWidths())) {
    if (width < 1 || heads < 0 || (heads && input.getRank() != 2))
      return emitOptionalError(loc, "expected parts of positive width, as heads only of an input [T, N], but got ",
                               heads, "x", width, " of ", input);
    sum += std::max<int64_t>(heads, 1) * width;
    SmallVector<int64_t> channels(input.getShape().drop_front().drop_back());
    if (heads)
      channels.push_back(heads);
    channels.push_back(width);
    results.push_back(withChannels(input, channels));
  }
  if (sum != input.getShape().back())
    return emitOptionalError(loc, "expected parts that fill ", input.getShape().back(), " channels, but got ", sum);
  return success();
}

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  if (adaptor.getInputs().empty())
    return emitOptionalError(loc, "expected at least one input, but got none");
  int64_t sum = 0;
  for (Value input : adaptor.getInputs()) {
    if (failed(expectActivation(loc, tensorOf(input), "an input")))
      return failure();
    sum += channelsOf(tensorOf(input));
  }
  results.push_back(withChannels(tensorOf(adaptor.getInputs().front()), sum));
  return success();
}

LogicalResult RouteOp::inferReturnTypes(MLIRContext *context, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto scores = tensorOf(adaptor.getScores());
  int64_t top = adaptor.getTop();
  if (top < 1)
    return emitOptionalError(loc, "expected to choose at least 1 expert, but got ", top);
  if (scores.getRank() != 2 || top > scores.getDimSize(1))
    return emitOptionalError(loc, "expected scores [T, E] of at least ", top, " experts, but got ", scores);
  auto weights = withChannels(scores, top);
  results.push_back(weights);
  results.push_back(RankedTensorType::get(weights.getShape(), IntegerType::get(context, 32)));
  return success();
}

LogicalResult ExpertsOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput()), gate = tensorOf(adaptor.getGate());
  auto weights = tensorOf(adaptor.getWeights()), experts = tensorOf(adaptor.getExperts());
  if (input.getRank() != 2 || gate.getRank() != 3)
    return emitOptionalError(loc, "expected an input [T, hidden] and a gate [E, I, hidden], but got ", input, " and ",
                             gate);
  int64_t count = gate.getDimSize(0), inner = gate.getDimSize(1), hidden = input.getDimSize(1);
  if (weights.getShape() != experts.getShape() || !experts.getElementType().isInteger(32))
    return emitOptionalError(loc, "expected one expert of i32 per weight, but got ", weights, " and ", experts);
  if (failed(expectShape(loc, gate, {count, inner, hidden}, "a gate")) ||
      failed(expectShape(loc, tensorOf(adaptor.getUp()), {count, inner, hidden}, "an up projection")) ||
      failed(expectShape(loc, tensorOf(adaptor.getDown()), {count, hidden, inner}, "a down projection")))
    return failure();
  results.push_back(input);
  return success();
}
