//===- Tensor.h - doubles with a shape --------------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_TENSOR_H
#define DENIM_DIALECTS_ATTN_REFERENCE_TENSOR_H

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace denim::attn::reference {

/// A dense row-major array of doubles that owns its elements. It is a value: copying copies, and functions of the
/// reference return new tensors instead of writing into old ones.
///
/// The default tensor has no dimension and no element. It stands for an operand that is not there, see `present`.
class Tensor {
public:
  using Shape = std::vector<int64_t>;

  Tensor() = default;
  /// Zeros of the given shape. A dimension may be 0.
  explicit Tensor(Shape shape);
  Tensor(Shape shape, std::vector<double> values);

  bool present() const { return !dims.empty(); }
  const Shape &shape() const { return dims; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t dim(int64_t axis) const { return dims[static_cast<size_t>(axis)]; }
  int64_t size() const { return static_cast<int64_t>(elements.size()); }
  std::vector<double> &values() { return elements; }
  const std::vector<double> &values() const { return elements; }

  /// One element; as many indices as dimensions.
  template <typename... Index> double &operator()(Index... index) {
    return elements[static_cast<size_t>(offset({static_cast<int64_t>(index)...}))];
  }
  template <typename... Index> double operator()(Index... index) const {
    return elements[static_cast<size_t>(offset({static_cast<int64_t>(index)...}))];
  }

  /// The first of the contiguous elements that share the given leading indices: `row(t, h)` of `[T,H,D]` is a
  /// pointer to D elements. Valid while the tensor lives.
  template <typename... Index> double *row(Index... index) {
    return elements.data() + offset({static_cast<int64_t>(index)...});
  }
  template <typename... Index> const double *row(Index... index) const {
    return elements.data() + offset({static_cast<int64_t>(index)...});
  }

  /// The same elements in another shape of the same size.
  Tensor reshaped(Shape shape) const;
  /// Rows [begin, end) of the first dimension.
  Tensor slice(int64_t begin, int64_t end) const;
  /// Columns [begin, end) of the last dimension.
  Tensor columns(int64_t begin, int64_t end) const;

private:
  int64_t offset(std::initializer_list<int64_t> index) const;

  Shape dims;
  std::vector<double> elements;
};

/// The rows of `first`, then those of `second`; all other dimensions are equal.
Tensor concatenate(const Tensor &first, const Tensor &second);

/// Element by element, for tensors of one shape.
Tensor multiply(const Tensor &a, const Tensor &b);
Tensor scaled(const Tensor &a, double factor);
template <typename Function> Tensor map(Tensor x, Function function) {
  for (double &value : x.values())
    value = function(value);
  return x;
}

/// Sum over n elements of a[i] * b[i].
double dot(const double *a, const double *b, int64_t n);

/// `[T,Hk,D]` to `[T,heads,D]`: head h of the result is head floor(h * Hk / heads) of x, so neighbours share a
/// head. Spec: attention.md section 0, "interleaved repetition".
Tensor repeatHeads(const Tensor &x, int64_t heads);

/// `[..., M, N]` to `[..., N, M]`; turns a value-first state into a key-first one and back.
Tensor transposed(const Tensor &x);

/// "[2, 3, 4]", as it stands in messages.
std::string toString(const Tensor::Shape &shape);

/// The reference has no caller that could go on after a wrong argument: it prints one line and aborts.
[[noreturn]] void fail(const std::string &message);
void require(bool condition, const std::string &message);
/// Refuses with "expected <what> of shape [..], but got [..]". A dimension of -1 accepts any size.
void requireShape(const std::string &what, const Tensor &tensor, const Tensor::Shape &shape);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_TENSOR_H
