// The network and the ops of the model dialect. Mixers: EvaluateMixers.cpp.
#include "compiler/evaluator/Evaluator.h"
#include "compiler/evaluator/EvaluateMixers.h"
#include "dialects/model/ir/Model.h"
#include "dialects/model/reference/GatedLinearUnit.h"
#include "dialects/model/reference/MixtureOfExperts.h"
#include "dialects/model/reference/Norm.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace denim;
using attn::reference::Tensor;
namespace meaning = denim::model::reference;

namespace {

/// `[T, H, D]` as `[T, H*D]`.
Tensor asRows(const Tensor &x) {
  int64_t width = 1;
  for (int64_t axis = 1; axis < x.rank(); ++axis)
    width *= x.dim(axis);
  return x.reshaped({x.dim(0), width});
}

/// Element by element of what `model.add` and `model.mul` take (Model_Binary).
template <typename Function> Tensor broadcast(const Tensor &a, const Tensor &b, Function function) {
  bool aIsLarger = a.rank() > b.rank() || (a.rank() == b.rank() && a.size() >= b.size());
  const Tensor &large = aIsLarger ? a : b, &small = aIsLarger ? b : a;
  bool perChannel = small.shape().back() == large.shape().back();
  int64_t span = perChannel ? 1 : large.shape().back();
  Tensor result(large.shape());
  for (int64_t i = 0; i < large.size(); ++i) {
    double x = large.values()[size_t(i)], y = small.values()[size_t(i / span % small.size())];
    result.values()[size_t(i)] = aIsLarger ? function(x, y) : function(y, x);
  }
  return result;
}

class NetworkEvaluator {
public:
  NetworkEvaluator(ModuleOp module, const Parameters &parameters, ArrayRef<int32_t> tokens)
      : module(module), parameters(parameters), tokens(tokens) {}

  FailureOr<Tensor> run() {
    auto networks = llvm::to_vector(module.getOps<model::NetworkOp>());
    if (networks.size() != 1)
      return module.emitError() << "expected one model.network, but got " << networks.size();
    return run(*networks.front().getBlock(), {}, "");
  }

private:
  /// Values of one run of a block's ops.
  using Values = DenseMap<Value, Tensor>;

  /// What the terminator gives. A network has no input: its argument are the ids.
  FailureOr<Tensor> run(Block &block, Tensor input, StringRef prefix) {
    Values values;
    values[block.getArgument(0)] = std::move(input);
    for (Operation &op : block.without_terminator())
      if (failed(evaluate(op, values, prefix)))
        return failure();
    return values[block.getTerminator()->getOperand(0)];
  }

  LogicalResult evaluate(Operation &op, Values &values, StringRef prefix) {
    auto in = [&](Value value) -> const Tensor & { return values[value]; };
    auto give = [&](Value result, Tensor tensor) {
      values[result] = std::move(tensor);
      return success();
    };
    auto unary = [&](auto o, double (*function)(double)) {
      return give(o.getResult(), attn::reference::map(in(o.getInput()), function));
    };
    return TypeSwitch<Operation *, LogicalResult>(&op)
        .Case([&](model::ParamOp o) { return give(o.getResult(), parameter(o, prefix)); })
        .Case([&](model::LayersOp o) -> LogicalResult {
          Tensor x = in(o.getInput());
          for (auto [i, symbol] : llvm::enumerate(o.getLayers())) {
            auto block = module.lookupSymbol<model::BlockOp>(symbol);
            FailureOr<Tensor> next = run(*block.getBlock(), std::move(x), o.getLayerPrefix(int64_t(i)));
            if (failed(next))
              return failure();
            x = std::move(*next);
          }
          return give(o.getResult(), std::move(x));
        })
        .Case([&](model::EmbedOp o) {
          const Tensor &table = in(o.getTable());
          Tensor rows({int64_t(tokens.size()), table.dim(1)});
          for (auto [t, id] : llvm::enumerate(tokens))
            std::copy_n(table.row(int64_t(id)), table.dim(1), rows.row(int64_t(t)));
          return give(o.getResult(), std::move(rows));
        })
        .Case([&](model::LinearOp o) {
          return give(o.getResult(), meaning::linear(asRows(in(o.getInput())), in(o.getWeight()),
                                                     o.getBias() ? in(o.getBias()) : Tensor()));
        })
        .Case([&](model::RmsNormOp o) {
          double eps = o.getEps().convertToDouble();
          const Tensor &x = in(o.getInput()), &weight = in(o.getWeight());
          return give(o.getResult(), o.getZeroCentered() ? meaning::zeroCentredRmsNorm(x, weight, eps)
                                                         : meaning::rmsNorm(x, weight, eps));
        })
        .Case([&](model::L2NormOp o) {
          return give(o.getResult(), meaning::l2Norm(in(o.getInput()), o.getEps().convertToDouble()));
        })
        .Case([&](model::SiluOp o) { return unary(o, meaning::silu); })
        .Case([&](model::SigmoidOp o) { return unary(o, meaning::sigmoid); })
        .Case([&](model::SoftplusOp o) { return unary(o, meaning::softplus); })
        .Case([&](model::ExpOp o) { return unary(o, std::exp); })
        .Case([&](model::AddOp o) {
          return give(o.getResult(), broadcast(in(o.getLhs()), in(o.getRhs()), std::plus<double>()));
        })
        .Case([&](model::MulOp o) {
          return give(o.getResult(), broadcast(in(o.getLhs()), in(o.getRhs()), std::multiplies<double>()));
        })
        .Case([&](model::ScaleOp o) {
          return give(o.getResult(), attn::reference::scaled(in(o.getInput()), o.getFactor().convertToDouble()));
        })
        .Case([&](model::HeadsOp o) {
          Tensor rows = asRows(in(o.getInput()));
          auto count = int64_t(o.getCount());
          return give(o.getResult(), rows.reshaped({rows.dim(0), count, rows.dim(1) / count}));
        })
        .Case([&](model::FlattenOp o) { return give(o.getResult(), asRows(in(o.getInput()))); })
        .Case([&](model::SplitOp o) {
          const Tensor x = in(o.getInput());
          int64_t begin = 0;
          for (OpResult part : o.getParts()) {
            auto type = cast<RankedTensorType>(part.getType());
            bool heads = x.rank() == 2 && type.getRank() == 3;
            int64_t width = heads ? type.getDimSize(1) * type.getDimSize(2) : type.getShape().back();
            Tensor own = x.columns(begin, begin + width);
            begin += width;
            values[part] = heads ? own.reshaped({x.dim(0), type.getDimSize(1), type.getDimSize(2)}) : std::move(own);
          }
          return success();
        })
        .Case([&](model::ConcatOp o) {
          int64_t width = cast<RankedTensorType>(o.getResult().getType()).getDimSize(1);
          Tensor rows({int64_t(tokens.size()), width});
          int64_t begin = 0;
          for (Value input : o.getInputs()) {
            Tensor part = asRows(in(input));
            for (int64_t t = 0; t < part.dim(0); ++t)
              std::copy_n(part.row(t), part.dim(1), rows.row(t) + begin);
            begin += part.dim(1);
          }
          return give(o.getResult(), std::move(rows));
        })
        .Case([&](model::RouteOp o) {
          meaning::Router router;
          router.count = o.getTop();
          router.renormalise = o.getRenormalized();
          meaning::Routing routing = meaning::route(in(o.getScores()), router);
          Tensor weights({int64_t(tokens.size()), router.count}), experts = weights;
          for (int64_t t = 0; t < weights.dim(0); ++t)
            for (int64_t j = 0; j < router.count; ++j) {
              weights(t, j) = routing.weights[size_t(t)][size_t(j)];
              experts(t, j) = double(routing.experts[size_t(t)][size_t(j)]);
            }
          values[o.getExperts()] = std::move(experts);
          return give(o.getWeights(), std::move(weights));
        })
        .Case([&](model::ExpertsOp o) {
          const Tensor &weights = in(o.getWeights()), &experts = in(o.getExperts());
          meaning::Routing routing;
          for (int64_t t = 0; t < weights.dim(0); ++t) {
            routing.weights.emplace_back(weights.row(t), weights.row(t) + weights.dim(1));
            routing.experts.emplace_back(experts.row(t), experts.row(t) + experts.dim(1));
          }
          auto expert = meaning::swigluExperts(in(o.getGate()), in(o.getUp()), in(o.getDown()));
          return give(o.getResult(), meaning::mixtureOfExperts(in(o.getInput()), routing, expert));
        })
        .Default([&](Operation *o) -> LogicalResult {
          FailureOr<Tensor> result = evaluateMixer(*o, [&](Value value) -> const Tensor & { return values[value]; });
          if (failed(result))
            return failure();
          return give(o->getResult(0), std::move(*result));
        });
  }

  Tensor parameter(model::ParamOp param, StringRef prefix) {
    std::string name = (prefix + param.getName()).str();
    if (!param.isStack())
      return parameters.at(name);
    Tensor stack;
    auto [before, behind] = StringRef(name).split("{e}");
    for (int64_t e = 0; e < param.getType().getDimSize(0); ++e) {
      const Tensor &one = parameters.at((before + Twine(e) + behind).str());
      Tensor::Shape shape = one.shape();
      shape.insert(shape.begin(), 1);
      stack = e ? attn::reference::concatenate(stack, one.reshaped(shape)) : one.reshaped(shape);
    }
    return stack;
  }

  ModuleOp module;
  const Parameters &parameters;
  ArrayRef<int32_t> tokens;
};

} // namespace

FailureOr<Tensor> denim::evaluateNetwork(ModuleOp module, const Parameters &parameters, ArrayRef<int32_t> tokens) {
  return NetworkEvaluator(module, parameters, tokens).run();
}
