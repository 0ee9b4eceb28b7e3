#include "frontends/hf/Blocks.h"
#include "formats/numbers/ShortFloat.h"
#include "formats/safetensors/SafetensorsWriter.h"
#include "llvm/ADT/StringExtras.h"
#include <cstring>
#include <filesystem>

using namespace mlir;
using namespace denim;
using namespace denim::frontends;
using formats::BlockFormat;
using formats::ElementType;
using formats::Tensor;

namespace fs = std::filesystem;

/// Whether the language takes the parameter in blocks: a weight of `linear` and nothing else, in rows of whole blocks.
static bool mayBeBlocks(model::ParamOp param) {
  RankedTensorType type = param.getType();
  return type.getRank() == 2 && type.getDimSize(1) % formats::kBlockElements == 0 && !param->use_empty() &&
         llvm::all_of(param->getUses(), model::isWeightOfLinear);
}

/// The tensors of a checkpoint that parameters of the page read, by name, with the parameter.
static std::map<std::string, model::ParamOp> tensorsOf(ModuleOp module) {
  std::map<std::string, model::ParamOp> tensors;
  auto add = [&](Operation *structure, const std::string &prefix) {
    structure->walk([&](model::ParamOp param) {
      StringRef name = param.getName();
      if (!param.isStack()) {
        tensors.emplace(prefix + name.str(), param);
        return;
      }
      auto [before, behind] = name.split("{e}");
      for (int64_t e = 0; e < param.getType().getDimSize(0); ++e)
        tensors.emplace((prefix + before + Twine(e) + behind).str(), param);
    });
  };
  SymbolTable symbols(module);
  model::NetworkOp network = *module.getOps<model::NetworkOp>().begin();
  model::LayersOp layers = *network.getBody().getOps<model::LayersOp>().begin();
  add(network, "");
  for (auto [i, block] : llvm::enumerate(layers.getLayers()))
    add(symbols.lookup(block.getValue()), layers.getLayerPrefix(int64_t(i)));
  return tensors;
}

/// One row of a stored tensor as f32.
static void readRow(const Tensor &tensor, int64_t row, MutableArrayRef<float> values) {
  const char *from = static_cast<const char *>(tensor.data) + row * values.size() * formats::bytes(tensor.type);
  if (tensor.type == ElementType::F32) {
    std::memcpy(values.data(), from, values.size() * sizeof(float));
    return;
  }
  for (float &value : values) {
    uint16_t half;
    std::memcpy(&half, from, sizeof half);
    from += sizeof half;
    value = tensor.type == ElementType::F16 ? formats::fromHalf(half) : formats::fromBrain(half);
  }
}

static Error encode(const Tensor &tensor, BlockFormat format, std::vector<char> &data) {
  int64_t rows = tensor.shape[0], columns = tensor.shape[1], bytes = formats::rowBytes(format, columns);
  data.resize(size_t(rows * bytes));
  std::vector<float> values(size_t(columns), 0);
  for (int64_t row = 0; row < rows; ++row) {
    readRow(tensor, row, values);
    if (!formats::encodeRow(format, values.data(), columns, data.data() + row * bytes))
      return Error::of("tensor ", tensor.name, ": expected finite numbers whose scales f16 holds for ",
                       formats::name(format), ", but row ", row, " has others");
  }
  return {};
}

static Error makeFolder(const std::string &from, const std::string &to) {
  std::error_code fault;
  fs::create_directories(to, fault);
  if (fault)
    return Error::of("cannot make the folder '", to, "': ", fault.message());
  if (fs::equivalent(from, to, fault))
    return Error::of("expected another folder than the checkpoint's own for weights in blocks, but got '", to, "'");
  return {};
}

/// Copies what lies beside the tensors.
static Error copyFiles(const std::string &from, const std::string &to) {
  std::error_code fault;
  fs::directory_iterator it(from, fault), end;
  for (; !fault && it != end; it.increment(fault)) {
    const fs::directory_entry &entry = *it;
    std::string name = entry.path().filename().string(), ending = entry.path().extension().string();
    std::error_code unknown;
    if (!entry.is_regular_file(unknown) || (ending != ".json" && ending != ".txt") ||
        StringRef(name).ends_with(".safetensors.index.json"))
      continue;
    fs::copy_file(entry.path(), fs::path(to) / name, fs::copy_options::overwrite_existing, fault);
    if (fault)
      return Error::of("cannot copy '", entry.path().string(), "' to '", to, "': ", fault.message());
  }
  if (fault)
    return Error::of("cannot list '", from, "': ", fault.message());
  return {};
}

Error frontends::useBlocks(Page &page, const Checkpoint &checkpoint, BlockFormat format, const std::string &from,
                           const std::string &to) {
  std::vector<Tensor> written;
  std::vector<const Tensor *> sources;
  bool any = false;
  for (auto &[name, param] : tensorsOf(page.getModule())) {
    const Tensor *tensor = checkpoint.files().find(name);
    sources.push_back(tensor);
    written.push_back(*tensor);
    if (!mayBeBlocks(param))
      continue;
    if (blockFormatOf(param.getType().getElementType()))
      return Error::of("tensor ", name, ": expected a checkpoint of numbers to make blocks of, but it has ",
                       formats::name(*blockFormatOf(param.getType().getElementType())));
    any = true;
    Tensor &blocks = written.back();
    blocks.type = ElementType::U8;
    blocks.shape[1] = formats::rowBytes(format, blocks.shape[1]);
    blocks.bytes = size_t(blocks.shape[0] * blocks.shape[1]);
    blocks.data = nullptr;
  }
  if (!any)
    return Error::of("'", from, "': expected a weight of linear with rows of a multiple of ", formats::kBlockElements,
                     " elements for ", formats::name(format), ", but got none");
  if (Error error = makeFolder(from, to))
    return error;
  auto make = [&](size_t index, std::vector<char> &data) { return encode(*sources[index], format, data); };
  if (Error error = formats::writeSafetensors((fs::path(to) / "model.safetensors").string(), written, make))
    return error;
  // Behind the tensors: where those are refused, a checkpoint that was in the folder keeps its own.
  if (Error error = copyFiles(from, to))
    return error;
  MLIRContext *context = &page.context();
  Type element = model::blockType(context, format);
  page.getModule().walk([&](model::ParamOp param) {
    if (mayBeBlocks(param))
      param.getResult().setType(param.getType().clone(element));
  });
  return {};
}
