//===- JsonMutation.h - JSON, slightly wrong ----------------------*- C++ -*-===//

#ifndef DENIM_TEST_RUNTIME_INPUTS_JSONMUTATION_H
#define DENIM_TEST_RUNTIME_INPUTS_JSONMUTATION_H

#include <nlohmann/json.hpp>
#include <random>

namespace denim::test {

using nlohmann::json;

/// Every value of |tree|.
inline void collect(json &tree, std::vector<json *> &out) {
  out.push_back(&tree);
  if (tree.is_structured())
    for (json &child : tree)
      collect(child, out);
}

/// |tree| with up to three values changed, some to one of |words|.
inline json mutated(json tree, std::mt19937 &random, const std::vector<json> &words) {
  static const json values[] = {nullptr,
                                true,
                                -1,
                                0,
                                1,
                                2,
                                3,
                                7,
                                64,
                                65,
                                1 << 20,
                                INT32_MAX,
                                int64_t(INT32_MAX) + 1,
                                INT64_MAX,
                                INT64_MIN,
                                UINT64_MAX,
                                0.5,
                                1e300,
                                "",
                                json::array(),
                                json::object()};
  for (unsigned n = 1 + random() % 3; n; --n) {
    std::vector<json *> all;
    collect(tree, all);
    json &target = *all[random() % all.size()];
    switch (random() % 8) {
    case 0: // another place's value
      target = json(*all[random() % all.size()]);
      break;
    case 1: // remove
      if (target.is_array() && !target.empty())
        target.erase(target.begin() + random() % target.size());
      else if (target.is_object() && !target.empty())
        target.erase(std::next(target.begin(), random() % target.size()));
      break;
    case 2: // repeat
      if (target.is_array() && !target.empty())
        target.push_back(json(target[random() % target.size()]));
      break;
    case 3:
    case 4:
      if (target.is_number_integer()) {
        target = static_cast<int64_t>(target.get<uint64_t>() + random() % 5 - 2);
        break;
      }
      [[fallthrough]];
    default:
      if (!target.is_structured() || random() % 16 == 0)
        target = random() % 3 ? values[random() % std::size(values)] : words[random() % words.size()];
    }
  }
  return tree;
}

} // namespace denim::test

#endif
