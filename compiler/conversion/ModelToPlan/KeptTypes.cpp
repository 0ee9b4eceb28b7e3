#include "compiler/conversion/ModelToPlan/KeptTypes.h"
#include "compiler/conversion/Reshapes.h"

using namespace mlir;
using namespace denim;

/// Decays, and whatever is one number per token and head.
static bool isGate(OpOperand &use) {
  Operation *op = use.getOwner();
  auto type = dyn_cast<RankedTensorType>(use.get().getType());
  if (!type || type.getRank() == 2)
    return true;
  if (auto delta = dyn_cast<attn::DeltaRuleOp>(op))
    return use.get() == delta.getDecay();
  if (auto recurrence = dyn_cast<attn::RecurrenceOp>(op)) {
    // Arguments of the region: the state, then the inputs of one token.
    Block &step = op->getRegion(0).front();
    unsigned number = use.getOperandNumber() + 1;
    return number < step.getNumArguments() && llvm::any_of(step.getArgument(number).getUses(), [](OpOperand &inner) {
             auto decay = dyn_cast<attn::DecayOp>(inner.getOwner());
             return decay && inner.get() == decay.getDecay();
           });
  }
  return false;
}

bool KeptTypes::feedsGatesOnly(Value value) {
  if (value.use_empty() || value == output)
    return false;
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    Operation *op = use.getOwner();
    if (isa<RecurrenceOpInterface>(op))
      return isGate(use);
    if (isa<attn::LogDecayOp, model::RouteOp>(op))
      return true;
    if (isa<model::LinearOp, model::ExpertsOp, attn::AttendOp, attn::AttendPartOp, attn::AppendOp, attn::RememberOp>(
            op))
      return false;
    return op->getNumResults() > 0 && llvm::all_of(op->getResults(), [&](Value v) { return feedsGatesOnly(v); });
  });
}

bool KeptTypes::isStream(Value value) {
  value = withoutReshapes(value);
  if (value == logits)
    return false;
  if (value == input || value == withoutReshapes(output))
    return true;
  Operation *op = value.getDefiningOp();
  if (auto add = dyn_cast_or_null<model::AddOp>(op))
    return isStream(add.getLhs()) || isStream(add.getRhs());
  return isa_and_present<model::SelectOp>(op) && isStream(op->getOperand(0));
}

/// What memory keeps of it: a part of a value is kept as the value is.
bool KeptTypes::isKeptNarrow(Value value) {
  Operation *op = value.getDefiningOp();
  if (isReshape(op) || isa_and_present<model::SplitOp, model::ConcatOp>(op))
    return llvm::all_of(op->getOperands(), [&](Value v) { return isKeptNarrow(v); });
  return cast<RankedTensorType>(of(value)).getElementType().isBF16();
}

Type KeptTypes::of(Value value) {
  Type type = value.getType();
  auto bf16 = BFloat16Type::get(type.getContext());
  if (!options.narrow)
    return type;
  if (auto cache = dyn_cast<attn::CacheType>(type)) {
    bool narrow = cache.getKind() == attn::Kind::paged;
    if (cache.getKind() == attn::Kind::tail)
      for (Operation *user : value.getUsers())
        if (auto remember = dyn_cast<attn::RememberOp>(user))
          narrow = isKeptNarrow(remember.getInput());
    return narrow ? attn::CacheType::get(type.getContext(), cache.getKind(), cache.getShape(), bf16) : type;
  }
  auto tensor = cast<RankedTensorType>(type);
  if (!tensor.getElementType().isF32() || value == logits)
    return type;
  Operation *op = value.getDefiningOp();
  // A reshaped value is kept as the value that it shows.
  bool wide = isStream(value) ? !options.narrowStream
                              : isa_and_present<attn::AttendPartOp, model::RouteOp>(op) || feedsGatesOnly(value);
  return wide ? type : tensor.clone(bf16);
}
