// Who may touch which bytes when: happens-before over the memory of a block.
//
// Everything that acts is an actor with a clock: each thread; for each warp, the products (wgmma) it has in flight; for
// each mbarrier, the bulk copies that complete on it. An access is remembered as (actor, time) in a cell for every two
// bytes: the last write, and the reads since. A later access conflicts with one of them unless it is *known*: the actor
// has been told, through barriers, of everything the other did up to that time. That is decided by what the program
// says, not by the order in which the emulator happens to run warps, so one run speaks for all orders.
//
// Two things are known apart, because two proxies reach memory (PTX ISA, "proxies"):
//
//                       accesses of threads         wgmma and bulk copies
//     written by        through the generic proxy   through the async proxy
//     known by          `direct`                    `async`: only what a fence.proxy.async stood behind
//
//     st.shared           thread 5, time 1
//     fence.proxy.async   async knows what direct knows, and thread 5 up to time 1
//     bar.sync            all know what any knows
//     wgmma reads         allowed: async of its four warps has thread 5 at 1
//     bar.sync, st.shared race: products of the four warps at group 1 are not known
//     wgmma.wait_group 0  its warp knows its own products up to group 1; bar.sync tells the others
//
// Reads of threads that a bulk copy overwrites need order but no fence: the proxies differ in when writes are seen.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_RACECHECK_H
#define TEST_CODEGEN_NVPTX_EMULATOR_RACECHECK_H

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace denim::ptx {

struct Program;

/// What was found, each place once.
class Findings {
public:
  /// Two findings of one kind at the same lines are one.
  void add(const std::string &kind, int32_t line, int32_t other, const std::string &message);
  std::vector<std::string> messages;
  size_t hidden = 0; ///< behind the first few

private:
  std::set<std::pair<std::string, std::pair<int32_t, int32_t>>> seen;
};

/// For each actor the time up to which its accesses are known.
struct Knowledge {
  std::vector<uint32_t> direct, async;
  void join(const Knowledge &other);
  bool operator==(const Knowledge &other) const { return direct == other.direct && async == other.async; }
};

/// The clocks of a warp's lanes. One time serves all: it moves whenever any of them tells another something.
struct WarpClock {
  uint32_t first = 0; ///< actor of lane 0
  uint32_t time = 1;
  bool uniform = true; ///< all lanes know the same
  std::shared_ptr<const Knowledge> known[32];
  uint32_t fenced[32] = {}; ///< own accesses up to here had a fence.proxy.async behind them
};

class RaceCheck {
public:
  RaceCheck(const Program &program, uint32_t warps, int64_t sharedBytes, Findings &findings);

  void startBlock(int64_t number);
  std::shared_ptr<const Knowledge> nothing() const { return empty; }
  uint32_t actors() const { return count; }
  uint32_t groupActor(uint32_t warp) const { return warpCount * 32 + warp; }
  uint32_t copyActor(uint32_t mbarrier) const { return warpCount * 33 + mbarrier; }
  static constexpr uint32_t kMostMbarriers = 128;

  // What orders accesses.
  void release(WarpClock &from, uint32_t lanes, Knowledge &into);
  void acquire(WarpClock &to, uint32_t lanes, const Knowledge &from);
  void fence(WarpClock &clock, uint32_t lanes);
  void learn(WarpClock &clock, uint32_t lanes, uint32_t actor, uint32_t time);
  Knowledge unknown() const { return *empty; }

  // Accesses of threads. `address` of shared memory counts from the begin of the window's dynamic part.
  enum class Space { shared, global };
  void read(Space space, const WarpClock &clock, uint32_t lanes, uint64_t address, int64_t bytes, int32_t line);
  /// `same`: the bytes have this value already. Threads that hold copies of an element may all store it: whichever is
  /// last, the value is the same. Who reads it has to wait for one of them, who overwrites it for all.
  /// `pending`: nobody knows of it, whatever barriers stand behind it, until it is written a second time.
  void write(Space space, const WarpClock &clock, uint32_t lane, uint64_t address, int64_t bytes, bool same,
             int32_t line, bool pending = false);

  // Accesses through the async proxy.
  /// Products of four warps read; `group` counts groups of each of them.
  void groupRead(WarpClock *const clocks[4], uint32_t warp, uint32_t group, uint64_t address, int64_t bytes,
                 int32_t line);
  /// A copy that completes on the mbarrier's phase `time`.
  void copyWrite(const WarpClock &clock, uint32_t lane, uint32_t actor, uint32_t time, uint64_t address, int64_t bytes,
                 int32_t line);
  void copyRead(const WarpClock &clock, uint32_t lane, uint32_t actor, uint32_t time, uint64_t address, int64_t bytes,
                int32_t line);

  /// Whether all lanes know what `actor` did at `time`.
  static bool known(const WarpClock &clock, uint32_t lanes, uint32_t actor, uint32_t time);
  std::string actorName(uint32_t actor) const;
  std::string lineText(int32_t line) const;

private:
  static constexpr uint16_t kNobody = 0xffff;
  static constexpr uint32_t kNever = 0xffffffff; ///< when a pending write is done
  /// Two bytes of memory.
  struct Cell {
    uint32_t writeTime = 0, writeLine = 0;
    uint32_t writeBlock = 0, readBlock = 0;
    uint32_t reads = 0;  ///< first of the list, one of the block `readBlock`
    uint32_t before = 0; ///< reads that the last write knew of, for others that write the same
    uint16_t writer = kNobody;
    bool manyBlocksRead = false;
  };
  /// Actors `first` + bit of the mask have read.
  struct Read {
    uint32_t first, mask, time, line, next;
    bool writes; ///< a write, in truth, of the value that another thread wrote as well
  };
  enum class By { thread, products, copy };

  static const char *betweenThreads(const Cell &cell) {
    return cell.writeTime == kNever ? "cp.async.wait_all or an arrival with the pieces, then a barrier"
                                    : "a barrier between them";
  }
  Cell *cellsAt(Space space, uint64_t address, size_t &available);
  void addRead(Cell &cell, const WarpClock *clock, uint32_t lanes, uint32_t first, uint32_t mask, uint32_t time,
               int32_t line);
  void drop(uint32_t &list);
  void addNode(uint32_t &list, Read read);
  bool otherBlockRead(const Cell &cell) const;
  template <typename Visit> void forCells(Space space, uint64_t address, int64_t bytes, Visit visit);
  static bool knownAsync(const WarpClock &clock, uint32_t lanes, uint32_t actor, uint32_t time);
  void report(const char *kind, const Cell &cell, Space space, uint64_t address, const std::string &who,
              const char *does, int32_t line, const std::string &expected);
  void checkReads(uint32_t list, const WarpClock &clock, uint32_t lane, Space space, uint64_t address,
                  const std::string &does, bool same, int32_t line);

  const Program &program;
  Findings &findings;
  uint32_t warpCount, count;
  uint32_t block = 0;
  std::shared_ptr<const Knowledge> empty;
  std::vector<Cell> sharedCells;
  static constexpr uint64_t kPage = 4096;
  std::unordered_map<uint64_t, std::unique_ptr<Cell[]>> globalCells; ///< by page
  uint64_t lastPage = ~uint64_t(0);
  Cell *lastCells = nullptr;
  std::vector<Read> reads;
  uint32_t freeReads = 0; ///< list through `next`; 0 is no read
};

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_RACECHECK_H
