//===- Tensor.cpp - doubles with a shape ----------------------------------===//

#include "dialects/attn/reference/Tensor.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace denim::attn::reference {

static int64_t sizeOf(const Tensor::Shape &shape) {
  int64_t size = 1;
  for (int64_t dim : shape)
    size *= dim;
  return size;
}

Tensor::Tensor(Shape shape) : dims(std::move(shape)), elements(static_cast<size_t>(sizeOf(dims))) {}

Tensor::Tensor(Shape shape, std::vector<double> values) : dims(std::move(shape)), elements(std::move(values)) {
  require(sizeOf(dims) == size(), "expected " + std::to_string(sizeOf(dims)) + " values for shape " + toString(dims) +
                                      ", but got " + std::to_string(size()));
}

int64_t Tensor::offset(std::initializer_list<int64_t> index) const {
  if (static_cast<int64_t>(index.size()) > rank())
    fail("expected at most " + std::to_string(rank()) + " indices into shape " + toString(dims) + ", but got " +
         std::to_string(index.size()));
  int64_t result = 0;
  size_t axis = 0;
  for (int64_t i : index)
    result = result * dims[axis++] + i;
  for (; axis < dims.size(); ++axis)
    result *= dims[axis];
  return result;
}

Tensor Tensor::reshaped(Shape shape) const {
  return Tensor(std::move(shape), elements);
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  require(0 <= begin && begin <= end && end <= dim(0), "expected rows of shape " + toString(dims) + ", but got [" +
                                                           std::to_string(begin) + ", " + std::to_string(end) + ")");
  Shape shape = dims;
  shape[0] = end - begin;
  int64_t stride = sizeOf(Shape(dims.begin() + 1, dims.end()));
  return Tensor(std::move(shape), {elements.begin() + begin * stride, elements.begin() + end * stride});
}

Tensor Tensor::columns(int64_t begin, int64_t end) const {
  int64_t width = dims.back();
  require(0 <= begin && begin <= end && end <= width, "expected columns of shape " + toString(dims) + ", but got [" +
                                                          std::to_string(begin) + ", " + std::to_string(end) + ")");
  Shape shape = dims;
  shape.back() = end - begin;
  Tensor result(std::move(shape));
  for (int64_t from = begin, to = 0; to < result.size(); from += width, to += end - begin)
    std::copy_n(elements.begin() + from, end - begin, result.elements.begin() + to);
  return result;
}

Tensor concatenate(const Tensor &first, const Tensor &second) {
  Tensor::Shape shape = second.shape();
  shape[0] = first.dim(0);
  requireShape("the first part", first, shape);
  shape[0] += second.dim(0);
  std::vector<double> values = first.values();
  values.insert(values.end(), second.values().begin(), second.values().end());
  return Tensor(std::move(shape), std::move(values));
}

Tensor multiply(const Tensor &a, const Tensor &b) {
  requireShape("the second factor", b, a.shape());
  Tensor result = a;
  for (size_t i = 0; i < result.values().size(); ++i)
    result.values()[i] *= b.values()[i];
  return result;
}

Tensor scaled(const Tensor &a, double factor) {
  return map(a, [factor](double value) { return value * factor; });
}

double dot(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += a[i] * b[i];
  return sum;
}

Tensor repeatHeads(const Tensor &x, int64_t heads) {
  requireShape("heads to repeat", x, {-1, -1, -1});
  int64_t tokens = x.dim(0), fewer = x.dim(1), width = x.dim(2);
  require(fewer > 0 && heads % fewer == 0,
          "expected a number of heads that divides " + std::to_string(heads) + ", but got " + std::to_string(fewer));
  Tensor result({tokens, heads, width});
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t h = 0; h < heads; ++h)
      std::copy_n(x.row(t, h / (heads / fewer)), width, result.row(t, h));
  return result;
}

Tensor transposed(const Tensor &x) {
  require(x.rank() >= 2, "expected a tensor of at least 2 dimensions, but got shape " + toString(x.shape()));
  Tensor::Shape shape = x.shape();
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  int64_t rows = x.dim(x.rank() - 2), width = x.dim(x.rank() - 1);
  Tensor result(std::move(shape));
  for (int64_t base = 0; base < x.size(); base += rows * width)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < width; ++j)
        result.values()[static_cast<size_t>(base + j * rows + i)] =
            x.values()[static_cast<size_t>(base + i * width + j)];
  return result;
}

std::string toString(const Tensor::Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + (shape[i] < 0 ? std::string("?") : std::to_string(shape[i]));
  return text + "]";
}

void fail(const std::string &message) {
  std::fprintf(stderr, "reference: %s\n", message.c_str());
  std::abort();
}

void require(bool condition, const std::string &message) {
  if (!condition)
    fail(message);
}

void requireShape(const std::string &what, const Tensor &tensor, const Tensor::Shape &shape) {
  bool equal = tensor.shape().size() == shape.size();
  for (size_t i = 0; equal && i < shape.size(); ++i)
    equal = shape[i] == -1 || tensor.shape()[i] == shape[i];
  if (!equal)
    fail("expected " + what + " of shape " + toString(shape) + ", but got " + toString(tensor.shape()));
}

} // namespace denim::attn::reference
