// A block of threads that executes a program, 32 lanes at a time.
//
// Warps run one after the other, each until it has to wait; where lanes of a warp go different ways, those that are
// behind run first, so that they meet again where the code does. Whatever an order of execution decides (who comes
// first to a barrier, when a copy or a product is done) is chosen here once and checked in `RaceCheck` for all others.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_MACHINE_H
#define TEST_CODEGEN_NVPTX_EMULATOR_MACHINE_H

#include "test/codegen/nvptx/emulator/Past.h"
#include "test/codegen/nvptx/emulator/Program.h"
#include "test/codegen/nvptx/emulator/RaceCheck.h"
#include <cstring>
#include <map>

namespace denim::ptx {

class Block;

constexpr uint32_t kAllLanes = 0xffffffff;

/// Lanes of a warp that are at the same place.
struct Group {
  int32_t pc = 0;
  uint32_t lanes = 0;
  bool waiting = false; ///< the instruction at pc was tried and has to wait
};

class Warp {
public:
  Warp(Block &block, uint32_t index, uint32_t lanes);

  /// Runs until all lanes are done or wait.
  void run();

  template <typename T> T *slot(Slot number) { return reinterpret_cast<T *>(registers.get() + size_t(number) * 128); }
  uint32_t &predicate(Slot number) { return *slot<uint32_t>(number); }

  Block &block;
  const uint32_t index;
  uint32_t alive;
  std::vector<Group> groups;
  bool blocked = false;                   ///< set by a handler: try again later
  bool yields = false;                    ///< set by a handler: go on behind it, but when others had their turn
  std::vector<const Instruction *> tried; ///< waits that have given false
  WarpClock clock;

  /// What a lane copies and has not waited for (AsyncCopies.cpp).
  struct Piece {
    uint64_t address;
    int64_t bytes;
    int32_t line;
  };
  std::vector<Piece> pieces[32];

  // Launches that overlap (Past.h).
  uint32_t waited = 0;                            ///< lanes that know all that kernels before have done
  std::shared_ptr<const Knowledge> releasing[32]; ///< what the lane's last fence releases

  // Products of a warpgroup that this warp has a part in (Products.cpp).
  uint32_t groupsCommitted = 0, groupsDone = 0;
  bool groupOpen = false;                  ///< products that no commit has closed yet
  uint32_t fences = 1;                     ///< counts wgmma.fence
  std::vector<uint32_t> writtenSinceFence; ///< of each slot: `fences` when it was last written by anything else
  std::vector<uint32_t> written, readBy;   ///< of each slot: the last group that writes or reads it in flight
  uint32_t place() const { return index / 4; }

private:
  bool pick();
  void split(size_t group, uint32_t taken, int32_t target);
  void merge();
  void leave(size_t group, uint32_t lanes);
  void step(const Instruction &instruction, uint32_t lanes);
  void checkInFlight(const Instruction &instruction);
  std::unique_ptr<char[]> storage;
  struct Unowned {
    char *at = nullptr;
    char *get() const { return at; }
  } registers;
  size_t current = 0;
};

/// Memory of the device that a launch may touch; addresses are those of the host.
class GlobalMemory {
public:
  void add(const void *base, uint64_t bytes, std::string name);
  void remove(const void *base);
  struct Region {
    uint64_t begin, end;
    std::string name;
  };
  const Region *find(uint64_t address, uint64_t bytes) const;
  std::string describe(uint64_t address) const;

private:
  std::map<uint64_t, Region> regions; ///< by begin
  mutable const Region *last = nullptr;
};

struct Launch {
  int64_t blocks = 1, threads = 32, sharedBytes = 0;
  std::vector<char> parameters;
};

struct NamedBarrier {
  uint32_t waiting = 0, passing = 0; ///< warps, a bit each
  int64_t expected = 0, threads = 0; ///< threads: that have arrived
  Knowledge clock, passed;
};

struct Mbarrier {
  uint32_t address = 0;
  int64_t arrivals = 0, pending = 0, bytes = 0; ///< bytes: expected and not yet copied
  uint32_t phase = 0;
  bool visible = false; ///< the async proxy has seen it initialised
  uint32_t initBy = 0, initTime = 0;
  Knowledge now, done;
  uint32_t agent = 0;
};

/// Four warps that execute a product together.
struct Warpgroup {
  uint32_t arrived = 0, passing = 0;
  int32_t line = 0;
};

class Block {
public:
  Block(const Program &program, const Launch &launch, GlobalMemory &global, Findings &findings, Past *past);

  /// Runs block `number`; false when it stopped at an error.
  bool run(int64_t number);

  const Program &program;
  const Launch &launch;
  GlobalMemory &global;
  RaceCheck races;
  int64_t number = 0;
  std::vector<char> shared;
  std::vector<std::unique_ptr<Warp>> warps;
  NamedBarrier barriers[16];
  std::vector<Mbarrier> mbarriers;
  std::vector<Warpgroup> warpgroups;
  Past *past;                     ///< null: nothing was before
  std::vector<Past::Found> found; ///< signals
  bool letNextBegin = false;      ///< before all threads had waited
  bool stopped = false, progressed = false;
  uint64_t executed = 0;

  /// An error after which nothing can go on.
  void stop(const Instruction &at, const std::string &message);
  /// The bytes of shared memory, or null and an error.
  char *sharedBytes(const Instruction &at, const Warp &warp, uint32_t lane, int64_t address, int64_t bytes,
                    int64_t alignment);
  char *globalBytes(const Instruction &at, const Warp &warp, uint32_t lane, uint64_t address, int64_t bytes,
                    int64_t alignment);
  Mbarrier *findMbarrier(int64_t address);
  /// An access to memory of the device by a lane, or by its bulk copy: whether the lane may know what stands there.
  void checkPast(const Instruction &at, const Warp &warp, uint32_t lane, uint64_t address, int64_t bytes, bool writes,
                 bool async = false);
  std::string threadName(const Warp &warp, uint32_t lane) const;

private:
  void reportDeadlock();
  Findings &findings;
};

/// Executes all blocks of a launch, one after the other. False when anything was found.
/// `past`: of the launches before on the same stream.
bool execute(const Program &program, const Launch &launch, GlobalMemory &global, Findings &findings,
             Past *past = nullptr);

/// Calls `body(lane)` for the lanes of the mask; a loop the compiler makes vectors of where all are there.
template <typename Body> inline void forLanes(uint32_t lanes, Body body) {
  if (lanes == kAllLanes) {
    for (int lane = 0; lane < 32; ++lane)
      body(lane);
    return;
  }
  for (; lanes; lanes &= lanes - 1)
    body(__builtin_ctz(lanes));
}

/// The address in a register of either width.
inline int64_t addressOf(Warp &warp, const Instruction &instruction, Slot slot, int lane) {
  int64_t base = instruction.immediate[2] ? int64_t(warp.slot<uint64_t>(slot)[lane]) : warp.slot<uint32_t>(slot)[lane];
  return base + instruction.offset;
}

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_MACHINE_H
