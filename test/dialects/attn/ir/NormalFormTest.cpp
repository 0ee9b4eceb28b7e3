// What `attn.delta_rule` says of itself in the normal form.
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace denim;

namespace {

class NormalFormTest : public testing::Test {
protected:
  NormalFormTest() { context.loadDialect<model::ModelDialect, attn::AttnDialect>(); }

  /// The op `%o = attn.delta_rule ...` on two key heads 16 wide and four value heads 32 wide.
  attn::DeltaRuleOp deltaRule(const std::string &tail) {
    module = mlir::parseSourceString<mlir::ModuleOp>(R"(
      model.block @b(%x: tensor<?x256xf32>) {
        %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
        %o = attn.delta_rule %q, %k, %v beta %b )" + tail +
                                                         R"(
        yield %x
      })",
                                                     &context);
    attn::DeltaRuleOp found;
    module->walk([&](attn::DeltaRuleOp op) { found = op; });
    return found;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace

TEST_F(NormalFormTest, DeltaNet) {
  attn::DeltaRuleOp op = deltaRule("");
  NormalForm form = op.getNormalForm();
  EXPECT_EQ(form.decayKind, NormalForm::Decay::None);
  EXPECT_FALSE(form.decay);
  // S_t = (I - (b k) k^T) S_{t-1} + (b k) v^T
  EXPECT_EQ(form.p.vector, op.getKey());
  EXPECT_EQ(form.p.scales, (llvm::SmallVector<mlir::Value, 1>{op.getBeta()}));
  EXPECT_EQ(form.p.factor, -1);
  EXPECT_EQ(form.q.vector, op.getKey());
  EXPECT_TRUE(form.q.scales.empty());
  EXPECT_TRUE(form.outside.empty());
  EXPECT_FALSE(form.q.decayed);
  EXPECT_EQ(form.k.vector, op.getKey());
  EXPECT_EQ(form.k.scales, form.p.scales);
  EXPECT_EQ(form.k.factor, 1);
  EXPECT_EQ(form.value, op.getValue());
  EXPECT_EQ(form.query, op.getQuery());
  EXPECT_TRUE(form.readAfter);
  EXPECT_TRUE(form.isDelta());
}

TEST_F(NormalFormTest, GatedDeltaNet) {
  attn::DeltaRuleOp op = deltaRule("decay %g");
  NormalForm form = op.getNormalForm();
  EXPECT_EQ(form.decayKind, NormalForm::Decay::Scalar);
  EXPECT_EQ(form.decay, op.getDecay());
  // The rule corrects what the decayed state says: (I - (b k) k^T) exp(g) S_{t-1}.
  EXPECT_TRUE(form.q.decayed);
  EXPECT_FALSE(form.p.decayed);
  EXPECT_TRUE(form.isDelta());
}

TEST_F(NormalFormTest, Sizes) {
  NormalForm form = deltaRule("").getNormalForm();
  EXPECT_EQ(form.keyHeads, 2);
  EXPECT_EQ(form.valueHeads, 4);
  EXPECT_EQ(form.keyDim, 16);
  EXPECT_EQ(form.valueDim, 32);
}

TEST_F(NormalFormTest, Scale) {
  EXPECT_EQ(deltaRule("").getNormalForm().readScale, 0.25); // 16^-1/2
  EXPECT_EQ(deltaRule("scale 0.5").getNormalForm().readScale, 0.5);
}

TEST_F(NormalFormTest, NotOfTheDeltaFamily) {
  NormalForm gated = deltaRule("decay %g").getNormalForm();
  NormalForm diagonal = gated;
  diagonal.p = diagonal.q = {};
  EXPECT_FALSE(diagonal.isDelta());
  NormalForm remembersUndecayed = gated;
  remembersUndecayed.q.decayed = false;
  EXPECT_FALSE(remembersUndecayed.isDelta());
  NormalForm otherStrength = gated;
  otherStrength.p.scales.clear();
  EXPECT_FALSE(otherStrength.isDelta());
  NormalForm adds = gated;
  adds.p.factor = 1;
  EXPECT_FALSE(adds.isDelta());
}

TEST_F(NormalFormTest, Cost) {
  attn::DeltaRuleOp op = deltaRule("");
  double elements = 4 * 16 * 32;
  EXPECT_EQ(op.getCostPerToken(1).operations, 7 * elements);
  EXPECT_EQ(op.getCostPerToken(1).bytes, 8 * elements); // the state in f32, read and written
  EXPECT_EQ(op.getCostPerToken(100000).operations, 7 * elements);
}

TEST_F(NormalFormTest, CacheNeeds) {
  attn::DeltaRuleOp op = deltaRule("");
  auto needs = op.getCacheNeeds();
  ASSERT_EQ(needs.size(), 1u);
  EXPECT_EQ(needs[0].kind, CacheKind::State);
  EXPECT_EQ(needs[0].shape, (llvm::SmallVector<int64_t>{4, 16, 32}));
  EXPECT_TRUE(needs[0].elementType.isF32());
}
