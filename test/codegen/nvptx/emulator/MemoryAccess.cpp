// ld and st of parameters, shared and global memory.
#include "test/codegen/nvptx/emulator/Machine.h"

using namespace denim::ptx;

namespace {

using Space = RaceCheck::Space;

/// immediate[0]: bytes of an element; immediate[1]: 1, the sign is extended; 2, the registers have 64 bits.
template <Space space> void load(Warp &warp, const Instruction &i, uint32_t lanes) {
  int64_t bytes = i.immediate[0], count = i.outs;
  Slot base = i.slots[i.outs];
  // Lanes that read the same place are one access.
  int64_t addresses[32];
  int64_t first = 0;
  bool same = true, any = false;
  for (uint32_t m = lanes; m; m &= m - 1) {
    int lane = __builtin_ctz(m);
    addresses[lane] = addressOf(warp, i, base, lane);
    same &= !any || addresses[lane] == first;
    if (!any)
      first = addresses[lane];
    any = true;
  }
  for (uint32_t m = lanes; m; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    char *from = space == Space::shared
                     ? warp.block.sharedBytes(i, warp, lane, addresses[lane], bytes * count, bytes * count)
                     : warp.block.globalBytes(i, warp, lane, uint64_t(addresses[lane]), bytes * count, bytes * count);
    if (!from)
      return;
    if (!same || m == lanes) {
      uint64_t at = space == Space::shared ? uint64_t(addresses[lane] - kSharedBase) : uint64_t(addresses[lane]);
      if (space == Space::shared && warp.block.findMbarrier(addresses[lane]))
        return warp.block.stop(i, "expected an mbarrier to be read by mbarrier instructions alone");
      warp.block.races.read(space, warp.clock, same ? lanes : 1u << lane, at, bytes * count, i.line);
      if (space == Space::global)
        warp.block.checkPast(i, warp, lane, at, bytes * count, /*writes=*/false);
    }
    for (int64_t n = 0; n < count; ++n) {
      if (bytes == 8) {
        std::memcpy(&warp.slot<uint64_t>(i.slots[n])[lane], from + n * 8, 8);
        continue;
      }
      uint64_t value = 0;
      std::memcpy(&value, from + n * bytes, bytes);
      if (i.immediate[1] & 1 && value >> (bytes * 8 - 1))
        value |= ~uint64_t(0) << (bytes * 8);
      if (i.immediate[1] & 2)
        warp.slot<uint64_t>(i.slots[n])[lane] = value;
      else
        warp.slot<uint32_t>(i.slots[n])[lane] = uint32_t(value);
    }
  }
}

template <Space space> void store(Warp &warp, const Instruction &i, uint32_t lanes) {
  int64_t bytes = i.immediate[0], count = int64_t(i.slots.size()) - 1;
  for (uint32_t m = lanes; m; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    int64_t address = addressOf(warp, i, i.slots[0], lane);
    char *to = space == Space::shared
                   ? warp.block.sharedBytes(i, warp, lane, address, bytes * count, bytes * count)
                   : warp.block.globalBytes(i, warp, lane, uint64_t(address), bytes * count, bytes * count);
    if (!to)
      return;
    if (space == Space::shared && warp.block.findMbarrier(address))
      return warp.block.stop(i, "expected an mbarrier to be written by mbarrier instructions alone");
    char values[32];
    for (int64_t n = 0; n < count; ++n)
      if (i.immediate[1] & 2)
        std::memcpy(values + n * bytes, &warp.slot<uint64_t>(i.slots[n + 1])[lane], bytes);
      else
        std::memcpy(values + n * bytes, &warp.slot<uint32_t>(i.slots[n + 1])[lane], bytes);
    if (space == Space::global)
      warp.block.checkPast(i, warp, lane, uint64_t(address), bytes * count, /*writes=*/true);
    warp.block.races.write(space, warp.clock, lane, space == Space::shared ? uint64_t(address - kSharedBase) : address,
                           bytes * count, !std::memcmp(to, values, bytes * count), i.line);
    std::memcpy(to, values, bytes * count);
  }
}

void loadParameter(Warp &warp, const Instruction &i, uint32_t lanes) {
  const std::vector<char> &parameters = warp.block.launch.parameters;
  int64_t bytes = i.immediate[0];
  if (i.offset + bytes > int64_t(parameters.size()))
    return warp.block.stop(i, "expected the launch to bring " + std::to_string(i.offset + bytes) +
                                  " bytes of parameters, but it brings " + std::to_string(parameters.size()));
  uint64_t value = 0;
  std::memcpy(&value, parameters.data() + i.offset, bytes);
  forLanes(lanes, [&](int lane) {
    if (i.immediate[1] & 2)
      warp.slot<uint64_t>(i.slots[0])[lane] = value;
    else
      warp.slot<uint32_t>(i.slots[0])[lane] = uint32_t(value);
  });
}

} // namespace

bool denim::ptx::decodeMemory(const Statement &s, Decoder &d, Instruction &to) {
  bool loads = s.is(0, "ld"), stores = s.is(0, "st");
  if ((!loads && !stores) || s.operands.size() != 2)
    return false;
  const std::string &type = s.opcode.back();
  int64_t bits = std::atoi(type.c_str() + 1);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
    return false;
  for (size_t i = 2; i + 1 < s.opcode.size(); ++i)
    if (s.opcode[i] != "v2" && s.opcode[i] != "v4" && s.opcode[i] != "nc" && s.opcode[i] != "L1::no_allocate")
      return false;
  to.immediate[0] = bits / 8;
  to.immediate[1] = type[0] == 's';
  const Operand &memory = s.operands[loads ? 1 : 0], &values = s.operands[loads ? 0 : 1];
  std::string holder = d.holder(values, type);
  to.immediate[1] |= holder.substr(1) == "64" ? 2 : 0;
  if (s.is(1, "param")) {
    if (!loads || values.kind == Operand::Kind::list)
      return false;
    d.outs(to, values, holder);
    to.offset = memory.value;
    for (const Parameter &parameter : d.program.parameters)
      if (parameter.name == memory.name) {
        to.offset += parameter.offset;
        to.execute = loadParameter;
        return true;
      }
    d.fail("expected a parameter of the entry, but got " + memory.name);
    return true;
  }
  bool shared = s.is(1, "shared") || s.is(1, "shared::cta");
  if (!shared && !s.is(1, "global"))
    return false;
  if (loads) {
    d.outs(to, values, holder);
    to.slots.push_back(d.address(memory, to, shared));
    to.execute = shared ? load<Space::shared> : load<Space::global>;
  } else {
    to.slots.push_back(d.address(memory, to, shared));
    d.ins(to, values, holder);
    to.execute = shared ? store<Space::shared> : store<Space::global>;
  }
  return true;
}
