//===- PassBatch.cpp - the arrays of one pass -----------------------------===//

#include "runtime/session/PassBatch.h"

#include <cstring>

namespace denim {

PassLayout PassLayout::of(const PassCounts &counts, size_t slotCaches, size_t pages) {
  size_t end = 0;
  auto take = [&](size_t elements, size_t elementBytes) {
    size_t begin = end;
    end += (elements * elementBytes + DENIM_BUFFER_ALIGNMENT - 1) / DENIM_BUFFER_ALIGNMENT * DENIM_BUFFER_ALIGNMENT;
    return begin;
  };
  auto tokens = static_cast<size_t>(counts.tokens), sequences = static_cast<size_t>(counts.sequences);
  PassLayout layout;
  take(1, sizeof(denim_batch_t));
  layout.tokens = take(tokens, sizeof(int32_t));
  layout.positions = take(tokens, sizeof(int32_t));
  layout.rowBegin = take(sequences + 1, sizeof(int32_t));
  layout.past = take(sequences, sizeof(int32_t));
  layout.outputs = take(static_cast<size_t>(counts.outputs), sizeof(int32_t));
  layout.pageBegin = take(sequences + 1, sizeof(int32_t));
  layout.slots = end;
  take(sequences, sizeof(void *));
  layout.slotStride = end - layout.slots;
  end = layout.slots + layout.slotStride * slotCaches;
  layout.pages = take(pages, sizeof(int32_t));
  layout.bytes = end;
  return layout;
}

void PassBatch::reserve(size_t most, size_t mostPages) {
  for (std::vector<int32_t> *array : {&tokens, &positions, &past, &outputs})
    array->reserve(most);
  rowBegin.reserve(most + 1);
  pageBegin.reserve(most + 1);
  pages.reserve(mostPages);
  sequences.reserve(most);
  cached.reserve(most);
}

void PassBatch::clear() {
  for (std::vector<int32_t> *array : {&tokens, &positions, &past, &outputs, &pages})
    array->clear();
  rowBegin.assign(1, 0);
  pageBegin.assign(1, 0);
  sequences.clear();
  cached.clear();
}

void PassBatch::begin(SequenceId id, const HybridCache::Sequence &sequence) {
  sequences.push_back(id);
  cached.push_back(&sequence);
  past.push_back(static_cast<int32_t>(sequence.length));
  pages.insert(pages.end(), sequence.pages.begin(), sequence.pages.end());
  pageBegin.push_back(static_cast<int32_t>(pages.size()));
}

void PassBatch::addToken(int32_t token, int32_t position, bool output) {
  if (output)
    outputs.push_back(static_cast<int32_t>(tokens.size()));
  tokens.push_back(token);
  positions.push_back(position);
}

void PassBatch::end() {
  rowBegin.push_back(static_cast<int32_t>(tokens.size()));
}

PassCounts PassBatch::counts() const {
  return {static_cast<int64_t>(tokens.size()), static_cast<int64_t>(sequences.size()),
          static_cast<int64_t>(outputs.size())};
}

void PassBatch::pack(const PassLayout &layout, const HybridCache &cache, const std::vector<uint32_t> &slotCaches,
                     char *host, const char *device) const {
  auto put = [&](size_t offset, const std::vector<int32_t> &array) {
    if (!array.empty())
      std::memcpy(host + offset, array.data(), array.size() * sizeof(int32_t));
    return reinterpret_cast<const int32_t *>(device + offset);
  };
  PassCounts counts = this->counts();
  denim_batch_t batch;
  batch.token_count = counts.tokens;
  batch.sequence_count = counts.sequences;
  batch.output_count = counts.outputs;
  batch.tokens = put(layout.tokens, tokens);
  batch.positions = put(layout.positions, positions);
  batch.row_begin = put(layout.rowBegin, rowBegin);
  batch.past = put(layout.past, past);
  batch.outputs = put(layout.outputs, outputs);
  batch.pages = put(layout.pages, pages);
  batch.page_begin = put(layout.pageBegin, pageBegin);
  std::memcpy(host, &batch, sizeof batch);
  for (size_t i = 0; i < slotCaches.size(); ++i) {
    char *slots = host + layout.slots + layout.slotStride * i;
    for (size_t s = 0; s < cached.size(); ++s) {
      void *slot = cache.slot(slotCaches[i], *cached[s]);
      std::memcpy(slots + s * sizeof slot, &slot, sizeof slot);
    }
  }
}

} // namespace denim
