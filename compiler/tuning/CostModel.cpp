#include "compiler/tuning/CostModel.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numeric>

using namespace denim;
using namespace denim::tuning;
using codegen::GpuTarget;
using codegen::Target;

//===--------------------------------------------------------------------------------------------------------------===//
// What a machine takes
//===--------------------------------------------------------------------------------------------------------------===//

Occupancy tuning::occupancyOf(const GpuTarget &target, int64_t threads, int64_t registers, int64_t sharedBytes) {
  constexpr int64_t kWarp = 32, kRegisterUnit = 256, kSharedUnit = 128, kUnseen = 1024;
  int64_t warps = llvm::divideCeil(threads, kWarp);
  int64_t ofBlock = warps * llvm::alignTo(std::max<int64_t>(registers, 1) * kWarp, kRegisterUnit);
  const std::pair<int64_t, llvm::StringRef> limits[] = {
      {target.registers / ofBlock, "registers"},
      {target.sharedOfMultiprocessor / (llvm::alignTo(sharedBytes, kSharedUnit) + kUnseen), "shared memory"},
      {target.residentThreads / (warps * kWarp), "threads"},
      {target.residentBlocks, "blocks"}};
  Occupancy result{limits[0].first, limits[0].second};
  for (auto &[blocks, limit] : limits)
    if (blocks < result.blocks)
      result = {blocks, limit};
  return result;
}

double tuning::microseconds(const GpuTarget &target, const Grid &grid) {
  int64_t resident = target.multiprocessors * grid.blocks;
  double chains = static_cast<double>(llvm::divideCeil(grid.items, resident)) * grid.chain;
  double memory = 0;
  if (grid.bytes > 0) {
    double rate = target.memoryRate;
    if (grid.bytesInFlight > 0) {
      auto running = static_cast<double>(std::min(grid.items, resident));
      rate = std::min(rate, running * grid.bytesInFlight / target.memoryLatency);
    }
    memory = target.memoryLatency + static_cast<double>(grid.items) * grid.bytes / rate;
  }
  auto processors = static_cast<double>(target.multiprocessors);
  auto ofProcessor = static_cast<double>(llvm::divideCeil(grid.items, target.multiprocessors));
  double products = ofProcessor * grid.flops * processors / target.matrixRate;
  return std::max({chains, memory, products});
}

//===--------------------------------------------------------------------------------------------------------------===//
// attend_part.key_splits
//===--------------------------------------------------------------------------------------------------------------===//

namespace {

/// What becomes of the pages of a sequence.
struct Parts {
  int64_t pages; ///< of a part
  int64_t used;  ///< parts of a head
};

Parts partsOf(const KeySplits &shape, int64_t keys, int64_t splits) {
  int64_t pages = llvm::divideCeil(keys, shape.pageTokens);
  int64_t share = std::max<int64_t>(llvm::divideCeil(pages, splits), splits > 1 ? shape.leastPages : 1);
  return {share, int64_t(llvm::divideCeil(pages, share))};
}

/// Tiles of query heads: each walks the keys of its own.
int64_t headTiles(const KeySplits &shape) {
  return shape.latentRows ? llvm::divideCeil(shape.queryHeads, shape.latentRows) : shape.keyHeads;
}

/// Bytes of a page for one key head; shared rows are read once.
double pageBytes(const KeySplits &shape) {
  int64_t width = shape.keyDim + (shape.latentRows ? 0 : shape.valueDim);
  return static_cast<double>(shape.pageTokens * width * shape.elementBytes);
}

/// Of a part: sums, largest score, sum of weights.
double partBytes(const KeySplits &shape) {
  return 4.0 * static_cast<double>(shape.valueDim + 2);
}

constexpr int64_t kReferenceKeys = 8192;

} // namespace

double tuning::keySplits(const GpuTarget &target, const KeySplits &shape, int64_t splits) {
  // Scores, their softmax, the weighted sum: a page waits for the one before. 64 pages to a part, with all of the
  // memory to themselves, took 58 us on an H200 with keys and values of 128 channels; half of a page is its products.
  double pageChain = 0.5 + 0.4 * static_cast<double>(shape.keyDim + shape.valueDim) / 256;
  // A launch that waits for the one before it, and its own latencies.
  constexpr double kMerge = 3;
  Parts parts = partsOf(shape, kReferenceKeys, splits);
  Grid attend;
  attend.items = headTiles(shape) * parts.used;
  attend.bytes = static_cast<double>(parts.pages) * pageBytes(shape);
  // The ring of pages takes what shared memory there is, so a multiprocessor has one block.
  attend.bytesInFlight = static_cast<double>(target.sharedBytes) * 0.75;
  attend.chain = static_cast<double>(parts.pages) * pageChain;
  double time = microseconds(target, attend);
  if (splits == 1)
    return time;
  // What all parts leave is written and read again.
  double between = 2 * partBytes(shape) * static_cast<double>(shape.queryHeads * parts.used);
  // A block merges all parts of a head, unless rows are shared. 32 more parts of 256 columns took it 1.4 us on an H200.
  constexpr double kMergeRate = 24e3;
  double merged = shape.latentRows ? 0 : static_cast<double>(parts.used) * partBytes(shape) / kMergeRate;
  return time + kMerge + between / target.memoryRate + merged;
}

int64_t tuning::latentItems(const GpuTarget &target) {
  return int64_t(llvm::bit_floor(uint64_t(target.multiprocessors)));
}
double tuning::keySplits(const Target &target, const KeySplits &shape, int64_t splits) {
  constexpr double kItem = 0.5; // to take an item and to begin it
  Parts parts = partsOf(shape, kReferenceKeys, splits);
  double page = pageBytes(shape) / target.farRate, item = kItem + static_cast<double>(parts.pages) * page;
  double merge = splits > 1 ? kItem + static_cast<double>(parts.used) * 2 * partBytes(shape) / target.nearRate : 0;
  double work = static_cast<double>(headTiles(shape) * parts.pages * parts.used) * page;
  double sum = 0;
  auto machines = {1, 2, 4, 8, 16};
  for (int64_t threads : machines) {
    double time = static_cast<double>(llvm::divideCeil(headTiles(shape) * parts.used, threads)) * item +
                  static_cast<double>(llvm::divideCeil(shape.queryHeads, threads)) * merge;
    sum += time * static_cast<double>(threads) / work;
  }
  return sum / static_cast<double>(machines.size()) * work;
}

//===--------------------------------------------------------------------------------------------------------------===//
// softmax_whole.most_tokens
//===--------------------------------------------------------------------------------------------------------------===//

double tuning::wholeKeys(const GpuTarget &target, const KeySplits &shape, int64_t parts, int64_t most) {
  // On an H200 with 8 key heads of 128 channels and 32 sequences, an item for each place, whole keys were 10 % faster
  // at 8192 tokens, 1.3 % at 32768 and 0.9 % slower at 131072. So parts take 28 us more, of which reading and writing
  // them is 2 and a launch is 3: the rest is 8 times as many blocks that begin and end. And of whole keys a block or
  // two end late, by a share of all there is to read.
  constexpr double kLaunch = 3, kPart = 2.9, kLate = 0.017;
  // The accumulator of values up to 128 wide takes half of the registers.
  int64_t blocks = shape.valueDim <= 128 ? 2 : 1, places = target.multiprocessors * blocks;
  int64_t sequences = llvm::divideCeil(places, shape.keyHeads);
  auto waves = static_cast<double>(llvm::divideCeil(sequences * shape.keyHeads * parts, places));
  double between = 2 * partBytes(shape) * static_cast<double>(sequences * shape.queryHeads * parts);
  double merged = kLaunch + between / target.memoryRate + waves * kPart;
  double keyBytes = static_cast<double>(sequences * shape.keyHeads) * pageBytes(shape) / double(shape.pageTokens);
  auto readOf = [&](int64_t tokens) { return static_cast<double>(tokens) * keyBytes / target.memoryRate; };
  double sum = 0;
  int64_t count = 0;
  for (int64_t tokens = 2048; tokens <= 524288; tokens *= 2, ++count)
    sum += 1 + (tokens <= most ? kLate : merged / readOf(tokens));
  return sum / static_cast<double>(count) * readOf(32768);
}

//===--------------------------------------------------------------------------------------------------------------===//
// softmax_whole.paired_sequences
//===--------------------------------------------------------------------------------------------------------------===//

double tuning::pairedKeys(const GpuTarget &target, const KeySplits &shape, int64_t least, int64_t behind,
                          int64_t from) {
  // On an H200 with 8 key heads of 128 channels: items of one key head take 1 % more than reading, and a fifth of what
  // a multiprocessor with two of them has too much where others have one. Of two key heads a page takes 0.99 us however
  // much memory has to give, and the more of either there is, the less of the other is seen: at 16, 18, 20, 24, 28 and
  // 32 sequences they took 1.20, 1.13, 1.09, 1.04, 1.02 and 1.01 of the time of reading, one by one 1.03, 1.17, 1.15,
  // 1.08, 1.06 and 1.02.
  constexpr double kLate = 0.01, kUneven = 0.2, kSharp = 5;
  double chain = 0.45 + 0.54 * static_cast<double>(shape.keyDim + shape.valueDim) / 256;
  auto pageTime = [&](int64_t heads) { return static_cast<double>(heads) * pageBytes(shape) / target.memoryRate; };
  double sum = 0;
  for (int64_t sequences = least; sequences < behind; ++sequences) {
    int64_t heads = sequences * shape.keyHeads;
    auto most = static_cast<double>(llvm::divideCeil(heads, target.multiprocessors) * target.multiprocessors);
    sum += sequences < from ? 1 + kLate + kUneven * (most / static_cast<double>(heads) - 1)
                            : std::pow(1 + std::pow(chain / pageTime(heads), kSharp), 1 / kSharp);
  }
  constexpr int64_t kTokens = 32768;
  return sum / double(behind - least) * pageTime(least * shape.keyHeads) * double(kTokens / shape.pageTokens);
}

//===--------------------------------------------------------------------------------------------------------------===//
// linear.panel_columns
//===--------------------------------------------------------------------------------------------------------------===//

double tuning::linearPanel(const Target &target, int64_t columns, int64_t inner, int64_t panel) {
  constexpr int64_t kRows = 512, kRowBlock = 64;
  constexpr double kItem = 0.5;
  auto rows = static_cast<double>(kRows), k = static_cast<double>(inner), width = static_cast<double>(panel);
  auto rateOf = [&](double bytes) {
    return bytes <= static_cast<double>(target.cacheBytes) ? target.nearRate : target.farRate;
  };
  // Operands that a register tile loads for each multiply-add; with more than one, loading is what takes the time.
  int64_t vectors = std::clamp<int64_t>(panel / target.lanes, 1, target.outerTile.vectors);
  auto tileRows = static_cast<double>(target.outerTile.rows), tileVectors = static_cast<double>(vectors);
  double loads = std::max(1.0, (tileRows + tileVectors) / (tileRows * tileVectors));
  double item = kItem + 2 * rows * k * width * loads / target.operationRate();
  // The rows pass by once for each panel, the weights are turned once, and again passed by for each block of rows.
  double rowBytes = 4 * rows * k, panelBytes = 4 * width * k;
  item += rowBytes / rateOf(rowBytes) + panelBytes / target.farRate;
  if (panelBytes > static_cast<double>(target.cacheBytes))
    item += static_cast<double>(kRows / kRowBlock) * panelBytes / target.farRate;
  int64_t panels = llvm::divideCeil(columns, panel);
  double sum = 0;
  auto machines = {1, 2, 4};
  for (int64_t threads : machines)
    sum += static_cast<double>(llvm::divideCeil(panels, threads) * threads) * item;
  return sum / static_cast<double>(machines.size());
}

//===--------------------------------------------------------------------------------------------------------------===//
// linear.dequantizing_rows
//===--------------------------------------------------------------------------------------------------------------===//

namespace {

/// The product by a kernel that makes numbers of the blocks for each of its items, a block of rows and a panel of
/// columns.
double dequantizingProduct(const GpuTarget &target, const BlockWeight &shape, int64_t rows) {
  constexpr int64_t kRowBlock = 128, kPanel = 256; // of the form `many`, AttnToTile/LinearOfBlock.cpp
  // Numbers that a multiprocessor makes of blocks in a microsecond. The same warps multiply, and do either: on an H200
  // items of 4096 inner channels took 112 us, of which products at their full rate are 44.
  constexpr double kMade = 15400;
  int64_t width = std::min(shape.columns, kPanel);
  Grid grid;
  grid.items = llvm::divideCeil(rows, kRowBlock) * llvm::divideCeil(shape.columns, width);
  grid.flops = 2.0 * static_cast<double>(kRowBlock * width * shape.inner);
  grid.chain = grid.flops * static_cast<double>(target.multiprocessors) / target.matrixRate +
               static_cast<double>(width * shape.inner) / kMade;
  return microseconds(target, grid);
}

/// A product with a weight of bf16 that is cut as evenly as a library does it.
double evenProduct(const GpuTarget &target, const BlockWeight &shape, int64_t rows) {
  double elements = static_cast<double>(shape.columns * shape.inner),
         items = static_cast<double>(target.multiprocessors);
  Grid grid;
  grid.items = target.multiprocessors;
  grid.bytes = 2 * elements / items;
  grid.flops = 2 * elements * static_cast<double>(rows) / items;
  return microseconds(target, grid);
}

} // namespace

double tuning::dequantizingRows(const GpuTarget &target, const BlockWeight &shape, int64_t most) {
  // A launch that waits for the one before it, and its own latencies.
  constexpr double kLaunch = 3;
  double bytes = static_cast<double>(shape.columns * (2 * shape.inner + shape.rowBytes));
  double written = kLaunch + target.memoryLatency + bytes / target.memoryRate;
  double sum = 0;
  for (int64_t rows = 32; rows <= 4096; rows *= 2)
    sum += rows <= most ? dequantizingProduct(target, shape, rows) : written + evenProduct(target, shape, rows);
  return sum;
}

//===--------------------------------------------------------------------------------------------------------------===//
// linear.few_columns
//===--------------------------------------------------------------------------------------------------------------===//

static constexpr int64_t kBrain = 2; ///< bytes of a bf16

static int64_t stepBytes(const FewRows &shape, int64_t width) {
  constexpr int64_t kBarriers = 64; // of the slots of a step
  if (!shape.inBlocks())
    return (shape.products * width + shape.inputs * shape.rows) * shape.step * kBrain + kBarriers;
  constexpr int64_t kAlignment = 1024; // integers of a weight, and its scales, begin at multiples of it
  return llvm::divideCeil(width * shape.rowBytes * shape.step, shape.inner) + shape.products * kAlignment +
         shape.inputs * shape.rows * shape.step * kBrain + kBarriers;
}

static constexpr int64_t kMostSlots = 4;

/// Steps of an item that half of a multiprocessor's shared memory holds.
static int64_t slotsOfHalf(const GpuTarget &target, const FewRows &shape, int64_t width) {
  constexpr int64_t kBeside = 3 * 1024; // of a block: what the system takes, and what it leaves free beside rows alone
  return std::min(kMostSlots, (target.sharedOfMultiprocessor / 2 - kBeside) / stepBytes(shape, width));
}

int64_t FewRows::blocks(const GpuTarget &target, int64_t width) const {
  // On an H200 two blocks with three slots took 0.82 to 0.95 of one with four, but with two slots 1.4 times as long
  // (two products of 5632 x 2048 in q4_0 by 64 columns: 19.6 and 13.9 us).
  constexpr int64_t kLeastSlots = 3;
  bool waits = columns > width * target.multiprocessors;
  return inBlocks() && waits && slotsOfHalf(target, *this, width) >= kLeastSlots ? 2 : 1;
}

int64_t FewRows::slots(const GpuTarget &target, int64_t width) const {
  constexpr int64_t kBeside = 16 * 1024; // what it leaves free
  if (blocks(target, width) == 2)
    return slotsOfHalf(target, *this, width);
  return std::min(kMostSlots, (target.sharedBytes - kBeside) / stepBytes(*this, width));
}

/// Weights in blocks, whose copies are boxes that cost those who ask for them nothing. On an H200 a turn takes 0.28 us,
/// 1 us for each 64000 weights and for each 152000 bytes of them; of two blocks on a multiprocessor 1.35 times what
/// both have to do, if that is more; an item begins and ends in 2.2 us. Rows come from the last cache. 16, 32 and 64
/// columns took, launches of 5 us left out, of [columns, inner] in q8_0 4096 x 4096 7.3, 6.6, 11.5; 2048 x
/// 12288 12.0, 15.9, 24.3; 12288 x 2048 13.3, 12.6, 13.3; 32000 x 2048 31, 25.3, 27.4; two of 5632 x 2048 12.1,
/// 14, 11.3; in q4_0 4096 x 4096 5.8, 5.2, 8.2; 2048 x 12288 10.3, 13.4, 22; 12288 x 2048 11.3, 9.5, 10.0; two of 5632
/// x 2048 11.3, 10.3, 8.9.
static double fewRowsOfBlocks(const GpuTarget &target, const FewRows &shape, int64_t width) {
  constexpr double kTurn = 0.28, kWeights = 64000, kBytes = 152000, kTogether = 2.7, kItem = 2.2, kNear = 0.5;
  auto inner = static_cast<double>(shape.inner), steps = inner / static_cast<double>(shape.step);
  auto bytes = static_cast<double>(width * shape.rowBytes); // of an item's weights
  Grid grid;
  grid.items = llvm::divideCeil(shape.columns, width);
  grid.blocks = shape.blocks(target, width);
  grid.bytes = bytes + kNear * static_cast<double>(shape.inputs * shape.rows * kBrain) * inner;
  double made = static_cast<double>(shape.products * width * shape.step) / kWeights + bytes / steps / kBytes;
  double turn = grid.blocks == 1 ? kTurn + made : std::max(kTurn + made, kTogether * made);
  grid.chain = kItem + steps * turn;
  return microseconds(target, grid);
}

double tuning::fewRows(const GpuTarget &target, const FewRows &shape, int64_t width) {
  // On an H200 a turn of an item whose weights are near takes 0.45 us by 16 columns and 0.55 by 64, more where all
  // multiprocessors read: a slot comes back after 1.6 us, and there are four. Rows, which each item reads again from
  // the last cache, take half of what as many weights do: 2048 x 5632 took 12.1, 12.3 and 14.2 us by 16, 32 and 64
  // columns, 12288 x 2048 20.3, 16.8 and 15.6 (launches left out).
  constexpr double kRound = 1.6, kCopied = 150000;
  if (shape.inBlocks())
    return fewRowsOfBlocks(target, shape, width);
  auto slots = static_cast<double>(std::max<int64_t>(shape.slots(target, width), 1));
  Grid grid;
  grid.items = llvm::divideCeil(shape.columns, width);
  grid.blocks = std::max<int64_t>(target.sharedOfMultiprocessor / (int64_t(slots) * stepBytes(shape, width)), 1);
  grid.bytes = static_cast<double>((2 * shape.products * width + shape.inputs * shape.rows) * shape.inner * kBrain) / 2;
  double weights = static_cast<double>(shape.products * width * shape.step * kBrain);
  grid.chain = target.memoryLatency + static_cast<double>(shape.inner) / static_cast<double>(shape.step) *
                                          (kRound / slots + weights / kCopied);
  return microseconds(target, grid);
}

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence.joined_tokens
//===--------------------------------------------------------------------------------------------------------------===//

double tuning::joinedChunks(const Target &target, const StateShape &shape, bool solves, int64_t length,
                            int64_t joined) {
  constexpr double kTokens = 2048, kBlockRows = 16;
  // Of one channel: without them GLA of 32 heads of 64 channels took 15 % less of 28.6 ms, where there were seven.
  constexpr double kExponential = 1.4e-4;
  auto dk = static_cast<double>(shape.keyDim), dv = static_cast<double>(shape.valueDim);
  auto rows = static_cast<double>(joined);
  bool apart = joined == length;
  // Of a token: what it reads of the state and adds to it, then of and to the other tokens of its chunk, half of them
  // on average. Blocks of rows take four products for pairs inside, each over the whole block.
  double readers = solves ? 2 : 1;
  double operations = (2 * readers + 2) * dk * dv + readers * rows * (dk + dv);
  if (apart)
    operations += readers * 4 * 2 * std::min(kBlockRows, rows) * dk;
  // Read for the products, read and written where it fades.
  double stateBytes = 3 * 4 * dk * dv / rows;
  double exponentials = (apart ? 7 : 2) * dk * kExponential;
  double token = operations / target.operationRate() + stateBytes / target.nearRate + exponentials;
  return kTokens * static_cast<double>(shape.heads) * token;
}

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence_few.value_columns, recurrence_few.blocks, recurrence_prepare.value_heads, recurrence_scan.value_columns,
// recurrence_scan.blocks, recurrence_scan.segments, recurrence_wide.*
//===--------------------------------------------------------------------------------------------------------------===//

double tuning::tokenStep(const GpuTarget &target, const StateShape &shape, int64_t beside, int64_t threads,
                         int64_t columns, int64_t blocks, int64_t sequences) {
  // Begin, ask for state and vectors, two products one behind the other, store: 7.5 us for a launch with one item on
  // each multiprocessor, of which 3 are the launch.
  constexpr double kChain = 4.5;
  // One multiprocessor moves 64 bytes in a cycle.
  constexpr double kProcessorRate = 1.1e5;
  // Every register too many is written and read once at least, by way of the first cache.
  constexpr double kSpilled = 0.05;
  // More than 64 registers of a state take more warps instead (codegen/nvptx/Fragment.h), which all add up what all of
  // them leave behind their barrier: with 128 x 128 channels 27 % longer than two parts of 64 columns on an H200.
  constexpr int64_t kMostHeld = 64;
  constexpr double kMoreWarps = 1.27;
  int64_t held = shape.keyDim * columns / threads;
  int64_t given = std::min<int64_t>(255, target.registers / (threads * blocks) / 8 * 8);
  auto spilled = static_cast<double>(std::max<int64_t>(held + beside - given, 0));
  Grid grid;
  grid.items = sequences * shape.heads * shape.valueDim / columns;
  grid.blocks = blocks;
  // The state is read and written; keys and queries, in bf16, are read by each part of a head again.
  double state = 4.0 * static_cast<double>(shape.keyDim * columns);
  grid.bytes = 2 * state + 4.0 * static_cast<double>(shape.keyDim);
  grid.bytesInFlight = state;
  grid.chain = kChain + grid.bytes / kProcessorRate;
  return microseconds(target, grid) * (1 + kSpilled * spilled) * (held > kMostHeld ? kMoreWarps : 1);
}

double tuning::prepareChunks(const GpuTarget &target, const StateShape &shape, int64_t together, int64_t blocks) {
  constexpr int64_t kChunks = 128;
  // Blocks wait for one another's instructions and shared memory, so an item takes as long as all of them together: on
  // an H200, 128 channels, 8.6 us of four with one head each and 11.6 us of three with two. What keys and queries make
  // is the smaller part.
  constexpr double kVectors = 0.43, kHead = 1.72;
  Grid grid;
  grid.blocks = blocks;
  grid.chain = static_cast<double>(blocks) * (kVectors + static_cast<double>(together) * kHead);
  double sum = 0;
  for (int64_t sequences : {1, 4}) {
    grid.items = sequences * kChunks * shape.heads / together;
    sum += microseconds(target, grid);
  }
  return sum;
}

double tuning::stateScan(const GpuTarget &target, const StateShape &shape, int64_t columns) {
  constexpr int64_t kChunk = 64, kChunks = 128;
  // Products that wait for one another: 1.06 us a chunk on an H200.
  constexpr double kChunkChain = 1.06;
  // What another part of the head has just read comes from the last cache, at twice the rate of memory.
  constexpr double kAgain = 0.5;
  auto width = static_cast<double>(columns), keys = static_cast<double>(shape.keyDim);
  double parts = static_cast<double>(shape.valueDim) / width;
  Grid grid;
  grid.items = shape.heads * shape.valueDim / columns;
  // Blocks of keys and queries and two of the chunk by itself belong to the head; values and results to the part.
  double head = 2 * (3 * kChunk * keys + 2.0 * kChunk * kChunk), own = 2 * 2 * kChunk * width;
  grid.bytes = kChunks * (head * (1 + kAgain * (parts - 1)) / parts + own);
  grid.bytesInFlight = 0.75 * static_cast<double>(target.sharedBytes);
  grid.flops = kChunks * 2 * width * kChunk * (3 * keys + kChunk);
  grid.chain = kChunks * kChunkChain;
  return microseconds(target, grid);
}

double tuning::scanBlocks(const GpuTarget &target, const StateShape &shape, int64_t columns, int64_t chunkBytes,
                          int64_t blocks) {
  constexpr int64_t kSequences = 4, kChunks = 128;
  // On an H200, 128 channels: a chunk takes 1.42 us in a block that is alone, and 2.5 in two that share a
  // multiprocessor (the delta rule, one decay per head).
  constexpr double kChunkChain = 1.42, kChunkBusy = 1.25;
  // What has one slot is asked for when the chunk before it is done: with a decay per channel, two blocks had room for
  // 1.5 chunks each, and every chunk took 0.9 us more than with room for three.
  constexpr double kExposed = 1.9;
  auto held = static_cast<double>(target.sharedOfMultiprocessor / blocks) / static_cast<double>(chunkBytes);
  double exposed = kExposed * std::clamp(2 - held, 0.0, 1.0);
  auto together = static_cast<double>(blocks);
  Grid grid;
  grid.items = kSequences * shape.heads * shape.valueDim / columns;
  grid.blocks = blocks;
  grid.chain = kChunks * (std::max(kChunkChain, together * kChunkBusy) + exposed);
  return microseconds(target, grid);
}

namespace {

constexpr int64_t kSegmentChunk = 64, kSegmentChunks = 128;

/// Chunks of the first segment, and of another.
struct SegmentChunks {
  double first, other;
  SegmentChunks(double ratio, int64_t segments)
      : first(segments == 1 ? kSegmentChunks : ratio * kSegmentChunks / (static_cast<double>(segments - 1) + ratio)),
        other(kSegmentChunks / (static_cast<double>(segments - 1) + ratio)) {}
};

/// Items of so many chunks, on so many multiprocessors, one at a time on each: a chunk takes `chain` microseconds, or
/// as long as all of them together wait for its bytes from what gives so many in a microsecond.
struct SegmentItems {
  int64_t items;
  double chunks, chain, bytes, rate;

  double on(int64_t processors) const {
    constexpr double kEnds = 3; // to begin and to end an item
    double step = std::max(chain, static_cast<double>(std::min(items, processors)) * bytes / rate);
    return static_cast<double>(llvm::divideCeil(items, processors)) * (kEnds + chunks * step);
  }
};

/// The first segment, and on the multiprocessors that it leaves, or behind it, what those between it and the last have
/// to leave.
double begunSegments(const GpuTarget &target, const SegmentItems &first, const SegmentItems &between) {
  int64_t left = target.multiprocessors - first.items;
  double results = first.on(target.multiprocessors);
  return left > 0 ? std::max(results, between.on(left)) : results + between.on(target.multiprocessors);
}

/// A launch that waits for the one before it.
constexpr double kSegmentLaunch = 3;

/// What another part of the head has just read comes from the last cache, at twice the rate of memory.
double sharedBytes(const StateShape &shape, int64_t columns) {
  auto parts = static_cast<double>(shape.valueDim) / static_cast<double>(columns);
  return 2.0 * kSegmentChunk * static_cast<double>(shape.keyDim) * (1 + (parts - 1) / 2) / parts;
}

} // namespace

double tuning::segmentScan(const GpuTarget &target, const StateShape &shape, int64_t columns, double first,
                           int64_t segments) {
  // A chunk of 128 keys, on an H200: products, what is made between them, a result turned and stored (1.5 us with a
  // decay of the text, 2.1 with one of each token); and the sum alone.
  const double kResults = columns > 64 ? 1.9 : 1.55, kSum = columns > 64 ? 1.2 : 1;
  // To fetch a state that a segment left.
  constexpr double kFold = 1;
  SegmentChunks chunks(first, segments);
  double vectors = sharedBytes(shape, columns), values = 2.0 * kSegmentChunk * static_cast<double>(columns);
  int64_t own = shape.heads * shape.valueDim / columns;
  SegmentItems results{own, chunks.first, kResults, 2 * (vectors + values), target.memoryRate};
  if (segments == 1)
    return results.on(target.multiprocessors);
  SegmentItems sums{(segments - 2) * own, chunks.other, kSum, vectors + values, target.memoryRate};
  SegmentItems others{(segments - 1) * own, chunks.other, kResults, results.bytes, target.memoryRate};
  return begunSegments(target, results, sums) + kSegmentLaunch + kFold * static_cast<double>(segments - 1) +
         others.on(target.multiprocessors);
}

double tuning::transitionScan(const GpuTarget &target, const StateShape &shape, int64_t columns,
                              const ScannedChunk &chunk, double first, int64_t segments) {
  // A block alone on its multiprocessor, on an H200, of 64 columns by 128 keys: a chunk with results and without; fewer
  // waits where what was prepared is one block. More columns are other warps', which wait for one another.
  constexpr double kTransition = 0.97, kWider = 0.5;
  const double kResults = chunk.isOneBlock ? 1.1 : 1.33;
  // The last cache gives all of them 5.5 TB/s.
  constexpr double kCacheRate = 5.5e6;
  // A product of two states.
  constexpr double kFold = 1;
  SegmentChunks chunks(first, segments);
  double wider = 1 + kWider * (static_cast<double>(columns) / 64 - 1);
  int64_t parts = shape.valueDim / columns, ofKeys = shape.keyDim / columns, own = shape.heads * parts;
  auto ofResults = static_cast<double>(chunk.results), ofStates = static_cast<double>(chunk.state);
  SegmentItems results{own, chunks.first, kResults * wider, ofResults, kCacheRate};
  if (segments == 1)
    return results.on(target.multiprocessors);
  SegmentItems transitions{(segments - 2) * shape.heads * (parts + ofKeys), chunks.other, kTransition * wider, ofStates,
                           kCacheRate};
  SegmentItems others{(segments - 1) * own, chunks.other, kResults * wider, ofResults, kCacheRate};
  return begunSegments(target, results, transitions) + kFold * static_cast<double>(segments - 2) +
         others.on(target.multiprocessors) + 2 * kSegmentLaunch;
}

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence_many.chunk_tokens, recurrence_many.value_columns
//===--------------------------------------------------------------------------------------------------------------===//

/// Rows of a chunk that are taken at once: with a decay per channel, pairs of tokens are split between them.
static int64_t blockRows(const HeadChunks &form) {
  constexpr int64_t kChannelRows = 16;
  return form.perChannel ? std::gcd(form.tokens, kChannelRows) : form.tokens;
}

int64_t tuning::chunkOperandBytes(const StateShape &shape, const HeadChunks &form) {
  constexpr int64_t kPanel = 64, kRows = 16, kAligned = 1024; // of operands (codegen/nvptx/Fragment.h)
  constexpr int64_t kInverted = 80; // of each row of a matrix: its part of the diagonal blocks, while they are inverted
  auto operand = [&](int64_t rows, int64_t columns) {
    int64_t panels = llvm::divideCeil(columns, kPanel);
    return form.operandTerms * int64_t(llvm::alignTo(panels * llvm::alignTo(rows, kRows) * 2 * kPanel, kAligned));
  };
  int64_t rows = blockRows(form), blocks = form.tokens / rows;
  int64_t vector = operand(rows, shape.keyDim), written = operand(rows, form.columns), square = operand(rows, rows);
  int64_t solved = form.solves ? square + std::max(written, square + kInverted * rows) : written;
  // What the blocks before wrote, and the last of what this one does.
  int64_t bytes = operand(shape.keyDim, form.columns) + (form.writes * blocks - 1) * written + solved;
  if (!form.perChannel)
    return bytes + form.vectors * vector;
  // Keys as each halving of a block has them are read by what is solved and by queries, with the state between. Rows of
  // earlier blocks stand there faded to the one at hand.
  int64_t halvings = form.solves ? form.writes * int64_t(llvm::Log2_64(rows)) : 1;
  int64_t earlier = blocks > 1 ? form.writes * operand(form.tokens - rows, shape.keyDim) : 0;
  return bytes + (halvings + 1) * vector + earlier;
}

double tuning::headChunks(const GpuTarget &target, const StateShape &shape, const HeadChunks &form) {
  constexpr int64_t kTokens = 1024;
  // A chunk beside its products: norms, gates, exchanges and a solve, with barriers between, and the state read and
  // written. On an H200 a delta rule of 128 keys near f32 took 12.7 us for chunks of 16 tokens with 128 value columns,
  // 16.7 for 32 tokens, and 11.9 for 32 tokens with 64 columns, which products at half the rate agree with within 1 us:
  // they are of single warps. (64 tokens with 64 columns, 26.2 us, spill, and would be 21.)
  constexpr double kChunk = 8.3, kRate = 0.5;
  // Threads of a block that holds more of a state have half of it in their registers, or more, and spill: products in
  // bf16 with two writes took 2.0 to 2.7 times as long with half of the registers, 6.3 times with all of them, where
  // 256 channels have 256 value columns.
  constexpr double kRoomy = 0.25, kCrowded = 6;
  // Six of the nine products of three terms by three.
  double products = form.operandTerms > 1 ? 6 : 1;
  auto rows = static_cast<double>(form.tokens), keys = static_cast<double>(shape.keyDim),
       width = static_cast<double>(form.columns), writes = static_cast<double>(form.writes);
  double readers = form.solves ? 2 : 1;
  // With the state, then of the tokens of a chunk with one another.
  double flops = 2 * rows * keys * width * (readers + writes) + 2 * rows * rows * (keys + width) * readers * writes;
  double chunk = kChunk + products * flops * static_cast<double>(target.multiprocessors) / (kRate * target.matrixRate);
  // As many warps as hold 64 registers of the state in each thread (codegen/nvptx/Fragment.h).
  int64_t state = shape.keyDim * form.columns;
  int64_t threads = 32 * std::clamp<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(state, 32 * 64)), 4, 16);
  int64_t given = std::min<int64_t>(255, target.registers / threads);
  double share = static_cast<double>(state) / static_cast<double>(threads * given);
  auto parts = static_cast<double>(shape.valueDim / form.columns);
  return parts * static_cast<double>(llvm::divideCeil(kTokens, form.tokens)) * chunk *
         (1 + kCrowded * std::max(share - kRoomy, 0.0));
}

//===--------------------------------------------------------------------------------------------------------------===//
// short_conv.rows, short_conv.columns, short_conv.blocks
//===--------------------------------------------------------------------------------------------------------------===//

double tuning::shortConv(const GpuTarget &target, int64_t taps, int64_t rows, int64_t columns, int64_t blocks) {
  // On an H200 with 4 taps, in microseconds: items of 128 x 32 84 with four blocks on a multiprocessor and 79 with six,
  // 256 x 32 107 with two. To read and to write is 64 of them. What the rest agrees with, within a tenth: blocks of a
  // wave compute together what each thread has, so long for a row of 16 bytes that memory waits; and a part of the
  // time in which neighbours' rows come from the first cache, a line of 64 bytes in a cycle.
  constexpr double kRow = 0.114, kCached = 0.28, kCacheRate = 1.1e5;
  constexpr int64_t kTokens = 8192, kChannels = 8192, kTileElements = 2048; // of a warp, of a tile
  constexpr int64_t kBeside = 16; // registers: addresses, bounds, a row at hand
  constexpr double kSpilled = 0.05;
  auto warps = std::max<int64_t>(llvm::divideCeil(rows * columns, kTileElements), 4);
  // A thread has neighbouring rows of some pieces of 8 channels: four threads of a warp are side by side.
  int64_t own = std::max<int64_t>(rows / (8 * warps), 1), channels = columns / 4, read = own + taps - 1;
  int64_t needed = read * channels / 2 + own * channels + kBeside;
  int64_t given = std::min<int64_t>(255, target.registers / (32 * warps * blocks) / 8 * 8);
  auto spilled = static_cast<double>(std::max<int64_t>(needed - given, 0));
  auto bytes = 2.0 * kTokens * kChannels, ofRow = static_cast<double>(rows), ofOwn = static_cast<double>(own);
  double memory = bytes * (2 + static_cast<double>(taps - 1) / ofRow) / target.memoryRate;
  double cached = bytes * static_cast<double>(read) / ofOwn / (double(target.multiprocessors) * kCacheRate);
  int64_t items = llvm::divideCeil(kTokens, rows) * llvm::divideCeil(kChannels, columns);
  auto waves = static_cast<double>(llvm::divideCeil(items, target.multiprocessors * blocks));
  double computed = waves * kRow * ofOwn * static_cast<double>(channels) / 8;
  return (memory + kCached * cached + computed) * (1 + kSpilled * spilled);
}

//===--------------------------------------------------------------------------------------------------------------===//
// experts.few_rows, experts.group_rows, experts.panel_columns, experts.step_channels
//===--------------------------------------------------------------------------------------------------------------===//

namespace {

/// `launch`: microseconds of a kernel beside its work; `fewLaunches` and `manyLaunches` of them. `expert`: to read the
/// weights of one.
double expertSteps(const ExpertShape &shape, int64_t few, double launch, int64_t fewLaunches, int64_t manyLaunches,
                   double expert) {
  auto count = static_cast<double>(shape.count), top = static_cast<double>(shape.top);
  double sum = 0;
  for (int64_t rows = 1; rows <= 64; rows *= 2) {
    auto all = static_cast<double>(rows);
    double different = count * (1 - std::pow(1 - top / count, all));
    sum += rows <= few ? static_cast<double>(fewLaunches) * launch + all * top * expert
                       : static_cast<double>(manyLaunches) * launch + different * expert;
  }
  return sum;
}

double expertBytes(const ExpertShape &shape) {
  return 3.0 * static_cast<double>(shape.hidden * shape.inner * shape.elementBytes);
}

} // namespace

double tuning::expertFewRows(const GpuTarget &target, const ExpertShape &shape, int64_t few) {
  // A launch that waits for the one before it, and its own latencies.
  constexpr double kLaunch = 3;
  return expertSteps(shape, few, kLaunch, 2, 5, expertBytes(shape) / target.memoryRate);
}

double tuning::expertFewRows(const Target &target, const ExpertShape &shape, int64_t few) {
  // To wake the threads and to begin the items; looking for an expert's rows.
  constexpr double kLaunch = 2, kLook = 0.2;
  double expert = expertBytes(shape) / target.farRate;
  return expertSteps(shape, few, kLaunch + kLook * static_cast<double>(shape.count), 0, 5, expert);
}

double tuning::expertGroupRows(const GpuTarget &target, const ExpertShape &shape, int64_t rows) {
  constexpr int64_t kRows = 8192, kColumns = 256; // of a block's product
  // Operands come from the last cache, at twice the rate of memory.
  double cacheRate = 2 * target.memoryRate;
  int64_t ofExpert = llvm::divideCeil(kRows * shape.top, shape.count);
  int64_t groups = shape.count * static_cast<int64_t>(llvm::divideCeil(ofExpert, rows));
  double products = 6.0 * static_cast<double>(groups * rows) * static_cast<double>(shape.hidden * shape.inner);
  double bytesOfOne = 2.0 * static_cast<double>(rows + kColumns) / (2.0 * static_cast<double>(rows * kColumns));
  return products * std::max(1 / target.matrixRate, bytesOfOne / cacheRate);
}

double tuning::expertPanels(const GpuTarget &target, const ExpertShape &shape, int64_t rows, int64_t innerColumns,
                            int64_t outerColumns, int64_t step) {
  // On an H200, 8 of 128 experts of 768 channels, the first product of 2048 took 0.76 ms: 24 items one behind the other
  // on a multiprocessor, 128 rows with 256 columns, which are 24.5 us each by what they read and 7.3 more. Part of that
  // is that warps meet copies at every step, of which there were 32; another, to look for the group and to wait for the
  // first operands; the rest, to store.
  constexpr int64_t kRows = 8192, kSquare = 128 * 256, kExchanged = 16 * 1024;
  constexpr double kBegin = 4, kStore = 1.7, kMeet = 0.05;
  // Steps of 128 channels, of which two fit shared memory, took both products from 1.47 ms to 1.51.
  constexpr int64_t kSlots = 3;
  constexpr double kExposed = 1.07;
  auto processors = static_cast<double>(target.multiprocessors);
  // Operands come from the last cache, at twice the rate of memory.
  double cacheRate = 2 * target.memoryRate / processors, productRate = target.matrixRate / processors;
  int64_t groups = shape.count * int64_t(llvm::divideCeil(llvm::divideCeil(kRows * shape.top, shape.count), rows));
  auto product = [&](int64_t columns, int64_t width, int64_t together, int64_t length) {
    auto elements = static_cast<double>(rows * width * together), inner = static_cast<double>(length);
    int64_t operands = 2 * (rows + width * together);
    int64_t slots = (target.sharedBytes - kExchanged) / (operands * std::min(step, length));
    double read = static_cast<double>(operands) * inner / cacheRate;
    double item = kBegin + kStore * elements / kSquare + kMeet * static_cast<double>(llvm::divideCeil(length, step)) +
                  std::max(2 * elements * inner / productRate, read) * (slots < kSlots ? kExposed : 1);
    int64_t items = groups * int64_t(llvm::divideCeil(columns, width));
    return static_cast<double>(llvm::divideCeil(items, target.multiprocessors)) * item;
  };
  return product(shape.inner, innerColumns, 2, shape.hidden) + product(shape.hidden, outerColumns, 1, shape.inner);
}
