#include "dialects/attn/ir/RecurrenceForm.h"

using namespace mlir;
using namespace denim;
using namespace denim::attn;

namespace {

/// factor * product(scales) * vector, all of the token alone.
struct Scaled {
  double factor = 1;
  SmallVector<Value, 1> scales;
  Value vector;
};

/// A summand of a vector that depends on the state: `vector` of the token, or what `state` holds for `vector`.
struct Term {
  Scaled scaled;
  Value state; ///< null for a vector of the token
};

struct Write {
  Scaled key;
  Term term;
};

/// A value of the region that holds a state.
struct State {
  DecayOp decay; ///< null while it has not faded
  SmallVector<Write> writes;
};

bool isNumber(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank() == 0;
}

class Reader {
public:
  explicit Reader(RecurrenceOp op) : op(op) {}

  NormalForm run() {
    form.valueHeads = op.getHeads();
    form.keyDim = op.getStateType().getDimSize(0);
    form.valueDim = op.getStateType().getDimSize(1);
    form.keyHeads = form.valueHeads;
    states[op.getBlock()->getArgument(0)] = {};
    for (Operation &step : op.getBlock()->without_terminator()) {
      read(&step);
      if (!form.outside.empty())
        return form;
    }
    finish(cast<YieldOp>(op.getBlock()->getTerminator()));
    return form;
  }

private:
  bool dependsOnState(Value value) const { return states.count(value) || sums.count(value); }
  void outside(const Twine &term) {
    if (form.outside.empty())
      form.outside = term.str();
  }

  /// Takes constants and numbers off a vector of the token.
  Scaled peel(Value value) {
    Scaled result;
    while (Operation *def = value.getDefiningOp()) {
      if (auto scale = dyn_cast<ScaleOp>(def)) {
        result.factor *= scale.getFactor().convertToDouble();
        value = scale.getInput();
        continue;
      }
      auto mul = dyn_cast<MulOp>(def);
      if (!mul || (!isNumber(mul.getLhs()) && !isNumber(mul.getRhs())) || isNumber(mul.getResult()))
        break;
      bool left = isNumber(mul.getLhs());
      addScale(result, left ? mul.getLhs() : mul.getRhs());
      value = left ? mul.getRhs() : mul.getLhs();
    }
    result.vector = value;
    return result;
  }
  /// A number as constants and numbers: `scale %b, 2` is a factor 2 and %b.
  void addScale(Scaled &scaled, Value number) {
    while (auto scale = number.getDefiningOp<ScaleOp>()) {
      scaled.factor *= scale.getFactor().convertToDouble();
      number = scale.getInput();
    }
    scaled.scales.push_back(number);
  }

  /// The summands of a vector, which may be of the token alone.
  SmallVector<Term> termsOf(Value value) {
    auto known = sums.find(value);
    return known != sums.end() ? known->second : SmallVector<Term>{{peel(value), {}}};
  }

  void read(Operation *step) {
    if (auto decay = dyn_cast<DecayOp>(step))
      return readDecay(decay);
    if (auto readOp = dyn_cast<ReadOp>(step)) {
      if (dependsOnState(readOp.getKey()))
        return outside("a read along a vector that depends on the state");
      sums[readOp.getResult()] = {{peel(readOp.getKey()), readOp.getState()}};
      return;
    }
    if (auto write = dyn_cast<WriteOp>(step))
      return readWrite(write);
    if (llvm::none_of(step->getOperands(), [&](Value v) { return dependsOnState(v); }))
      return;
    if (isa<AddOp, SubOp>(step)) {
      SmallVector<Term> sum = termsOf(step->getOperand(0));
      for (Term term : termsOf(step->getOperand(1))) {
        if (isa<SubOp>(step))
          term.scaled.factor = -term.scaled.factor;
        sum.push_back(term);
      }
      if (isNumber(step->getOperand(0)) || isNumber(step->getOperand(1)))
        return outside("a number added to every channel of what was read");
      sums[step->getResult(0)] = sum;
      return;
    }
    if (auto scale = dyn_cast<ScaleOp>(step)) {
      SmallVector<Term> sum = termsOf(scale.getInput());
      for (Term &term : sum)
        term.scaled.factor *= scale.getFactor().convertToDouble();
      sums[scale.getResult()] = sum;
      return;
    }
    auto mul = cast<MulOp>(step);
    if (dependsOnState(mul.getLhs()) && dependsOnState(mul.getRhs()))
      return outside("a product of two vectors that depend on the state");
    bool left = dependsOnState(mul.getLhs());
    Value other = left ? mul.getRhs() : mul.getLhs();
    if (!isNumber(other))
      return outside("a product of what was read with a vector");
    SmallVector<Term> sum = termsOf(left ? mul.getLhs() : mul.getRhs());
    for (Term &term : sum)
      addScale(term.scaled, other);
    sums[mul.getResult()] = sum;
  }

  void readDecay(DecayOp decay) {
    State state = states.lookup(decay.getState());
    if (state.decay)
      return outside("a second decay");
    if (!state.writes.empty())
      return outside("a decay behind a write");
    state.decay = decay;
    states[decay.getResult()] = state;
  }

  void readWrite(WriteOp write) {
    if (dependsOnState(write.getKey()))
      return outside("a write along a vector that depends on the state");
    State state = states.lookup(write.getState());
    Scaled key = peel(write.getKey());
    for (const Term &term : termsOf(write.getValue())) {
      if (term.state && !states.lookup(term.state).writes.empty())
        return outside("a read between two writes");
      state.writes.push_back({key, term});
    }
    states[write.getResult()] = state;
  }

  static Factor factorOf(const Scaled &key, const Scaled &strength) {
    Factor factor{key.vector, key.scales, key.factor * strength.factor, false};
    factor.scales.append(strength.scales.begin(), strength.scales.end());
    return factor;
  }

  void finish(YieldOp yield) {
    State last = states.lookup(yield.getState());
    for (const Write &write : last.writes) {
      if (write.term.state) {
        if (form.p)
          return outside("a transition of rank 2");
        DecayOp faded = states.lookup(write.term.state).decay;
        if (faded && faded != last.decay)
          return outside("a read of a state that fades otherwise than the next one");
        const Scaled &reader = write.term.scaled;
        form.p = factorOf(write.key, reader);
        form.q = {reader.vector, {}, 1, static_cast<bool>(faded)};
      } else {
        if (form.k)
          return outside("a second input");
        form.k = factorOf(write.key, write.term.scaled);
        form.value = write.term.scaled.vector;
      }
    }
    if (!form.k)
      return outside("a state without an input");
    readFading(last.decay);

    const Term *read = nullptr;
    SmallVector<Term> output = termsOf(yield.getOutput());
    for (const Term &term : output) {
      if (term.state ? read != nullptr : static_cast<bool>(form.skip))
        return outside(term.state ? "an output of two reads" : "an output with two terms besides its read");
      if (term.state)
        read = &term;
      else
        form.skip = {term.scaled.vector, term.scaled.scales, term.scaled.factor, false};
    }
    if (!read)
      return outside("an output that reads no state");
    bool old = read->state == op.getBlock()->getArgument(0);
    if (!old && read->state != yield.getState())
      return outside("an output read between decay and write");
    if (!read->scaled.scales.empty())
      return outside("a strength on the output, which belongs to the query");
    form.readAfter = !old;
    form.query = read->scaled.vector;
    form.readScale = read->scaled.factor;
    form.keyHeads = keyHeads();
  }

  void readFading(DecayOp decay) {
    if (!decay)
      return;
    if (auto rates = decay.getRates()) {
      form.decayKind = NormalForm::Decay::Constant;
      form.constantDecay.assign(rates->begin(), rates->end());
      return;
    }
    form.decay = decay.getDecay();
    form.decayKind = isNumber(form.decay) ? NormalForm::Decay::Scalar : NormalForm::Decay::Channel;
  }

  /// Heads of what a vector of the token is made of, or 0 when they differ.
  int64_t headsOf(Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      auto type = cast<RankedTensorType>(op.getInput(argument).getType());
      return type.isDynamicDim(0) ? type.getDimSize(1) : form.valueHeads;
    }
    int64_t heads = -1;
    for (Value operand : value.getDefiningOp()->getOperands()) {
      int64_t own = headsOf(operand);
      heads = heads == -1 || heads == own ? own : 0;
    }
    return heads;
  }
  /// Heads that all key-side vectors share; one for each value head when they share none.
  int64_t keyHeads() {
    int64_t heads = headsOf(form.k.vector);
    for (Value vector : {form.query, form.p.vector, form.q.vector})
      if (vector && headsOf(vector) != heads)
        return form.valueHeads;
    return heads > 0 ? heads : form.valueHeads;
  }

  RecurrenceOp op;
  NormalForm form;
  llvm::DenseMap<Value, State> states;
  llvm::DenseMap<Value, SmallVector<Term>> sums;
};

} // namespace

NormalForm attn::normalFormOf(RecurrenceOp op) {
  return Reader(op).run();
}
