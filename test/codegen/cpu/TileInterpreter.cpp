#include "test/codegen/cpu/TileInterpreter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace denim;

static uint16_t round(float value, const llvm::fltSemantics &to) {
  llvm::APFloat x(value);
  bool lost;
  x.convert(to, llvm::APFloat::rmNearestTiesToEven, &lost);
  return uint16_t(x.bitcastToAPInt().getZExtValue());
}
static float widen(uint16_t bits, const llvm::fltSemantics &from) {
  llvm::APFloat x(from, llvm::APInt(16, bits));
  bool lost;
  x.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &lost);
  return x.convertToFloat();
}
float denim::test::fromBrain(uint16_t bits) {
  return widen(bits, llvm::APFloat::BFloat());
}
uint16_t denim::test::toBrain(float value) {
  return round(value, llvm::APFloat::BFloat());
}
float denim::test::fromHalf(uint16_t bits) {
  return widen(bits, llvm::APFloat::IEEEhalf());
}
uint16_t denim::test::toHalf(float value) {
  return round(value, llvm::APFloat::IEEEhalf());
}

namespace {

struct Tile {
  int64_t rows = 0, columns = 0;
  std::vector<double> at;
  double &operator()(int64_t i, int64_t j) { return at[i * columns + j]; }
};

struct Interpreter {
  explicit Interpreter(const denim_batch_t &batch) : batch(batch) {}
  const denim_batch_t &batch;
  llvm::DenseMap<Value, double> scalars; // i64, index and i32 are exact in double here
  llvm::DenseMap<Value, Tile> tiles;
  llvm::DenseMap<Value, char *> memories;

  static Tile make(Value v) {
    auto type = cast<tile::TileType>(v.getType());
    return {type.getRows(), type.getColumns(), std::vector<double>(type.getNumElements())};
  }
  int64_t integer(Value v) { return int64_t(scalars.lookup(v)); }

  static double read(const char *base, Type type, int64_t index) {
    if (type.isBF16())
      return test::fromBrain(reinterpret_cast<const uint16_t *>(base)[index]);
    if (type.isF16())
      return test::fromHalf(reinterpret_cast<const uint16_t *>(base)[index]);
    if (type.isInteger(32))
      return reinterpret_cast<const int32_t *>(base)[index];
    return reinterpret_cast<const float *>(base)[index];
  }
  /// Element (row, column) of rows in blocks (formats/blocks): the scale of its block times its integer.
  static double readBlocks(const char *base, formats::BlockFormat format, int64_t columns, int64_t row,
                           int64_t column) {
    bool wide = format == formats::BlockFormat::Q8_0;
    const char *scales = base + row * (columns / 32) * (wide ? 34 : 18), *integers = scales + columns / 32 * 2;
    double scale = test::fromHalf(reinterpret_cast<const uint16_t *>(scales)[column / 32]);
    if (wide)
      return scale * static_cast<signed char>(integers[column]);
    auto byte = static_cast<unsigned char>(integers[column / 32 * 16 + column % 16]);
    return scale * ((column % 32 < 16 ? byte % 16 : byte / 16) - 8);
  }
  static void write(char *base, Type type, int64_t index, double value) {
    if (type.isBF16())
      reinterpret_cast<uint16_t *>(base)[index] = test::toBrain(float(value));
    else if (type.isF16())
      reinterpret_cast<uint16_t *>(base)[index] = test::toHalf(float(value));
    else if (type.isInteger(32))
      reinterpret_cast<int32_t *>(base)[index] = int32_t(value);
    else
      reinterpret_cast<float *>(base)[index] = float(value);
  }

  double scalarOp(Operation &op, llvm::function_ref<double(Value)> get) {
    auto x = [&] { return get(op.getOperand(0)); };
    auto y = [&] { return get(op.getOperand(1)); };
    double result =
        llvm::TypeSwitch<Operation *, double>(&op)
            .Case([&](arith::ConstantOp c) {
              if (auto f = dyn_cast<FloatAttr>(c.getValue()))
                return f.getValueAsDouble();
              auto i = cast<IntegerAttr>(c.getValue());
              return i.getType().isInteger(1) ? double(i.getValue().getBoolValue()) : double(i.getInt());
            })
            .Case<arith::AddFOp, arith::AddIOp>([&](auto) { return x() + y(); })
            .Case<arith::SubFOp, arith::SubIOp>([&](auto) { return x() - y(); })
            .Case<arith::MulFOp, arith::MulIOp>([&](auto) { return x() * y(); })
            .Case([&](arith::DivFOp) { return x() / y(); })
            .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) { return std::trunc(x() / y()); })
            .Case<arith::RemSIOp, arith::RemUIOp>([&](auto) { return std::fmod(x(), y()); })
            .Case([&](arith::CeilDivSIOp) { return std::ceil(x() / y()); })
            .Case([&](arith::NegFOp) { return -x(); })
            .Case([&](arith::MaximumFOp) { return std::isnan(x()) || std::isnan(y()) ? NAN : std::max(x(), y()); })
            .Case([&](arith::MinimumFOp) { return std::isnan(x()) || std::isnan(y()) ? NAN : std::min(x(), y()); })
            .Case([&](arith::MaxNumFOp) { return std::fmax(x(), y()); })
            .Case([&](arith::MinNumFOp) { return std::fmin(x(), y()); })
            .Case([&](arith::MaxSIOp) { return std::max(x(), y()); })
            .Case([&](arith::MinSIOp) { return std::min(x(), y()); })
            .Case([&](arith::SIToFPOp) { return x(); })
            .Case([&](arith::FPToSIOp) { return std::trunc(x()); })
            .Case<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp, arith::ExtUIOp>([&](auto) { return x(); })
            .Case([&](arith::AndIOp) { return double(int64_t(x()) & int64_t(y())); })
            .Case([&](arith::OrIOp) { return double(int64_t(x()) | int64_t(y())); })
            .Case([&](arith::XOrIOp) { return double(int64_t(x()) ^ int64_t(y())); })
            .Case([&](arith::SelectOp) { return x() ? y() : get(op.getOperand(2)); })
            .Case([&](arith::CmpIOp c) {
              switch (c.getPredicate()) {
              case arith::CmpIPredicate::eq:
                return double(x() == y());
              case arith::CmpIPredicate::ne:
                return double(x() != y());
              case arith::CmpIPredicate::slt:
                return double(x() < y());
              case arith::CmpIPredicate::sle:
                return double(x() <= y());
              case arith::CmpIPredicate::sgt:
                return double(x() > y());
              case arith::CmpIPredicate::sge:
                return double(x() >= y());
              default:
                llvm_unreachable("unsigned comparison in a test");
              }
            })
            .Case([&](arith::CmpFOp c) {
              switch (c.getPredicate()) {
              case arith::CmpFPredicate::OLT:
                return double(x() < y());
              case arith::CmpFPredicate::OGT:
                return double(x() > y());
              case arith::CmpFPredicate::OGE:
                return double(x() >= y());
              case arith::CmpFPredicate::OLE:
                return double(x() <= y());
              case arith::CmpFPredicate::OEQ:
                return double(x() == y());
              case arith::CmpFPredicate::UNO:
                return double(std::isnan(x()) || std::isnan(y()));
              default:
                llvm_unreachable("comparison not in any test");
              }
            })
            .Case([&](math::ExpOp) { return std::exp(x()); })
            .Case([&](math::Exp2Op) { return std::exp2(x()); })
            .Case([&](math::ExpM1Op) { return std::expm1(x()); })
            .Case([&](math::LogOp) { return std::log(x()); })
            .Case([&](math::Log1pOp) { return std::log1p(x()); })
            .Case([&](math::SqrtOp) { return std::sqrt(x()); })
            .Case([&](math::RsqrtOp) { return 1 / std::sqrt(x()); })
            .Case([&](math::TanhOp) { return std::tanh(x()); })
            .Case([&](math::ErfOp) { return std::erf(x()); })
            .Case([&](math::SinOp) { return std::sin(x()); })
            .Case([&](math::CosOp) { return std::cos(x()); })
            .Case([&](math::AbsFOp) { return std::fabs(x()); })
            .Default([&](Operation *o) -> double {
              o->emitError() << "expected an op the interpreter knows, but got '" << o->getName() << "'";
              abort();
            });
    return op.getResult(0).getType().isF32() ? double(float(result)) : result;
  }

  void runBlock(Block &block) {
    for (Operation &op : block)
      if (!op.hasTrait<OpTrait::IsTerminator>())
        run(op);
  }
  void move(ValueRange from, ValueRange to) {
    std::vector<Tile> t;
    std::vector<double> s;
    for (Value v : from)
      t.push_back(tiles.lookup(v)), s.push_back(scalars.lookup(v));
    for (auto [i, v] : llvm::enumerate(to))
      if (isa<tile::TileType>(v.getType()))
        tiles[v] = t[i];
      else
        scalars[v] = s[i];
  }

  void run(Operation &op) {
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](scf::ForOp o) {
          move(o.getInitArgs(), o.getRegionIterArgs());
          for (int64_t i = integer(o.getLowerBound()); i < integer(o.getUpperBound()); i += integer(o.getStep())) {
            scalars[o.getInductionVar()] = double(i);
            runBlock(*o.getBody());
            move(o.getBody()->getTerminator()->getOperands(), o.getRegionIterArgs());
          }
          move(o.getRegionIterArgs(), o.getResults());
        })
        .Case([&](scf::IfOp o) {
          Region &taken = scalars.lookup(o.getCondition()) ? o.getThenRegion() : o.getElseRegion();
          if (taken.empty())
            return;
          runBlock(taken.front());
          move(taken.front().getTerminator()->getOperands(), o.getResults());
        })
        .Case([&](tile::CountOp o) {
          int64_t counts[] = {1, batch.token_count, batch.output_count, batch.sequence_count};
          scalars[o.getResult()] = double(counts[int(o.getKind())]);
        })
        .Case([&](tile::SequenceOp o) {
          int64_t i = integer(o.getIndex());
          scalars[o.getBegin()] = batch.row_begin[i], scalars[o.getEnd()] = batch.row_begin[i + 1];
          scalars[o.getPast()] = batch.past[i];
        })
        .Case([&](tile::RowsOp o) {
          const int32_t *lists[] = {batch.tokens, batch.positions, batch.outputs};
          Tile t = make(o.getResult());
          for (int64_t i = 0; i < t.rows; ++i)
            t(i, 0) =
                integer(o.getRow()) + i < integer(o.getCount()) ? lists[int(o.getList())][integer(o.getRow()) + i] : 0;
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::SlotOp o) {
          memories[o.getResult()] = reinterpret_cast<char **>(memories.lookup(o.getSlots()))[integer(o.getSequence())];
        })
        .Case([&](tile::StackedOp o) {
          memories[o.getResult()] = reinterpret_cast<char **>(memories.lookup(o.getStack()))[integer(o.getIndex())];
        })
        .Case([&](tile::PageOp o) {
          auto type = cast<tile::PagesType>(o.getPages().getType());
          int64_t page = batch.pages[batch.page_begin[integer(o.getSequence())] + integer(o.getPage())];
          int64_t element = type.getElementType().getIntOrFloatBitWidth() / 8;
          memories[o.getResult()] = memories.lookup(o.getPages()) + (page * type.getHeads() + integer(o.getHead())) *
                                                                        type.getTokens() * type.getColumns() * element;
        })
        .Case([&](tile::BlockOp o) {
          auto type = cast<tile::PagesType>(o.getPages().getType());
          int64_t bytes = type.getTokens() * type.getColumns() * type.getElementType().getIntOrFloatBitWidth() / 8;
          memories[o.getResult()] =
              memories.lookup(o.getPages()) + (integer(o.getNumber()) * type.getHeads() + integer(o.getHead())) * bytes;
        })
        .Case([&](tile::TransposeOp o) {
          Tile t = make(o.getResult()), from = tiles.lookup(o.getSource());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j)
              t(i, j) = from(j, i);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::FlattenOp o) {
          Tile t = make(o.getResult()), from = tiles.lookup(o.getSource());
          for (int64_t i = 0; i < from.rows; ++i)
            for (int64_t j = 0; j < from.columns; ++j)
              t(0, i * from.columns + j) = from(i, j);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::LoadOp o) {
          auto type = o.getMemory().getType();
          Tile t = make(o.getResult());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j) {
              int64_t row = integer(o.getRow()) + (o.getTransposed() ? j : i);
              int64_t column = integer(o.getColumn()) + (o.getTransposed() ? i : j);
              bool in = !o.getLo() || (row >= integer(o.getLo()) && row < integer(o.getHi()));
              const char *base = memories.lookup(o.getMemory());
              auto format = blockFormatOf(type.getElementType());
              if (!in)
                t(i, j) = 0;
              else if (format)
                t(i, j) = readBlocks(base, *format, type.getColumns(), row, column);
              else
                t(i, j) = read(base, type.getElementType(), row * type.getColumns() + column);
            }
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::GatherOp o) {
          auto type = o.getMemory().getType();
          Tile t = make(o.getResult()), rows = tiles.lookup(o.getRows());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j)
              t(i, j) = read(memories.lookup(o.getMemory()), type.getElementType(),
                             int64_t(rows(i, 0)) * type.getColumns() + integer(o.getColumn()) + j);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::ScatterOp o) {
          auto type = o.getMemory().getType();
          Tile t = tiles.lookup(o.getValue()), rows = tiles.lookup(o.getRows());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns && rows(i, 0) >= 0; ++j)
              write(memories.lookup(o.getMemory()), type.getElementType(),
                    int64_t(rows(i, 0)) * type.getColumns() + integer(o.getColumn()) + j, t(i, j));
        })
        .Case([&](tile::StoreOp o) {
          auto type = o.getMemory().getType();
          Tile t = tiles.lookup(o.getValue());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j) {
              int64_t row = integer(o.getRow()) + i;
              if (!o.getLo() || (row >= integer(o.getLo()) && row < integer(o.getHi())))
                write(memories.lookup(o.getMemory()), type.getElementType(),
                      row * type.getColumns() + integer(o.getColumn()) + j, t(i, j));
            }
        })
        .Case([&](tile::SplatOp o) {
          Tile t = make(o.getResult());
          std::fill(t.at.begin(), t.at.end(), scalars.lookup(o.getValue()));
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::WindowOp o) {
          Tile t = make(o.getResult()), from = tiles.lookup(o.getSource());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j)
              t(i, j) = from(o.getRow() + i, o.getColumn() + j);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::MapOp o) {
          Tile t = make(o.getResult());
          std::vector<Tile> inputs;
          for (Value v : o.getInputs())
            inputs.push_back(tiles.lookup(v));
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j) {
              for (auto [argument, input] : llvm::zip(o.getBody().getArguments(), inputs))
                scalars[argument] = input(input.rows == 1 ? 0 : i, input.columns == 1 ? 0 : j);
              for (Operation &inner : o.getBody().front().without_terminator())
                if (auto index = dyn_cast<tile::IndexOp>(inner))
                  scalars[index.getResult()] = double(index.getDimension() == 0 ? i : j);
                else
                  scalars[inner.getResult(0)] = scalarOp(inner, [&](Value v) { return scalars.lookup(v); });
              t(i, j) = scalars.lookup(o.getBody().front().getTerminator()->getOperand(0));
            }
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::ReduceOp o) {
          Tile t = make(o.getResult()), from = tiles.lookup(o.getSource());
          for (int64_t i = 0; i < from.rows; ++i)
            for (int64_t j = 0; j < from.columns; ++j) {
              double &sum = o.getDimension() == 0 ? t(0, j) : t(i, 0), x = from(i, j);
              bool first = (o.getDimension() == 0 ? i : j) == 0;
              if (first)
                sum = x;
              else if (o.getCombiner() == tile::Combiner::add)
                sum += x;
              else if (std::isnan(x) || std::isnan(sum))
                sum = NAN;
              else
                sum = o.getCombiner() == tile::Combiner::max ? std::max(sum, x) : std::min(sum, x);
            }
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::CumsumOp o) {
          Tile t = tiles.lookup(o.getSource());
          for (int64_t i = 1; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j)
              t(i, j) += t(i - 1, j);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::SpreadOp o) {
          Tile t = make(o.getResult()), from = tiles.lookup(o.getSource());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j)
              t(i, j) = from(i - i % int64_t(o.getGroup()) + o.getRow(), j);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::MmaOp o) {
          Tile t = make(o.getResult()), a = tiles.lookup(o.getLhs()), b = tiles.lookup(o.getRhs());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j) {
              double sum = o.getAcc() ? tiles[o.getAcc()](i, j) : 0;
              for (int64_t k = 0; k < o.getK(); ++k)
                sum += (o.getTransposeLhs() ? a(k, i) : a(i, k)) * (o.getTransposeRhs() ? b(j, k) : b(k, j));
              // Above the diagonal of a lower triangular result, and outside of blocks, anything may stand; a test
              // must not look.
              bool unused = o.getTriangle() == tile::Triangle::result && j > i;
              if (auto blocks = o.getBlocks())
                unused |= i / int64_t(*blocks) != j / int64_t(*blocks);
              t(i, j) = unused ? NAN : float(sum);
            }
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::SolveOp o) {
          Tile t = tiles.lookup(o.getRhs()), l = tiles.lookup(o.getLower());
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j)
              for (int64_t k = 0; k < i; ++k)
                t(i, j) -= l(i, k) * t(k, j);
          tiles[o.getResult()] = t;
        })
        .Case([&](tile::InverseOp o) {
          Tile t = tiles.lookup(o.getLower()), l = t;
          for (int64_t i = 0; i < t.rows; ++i)
            for (int64_t j = 0; j < t.columns; ++j) {
              double sum = i == j;
              for (int64_t k = 0; k < i; ++k)
                sum -= l(i, k) * t(k, j);
              t(i, j) = sum;
            }
          tiles[o.getResult()] = t;
        })
        .Default(
            [&](Operation *o) { scalars[o->getResult(0)] = scalarOp(*o, [&](Value v) { return scalars.lookup(v); }); });
  }
};

} // namespace

void denim::test::interpret(tile::KernelOp kernel, const denim_batch_t &batch, void *const *args, int64_t begin,
                            int64_t end) {
  Interpreter interpreter(batch);
  for (auto [i, memory] : llvm::enumerate(kernel.getMemories()))
    interpreter.memories[memory] = static_cast<char *>(args[i]);
  for (int64_t item = begin; item < end; ++item) {
    interpreter.scalars[kernel.getItem()] = double(item);
    interpreter.runBlock(*kernel.getBlock());
  }
}
