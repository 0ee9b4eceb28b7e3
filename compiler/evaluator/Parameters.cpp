#include "compiler/evaluator/Parameters.h"
#include "dialects/model/ir/Model.h"
#include "formats/numbers/ShortFloat.h"
#include "formats/safetensors/SafetensorsWriter.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>
#include <cstring>
#include <random>

using namespace mlir;
using namespace denim;
using attn::reference::Tensor;

//===--------------------------------------------------------------------------------------------------------------===//
// Which there are
//===--------------------------------------------------------------------------------------------------------------===//

static std::string replaced(StringRef name, StringRef what, int64_t by) {
  auto [before, behind] = name.split(what);
  return (before + Twine(by) + behind).str();
}

/// Adds a parameter; two uses of one name must agree on its type.
static LogicalResult add(model::ParamOp param, StringRef prefix, ParameterTypes &types) {
  RankedTensorType type = param.getType();
  std::string name = (prefix + param.getName()).str();
  SmallVector<std::string> names{name};
  if (param.isStack()) {
    names.clear();
    for (int64_t e = 0; e < type.getDimSize(0); ++e)
      names.push_back(replaced(name, "{e}", e));
    type = RankedTensorType::get(type.getShape().drop_front(), type.getElementType());
  }
  for (const std::string &one : names) {
    auto [entry, isNew] = types.insert({one, type});
    if (!isNew && entry->second != type)
      return param.emitOpError() << "expected the type of the other use of \"" << one << "\", " << entry->second
                                 << ", but got " << type;
  }
  return success();
}

FailureOr<ParameterTypes> denim::parametersOf(ModuleOp module) {
  ParameterTypes types;
  for (auto network : module.getOps<model::NetworkOp>())
    for (Operation &op : *network.getBlock()) {
      if (auto param = dyn_cast<model::ParamOp>(op))
        if (failed(add(param, "", types)))
          return failure();
      auto layers = dyn_cast<model::LayersOp>(op);
      if (!layers)
        continue;
      for (auto [i, symbol] : llvm::enumerate(layers.getLayers())) {
        auto block = module.lookupSymbol<model::BlockOp>(symbol);
        if (!block)
          return layers.emitOpError() << "expected a block " << symbol << " in the module, but found none";
        for (auto param : block.getBlock()->getOps<model::ParamOp>())
          if (failed(add(param, layers.getLayerPrefix(int64_t(i)), types)))
            return failure();
      }
    }
  return types;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------------------------===//

/// A number as a parameter of two bytes holds it.
static uint16_t toShort(formats::ElementType type, float value) {
  return type == formats::ElementType::F16 ? formats::toHalf(value) : formats::toBrain(value);
}
static float fromShort(formats::ElementType type, uint16_t bits) {
  return type == formats::ElementType::F16 ? formats::fromHalf(bits) : formats::fromBrain(bits);
}

static std::optional<formats::ElementType> storedType(Type element) {
  if (element.isF32())
    return formats::ElementType::F32;
  if (element.isF16())
    return formats::ElementType::F16;
  if (blockFormatOf(element))
    return formats::ElementType::U8;
  return element.isBF16() ? std::optional(formats::ElementType::BF16) : std::nullopt;
}

static Tensor::Shape shapeOf(RankedTensorType type) {
  return Tensor::Shape(type.getShape().begin(), type.getShape().end());
}

/// Rows in blocks; nothing where an element is beyond what they hold.
static std::optional<std::vector<char>> encodeBlocks(formats::BlockFormat format, const Tensor &values) {
  int64_t columns = values.shape().back(), rows = values.size() / columns, bytes = formats::rowBytes(format, columns);
  std::vector<char> blocks(size_t(rows * bytes));
  std::vector<float> row(size_t(columns), 0);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(values.row(i), columns, row.begin());
    if (!formats::encodeRow(format, row.data(), columns, blocks.data() + i * bytes))
      return std::nullopt;
  }
  return blocks;
}

static void decodeBlocks(formats::BlockFormat format, const char *blocks, Tensor &values) {
  int64_t columns = values.shape().back(), rows = values.size() / columns;
  std::vector<float> row(size_t(columns), 0);
  for (int64_t i = 0; i < rows; ++i) {
    formats::decodeRow(format, blocks + i * formats::rowBytes(format, columns), columns, row.data());
    std::copy(row.begin(), row.end(), values.row(i));
  }
}

Parameters denim::randomParameters(const ParameterTypes &types, uint64_t seed) {
  Parameters parameters;
  std::mt19937_64 source(seed);
  for (const auto &[name, type] : types) {
    bool isMatrix = type.getRank() > 1;
    std::normal_distribution<double> normal(isMatrix ? 0.0 : 1.0,
                                            isMatrix ? 1 / std::sqrt(double(type.getShape().back())) : 0.3);
    std::optional<formats::ElementType> stored = storedType(type.getElementType());
    bool isShort = stored == formats::ElementType::F16 || stored == formats::ElementType::BF16;
    Tensor values(shapeOf(type));
    for (double &value : values.values()) {
      auto rounded = float(normal(source));
      value = isShort ? fromShort(*stored, toShort(*stored, rounded)) : rounded;
    }
    // What is in blocks are the numbers that the nearest blocks stand for.
    if (auto format = blockFormatOf(type.getElementType()))
      decodeBlocks(*format, encodeBlocks(*format, values)->data(), values);
    parameters[name] = std::move(values);
  }
  return parameters;
}

/// The shape in which a file has it.
static Tensor::Shape storedShape(RankedTensorType type) {
  Tensor::Shape shape = shapeOf(type);
  if (auto format = blockFormatOf(type.getElementType()))
    shape.back() = formats::rowBytes(*format, shape.back());
  return shape;
}

llvm::Expected<Parameters> denim::readParameters(const ParameterTypes &types, const std::string &path) {
  formats::Safetensors file;
  if (formats::Error fault = formats::Safetensors::open(path, file))
    return llvm::createStringError(fault.message());
  Parameters parameters;
  for (const auto &[name, type] : types) {
    const formats::Tensor *found = file.find(name);
    if (!found)
      return llvm::createStringError("'" + path + "': expected tensor '" + name + "', but got none");
    if (storedType(type.getElementType()) != found->type || found->shape != storedShape(type)) {
      std::string expected;
      llvm::raw_string_ostream(expected) << type;
      return llvm::createStringError("'" + path + "': tensor '" + name + "': expected " + expected + ", but got " +
                                     std::string(formats::name(found->type)) + " " + formats::shapeText(found->shape));
    }
    Tensor values(shapeOf(type));
    const char *from = static_cast<const char *>(found->data);
    if (auto format = blockFormatOf(type.getElementType())) {
      decodeBlocks(*format, from, values);
      parameters[name] = std::move(values);
      continue;
    }
    for (double &value : values.values()) {
      if (found->type == formats::ElementType::F32) {
        float stored;
        std::memcpy(&stored, from, sizeof stored);
        value = stored, from += sizeof stored;
      } else {
        uint16_t stored;
        std::memcpy(&stored, from, sizeof stored);
        value = fromShort(found->type, stored), from += sizeof stored;
      }
    }
    parameters[name] = std::move(values);
  }
  return parameters;
}

llvm::Error denim::writeParameters(const ParameterTypes &types, const Parameters &parameters, const std::string &path) {
  std::vector<std::vector<char>> stored;
  std::vector<formats::Tensor> tensors;
  for (const auto &[name, type] : types) {
    auto element = storedType(type.getElementType());
    if (!element)
      return llvm::createStringError("parameter '" + name + "': expected elements of f32, bf16, f16 or in blocks");
    const Tensor &values = parameters.at(name);
    if (auto format = blockFormatOf(type.getElementType())) {
      std::optional<std::vector<char>> blocks = encodeBlocks(*format, values);
      if (!blocks)
        return llvm::createStringError("parameter '" + name + "': expected finite elements with scales that f16 holds");
      stored.push_back(std::move(*blocks));
      tensors.push_back({name, *element, storedShape(type), nullptr, stored.back().size()});
      continue;
    }
    std::vector<char> &bytes = stored.emplace_back(values.values().size() * formats::bytes(*element));
    char *to = bytes.data();
    for (double value : values.values()) {
      auto real = float(value);
      size_t size = formats::bytes(*element);
      uint16_t narrow = size == 4 ? 0 : toShort(*element, real);
      std::memcpy(to, size == 4 ? static_cast<const void *>(&real) : &narrow, size);
      to += size;
    }
    tensors.push_back({name, *element, values.shape(), nullptr, bytes.size()});
  }
  for (auto [tensor, bytes] : llvm::zip_equal(tensors, stored))
    tensor.data = bytes.data();
  if (formats::Error fault = formats::writeSafetensors(path, tensors))
    return llvm::createStringError(fault.message());
  return llvm::Error::success();
}
