#include "test/codegen/nvptx/emulator/RaceCheck.h"
#include "test/codegen/nvptx/emulator/Program.h"
#include <algorithm>
#include <cstdio>

using namespace denim::ptx;

static constexpr uint32_t kEveryLane = 0xffffffff;

void Findings::add(const std::string &kind, int32_t line, int32_t other, const std::string &message) {
  static constexpr size_t kMost = 12;
  if (!seen.insert({kind, {line, other}}).second)
    return;
  if (messages.size() < kMost)
    messages.push_back(message);
  else
    ++hidden;
}

void Knowledge::join(const Knowledge &other) {
  for (size_t i = 0; i < direct.size(); ++i)
    direct[i] = std::max(direct[i], other.direct[i]);
  for (size_t i = 0; i < async.size(); ++i)
    async[i] = std::max(async[i], other.async[i]);
}

RaceCheck::RaceCheck(const Program &program, uint32_t warps, int64_t sharedBytes, Findings &findings)
    : program(program), findings(findings), warpCount(warps), count(warps * 33 + kMostMbarriers),
      sharedCells(size_t(sharedBytes + 1) / 2), reads(1) {
  Knowledge none;
  none.direct.assign(count, 0);
  none.async.assign(count, 0);
  empty = std::make_shared<const Knowledge>(std::move(none));
}

void RaceCheck::startBlock(int64_t number) {
  block = uint32_t(number);
  for (Cell &cell : sharedCells) {
    drop(cell.reads);
    drop(cell.before);
  }
  std::fill(sharedCells.begin(), sharedCells.end(), Cell());
}

//===--------------------------------------------------------------------------------------------------------------===//
// What orders accesses
//===--------------------------------------------------------------------------------------------------------------===//

static void setKnown(WarpClock &clock, uint32_t lanes, const std::shared_ptr<const Knowledge> &from,
                     const std::shared_ptr<const Knowledge> &to) {
  for (uint32_t lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1 && clock.known[lane] == from)
      clock.known[lane] = to;
}

static void setUniform(WarpClock &clock) {
  clock.uniform = std::all_of(clock.known, clock.known + 32,
                              [&](const std::shared_ptr<const Knowledge> &own) { return own == clock.known[0]; });
}

/// Calls `visit` with each knowledge that some of the lanes have, once.
template <typename Visit> static void forDistinct(WarpClock &clock, uint32_t lanes, Visit visit) {
  std::shared_ptr<const Knowledge> visited[32];
  size_t count = 0;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    if (!(lanes >> lane & 1))
      continue;
    std::shared_ptr<const Knowledge> own = clock.known[lane];
    if (std::find(visited, visited + count, own) != visited + count)
      continue;
    visited[count++] = own;
    visit(own);
  }
}

void RaceCheck::release(WarpClock &from, uint32_t lanes, Knowledge &into) {
  forDistinct(from, lanes, [&](const std::shared_ptr<const Knowledge> &own) { into.join(*own); });
  for (uint32_t lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1) {
      into.direct[from.first + lane] = std::max(into.direct[from.first + lane], from.time);
      into.async[from.first + lane] = std::max(into.async[from.first + lane], from.fenced[lane]);
    }
  ++from.time;
}

void RaceCheck::acquire(WarpClock &to, uint32_t lanes, const Knowledge &from) {
  // Lanes that come to know the same share it from here on: what lanes know apart costs as often as there are some.
  std::vector<std::shared_ptr<const Knowledge>> made;
  forDistinct(to, lanes, [&](const std::shared_ptr<const Knowledge> &own) {
    Knowledge next = *own;
    next.join(from);
    auto same = std::find_if(made.begin(), made.end(),
                             [&](const std::shared_ptr<const Knowledge> &other) { return *other == next; });
    if (same == made.end())
      same = made.insert(made.end(), std::make_shared<const Knowledge>(std::move(next)));
    setKnown(to, lanes, own, *same);
  });
  setUniform(to);
}

void RaceCheck::fence(WarpClock &clock, uint32_t lanes) {
  forDistinct(clock, lanes, [&](const std::shared_ptr<const Knowledge> &own) {
    auto next = std::make_shared<Knowledge>(*own);
    for (size_t i = 0; i < next->async.size(); ++i)
      next->async[i] = std::max(next->async[i], next->direct[i]);
    setKnown(clock, lanes, own, next);
  });
  for (uint32_t lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1)
      clock.fenced[lane] = clock.time;
  ++clock.time;
  setUniform(clock);
}

void RaceCheck::learn(WarpClock &clock, uint32_t lanes, uint32_t actor, uint32_t time) {
  forDistinct(clock, lanes, [&](const std::shared_ptr<const Knowledge> &own) {
    auto next = std::make_shared<Knowledge>(*own);
    next->direct[actor] = std::max(next->direct[actor], time);
    setKnown(clock, lanes, own, next);
  });
  setUniform(clock);
}

bool RaceCheck::known(const WarpClock &clock, uint32_t lanes, uint32_t actor, uint32_t time) {
  if (clock.uniform && clock.known[0]->direct[actor] >= time)
    return true;
  for (; lanes; lanes &= lanes - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(lanes));
    if (clock.first + lane != actor && clock.known[lane]->direct[actor] < time)
      return false;
  }
  return true;
}

bool RaceCheck::knownAsync(const WarpClock &clock, uint32_t lanes, uint32_t actor, uint32_t time) {
  for (; lanes; lanes &= lanes - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(lanes));
    bool own = clock.first + lane == actor && clock.fenced[lane] >= time;
    if (!own && clock.known[lane]->async[actor] < time)
      return false;
  }
  return true;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Cells
//===--------------------------------------------------------------------------------------------------------------===//

RaceCheck::Cell *RaceCheck::cellsAt(Space space, uint64_t address, size_t &available) {
  if (space == Space::shared) {
    available = sharedCells.size() - address / 2;
    return &sharedCells[address / 2];
  }
  uint64_t page = address / kPage;
  if (page != lastPage) {
    auto &cells = globalCells[page];
    if (!cells)
      cells.reset(new Cell[kPage / 2]);
    lastPage = page, lastCells = cells.get();
  }
  available = (kPage - address % kPage) / 2;
  return lastCells + address % kPage / 2;
}

template <typename Visit> void RaceCheck::forCells(Space space, uint64_t address, int64_t bytes, Visit visit) {
  uint64_t at = address & ~uint64_t(1), end = address + bytes;
  while (at < end) {
    size_t available = 0;
    Cell *cell = cellsAt(space, at, available);
    for (; available && at < end; --available, at += 2)
      visit(*cell++, at);
  }
}

void RaceCheck::drop(uint32_t &list) {
  while (list) {
    uint32_t next = reads[list].next;
    reads[list].next = freeReads;
    freeReads = list;
    list = next;
  }
}

void RaceCheck::addNode(uint32_t &list, Read read) {
  uint32_t index = freeReads;
  if (index) {
    freeReads = reads[index].next;
  } else {
    index = uint32_t(reads.size());
    reads.emplace_back();
  }
  read.next = list;
  reads[index] = read;
  list = index;
}

/// `clock` with `lanes`: the thread that reads, to forget older reads that it knows of; null for others.
void RaceCheck::addRead(Cell &cell, const WarpClock *clock, uint32_t lanes, uint32_t first, uint32_t mask,
                        uint32_t time, int32_t line) {
  if (cell.reads && cell.readBlock != block) {
    drop(cell.reads);
    cell.manyBlocksRead = true;
  }
  cell.readBlock = block;
  uint32_t *link = &cell.reads;
  bool found = false;
  while (*link) {
    uint32_t index = *link;
    Read &read = reads[index];
    if (read.first == first && read.time == time && !read.writes) {
      read.mask |= mask;
      found = true;
    } else {
      // Who knows of the older read speaks for it: whatever comes behind this one comes behind both.
      bool forget = clock != nullptr && mask && !(mask & (mask - 1));
      for (uint32_t m = read.mask; forget && m; m &= m - 1)
        forget = known(*clock, lanes, read.first + uint32_t(__builtin_ctz(m)), read.time);
      if (!forget && read.first == first && !(read.mask & ~mask) && !read.writes)
        forget = true; // the same actors, later
      if (forget) {
        *link = read.next;
        read.next = freeReads;
        freeReads = index;
        continue;
      }
    }
    link = &reads[index].next;
  }
  if (found)
    return;
  addNode(cell.reads, {first, mask, time, uint32_t(line), 0, false});
}

bool RaceCheck::otherBlockRead(const Cell &cell) const {
  return cell.manyBlocksRead || (cell.reads && cell.readBlock != block);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Messages
//===--------------------------------------------------------------------------------------------------------------===//

std::string RaceCheck::actorName(uint32_t actor) const {
  if (actor < warpCount * 32)
    return "thread " + std::to_string(actor) + " (warp " + std::to_string(actor / 32) + ", lane " +
           std::to_string(actor % 32) + ")";
  if (actor < warpCount * 33)
    return "wgmma of warp " + std::to_string(actor - warpCount * 32);
  return "a bulk copy for mbarrier " + std::to_string(actor - warpCount * 33);
}

std::string RaceCheck::lineText(int32_t line) const {
  std::string text = "line " + std::to_string(line);
  if (line < 1 || size_t(line) > program.text->lines.size())
    return text;
  const std::string &source = program.text->lines[line - 1];
  size_t begin = std::min(source.find_first_not_of(" \t"), source.size());
  std::string shown = source.substr(begin, 100);
  for (char &c : shown)
    if (c == '\t')
      c = ' ';
  return text + " `" + shown + (source.size() - begin > 100 ? "...`" : "`");
}

static std::string placeName(RaceCheck::Space space, uint64_t address) {
  char text[64];
  std::snprintf(text, sizeof text, space == RaceCheck::Space::shared ? "shared+0x%llx" : "global 0x%llx",
                static_cast<unsigned long long>(address));
  return text;
}

void RaceCheck::report(const char *kind, const Cell &cell, Space space, uint64_t address, const std::string &who,
                       const char *does, int32_t line, const std::string &expected) {
  std::string other = cell.writeBlock == block
                          ? actorName(cell.writer)
                          : "block " + std::to_string(cell.writeBlock) + ", " + actorName(cell.writer);
  findings.add(kind, line, int32_t(cell.writeLine),
               program.name + ": " + kind + ": block " + std::to_string(block) + ", " + who + " " + does + " " +
                   placeName(space, address) + " at " + lineText(line) + ", which " + other + " wrote at " +
                   lineText(int32_t(cell.writeLine)) + "; expected " + expected);
}

/// A write finds reads that the lane does not know of.
void RaceCheck::checkReads(uint32_t list, const WarpClock &clock, uint32_t lane, Space space, uint64_t address,
                           const std::string &does, bool same, int32_t line) {
  for (uint32_t index = list; index; index = reads[index].next) {
    const Read &read = reads[index];
    if (same && read.writes)
      continue;
    for (uint32_t mask = read.mask; mask; mask &= mask - 1) {
      uint32_t actor = read.first + uint32_t(__builtin_ctz(mask));
      if (known(clock, 1u << lane, actor, read.time))
        continue;
      bool products = actor >= warpCount * 32 && actor < warpCount * 33;
      findings.add("race", line, int32_t(read.line),
                   program.name + ": race: block " + std::to_string(block) + ", " + does + " " +
                       placeName(space, address) + " at " + lineText(line) + ", which " + actorName(actor) +
                       (read.writes ? " wrote at " : " reads at ") + lineText(int32_t(read.line)) +
                       (products ? "; expected wgmma.wait_group for those products and a barrier before"
                                 : "; expected a barrier between them"));
      return;
    }
  }
}

//===--------------------------------------------------------------------------------------------------------------===//
// Accesses
//===--------------------------------------------------------------------------------------------------------------===//

void RaceCheck::read(Space space, const WarpClock &clock, uint32_t lanes, uint64_t address, int64_t bytes,
                     int32_t line) {
  forCells(space, address, bytes, [&](Cell &cell, uint64_t at) {
    uint32_t lane = uint32_t(__builtin_ctz(lanes));
    if (cell.writer == kNobody) {
      if (space == Space::shared)
        findings.add("uninitialized", line, 0,
                     program.name + ": uninitialized: block " + std::to_string(block) + ", " +
                         actorName(clock.first + lane) + " reads " + placeName(space, at) + " at " + lineText(line) +
                         "; expected a write to these bytes before");
    } else if (cell.writeBlock != block) {
      report("race", cell, space, at, actorName(clock.first + lane), "reads", line, "blocks not to share it");
    } else if (!known(clock, lanes, cell.writer, cell.writeTime)) {
      for (uint32_t m = lanes; m; m &= m - 1)
        if (uint32_t own = uint32_t(__builtin_ctz(m)); !known(clock, 1u << own, cell.writer, cell.writeTime))
          lane = own;
      report("race", cell, space, at, actorName(clock.first + lane), "reads", line,
             cell.writer >= warpCount * 33 ? "a wait for its mbarrier's phase" : betweenThreads(cell));
    }
    addRead(cell, &clock, lanes, clock.first, lanes, clock.time, line);
  });
}

void RaceCheck::write(Space space, const WarpClock &clock, uint32_t lane, uint64_t address, int64_t bytes, bool same,
                      int32_t line, bool pending) {
  uint32_t actor = clock.first + lane;
  forCells(space, address, bytes, [&](Cell &cell, uint64_t at) {
    bool written = cell.writer != kNobody;
    if (written && cell.writeBlock != block) {
      // Blocks at the end of rows overlap the ones before and compute the same.
      if (!same)
        report("race", cell, space, at, actorName(actor), "writes", line, "blocks not to share it");
      written = false;
    }
    bool beside = written && !known(clock, 1u << lane, cell.writer, cell.writeTime);
    if (beside && (!same || cell.writer >= warpCount * 32))
      report("race", cell, space, at, actorName(actor), "writes", line, "a barrier between them");
    if (otherBlockRead(cell))
      findings.add("race", line, 0,
                   program.name + ": race: block " + std::to_string(block) + ", " + actorName(actor) + " writes " +
                       placeName(space, at) + " at " + lineText(line) +
                       ", which another block reads; expected blocks not to share it");
    else
      checkReads(cell.reads, clock, lane, space, at, actorName(actor) + " writes", same, line);
    if (beside) {
      checkReads(cell.before, clock, lane, space, at, actorName(actor) + " writes", same, line);
      cell.readBlock = block;
      addNode(cell.reads, {cell.writer, 1, cell.writeTime, cell.writeLine, 0, true});
    } else {
      drop(cell.before);
      std::swap(cell.before, cell.reads);
    }
    cell.manyBlocksRead = false;
    cell.writer = uint16_t(actor), cell.writeTime = pending ? kNever : clock.time, cell.writeLine = uint32_t(line);
    cell.writeBlock = block;
  });
}

void RaceCheck::groupRead(WarpClock *const clocks[4], uint32_t warp, uint32_t group, uint64_t address, int64_t bytes,
                          int32_t line) {
  forCells(Space::shared, address, bytes, [&](Cell &cell, uint64_t at) {
    std::string who = "wgmma of warps " + std::to_string(warp) + " to " + std::to_string(warp + 3);
    if (cell.writer == kNobody) {
      findings.add("uninitialized", line, 0,
                   program.name + ": uninitialized: block " + std::to_string(block) + ", " + who + " reads " +
                       placeName(Space::shared, at) + " at " + lineText(line) +
                       "; expected a write to these bytes before");
    } else {
      bool generic = cell.writer < warpCount * 32;
      for (int i = 0; i < 4; ++i) {
        const WarpClock &clock = *clocks[i];
        if (!known(clock, kEveryLane, cell.writer, cell.writeTime)) {
          report("race", cell, Space::shared, at, who, "reads", line,
                 generic ? betweenThreads(cell) : "a wait for its mbarrier's phase");
          break;
        }
        if (generic && !knownAsync(clock, 1, cell.writer, cell.writeTime) &&
            !knownAsync(clock, kEveryLane, cell.writer, cell.writeTime)) {
          report("proxy", cell, Space::shared, at, who, "reads", line,
                 "fence.proxy.async behind the write and before the barrier");
          break;
        }
      }
    }
    addRead(cell, nullptr, 0, groupActor(warp), 15, group, line);
  });
}

void RaceCheck::copyWrite(const WarpClock &clock, uint32_t lane, uint32_t actor, uint32_t time, uint64_t address,
                          int64_t bytes, int32_t line) {
  std::string who = "a bulk copy of " + actorName(clock.first + lane);
  forCells(Space::shared, address, bytes, [&](Cell &cell, uint64_t at) {
    if (cell.writer != kNobody) {
      if (!known(clock, 1u << lane, cell.writer, cell.writeTime))
        report("race", cell, Space::shared, at, who, "writes", line, "a barrier between them");
      else if (cell.writer < warpCount * 32 && !knownAsync(clock, 1u << lane, cell.writer, cell.writeTime))
        report("proxy", cell, Space::shared, at, who, "writes", line,
               "fence.proxy.async behind the write and before the barrier");
    }
    checkReads(cell.reads, clock, lane, Space::shared, at, who + " writes", /*same=*/false, line);
    drop(cell.reads);
    drop(cell.before);
    cell.writer = uint16_t(actor), cell.writeTime = time, cell.writeLine = uint32_t(line), cell.writeBlock = block;
  });
}

void RaceCheck::copyRead(const WarpClock &clock, uint32_t lane, uint32_t actor, uint32_t time, uint64_t address,
                         int64_t bytes, int32_t line) {
  std::string who = "a bulk copy of " + actorName(clock.first + lane);
  forCells(Space::global, address, bytes, [&](Cell &cell, uint64_t at) {
    if (cell.writer != kNobody) {
      if (cell.writeBlock != block)
        report("race", cell, Space::global, at, who, "reads", line, "blocks not to share it");
      else if (!known(clock, 1u << lane, cell.writer, cell.writeTime))
        report("race", cell, Space::global, at, who, "reads", line, "a barrier between them");
      else if (!knownAsync(clock, 1u << lane, cell.writer, cell.writeTime))
        report("proxy", cell, Space::global, at, who, "reads", line, "fence.proxy.async behind the write");
    }
    addRead(cell, nullptr, 0, actor, 1, time, line);
  });
}
