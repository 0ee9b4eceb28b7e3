#include "frontends/builder/BodyWriter.h"
#include "dialects/attn/ir/Attn.h"

using namespace mlir;
using namespace denim;
using namespace denim::frontends;

BodyWriter::BodyWriter(Page &page, Operation *structure, Type argument, Name name, ElementTypes elementTypes)
    : page(&page), builder(&page.context()), elementTypes(std::move(elementTypes)) {
  Block &body = structure->getRegion(0).emplaceBlock();
  body.addArgument(argument, named(name));
  builder.setInsertionPointToEnd(&body);
}

BodyWriter BodyWriter::network(Page &page, Name name, ArrayRef<int64_t> eos, ElementTypes elementTypes) {
  auto builder = OpBuilder::atBlockEnd(page.getModule().getBody());
  auto network = model::NetworkOp::create(builder, builder.getUnknownLoc(), name, eos);
  Type ids = RankedTensorType::get(ShapedType::kDynamic, builder.getI32Type());
  return BodyWriter(page, network, ids, "ids", std::move(elementTypes));
}

BodyWriter BodyWriter::block(Page &page, Name name, int64_t hidden, StringRef comment, ElementTypes elementTypes) {
  auto builder = OpBuilder::atBlockEnd(page.getModule().getBody());
  auto block = model::BlockOp::create(builder, builder.getUnknownLoc(), name);
  page.begin(block, comment);
  Type stream = RankedTensorType::get({ShapedType::kDynamic, hidden}, builder.getF32Type());
  return BodyWriter(page, block, stream, "x", std::move(elementTypes));
}

Location BodyWriter::named(Name name) {
  return NameLoc::get(builder.getStringAttr(name));
}
Location BodyWriter::named(ArrayRef<Name> names) {
  return FusedLoc::get(&page->context(), builder.getUnknownLoc(), builder.getStrArrayAttr(names));
}

Value BodyWriter::param(Name name, StringRef tensor, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, elementTypes(tensor, shape));
  return write<model::ParamOp>(named(name), type, tensor);
}
Value BodyWriter::embed(Name name, Value ids, Value table) {
  return write<model::EmbedOp>(named(name), ids, table);
}
Value BodyWriter::layers(Name name, Value input, StringRef prefix, model::RepeatAttr schedule) {
  return write<model::LayersOp>(named(name), input.getType(), input, prefix, schedule);
}
Value BodyWriter::linear(Name name, Value input, Value weight, Value bias) {
  return write<model::LinearOp>(named(name), input, weight, bias);
}
Value BodyWriter::rmsNorm(Name name, Value input, Value weight, double eps, bool zeroCentered) {
  return write<model::RmsNormOp>(named(name), input, weight, APFloat(eps), zeroCentered);
}
Value BodyWriter::l2Norm(Name name, Value input, double eps) {
  return write<model::L2NormOp>(named(name), input, APFloat(eps));
}
Value BodyWriter::silu(Name name, Value input) {
  return write<model::SiluOp>(named(name), input);
}
Value BodyWriter::sigmoid(Name name, Value input) {
  return write<model::SigmoidOp>(named(name), input);
}
Value BodyWriter::add(Name name, Value lhs, Value rhs) {
  return write<model::AddOp>(named(name), lhs, rhs);
}
Value BodyWriter::mul(Name name, Value lhs, Value rhs) {
  return write<model::MulOp>(named(name), lhs, rhs);
}
Value BodyWriter::heads(Name name, Value input, int64_t count) {
  return write<model::HeadsOp>(named(name), input, count);
}
Value BodyWriter::flatten(Name name, Value input) {
  return write<model::FlattenOp>(named(name), input);
}
Value BodyWriter::concat(Name name, ValueRange inputs) {
  return write<model::ConcatOp>(named(name), inputs);
}

ResultRange BodyWriter::split(ArrayRef<Name> names, Value input, ArrayRef<Part> parts) {
  SmallVector<int64_t> heads, widths;
  for (const Part &part : parts) {
    heads.push_back(part.heads);
    widths.push_back(part.width);
  }
  return write<model::SplitOp>(named(names), input, heads, widths).getParts();
}

std::array<Value, 2> BodyWriter::route(Name weights, Name experts, Value scores, int64_t top, bool renormalized) {
  auto op = write<model::RouteOp>(named({weights, experts}), scores, top, renormalized);
  return {op.getWeights(), op.getExperts()};
}
Value BodyWriter::experts(Name name, Value input, Value weights, Value experts, Value gate, Value up, Value down) {
  return write<model::ExpertsOp>(named(name), input, weights, experts, gate, up, down);
}

Value BodyWriter::rotary(Name name, Value input, double theta, int64_t over) {
  return write<attn::RotaryOp>(named(name), input, APFloat(theta), over);
}
Value BodyWriter::shortConv(Name name, Value input, Value weight) {
  return write<attn::ShortConvOp>(named(name), input, weight, /*bias=*/Value(), /*tail=*/Value());
}
Value BodyWriter::logDecay(Name name, Value input, Value logRate, Value bias) {
  return write<attn::LogDecayOp>(named(name), input, logRate, bias, /*lower_bound=*/FloatAttr());
}
Value BodyWriter::deltaRule(Name name, Value query, Value key, Value value, Value beta, Value decay) {
  return write<attn::DeltaRuleOp>(named(name), query, key, value, beta, decay, /*state=*/Value(),
                                  /*scale=*/FloatAttr(), /*chunk=*/IntegerAttr());
}
Value BodyWriter::softmax(Name name, Value query, Value key, Value value, std::optional<int64_t> window) {
  IntegerAttr visible = window ? builder.getI64IntegerAttr(*window) : IntegerAttr();
  return write<attn::SoftmaxOp>(named(name), query, key, value, /*keys=*/Value(), /*values=*/Value(), /*sinks=*/Value(),
                                /*scale=*/FloatAttr(), visible, /*block_size=*/IntegerAttr(),
                                /*local_blocks=*/IntegerAttr(), /*global_tokens=*/IntegerAttr(),
                                /*softcap=*/FloatAttr());
}

void BodyWriter::yield(Value stream) {
  write<model::YieldOp>(builder.getUnknownLoc(), stream);
}
void BodyWriter::output(Value logits) {
  write<model::OutputOp>(builder.getUnknownLoc(), logits);
}
