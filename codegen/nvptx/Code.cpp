#include "codegen/nvptx/Code.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace denim::codegen::nvptx;

//===--------------------------------------------------------------------------------------------------------------===//
// Types and integers
//===--------------------------------------------------------------------------------------------------------------===//

Type Code::globalPointer() {
  return LLVM::LLVMPointerType::get(builder.getContext(), 1);
}

Type Code::genericPointer() {
  return LLVM::LLVMPointerType::get(builder.getContext());
}

Value Code::divide(Value a, int64_t powerOfTwo) {
  if (powerOfTwo == 1)
    return a;
  return arith::ShRUIOp::create(builder, loc, a, integer(a.getType(), llvm::Log2_64(powerOfTwo)));
}
Value Code::modulo(Value a, int64_t powerOfTwo) {
  return arith::AndIOp::create(builder, loc, a, integer(a.getType(), powerOfTwo - 1));
}
Value Code::exclusiveOr(Value a, Value b) {
  return arith::XOrIOp::create(builder, loc, a, b);
}
Value Code::bitsAnd(Value a, uint32_t mask) {
  return arith::AndIOp::create(builder, loc, a, constant32(int32_t(mask)));
}
Value Code::pickBytes(Value low, Value high, uint32_t selector) {
  return assembly("prmt.b32 $0, $1, $2, " + std::to_string(selector) + ";", "=r,r,r", {low, high}, {i32()}, false)
      .front();
}
//===--------------------------------------------------------------------------------------------------------------===//
// The thread
//===--------------------------------------------------------------------------------------------------------------===//

Value Code::threadNumber() {
  return NVVM::ThreadIdXOp::create(builder, loc, i32());
}
Value Code::blockNumber() {
  return NVVM::BlockIdXOp::create(builder, loc, i32());
}

void Code::namedBarrier(Value number, int64_t threads, bool wait) {
  assembly(std::string(wait ? "bar.sync" : "bar.arrive") + " $0, " + std::to_string(threads) + ";", "r,~{memory}",
           {number}, {}, true);
}

void Code::barrier(int64_t number, int64_t threads) {
  assembly("bar.sync " + std::to_string(number) + ", " + std::to_string(threads) + ";", "~{memory}", {}, {}, true);
}
void Code::warpBarrier() {
  assembly("bar.warp.sync -1;", "~{memory}", {}, {}, true);
}
void Code::fenceForProducts() {
  if (target.warpgroupProduct)
    assembly("fence.proxy.async.shared::cta;", "~{memory}", {}, {}, true);
}

SmallVector<Value> Code::assembly(StringRef text, StringRef constraints, ValueRange operands, ArrayRef<Type> results,
                                  bool sideEffects) {
  Type type = LLVM::LLVMVoidType::get(builder.getContext());
  if (results.size() == 1)
    type = results.front();
  else if (results.size() > 1)
    type = LLVM::LLVMStructType::getLiteral(builder.getContext(), results);
  auto op = LLVM::InlineAsmOp::create(builder, loc, results.empty() ? TypeRange() : TypeRange(type), operands, text,
                                      constraints, sideEffects, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                      LLVM::AsmDialectAttr{}, /*operand_attrs=*/ArrayAttr());
  if (results.empty())
    return {};
  if (results.size() == 1)
    return {op.getRes()};
  SmallVector<Value> values;
  for (size_t i = 0; i < results.size(); ++i)
    values.push_back(LLVM::ExtractValueOp::create(builder, loc, op.getRes(), int64_t(i)));
  return values;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------------------------===//

Value Code::advance(Value pointer, Value elements, Type element) {
  Value bytes = mul(toI64(elements), bytesOf(element));
  return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value Code::load(Type type, Value pointer) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, unsigned(bytesOf(isa<IntegerType>(type) ? type : i64())));
}

static std::string vectorSuffix(int count) {
  return count == 1 ? "" : ".v" + std::to_string(count);
}

/// "{$0, $1}", or "$0".
static std::string names(int first, int count) {
  std::string text = count == 1 ? "" : "{";
  for (int i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(first + i);
  return text + (count == 1 ? "" : "}");
}

/// "$3", or "$3+64".
static std::string at(int operand, int64_t plus) {
  return "$" + std::to_string(operand) + (plus ? "+" + std::to_string(plus) : "");
}

SmallVector<Value, 4> Code::loadWords(Value pointer, int count, Value predicate, int64_t plus, bool once) {
  SmallVector<Type> types(count, i32());
  std::string out;
  for (int i = 0; i < count; ++i)
    out += "=&r,";
  SmallVector<Value> words;
  std::string access = std::string("ld.global") + (once ? ".L1::no_allocate" : "") + vectorSuffix(count) + ".b32 " +
                       names(0, count) + ", [" + at(count, plus);
  if (!predicate) {
    words = assembly(access + "];", out + "l", {pointer}, types, true);
  } else {
    std::string text = "{ .reg .pred p; setp.ne.b32 p, $" + std::to_string(count + 1) + ", 0; ";
    for (int i = 0; i < count; ++i)
      text += "mov.b32 $" + std::to_string(i) + ", 0; ";
    words = assembly(text + "@p " + access + "]; }", out + "l,r", {pointer, bitsOf(predicate)}, types, true);
  }
  return SmallVector<Value, 4>(words.begin(), words.end());
}

void Code::storeWords(ArrayRef<Value> words, Value pointer, Value predicate, int64_t plus) {
  int count = words.size();
  std::string in;
  SmallVector<Value> operands(words);
  for (int i = 0; i < count; ++i)
    in += "r,";
  operands.push_back(pointer);
  std::string access = "st.global" + vectorSuffix(count) + ".b32 [" + at(count, plus) + "], " + names(0, count) + ";";
  if (!predicate) {
    assembly(access, in + "l,~{memory}", operands, {}, true);
    return;
  }
  operands.push_back(bitsOf(predicate));
  assembly("{ .reg .pred p; setp.ne.b32 p, $" + std::to_string(count + 1) + ", 0; @p " + access + " }",
           in + "l,r,~{memory}", operands, {}, true);
}

Value Code::loadHalfWord(Value pointer, Value predicate, int64_t plus) {
  if (!predicate)
    predicate = integer(i1(), 1);
  return assembly("{ .reg .pred p; .reg .b16 h; setp.ne.b32 p, $2, 0; mov.b16 h, 0; @p ld.global.b16 h, [" +
                      at(1, plus) + "]; cvt.u32.u16 $0, h; }",
                  "=r,l,r", {pointer, bitsOf(predicate)}, {i32()}, true)
      .front();
}

void Code::storeHalfWord(Value word, Value pointer, Value predicate, int64_t plus) {
  if (!predicate)
    predicate = integer(i1(), 1);
  assembly("{ .reg .pred p; .reg .b16 h; setp.ne.b32 p, $2, 0; cvt.u16.u32 h, $0; @p st.global.b16 [" + at(1, plus) +
               "], h; }",
           "r,l,r,~{memory}", {word, pointer, bitsOf(predicate)}, {}, true);
}

Value Code::sharedPointer(Value offset) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext(), 3);
  Value base = LLVM::AddressOfOp::create(builder, loc, pointer, "denim_shared");
  return LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), base, ArrayRef<LLVM::GEPArg>{offset});
}

Value Code::addressOf(Value offset) {
  return LLVM::PtrToIntOp::create(builder, loc, i32(), sharedPointer(offset));
}

SmallVector<Value, 4> Code::loadShared(Value offset, int count, int64_t plus) {
  SmallVector<Type> types(count, i32());
  std::string out;
  for (int i = 0; i < count; ++i)
    out += "=r,";
  auto words = assembly("ld.shared" + vectorSuffix(count) + ".b32 " + names(0, count) + ", [" + at(count, plus) + "];",
                        out + "r,~{memory}", {addressOf(offset)}, types, true);
  return SmallVector<Value, 4>(words.begin(), words.end());
}

void Code::storeShared(ArrayRef<Value> words, Value offset, Value predicate, int64_t plus) {
  int count = words.size();
  std::string in;
  SmallVector<Value> operands(words);
  for (int i = 0; i < count; ++i)
    in += "r,";
  operands.push_back(addressOf(offset));
  std::string access = "st.shared" + vectorSuffix(count) + ".b32 [" + at(count, plus) + "], " + names(0, count) + ";";
  if (!predicate) {
    assembly(access, in + "r,~{memory}", operands, {}, true);
    return;
  }
  operands.push_back(bitsOf(predicate));
  assembly("{ .reg .pred p; setp.ne.b32 p, $" + std::to_string(count + 1) + ", 0; @p " + access + " }",
           in + "r,r,~{memory}", operands, {}, true);
}

SmallVector<Value, 4> Code::loadMatrices(Value offset, int count, bool transposed) {
  SmallVector<Type> types(count, i32());
  std::string out;
  for (int i = 0; i < count; ++i)
    out += "=r,";
  auto words = assembly("ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) + (transposed ? ".trans" : "") +
                            ".shared.b16 {" + names(0, count).substr(count == 1 ? 0 : 1) + (count == 1 ? "}" : "") +
                            ", [$" + std::to_string(count) + "];",
                        out + "r,~{memory}", {addressOf(offset)}, types, true);
  return SmallVector<Value, 4>(words.begin(), words.end());
}

void Code::storeMatrices(ArrayRef<Value> words, Value offset, bool transposed) {
  int count = words.size();
  std::string in;
  for (int i = 0; i < count; ++i)
    in += "r,";
  SmallVector<Value> operands(words);
  operands.push_back(addressOf(offset));
  assembly("stmatrix.sync.aligned.m8n8.x" + std::to_string(count) + (transposed ? ".trans" : "") + ".shared.b16 [$" +
               std::to_string(count) + "], {" + names(0, count).substr(count == 1 ? 0 : 1) + (count == 1 ? "}" : "") +
               ";",
           in + "r,~{memory}", operands, {}, true);
}

static constexpr const char *kAddress = "r,~{memory}";

void Code::initBarrier(Value offset, int64_t arrivals) {
  assembly("mbarrier.init.shared::cta.b64 [$0], " + std::to_string(arrivals) + ";", kAddress, {addressOf(offset)}, {},
           true);
}
void Code::fenceBarrierInit() {
  assembly("fence.mbarrier_init.release.cluster;", "~{memory}", {}, {}, true);
}
void Code::letNextBegin() {
  assembly("griddepcontrol.launch_dependents;", "", {}, {}, true);
}
void Code::awaitKernelsBefore() {
  assembly("griddepcontrol.wait;", "~{memory}", {}, {}, true);
}

void Code::arrive(Value barrier, Value predicate) {
  assembly("{ .reg .pred p; setp.ne.b32 p, $1, 0; @p mbarrier.arrive.shared::cta.b64 _, [$0]; }", "r,r,~{memory}",
           {addressOf(barrier), bitsOf(predicate)}, {}, true);
}
void Code::handOver(Value barrier, Value predicate) {
  assembly("{ .reg .pred p; setp.ne.b32 p, $1, 0; @p mbarrier.arrive.release.cta.shared::cta.b64 _, [$0]; }",
           "r,r,~{memory}", {addressOf(barrier), bitsOf(predicate)}, {}, true);
}
void Code::expectBytes(Value barrier, int64_t bytes) {
  assembly("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], " + std::to_string(bytes) + ";", kAddress,
           {addressOf(barrier)}, {}, true);
}
void Code::waitBarrier(Value barrier, Value parity) {
  assembly(
      "{ .reg .pred p; WAIT_${:uid}: mbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1; @!p bra WAIT_${:uid}; }",
      "r,r,~{memory}", {addressOf(barrier), parity}, {}, true);
}
void Code::copyBulk(Value sharedOffset, Value pointer, int64_t bytes, Value barrier) {
  assembly("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], " + std::to_string(bytes) +
               ", [$2];",
           "r,l,r,~{memory}", {addressOf(sharedOffset), pointer, addressOf(barrier)}, {}, true);
}
void Code::copyBox(Value sharedOffset, Value map, Value column, Value row, Value barrier) {
  assembly(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [$0], [$1, {$2, $3}], [$4];",
      "r,l,r,r,r,~{memory}", {addressOf(sharedOffset), map, column, row, addressOf(barrier)}, {}, true);
}
void Code::prefetchTensorMap(Value map) {
  assembly("prefetch.tensormap [$0];", "l,~{memory}", {map}, {}, true);
}
void Code::prefetchBulk(Value pointer, int64_t bytes) {
  assembly("cp.async.bulk.prefetch.L2.global [$0], " + std::to_string(bytes) + ";", "l,~{memory}", {pointer}, {}, true);
}
void Code::copyPiece(Value sharedOffset, int64_t plusShared, Value pointer, int64_t plus, Value predicate,
                     int64_t bytes) {
  SmallVector<Value> operands{addressOf(sharedOffset), pointer};
  std::string text = std::string("cp.async.") + (bytes == 16 ? "cg" : "ca") + ".shared.global [$0+" +
                     std::to_string(plusShared) + "], [$1+" + std::to_string(plus) + "], " + std::to_string(bytes);
  // What is ignored is a bit of the instruction; a number of bytes would be computed, and compared again.
  text = predicate ? "{ .reg .pred p; setp.eq.b32 p, $2, 0; " + text + ", p; }" : text + ";";
  if (predicate)
    operands.push_back(bitsOf(predicate));
  assembly(text, predicate ? "r,l,r,~{memory}" : "r,l,~{memory}", operands, {}, true);
}
void Code::awaitPieces() {
  assembly("cp.async.wait_all;", "~{memory}", {}, {}, true);
}
void Code::arriveWithPieces(Value barrier) {
  assembly("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0];", kAddress, {addressOf(barrier)}, {}, true);
}
void Code::arriveOnTop(Value barrier) {
  assembly("cp.async.mbarrier.arrive.shared::cta.b64 [$0];", kAddress, {addressOf(barrier)}, {}, true);
}
void Code::setRegisters(int64_t count, bool increase) {
  assembly(std::string("setmaxnreg.") + (increase ? "inc" : "dec") + ".sync.aligned.u32 " + std::to_string(count) + ";",
           "", {}, {}, true);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Lanes
//===--------------------------------------------------------------------------------------------------------------===//

Value Code::shuffleXor(Value value, int64_t mask) {
  Value all = constant32(-1);
  return NVVM::ShflOp::create(builder, loc, value.getType(), all, value, constant32(mask), constant32(31),
                              NVVM::ShflKind::bfly, UnitAttr());
}
Value Code::shuffleUp(Value value, int64_t distance) {
  return NVVM::ShflOp::create(builder, loc, value.getType(), constant32(-1), value, constant32(distance), constant32(0),
                              NVVM::ShflKind::up, UnitAttr());
}
Value Code::shuffleIndex(Value value, int64_t lane) {
  return shuffleIndex(value, constant32(lane));
}
Value Code::shuffleIndex(Value value, Value lane) {
  return NVVM::ShflOp::create(builder, loc, value.getType(), constant32(-1), value, lane, constant32(31),
                              NVVM::ShflKind::idx, UnitAttr());
}

//===--------------------------------------------------------------------------------------------------------------===//
// Numbers
//===--------------------------------------------------------------------------------------------------------------===//

Value Code::number(double value) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
}
Value Code::fma(Value a, Value b, Value c) {
  return LLVM::FMAOp::create(builder, loc, a, b, c);
}
Value Code::bitsOf(Value value) {
  if (value.getType() == f32())
    return LLVM::BitcastOp::create(builder, loc, i32(), value);
  if (value.getType() == i1())
    return arith::ExtUIOp::create(builder, loc, i32(), value);
  return value;
}
Value Code::realOf(Value bits) {
  return LLVM::BitcastOp::create(builder, loc, f32(), bits);
}
Value Code::ofType(Value bits, Type element) {
  if (element == f32())
    return realOf(bits);
  if (element == i1())
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, bits, constant32(0));
  return bits;
}
Value Code::packBrain(Value low, Value high) {
  return assembly("cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f", {high, low}, {i32()}, false).front();
}
Value Code::packHalf(Value low, Value high) {
  return assembly("cvt.rn.f16x2.f32 $0, $1, $2;", "=r,f,f", {high, low}, {i32()}, false).front();
}
Value Code::unpackBrain(Value word, bool high) {
  Value bits = high ? Value(arith::AndIOp::create(builder, loc, word, constant32(0xffff0000)))
                    : Value(arith::ShLIOp::create(builder, loc, word, constant32(16)));
  return realOf(bits);
}
Value Code::unpackHalf(Value word, bool high) {
  return assembly(high ? "{ .reg .b16 l, h; mov.b32 {l, h}, $1; cvt.f32.f16 $0, h; }"
                       : "{ .reg .b16 l, h; mov.b32 {l, h}, $1; cvt.f32.f16 $0, l; }",
                  "=f,r", {word}, {f32()}, false)
      .front();
}

Value Code::subBrains(Value a, Value b) {
  return assembly("sub.rn.bf16x2 $0, $1, $2;", "=r,r,r", {a, b}, {i32()}, false).front();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Products
//===--------------------------------------------------------------------------------------------------------------===//

SmallVector<Value, 4> Code::multiply(ArrayRef<Value> acc, ArrayRef<Value> a, ArrayRef<Value> b) {
  SmallVector<Value> operands(a);
  llvm::append_range(operands, b);
  llvm::append_range(operands, acc);
  auto words = assembly("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, "
                        "{$0,$1,$2,$3};",
                        "=f,=f,=f,=f,r,r,r,r,r,r,0,1,2,3", operands, SmallVector<Type>(4, f32()), false);
  return SmallVector<Value, 4>(words.begin(), words.end());
}

Value Code::descriptor(Value offset, Major major, int64_t panelBytes) {
  // Hopper's matrix descriptor (PTX ISA, "matrix-descriptor"): address, leading and stride offsets in units of 16
  // bytes, swizzle of 128 bytes. Eight rows of 128 bytes are 1024 bytes: the stride. The leading offset is from panel
  // to panel of 64 columns and means nothing where rows run along the contraction.
  uint64_t leading = major == Major::outer ? uint64_t(panelBytes) >> 4 : 1;
  uint64_t fixed = (uint64_t(1) << 62) | (uint64_t(1024 >> 4) << 32) | (leading << 16);
  Value address = addressOf(offset);
  Value field = divide(modulo(address, 1 << 18), 16);
  Value wide = arith::ExtUIOp::create(builder, loc, i64(), field);
  return arith::OrIOp::create(builder, loc, wide, constant(int64_t(fixed)));
}

SmallVector<Value> Code::multiplyGroup(ArrayRef<Value> acc, bool accumulate, Value a, Major aMajor, Value b,
                                       Major bMajor, ArrayRef<GroupStep> steps) {
  int registers = acc.size();
  std::string list, text, constraints;
  llvm::raw_string_ostream out(text);
  for (int i = 0; i < registers; ++i) {
    list += (i ? ",$" : "$") + std::to_string(i);
    constraints += "=f,";
  }
  // A product that adds to nothing does not read its registers.
  SmallVector<Value> operands;
  if (accumulate) {
    llvm::append_range(operands, acc);
    for (int i = 0; i < registers; ++i)
      constraints += std::to_string(i) + ",";
  }
  bool inRegisters = !steps.front().aRegisters.empty();
  int next = (accumulate ? 2 : 1) * registers, aIndex = next;
  if (!inRegisters) {
    operands.push_back(a);
    constraints += "l,";
    ++next;
  }
  int bIndex = next++;
  operands.push_back(b);
  constraints += "l";
  out << "{ .reg .b64 da, db; wgmma.fence.sync.aligned; ";
  for (const GroupStep &step : steps) {
    out << "add.s64 db, $" << bIndex << ", " << step.b << "; ";
    if (!inRegisters)
      out << "add.s64 da, $" << aIndex << ", " << step.a << "; ";
    out << "wgmma.mma_async.sync.aligned.m64n" << registers * 2 << "k16.f32.bf16.bf16 {" << list << "}, ";
    if (inRegisters) {
      out << "{$" << next << ",$" << next + 1 << ",$" << next + 2 << ",$" << next + 3 << "}, db, ";
      next += 4;
      llvm::append_range(operands, step.aRegisters);
      constraints += ",r,r,r,r";
    } else {
      out << "da, db, ";
    }
    out << (accumulate ? 1 : 0) << ", 1, 1, ";
    accumulate = true;
    if (!inRegisters)
      out << (aMajor == Major::outer ? 1 : 0) << ", ";
    out << (bMajor == Major::outer ? 1 : 0) << "; ";
  }
  out << "wgmma.commit_group.sync.aligned; }";
  constraints += ",~{memory}";
  return assembly(text, constraints, operands, SmallVector<Type>(registers, f32()), true);
}

SmallVector<Value> Code::waitGroups(ArrayRef<Value> values, int64_t inFlight) {
  std::string constraints;
  for (size_t i = 0; i < values.size(); ++i)
    constraints += "=f,";
  for (size_t i = 0; i < values.size(); ++i)
    constraints += std::to_string(i) + ",";
  return assembly("wgmma.wait_group.sync.aligned " + std::to_string(inFlight) + ";", constraints + "~{memory}",
                  SmallVector<Value>(values), SmallVector<Type>(values.size(), f32()), true);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Control
//===--------------------------------------------------------------------------------------------------------------===//

SmallVector<Value> Code::loop(Value low, Value high, Value step, ValueRange carried, LoopBody body) {
  auto op = scf::ForOp::create(builder, loc, low, high, step, carried);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = op.getBody();
  builder.setInsertionPointToEnd(block);
  if (!block->empty() && block->back().hasTrait<OpTrait::IsTerminator>())
    block->back().erase();
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(op.getResults());
}

SmallVector<Value> Code::branch(Value condition, ArrayRef<Type> types, llvm::function_ref<SmallVector<Value>()> then,
                                llvm::function_ref<SmallVector<Value>()> otherwise) {
  auto op = scf::IfOp::create(builder, loc, types, condition, /*addThenBlock=*/true, /*addElseBlock=*/bool(otherwise));
  auto fill = [&](Region &region, llvm::function_ref<SmallVector<Value>()> body) {
    OpBuilder::InsertionGuard guard(builder);
    Block &block = region.front();
    if (!block.empty() && block.back().hasTrait<OpTrait::IsTerminator>())
      block.back().erase();
    builder.setInsertionPointToEnd(&block);
    SmallVector<Value> values = body();
    scf::YieldOp::create(builder, loc, values);
  };
  fill(op.getThenRegion(), then);
  if (otherwise)
    fill(op.getElseRegion(), otherwise);
  return SmallVector<Value>(op.getResults());
}
