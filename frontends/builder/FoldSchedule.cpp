#include "frontends/builder/FoldSchedule.h"
#include <string>
#include <vector>

using namespace mlir;
using namespace denim;
using model::RepeatAttr;

namespace {

/// How an interval of layers is best written.
struct Choice {
  int length = 0; ///< of the text
  int period = 0; ///< of the repeated part when the interval is one item
  int cut = 0;    ///< where it is cut in two, counted from its begin; 0 when it is one item
};

class Folder {
public:
  Folder(MLIRContext &context, ArrayRef<std::string> layers) : context(context), layers(layers), size(layers.size()) {
    measureRuns();
    best.resize(size * (size + 1));
    for (int length = 1; length <= size; ++length)
      for (int begin = 0; begin + length <= size; ++begin)
        at(begin, length) = choose(begin, length);
  }

  SmallVector<Attribute> items(int begin, int length) {
    const Choice &choice = at(begin, length);
    if (!choice.cut)
      return {item(begin, length, choice.period)};
    SmallVector<Attribute> all = items(begin, choice.cut);
    all.append(items(begin + choice.cut, length - choice.cut));
    return all;
  }

private:
  Choice &at(int begin, int length) { return best[begin * (size + 1) + length]; }

  /// equal[i][j]: how many layers from i on equal those from j on.
  void measureRuns() {
    equal.assign((size + 1) * (size + 1), 0);
    for (int i = size - 1; i >= 0; --i)
      for (int j = size - 1; j > i; --j)
        equal[i * (size + 1) + j] = layers[i] == layers[j] ? equal[(i + 1) * (size + 1) + j + 1] + 1 : 0;
  }
  bool repeats(int begin, int length, int period) const {
    return length == period || equal[begin * (size + 1) + begin + period] >= length - period;
  }

  static int digits(int number) { return std::to_string(number).size(); }

  Choice choose(int begin, int length) {
    Choice choice;
    auto offer = [&](int text, int period, int cut) {
      if (!choice.length || text < choice.length)
        choice = {text, period, cut};
    };
    for (int period = 1; period < std::max(length, 2); ++period) {
      if (length % period || !repeats(begin, length, period))
        continue;
      int count = digits(length / period);
      if (period == 1) // `3 x @a`
        offer(count + 4 + layers[begin].size(), period, 0);
      else // `2 x (...)`
        offer(count + 5 + at(begin, period).length, period, 0);
    }
    for (int cut = 1; cut < length; ++cut)
      offer(at(begin, cut).length + 2 + at(begin + cut, length - cut).length, 0, cut);
    return choice;
  }

  Attribute item(int begin, int length, int period) {
    SmallVector<Attribute> parts;
    if (period == 1)
      parts.push_back(FlatSymbolRefAttr::get(&context, layers[begin]));
    else
      parts = items(begin, period);
    return RepeatAttr::get(&context, length / period, ArrayAttr::get(&context, parts));
  }

  MLIRContext &context;
  ArrayRef<std::string> layers;
  int size;
  std::vector<int> equal;
  std::vector<Choice> best;
};

} // namespace

RepeatAttr frontends::foldSchedule(MLIRContext &context, ArrayRef<std::string> layers) {
  SmallVector<Attribute> items = Folder(context, layers).items(0, layers.size());
  if (items.size() == 1)
    return cast<RepeatAttr>(items.front());
  return RepeatAttr::get(&context, 1, ArrayAttr::get(&context, items));
}
