#include "dialects/attn/ir/Attn.h"
#include "dialects/attn/ir/RecurrenceSyntax.h"
#include "dialects/interfaces/NumberSyntax.h"
#include "dialects/interfaces/ValueSyntax.h"
#include <cmath>

using namespace mlir;
using namespace denim;
using namespace denim::attn;

/// An operand that must be a cache, where `custom<Value>` reads one that must be a tensor. Checked here, before result
/// types are inferred from it.
static ParseResult parseCache(OpAsmParser &parser, OpAsmParser::UnresolvedOperand &operand, Type &type) {
  if (parser.parseOperand(operand) || !(type = typeOf(parser, operand)))
    return failure();
  if (!isa<CacheType>(type))
    return parser.emitError(operand.location) << "expected a cache, but got " << type;
  return success();
}
static ParseResult parseOptionalCache(OpAsmParser &parser, std::optional<OpAsmParser::UnresolvedOperand> &operand,
                                      Type &type) {
  return parseCache(parser, operand.emplace(), type);
}
static void printCache(OpAsmPrinter &printer, Operation *, Value cache, Type) {
  printer << cache;
}
static void printOptionalCache(OpAsmPrinter &printer, Operation *, Value cache, Type) {
  printer << cache;
}

#define GET_OP_CLASSES
#include "dialects/attn/ir/AttnOps.cpp.inc"

using Types = SmallVectorImpl<Type>;
using MaybeLoc = std::optional<Location>;

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// [T, extents...] of f32 for the tokens of `like`.
static RankedTensorType activation(RankedTensorType like, ArrayRef<int64_t> extents) {
  SmallVector<int64_t> shape{like.getDimSize(0)};
  shape.append(extents.begin(), extents.end());
  return RankedTensorType::get(shape, Float32Type::get(like.getContext()));
}

static LogicalResult expectHeads(MaybeLoc loc, RankedTensorType type, StringRef what) {
  if (type.getRank() != 3)
    return emitOptionalError(loc, "expected ", what, " of shape [T, H, D], but got ", type);
  return success();
}

static LogicalResult expectType(MaybeLoc loc, Value value, RankedTensorType expected, StringRef what) {
  if (tensorOf(value).getShape() == expected.getShape())
    return success();
  return emitOptionalError(loc, "expected ", what, " of type ", expected, ", but got ", value.getType());
}

static LogicalResult expectMultiple(MaybeLoc loc, int64_t heads, int64_t keyHeads, StringRef what) {
  if (keyHeads > 0 && heads % keyHeads == 0)
    return success();
  return emitOptionalError(loc, "expected a multiple of ", keyHeads, " key heads as ", what, ", but got ", heads);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Caches
//===--------------------------------------------------------------------------------------------------------------===//

LogicalResult AppendOp::verify() {
  auto cache = cast<CacheType>(getCache().getType());
  if (getInputs().empty())
    return emitOpError() << "expected an input to append, but got none";
  if (getInputs().size() == 1 && tensorOf(getInputs()[0]).getRank() == 3) {
    auto input = tensorOf(getInputs()[0]);
    if (cache.getKind() != Kind::paged || cache.getShape() != input.getShape().drop_front())
      return emitOpError() << "expected a paged cache of the rows of " << input << ", but got " << cache;
    return success();
  }
  int64_t columns = 0;
  for (Value input : getInputs()) {
    auto type = tensorOf(input);
    if (type.getRank() != 2 && (type.getRank() != 3 || type.getDimSize(1) != 1))
      return emitOpError() << "expected inputs of one head side by side, but got " << type;
    columns += type.getShape().back();
  }
  if (cache.getKind() != Kind::paged || cache.getShape() != ArrayRef<int64_t>({1, columns}))
    return emitOpError() << "expected a paged cache of 1 head of " << columns << " columns, but got " << cache;
  return success();
}

LogicalResult RememberOp::verify() {
  auto input = tensorOf(getInput());
  auto tail = cast<CacheType>(getTail().getType());
  if (tail.getKind() != Kind::tail || input.getRank() < 2 || tail.getShape()[1] != input.getShape().back())
    return emitOpError() << "expected a tail of rows of " << input << ", but got " << tail;
  return success();
}

/// Heads of a query over paged keys and values, of which the first `columns` columns are used when that is given.
static LogicalResult expectPaged(MaybeLoc loc, RankedTensorType query, Value keyCache, Value valueCache,
                                 std::optional<uint64_t> columns) {
  auto keys = cast<CacheType>(keyCache.getType()), values = cast<CacheType>(valueCache.getType());
  if (keys.getKind() != Kind::paged || values.getKind() != Kind::paged)
    return emitOptionalError(loc, "expected paged caches, but got ", keys, " and ", values);
  if (failed(expectHeads(loc, query, "a query")))
    return failure();
  if (columns && (int64_t(*columns) < 1 || int64_t(*columns) > values.getShape()[1]))
    return emitOptionalError(loc, "expected between 1 and ", values.getShape()[1], " columns of a value, but got ",
                             int64_t(*columns));
  return expectMultiple(loc, query.getDimSize(1), keys.getShape()[0], "heads of the query");
}

/// softmax_c4, softmax_c5, softmax_c6 of the three ops that say it.
template <typename Adaptor> static LogicalResult expectVisible(MaybeLoc loc, Adaptor adaptor) {
  auto isNotPositive = [](std::optional<uint64_t> number) { return number && static_cast<int64_t>(*number) < 1; };
  auto text = [](std::optional<uint64_t> number) { return std::to_string(static_cast<int64_t>(*number)); };
  if (isNotPositive(adaptor.getWindow()))
    return emitOptionalError(loc, "expected a positive window, but got ", text(adaptor.getWindow()));
  if (adaptor.getBlockSize().has_value() != adaptor.getLocalBlocks().has_value())
    return emitOptionalError(loc, "expected a size of blocks and a number of local ones, but got only one of them");
  if (isNotPositive(adaptor.getBlockSize()) || isNotPositive(adaptor.getLocalBlocks()))
    return emitOptionalError(loc, "expected blocks of at least 1 token and at least 1 local block, but got blocks ",
                             text(adaptor.getBlockSize()), " local ", text(adaptor.getLocalBlocks()));
  if (isNotPositive(adaptor.getGlobalTokens()))
    return emitOptionalError(loc, "expected a positive number of global tokens, but got ",
                             text(adaptor.getGlobalTokens()));
  // Positions are counted in 32 bits.
  constexpr uint64_t most = std::numeric_limits<int32_t>::max();
  uint64_t local = adaptor.getWindow().value_or(adaptor.getBlockSize().value_or(0));
  if (local > most || local * std::min(adaptor.getLocalBlocks().value_or(1), most) > most ||
      adaptor.getGlobalTokens().value_or(0) > most)
    return emitOptionalError(loc, "expected at most ", most,
                             " keys in a window, in local blocks, and of global tokens");
  if (adaptor.getWindow() && adaptor.getBlockSize())
    return emitOptionalError(loc, "expected a window or blocks, but got both");
  if (adaptor.getGlobalTokens() && !adaptor.getWindow() && !adaptor.getBlockSize())
    return emitOptionalError(loc,
                             "expected a window or blocks beside global tokens, but got none: all keys are visible");
  return success();
}

/// softmax_c7. Scores are scaled behind the mask and the maximum, where that saves a product for each.
static LogicalResult expectScale(MaybeLoc loc, std::optional<APFloat> scale, std::optional<APFloat> softcap) {
  for (auto [name, number] : {std::pair("scale", scale), std::pair("softcap", softcap)})
    if (number && !(number->convertToDouble() > 0 && number->isFinite()))
      return emitOptionalError(loc, "expected a positive ", name, ", but got ", number->convertToDouble());
  return success();
}

/// Rows that are key and value at once are merged and walked by kernels of their own.
static LogicalResult expectOwnValues(MaybeLoc loc, Value keys, Value values, bool hasSinks, bool hasGlobal) {
  if (keys == values && (hasSinks || hasGlobal))
    return emitOptionalError(loc, "expected neither sinks nor global tokens over rows that are key and value at once");
  return success();
}

static LogicalResult expectSinks(MaybeLoc loc, RankedTensorType query, Value sinks) {
  if (!sinks)
    return success();
  auto type = tensorOf(sinks);
  if (type.getRank() != 1 || type.getDimSize(0) != query.getDimSize(1))
    return emitOptionalError(loc, "expected sinks of shape [", query.getDimSize(1), "], one for each head, but got ",
                             type);
  return success();
}

static int64_t valueWidth(Value values, std::optional<uint64_t> columns) {
  return columns.value_or(cast<CacheType>(values.getType()).getShape()[1]);
}

LogicalResult AttendOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery());
  if (failed(expectPaged(loc, query, adaptor.getKeys(), adaptor.getValues(), adaptor.getColumns())) ||
      failed(expectVisible(loc, adaptor)) || failed(expectSinks(loc, query, adaptor.getSinks())) ||
      failed(expectScale(loc, adaptor.getScale(), adaptor.getSoftcap())) ||
      failed(expectOwnValues(loc, adaptor.getKeys(), adaptor.getValues(), bool(adaptor.getSinks()),
                             adaptor.getGlobalTokens().has_value())))
    return failure();
  int64_t heads = query.getDimSize(1), width = valueWidth(adaptor.getValues(), adaptor.getColumns());
  if (Value parts = adaptor.getParts()) {
    auto type = tensorOf(parts);
    if (type.getRank() != 3 || type.getDimSize(1) != heads || type.getDimSize(2) % (width + 2))
      return emitOptionalError(loc, "expected parts of ", heads, " heads and a multiple of ", width + 2,
                               " channels, but got ", type);
  }
  results.push_back(activation(query, {heads, width}));
  return success();
}

LogicalResult AttendPartOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery());
  if (failed(expectPaged(loc, query, adaptor.getKeys(), adaptor.getValues(), adaptor.getColumns())) ||
      failed(expectVisible(loc, adaptor)) || failed(expectScale(loc, adaptor.getScale(), adaptor.getSoftcap())) ||
      failed(expectOwnValues(loc, adaptor.getKeys(), adaptor.getValues(), /*hasSinks=*/false,
                             adaptor.getGlobalTokens().has_value())))
    return failure();
  int64_t width = valueWidth(adaptor.getValues(), adaptor.getColumns());
  results.push_back(activation(query, {query.getDimSize(1), int64_t(adaptor.getSplits()) * (width + 2)}));
  return success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Positions
//===--------------------------------------------------------------------------------------------------------------===//

LogicalResult RotaryOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput());
  if (failed(expectHeads(loc, input, "an input")))
    return failure();
  int64_t over = adaptor.getOver();
  if (over < 2 || over % 2 || over > input.getDimSize(2))
    return emitOptionalError(loc, "expected to rotate an even number of at most ", input.getDimSize(2),
                             " channels, but got ", over);
  if (!(adaptor.getTheta().convertToDouble() > 0))
    return emitOptionalError(loc, "expected a positive theta, but got ", adaptor.getThetaAttr());
  results.push_back(input);
  return success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Short convolution
//===--------------------------------------------------------------------------------------------------------------===//

LogicalResult ShortConvOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput()), weight = tensorOf(adaptor.getWeight());
  bool rank = weight.getRank() == 2 || (weight.getRank() == 3 && weight.getDimSize(1) == 1);
  if (input.getRank() != 2 || !rank || weight.getDimSize(0) != input.getDimSize(1))
    return emitOptionalError(loc, "expected an input [T, C] and a weight [C, K] or [C, 1, K], but got ", input, " and ",
                             weight);
  if (Value bias = adaptor.getBias(); bias && tensorOf(bias).getShape() != input.getShape().drop_front())
    return emitOptionalError(loc, "expected a bias of ", input.getDimSize(1), " channels, but got ", bias.getType());
  results.push_back(input);
  return success();
}

int64_t ShortConvOp::getIndependentHeads() {
  return tensorOf(getInput()).getDimSize(1);
}

SmallVector<CacheNeed> ShortConvOp::getCacheNeeds() {
  auto input = tensorOf(getInput());
  return {{"conv", CacheKind::Tail, {getTaps() - 1, input.getDimSize(1)}, input.getElementType()}};
}
MutableOperandRange ShortConvOp::getCachesMutable() {
  return getTailMutable();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Delta rule
//===--------------------------------------------------------------------------------------------------------------===//

LogicalResult LogDecayOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto input = tensorOf(adaptor.getInput());
  if (input.getRank() != 2 && input.getRank() != 3)
    return emitOptionalError(loc, "expected an input of shape [T, H] or [T, H, D], but got ", input);
  if (tensorOf(adaptor.getLogRate()).getShape() != input.getShape().slice(1, 1))
    return emitOptionalError(loc, "expected a rate of ", input.getDimSize(1), " heads, but got ",
                             adaptor.getLogRate().getType());
  auto bias = tensorOf(adaptor.getBias());
  int64_t channels = input.getDimSize(1) * (input.getRank() == 3 ? input.getDimSize(2) : 1);
  if (bias.getShape() != input.getShape().drop_front() && bias.getShape() != ArrayRef<int64_t>(channels))
    return emitOptionalError(loc, "expected a bias for each of ", channels, " channels, but got ", bias);
  if (adaptor.getLowerBound() && !(adaptor.getLowerBound()->convertToDouble() < 0))
    return emitOptionalError(loc, "expected a lower bound below 0, but got ", adaptor.getLowerBoundAttr());
  results.push_back(input);
  return success();
}

LogicalResult DeltaRuleOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery()), value = tensorOf(adaptor.getValue());
  // delta_rule_c1
  if (failed(expectHeads(loc, query, "a query")) || failed(expectType(loc, adaptor.getKey(), query, "a key")))
    return failure();
  // delta_rule_c2
  if (failed(expectHeads(loc, value, "a value")) ||
      failed(expectMultiple(loc, value.getDimSize(1), query.getDimSize(1), "heads of the value")))
    return failure();
  // delta_rule_c3, delta_rule_c4
  auto gate = activation(query, value.getDimSize(1));
  if (failed(expectType(loc, adaptor.getBeta(), gate, "beta")))
    return failure();
  if (Value decay = adaptor.getDecay()) {
    auto channels = activation(query, {value.getDimSize(1), query.getDimSize(2)});
    if (failed(expectType(loc, decay, tensorOf(decay).getRank() == 3 ? channels : gate, "a decay")))
      return failure();
  }
  results.push_back(value);
  return success();
}

int64_t DeltaRuleOp::getIndependentHeads() {
  return tensorOf(getValue()).getDimSize(1);
}

SmallVector<CacheNeed> DeltaRuleOp::getCacheNeeds() {
  auto query = tensorOf(getQuery()), value = tensorOf(getValue());
  return {{"state",
           CacheKind::State,
           {value.getDimSize(1), query.getDimSize(2), value.getDimSize(2)},
           Float32Type::get(getContext())}};
}
MutableOperandRange DeltaRuleOp::getCachesMutable() {
  return getStateMutable();
}

NormalForm DeltaRuleOp::getNormalForm() {
  auto query = tensorOf(getQuery()), value = tensorOf(getValue());
  NormalForm form;
  if (getDecay())
    form.decayKind = tensorOf(getDecay()).getRank() == 3 ? NormalForm::Decay::Channel : NormalForm::Decay::Scalar;
  form.decay = getDecay();
  form.p = {getKey(), {getBeta()}, -1, false};
  form.q = {getKey(), {}, 1, static_cast<bool>(getDecay())};
  form.k = {getKey(), {getBeta()}, 1, false};
  form.value = getValue();
  form.query = getQuery();
  form.keyHeads = query.getDimSize(1);
  form.valueHeads = value.getDimSize(1);
  form.keyDim = query.getDimSize(2);
  form.valueDim = value.getDimSize(2);
  form.readScale = getScale() ? getScale()->convertToDouble() : 1.0 / std::sqrt(double(form.keyDim));
  return form;
}

Cost DeltaRuleOp::getCostPerToken(int64_t) {
  auto query = tensorOf(getQuery()), value = tensorOf(getValue());
  double elements = double(value.getDimSize(1)) * query.getDimSize(2) * value.getDimSize(2);
  // decay, predict, write, read: spec/attention.md section 2
  return {7 * elements, 8 * elements};
}

//===--------------------------------------------------------------------------------------------------------------===//
// Softmax
//===--------------------------------------------------------------------------------------------------------------===//

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery()), key = tensorOf(adaptor.getKey()), value = tensorOf(adaptor.getValue());
  // softmax_c1, softmax_c2, softmax_c3
  if (failed(expectHeads(loc, query, "a query")) || failed(expectHeads(loc, key, "a key")) ||
      failed(expectHeads(loc, value, "a value")))
    return failure();
  if (failed(expectType(loc, adaptor.getKey(), activation(query, {key.getDimSize(1), query.getDimSize(2)}), "a key")) ||
      failed(expectType(loc, adaptor.getValue(), activation(query, {key.getDimSize(1), value.getDimSize(2)}),
                        "a value")) ||
      failed(expectMultiple(loc, query.getDimSize(1), key.getDimSize(1), "heads of the query")))
    return failure();
  // softmax_c4, softmax_c5, softmax_c6, softmax_c7
  if (failed(expectVisible(loc, adaptor)) || failed(expectSinks(loc, query, adaptor.getSinks())) ||
      failed(expectScale(loc, adaptor.getScale(), adaptor.getSoftcap())))
    return failure();
  results.push_back(activation(query, {query.getDimSize(1), value.getDimSize(2)}));
  return success();
}

int64_t SoftmaxOp::getIndependentHeads() {
  return tensorOf(getKey()).getDimSize(1);
}

SmallVector<CacheNeed> SoftmaxOp::getCacheNeeds() {
  auto key = tensorOf(getKey()), value = tensorOf(getValue());
  return {{"keys", CacheKind::Paged, {key.getDimSize(1), key.getDimSize(2)}, key.getElementType()},
          {"values", CacheKind::Paged, {value.getDimSize(1), value.getDimSize(2)}, value.getElementType()}};
}
MutableOperandRange SoftmaxOp::getCachesMutable() {
  auto [keys, count] = getODSOperandIndexAndLength(3);
  auto [values, valueCount] = getODSOperandIndexAndLength(4);
  return MutableOperandRange(*this, keys, count + valueCount);
}

Cost SoftmaxOp::getCostPerToken(int64_t context) {
  auto query = tensorOf(getQuery()), key = tensorOf(getKey()), value = tensorOf(getValue());
  double visible = getVisibleKeys().atMost(static_cast<double>(context));
  double dims = query.getDimSize(2) + value.getDimSize(2);
  return {2 * visible * query.getDimSize(1) * dims, visible * key.getDimSize(1) * dims * 4};
}

//===--------------------------------------------------------------------------------------------------------------===//
// Latent attention
//===--------------------------------------------------------------------------------------------------------------===//

/// Channels of a value head: what W_UK leaves of each head's rows.
static FailureOr<int64_t> latentValueWidth(MaybeLoc loc, RankedTensorType query, RankedTensorType kvB, int64_t rank) {
  int64_t heads = query.getDimSize(1), keyWidth = query.getDimSize(2);
  if (kvB.getRank() != 2 || kvB.getDimSize(1) != rank || kvB.getDimSize(0) % heads ||
      kvB.getDimSize(0) / heads <= keyWidth) {
    (void)emitOptionalError(loc, "expected kv_b of more than ", keyWidth, " rows for each of ", heads, " heads and ",
                            rank, " columns, but got ", kvB);
    return failure();
  }
  return kvB.getDimSize(0) / heads - keyWidth;
}

static LogicalResult expectRope(MaybeLoc loc, RankedTensorType query, Value rope) {
  auto type = tensorOf(rope);
  if (failed(expectHeads(loc, type, "q_rope")))
    return failure();
  return expectType(loc, rope, activation(query, {query.getDimSize(1), type.getDimSize(2)}), "q_rope");
}

LogicalResult AbsorbOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery()), kvB = tensorOf(adaptor.getKvB());
  if (failed(expectHeads(loc, query, "a query")) || failed(latentValueWidth(loc, query, kvB, kvB.getShape().back())))
    return failure();
  int64_t width = kvB.getDimSize(1);
  if (Value rope = adaptor.getQRope()) {
    if (failed(expectRope(loc, query, rope)))
      return failure();
    width += tensorOf(rope).getDimSize(2);
  }
  results.push_back(activation(query, {query.getDimSize(1), width}));
  return success();
}

LogicalResult AttendLatentOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery()), kvB = tensorOf(adaptor.getKvB());
  auto latents = cast<CacheType>(adaptor.getLatents().getType());
  if (failed(expectHeads(loc, query, "a query")))
    return failure();
  FailureOr<int64_t> width = latentValueWidth(loc, query, kvB, kvB.getShape().back());
  if (failed(width))
    return failure();
  int64_t rank = kvB.getDimSize(1), row = rank;
  if (Value rope = adaptor.getQRope()) {
    if (failed(expectRope(loc, query, rope)))
      return failure();
    row += tensorOf(rope).getDimSize(2);
  }
  if (latents.getKind() != Kind::paged || latents.getShape() != ArrayRef<int64_t>({1, row}))
    return emitOptionalError(loc, "expected paged latents of 1 head of ", row, " columns, but got ", latents);
  if (failed(expectType(loc, adaptor.getAbsorbed(), activation(query, {query.getDimSize(1), rank}), "latents")))
    return failure();
  results.push_back(activation(query, {query.getDimSize(1), *width}));
  return success();
}

LogicalResult LatentSoftmaxOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  auto query = tensorOf(adaptor.getQuery()), latent = tensorOf(adaptor.getLatent());
  // latent_softmax_c1
  if (failed(expectHeads(loc, query, "a query")))
    return failure();
  // latent_softmax_c2
  if (latent.getRank() != 2 || latent.getDimSize(0) != query.getDimSize(0))
    return emitOptionalError(loc, "expected a latent of shape [T, r], but got ", latent);
  // latent_softmax_c3
  FailureOr<int64_t> width = latentValueWidth(loc, query, tensorOf(adaptor.getKvB()), latent.getDimSize(1));
  if (failed(width))
    return failure();
  // latent_softmax_c4
  Value qRope = adaptor.getQRope(), kRope = adaptor.getKRope();
  if (!qRope != !kRope)
    return emitOptionalError(loc, "expected q_rope and k_rope, but got one of them");
  if (qRope && (failed(expectRope(loc, query, qRope)) ||
                failed(expectType(loc, kRope, activation(query, {1, tensorOf(qRope).getDimSize(2)}), "k_rope"))))
    return failure();
  results.push_back(activation(query, {query.getDimSize(1), *width}));
  return success();
}

int64_t LatentSoftmaxOp::getIndependentHeads() {
  return tensorOf(getQuery()).getDimSize(1);
}

SmallVector<CacheNeed> LatentSoftmaxOp::getCacheNeeds() {
  auto latent = tensorOf(getLatent());
  return {{"latents", CacheKind::Paged, {1, latent.getDimSize(1) + getRopeWidth()}, latent.getElementType()}};
}
MutableOperandRange LatentSoftmaxOp::getCachesMutable() {
  return getLatentsMutable();
}

Cost LatentSoftmaxOp::getCostPerToken(int64_t context) {
  double heads = tensorOf(getQuery()).getDimSize(1), rank = tensorOf(getLatent()).getDimSize(1);
  double width = tensorOf(getKvB()).getDimSize(0) / heads;
  // The absorbed form: queries and results of every head go through its weights once, whatever the context.
  return {2 * heads * (context * (2 * rank + getRopeWidth()) + rank * width), context * (rank + getRopeWidth()) * 4};
}
