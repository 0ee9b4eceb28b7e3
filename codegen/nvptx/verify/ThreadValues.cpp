#include "codegen/nvptx/verify/ThreadValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace denim::codegen::nvptx;

const PerThread *ThreadValues::lookup(Value value) const {
  auto it = known.find(value);
  return it == known.end() ? nullptr : &it->second;
}

std::optional<int64_t> ThreadValues::uniform(Value value) const {
  const PerThread *numbers = lookup(value);
  if (!numbers || !numbers->isUniform())
    return std::nullopt;
  return (*numbers)[0];
}

void ThreadValues::set(Value value, std::optional<PerThread> numbers) {
  if (numbers)
    known.insert_or_assign(value, std::move(*numbers));
  else
    known.erase(value);
}

void ThreadValues::evaluate(Operation *op) {
  if (op->getNumResults() == 1)
    set(op->getResult(0), compute(op));
}

std::optional<PerThread> ThreadValues::each(ArrayRef<Value> operands,
                                            function_ref<std::optional<int64_t>(ArrayRef<int64_t>)> of) const {
  SmallVector<const PerThread *, 3> from;
  bool uniform = true;
  for (Value operand : operands) {
    from.push_back(lookup(operand));
    if (!from.back())
      return std::nullopt;
    uniform &= from.back()->isUniform();
  }
  SmallVector<int64_t, 0> results;
  results.reserve(uniform ? 1 : threads);
  SmallVector<int64_t, 3> in(operands.size());
  for (int64_t thread = 0; thread < (uniform ? 1 : threads); ++thread) {
    for (size_t i = 0; i < in.size(); ++i)
      in[i] = (*from[i])[thread];
    auto result = of(in);
    if (!result)
      return std::nullopt;
    results.push_back(*result);
  }
  return PerThread(std::move(results));
}

/// Bits of an integer. An index has 64.
static unsigned widthOf(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer ? std::min(integer.getWidth(), 64u) : 64;
}
/// As many bits as there are, as a signed number; one bit as 0 or 1.
static int64_t wrap(unsigned width, int64_t number) {
  return width == 64 ? number : width == 1 ? number & 1 : llvm::SignExtend64(uint64_t(number), width);
}
/// The same bits as a number that is not negative.
static uint64_t bits(unsigned width, int64_t number) {
  return uint64_t(number) & llvm::maskTrailingOnes<uint64_t>(width);
}

static bool compare(arith::CmpIPredicate predicate, unsigned width, int64_t a, int64_t b) {
  uint64_t p = bits(width, a), q = bits(width, b);
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::ult:
    return p < q;
  case arith::CmpIPredicate::ule:
    return p <= q;
  case arith::CmpIPredicate::ugt:
    return p > q;
  case arith::CmpIPredicate::uge:
    return p >= q;
  }
  return false;
}

std::optional<PerThread> ThreadValues::compute(Operation *op) const {
  Type type = op->getResult(0).getType();
  unsigned width = widthOf(type);
  APInt constant;
  if (matchPattern(op, m_ConstantInt(&constant)))
    return PerThread(wrap(width, constant.getSExtValue()));
  using Numbers = ArrayRef<int64_t>;
  using Result = std::optional<int64_t>;
  auto with = [&](function_ref<Result(Numbers)> of) {
    return each(SmallVector<Value, 3>(op->getOperands()), [&](Numbers in) -> Result {
      Result result = of(in);
      return result ? Result(wrap(width, *result)) : std::nullopt;
    });
  };
  auto shift = [](Numbers in) { return uint64_t(in[1]) < 64; };
  return TypeSwitch<Operation *, std::optional<PerThread>>(op)
      .Case([&](NVVM::ThreadIdXOp) {
        SmallVector<int64_t, 0> numbers;
        for (int64_t thread = 0; thread < threads; ++thread)
          numbers.push_back(thread);
        return PerThread(std::move(numbers));
      })
      .Case([&](NVVM::ShflOp shuffle) -> std::optional<PerThread> {
        const PerThread *from = lookup(shuffle.getVal());
        auto lane = uniform(shuffle.getOffset());
        if (!from || !lane || shuffle.getKind() != NVVM::ShflKind::idx)
          return std::nullopt;
        SmallVector<int64_t, 0> numbers;
        for (int64_t thread = 0; thread < threads; ++thread)
          numbers.push_back((*from)[thread / 32 * 32 + *lane]);
        return PerThread(std::move(numbers));
      })
      .Case([&](LLVM::AddressOfOp) -> std::optional<PerThread> {
        if (cast<LLVM::LLVMPointerType>(type).getAddressSpace() != 3)
          return std::nullopt;
        return PerThread(0);
      })
      .Case([&](LLVM::GEPOp gep) -> std::optional<PerThread> {
        if (gep.getElemType() != IntegerType::get(op->getContext(), 8) || gep.getRawConstantIndices().size() != 1)
          return std::nullopt;
        if (gep.getDynamicIndices().empty()) {
          int64_t plus = gep.getRawConstantIndices()[0];
          return with([&](Numbers in) -> Result { return in[0] + plus; });
        }
        return with([](Numbers in) -> Result { return in[0] + in[1]; });
      })
      .Case<LLVM::PtrToIntOp, arith::ExtSIOp, arith::IndexCastOp, arith::TruncIOp>(
          [&](auto) { return with([](Numbers in) -> Result { return in[0]; }); })
      .Case<arith::ExtUIOp, arith::IndexCastUIOp>([&](auto) {
        unsigned narrow = widthOf(op->getOperand(0).getType());
        return with([&](Numbers in) -> Result { return int64_t(bits(narrow, in[0])); });
      })
      .Case([&](arith::AddIOp) { return with([](Numbers in) -> Result { return in[0] + in[1]; }); })
      .Case([&](arith::SubIOp) { return with([](Numbers in) -> Result { return in[0] - in[1]; }); })
      .Case([&](arith::MulIOp) { return with([](Numbers in) -> Result { return in[0] * in[1]; }); })
      .Case([&](arith::AndIOp) { return with([](Numbers in) -> Result { return in[0] & in[1]; }); })
      .Case([&](arith::OrIOp) { return with([](Numbers in) -> Result { return in[0] | in[1]; }); })
      .Case([&](arith::XOrIOp) { return with([](Numbers in) -> Result { return in[0] ^ in[1]; }); })
      .Case([&](arith::ShLIOp) {
        return with([&](Numbers in) -> Result { return shift(in) ? Result(in[0] << in[1]) : std::nullopt; });
      })
      .Case([&](arith::ShRUIOp) {
        return with([&](Numbers in) -> Result {
          return shift(in) ? Result(int64_t(bits(width, in[0]) >> in[1])) : std::nullopt;
        });
      })
      .Case([&](arith::ShRSIOp) {
        return with([&](Numbers in) -> Result { return shift(in) ? Result(in[0] >> in[1]) : std::nullopt; });
      })
      .Case([&](arith::DivUIOp) {
        return with([&](Numbers in) -> Result {
          return in[1] ? Result(int64_t(bits(width, in[0]) / bits(width, in[1]))) : std::nullopt;
        });
      })
      .Case([&](arith::RemUIOp) {
        return with([&](Numbers in) -> Result {
          return in[1] ? Result(int64_t(bits(width, in[0]) % bits(width, in[1]))) : std::nullopt;
        });
      })
      .Case([&](arith::MinSIOp) { return with([](Numbers in) -> Result { return std::min(in[0], in[1]); }); })
      .Case([&](arith::MaxSIOp) { return with([](Numbers in) -> Result { return std::max(in[0], in[1]); }); })
      .Case([&](arith::CmpIOp cmp) {
        unsigned compared = widthOf(cmp.getLhs().getType());
        return with([&](Numbers in) -> Result { return compare(cmp.getPredicate(), compared, in[0], in[1]); });
      })
      .Case([&](arith::SelectOp) { return with([](Numbers in) -> Result { return in[0] ? in[1] : in[2]; }); })
      .Default([](Operation *) { return std::nullopt; });
}
