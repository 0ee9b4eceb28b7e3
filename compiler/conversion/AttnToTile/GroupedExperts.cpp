// Mixture of experts (spec/models.md section 3).
//
// Reading the weights of experts is what it costs. With few rows each reads those of its own: on a CPU in one kernel
// (Experts.cpp), where blocks of threads do items in two:
//
//   few_inner   h = silu(gate x) * up x             an item is some channels of one entry
//   few_outer   y = sum_j weight_j down h_j         an item is some channels of one row
//
// With many, rows that have chosen the same expert are multiplied together, so that an expert is read once (for each
// `groupRows` of them), by matrix products:
//
//   sort        the entries in the order of their experts    an item is one expert, which looks through all choices
//   gather      rows of the input in that order
//   inner       silu(gate x) * up x
//   outer       down h
//   combine     the weighted sum of a row's results
//
// On a CPU an item of the products is an expert and a panel of its weights, which are turned once for all rows. On a
// GPU there are as many blocks as fit, which walk through groups of an expert's rows: how many, only `sort` knows.
//
// Sorting needs no atomics, so every run gives the same bits: an expert counts the entries of experts before it, which
// is where its own begin.
#include "compiler/conversion/AttnToTile/GroupedExperts.h"
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include "compiler/tuning/Choices.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

/// Choices that `sort` looks at together: 16 registers of each of 256 threads for the choices, and as many for what is
/// made of them.
static constexpr int64_t kSortedTogether = 4096;
/// Rows and channels that are moved by one item: 64 registers of each of 256 threads at most, under way together.
static constexpr int64_t kMovedRows = 64, kMovedColumns = 256, kCombinedRows = 16;
/// Least step along the contraction: of bf16 the widest row of an operand that products read.
static constexpr int64_t kLeastStep = 64;
/// Blocks of products on a multiprocessor: sums of 128 x 256 and operands copied ahead leave no room for a second.
static constexpr int64_t kProductBlocks = 1;
/// On a CPU: rows of weights that are turned together, and rows that they multiply at once; what is left over, if few.
/// 64 rows of gate and of up are 1 MiB in f32 where the model has 2048 channels: what a core has near it.
static constexpr int64_t kPanelOfCpu = 64, kRowsOfCpu[] = {64, 16, 4};
/// With few rows, elements of weights that the threads of a block have under way: 64 registers of each of 256.
static constexpr int64_t kUnderWay = 16384;
/// All rows of a step count as one.
static constexpr int64_t kAllRows = int64_t(1) << 30;

namespace {

/// What `sort` leaves, in words of `rows` rows of a step:
///
///     [entries] row of each position | [entries] position of each entry | [groups] expert | [groups] begin
///     | [groups] end | [experts] begin | [experts] end
///
/// Groups are numbered with gaps, so that no expert need know how many the others have: those of an expert begin at
/// (its first position / groupRows) + its number. A group in a gap is empty.
struct Order {
  Order(Emitter &e, Value memory, const ExpertKernels &shape, tile::CountKind kind)
      : e(e), memory(memory), rows(tile::CountOp::create(e.b, e.loc, kind)), entries(e.mul(rows, shape.top())),
        groups(e.add(arith::DivUIOp::create(e.b, e.loc, entries, e.index(shape.groupRows())), e.index(shape.count()))),
        byEntry(entries), expertOfGroup(e.mul(entries, 2)), beginOfGroup(e.add(expertOfGroup, groups)),
        endOfGroup(e.add(beginOfGroup, groups)), beginOfExpert(e.add(endOfGroup, groups)),
        endOfExpert(e.add(beginOfExpert, e.index(shape.count()))) {}

  /// One word as an index.
  Value read(Value first, Value number) const {
    auto one = tile::TileType::get(e.b.getContext(), 1, 1, e.b.getI32Type());
    Value word =
        tile::LoadOp::create(e.b, e.loc, one, memory, e.add(first, number), e.index(0), Value(), Value(), UnitAttr());
    return e.firstAsIndex(word);
  }

  Emitter &e;
  Value memory, rows, entries, groups, byEntry, expertOfGroup, beginOfGroup, endOfGroup, beginOfExpert, endOfExpert;
};

class ExpertsWriter {
public:
  ExpertsWriter(plan::KernelOp kernel, const ExpertKernels &shape, const ExpertKernels::Form &form)
      : op(expertsOf(kernel)), kernel(kernel), shape(shape), form(form),
        productBlocks(shape.processors() * kProductBlocks), e(kernel, itemsOf(form.name)) {}

  tile::KernelOp write() {
    auto writeForm = llvm::StringSwitch<void (ExpertsWriter::*)()>(form.name)
                         .Case("few_inner", &ExpertsWriter::writeFewInner)
                         .Case("few_outer", &ExpertsWriter::writeFewOuter)
                         .Case("sort", &ExpertsWriter::writeSort)
                         .Case("gather", &ExpertsWriter::writeGather)
                         .Case("inner", &ExpertsWriter::writeInner)
                         .Case("outer", &ExpertsWriter::writeOuter)
                         .Case("combine", &ExpertsWriter::writeCombine)
                         .Default(nullptr);
    (this->*writeForm)();
    return e.failed() ? nullptr : e.tileKernel;
  }
  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  tile::ItemsAttr itemsOf(StringRef name) {
    auto items = [&](int64_t block, int64_t times) {
      return tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), block, times);
    };
    if (name == "few_inner")
      return items(1, shape.top() * panelsOf(shape.innerDim(), fewInnerColumns()));
    if (name == "few_outer")
      return items(1, panelsOf(shape.hidden(), fewOuterColumns()));
    if (name == "sort")
      return items(kAllRows, shape.count());
    if (name == "gather")
      return items(kMovedRows, shape.top() * panelsOf(shape.hidden(), kMovedColumns));
    if (name == "combine")
      return items(kCombinedRows, panelsOf(shape.hidden(), kMovedColumns));
    if (shape.isCuda())
      return items(kAllRows, productBlocks);
    return items(kAllRows, shape.count() * (name == "inner" ? panelsOf(shape.innerDim(), kPanelOfCpu)
                                                            : panelsOf(shape.hidden(), kPanelOfCpu)));
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Panels of columns
  //===------------------------------------------------------------------------------------------------------------===//

  static int64_t panelsOf(int64_t columns, int64_t limit) {
    return llvm::divideCeil(columns, panelWidth(columns, limit));
  }
  /// The last panel begins early enough to be whole: columns that two panels share are written twice, alike.
  Value firstColumn(Value panel, int64_t columns, int64_t limit) {
    int64_t width = panelWidth(columns, limit);
    return e.min(e.mul(panel, width), e.index(columns - width));
  }
  std::pair<Value, Value> divided(Value x, int64_t by) {
    return {arith::DivUIOp::create(e.b, e.loc, x, e.index(by)), arith::RemUIOp::create(e.b, e.loc, x, e.index(by))};
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Memory
  //===------------------------------------------------------------------------------------------------------------===//

  Value taken(ExpertKernels::Scratch scratch) {
    auto arguments = kernel.getBlock()->getArguments().take_back(form.takes.size());
    return e.memoryOf(arguments[llvm::find(form.takes, scratch) - form.takes.begin()]);
  }
  Value weightsOf(Value stack, Value expert) {
    auto type = cast<RankedTensorType>(stack.getType());
    auto memory = tile::MemoryType::get(e.b.getContext(), type.getDimSize(2), type.getElementType());
    return tile::StackedOp::create(e.b, e.loc, memory, e.memoryOf(stack), expert);
  }
  tile::TileType integers(int64_t rows, int64_t columns) {
    return tile::TileType::get(e.b.getContext(), rows, columns, e.b.getI32Type());
  }
  Value loadIntegers(Value memory, const Rows &rows, Value column, int64_t columns) {
    return tile::LoadOp::create(e.b, e.loc, integers(rows.count, columns), memory, rows.row, column, rows.lo, rows.hi,
                                UnitAttr());
  }
  Value toI32(Value index) { return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), index); }
  void store(Value tile, Value memory, const Rows &rows, Value column) {
    tile::StoreOp::create(e.b, e.loc, tile, memory, rows.row, column, rows.lo, rows.hi);
  }
  void scatter(Value tile, Value memory, Value rows) {
    tile::ScatterOp::create(e.b, e.loc, tile, memory, rows, e.index(0));
  }

  /// silu(gate) * up
  Value swiglu(Value gate, Value up) {
    return e.map(cast<tile::TileType>(gate.getType()), {gate, up}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value grows = math::ExpOp::create(b, e.loc, arith::NegFOp::create(b, e.loc, in[0]));
      Value silu = arith::DivFOp::create(b, e.loc, in[0], plus(b, e.loc, number(b, e.loc, 1), grows));
      return times(b, e.loc, silu, in[1]);
    });
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Few rows
  //===------------------------------------------------------------------------------------------------------------===//

  /// Rows of each of some matrices that an item multiplies with, all of them under way together.
  static int64_t fewColumns(int64_t length, int64_t matrices) {
    auto rows = static_cast<uint64_t>(kUnderWay / (length * matrices));
    return std::clamp<int64_t>(static_cast<int64_t>(llvm::bit_floor(rows)), 2, 16);
  }
  int64_t fewInnerColumns() const { return fewColumns(shape.hidden(), 2); }
  int64_t fewOuterColumns() const { return fewColumns(shape.innerDim(), expertsTogether()); }
  int64_t expertsTogether() const { return std::min<int64_t>(shape.top(), 4); }
  /// One piece of 8 elements for a thread, if they are not too many.
  void dealWarps(int64_t length) {
    int64_t warps = std::clamp<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(length, 8 * 32)), 4, 8);
    e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(warps));
  }

  void writeFewInner() {
    int64_t limit = fewInnerColumns(), width = panelWidth(shape.innerDim(), limit);
    dealWarps(shape.hidden());
    auto [entry, panel] = divided(e.item(), panelsOf(shape.innerDim(), limit));
    auto [row, j] = divided(entry, shape.top());
    Value expert = expertOf(row, j), column = firstColumn(panel, shape.innerDim(), limit);
    Value gates = weightsOf(op.getGate(), expert), ups = weightsOf(op.getUp(), expert);
    Value x = e.load(e.memoryOf(op.getInput()), Rows{row, 1, {}, {}}, e.index(0), shape.hidden());
    Rows rows{column, width, {}, {}};
    Value gate = e.load(gates, rows, e.index(0), shape.hidden()), up = e.load(ups, rows, e.index(0), shape.hidden());
    Value h = swiglu(e.mma(x, gate, kTurned), e.mma(x, up, kTurned));
    store(h, e.resultMemory(0), Rows{entry, 1, {}, {}}, column);
  }

  void writeFewOuter() {
    int64_t limit = fewOuterColumns(), width = panelWidth(shape.hidden(), limit);
    dealWarps(shape.innerDim());
    auto [row, panel] = divided(e.item(), panelsOf(shape.hidden(), limit));
    Value column = firstColumn(panel, shape.hidden(), limit), h = taken(ExpertKernels::inner);
    auto type = e.tileType(1, width);
    Value sum;
    for (int64_t first = 0; first < shape.top(); first += expertsTogether()) {
      int64_t last = std::min(first + expertsTogether(), shape.top());
      SmallVector<Value> downs, weights;
      for (int64_t j = first; j < last; ++j)
        downs.push_back(e.load(weightsOf(op.getDown(), expertOf(row, e.index(j))), Rows{column, width, {}, {}},
                               e.index(0), shape.innerDim()));
      for (int64_t j = first; j < last; ++j)
        weights.push_back(e.load(e.memoryOf(op.getWeights()), Rows{row, 1, {}, {}}, e.index(j), 1));
      for (int64_t j = first; j < last; ++j) {
        Value own =
            e.load(h, Rows{e.add(e.mul(row, shape.top()), e.index(j)), 1, {}, {}}, e.index(0), shape.innerDim());
        Value y = e.product(type, {e.mma(own, downs[j - first], kTurned), weights[j - first]});
        sum = !sum ? y : e.map(type, {sum, y}, [&](OpBuilder &b, ValueRange in) -> Value {
          return plus(b, e.loc, in[0], in[1]);
        });
      }
    }
    store(sum, e.resultMemory(0), Rows{row, 1, {}, {}}, column);
  }

  Value expertOf(Value row, Value j) {
    return e.firstAsIndex(loadIntegers(e.memoryOf(op.getExperts()), Rows{row, 1, {}, {}}, j, 1));
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Many rows
  //===------------------------------------------------------------------------------------------------------------===//

  void writeSort() {
    Order order(e, e.resultMemory(0), shape, rowKind(kernel));
    int64_t top = shape.top(), together = sortedRows();
    auto choices = e.tileType(together, top), column = e.tileType(together, 1), one = e.tileType(1, 1);
    Value expert32 = toI32(e.item());
    auto load = [&](Value row) {
      return loadIntegers(e.memoryOf(op.getExperts()), Rows{row, together, e.index(0), order.rows}, e.index(0), top);
    };
    // 1 where a choice compares so with this expert, 0 where it does not or is of no row.
    auto where = [&](Value chosen, Value row, arith::CmpIPredicate predicate) {
      Value left = toI32(e.sub(order.rows, row));
      return e.map(choices, chosen, [&](OpBuilder &b, ValueRange in) -> Value {
        Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
        Value is = arith::CmpIOp::create(b, e.loc, predicate, in[0], expert32);
        Value inside = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::slt, i, left);
        Value both = arith::AndIOp::create(b, e.loc, is, inside);
        return arith::SelectOp::create(b, e.loc, both, number(b, e.loc, 1), number(b, e.loc, 0));
      });
    };
    auto sum = [&](Value x, Value y) {
      return e.map(one, {x, y}, [&](OpBuilder &b, ValueRange in) -> Value { return plus(b, e.loc, in[0], in[1]); });
    };
    auto total = [&](Value tile) { return e.reduce(tile::Combiner::add, e.reduce(tile::Combiner::add, tile, 1), 0); };
    Value zero = e.splat(0, 1, 1);
    // Numbers of entries are exact as f32 up to 2^24.
    auto before = e.loop(e.index(0), order.rows, together, {zero}, [&](Value row, ValueRange now) {
      return SmallVector<Value>{sum(now[0], total(where(load(row), row, arith::CmpIPredicate::slt)))};
    });
    auto after = e.loop(e.index(0), order.rows, together, {before[0]}, [&](Value row, ValueRange now) {
      Value own = where(load(row), row, arith::CmpIPredicate::eq);
      Value flags = e.reduce(tile::Combiner::add, own, 1);
      Value which =
          e.reduce(tile::Combiner::add,
                   e.map(choices, own,
                         [&](OpBuilder &b, ValueRange in) -> Value {
                           Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
                           return times(b, e.loc, in[0], arith::SIToFPOp::create(b, e.loc, b.getF32Type(), j));
                         }),
                   1);
      Value counted = tile::CumsumOp::create(e.b, e.loc, column, flags);
      auto orNone = [&](OpBuilder &b, Value flag, Value number32) -> Value {
        Value is = arith::CmpFOp::create(b, e.loc, arith::CmpFPredicate::OGT, flag, number(b, e.loc, 0));
        return arith::SelectOp::create(b, e.loc, is, number32, integer(b, e.loc, -1));
      };
      auto toInteger = [&](OpBuilder &b, Value x) -> Value {
        return arith::FPToSIOp::create(b, e.loc, b.getI32Type(), x);
      };
      Value position =
          e.map(integers(together, 1), {flags, counted, now[0]}, [&](OpBuilder &b, ValueRange in) -> Value {
            Value behind = toInteger(b, plus(b, e.loc, in[1], in[2]));
            return orNone(b, in[0], arith::AddIOp::create(b, e.loc, behind, integer(b, e.loc, -1)));
          });
      Value row32 = toI32(row), entries32 = toI32(order.byEntry);
      auto ownRow = [&](OpBuilder &b) -> Value {
        Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
        return arith::AddIOp::create(b, e.loc, i, row32);
      };
      Value rows = e.map(integers(together, 1), flags, [&](OpBuilder &b, ValueRange) -> Value { return ownRow(b); });
      Value entry = e.map(integers(together, 1), {flags, which}, [&](OpBuilder &b, ValueRange in) -> Value {
        Value first = arith::MulIOp::create(b, e.loc, ownRow(b), integer(b, e.loc, top));
        Value word =
            arith::AddIOp::create(b, e.loc, arith::AddIOp::create(b, e.loc, first, toInteger(b, in[1])), entries32);
        return orNone(b, in[0], word);
      });
      scatter(rows, order.memory, position);
      scatter(position, order.memory, entry);
      return SmallVector<Value>{sum(now[0], e.window(counted, together - 1, 0, 1, 1))};
    });
    writeGroups(order, before[0], after[0]);
  }

  int64_t sortedRows() const {
    int64_t rows = kSortedTogether / static_cast<int64_t>(llvm::alignTo(shape.top(), 8));
    return std::clamp<int64_t>(static_cast<int64_t>(llvm::bit_floor(static_cast<uint64_t>(rows))), 64, 512);
  }

  /// The groups of an expert with the positions [begin, end), numbers in f32.
  void writeGroups(Order &order, Value begin, Value end) {
    auto stored = [&](Value number, Value list) -> Value {
      Value word = e.map(integers(1, 1), number, [&](OpBuilder &b, ValueRange in) -> Value {
        return arith::FPToSIOp::create(b, e.loc, b.getI32Type(), in[0]);
      });
      store(word, order.memory, Rows{e.add(list, e.item()), 1, {}, {}}, e.index(0));
      return e.firstAsIndex(word);
    };
    constexpr int64_t kTogether = 64;
    Value from = stored(begin, order.beginOfExpert), to = stored(end, order.endOfExpert);
    Value group = e.index(shape.groupRows());
    Value firstBlock = arith::DivUIOp::create(e.b, e.loc, from, group);
    Value lastBlock = arith::DivUIOp::create(e.b, e.loc, to, group);
    Value own = e.add(e.sub(lastBlock, firstBlock), e.index(1)), first = e.add(firstBlock, e.item());
    Value from32 = toI32(from), to32 = toI32(to), expert32 = toI32(e.item());
    e.loop(e.index(0), own, kTogether, [&](Value i) {
      Value i32 = toI32(i);
      auto words = [&](llvm::function_ref<Value(OpBuilder &, Value)> of) {
        Value zeros = tile::SplatOp::create(e.b, e.loc, integers(kTogether, 1), integer(e.b, e.loc, 0));
        return e.map(integers(kTogether, 1), zeros, [&](OpBuilder &b, ValueRange) -> Value {
          Value n = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
          n = arith::AddIOp::create(b, e.loc, n, i32);
          Value at = arith::MulIOp::create(b, e.loc, n, integer(b, e.loc, shape.groupRows()));
          return of(b, arith::AddIOp::create(b, e.loc, at, from32));
        });
      };
      auto write = [&](Value tile, Value list) {
        Value row = e.add(e.add(list, first), i);
        store(tile, order.memory, Rows{row, kTogether, row, e.add(e.add(list, first), own)}, e.index(0));
      };
      write(words([&](OpBuilder &, Value) { return expert32; }), order.expertOfGroup);
      write(words([&](OpBuilder &b, Value at) -> Value { return arith::MinSIOp::create(b, e.loc, at, to32); }),
            order.beginOfGroup);
      write(words([&](OpBuilder &b, Value at) -> Value {
              Value behind = arith::AddIOp::create(b, e.loc, at, integer(b, e.loc, shape.groupRows()));
              return arith::MinSIOp::create(b, e.loc, behind, to32);
            }),
            order.endOfGroup);
    });
  }

  void writeGather() {
    Order order(e, taken(ExpertKernels::order), shape, rowKind(kernel));
    auto [block, panel] = divided(e.item(), panelsOf(shape.hidden(), kMovedColumns));
    int64_t width = panelWidth(shape.hidden(), kMovedColumns);
    Value column = firstColumn(panel, shape.hidden(), kMovedColumns);
    Rows rows{e.mul(block, kMovedRows), kMovedRows, e.index(0), order.entries};
    Value from = loadIntegers(order.memory, rows, e.index(0), 1);
    Value x =
        tile::GatherOp::create(e.b, e.loc, e.tileType(kMovedRows, width), e.memoryOf(op.getInput()), from, column);
    store(x, e.resultMemory(0), rows, column);
  }

  /// `body(expert, rows of the group, first column)` for each group and panel that this block has to do.
  void forGroups(int64_t columns, int64_t limit, llvm::function_ref<void(Value, const Rows &, Value)> body) {
    Order order(e, taken(ExpertKernels::order), shape, rowKind(kernel));
    e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(8));
    e.tileKernel->setAttr("tile.ahead", e.b.getUnitAttr());
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(kProductBlocks));
    int64_t panels = panelsOf(columns, limit);
    e.loop(e.item(), e.mul(order.groups, panels), productBlocks, [&](Value number) {
      std::pair<Value, Value> item = divided(number, panels);
      Value group = item.first, panel = item.second;
      Value expert = order.read(order.expertOfGroup, group);
      Value begin = order.read(order.beginOfGroup, group), end = order.read(order.endOfGroup, group);
      e.branch(e.less(begin, end), [&] {
        body(expert, Rows{begin, shape.groupRows(), begin, end}, firstColumn(panel, columns, limit));
      });
    });
  }

  /// Products of `rows` of `x` with rows of weights from `column` on, all along the same contraction.
  SmallVector<Value> multiply(Value x, const Rows &rows, ArrayRef<Value> weights, Value column, int64_t width,
                              int64_t length) {
    // Rows behind the group are another's, or padding; what becomes of them is not stored.
    bool mayReadBehind = rows.count <= DENIM_ROW_PADDING * shape.top();
    auto step = [&](Value k, int64_t size, ValueRange sums) {
      SmallVector<Value> next, loaded;
      for (Value memory : weights)
        loaded.push_back(e.load(memory, Rows{column, width, {}, {}}, k, size));
      Value own = e.load(x, mayReadBehind ? Rows{rows.row, rows.count, {}, {}} : rows, k, size);
      for (auto [w, sum] : llvm::zip(loaded, sums))
        next.push_back(e.mma(own, w, {false, true, sum, tile::Triangle::none}));
      return next;
    };
    int64_t size = std::min(shape.stepChannels(), length), whole = length / size * size;
    SmallVector<Value> sums(weights.size(), e.splat(0, rows.count, width));
    sums = e.loop(e.index(0), e.index(whole), size, sums,
                  [&](Value k, ValueRange carried) { return step(k, size, carried); });
    return whole < length ? step(e.index(whole), length - whole, sums) : sums;
  }

  /// The same on a CPU: one expert and panel, its rows by products as large as there are rows left.
  /// `product(rows, weights)` is a tile of the result.
  void forExpert(int64_t columns, ArrayRef<Value> stacks,
                 llvm::function_ref<Value(const Rows &, ArrayRef<Value>)> product) {
    Order order(e, taken(ExpertKernels::order), shape, rowKind(kernel));
    auto [expert, panel] = divided(e.item(), panelsOf(columns, kPanelOfCpu));
    Value column = firstColumn(panel, columns, kPanelOfCpu), own = expert;
    Value begin = order.read(order.beginOfExpert, own), end = order.read(order.endOfExpert, own);
    auto walk = [&](Value from, Value to, int64_t rows) {
      SmallVector<Value> weights;
      for (Value stack : stacks)
        weights.push_back(e.load(weightsOf(stack, own), Rows{column, panelWidth(columns, kPanelOfCpu), {}, {}},
                                 e.index(0), cast<RankedTensorType>(stack.getType()).getDimSize(2)));
      e.loop(from, to, rows, [&](Value row) {
        store(product(Rows{row, rows, {}, {}}, weights), e.resultMemory(0), Rows{row, rows, begin, end}, column);
      });
    };
    // [begin, large) and [large, end) by the two sizes of panels that are turned; a handful of rows by weights in
    // place.
    Value rows = e.sub(end, begin);
    e.branch(
        e.less(rows, e.index(kRowsOfCpu[1])), [&] { walk(begin, end, kRowsOfCpu[2]); },
        [&] {
          Value large = e.sub(end, arith::RemUIOp::create(e.b, e.loc, rows, e.index(kRowsOfCpu[0])));
          walk(begin, large, kRowsOfCpu[0]);
          walk(large, end, kRowsOfCpu[1]);
        });
  }

  void writeInner() {
    Value x = taken(ExpertKernels::gathered);
    if (!shape.isCuda())
      return forExpert(shape.innerDim(), {op.getGate(), op.getUp()}, [&](const Rows &rows, ArrayRef<Value> weights) {
        Value own = e.load(x, rows, e.index(0), shape.hidden());
        return swiglu(e.mma(own, weights[0], kTurned), e.mma(own, weights[1], kTurned));
      });
    int64_t limit = shape.panelColumns() / 2, width = panelWidth(shape.innerDim(), limit);
    forGroups(shape.innerDim(), limit, [&](Value expert, const Rows &rows, Value column) {
      auto sums = multiply(x, rows, {weightsOf(op.getGate(), expert), weightsOf(op.getUp(), expert)}, column, width,
                           shape.hidden());
      store(swiglu(sums[0], sums[1]), e.resultMemory(0), rows, column);
    });
  }

  void writeOuter() {
    Value h = taken(ExpertKernels::inner);
    if (!shape.isCuda())
      return forExpert(shape.hidden(), op.getDown(), [&](const Rows &rows, ArrayRef<Value> weights) {
        return e.mma(e.load(h, rows, e.index(0), shape.innerDim()), weights[0], kTurned);
      });
    int64_t limit = shape.panelColumns(), width = panelWidth(shape.hidden(), limit);
    forGroups(shape.hidden(), limit, [&](Value expert, const Rows &rows, Value column) {
      auto sums = multiply(h, rows, {weightsOf(op.getDown(), expert)}, column, width, shape.innerDim());
      store(sums[0], e.resultMemory(0), rows, column);
    });
  }

  void writeCombine() {
    Order order(e, taken(ExpertKernels::order), shape, rowKind(kernel));
    auto [block, panel] = divided(e.item(), panelsOf(shape.hidden(), kMovedColumns));
    int64_t width = panelWidth(shape.hidden(), kMovedColumns);
    Value column = firstColumn(panel, shape.hidden(), kMovedColumns), row = e.mul(block, kCombinedRows);
    auto arguments = kernel.getBlock()->getArguments().take_back(form.takes.size());
    // Positions of a row's entries stand side by side, behind as many rows of that width.
    Value positions =
        e.viewOf(arguments[llvm::find(form.takes, ExpertKernels::order) - form.takes.begin()], shape.top());
    Rows rows{row, kCombinedRows, e.index(0), order.rows};
    Rows inPositions{e.add(order.rows, row), kCombinedRows, order.rows, e.add(order.rows, order.rows)};
    auto type = e.tileType(kCombinedRows, width);
    Value sum;
    for (int64_t j = 0; j < shape.top(); ++j) {
      Value position = loadIntegers(positions, inPositions, e.index(j), 1);
      Value y = tile::GatherOp::create(e.b, e.loc, type, taken(ExpertKernels::results), position, column);
      y = e.product(type, {y, e.load(e.memoryOf(op.getWeights()), rows, e.index(j), 1)});
      sum = !sum ? y : e.map(type, {sum, y}, [&](OpBuilder &b, ValueRange in) -> Value {
        return plus(b, e.loc, in[0], in[1]);
      });
    }
    store(sum, e.resultMemory(0), rows, column);
  }

  /// A product with rows of weights.
  const Emitter::MmaOptions kTurned{false, true, {}, tile::Triangle::none};
  model::ExpertsOp op;
  plan::KernelOp kernel;
  ExpertKernels shape;
  const ExpertKernels::Form &form;
  int64_t productBlocks;
  Emitter e;
};

} // namespace

model::ExpertsOp denim::expertsOf(plan::KernelOp kernel) {
  auto ops = kernel.getBlock()->getOps<model::ExpertsOp>();
  return ops.empty() ? nullptr : *ops.begin();
}

ArrayRef<ExpertKernels::Form> ExpertKernels::forms(bool isCuda) {
  static const Form ofCuda[] = {{"few_inner", true, {}, inner},
                                {"few_outer", true, {inner}, std::nullopt},
                                {"sort", false, {}, order},
                                {"gather", false, {order}, gathered},
                                {"inner", false, {order, gathered}, inner},
                                {"outer", false, {order, inner}, results},
                                {"combine", false, {order, results}, std::nullopt}};
  static const Form ofCpu[] = {
      {"few", true, {}, std::nullopt},           {"sort", false, {}, order},
      {"gather", false, {order}, gathered},      {"inner", false, {order, gathered}, inner},
      {"outer", false, {order, inner}, results}, {"combine", false, {order, results}, std::nullopt}};
  return isCuda ? ArrayRef<Form>(ofCuda) : ArrayRef<Form>(ofCpu);
}

const ExpertKernels::Form *ExpertKernels::find(StringRef name, bool isCuda) {
  ArrayRef<Form> all = forms(isCuda);
  const Form *form = llvm::find_if(all, [&](const Form &form) { return form.name == name; });
  return form == all.end() ? nullptr : form;
}

FailureOr<ExpertKernels> ExpertKernels::of(plan::KernelOp kernel) {
  model::ExpertsOp op = expertsOf(kernel);
  auto gate = cast<RankedTensorType>(op.getGate().getType());
  ExpertKernels all;
  // As memory keeps activations.
  all.element = cast<RankedTensorType>(withoutReshapes(op.getInput()).getType()).getElementType();
  all.experts = gate.getDimSize(0), all.innerChannels = gate.getDimSize(1), all.hiddenDim = gate.getDimSize(2);
  all.chosen = channelsOf(op.getWeights());
  all.group = kRowsOfCpu[0];
  tuning::ExpertShape shape{all.experts, all.chosen, all.hiddenDim, all.innerChannels,
                            gate.getElementTypeBitWidth() / 8};
  std::string text = tuning::shapeText(
      {{"experts", all.experts}, {"top", all.chosen}, {"hidden", all.hiddenDim}, {"inner", all.innerChannels}});
  tuning::Question rows{"experts.few_rows", text, {1, 2, 4, 8, 16, 32}, {}};
  if (!plan::isForCuda(kernel->getParentOfType<ModuleOp>())) {
    FailureOr<codegen::Target> target = tuning::cpuTargetOf(kernel);
    if (failed(target))
      return failure();
    rows.predict = [&](int64_t few) { return tuning::expertFewRows(*target, shape, few); };
  } else {
    FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
    if (failed(target))
      return failure();
    all.multiprocessors = target->multiprocessors;
    rows.predict = [&](int64_t few) { return tuning::expertFewRows(*target, shape, few); };
    tuning::Question group{"experts.group_rows", text, {64, 128}, [&](int64_t rows) {
                             return tuning::expertGroupRows(*target, shape, rows);
                           }};
    FailureOr<int64_t> together = tuning::choose(kernel, group);
    if (failed(together))
      return failure();
    all.group = *together;
    auto time = [&](int64_t columns, int64_t step) {
      return tuning::expertPanels(*target, shape, all.group, panelWidth(all.innerChannels, columns / 2),
                                  panelWidth(all.hiddenDim, columns), step);
    };
    tuning::Question panel{
        "experts.panel_columns", text, {}, [&](int64_t columns) { return time(columns, kLeastStep); }};
    // Of 256 columns with 128 rows, eight warps hold the sums. Narrow experts are one panel either way.
    if (all.innerChannels > 64 || all.hiddenDim > 128)
      panel.candidates.push_back(128);
    panel.candidates.push_back(256);
    FailureOr<int64_t> columns = tuning::choose(kernel, panel);
    if (failed(columns))
      return failure();
    all.panel = *columns;
    tuning::Question step{
        "experts.step_channels", text, {kLeastStep}, [&](int64_t step) { return time(all.panel, step); }};
    // Two steps at least, so that one is copied while the other is multiplied; those of f32 would not fit.
    if (std::min(all.innerChannels, all.hiddenDim) >= 4 * kLeastStep && all.element.isBF16() &&
        gate.getElementType().isBF16())
      step.candidates.push_back(2 * kLeastStep);
    FailureOr<int64_t> channels = tuning::choose(kernel, step);
    if (failed(channels))
      return failure();
    all.step = *channels;
  }
  FailureOr<int64_t> few = tuning::choose(kernel, rows);
  if (failed(few))
    return failure();
  all.few = *few;
  return all;
}

RankedTensorType ExpertKernels::tensorOf(Scratch scratch) const {
  auto rows = [&](int64_t columns, Type type) { return RankedTensorType::get({ShapedType::kDynamic, columns}, type); };
  if (scratch != order)
    return rows(chosen * (scratch == inner ? innerChannels : hiddenDim), element);
  // Two words for each entry, three for each group, two for each expert. Kernels that use it run with more than `few`
  // rows.
  int64_t groups = llvm::divideCeil(chosen, group), gaps = llvm::divideCeil(5 * experts, few + 1);
  return rows(2 * chosen + 3 * groups + gaps, IntegerType::get(element.getContext(), 32));
}

tile::MemoryType ExpertKernels::seenAs(Scratch scratch) const {
  MLIRContext *context = element.getContext();
  if (scratch == order)
    return tile::MemoryType::get(context, 1, IntegerType::get(context, 32));
  return tile::MemoryType::get(context, scratch == inner ? innerChannels : hiddenDim, element);
}

tile::KernelOp denim::emitGroupedExperts(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  auto name = kernel->getAttrOfType<StringAttr>("form");
  bool isCuda = plan::isForCuda(kernel->getParentOfType<ModuleOp>());
  const ExpertKernels::Form *form = name ? ExpertKernels::find(name.getValue(), isCuda) : nullptr;
  if (!form) {
    auto error = kernel.emitOpError() << "expected a form of the experts, but got ";
    name ? error << name : error << "none";
    return nullptr;
  }
  FailureOr<ExpertKernels> shape = ExpertKernels::of(kernel);
  if (failed(shape))
    return nullptr;
  ExpertsWriter writer(kernel, *shape, *form);
  tile::KernelOp written = writer.write();
  extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
  return written;
}
