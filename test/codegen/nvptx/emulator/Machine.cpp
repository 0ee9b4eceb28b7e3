#include "test/codegen/nvptx/emulator/Machine.h"
#include <algorithm>
#include <cstdio>

using namespace denim::ptx;

//===--------------------------------------------------------------------------------------------------------------===//
// Memory of the device
//===--------------------------------------------------------------------------------------------------------------===//

void GlobalMemory::add(const void *base, uint64_t bytes, std::string name) {
  uint64_t begin = reinterpret_cast<uint64_t>(base);
  regions[begin] = {begin, begin + bytes, std::move(name)};
  last = nullptr;
}

void GlobalMemory::remove(const void *base) {
  regions.erase(reinterpret_cast<uint64_t>(base));
  last = nullptr;
}

const GlobalMemory::Region *GlobalMemory::find(uint64_t address, uint64_t bytes) const {
  auto holds = [&](const Region &region) { return region.begin <= address && address + bytes <= region.end; };
  if (last && holds(*last))
    return last;
  auto it = regions.upper_bound(address);
  if (it == regions.begin() || !holds((--it)->second))
    return nullptr;
  return last = &it->second;
}

std::string GlobalMemory::describe(uint64_t address) const {
  char text[96];
  auto it = regions.upper_bound(address);
  if (it == regions.begin()) {
    std::snprintf(text, sizeof text, "address 0x%llx, below all memory", static_cast<unsigned long long>(address));
    return text;
  }
  const Region &region = (--it)->second;
  std::snprintf(text, sizeof text, "byte %lld of %lld of ", static_cast<long long>(address - region.begin),
                static_cast<long long>(region.end - region.begin));
  return text + region.name;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Warps
//===--------------------------------------------------------------------------------------------------------------===//

Warp::Warp(Block &block, uint32_t index, uint32_t lanes) : block(block), index(index), alive(lanes) {
  const Program &program = block.program;
  size_t bytes = size_t(program.slots + 1) * 128;
  storage.reset(new char[bytes + 64]());
  registers.at = storage.get() + (64 - reinterpret_cast<uintptr_t>(storage.get()) % 64) % 64;
  for (const Preset &preset : program.presets)
    for (int lane = 0; lane < 32; ++lane) {
      uint64_t value = preset.value;
      switch (preset.kind) {
      case Preset::Kind::constant:
        break;
      case Preset::Kind::threadX:
        value = index * 32 + lane;
        break;
      case Preset::Kind::laneId:
        value = lane;
        break;
      case Preset::Kind::blockX:
        value = block.number;
        break;
      case Preset::Kind::threadsX:
        value = block.launch.threads;
        break;
      case Preset::Kind::blocksX:
        value = block.launch.blocks;
        break;
      }
      if (preset.wide)
        slot<uint64_t>(preset.slot)[lane] = value;
      else
        slot<uint32_t>(preset.slot)[lane] = uint32_t(value);
    }
  if (lanes)
    groups.push_back({0, lanes, false});
  clock.first = index * 32;
  for (auto &known : clock.known)
    known = block.races.nothing();
  if (program.usesGroups) {
    writtenSinceFence.assign(program.slots, 0);
    written.assign(program.slots, 0);
    readBy.assign(program.slots, 0);
  }
}

/// Lanes at the same place go on together.
void Warp::merge() {
  for (size_t i = 0; i < groups.size(); ++i)
    for (size_t j = groups.size(); --j > i;)
      if (groups[j].pc == groups[i].pc) {
        groups[i].lanes |= groups[j].lanes;
        groups[i].waiting = groups[i].waiting && groups[j].waiting;
        groups.erase(groups.begin() + j);
      }
}

/// The group that is furthest behind and can go on.
bool Warp::pick() {
  merge();
  size_t best = groups.size();
  for (size_t i = 0; i < groups.size(); ++i)
    if (!groups[i].waiting && (best == groups.size() || groups[i].pc < groups[best].pc))
      best = i;
  current = best;
  return best < groups.size();
}

void Warp::split(size_t group, uint32_t taken, int32_t target) {
  groups[group].lanes &= ~taken;
  ++groups[group].pc;
  groups.push_back({target, taken, false});
}

void Warp::leave(size_t group, uint32_t lanes) {
  alive &= ~lanes;
  groups[group].lanes &= ~lanes;
  if (groups[group].lanes)
    ++groups[group].pc;
  else
    groups.erase(groups.begin() + group);
  // Who waits for all lanes of the warp may have them now.
  for (Group &other : groups)
    other.waiting = false;
}

/// Registers of products in flight belong to the products.
void Warp::checkInFlight(const Instruction &instruction) {
  for (size_t i = 0; i < instruction.slots.size(); ++i) {
    Slot slot = instruction.slots[i];
    bool isWrite = i < instruction.outs;
    if (written[slot] > groupsDone || (isWrite && readBy[slot] > groupsDone))
      block.stop(instruction, std::string("expected wgmma.wait_group before a register of a product in flight is ") +
                                  (isWrite ? "written" : "read") + ", but warp " + std::to_string(index) + " " +
                                  (isWrite ? "writes" : "reads") + " one of group " +
                                  std::to_string(std::max(written[slot], readBy[slot])) + " with " +
                                  std::to_string(groupsDone) + " known to be done");
  }
}

inline void Warp::step(const Instruction &instruction, uint32_t lanes) {
  if (groupsCommitted + groupOpen > groupsDone)
    checkInFlight(instruction);
  instruction.execute(*this, instruction, lanes);
  if (!writtenSinceFence.empty())
    for (size_t i = 0; i < instruction.outs; ++i)
      writtenSinceFence[instruction.slots[i]] = fences;
}

/// Branches without waiting for anybody: more of them are taken for a loop without end.
static constexpr int64_t kMostBranches = 20 * 1000 * 1000;

void Warp::run() {
  int64_t branches = 0;
  for (Group &group : groups)
    group.waiting = false;
  const std::vector<Instruction> &code = block.program.code;
  while (!block.stopped && pick()) {
    bool alone = groups.size() == 1;
    // One group runs until it waits, is done or splits; one of several until it passes another.
    int32_t limit = INT32_MAX;
    if (!alone)
      for (size_t i = 0; i < groups.size(); ++i)
        if (i != current && groups[i].pc > groups[current].pc)
          limit = std::min(limit, groups[i].pc);
    for (bool goesOn = true; goesOn && !block.stopped;) {
      Group &group = groups[current];
      const Instruction &instruction = code[group.pc];
      uint32_t lanes = group.lanes;
      if (instruction.guard >= 0) {
        uint32_t guard = predicate(Slot(instruction.guard));
        lanes &= instruction.guardNegated ? ~guard : guard;
      }
      switch (instruction.flow) {
      case Flow::plain:
        if (lanes)
          step(instruction, lanes);
        ++group.pc;
        break;
      case Flow::branch:
        if (++branches > kMostBranches)
          block.stop(instruction, "expected warp " + std::to_string(index) + " to come to a barrier or its end");
        if (lanes == group.lanes) {
          goesOn = alone || instruction.target > group.pc;
          group.pc = instruction.target;
        } else if (lanes) {
          split(current, lanes, instruction.target);
          goesOn = false;
        } else {
          ++group.pc;
        }
        break;
      case Flow::jump: {
        // One target at a time; lanes with others are groups of their own.
        uint32_t first = slot<uint32_t>(instruction.slots[0])[__builtin_ctz(group.lanes)], same = 0;
        for (uint32_t m = lanes; m; m &= m - 1)
          same |= uint32_t(slot<uint32_t>(instruction.slots[0])[__builtin_ctz(m)] == first) << __builtin_ctz(m);
        if (lanes != group.lanes || first >= instruction.targets.size()) {
          block.stop(instruction, "expected an index of " + std::to_string(instruction.targets.size()) + " targets");
          break;
        }
        goesOn = false;
        if (same == lanes) {
          group.pc = instruction.targets[first];
        } else {
          group.lanes &= ~same;
          groups.push_back({instruction.targets[first], same, false});
        }
        break;
      }
      case Flow::exit:
        if (lanes) {
          if (groupOpen || groupsCommitted > groupsDone)
            block.stop(instruction, "expected wgmma.wait_group 0 before a warp ends, but warp " +
                                        std::to_string(index) + " has products in flight");
          leave(current, lanes);
          goesOn = false;
        } else {
          ++group.pc;
        }
        block.progressed = true;
        break;
      case Flow::waits:
      case Flow::together:
        if (!lanes) {
          ++group.pc;
          break;
        }
        if (instruction.flow == Flow::together && lanes != alive) {
          group.waiting = true;
          goesOn = false;
          break;
        }
        blocked = false;
        step(instruction, lanes);
        if (blocked) {
          group.waiting = true;
          goesOn = false;
        } else if (yields) {
          yields = false;
          group.waiting = true;
          ++group.pc;
          goesOn = false;
        } else {
          ++group.pc;
          block.progressed = true;
        }
        break;
      }
      ++block.executed;
      if (goesOn && !alone && groups[current].pc >= limit)
        goesOn = false;
    }
  }
}

//===--------------------------------------------------------------------------------------------------------------===//
// Blocks
//===--------------------------------------------------------------------------------------------------------------===//

Block::Block(const Program &program, const Launch &launch, GlobalMemory &global, Findings &findings, Past *past)
    : program(program), launch(launch), global(global),
      races(program, uint32_t((launch.threads + 31) / 32), launch.sharedBytes, findings),
      shared(size_t(launch.sharedBytes)), past(past), findings(findings) {}

std::string Block::threadName(const Warp &warp, uint32_t lane) const {
  return "block " + std::to_string(number) + ", " + races.actorName(warp.clock.first + lane);
}

void Block::stop(const Instruction &at, const std::string &message) {
  stopped = true;
  findings.add("stopped", at.line, 0,
               program.name + ": " + message + ", block " + std::to_string(number) + " at " + races.lineText(at.line));
}

char *Block::sharedBytes(const Instruction &at, const Warp &warp, uint32_t lane, int64_t address, int64_t bytes,
                         int64_t alignment) {
  int64_t offset = address - kSharedBase;
  if (offset < 0 || offset + bytes > launch.sharedBytes)
    stop(at, "expected an address within the block's " + std::to_string(launch.sharedBytes) +
                 " bytes of shared memory, but got byte " + std::to_string(offset) + " for " + std::to_string(bytes) +
                 " bytes by " + threadName(warp, lane));
  else if (address % alignment)
    stop(at, "expected a shared address that is a multiple of " + std::to_string(alignment) + ", but got byte " +
                 std::to_string(offset) + " by " + threadName(warp, lane));
  else
    return shared.data() + offset;
  return nullptr;
}

char *Block::globalBytes(const Instruction &at, const Warp &warp, uint32_t lane, uint64_t address, int64_t bytes,
                         int64_t alignment) {
  if (!global.find(address, bytes))
    stop(at, "expected " + std::to_string(bytes) + " bytes within a buffer, but got " + global.describe(address) +
                 " by " + threadName(warp, lane));
  else if (address % alignment)
    stop(at, "expected a global address that is a multiple of " + std::to_string(alignment) + ", but got " +
                 global.describe(address) + " by " + threadName(warp, lane));
  else
    return reinterpret_cast<char *>(address);
  return nullptr;
}

Mbarrier *Block::findMbarrier(int64_t address) {
  for (Mbarrier &mbarrier : mbarriers)
    if (mbarrier.address == address)
      return &mbarrier;
  return nullptr;
}

void Block::checkPast(const Instruction &at, const Warp &warp, uint32_t lane, uint64_t address, int64_t bytes,
                      bool writes, bool async) {
  if (!past)
    return;
  if (past->mayOverlap() && !(warp.waited >> lane & 1)) {
    std::string expected = past->wrong(found, warp.clock, lane, address, bytes, writes, async);
    if (!expected.empty())
      findings.add("overlap", at.line, 0,
                   program.name + ": overlap: block " + std::to_string(number) + ", " +
                       (async ? "a bulk copy of " : "") + races.actorName(warp.clock.first + lane) +
                       (writes ? " writes " : " reads ") + global.describe(address) + " at " + races.lineText(at.line) +
                       ", which an earlier launch may not be done with; expected " + expected);
  }
  if (writes)
    past->wrote(address, bytes, uint32_t(number), warp.clock.first + lane, warp.clock.time);
  else
    past->read(address, bytes);
}

void Block::reportDeadlock() {
  std::string who;
  int32_t line = 0;
  for (auto &warp : warps)
    for (const Group &group : warp->groups) {
      const Instruction &at = program.code[group.pc];
      line = at.line;
      char lanes[32];
      std::snprintf(lanes, sizeof lanes, "%08x", group.lanes);
      who += "\n  warp " + std::to_string(warp->index) + ", lanes " + lanes + ", at " + races.lineText(at.line);
      if (at.flow == Flow::together && group.lanes != warp->alive)
        who += ", for the other lanes of the warp";
    }
  for (const Mbarrier &mbarrier : mbarriers)
    if (mbarrier.pending != mbarrier.arrivals || mbarrier.bytes)
      who += "\n  mbarrier at shared+" + std::to_string(mbarrier.address - kSharedBase) + " is in phase " +
             std::to_string(mbarrier.phase) + ", misses " + std::to_string(mbarrier.pending) + " of " +
             std::to_string(mbarrier.arrivals) + " arrivals and " + std::to_string(mbarrier.bytes) + " bytes";
  for (int i = 0; i < 16; ++i)
    if (barriers[i].threads)
      who += "\n  barrier " + std::to_string(i) + " has " + std::to_string(barriers[i].threads) + " of " +
             std::to_string(barriers[i].expected) + " threads";
  findings.add("deadlock", line, 0,
               program.name + ": deadlock: block " + std::to_string(number) + ", nobody can go on:" + who);
}

bool Block::run(int64_t blockNumber) {
  number = blockNumber;
  races.startBlock(number);
  // What the last block left is not what the next one finds.
  std::memset(shared.data(), 0xff, shared.size());
  for (NamedBarrier &barrier : barriers)
    barrier = {};
  mbarriers.clear();
  found.clear();
  letNextBegin = false;
  int64_t count = (launch.threads + 31) / 32;
  warpgroups.assign((count + 3) / 4, {});
  warps.clear();
  for (int64_t i = 0; i < count; ++i) {
    int64_t lanes = std::min<int64_t>(launch.threads - i * 32, 32);
    warps.push_back(std::make_unique<Warp>(*this, uint32_t(i), lanes == 32 ? kAllLanes : (1u << lanes) - 1));
  }
  while (!stopped) {
    progressed = false;
    bool all = true;
    for (auto &warp : warps) {
      warp->run();
      all &= warp->groups.empty();
    }
    if (all)
      break;
    if (!progressed && !stopped) {
      reportDeadlock();
      stopped = true;
    }
  }
  return !stopped;
}

bool denim::ptx::execute(const Program &program, const Launch &launch, GlobalMemory &global, Findings &findings,
                         Past *past) {
  size_t before = findings.messages.size() + findings.hidden;
  if (launch.threads < 1 || launch.threads > 1024 || (program.mostThreads && launch.threads > program.mostThreads)) {
    findings.add("launch", 0, 0,
                 program.name + ": expected at most " + std::to_string(program.mostThreads) + " threads, but got " +
                     std::to_string(launch.threads));
    return false;
  }
  if (past)
    past->beginLaunch(program.waits);
  Block block(program, launch, global, findings, past);
  for (int64_t number = 0; number < launch.blocks; ++number)
    if (!block.run(number))
      break;
  return findings.messages.size() + findings.hidden == before;
}
