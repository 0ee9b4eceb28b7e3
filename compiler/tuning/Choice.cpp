#include "compiler/tuning/Choice.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;
using namespace denim::tuning;

static constexpr ChoiceKind kKinds[] = {
    {"attend_part.key_splits", "parts of the keys of one sequence, each an item of its own"},
    {"experts.few_rows", "rows of a step up to which each reads the weights of its own experts"},
    {"experts.group_rows", "rows of one expert that are multiplied together"},
    {"experts.panel_columns",
     "columns of the weights, of all it reads together, that an item of experts' products takes"},
    {"experts.step_channels", "channels that a step of experts' products takes along the contraction"},
    {"linear.dequantizing_rows", "rows of a step up to which a product on a GPU dequantizes weights in blocks itself, "
                                 "and does not find them as bf16"},
    {"linear.few_columns",
     "columns of the result that an item of a product of few rows on a GPU makes, where weights are "
     "copied ahead"},
    {"linear.panel_columns", "columns of the result that an item of a product on a CPU makes"},
    {"recurrence.joined_tokens", "tokens of several chunks that a CPU takes as one where no channel forgets too much"},
    {"recurrence_few.blocks", "blocks of tokens one by one that a multiprocessor should hold at once"},
    {"recurrence_few.value_columns", "value columns of a head that a block has, for tokens one by one"},
    {"recurrence_many.chunk_tokens", "tokens that a block takes at once where nothing is prepared for their chunks"},
    {"recurrence_many.value_columns",
     "value columns of a head that a block has where nothing is prepared for its chunks"},
    {"recurrence_prepare.value_heads",
     "value heads of a key head that an item takes, which share what keys and queries make"},
    {"recurrence_scan.blocks", "blocks of the state through the chunks that a multiprocessor should hold at once"},
    {"recurrence_scan.segments", "segments of a step whose states are made first, each scanned by items of its own"},
    {"recurrence_scan.value_columns", "value columns of a head that a block has, for the state through the chunks"},
    {"recurrence_wide.blocks", "the same as for recurrence_few, in steps of many sequences"},
    {"recurrence_wide.sequences", "sequences of a step from which on it is one of many, for tokens one by one"},
    {"recurrence_wide.value_columns", "the same as for recurrence_few, in steps of many sequences"},
    {"short_conv.blocks", "blocks of a short convolution that a multiprocessor should hold at once"},
    {"short_conv.columns", "channels that an item of a short convolution makes"},
    {"short_conv.rows", "rows that an item of a short convolution makes"},
    {"softmax_whole.most_tokens",
     "tokens of a sequence up to which its keys are not split, where sequences fill the GPU"},
    {"softmax_whole.paired_sequences",
     "sequences of a step from which on two key heads are an item where keys are not split"},
};

ArrayRef<ChoiceKind> denim::tuning::choiceKinds() {
  return kKinds;
}

Error denim::tuning::checkChoice(StringRef name) {
  std::string known;
  for (const ChoiceKind &kind : kKinds) {
    if (kind.name == name)
      return Error::success();
    known += (known.empty() ? "" : ", ") + kind.name.str();
  }
  return createStringError("expected a choice (" + known + "), but got \"" + name + "\"");
}

std::string denim::tuning::shapeText(ArrayRef<std::pair<StringRef, int64_t>> fields) {
  std::string text;
  for (auto &[name, value] : fields)
    text += (Twine(text.empty() ? "" : " ") + name + "=" + Twine(value)).str();
  return text;
}

Prediction denim::tuning::predict(const Question &question) {
  Prediction result{{}, question.candidates.front()};
  double least = 0;
  for (int64_t candidate : question.candidates) {
    double time = question.predict(candidate);
    if (result.microseconds.empty() || time < least) {
      least = time;
      result.best = candidate;
    }
    result.microseconds.push_back(time);
  }
  return result;
}

SmallVector<int64_t> denim::tuning::divisors(int64_t whole, int64_t unit, int64_t least, int64_t most) {
  SmallVector<int64_t> result;
  for (int64_t n = unit; n <= std::min(whole, most); n += unit)
    if (n >= least && whole % n == 0)
      result.push_back(n);
  return result;
}
