#include "compiler/conversion/AttnToTile/Emitter.h"
#include "mlir/IR/IRMapping.h"
#include "runtime/abi/Kernel.h"
#include <cmath>

using namespace mlir;
using namespace denim;

//===--------------------------------------------------------------------------------------------------------------===//
// Shorthand
//===--------------------------------------------------------------------------------------------------------------===//

Value Emitter::real(double x) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(x));
}
Value Emitter::mul(Value x, int64_t n) {
  return arith::MulIOp::create(b, loc, x, index(n));
}
Value Emitter::less(Value x, Value y) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y);
}
Value Emitter::ceilDiv(Value x, Value y) {
  return arith::DivUIOp::create(b, loc, sub(add(x, y), index(1)), y);
}

tile::TileType Emitter::tileType(int64_t rows, int64_t columns) {
  return tile::TileType::get(b.getContext(), rows, columns, b.getF32Type());
}
Value Emitter::map(tile::TileType type, ValueRange inputs, Body body) {
  return tile::MapOp::create(b, loc, type, inputs,
                             [&](OpBuilder &inner, Location, ValueRange elements) { return body(inner, elements); });
}
Value Emitter::product(tile::TileType type, SmallVector<Value> factors) {
  llvm::erase(factors, Value());
  if (factors.size() < 2)
    return factors.empty() ? Value() : factors.front();
  return map(type, factors, [&](OpBuilder &b, ValueRange in) -> Value {
    Value all = in[0];
    for (Value factor : in.drop_front())
      all = arith::MulFOp::create(b, loc, all, factor);
    return all;
  });
}

Value Emitter::load(Value memory, const Rows &rows, Value column, int64_t columns) {
  return tile::LoadOp::create(b, loc, tileType(rows.count, columns), memory, rows.row, column,
                              rows.inside ? Value() : rows.lo, rows.inside ? Value() : rows.hi, UnitAttr());
}
Value Emitter::splat(double x, int64_t rows, int64_t columns) {
  return tile::SplatOp::create(b, loc, tileType(rows, columns), real(x));
}
Value Emitter::reduce(tile::Combiner combiner, Value source, int64_t dimension) {
  auto type = cast<tile::TileType>(source.getType());
  auto result = dimension == 0 ? type.withShape(1, type.getColumns()) : type.withShape(type.getRows(), 1);
  return tile::ReduceOp::create(b, loc, result, tile::CombinerAttr::get(b.getContext(), combiner), source,
                                b.getI64IntegerAttr(dimension));
}
Value Emitter::mma(Value lhs, Value rhs, MmaOptions options) {
  auto l = cast<tile::TileType>(lhs.getType()), r = cast<tile::TileType>(rhs.getType());
  auto type = tileType(options.transposeLhs ? l.getColumns() : l.getRows(),
                       options.transposeRhs ? r.getRows() : r.getColumns());
  auto unit = [&](bool set) { return set ? b.getUnitAttr() : UnitAttr(); };
  return tile::MmaOp::create(b, loc, type, lhs, rhs, options.acc, unit(options.transposeLhs),
                             unit(options.transposeRhs), tile::TriangleAttr::get(b.getContext(), options.triangle),
                             options.blocks ? b.getI64IntegerAttr(options.blocks) : IntegerAttr());
}
Value Emitter::turned(Value vector) {
  auto type = cast<tile::TileType>(vector.getType());
  Value one = splat(1.0, 1, 1);
  return type.getRows() == 1 ? mma(vector, one, {true, false, {}, tile::Triangle::none})
                             : mma(one, vector, {false, true, {}, tile::Triangle::none});
}
Value Emitter::spread(Value source, int64_t row, int64_t group) {
  return tile::SpreadOp::create(b, loc, source.getType(), source, row, group);
}
Value Emitter::firstAsIndex(Value tile) {
  return tile::ExtractOp::create(b, loc, b.getIndexType(), tile, b.getI64IntegerAttr(0), b.getI64IntegerAttr(0));
}

Value Emitter::window(Value source, int64_t row, int64_t column, int64_t rows, int64_t columns) {
  auto type = cast<tile::TileType>(source.getType());
  if (row == 0 && column == 0 && type.getRows() == rows && type.getColumns() == columns)
    return source;
  return tile::WindowOp::create(b, loc, type.withShape(rows, columns), source, row, column);
}

void Emitter::loop(Value lo, Value hi, int64_t step, llvm::function_ref<void(Value)> body) {
  loop(lo, hi, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}
SmallVector<Value> Emitter::loop(Value lo, Value hi, int64_t step, ValueRange carried,
                                 llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, loc, lo, hi, index(step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(loop.getResults());
}
void Emitter::branch(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
  if (otherwise) {
    b.setInsertionPointToStart(op.elseBlock());
    otherwise();
  }
}

SmallVector<Value> Emitter::choose(Value condition, llvm::function_ref<SmallVector<Value>()> then,
                                   llvm::function_ref<SmallVector<Value>()> otherwise) {
  auto side = [this](llvm::function_ref<SmallVector<Value>()> values) {
    return [this, values](OpBuilder &inside, Location where) {
      OpBuilder::InsertionGuard guard(b);
      b.restoreInsertionPoint(inside.saveInsertionPoint());
      SmallVector<Value> made = values();
      scf::YieldOp::create(b, where, made);
    };
  };
  auto op = scf::IfOp::create(b, loc, condition, side(then), side(otherwise));
  return SmallVector<Value>(op.getResults());
}

void Emitter::anchorProducts(const llvm::DenseMap<Value, Value> &products, const Window &window) {
  setAnchor([this, &products, window](Value value, const Rows &, const Window &asked) -> Value {
    if (!products.contains(value))
      return fail(value.getDefiningOp(), "expected a product with weights");
    if (asked.columns != window.columns || asked.base != 0 || asked.offset != window.offset)
      return fail(value.getDefiningOp(), "expected to be used at the columns of the result");
    return products.lookup(value);
  });
}

Value Emitter::fail(Operation *op, Twine what) {
  if (!hasFailed)
    op->emitOpError() << what;
  hasFailed = true;
  return {};
}

//===--------------------------------------------------------------------------------------------------------------===//
// The kernel's frame
//===--------------------------------------------------------------------------------------------------------------===//

tile::CountKind denim::rowKind(plan::KernelOp kernel) {
  auto rows = kernel->getAttrOfType<StringAttr>("rows");
  return rows && rows.getValue() == "outputs" ? tile::CountKind::outputs : tile::CountKind::tokens;
}

Type Emitter::memoryType(Type type) {
  MLIRContext *context = b.getContext();
  if (auto cache = dyn_cast<attn::CacheType>(type)) {
    if (cache.getKind() == attn::Kind::paged)
      return tile::PagesType::get(context, cache.getShape()[0], DENIM_PAGE_TOKENS, cache.getShape()[1],
                                  cache.getElementType());
    return tile::SlotsType::get(context, cache.getShape().back(), cache.getElementType());
  }
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.hasStaticShape())
    return tile::MemoryType::get(context, tensor.getShape().back(), tensor.getElementType());
  int64_t channels = 1;
  for (int64_t extent : tensor.getShape().drop_front())
    channels *= extent;
  return tile::MemoryType::get(context, channels, tensor.getElementType());
}

/// Tensors of fixed shape: weights and what else a checkpoint holds. No kernel writes them, but those that are
/// dequantized by a launch.
static bool isParameter(Value value) {
  auto argument = cast<BlockArgument>(value);
  auto tensor = dyn_cast<RankedTensorType>(argument.getType());
  auto kernel = cast<plan::KernelOp>(argument.getOwner()->getParentOp());
  return tensor && tensor.hasStaticShape() && !kernel.isDequantized(argument.getArgNumber());
}

Emitter::Emitter(plan::KernelOp kernel, tile::ItemsAttr items, StringRef variant) : b(kernel), loc(kernel.getLoc()) {
  OperationState state(loc, tile::KernelOp::getOperationName());
  std::string name = kernel.getSymName().str();
  if (!variant.empty())
    name += "_" + variant.str();
  tile::KernelOp::build(b, state, name, items);
  tileKernel = cast<tile::KernelOp>(b.create(state));
  Block *block = b.createBlock(&tileKernel.getBody());
  // Scratch of an op that several kernels do: last arguments of those that take it, results of those that make it.
  auto scratch = kernel->getAttrOfType<ArrayAttr>("scratch");
  auto scratchType = [&](unsigned index) { return cast<TypeAttr>(scratch[index]).getValue(); };
  auto isScratch = [](Value result) { return isa_and_nonnull<plan::ScratchOp>(result.getDefiningOp()); };
  OperandRange yielded = kernel.getBlock()->getTerminator()->getOperands();
  unsigned made = llvm::count_if(yielded, isScratch);
  unsigned taken = scratch ? scratch.size() - made : 0, own = kernel.getBlock()->getNumArguments() - taken;
  for (BlockArgument argument : kernel.getBlock()->getArguments()) {
    if (argument.getArgNumber() >= own) {
      memories[argument] = block->addArgument(scratchType(argument.getArgNumber() - own), loc);
      continue;
    }
    auto tensor = dyn_cast<RankedTensorType>(argument.getType());
    // Token ids are part of the step, not of a buffer.
    if (tensor && tensor.getRank() == 1 && tensor.isDynamicDim(0))
      continue;
    bool stacked = llvm::any_of(argument.getUses(), [](OpOperand &use) {
      return isa<model::ExpertsOp>(use.getOwner()) && use.getOperandNumber() >= 3;
    });
    Type type = stacked ? tile::StackType::get(b.getContext(), tensor.getDimSize(0), tensor.getDimSize(2),
                                               tensor.getElementType())
                        : memoryType(argument.getType());
    memories[argument] = block->addArgument(type, loc);
  }
  unsigned nextMade = taken;
  for (Value result : yielded)
    results.push_back(
        block->addArgument(isScratch(result) ? scratchType(nextMade++) : memoryType(result.getType()), loc));
  block->addArgument(b.getIndexType(), loc);
  b.setInsertionPointToStart(block);
  SmallVector<int64_t> constants;
  for (auto &[argument, memory] : memories)
    if (isParameter(argument))
      constants.push_back(cast<BlockArgument>(memory).getArgNumber());
  llvm::sort(constants);
  if (!constants.empty())
    tileKernel->setAttr("tile.constants", b.getDenseI64ArrayAttr(constants));
}

int64_t Emitter::positionOf(Value argument) const {
  return cast<BlockArgument>(memoryOf(argument)).getArgNumber();
}
int64_t Emitter::positionOfResult(unsigned index) const {
  return cast<BlockArgument>(results[index]).getArgNumber();
}

Value Emitter::viewOf(Value argument, int64_t columns) {
  argument = withoutReshapes(argument);
  auto memory = cast<tile::MemoryType>(memories.lookup(argument).getType());
  unsigned position = memories.size() + extras.size();
  extras.push_back(cast<BlockArgument>(argument).getArgNumber());
  if (isParameter(argument)) {
    auto constants = tileKernel->getAttrOfType<DenseI64ArrayAttr>("tile.constants");
    SmallVector<int64_t> more(constants.asArrayRef());
    more.push_back(position);
    tileKernel->setAttr("tile.constants", b.getDenseI64ArrayAttr(more));
  }
  return tileKernel.getBlock()->insertArgument(
      position, tile::MemoryType::get(b.getContext(), columns, memory.getElementType()), loc);
}

void Emitter::store(Value tile, unsigned index, const Rows &rows, const Window &window) {
  if (!tile)
    return;
  tile::StoreOp::create(b, loc, tile, results[index], rows.row, firstChannel(b, loc, window),
                        rows.inside ? Value() : rows.lo, rows.inside ? Value() : rows.hi);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------------------------===//

Value Emitter::emitVector(Value param, const Window &window) {
  Rows rows{index(0), 1, {}, {}};
  return load(memories.lookup(param), rows, firstChannel(b, loc, window), window.columns);
}

Value Emitter::emit(Value value, const Rows &rows, const Window &window) {
  if (Value memory = memories.lookup(value))
    return load(memory, rows, firstChannel(b, loc, window), window.columns);
  Operation *op = value.getDefiningOp();
  if (isReshape(op))
    return emit(op->getOperand(0), rows, window);
  if (auto split = dyn_cast<model::SplitOp>(op)) {
    auto inner = throughSplit(b, loc, split, cast<OpResult>(value).getResultNumber(), window);
    if (mlir::failed(inner))
      return fail(op, "expected a tile within one group of the split, but got " + Twine(window.columns) + " columns");
    return emit(split.getInput(), rows, *inner);
  }
  if (auto concat = dyn_cast<model::ConcatOp>(op)) {
    auto inner = throughConcat(concat, window);
    if (mlir::failed(inner))
      return fail(op, "expected a tile within one input of the concatenation, but got channels " + Twine(window.base) +
                          " to " + Twine(window.base + window.extent));
    return emit(inner->first, rows, inner->second);
  }
  if (isa<model::AddOp, model::MulOp>(op))
    return emitBinary(op, rows, window);
  if (isa<model::SiluOp, model::SigmoidOp, model::SoftplusOp, model::ExpOp, model::ScaleOp>(op))
    return emitUnary(op, rows, window);
  if (auto norm = dyn_cast<model::RmsNormOp>(op))
    return emitNorm(norm.getInput(), norm.getWeight(), norm.getEps().convertToDouble(), true, norm.getZeroCentered(),
                    op, rows, window);
  if (auto norm = dyn_cast<model::L2NormOp>(op))
    return emitNorm(norm.getInput(), {}, norm.getEps().convertToDouble(), false, false, op, rows, window);
  if (auto conv = dyn_cast<attn::ShortConvOp>(op))
    return emitConv(conv, rows, window);
  if (auto rotary = dyn_cast<attn::RotaryOp>(op))
    return emitRotary(rotary, rows, window);
  if (auto decay = dyn_cast<attn::LogDecayOp>(op))
    return emitLogDecay(decay, rows, window);
  if (auto select = dyn_cast<model::SelectOp>(op))
    return emitSelect(select, rows, window);
  if (auto embed = dyn_cast<model::EmbedOp>(op))
    return emitEmbed(embed, rows, window);
  if (anchor)
    return anchor(value, rows, window);
  return fail(op, "expected a value that a tile program can compute here");
}

/// 1 / (1 + exp(-x)); exp overflows to infinity for very negative x, which gives 0.
static Value sigmoid(OpBuilder &b, Location loc, Value x) {
  Value one = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1.0));
  Value e = math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, x));
  return arith::DivFOp::create(b, loc, one, arith::AddFOp::create(b, loc, one, e));
}

/// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)): nothing overflows, and a logarithm of numbers from 1 to 2 is
/// cheap.
static Value softplus(OpBuilder &b, Location loc, Value x) {
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0));
  Value below = arith::NegFOp::create(b, loc, math::AbsFOp::create(b, loc, x));
  Value soft = math::Log1pOp::create(b, loc, math::ExpOp::create(b, loc, below));
  return arith::AddFOp::create(b, loc, arith::MaximumFOp::create(b, loc, x, zero), soft);
}

Value denim::elementwise(OpBuilder &b, Location loc, Operation *op, ValueRange in) {
  Value e = in[0];
  if (isa<model::SigmoidOp>(op))
    return sigmoid(b, loc, e);
  if (isa<model::SiluOp>(op))
    return arith::MulFOp::create(b, loc, e, sigmoid(b, loc, e));
  if (isa<model::SoftplusOp>(op))
    return softplus(b, loc, e);
  if (isa<model::ExpOp>(op))
    return math::ExpOp::create(b, loc, e);
  if (isa<model::AddOp>(op))
    return arith::AddFOp::create(b, loc, in[0], in[1]);
  if (isa<model::MulOp>(op))
    return arith::MulFOp::create(b, loc, in[0], in[1]);
  double factor = cast<model::ScaleOp>(op).getFactor().convertToDouble();
  return arith::MulFOp::create(b, loc, e, arith::ConstantOp::create(b, loc, b.getF32FloatAttr(factor)));
}

Value Emitter::emitUnary(Operation *op, const Rows &rows, const Window &window) {
  Value x = emit(op->getOperand(0), rows, window);
  if (!x)
    return {};
  return map(tileType(rows.count, window.columns), x,
             [&](OpBuilder &b, ValueRange in) -> Value { return elementwise(b, loc, op, in); });
}

Value Emitter::emitBinary(Operation *op, const Rows &rows, const Window &window) {
  auto result = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<Value> tiles;
  for (Value operand : op->getOperands()) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.isDynamicDim(0)) {
      // A last axis of 1 meets every channel: one number for each token, or for each of its heads.
      int64_t width = result.getShape().back();
      Window inner = window;
      if (type.getShape().back() == 1 && width != 1) {
        if (type.getRank() == 2)
          inner = Window::whole(1);
        else if (width % window.columns == 0)
          inner = {0, arith::DivUIOp::create(b, loc, firstChannel(b, loc, window), index(width)), type.getDimSize(1),
                   1};
        else
          return fail(op, "expected a tile within one head of " + Twine(width) + " channels, but got " +
                              Twine(window.columns));
      }
      tiles.push_back(emit(operand, rows, inner));
    } else {
      // A parameter that is the tail of the other shape: it repeats along the heads.
      int64_t period = type.getNumElements();
      Window inner = window;
      if (period == window.columns || period == 1)
        inner = Window::whole(period);
      else if (result.getRank() == 3 && type.getRank() == 1) {
        Value channel = firstChannel(b, loc, window);
        inner = {0, arith::RemUIOp::create(b, loc, channel, index(period)), period, window.columns};
      }
      tiles.push_back(emitVector(operand, inner));
    }
    if (!tiles.back())
      return {};
  }
  return map(tileType(rows.count, window.columns), tiles,
             [&](OpBuilder &b, ValueRange in) -> Value { return elementwise(b, loc, op, in); });
}

Value denim::normalised(OpBuilder &b, Location loc, ValueRange in, int64_t count, double eps, bool zeroCentered) {
  auto constant = [&](double c) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(c)); };
  Value s = count > 1 ? arith::MulFOp::create(b, loc, in[1], constant(1.0 / count)).getResult() : in[1];
  Value root = math::SqrtOp::create(b, loc, arith::AddFOp::create(b, loc, s, constant(eps)));
  Value y = arith::MulFOp::create(b, loc, in[0], arith::DivFOp::create(b, loc, constant(1.0), root));
  if (in.size() < 3)
    return y;
  Value w = zeroCentered ? arith::AddFOp::create(b, loc, in[2], constant(1.0)).getResult() : in[2];
  return arith::MulFOp::create(b, loc, y, w);
}

Value Emitter::emitNorm(Value input, Value weight, double eps, bool mean, bool zeroCentered, Operation *op,
                        const Rows &rows, const Window &window) {
  int64_t width = cast<RankedTensorType>(input.getType()).getShape().back();
  if (window.columns != width)
    return fail(op, "expected a tile of the " + Twine(width) + " channels that are normed together, but got " +
                        Twine(window.columns));
  Value x = emit(input, rows, window);
  if (!x)
    return {};
  auto type = tileType(rows.count, width);
  Value squares =
      map(type, x, [&](OpBuilder &b, ValueRange in) -> Value { return arith::MulFOp::create(b, loc, in[0], in[0]); });
  Value sum = reduce(tile::Combiner::add, squares, 1);
  SmallVector<Value> inputs{x, sum};
  if (weight)
    inputs.push_back(emitVector(weight, Window::whole(width)));
  return map(type, inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    return normalised(b, loc, in, mean ? width : 1, eps, zeroCentered);
  });
}

Value Emitter::emitConv(attn::ShortConvOp op, const Rows &rows, const Window &window) {
  if (!sequence || !rows.lo)
    return fail(op, "expected to be computed sequence by sequence");
  int64_t taps = op.getTaps(), before = taps - 1;
  Rows all{sub(rows.row, index(before)), rows.count + before, rows.lo, rows.hi};
  Value x = emit(op.getInput(), all, window);
  if (!x)
    return {};
  auto type = tileType(all.count, window.columns);
  if (before > 0 && readsTails) {
    // Rows before this step: row i of the tile is row (row - lo) + i of the tail, as long as there is one.
    Type stored = cast<attn::CacheType>(op.getTail().getType()).getElementType();
    Value tail = tile::SlotOp::create(b, loc, tile::MemoryType::get(b.getContext(), channelsOf(op.getInput()), stored),
                                      memoryOf(op.getTail()), sequence);
    Rows old{sub(rows.row, rows.lo), all.count, index(0), index(before)};
    Value history = load(tail, old, firstChannel(b, loc, window), window.columns);
    x = map(type, {x, history},
            [&](OpBuilder &b, ValueRange in) -> Value { return arith::AddFOp::create(b, loc, in[0], in[1]); });
  }
  // weight[c, j] as row j.
  Value weight = tile::LoadOp::create(b, loc, tileType(taps, window.columns), memoryOf(op.getWeight()),
                                      firstChannel(b, loc, window), index(0), Value(), Value(), b.getUnitAttr());
  SmallVector<Value> inputs;
  for (int64_t j = 0; j < taps; ++j)
    inputs.push_back(this->window(x, j, 0, rows.count, window.columns));
  for (int64_t j = 0; j < taps; ++j)
    inputs.push_back(this->window(weight, j, 0, 1, window.columns));
  if (op.getBias())
    inputs.push_back(emitVector(op.getBias(), window));
  return map(tileType(rows.count, window.columns), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value sum = arith::MulFOp::create(b, loc, in[0], in[taps]);
    for (int64_t j = 1; j < taps; ++j)
      sum = arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, in[j], in[taps + j]));
    return op.getBias() ? arith::AddFOp::create(b, loc, sum, in.back()).getResult() : sum;
  });
}

/// Position times theta^(-2m/over), the power as the product over the bits of m, in f64: the reference rounds the exact
/// frequency to f32.
static Value rotaryAngle(OpBuilder &b, Location loc, attn::RotaryOp op, Value m, Value position) {
  int64_t over = op.getOver();
  auto real = [&](double c) -> Value { return arith::ConstantOp::create(b, loc, b.getF64FloatAttr(c)); };
  auto i32 = [&](int64_t n) -> Value { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(n)); };
  Value frequency = real(1.0);
  for (int64_t bit = 1; bit < over / 2; bit *= 2) {
    double factor = std::pow(op.getTheta().convertToDouble(), -2.0 * bit / over);
    Value set =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, arith::AndIOp::create(b, loc, m, i32(bit)), i32(0));
    Value f = arith::SelectOp::create(b, loc, set, real(factor), real(1.0));
    frequency = arith::MulFOp::create(b, loc, frequency, f);
  }
  Value number = arith::SIToFPOp::create(b, loc, b.getF32Type(), position);
  return arith::MulFOp::create(b, loc, number, arith::TruncFOp::create(b, loc, b.getF32Type(), frequency));
}

Value Emitter::positionsOf(const Rows &rows) {
  Value n = rows.hi ? rows.hi : tile::CountOp::create(b, loc, tile::CountKind::tokens).getResult();
  return tile::RowsOp::create(b, loc, tile::TileType::get(b.getContext(), rows.count, 1, b.getI32Type()),
                              tile::RowListAttr::get(b.getContext(), tile::RowList::positions), rows.row, n);
}

SmallVector<Emitter::Part> Emitter::emitParts(Value value, const Rows &rows, const Window &window) {
  auto rotary = withoutReshapes(value).getDefiningOp<attn::RotaryOp>();
  if (!rotary || rotary.getInterleaved() || memories.contains(rotary.getResult()))
    return {{emit(value, rows, window), 0}};
  int64_t width = cast<RankedTensorType>(rotary.getInput().getType()).getDimSize(2);
  if (window.columns != width)
    return {{emit(value, rows, window), 0}};
  // The two halves of what is rotated are tiles of their own: no channel has to move.
  int64_t over = rotary.getOver(), half = over / 2;
  Value x = emit(rotary.getInput(), rows, window);
  if (!x)
    return {{Value(), 0}};
  Value low = this->window(x, 0, 0, rows.count, half), high = this->window(x, 0, half, rows.count, half);
  Value positions = positionsOf(rows);
  SmallVector<Part> parts;
  for (bool isHigh : {false, true}) {
    Value turned = map(tileType(rows.count, half), {low, high, positions}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value m = tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(1));
      Value angle = rotaryAngle(b, loc, rotary, m, in[2]);
      Value own = arith::MulFOp::create(b, loc, in[isHigh ? 1 : 0], math::CosOp::create(b, loc, angle));
      Value other = arith::MulFOp::create(b, loc, in[isHigh ? 0 : 1], math::SinOp::create(b, loc, angle));
      if (isHigh)
        return arith::AddFOp::create(b, loc, own, other);
      return arith::SubFOp::create(b, loc, own, other);
    });
    parts.push_back({turned, isHigh ? half : 0});
  }
  if (over < width)
    parts.push_back({this->window(x, 0, over, rows.count, width - over), over});
  return parts;
}

Value Emitter::emitRotary(attn::RotaryOp op, const Rows &rows, const Window &window) {
  int64_t width = cast<RankedTensorType>(op.getInput().getType()).getDimSize(2);
  if (window.columns != width)
    return fail(op, "expected a tile of one head of " + Twine(width) + " channels, but got " + Twine(window.columns));
  Value x = emit(op.getInput(), rows, window);
  if (!x)
    return {};
  int64_t over = op.getOver(), half = over / 2;
  bool interleaved = op.getInterleaved();
  auto i32 = [&](OpBuilder &b, int64_t n) -> Value {
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(n));
  };
  auto compare = [&](OpBuilder &b, arith::CmpIPredicate p, Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, loc, p, x, y);
  };

  // The partner of each channel, with its sign, by a product with a matrix of 0, 1 and -1: exact, and as cheap on a
  // matrix unit as anything else that moves channels.
  auto square = tileType(width, width);
  Value swap = map(square, {}, [&](OpBuilder &b, ValueRange) -> Value {
    Value row = tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(0));
    Value column = tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(1));
    Value first, partner;
    if (interleaved) {
      first = compare(b, arith::CmpIPredicate::eq, arith::AndIOp::create(b, loc, column, i32(b, 1)), i32(b, 0));
      partner = arith::XOrIOp::create(b, loc, column, i32(b, 1));
    } else {
      first = compare(b, arith::CmpIPredicate::slt, column, i32(b, half));
      partner = arith::SelectOp::create(b, loc, first, arith::AddIOp::create(b, loc, column, i32(b, half)),
                                        arith::SubIOp::create(b, loc, column, i32(b, half)));
    }
    Value rotated = compare(b, arith::CmpIPredicate::slt, column, i32(b, over));
    Value hit = arith::AndIOp::create(b, loc, rotated, compare(b, arith::CmpIPredicate::eq, row, partner));
    auto f = [&](double c) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(c)); };
    return arith::SelectOp::create(b, loc, hit, arith::SelectOp::create(b, loc, first, f(-1), f(1)), f(0));
  });
  Value partner = mma(x, swap);

  Value positions = positionsOf(rows);
  return map(tileType(rows.count, width), {x, partner, positions}, [&](OpBuilder &b, ValueRange in) -> Value {
    Value column = tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(1));
    Value m = interleaved ? arith::ShRUIOp::create(b, loc, column, i32(b, 1)).getResult()
                          : arith::SelectOp::create(b, loc, compare(b, arith::CmpIPredicate::slt, column, i32(b, half)),
                                                    column, arith::SubIOp::create(b, loc, column, i32(b, half)))
                                .getResult();
    Value angle = rotaryAngle(b, loc, op, m, in[2]);
    Value turned =
        arith::AddFOp::create(b, loc, arith::MulFOp::create(b, loc, in[0], math::CosOp::create(b, loc, angle)),
                              arith::MulFOp::create(b, loc, in[1], math::SinOp::create(b, loc, angle)));
    return arith::SelectOp::create(b, loc, compare(b, arith::CmpIPredicate::slt, column, i32(b, over)), turned, in[0]);
  });
}

Value denim::logDecay(OpBuilder &b, Location loc, attn::LogDecayOp op, ValueRange in) {
  Value shifted = arith::AddFOp::create(b, loc, in[0], in[2]);
  Value rate = math::ExpOp::create(b, loc, in[1]);
  if (auto bound = op.getLowerBound()) {
    Value least = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(bound->convertToDouble()));
    return arith::MulFOp::create(b, loc, least, sigmoid(b, loc, arith::MulFOp::create(b, loc, rate, shifted)));
  }
  return arith::MulFOp::create(b, loc, arith::NegFOp::create(b, loc, rate), softplus(b, loc, shifted));
}

Value Emitter::emitLogDecay(attn::LogDecayOp op, const Rows &rows, const Window &window) {
  Value x = emit(op.getInput(), rows, window);
  if (!x)
    return {};
  // A decay per channel has one rate for all channels of a head.
  auto input = cast<RankedTensorType>(op.getInput().getType());
  Window heads = window;
  if (input.getRank() == 3) {
    int64_t width = input.getDimSize(2);
    if (width % window.columns)
      return fail(op,
                  "expected a tile within one head of " + Twine(width) + " channels, but got " + Twine(window.columns));
    heads = {0, arith::DivUIOp::create(b, loc, firstChannel(b, loc, window), index(width)), input.getDimSize(1), 1};
  }
  Value bias = memories.lookup(op.getBias());
  bool flat = cast<RankedTensorType>(op.getBias().getType()).getRank() == 1;
  Value biasTile;
  if (flat) {
    biasTile = emitVector(op.getBias(), window);
  } else {
    Value column = arith::RemUIOp::create(b, loc, firstChannel(b, loc, window), index(input.getDimSize(2)));
    biasTile = load(bias, {heads.offset, 1, {}, {}}, column, window.columns);
  }
  SmallVector<Value> inputs{x, emitVector(op.getLogRate(), heads), biasTile};
  return map(tileType(rows.count, window.columns), inputs,
             [&](OpBuilder &b, ValueRange in) -> Value { return logDecay(b, loc, op, in); });
}

/// Rows of memory whose numbers stand in a list of the step.
static Value gatherRows(Emitter &e, Value memory, tile::RowList list, Value below, const Rows &rows,
                        const Window &window) {
  auto i32 = tile::TileType::get(e.b.getContext(), rows.count, 1, e.b.getI32Type());
  Value numbers =
      tile::RowsOp::create(e.b, e.loc, i32, tile::RowListAttr::get(e.b.getContext(), list), rows.row, below);
  return tile::GatherOp::create(e.b, e.loc, e.tileType(rows.count, window.columns), memory, numbers,
                                firstChannel(e.b, e.loc, window));
}

Value Emitter::emitSelect(model::SelectOp op, const Rows &rows, const Window &window) {
  Value memory = memoryOf(op.getInput());
  if (!memory)
    return fail(op, "expected an input that stands in memory");
  Value n = tile::CountOp::create(b, loc, tile::CountKind::outputs);
  return gatherRows(*this, memory, tile::RowList::outputs, n, rows, window);
}

Value Emitter::emitEmbed(model::EmbedOp op, const Rows &rows, const Window &window) {
  Value n = tile::CountOp::create(b, loc, tile::CountKind::tokens);
  return gatherRows(*this, memoryOf(op.getTable()), tile::RowList::tokens, n, rows, window);
}
