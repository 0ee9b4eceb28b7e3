#include "test/codegen/nvptx/emulator/Past.h"
#include <algorithm>

using namespace denim::ptx;

Past::Cell *Past::cellsAt(uint64_t address) {
  uint64_t page = address / kPage;
  if (page != lastPage) {
    auto &own = cells[page];
    if (!own)
      own.reset(new Cell[kPage / 2]);
    lastPage = page, lastCells = own.get();
  }
  return lastCells + address % kPage / 2;
}

const Past::Cell *Past::cellAt(uint64_t address) const {
  auto it = cells.find(address / kPage);
  return it == cells.end() ? nullptr : it->second.get() + address % kPage / 2;
}

template <typename Visit> void Past::forCells(uint64_t address, uint64_t bytes, Visit visit) {
  uint64_t at = address & ~uint64_t(1), end = address + bytes;
  while (at < end) {
    Cell *cell = cellsAt(at);
    for (uint64_t last = std::min(end, (at / kPage + 1) * kPage); at < last; at += 2)
      visit(*cell++);
  }
}

void Past::forget(uint64_t address, uint64_t bytes) {
  uint64_t end = address + bytes;
  for (auto it = cells.begin(); it != cells.end();) {
    uint64_t first = it->first * kPage, last = first + kPage;
    if (first >= address && last <= end) {
      it = cells.erase(it);
      continue;
    }
    for (uint64_t at = std::max(first, address & ~uint64_t(1)); at < std::min(last, end); at += 2)
      it->second[(at - first) / 2] = Cell();
    ++it;
  }
  lastPage = ~uint64_t(0), lastCells = nullptr;
  for (auto it = signals.begin(); it != signals.end();)
    it = it->first >= address && it->first < end ? signals.erase(it) : std::next(it);
}

void Past::wrote(uint64_t address, int64_t bytes, uint32_t block, uint32_t actor, uint32_t time) {
  forCells(address, uint64_t(bytes), [&](Cell &cell) {
    cell.launch = launch, cell.block = block, cell.actor = uint16_t(actor), cell.time = time;
  });
}

void Past::read(uint64_t address, int64_t bytes) {
  forCells(address, uint64_t(bytes), [&](Cell &cell) { cell.readLaunch = launch; });
}

void Past::signalled(uint64_t address, uint32_t block, std::shared_ptr<const Knowledge> knowledge) {
  signals[address] = {launch, block, std::move(knowledge)};
}

const Signal *Past::signalAt(uint64_t address) const {
  auto it = signals.find(address);
  return it == signals.end() || it->second.launch + 1 != launch ? nullptr : &it->second;
}

bool Past::Found::isKnown(const By &by, const WarpClock &clock, uint32_t lane) {
  if (by.first == clock.first && by.lanes >> lane & 1)
    return true;
  for (uint32_t m = by.lanes; m; m &= m - 1)
    if (RaceCheck::known(clock, 1u << lane, by.first + uint32_t(__builtin_ctz(m)), by.time))
      return true;
  return false;
}

std::string Past::wrong(const std::vector<Found> &found, const WarpClock &clock, uint32_t lane, uint64_t address,
                        int64_t bytes, bool writes, bool async) const {
  for (uint64_t at = address & ~uint64_t(1); at < address + uint64_t(bytes); at += 2) {
    const Cell *cell = cellAt(at);
    if (!cell)
      continue;
    if (writes && cell->readLaunch + 1 == launch)
      return "griddepcontrol.wait before what the kernel beside it reads is overwritten";
    bool before = cell->launch + 1 == launch, older = cell->launch && cell->launch + 1 < launch;
    if (writes && cell->readLaunch && cell->readLaunch + 1 < launch)
      older = true;
    if (!before && (!older || olderDone))
      continue;
    bool told = false, fenced = false;
    for (const Found &one : found) {
      bool speaks = !before || (one.block == cell->block && one.knowledge->direct[cell->actor] >= cell->time);
      if (!speaks || !Found::isKnown(one.by, clock, lane))
        continue;
      told = true;
      fenced |= !before || !async || std::any_of(one.fenced.begin(), one.fenced.end(), [&](const Found::By &by) {
        return Found::isKnown(by, clock, lane);
      });
      if (fenced)
        break;
    }
    if (!told)
      return "griddepcontrol.wait, or an acquired signal that was released behind it";
    if (!fenced)
      return "fence.proxy.async behind the signal that was acquired";
  }
  return {};
}
