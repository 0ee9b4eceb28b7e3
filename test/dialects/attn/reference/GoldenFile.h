#ifndef DENIM_TEST_DIALECTS_ATTN_REFERENCE_GOLDENFILE_H
#define DENIM_TEST_DIALECTS_ATTN_REFERENCE_GOLDENFILE_H

#include "dialects/attn/reference/Tensor.h"
#include "formats/safetensors/Safetensors.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace denim::test {

/// One file of test/goldens/ops as tensors of doubles. Aborts when a file or tensor is not there: a test without its
/// golden must not pass.
class GoldenFile {
public:
  using Tensor = attn::reference::Tensor;

  explicit GoldenFile(const std::string &op) {
    std::string path = std::string(DENIM_GOLDENS) + "/ops/" + op + ".safetensors";
    if (formats::Error error = formats::Safetensors::open(path, file))
      attn::reference::fail(error.message());
  }

  /// The tensor as it is stored.
  Tensor whole(const std::string &name) const {
    const formats::Tensor *stored = file.find(name);
    attn::reference::require(stored, "expected a tensor '" + name + "' in " + file.path() + ", but there is none");
    Tensor tensor(stored->shape);
    const char *bytes = static_cast<const char *>(stored->data);
    for (size_t i = 0; i < tensor.values().size(); ++i)
      tensor.values()[i] = element(*stored, bytes, i);
    return tensor;
  }

  /// Without its first dimension, the batch, which is 1 in every golden: the reference speaks of one sequence.
  Tensor sequence(const std::string &name) const {
    Tensor tensor = whole(name);
    attn::reference::require(tensor.dim(0) == 1, "expected a batch of 1 in '" + name + "', but got " +
                                                     attn::reference::toString(tensor.shape()));
    return tensor.reshaped({tensor.shape().begin() + 1, tensor.shape().end()});
  }

private:
  template <typename T> static double load(const char *bytes, size_t index) {
    T value;
    std::memcpy(&value, bytes + index * sizeof(T), sizeof(T)); // the file need not align it
    return static_cast<double>(value);
  }
  static double element(const formats::Tensor &tensor, const char *bytes, size_t index) {
    switch (tensor.type) {
    case formats::ElementType::F32:
      return load<float>(bytes, index);
    case formats::ElementType::F64:
      return load<double>(bytes, index);
    case formats::ElementType::I64:
      return load<int64_t>(bytes, index);
    case formats::ElementType::Bool:
      return load<uint8_t>(bytes, index);
    default:
      attn::reference::fail("expected F32, F64, I64 or BOOL for '" + tensor.name + "', but got " +
                            std::string(formats::name(tensor.type)));
    }
  }

  formats::Safetensors file;
};

/// Both sides compute in double and differ by the order of their sums and by the last bit of exp: at most 2e-15 of the
/// largest entry was seen over all goldens. 1e-10 leaves room for another libm and for longer or worse conditioned
/// recurrences, and is still far below anything that f32 or a wrong formula would give.
constexpr double sameInDouble = 1e-10;

/// max |got - want| <= tolerance * max |want|, and infinities where `want` has them.
inline void expectNear(const attn::reference::Tensor &got, const attn::reference::Tensor &want,
                       double tolerance = sameInDouble) {
  ASSERT_EQ(got.shape(), want.shape());
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    double g = got.values()[static_cast<size_t>(i)], w = want.values()[static_cast<size_t>(i)];
    if (std::isinf(w)) {
      ASSERT_EQ(g, w) << "at element " << i;
      continue;
    }
    ASSERT_TRUE(std::isfinite(g)) << "got " << g << " at element " << i;
    largest = std::max(largest, std::fabs(w));
    difference = std::max(difference, std::fabs(g - w));
  }
  EXPECT_LE(difference, tolerance * largest) << "largest entry " << largest;
}

} // namespace denim::test

#endif // DENIM_TEST_DIALECTS_ATTN_REFERENCE_GOLDENFILE_H
