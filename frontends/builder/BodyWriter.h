// Writes the body of a network or of a block: one method per word of the language, operands in the order of the text.
// The first argument is always the value's name on the page, without the percent sign:
//
//     Value h = body.rmsNorm("h", x, norm, eps);          %h = rms_norm %x, %norm
//     auto [q, k] = body.split<2>({"q", "k"}, h, {16, 16})   %q, %k = split %h into 16, 16
//
// Operands must fit: the ops infer their types and a frontend checks sizes before it writes.
#ifndef FRONTENDS_BUILDER_BODYWRITER_H
#define FRONTENDS_BUILDER_BODYWRITER_H

#include "frontends/builder/Page.h"
#include <array>
#include <functional>
#include <optional>

namespace denim::frontends {

/// Consecutive channels of a `split`: a width, or heads x width.
struct Part {
  Part(int64_t width) : width(width) {}
  Part(int64_t heads, int64_t width) : heads(heads), width(width) {}
  int64_t heads = 0, width;
};

class BodyWriter {
public:
  using Value = mlir::Value;
  using Name = llvm::StringRef;
  /// The element type in which the checkpoint keeps a tensor of this block or network that has this shape.
  using ElementTypes = std::function<mlir::Type(llvm::StringRef tensor, llvm::ArrayRef<int64_t> shape)>;

  /// `model.network @name(%ids: tensor<?xi32>) eos [...]` at the end of the page.
  static BodyWriter network(Page &page, Name name, llvm::ArrayRef<int64_t> eos, ElementTypes elementTypes);
  /// `model.block @name(%x: tensor<?xHIDDENxf32>)` at the end of the page, under a comment.
  static BodyWriter block(Page &page, Name name, int64_t hidden, llvm::StringRef comment, ElementTypes elementTypes);

  /// The token ids of a network, the residual stream of a block.
  Value argument() { return builder.getInsertionBlock()->getArgument(0); }

  /// The next op begins a paragraph, under a comment if there is something to say.
  void paragraph(llvm::StringRef comment = "") { pending = comment.str(); }

  Value param(Name name, llvm::StringRef tensor, llvm::ArrayRef<int64_t> shape);
  Value embed(Name name, Value ids, Value table);
  Value layers(Name name, Value input, llvm::StringRef prefix, model::RepeatAttr schedule);
  Value linear(Name name, Value input, Value weight, Value bias = {});
  Value rmsNorm(Name name, Value input, Value weight, double eps, bool zeroCentered = false);
  Value l2Norm(Name name, Value input, double eps = 1e-6);
  Value silu(Name name, Value input);
  Value sigmoid(Name name, Value input);
  Value add(Name name, Value lhs, Value rhs);
  Value mul(Name name, Value lhs, Value rhs);
  Value heads(Name name, Value input, int64_t count);
  Value flatten(Name name, Value input);
  Value concat(Name name, mlir::ValueRange inputs);
  template <size_t N> std::array<Value, N> split(const Name (&names)[N], Value input, const Part (&parts)[N]) {
    std::array<Value, N> values;
    llvm::copy(split(llvm::ArrayRef(names), input, llvm::ArrayRef(parts)), values.begin());
    return values;
  }
  /// The weights and the indices of the chosen experts.
  std::array<Value, 2> route(Name weights, Name experts, Value scores, int64_t top, bool renormalized);
  Value experts(Name name, Value input, Value weights, Value experts, Value gate, Value up, Value down);

  Value rotary(Name name, Value input, double theta, int64_t over);
  Value shortConv(Name name, Value input, Value weight);
  Value logDecay(Name name, Value input, Value logRate, Value bias);
  Value deltaRule(Name name, Value query, Value key, Value value, Value beta, Value decay);
  Value softmax(Name name, Value query, Value key, Value value, std::optional<int64_t> window = {});

  void yield(Value stream);
  void output(Value logits);

private:
  BodyWriter(Page &page, mlir::Operation *structure, mlir::Type argument, Name name, ElementTypes elementTypes);
  mlir::ResultRange split(llvm::ArrayRef<Name> names, Value input, llvm::ArrayRef<Part> parts);
  mlir::Location named(Name name);
  /// For an op with several results.
  mlir::Location named(llvm::ArrayRef<Name> names);
  /// Adds an op, after the paragraph that was begun.
  template <typename Op, typename... Args> Op write(mlir::Location loc, Args &&...args) {
    Op op = Op::create(builder, loc, std::forward<Args>(args)...);
    if (pending)
      page->begin(op, *pending);
    pending.reset();
    return op;
  }

  Page *page;
  mlir::OpBuilder builder;
  ElementTypes elementTypes;
  std::optional<std::string> pending;
};

} // namespace denim::frontends

#endif // FRONTENDS_BUILDER_BODYWRITER_H
