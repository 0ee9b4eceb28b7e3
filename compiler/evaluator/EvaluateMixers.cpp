#include "compiler/evaluator/EvaluateMixers.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/attn/reference/Convolution.h"
#include "dialects/attn/reference/DeltaRule.h"
#include "dialects/attn/reference/LatentAttention.h"
#include "dialects/attn/reference/Rotary.h"
#include "dialects/attn/reference/Softmax.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace denim;
using namespace denim::attn::reference;

namespace {

using Operands = llvm::function_ref<const Tensor &(Value)>;

std::optional<double> numberOf(std::optional<APFloat> value) {
  return value ? std::optional(value->convertToDouble()) : std::nullopt;
}

Tensor evaluate(attn::RotaryOp op, Operands in) {
  const Tensor &x = in(op.getInput());
  std::vector<int64_t> positions(size_t(x.dim(0)));
  std::iota(positions.begin(), positions.end(), 0);
  return rotate(x, positions, rotaryTable(op.getOver(), op.getTheta().convertToDouble()),
                op.getInterleaved() ? RotaryLayout::Interleaved : RotaryLayout::Half);
}

Tensor evaluate(attn::ShortConvOp op, Operands in) {
  const Tensor &x = in(op.getInput()), &weight = in(op.getWeight());
  return shortConvolution(x, weight.reshaped({x.dim(1), op.getTaps()}), op.getBias() ? in(op.getBias()) : Tensor(),
                          Tensor(), /*silu=*/false)
      .output;
}

Tensor evaluate(attn::LogDecayOp op, Operands in) {
  const Tensor &x = in(op.getInput()), &rate = in(op.getLogRate()), &bias = in(op.getBias());
  std::optional<double> bound = numberOf(op.getLowerBound());
  if (x.rank() == 3) {
    Tensor perChannel = bias.reshaped({x.dim(1), x.dim(2)});
    return bound ? boundedChannelGate(x, rate, perChannel, *bound) : channelGate(x, rate, perChannel);
  }
  if (!bound)
    return scalarGate(x, rate, bias);
  Tensor oneChannel =
      boundedChannelGate(x.reshaped({x.dim(0), x.dim(1), 1}), rate, bias.reshaped({x.dim(1), 1}), *bound);
  return oneChannel.reshaped(x.shape());
}

Tensor evaluate(attn::DeltaRuleOp op, Operands in) {
  DeltaRule rule;
  rule.q = in(op.getQuery()), rule.k = in(op.getKey()), rule.v = in(op.getValue());
  rule.beta = in(op.getBeta());
  if (op.getDecay())
    rule.logDecay = in(op.getDecay());
  rule.scale = numberOf(op.getScale());
  rule.l2Norm = false; // stands in the text where there is one
  return deltaRule(rule).output;
}

Tensor evaluate(attn::SoftmaxOp op, Operands in) {
  SoftmaxAttention attention;
  attention.q = in(op.getQuery()), attention.k = in(op.getKey()), attention.v = in(op.getValue());
  attention.scale = numberOf(op.getScale());
  attention.softcap = numberOf(op.getSoftcap());
  attn::VisibleKeys keys = op.getVisibleKeys();
  if (keys.window)
    attention.visible = slidingWindow(int64_t(*keys.window));
  else if (keys.blockSize)
    attention.visible = blockSparse(int64_t(*keys.blockSize), int64_t(*keys.localBlocks), 0);
  if (keys.global())
    attention.visible = [local = attention.visible, first = keys.global()](int64_t position, int64_t key) {
      return key < first || local(position, key);
    };
  if (op.getSinks())
    attention.sinks = in(op.getSinks());
  return softmaxAttention(attention);
}

Tensor evaluate(attn::LatentSoftmaxOp op, Operands in) {
  LatentAttention attention;
  attention.qNope = in(op.getQuery());
  attention.latent = in(op.getLatent());
  int64_t tokens = attention.qNope.dim(0), heads = attention.qNope.dim(1);
  bool positioned = bool(op.getQRope());
  attention.qRope = positioned ? in(op.getQRope()) : Tensor({tokens, heads, 0});
  attention.kRope = positioned ? in(op.getKRope()).reshaped({tokens, attention.qRope.dim(2)}) : Tensor({tokens, 0});
  const Tensor &kvB = in(op.getKvB());
  attention.keyValue = kvB.reshaped({heads, kvB.dim(0) / heads, kvB.dim(1)});
  attention.scale = numberOf(op.getScale());
  return latentAttentionNaive(attention);
}

//===--------------------------------------------------------------------------------------------------------------===//
// attn.recurrence: the region, for every token of every head
//===--------------------------------------------------------------------------------------------------------------===//

/// Inside a region: `[dk, dv]` states, `[D]` vectors, numbers as `[1]`.
template <typename Function> Tensor elementwise(const Tensor &a, const Tensor &b, Function function) {
  const Tensor &large = a.size() >= b.size() ? a : b;
  Tensor result(large.shape());
  for (int64_t i = 0; i < large.size(); ++i)
    result.values()[size_t(i)] = function(a.values()[size_t(i % a.size())], b.values()[size_t(i % b.size())]);
  return result;
}

class RegionEvaluator {
public:
  RegionEvaluator(attn::RecurrenceOp op, Operands in) : op(op), in(in) {}

  FailureOr<Tensor> run() {
    Block &block = *op.getBlock();
    auto stateType = op.getStateType(), resultType = cast<RankedTensorType>(op.getResult().getType());
    int64_t tokens = in(op.getInputs().front()).dim(0);
    for (Value input : op.getInputs())
      if (cast<RankedTensorType>(input.getType()).isDynamicDim(0))
        tokens = in(input).dim(0);
    Tensor result({tokens, op.getHeads(), resultType.getShape().back()});
    for (head = 0; head < op.getHeads(); ++head) {
      Tensor state({stateType.getDimSize(0), stateType.getDimSize(1)});
      for (int64_t t = 0; t < tokens; ++t) {
        values[block.getArgument(0)] = std::move(state);
        for (BlockArgument argument : block.getArguments().drop_front())
          values[argument] = shareOf(op.getInput(argument), t);
        for (Operation &step : block.without_terminator())
          if (failed(evaluate(step)))
            return failure();
        auto yield = cast<attn::YieldOp>(block.getTerminator());
        const Tensor &output = values[yield.getOutput()];
        std::copy_n(output.values().data(), output.size(), result.row(t, head));
        state = values[yield.getState()];
      }
    }
    return result;
  }

private:
  /// What the current head sees of an operand at a token.
  Tensor shareOf(Value input, int64_t t) {
    const Tensor &whole = in(input);
    bool perToken = cast<RankedTensorType>(input.getType()).isDynamicDim(0);
    int64_t heads = whole.dim(perToken ? 1 : 0), own = head * heads / op.getHeads();
    if (!perToken)
      return Tensor({1}, {whole(own)});
    if (whole.rank() == 2)
      return Tensor({1}, {whole(t, own)});
    return Tensor({whole.dim(2)}, {whole.row(t, own), whole.row(t, own) + whole.dim(2)});
  }

  LogicalResult evaluate(Operation &step) {
    auto give = [&](Tensor tensor) {
      values[step.getResult(0)] = std::move(tensor);
      return success();
    };
    return TypeSwitch<Operation *, LogicalResult>(&step)
        .Case([&](attn::DecayOp o) {
          Tensor state = values[o.getState()];
          Tensor g = o.getDecay() ? values[o.getDecay()] : Tensor({1}, {(*o.getRates())[size_t(head)]});
          for (int64_t i = 0; i < state.dim(0); ++i)
            for (int64_t j = 0; j < state.dim(1); ++j)
              state(i, j) *= std::exp(g(i % g.size()));
          return give(std::move(state));
        })
        .Case([&](attn::ReadOp o) {
          const Tensor &state = values[o.getState()], &key = values[o.getKey()];
          Tensor read({state.dim(1)});
          for (int64_t i = 0; i < state.dim(0); ++i)
            for (int64_t j = 0; j < state.dim(1); ++j)
              read(j) += state(i, j) * key(i);
          return give(std::move(read));
        })
        .Case([&](attn::WriteOp o) {
          Tensor state = values[o.getState()];
          const Tensor &key = values[o.getKey()], &value = values[o.getValue()];
          for (int64_t i = 0; i < state.dim(0); ++i)
            for (int64_t j = 0; j < state.dim(1); ++j)
              state(i, j) += key(i) * value(j);
          return give(std::move(state));
        })
        .Case([&](attn::AddOp o) {
          return give(elementwise(values[o.getLhs()], values[o.getRhs()], std::plus<double>()));
        })
        .Case([&](attn::SubOp o) {
          return give(elementwise(values[o.getLhs()], values[o.getRhs()], std::minus<double>()));
        })
        .Case([&](attn::MulOp o) {
          return give(elementwise(values[o.getLhs()], values[o.getRhs()], std::multiplies<double>()));
        })
        .Case([&](attn::ScaleOp o) { return give(scaled(values[o.getInput()], o.getFactor().convertToDouble())); })
        .Default([&](Operation *o) {
          return o->emitError() << "expected a step of a recurrence, but got '" << o->getName() << "'";
        });
  }

  attn::RecurrenceOp op;
  Operands in;
  DenseMap<Value, Tensor> values;
  int64_t head = 0;
};

} // namespace

FailureOr<Tensor> denim::evaluateMixer(Operation &op, Operands in) {
  auto stateful = dyn_cast<StatefulOpInterface>(op);
  bool cached = llvm::any_of(op.getOperandTypes(), llvm::IsaPred<attn::CacheType>);
  if (stateful && cached)
    return op.emitError() << "expected a mixer without a cache, as it stands in a page";
  return TypeSwitch<Operation *, FailureOr<Tensor>>(&op)
      .Case<attn::RotaryOp, attn::ShortConvOp, attn::LogDecayOp, attn::DeltaRuleOp, attn::SoftmaxOp,
            attn::LatentSoftmaxOp>([&](auto o) -> FailureOr<Tensor> { return evaluate(o, in); })
      .Case([&](attn::RecurrenceOp o) { return RegionEvaluator(o, in).run(); })
      .Default([&](Operation *o) -> FailureOr<Tensor> {
        return o->emitError() << "expected an op of a page, but got '" << o->getName() << "'";
      });
}
