// What kernels have left in memory, for kernels that begin while those before them still run.
//
// Launches are executed one after the other, so everything that is waited for is there. What has to be checked is that
// it was waited for. A launch begins when the one before it lets it (griddepcontrol.launch_dependents), and a thread
// knows of what earlier launches did in one of three ways:
//
//     begun                    all of the launches before the one in front, if no thread of that one let the next begin
//                              before it had waited itself: what was written then may be read, and overwritten
//     griddepcontrol.wait      all of it
//     ld.acquire of a signal   what the thread that released it knew, of its block of the launch before; and all of the
//                              launches before that one, for a kernel that signals lets nobody begin before it has
//                              waited
//
// For each two bytes the last launch that wrote and that read them is remembered, with the thread that wrote. Signals
// that a thread has found are known to others of its block as its accesses are (RaceCheck), and the async proxy knows
// of them behind a fence.proxy.async.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_PAST_H
#define TEST_CODEGEN_NVPTX_EMULATOR_PAST_H

#include "test/codegen/nvptx/emulator/RaceCheck.h"

namespace denim::ptx {

/// What a signal says: what its thread knew of the own block.
struct Signal {
  uint32_t launch = 0, block = 0;
  std::shared_ptr<const Knowledge> knowledge;
};

class Past {
public:
  /// The next launch; `overlaps`: it may begin before others are done, and waits itself.
  void beginLaunch(bool launchOverlaps) {
    ++launch;
    overlaps = launchOverlaps;
    olderDone = waitsFirst;
    waitsFirst = true;
  }
  /// A thread of this launch let the next one begin before it had waited.
  void letNextBeginUnwaited() { waitsFirst = false; }
  /// The host has written the bytes, or they belong to nobody any more.
  void forget(uint64_t address, uint64_t bytes);

  void wrote(uint64_t address, int64_t bytes, uint32_t block, uint32_t actor, uint32_t time);
  void read(uint64_t address, int64_t bytes);
  void signalled(uint64_t address, uint32_t block, std::shared_ptr<const Knowledge> knowledge);
  /// Of the launch before; null if there is none at the address.
  const Signal *signalAt(uint64_t address) const;

  /// Signals that threads of a block have found.
  struct Found {
    uint32_t block; ///< of who signalled
    std::shared_ptr<const Knowledge> knowledge;
    struct By {
      uint32_t first, lanes, time; ///< actors, and when
    };
    By by;
    std::vector<By> fenced; ///< knew of it and said so to the async proxy

    /// Whether a lane knows what some of the actors did.
    static bool isKnown(const By &by, const WarpClock &clock, uint32_t lane);
  };

  /// What is wrong with an access; empty if nothing. `fenced`: through the async proxy.
  std::string wrong(const std::vector<Found> &found, const WarpClock &clock, uint32_t lane, uint64_t address,
                    int64_t bytes, bool writes, bool async) const;
  bool mayOverlap() const { return overlaps && launch > 1; }

private:
  struct Cell {
    uint32_t launch = 0, block = 0, time = 0, readLaunch = 0;
    uint16_t actor = 0;
  };
  static constexpr uint64_t kPage = 4096;
  Cell *cellsAt(uint64_t address);
  const Cell *cellAt(uint64_t address) const;
  template <typename Visit> void forCells(uint64_t address, uint64_t bytes, Visit visit);

  uint32_t launch = 0;
  bool overlaps = false;
  bool waitsFirst = true;                                      ///< this launch, so far
  bool olderDone = true;                                       ///< by the launch in front: those before it are
  std::unordered_map<uint64_t, std::unique_ptr<Cell[]>> cells; ///< by page
  std::unordered_map<uint64_t, Signal> signals;                ///< by address
  uint64_t lastPage = ~uint64_t(0);
  Cell *lastCells = nullptr;
};

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_PAST_H
