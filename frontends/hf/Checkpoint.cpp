#include "frontends/hf/Checkpoint.h"
#include "llvm/ADT/StringExtras.h"
#include <set>

using namespace mlir;
using namespace denim;
using namespace denim::frontends;
using formats::ElementType;
using formats::Tensor;

Error Checkpoint::open(const std::string &directory, Checkpoint &out) {
  return formats::Safetensors::open(directory, out.tensors);
}

static constexpr formats::BlockFormat kBlockFormats[] = {formats::BlockFormat::Q8_0, formats::BlockFormat::Q4_0};

/// Whether a tensor of this shape may be stored in blocks.
static bool canBeInBlocks(ArrayRef<int64_t> shape) {
  return shape.size() == 2 && shape[1] % formats::kBlockElements == 0;
}

/// The type in the language of the elements of a stored tensor that should have this shape; null if there is none.
static Type typeOf(MLIRContext &context, const Tensor &tensor, ArrayRef<int64_t> shape) {
  switch (tensor.type) {
  case ElementType::BF16:
    return BFloat16Type::get(&context);
  case ElementType::F16:
    return Float16Type::get(&context);
  case ElementType::F32:
    return Float32Type::get(&context);
  case ElementType::U8:
    if (!canBeInBlocks(shape) || tensor.shape.size() != 2)
      return {};
    for (formats::BlockFormat format : kBlockFormats)
      if (tensor.shape[1] == formats::rowBytes(format, shape[1]))
        return model::blockType(&context, format);
    return {};
  default:
    return {};
  }
}

static std::string nameOf(Type type) {
  if (auto format = blockFormatOf(type))
    return std::string(formats::name(*format));
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return StringRef(text).upper();
}

/// `experts.{e}.up` for expert 3: `experts.3.up`.
static std::string expertName(StringRef stack, int64_t expert) {
  size_t at = stack.find("{e}");
  if (at == StringRef::npos)
    return stack.str();
  return (stack.take_front(at) + Twine(expert) + stack.drop_front(at + 3)).str();
}

Type Checkpoint::elementType(MLIRContext &context, StringRef name, ArrayRef<int64_t> shape) const {
  const Tensor *tensor = tensors.find(expertName(name, 0));
  Type type = tensor ? typeOf(context, *tensor, shape) : Type();
  return type ? type : BFloat16Type::get(&context);
}

/// What a tensor of bytes could be for this shape, beside numbers.
static std::string expectedBytes(ArrayRef<int64_t> shape) {
  if (!canBeInBlocks(shape))
    return " (shape " + formats::shapeText(shape.vec()) + " is no matrix of whole blocks of " +
           std::to_string(formats::kBlockElements) + ")";
  std::string text;
  for (formats::BlockFormat format : kBlockFormats)
    text += std::string(text.empty() ? ", or " : " or ") + "U8" +
            formats::shapeText({shape[0], formats::rowBytes(format, shape[1])}) + " (" +
            std::string(formats::name(format)) + ")";
  return text + " for shape " + formats::shapeText(shape.vec());
}

namespace {

/// Goes through a network's parameters and notes what is wrong, one line each, up to as many as one reads.
class Comparison {
public:
  explicit Comparison(const formats::Safetensors &tensors) : tensors(tensors) {}

  bool full() const { return lines.size() >= kMostLines; }

  void compare(Operation *structure, const std::string &prefix) {
    structure->walk([&](model::ParamOp param) {
      RankedTensorType type = param.getType();
      int64_t count = param.isStack() ? type.getDimSize(0) : 1;
      for (int64_t e = 0; e < count && !full(); ++e)
        compare(expertName(prefix + param.getName().str(), e), type.getShape().drop_front(param.isStack()),
                type.getElementType());
    });
  }

  void refuse(const std::string &what) { lines.push_back(tensors.path() + ": expected " + what); }

  bool wants(const std::string &name) const { return wanted.count(name); }
  Error error() const {
    if (lines.empty())
      return Error();
    return Error::of(llvm::join(lines, "\n"),
                     full() ? "\n" + tensors.path() + ": these are the first " + std::to_string(kMostLines) : "");
  }

private:
  static constexpr size_t kMostLines = 8;

  void compare(const std::string &name, ArrayRef<int64_t> shape, Type type) {
    wanted.insert(name);
    const Tensor *tensor = tensors.find(name);
    if (!tensor)
      return refuse("a tensor " + name + ", but got none of this name");
    std::string got = std::string(formats::name(tensor->type));
    Type stored = typeOf(*type.getContext(), *tensor, shape);
    bool isBytes = tensor->type == ElementType::U8;
    if (!stored)
      return refuse(name + " of type BF16, F16 or F32" + (isBytes ? expectedBytes(shape) : "") + ", but got " + got +
                    (isBytes ? formats::shapeText(tensor->shape) : ""));
    if (stored != type)
      return refuse(name + " of type " + nameOf(type) + " as in the first such layer, but got " + nameOf(stored));
    if (blockFormatOf(type)) {
      if (shape[0] != tensor->shape[0])
        refuse(name + " with " + std::to_string(shape[0]) + " rows, but got " + std::to_string(tensor->shape[0]));
      return;
    }
    if (shape != ArrayRef<int64_t>(tensor->shape))
      return refuse(name + " of shape " + formats::shapeText(shape.vec()) + ", but got " +
                    formats::shapeText(tensor->shape));
  }

  const formats::Safetensors &tensors;
  std::set<std::string> wanted;
  std::vector<std::string> lines;
};

} // namespace

/// Tensors that no forward pass reads.
static bool isIgnored(StringRef name, model::LayersOp layers, bool tied) {
  if (name.starts_with("mtp.") || name.ends_with(".rotary_emb.inv_freq") || (tied && name == "lm_head.weight"))
    return true;
  // model.layers.{i}.… with i behind the last layer
  StringRef front = layers.getPrefix().take_front(layers.getPrefix().find("{i}"));
  uint64_t index = 0;
  return name.consume_front(front) && !name.consumeInteger(10, index) && name.starts_with(".") &&
         index >= layers.getLayers().size();
}

Error Checkpoint::check(ModuleOp module) const {
  Comparison comparison(tensors);
  SymbolTable symbols(module);
  model::NetworkOp network = *module.getOps<model::NetworkOp>().begin();
  model::LayersOp layers = *network.getBody().getOps<model::LayersOp>().begin();
  comparison.compare(network, "");
  for (auto [i, block] : llvm::enumerate(layers.getLayers()))
    comparison.compare(symbols.lookup(block.getValue()), layers.getLayerPrefix(i));

  bool tied = !comparison.wants("lm_head.weight");
  for (const auto &entry : tensors.tensors())
    if (!comparison.full() && !comparison.wants(entry.first) && !isIgnored(entry.first, layers, tied))
      comparison.refuse("no tensor " + entry.first + " in a network @" + network.getSymName().str());
  return comparison.error();
}
