// What `attn.latent_softmax` says of itself to interfaces.
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace denim;

namespace {

class LatentSoftmaxTest : public testing::Test {
protected:
  LatentSoftmaxTest() { context.loadDialect<model::ModelDialect, attn::AttnDialect>(); }

  /// Four heads of 16 + 8 channels and values of 32, on a latent of 64.
  attn::LatentSoftmaxOp latentSoftmax(const std::string &tail) {
    module = mlir::parseSourceString<mlir::ModuleOp>(R"(
      model.block @b(%x: tensor<?x256xf32>) {
        %w = param "kv_b" : tensor<192x64xf32>
        %q, %c, %qr, %kr, %rest = split %x into 4x16, 64, 4x8, 1x8, 88
        %o = attn.latent_softmax %q, %c, %w )" + tail + R"(
        yield %x
      })",
                                                     &context);
    attn::LatentSoftmaxOp found;
    module->walk([&](attn::LatentSoftmaxOp op) { found = op; });
    return found;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace

TEST_F(LatentSoftmaxTest, CacheHasNoHeads) {
  auto needs = latentSoftmax("rope %qr, %kr").getCacheNeeds();
  ASSERT_EQ(needs.size(), 1u);
  EXPECT_EQ(needs[0].kind, CacheKind::Paged);
  EXPECT_EQ(needs[0].shape, (llvm::SmallVector<int64_t>{1, 64 + 8}));
  EXPECT_EQ(latentSoftmax("").getCacheNeeds()[0].shape, (llvm::SmallVector<int64_t>{1, 64}));
}

TEST_F(LatentSoftmaxTest, Heads) {
  EXPECT_EQ(latentSoftmax("rope %qr, %kr").getIndependentHeads(), 4);
}

// spec/attention.md 1.9: 2 n H (2 r + dr) for attention in the absorbed form, and 2 H r (dn + dv) for the way into the
// latents and out of them.
TEST_F(LatentSoftmaxTest, Cost) {
  attn::LatentSoftmaxOp op = latentSoftmax("rope %qr, %kr");
  double around = 2.0 * 4 * 64 * (16 + 32);
  EXPECT_EQ(op.getCostPerToken(1).operations, 2.0 * 4 * (2 * 64 + 8) + around);
  EXPECT_EQ(op.getCostPerToken(1000).operations, 1000 * 2.0 * 4 * (2 * 64 + 8) + around);
  EXPECT_EQ(op.getCostPerToken(1000).bytes, 1000 * (64 + 8) * 4.0); // each latent is read once for all heads
}
