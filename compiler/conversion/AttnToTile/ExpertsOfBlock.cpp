// Mixture of experts, an item to a block of threads.
#include "compiler/conversion/AttnToTile/Emitter.h"

using namespace mlir;
using namespace denim;

/// Rows of weights that are tiles at once: with rows of some thousand elements as many as registers hold.
static constexpr int64_t kInnerPanel = 16;
/// Elements of a row of weights in one tile.
static constexpr int64_t kStep = 1024;
/// Channels of the result that an item makes.
static constexpr int64_t kHiddenPanel = 512;

/// An item is a token: it walks through the chosen experts, and through the channels between their products in panels,
/// so that no tile is larger than registers hold. Every token reads the weights of its own experts.
tile::KernelOp denim::emitExpertsOfBlock(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  auto op = *kernel.getBlock()->getOps<model::ExpertsOp>().begin();
  auto gate = cast<RankedTensorType>(op.getGate().getType());
  int64_t inner = gate.getDimSize(1), hidden = gate.getDimSize(2), top = channelsOf(op.getWeights());
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), 1, 1));
  Rows one{e.item(), 1, {}, {}};
  auto i32 = tile::TileType::get(kernel.getContext(), 1, 1, e.b.getI32Type());
  auto memoryOf = [&](Value stack, Value expert) -> Value {
    auto type = cast<RankedTensorType>(stack.getType());
    auto memory = tile::MemoryType::get(kernel.getContext(), type.getDimSize(2), type.getElementType());
    return tile::StackedOp::create(e.b, e.loc, memory, e.memoryOf(stack), expert);
  };
  // `body(first, size)` over [0, extent) in panels; what is left over is a panel of its own.
  auto panels = [&](int64_t extent, int64_t size, ValueRange carried,
                    llvm::function_ref<SmallVector<Value>(Value, int64_t, ValueRange)> body) {
    size = std::min(size, extent);
    int64_t whole = extent / size * size;
    SmallVector<Value> values = e.loop(e.index(0), e.index(whole), size, carried,
                                       [&](Value first, ValueRange now) { return body(first, size, now); });
    return whole == extent ? values : body(e.index(whole), extent - whole, values);
  };
  Emitter::MmaOptions turned{false, true, {}, tile::Triangle::none};

  // The result in parts that stay in registers from expert to expert.
  int64_t width = std::min(kHiddenPanel, hidden), parts = llvm::divideCeil(hidden, width);
  auto widthOf = [&](int64_t part) { return std::min(width, hidden - part * width); };
  SmallVector<Value> sums;
  for (int64_t part = 0; part < parts; ++part)
    sums.push_back(e.splat(0, 1, widthOf(part)));
  sums = e.loop(e.index(0), e.index(top), 1, sums, [&](Value j, ValueRange acc) {
    Value chosen =
        tile::LoadOp::create(e.b, e.loc, i32, e.memoryOf(op.getExperts()), e.item(), j, Value(), Value(), UnitAttr());
    Value expert = tile::ExtractOp::create(e.b, e.loc, e.b.getIndexType(), chosen, e.b.getI64IntegerAttr(0),
                                           e.b.getI64IntegerAttr(0));
    Value weight = e.load(e.memoryOf(op.getWeights()), one, j, 1);
    Value gates = memoryOf(op.getGate(), expert), ups = memoryOf(op.getUp(), expert),
          downs = memoryOf(op.getDown(), expert);
    return panels(inner, kInnerPanel, acc, [&](Value first, int64_t size, ValueRange acc) {
      SmallVector<Value> zero(2, e.splat(0, 1, size));
      SmallVector<Value> both = panels(hidden, kStep, zero, [&](Value k, int64_t step, ValueRange now) {
        Value x = e.load(e.memoryOf(op.getInput()), one, k, step);
        auto product = [&](Value memory, Value sum) {
          turned.acc = sum;
          return e.mma(x, e.load(memory, Rows{first, size, {}, {}}, k, step), turned);
        };
        return SmallVector<Value>{product(gates, now[0]), product(ups, now[1])};
      });
      Value h = e.map(e.tileType(1, size), {both[0], both[1], weight}, [&](OpBuilder &b, ValueRange in) -> Value {
        Value one = arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(1.0));
        Value s =
            arith::AddFOp::create(b, e.loc, one, math::ExpOp::create(b, e.loc, arith::NegFOp::create(b, e.loc, in[0])));
        Value silu = arith::DivFOp::create(b, e.loc, in[0], s);
        return arith::MulFOp::create(b, e.loc, arith::MulFOp::create(b, e.loc, silu, in[1]), in[2]);
      });
      SmallVector<Value> next;
      for (auto [part, sum] : llvm::enumerate(acc)) {
        Value w = e.load(downs, Rows{e.index(part * width), widthOf(part), {}, {}}, first, size);
        turned.acc = sum;
        next.push_back(e.mma(h, w, turned));
      }
      return next;
    });
  });
  for (auto [part, sum] : llvm::enumerate(sums))
    e.store(sum, 0, one, Window{int64_t(part) * width, {}, widthOf(part), widthOf(part)});
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}
