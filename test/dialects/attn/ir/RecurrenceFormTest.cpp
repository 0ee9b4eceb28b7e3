// What the compiler reads from the region of an `attn.recurrence`.
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace denim;

namespace {

class RecurrenceFormTest : public testing::Test {
protected:
  RecurrenceFormTest() { context.loadDialect<model::ModelDialect, attn::AttnDialect>(); }

  /// The form of a region over two key heads and four value heads; `arg` and `step` find its values.
  NormalForm formOf(const std::string &region) {
    module = mlir::parseSourceString<mlir::ModuleOp>(R"(
      model.block @b(%x: tensor<?x512xf32>) {
        %q, %k, %v, %b, %g, %c, %m, %r = split %x into 2x16, 2x16, 4x32, 4, 4, 4x16, 4x16, 184
        %rate = param "rate" : tensor<4xf32>
        %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v, %b = %b, %g = %g, %c = %c, %m = %m, %a = %rate) {
          )" + region + R"(
        }
        yield %x
      })",
                                                     &context);
    module->walk([&](attn::RecurrenceOp found) { op = found; });
    return op.getNormalForm();
  }
  enum { S, Q, K, V, B, G, C, M, A };
  mlir::Value arg(unsigned number) { return op.getBlock()->getArgument(number); }
  /// Result of op `number` of the region.
  mlir::Value step(unsigned number) { return std::next(op.getBlock()->begin(), number)->getResult(0); }
  using Values = llvm::SmallVector<mlir::Value, 1>;

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  attn::RecurrenceOp op;
};

} // namespace

TEST_F(RecurrenceFormTest, LinearAttention) {
  NormalForm form = formOf("%n = write %s, %k, %v \n %y = read %n, %q \n yield %n, %y");
  EXPECT_EQ(form.outside, "");
  EXPECT_EQ(form.decayKind, NormalForm::Decay::None);
  EXPECT_FALSE(form.p);
  EXPECT_EQ(form.k.vector, arg(K));
  EXPECT_TRUE(form.k.scales.empty());
  EXPECT_EQ(form.value, arg(V));
  EXPECT_EQ(form.query, arg(Q));
  EXPECT_EQ(form.readScale, 1);
  EXPECT_TRUE(form.readAfter);
  EXPECT_FALSE(form.skip);
  EXPECT_EQ(form.keyHeads, 2);
  EXPECT_EQ(form.valueHeads, 4);
  EXPECT_EQ(form.keyDim, 16);
  EXPECT_EQ(form.valueDim, 32);
}

TEST_F(RecurrenceFormTest, Decays) {
  std::string rest = "\n %n = write %d, %k, %v \n %y = read %n, %q \n yield %n, %y";
  NormalForm constant = formOf("%d = decay %s, [-1, -2, -3, -4]" + rest);
  EXPECT_EQ(constant.decayKind, NormalForm::Decay::Constant);
  EXPECT_EQ(constant.constantDecay, (llvm::SmallVector<double, 0>{-1, -2, -3, -4}));
  NormalForm scalar = formOf("%d = decay %s, %g" + rest);
  EXPECT_EQ(scalar.decayKind, NormalForm::Decay::Scalar);
  EXPECT_EQ(scalar.decay, arg(G));
  NormalForm channel = formOf("%d = decay %s, %c" + rest);
  EXPECT_EQ(channel.decayKind, NormalForm::Decay::Channel);
  EXPECT_EQ(channel.decay, arg(C));
}

// Arithmetic on operands alone stays what it is: the form refers to values of the region.
TEST_F(RecurrenceFormTest, Mamba2) {
  NormalForm form = formOf(R"(
    %e = mul %b, %a
    %d = decay %s, %e
    %u = mul %b, %v
    %n = write %d, %k, %u
    %y = read %n, %q
    %x = mul %a, %v
    %z = add %y, %x
    yield %n, %z)");
  EXPECT_EQ(form.outside, "");
  EXPECT_EQ(form.decay, step(0));
  EXPECT_EQ(form.k.vector, arg(K));
  EXPECT_EQ(form.k.scales, Values{arg(B)});
  EXPECT_EQ(form.value, arg(V));
  EXPECT_EQ(form.skip.vector, arg(V));
  EXPECT_EQ(form.skip.scales, Values{arg(A)});
}

TEST_F(RecurrenceFormTest, GatedDeltaNet) {
  NormalForm form = formOf(R"(
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %t = scale %b, 2
    %w = mul %t, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z)");
  EXPECT_EQ(form.outside, "");
  EXPECT_TRUE(form.isDelta());
  EXPECT_EQ(form.p.factor, -2);
  EXPECT_EQ(form.k.factor, 2);
  EXPECT_EQ(form.p.scales, Values{arg(B)});
  EXPECT_EQ(form.q.vector, arg(K));
  EXPECT_TRUE(form.q.decayed);
  EXPECT_EQ(form.readScale, 0.25);
}

// Reads the undecayed state along one vector and corrects along another.
TEST_F(RecurrenceFormTest, Rwkv7) {
  NormalForm form = formOf(R"(
    %z = read %s, %m
    %d = decay %s, %c
    %r = mul %m, %c
    %t = scale %z, -1
    %e = write %d, %r, %t
    %n = write %e, %k, %v
    %y = read %n, %q
    yield %n, %y)");
  EXPECT_EQ(form.outside, "");
  EXPECT_FALSE(form.isDelta());
  EXPECT_EQ(form.p.vector, step(2));
  EXPECT_EQ(form.p.factor, -1);
  EXPECT_EQ(form.q.vector, arg(M));
  EXPECT_FALSE(form.q.decayed);
  EXPECT_EQ(form.k.vector, arg(K));
  // Vectors of two and of four heads: each value head has its own.
  EXPECT_EQ(form.keyHeads, 4);
}

TEST_F(RecurrenceFormTest, ReadBefore) {
  NormalForm form = formOf("%d = decay %s, %g \n %n = write %d, %k, %v \n %y = read %s, %q \n yield %n, %y");
  EXPECT_EQ(form.outside, "");
  EXPECT_FALSE(form.readAfter);
}

TEST_F(RecurrenceFormTest, NamesWhatStandsOutside) {
  auto outside = [&](const std::string &region) { return formOf(region).outside; };
  EXPECT_EQ(
      outside("%d = decay %s, %g \n %e = decay %d, %c \n %n = write %e, %k, %v \n %y = read %n, %q \n yield %n, %y"),
      "a second decay");
  EXPECT_EQ(outside("%n = write %s, %k, %v \n %d = decay %n, %g \n %y = read %d, %q \n yield %d, %y"),
            "a decay behind a write");
  EXPECT_EQ(outside("%n = write %s, %k, %v \n %e = write %n, %q, %v \n %y = read %e, %q \n yield %e, %y"),
            "a second input");
  EXPECT_EQ(outside("%n = write %s, %k, %v \n %p = read %n, %q \n %e = write %n, %q, %p \n %y = read %e, %q \n "
                    "yield %e, %y"),
            "a read between two writes");
  EXPECT_EQ(
      outside("%p = read %s, %k \n %r = read %s, %q \n %w = add %p, %r \n %n = write %s, %k, %w \n %y = read %n, %q "
              "\n yield %n, %y"),
      "a transition of rank 2");
  EXPECT_EQ(outside("%p = read %s, %k \n %w = mul %p, %v \n %n = write %s, %k, %w \n %y = read %n, %q \n yield %n, %y"),
            "a product of what was read with a vector");
  EXPECT_EQ(outside("%p = read %s, %k \n %w = mul %p, %p \n %n = write %s, %k, %w \n %y = read %n, %q \n yield %n, %y"),
            "a product of two vectors that depend on the state");
  EXPECT_EQ(outside("%d = decay %s, %g \n %n = write %d, %k, %v \n %y = read %d, %q \n yield %n, %y"),
            "an output read between decay and write");
  EXPECT_EQ(outside("%d = decay %s, %g \n %p = read %d, %k \n %n = write %s, %k, %p \n %m2 = write %n, %k, %v \n "
                    "%y = read %m2, %q \n yield %m2, %y"),
            "a read of a state that fades otherwise than the next one");
  EXPECT_EQ(outside("%n = write %s, %k, %v \n %y = read %n, %q \n %z = mul %b, %y \n yield %n, %z"),
            "a strength on the output, which belongs to the query");
  EXPECT_EQ(outside("%n = write %s, %k, %v \n yield %n, %v"), "an output that reads no state");
  EXPECT_EQ(outside("%y = read %s, %q \n yield %s, %y"), "a state without an input");
}

// Decay 1, read 2, write 2 for each element.
TEST_F(RecurrenceFormTest, Cost) {
  formOf("%d = decay %s, %g \n %n = write %d, %k, %v \n %y = read %n, %q \n yield %n, %y");
  double elements = 4 * 16 * 32;
  EXPECT_EQ(op.getCostPerToken(1).operations, 5 * elements);
  EXPECT_EQ(op.getCostPerToken(1).bytes, 8 * elements);
}
