//===- HybridCache.cpp - what sequences remember --------------------------===//

#include "runtime/cache/HybridCache.h"

#include <algorithm>

namespace denim {

Status HybridCache::create(Device &device, const Plan &plan, size_t budget, std::unique_ptr<HybridCache> &out) {
  std::unique_ptr<HybridCache> cache(new HybridCache(device));
  cache->budget = budget;
  cache->slotBytes = plan.slotBytes();
  cache->pageBytes = plan.pageBytes();
  // Numbers are 32 bits, and each pool could fill the budget alone.
  auto most = [&](size_t bytes) { return bytes ? std::min<size_t>(budget / bytes, INT32_MAX) : 0; };
  for (const PlanCache &description : plan.caches) {
    Pool pool{description.kind, description.bytes, {}};
    size_t count = most(description.kind == CacheKind::Paged ? cache->pageBytes : cache->slotBytes);
    if (Status status = device.reserve(count * pool.bytes, pool.memory))
      return error(status.code(), "cache '", description.name, "': ", status.message());
    cache->pools.push_back(std::move(pool));
  }
  out = std::move(cache);
  return {};
}

size_t HybridCache::usedBytes() const {
  return slots.used() * slotBytes + pages.used() * pageBytes;
}

Status HybridCache::fits(size_t moreSlots, size_t morePages, std::string_view what) const {
  size_t left = budget - usedBytes();
  size_t wanted = 0;
  if (__builtin_mul_overflow(morePages, pageBytes, &wanted) ||
      __builtin_add_overflow(wanted, moreSlots * slotBytes, &wanted))
    wanted = SIZE_MAX;
  if (wanted > left)
    return exhausted(what, ": expected at most ", left, " bytes, which the cache's budget of ", budget,
                     " has left, but got ", wanted);
  size_t high = std::max(slots.highAfter(moreSlots), pages.highAfter(morePages));
  if (high > INT32_MAX)
    return exhausted(what, ": expected at most ", INT32_MAX, " slots and pages, but got ", high);
  return {};
}

Status HybridCache::commit(bool paged, size_t count) {
  for (Pool &pool : pools)
    if ((pool.kind == CacheKind::Paged) == paged)
      if (Status status = device->commit(pool.memory, count * pool.bytes))
        return status;
  return {};
}

Status HybridCache::createSequence(SequenceId &out) {
  if (Status status = fits(1, 0, "a new sequence"))
    return status;
  if (Status status = commit(false, slots.highAfter(1)))
    return status;
  slots.prepare(1);
  Sequence &sequence = sequences[nextId];
  sequence.slot = slots.take();
  for (size_t c = 0; c < pools.size(); ++c)
    if (pools[c].kind != CacheKind::Paged)
      device->zero(slot(c, sequence), pools[c].bytes);
  out = nextId++;
  return {};
}

Status HybridCache::fork(SequenceId from, SequenceId &out) {
  if (!find(from))
    return error(DENIM_STATUS_NOT_FOUND, "expected a sequence to fork, but got ", from, ", which does not exist");
  const Sequence *before = find(from);
  // Only pages with tokens: what was reserved further stays the source's own.
  size_t filled = pageBytes ? (before->length + DENIM_PAGE_TOKENS - 1) / DENIM_PAGE_TOKENS : 0;
  std::vector<int32_t> shared(before->pages.begin(), before->pages.begin() + filled);
  SequenceId copy;
  if (Status status = createSequence(copy))
    return status;
  const Sequence &source = sequences.at(from);
  Sequence &target = sequences.at(copy);
  target.pages = std::move(shared);
  target.length = source.length;
  for (int32_t page : target.pages)
    ++pageUses[page];
  for (size_t c = 0; c < pools.size(); ++c)
    if (pools[c].kind != CacheKind::Paged)
      device->copy(slot(c, target), slot(c, source), pools[c].bytes);
  out = copy;
  return {};
}

void HybridCache::dropPage(int32_t page) {
  if (--pageUses[page] == 0)
    pages.give(page);
}

Status HybridCache::release(SequenceId id) {
  auto it = sequences.find(id);
  if (it == sequences.end())
    return error(DENIM_STATUS_NOT_FOUND, "expected a sequence to release, but got ", id, ", which does not exist");
  for (int32_t page : it->second.pages)
    dropPage(page);
  slots.give(it->second.slot);
  sequences.erase(it);
  return {};
}

const HybridCache::Sequence *HybridCache::find(SequenceId id) const {
  auto it = sequences.find(id);
  return it == sequences.end() ? nullptr : &it->second;
}

Status HybridCache::reserve(const std::vector<Growth> &growths) {
  if (pageBytes == 0)
    return {};
  // Count first. Of n sequences that share a last page, n - 1 need a copy; the last keeps it.
  size_t wanted = 0;
  std::unordered_map<int32_t, int32_t> usesLeft;
  auto sharedLastPage = [&](const Sequence &sequence) -> int32_t {
    if (sequence.length % DENIM_PAGE_TOKENS == 0)
      return -1;
    int32_t page = sequence.pages[sequence.length / DENIM_PAGE_TOKENS];
    return pageUses[page] > 1 ? page : -1;
  };
  auto pagesFor = [](int64_t tokens) {
    return static_cast<size_t>((tokens + DENIM_PAGE_TOKENS - 1) / DENIM_PAGE_TOKENS);
  };
  for (const Growth &growth : growths) {
    if (growth.tokens == 0)
      continue;
    Sequence &sequence = sequences.at(growth.sequence);
    size_t need = pagesFor(sequence.length + growth.tokens);
    wanted += need > sequence.pages.size() ? need - sequence.pages.size() : 0;
    if (int32_t page = sharedLastPage(sequence); page >= 0) {
      int32_t &uses = usesLeft.emplace(page, pageUses[page]).first->second;
      if (uses > 1) {
        --uses;
        ++wanted;
      }
    }
  }
  if (wanted == 0)
    return {};
  if (Status status = fits(0, wanted, "new tokens"))
    return status;
  size_t high = pages.highAfter(wanted);
  if (Status status = commit(true, high))
    return status;
  // All that can throw, then all that changes.
  pages.prepare(wanted);
  std::vector<int32_t> used;
  used.reserve(wanted);
  if (pageUses.size() < high)
    pageUses.resize(std::max(high, pageUses.size() * 2));
  for (const Growth &growth : growths) {
    Sequence &sequence = sequences.at(growth.sequence);
    sequence.pages.reserve(pagesFor(sequence.length + growth.tokens));
  }
  for (const Growth &growth : growths) {
    if (growth.tokens == 0)
      continue;
    Sequence &sequence = sequences.at(growth.sequence);
    auto take = [&] {
      int32_t page = pages.take();
      pageUses[page] = 1;
      return page;
    };
    if (int32_t page = sharedLastPage(sequence); page >= 0) {
      int32_t own = take();
      for (size_t c = 0; c < pools.size(); ++c)
        if (pools[c].kind == CacheKind::Paged)
          device->copy(pools[c].memory.data() + pools[c].bytes * own, pools[c].memory.data() + pools[c].bytes * page,
                       pools[c].bytes);
      sequence.pages[sequence.length / DENIM_PAGE_TOKENS] = own;
      dropPage(page);
    }
    for (size_t need = pagesFor(sequence.length + growth.tokens); sequence.pages.size() < need;) {
      bool isNew = pages.nextIsNew();
      int32_t page = take();
      if (!isNew)
        used.push_back(page);
      sequence.pages.push_back(page);
    }
  }
  zeroPages(std::move(used));
  return {};
}

/// Kernels read whole pages and give rows behind the last token the weight 0, which a NaN that another sequence left
/// there would survive. New memory is zero as it comes. Neighbours are cleared at once: a prompt takes hundreds of
/// pages, and each call costs a device some microseconds however little it clears.
void HybridCache::zeroPages(std::vector<int32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  for (size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
    for (end = begin + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;)
      ++end;
    for (Pool &pool : pools)
      if (pool.kind == CacheKind::Paged)
        device->zero(pool.memory.data() + pool.bytes * static_cast<size_t>(numbers[begin]), pool.bytes * (end - begin));
  }
}

void HybridCache::advance(SequenceId id, int64_t tokens) {
  sequences.at(id).length += tokens;
}

} // namespace denim
