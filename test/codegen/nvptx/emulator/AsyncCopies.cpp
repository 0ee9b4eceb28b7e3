// mbarriers, copies that complete on them, and the fences between the proxies.
//
// A copy is done when it is issued. Its bytes belong to the mbarrier's phase: a thread that has not waited for it does
// not know of the write, and RaceCheck says so.
#include "test/codegen/nvptx/emulator/Machine.h"
#include "test/codegen/nvptx/emulator/TensorMap.h"
#include <algorithm>

using namespace denim::ptx;

namespace {

Mbarrier *mbarrierAt(Warp &warp, const Instruction &i, int64_t address, uint32_t lane) {
  if (Mbarrier *mbarrier = warp.block.findMbarrier(address)) {
    // Who uses it has to know that it was made.
    warp.block.races.read(RaceCheck::Space::shared, warp.clock, 1u << lane, uint64_t(address - kSharedBase), 8, i.line);
    return mbarrier;
  }
  warp.block.stop(i, "expected an initialized mbarrier at shared+" + std::to_string(address - kSharedBase) +
                         ", but there is none");
  return nullptr;
}

void completePhase(Block &block, Mbarrier &mbarrier) {
  if (mbarrier.pending || mbarrier.bytes)
    return;
  mbarrier.done.join(mbarrier.now);
  mbarrier.now = block.races.unknown();
  mbarrier.pending = mbarrier.arrivals;
  ++mbarrier.phase;
  block.progressed = true;
}

/// immediate[0]: arrivals of a phase.
void init(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  for (uint32_t m = lanes; m && !block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    int64_t address = addressOf(warp, i, i.slots[0], int(lane));
    char *bytes = block.sharedBytes(i, warp, lane, address, 8, 8);
    if (!bytes)
      return;
    if (block.findMbarrier(address))
      return block.stop(i, "expected an mbarrier to be initialized once, but it is one already");
    if (block.mbarriers.size() == RaceCheck::kMostMbarriers)
      return block.stop(i, "expected at most " + std::to_string(RaceCheck::kMostMbarriers) + " mbarriers");
    block.races.write(RaceCheck::Space::shared, warp.clock, lane, uint64_t(address - kSharedBase), 8, false, i.line);
    Mbarrier mbarrier;
    mbarrier.address = uint32_t(address);
    mbarrier.arrivals = mbarrier.pending = i.immediate[0];
    mbarrier.initBy = warp.clock.first + lane;
    mbarrier.now = mbarrier.done = block.races.unknown();
    mbarrier.agent = block.races.copyActor(uint32_t(block.mbarriers.size()));
    block.mbarriers.push_back(std::move(mbarrier));
  }
}

void arriveOnce(Warp &warp, const Instruction &i, uint32_t lane, int64_t expectedBytes, bool arrives) {
  Mbarrier *mbarrier = mbarrierAt(warp, i, addressOf(warp, i, i.slots[0], int(lane)), lane);
  if (!mbarrier)
    return;
  mbarrier->bytes += expectedBytes;
  if (!arrives)
    return;
  warp.block.races.release(warp.clock, 1u << lane, mbarrier->now);
  if (--mbarrier->pending < 0)
    return warp.block.stop(i, "expected at most " + std::to_string(mbarrier->arrivals) +
                                  " arrivals in a phase of an mbarrier, but got one more");
  completePhase(warp.block, *mbarrier);
}

/// immediate[0]: bytes that the phase expects on top; immediate[1]: arrives, too.
void arrive(Warp &warp, const Instruction &i, uint32_t lanes) {
  for (uint32_t m = lanes; m && !warp.block.stopped; m &= m - 1)
    arriveOnce(warp, i, uint32_t(__builtin_ctz(m)), i.immediate[0], i.immediate[1]);
}

/// Gives false where the phase is not done, and the first time: the copies could have been slower. A program has to ask
/// again.
void tryWait(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  auto *parity = warp.slot<uint32_t>(i.slots[2]);
  uint32_t done = 0;
  for (uint32_t m = lanes; m; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    Mbarrier *mbarrier = mbarrierAt(warp, i, addressOf(warp, i, i.slots[1], int(lane)), lane);
    if (!mbarrier)
      return;
    if ((mbarrier->phase & 1) != (parity[lane] & 1))
      done |= 1u << lane;
  }
  auto tried = std::find(warp.tried.begin(), warp.tried.end(), &i);
  if (tried == warp.tried.end()) {
    warp.tried.push_back(&i);
    block.progressed |= done != 0;
    done = 0;
  } else if (done) {
    warp.tried.erase(tried);
  }
  warp.yields = done == 0;
  warp.predicate(i.slots[0]) = (warp.predicate(i.slots[0]) & ~lanes) | done;
  lanes = done;
  for (uint32_t m = lanes; m; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    int64_t address = addressOf(warp, i, i.slots[1], int(lane));
    // Lanes at one barrier are one wait.
    uint32_t same = 0;
    for (uint32_t n = m; n; n &= n - 1)
      if (int other = __builtin_ctz(n); addressOf(warp, i, i.slots[1], other) == address)
        same |= 1u << other;
    block.races.acquire(warp.clock, same, block.findMbarrier(address)->done);
    m &= ~same | (1u << lane);
  }
}

/// The mbarrier a copy of the async proxy completes on, at the address in the slot.
Mbarrier *mbarrierOfCopy(Warp &warp, const Instruction &i, Slot slot, uint32_t lane) {
  Mbarrier *mbarrier = mbarrierAt(warp, i, int64_t(warp.slot<uint32_t>(slot)[lane]) + i.immediate[2], lane);
  if (!mbarrier || mbarrier->visible)
    return mbarrier;
  warp.block.stop(i, "expected fence.mbarrier_init between an mbarrier's initialization and a bulk copy that "
                     "completes on it");
  return nullptr;
}

/// The bytes of a copy are there.
void completeBytes(Block &block, const Instruction &i, Mbarrier &mbarrier, int64_t bytes) {
  uint32_t time = mbarrier.phase + 1;
  mbarrier.bytes -= bytes;
  mbarrier.now.direct[mbarrier.agent] = time;
  mbarrier.now.async[mbarrier.agent] = time;
  if (mbarrier.pending == 0 && mbarrier.bytes < 0)
    return block.stop(i, "expected copies to bring the bytes that mbarrier.arrive.expect_tx said, but they bring " +
                             std::to_string(-mbarrier.bytes) + " more");
  completePhase(block, mbarrier);
}

/// immediate[0]: bytes, or in a register if it is negative. Slots: to, from, mbarrier and perhaps bytes.
void copyBulk(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  for (uint32_t m = lanes; m && !block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    int64_t bytes = i.immediate[0] < 0 ? warp.slot<uint32_t>(i.slots[3])[lane] : i.immediate[0];
    int64_t to = warp.slot<uint32_t>(i.slots[0])[lane] + i.offset;
    uint64_t from = warp.slot<uint64_t>(i.slots[1])[lane] + uint64_t(i.immediate[1]);
    if (bytes % 16 || bytes <= 0)
      return block.stop(i, "expected a bulk copy of a multiple of 16 bytes, but got " + std::to_string(bytes));
    char *target = block.sharedBytes(i, warp, lane, to, bytes, 16);
    char *source = target ? block.globalBytes(i, warp, lane, from, bytes, 16) : nullptr;
    Mbarrier *mbarrier = source ? mbarrierOfCopy(warp, i, i.slots[2], lane) : nullptr;
    if (!mbarrier)
      return;
    uint32_t time = mbarrier->phase + 1;
    block.races.copyRead(warp.clock, lane, mbarrier->agent, time, from, bytes, i.line);
    block.checkPast(i, warp, lane, from, bytes, /*writes=*/false, /*async=*/true);
    block.races.copyWrite(warp.clock, lane, mbarrier->agent, time, uint64_t(to - kSharedBase), bytes, i.line);
    std::memcpy(target, source, bytes);
    completeBytes(block, i, *mbarrier, bytes);
  }
}

/// The tensor map at a generic address: a parameter of the launch, as its type says and where cvta.param puts it.
const TensorMap *tensorMapAt(Warp &warp, const Instruction &i, Slot slot, uint32_t lane) {
  const std::vector<char> &bytes = warp.block.launch.parameters;
  int64_t offset =
      int64_t(warp.slot<uint64_t>(slot)[lane] + uint64_t(i.immediate[1]) - reinterpret_cast<uint64_t>(bytes.data()));
  for (const Parameter &parameter : warp.block.program.parameters) {
    if (parameter.offset != offset || parameter.bytes != kTensorMapBytes || offset % kTensorMapAlignment ||
        offset + kTensorMapBytes > int64_t(bytes.size()))
      continue;
    auto *map = reinterpret_cast<const TensorMap *>(bytes.data() + offset);
    if (map->magic == TensorMap::kMagic)
      return map;
  }
  warp.block.stop(i, "expected the generic address of a parameter that is a tensor map, but got another by " +
                         warp.block.threadName(warp, lane));
  return nullptr;
}

/// A box of a matrix (cp.async.bulk.tensor.2d): rows of 128 bytes, whose pieces of 16 bytes are exchanged by the number
/// of the row. Elements outside of the matrix are zeros, and count like all others on the mbarrier.
/// Slots: to, map, column, row, mbarrier; offsets as of copyBulk.
void copyTensor(Warp &warp, const Instruction &i, uint32_t lanes) {
  constexpr int64_t kRow = 128, kPiece = 16, kElement = 2;
  Block &block = warp.block;
  for (uint32_t m = lanes; m && !block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    const TensorMap *map = tensorMapAt(warp, i, i.slots[1], lane);
    if (!map)
      return;
    int64_t to = warp.slot<uint32_t>(i.slots[0])[lane] + i.offset;
    int64_t firstColumn = warp.slot<int32_t>(i.slots[2])[lane], firstRow = warp.slot<int32_t>(i.slots[3])[lane];
    int64_t bytes = map->boxRows * kRow;
    if (map->boxColumns * kElement != kRow)
      return block.stop(i, "expected a tensor map with boxes of " + std::to_string(kRow / kElement) +
                               " columns, but got " + std::to_string(map->boxColumns));
    // The hardware takes the exchange from the address; where it repeats, so does the tile.
    char *target = block.sharedBytes(i, warp, lane, to, bytes, 8 * kRow);
    Mbarrier *mbarrier = target ? mbarrierOfCopy(warp, i, i.slots[4], lane) : nullptr;
    if (!mbarrier)
      return;
    uint32_t time = mbarrier->phase + 1;
    block.races.copyWrite(warp.clock, lane, mbarrier->agent, time, uint64_t(to - kSharedBase), bytes, i.line);
    int64_t begin = std::max<int64_t>(firstColumn, 0);
    int64_t end = std::min<int64_t>(firstColumn + map->boxColumns, int64_t(map->columns));
    for (int64_t r = 0; r < map->boxRows; ++r) {
      char row[kRow] = {};
      int64_t from = firstRow + r;
      if (from >= 0 && from < int64_t(map->rows) && begin < end) {
        uint64_t address = map->address + uint64_t(from) * map->rowBytes + uint64_t(begin * kElement);
        int64_t size = (end - begin) * kElement;
        const char *source = block.globalBytes(i, warp, lane, address, size, kElement);
        if (!source)
          return;
        block.races.copyRead(warp.clock, lane, mbarrier->agent, time, address, size, i.line);
        block.checkPast(i, warp, lane, address, size, /*writes=*/false, /*async=*/true);
        std::memcpy(row + (begin - firstColumn) * kElement, source, size_t(size));
      }
      for (int64_t piece = 0; piece < kRow / kPiece; ++piece)
        std::memcpy(target + r * kRow + (piece ^ r % 8) * kPiece, row + piece * kPiece, kPiece);
    }
    completeBytes(block, i, *mbarrier, bytes);
  }
}

/// A piece that a thread copies (cp.async). It is an ordinary write of the thread that is done when the thread waits
/// for its pieces, or when it arrives with them at an mbarrier: only what tells others of that tells them of the piece.
/// immediate[0]: bytes; immediate[1], [2]: offsets. A third slot is a predicate: the source is ignored, and zeros are
/// written.
void copyPiece(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  uint32_t ignored = i.slots.size() > 2 ? warp.predicate(i.slots[2]) : 0;
  for (uint32_t m = lanes; m && !block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    int64_t size = i.immediate[0];
    int64_t to = warp.slot<uint32_t>(i.slots[0])[lane] + i.immediate[1];
    uint64_t from = warp.slot<uint64_t>(i.slots[1])[lane] + uint64_t(i.immediate[2]);
    char *target = block.sharedBytes(i, warp, lane, to, size, size);
    if (!target)
      return;
    char piece[16] = {};
    if (!(ignored >> lane & 1)) {
      char *source = block.globalBytes(i, warp, lane, from, size, size);
      if (!source)
        return;
      block.races.read(RaceCheck::Space::global, warp.clock, 1u << lane, from, size, i.line);
      block.checkPast(i, warp, lane, from, size, /*writes=*/false);
      std::memcpy(piece, source, size_t(size));
    }
    block.races.write(RaceCheck::Space::shared, warp.clock, lane, uint64_t(to - kSharedBase), size, false, i.line,
                      /*pending=*/true);
    warp.pieces[lane].push_back({uint64_t(to - kSharedBase), size, i.line});
    std::memcpy(target, piece, size_t(size));
  }
}

/// The pieces of these lanes are there.
void finishPieces(Warp &warp, const Instruction &, uint32_t lanes) {
  for (uint32_t m = lanes; m; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    for (const Warp::Piece &piece : warp.pieces[lane])
      warp.block.races.write(RaceCheck::Space::shared, warp.clock, lane, piece.address, piece.bytes, false, piece.line);
    warp.pieces[lane].clear();
  }
}

void arriveWithPieces(Warp &warp, const Instruction &i, uint32_t lanes) {
  finishPieces(warp, i, lanes);
  arrive(warp, i, lanes);
}

/// Counts up, and down again once the lane's pieces are there, which they are (the verifier of kernels asks for that): a
/// phase completes as it would without, and who waits for it learns nothing of the lane.
void arriveOnTop(Warp &warp, const Instruction &i, uint32_t lanes) {
  for (uint32_t m = lanes; m && !warp.block.stopped; m &= m - 1) {
    uint32_t lane = uint32_t(__builtin_ctz(m));
    mbarrierAt(warp, i, addressOf(warp, i, i.slots[0], int(lane)), lane);
  }
}

void fenceProxy(Warp &warp, const Instruction &, uint32_t lanes) {
  warp.block.races.fence(warp.clock, lanes);
}

/// What stands in memory of the device, as signals tell of it.
void fenceProxyOfGlobal(Warp &warp, const Instruction &, uint32_t lanes) {
  for (Past::Found &one : warp.block.found) {
    uint32_t know = 0;
    forLanes(lanes,
             [&](int lane) { know |= uint32_t(Past::Found::isKnown(one.by, warp.clock, uint32_t(lane))) << lane; });
    if (know)
      one.fenced.push_back({warp.clock.first, know, warp.clock.time});
  }
  warp.block.races.fence(warp.clock, lanes);
}

void fenceInit(Warp &warp, const Instruction &, uint32_t lanes) {
  for (Mbarrier &mbarrier : warp.block.mbarriers)
    if (uint32_t lane = mbarrier.initBy - warp.clock.first; lane < 32 && lanes >> lane & 1)
      mbarrier.visible = true;
}

} // namespace

bool denim::ptx::decodeAsync(const Statement &s, Decoder &d, Instruction &to) {
  const std::string name = s.name();
  size_t count = s.operands.size();
  if (name == "fence.proxy.async.shared::cta") {
    to.execute = fenceProxy;
    return count == 0;
  }
  if (name == "fence.proxy.async" || name == "fence.proxy.async.global") {
    to.execute = fenceProxyOfGlobal;
    return count == 0;
  }
  if (name == "fence.mbarrier_init.release.cluster") {
    to.execute = fenceInit;
    return count == 0;
  }
  if (name == "mbarrier.init.shared::cta.b64" && count == 2) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    to.immediate[0] = d.integer(s.operands[1]);
    to.execute = init;
    return true;
  }
  bool expects = name == "mbarrier.arrive.expect_tx.shared::cta.b64" && count == 3;
  bool arrives = name == "mbarrier.arrive.shared::cta.b64" || name == "mbarrier.arrive.release.cta.shared::cta.b64";
  if ((arrives && count == 2) || expects) {
    if (s.operands[0].kind != Operand::Kind::sink)
      d.fail("expected the state of an arrival not to be kept");
    to.slots.push_back(d.address(s.operands[1], to, true));
    to.immediate[0] = expects ? d.integer(s.operands[2]) : 0;
    to.immediate[1] = 1;
    to.execute = arrive;
    return true;
  }
  if (name == "mbarrier.expect_tx.relaxed.cta.shared::cta.b64" && count == 2) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    to.immediate[0] = d.integer(s.operands[1]);
    to.execute = arrive;
    return true;
  }
  if (name == "mbarrier.try_wait.parity.shared::cta.b64" && count == 3) {
    to.flow = Flow::waits;
    d.outs(to, s.operands[0], "pred");
    to.slots.push_back(d.address(s.operands[1], to, true));
    d.ins(to, s.operands[2], "b32");
    to.execute = tryWait;
    return true;
  }
  if ((name == "cp.async.cg.shared.global" || name == "cp.async.ca.shared.global") && (count == 3 || count == 4)) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    to.immediate[1] = to.offset;
    to.slots.push_back(d.address(s.operands[1], to, false));
    to.immediate[2] = to.offset;
    to.immediate[0] = d.integer(s.operands[2]);
    if (bool first = name == "cp.async.ca.shared.global"; to.immediate[0] != (first ? 4 : 16))
      d.fail(first ? "expected cp.async.ca of 4 bytes" : "expected cp.async.cg of 16 bytes");
    if (count == 4)
      d.ins(to, s.operands[3], "pred");
    to.execute = copyPiece;
    return true;
  }
  if (name == "cp.async.mbarrier.arrive.noinc.shared::cta.b64" && count == 1) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    to.immediate[1] = 1;
    to.execute = arriveWithPieces;
    return true;
  }
  if (name == "cp.async.mbarrier.arrive.shared::cta.b64" && count == 1) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    to.execute = arriveOnTop;
    return true;
  }
  if (name == "cp.async.wait_all" && count == 0) {
    to.execute = finishPieces;
    return true;
  }
  if (name == "cp.async.bulk.prefetch.L2.global" && count == 2) {
    if (d.integer(s.operands[1]) % 16 != 0)
      d.fail("expected a prefetch of whole pieces of 16 bytes");
    to.slots.push_back(d.address(s.operands[0], to, false));
    to.execute = [](Warp &, const Instruction &, uint32_t) {}; // there are no caches here
    return true;
  }
  if (name == "prefetch.tensormap" && count == 1) {
    to.slots.push_back(d.address(s.operands[0], to, false));
    to.immediate[1] = to.offset;
    to.execute = [](Warp &warp, const Instruction &i, uint32_t lanes) {
      for (uint32_t m = lanes; m && !warp.block.stopped; m &= m - 1)
        tensorMapAt(warp, i, i.slots[0], uint32_t(__builtin_ctz(m)));
    };
    return true;
  }
  if ((name == "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes" ||
       name == "cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes") &&
      count == 3) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    int64_t target = to.offset;
    to.slots.push_back(d.address(s.operands[1], to, false));
    int64_t map = to.offset;
    const std::vector<Operand> &behind = s.operands[1].list;
    if (behind.size() != 1 || behind[0].list.size() != 2) {
      d.fail("expected a tensor map and two coordinates");
      return true;
    }
    d.ins(to, behind[0], "b32");
    to.slots.push_back(d.address(s.operands[2], to, true));
    int64_t mbarrier = to.offset;
    to.offset = target, to.immediate[1] = map, to.immediate[2] = mbarrier;
    to.execute = copyTensor;
    return true;
  }
  if ((name == "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes" ||
       name == "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes") &&
      count == 4) {
    // Three addresses: their offsets are kept apart.
    to.slots.push_back(d.address(s.operands[0], to, true));
    int64_t target = to.offset;
    to.slots.push_back(d.address(s.operands[1], to, false));
    int64_t source = to.offset;
    to.slots.push_back(d.address(s.operands[3], to, true));
    int64_t mbarrier = to.offset;
    to.offset = target, to.immediate[1] = source, to.immediate[2] = mbarrier;
    if (s.operands[2].kind == Operand::Kind::integer) {
      to.immediate[0] = s.operands[2].value;
    } else {
      to.immediate[0] = -1;
      d.ins(to, s.operands[2], "b32");
    }
    to.execute = copyBulk;
    return true;
  }
  return false;
}
