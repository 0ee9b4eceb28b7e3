// Launches that overlap, and the signals between them: griddepcontrol, and loads and stores that acquire and release.
#include "test/codegen/nvptx/emulator/Machine.h"
#include <algorithm>

using namespace denim::ptx;

namespace {

void awaitLaunches(Warp &warp, const Instruction &, uint32_t lanes) {
  warp.waited |= lanes;
}

void letNextBegin(Warp &warp, const Instruction &, uint32_t lanes) {
  if ((lanes & ~warp.waited) == 0)
    return;
  warp.block.letNextBegin = true;
  if (warp.block.past)
    warp.block.past->letNextBeginUnwaited();
}

void fence(Warp &warp, const Instruction &, uint32_t lanes) {
  for (uint32_t m = lanes; m; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    Knowledge known = warp.block.races.unknown();
    warp.block.races.release(warp.clock, 1u << lane, known);
    warp.releasing[lane] = std::make_shared<const Knowledge>(std::move(known));
  }
}

/// The word that a thread gives to who runs beside the block.
void storeSignal(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  for (uint32_t m = lanes; m && !block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    auto address = uint64_t(addressOf(warp, i, i.slots[0], int(lane)));
    char *to = block.globalBytes(i, warp, lane, address, 4, 4);
    if (!to)
      return;
    if (block.letNextBegin)
      return block.stop(i, "expected griddepcontrol.wait before griddepcontrol.launch_dependents in a kernel that "
                           "signals");
    block.checkPast(i, warp, lane, address, 4, /*writes=*/true);
    block.races.write(RaceCheck::Space::global, warp.clock, lane, address, 4, false, i.line);
    if (block.past) {
      // Whoever acquires the signal may write there, too: it is no part of what is released.
      block.past->wrote(address, 4, uint32_t(block.number), warp.clock.first + lane, 0);
      auto known = warp.releasing[lane] ? warp.releasing[lane] : block.races.nothing();
      block.past->signalled(address, uint32_t(block.number), std::move(known));
    }
    std::memcpy(to, &warp.slot<uint32_t>(i.slots[1])[lane], 4);
  }
}

/// A zero is tried again when others had their turn: it may come from another warp, but not from another launch.
void loadSignal(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  for (uint32_t m = lanes; m && !block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m)), value = 0;
    auto address = uint64_t(addressOf(warp, i, i.slots[1], int(lane)));
    char *from = block.globalBytes(i, warp, lane, address, 4, 4);
    if (!from)
      return;
    std::memcpy(&value, from, 4);
    warp.slot<uint32_t>(i.slots[0])[lane] = value;
    block.races.read(RaceCheck::Space::global, warp.clock, 1u << lane, address, 4, i.line);
    warp.yields |= value == 0;
    const Signal *signal = block.past && value ? block.past->signalAt(address) : nullptr;
    if (!signal)
      continue;
    auto same = [&](const Past::Found &one) {
      return one.knowledge == signal->knowledge && one.by.first == warp.clock.first && one.by.time == warp.clock.time;
    };
    auto it = std::find_if(block.found.begin(), block.found.end(), same);
    if (it == block.found.end())
      it = block.found.insert(it, {signal->block, signal->knowledge, {warp.clock.first, 0, warp.clock.time}, {}});
    it->by.lanes |= 1u << lane;
  }
}

} // namespace

bool denim::ptx::decodeSignals(const Statement &s, Decoder &d, Instruction &to) {
  const std::string name = s.name();
  if (name == "griddepcontrol.wait") {
    d.program.waits = true;
    to.execute = awaitLaunches;
  } else if (name == "griddepcontrol.launch_dependents") {
    to.execute = letNextBegin;
  } else if (name == "nanosleep.u32") {
    to.execute = [](Warp &, const Instruction &, uint32_t) {};
  } else if (name == "fence.acq_rel.gpu") {
    to.execute = fence;
  } else if (name == "st.relaxed.gpu.global.b32" && s.operands.size() == 2) {
    to.slots.push_back(d.address(s.operands[0], to, false));
    d.ins(to, s.operands[1], "b32");
    to.execute = storeSignal;
  } else if (name == "ld.acquire.gpu.global.b32" && s.operands.size() == 2) {
    to.flow = Flow::waits;
    d.outs(to, s.operands[0], "b32");
    to.slots.push_back(d.address(s.operands[1], to, false));
    to.execute = loadSignal;
  }
  return to.execute;
}
