// Predictions have the properties that follow from what a machine is, and the answer of every model changes where it
// must.
#include "compiler/tuning/CostModel.h"
#include "compiler/tuning/Choice.h"
#include "compiler/tuning/EmbeddedTables.h"
#include "compiler/tuning/Table.h"
#include "llvm/Support/MathExtras.h"
#include <gtest/gtest.h>

using namespace denim;
using namespace denim::tuning;

namespace {

codegen::GpuTarget gpu() {
  return llvm::cantFail(codegen::findGpuTarget("sm_90a"));
}
codegen::Target cpu() {
  return llvm::cantFail(codegen::findTarget("x86-64-v4"));
}

int64_t bestSplits(const KeySplits &shape, bool onGpu) {
  Question question{"attend_part.key_splits", "", {1, 2, 4, 8, 16, 32, 64}, [&](int64_t n) {
                      return onGpu ? keySplits(gpu(), shape, n) : keySplits(cpu(), shape, n);
                    }};
  return predict(question).best;
}

int64_t bestPanel(int64_t columns, int64_t inner) {
  Question question{"linear.panel_columns", "", divisors(128, 16, 16, std::min<int64_t>(columns, 128)),
                    [&](int64_t width) { return linearPanel(cpu(), columns, inner, width); }};
  for (int64_t width = 16; width <= std::min<int64_t>(columns, 128); width += 16)
    if (!llvm::is_contained(question.candidates, width))
      question.candidates.push_back(width);
  llvm::sort(question.candidates);
  return predict(question).best;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Occupancy: CUDA C++ programming guide, compute capability 9.0
//===--------------------------------------------------------------------------------------------------------------===//

TEST(Occupancy, RegistersDivideAmongBlocks) {
  // 65536 / (256 * 128)
  EXPECT_EQ(occupancyOf(gpu(), 256, 128, 0).blocks, 2);
  EXPECT_EQ(occupancyOf(gpu(), 256, 128, 0).limit, "registers");
  // One more register is eight more for each thread of a warp: a warp takes whole units of 256.
  EXPECT_EQ(occupancyOf(gpu(), 256, 129, 0).blocks, 1);
  EXPECT_EQ(occupancyOf(gpu(), 128, 168, 0).blocks, 3);
}

TEST(Occupancy, SharedMemoryHasAnUnseenKibibyteForEachBlock) {
  EXPECT_EQ(occupancyOf(gpu(), 128, 32, 113 * 1024).blocks, 2);
  EXPECT_EQ(occupancyOf(gpu(), 128, 32, 113 * 1024 + 1).blocks, 1);
  EXPECT_EQ(occupancyOf(gpu(), 128, 32, 227 * 1024).blocks, 1);
  EXPECT_EQ(occupancyOf(gpu(), 128, 32, 227 * 1024).limit, "shared memory");
}

TEST(Occupancy, ThreadsAndBlocksHaveLimits) {
  EXPECT_EQ(occupancyOf(gpu(), 1024, 16, 0).blocks, 2);
  EXPECT_EQ(occupancyOf(gpu(), 1024, 16, 0).limit, "threads");
  EXPECT_EQ(occupancyOf(gpu(), 32, 16, 0).blocks, 32);
  EXPECT_EQ(occupancyOf(gpu(), 32, 16, 0).limit, "blocks");
}

//===--------------------------------------------------------------------------------------------------------------===//
// Grids
//===--------------------------------------------------------------------------------------------------------------===//

TEST(Grid, OneBlockTooManyCostsASecondWave) {
  Grid grid;
  grid.chain = 10;
  grid.items = gpu().multiprocessors;
  EXPECT_DOUBLE_EQ(microseconds(gpu(), grid), 10);
  ++grid.items;
  EXPECT_DOUBLE_EQ(microseconds(gpu(), grid), 20);
  grid.blocks = 2;
  EXPECT_DOUBLE_EQ(microseconds(gpu(), grid), 10);
}

TEST(Grid, MemoryIsSharedByWhatRuns) {
  Grid grid;
  grid.bytes = 1 << 20;
  grid.items = gpu().multiprocessors;
  double all = static_cast<double>(grid.items) * grid.bytes / gpu().memoryRate;
  EXPECT_NEAR(microseconds(gpu(), grid), all + gpu().memoryLatency, 1e-9);
  // Half of the items read half of the bytes.
  grid.items /= 2;
  EXPECT_NEAR(microseconds(gpu(), grid), all / 2 + gpu().memoryLatency, 1e-9);
}

TEST(Grid, FewBytesUnderWayAreALatencyEach) {
  Grid grid;
  grid.bytes = 1 << 20;
  grid.bytesInFlight = 1 << 10;
  EXPECT_NEAR(microseconds(gpu(), grid), 1025 * gpu().memoryLatency, 1e-9);
  grid.bytesInFlight = 2 << 10;
  EXPECT_NEAR(microseconds(gpu(), grid), 513 * gpu().memoryLatency, 1e-9);
}

TEST(Grid, BlocksOfAMultiprocessorShareItsMatrixUnits) {
  Grid grid;
  grid.flops = 1e9;
  grid.items = gpu().multiprocessors;
  double one = microseconds(gpu(), grid);
  EXPECT_NEAR(one, static_cast<double>(grid.items) * grid.flops / gpu().matrixRate, 1e-9);
  grid.items *= 2;
  grid.blocks = 2;
  EXPECT_NEAR(microseconds(gpu(), grid), 2 * one, 1e-9);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Key splits
//===--------------------------------------------------------------------------------------------------------------===//

KeySplits heads(int64_t keyHeads) {
  return {keyHeads, 4 * keyHeads, 128, 128, 2, 64, 4};
}

TEST(KeySplits, FewHeadsNeedMoreParts) {
  EXPECT_GT(bestSplits(heads(4), true), bestSplits(heads(32), true));
  EXPECT_GT(bestSplits(heads(1), false), bestSplits(heads(8), false));
}

TEST(KeySplits, HeadsThatFillTheMachineAreNotSplit) {
  // 128 heads are an item for nearly each multiprocessor, and merging is a launch of its own.
  EXPECT_EQ(bestSplits(heads(128), true), 1);
  // Any number of threads up to 16 has an even share of 16 heads.
  EXPECT_EQ(bestSplits(heads(16), false), 1);
}

TEST(KeySplits, PartsFillTheMultiprocessorsAndNoMore) {
  // As many items as multiprocessors can take at once, of equal length: twice as many have two waves of half of it, and
  // more to merge.
  int64_t splits = bestSplits(heads(8), true);
  EXPECT_LE(8 * splits, gpu().multiprocessors);
  EXPECT_GT(2 * 8 * splits, gpu().multiprocessors);
}

TEST(KeySplits, PartsThatAreNeverMadeBringNothing) {
  // 8192 keys are 128 pages, at least 4 to a part: 64 parts are 32.
  EXPECT_GE(keySplits(gpu(), heads(1), 64), keySplits(gpu(), heads(1), 32));
  EXPECT_GE(keySplits(cpu(), heads(1), 64), keySplits(cpu(), heads(1), 32));
}

TEST(KeySplits, ABlockThatMergesManyWideParts) {
  // Two key heads of 256 channels: with 64 parts as many items as multiprocessors, but a block has 66 KB to merge. On
  // an H200 a step of a model with 32 of them took 8 us a layer less.
  KeySplits wide{2, 16, 256, 256, 2, 64, 2};
  EXPECT_EQ(bestSplits(wide, true), 32);
  // A kernel that merges shared rows deals them to many blocks: what it adds does not depend on them.
  KeySplits latent{1, 128, 576, 512, 2, 64, 2, 64};
  double more = keySplits(gpu(), latent, 64) - keySplits(gpu(), latent, 32);
  latent.latentRows = 0;
  EXPECT_LT(more, keySplits(gpu(), latent, 64) - keySplits(gpu(), latent, 32));
}

TEST(KeySplits, SharedRowsAreReadOnceForSixteenHeads) {
  // 128 query heads over latents are 8 tiles, as 8 key heads are.
  KeySplits latent{1, 128, 576, 512, 2, 64, 4, 16};
  EXPECT_GT(bestSplits(latent, true), 1);
  latent.latentRows = 1; // each head for itself fills the machine
  EXPECT_EQ(bestSplits(latent, true), 1);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Whole keys
//===--------------------------------------------------------------------------------------------------------------===//

int64_t bestWhole(const KeySplits &shape) {
  return predict({"softmax_whole.most_tokens",
                  "",
                  {8192, 32768, 131072, 524288},
                  [&](int64_t most) { return wholeKeys(gpu(), shape, 8, most); }})
      .best;
}

TEST(WholeKeys, LongSequencesAreReadMoreEvenlyInParts) {
  // Measured: whole keys 10 % faster at 8192 tokens, 1.3 % at 32768, 0.9 % slower at 131072.
  EXPECT_EQ(bestWhole(heads(8)), 32768);
}

TEST(WholeKeys, NarrowHeadsAreShortSequences) {
  // Where tokens are an eighth of the bytes, it takes more of them until what is late is worth a merge; where they are
  // four times as many, fewer.
  EXPECT_EQ(bestWhole({8, 32, 16, 16, 2, 64, 2}), 524288);
  EXPECT_EQ(bestWhole({8, 32, 384, 128, 4, 64, 2}), 8192);
}

/// With as many sequences as have a key head for most multiprocessors, up to a multiprocessor for two.
int64_t bestPaired(const KeySplits &shape, int64_t least, int64_t behind) {
  return predict({"softmax_whole.paired_sequences",
                  "",
                  {least, least * 9 / 8, least * 5 / 4, least * 3 / 2, least * 2, behind},
                  [&](int64_t from) { return pairedKeys(gpu(), shape, least, behind, from); }})
      .best;
}

TEST(PairedKeys, StepsThatDoNotFillTheMachineWithTwoKeyHeadsEachHaveOne) {
  // Measured, two against one: 1.16 of the time at 16 sequences, 1.03 at 17, 0.97 at 18, 0.95 at 20, 0.99 at 32.
  EXPECT_EQ(bestPaired(heads(8), 16, 34), 18);
}

TEST(PairedKeys, NarrowHeadsWaitForTheirChainOfPages) {
  // A page of an eighth of the bytes takes more than half as long.
  KeySplits narrow = heads(8);
  narrow.keyDim = narrow.valueDim = 16;
  EXPECT_EQ(bestPaired(narrow, 16, 34), 34);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Panels of a product
//===--------------------------------------------------------------------------------------------------------------===//

TEST(LinearPanel, WidePanelsReadTheRowsLessOften) {
  // Measured on 512 rows: panels of 128 columns 27.1-28.7 ms, of 64 columns 29.6-30.8 (test/perf/README.md).
  EXPECT_EQ(bestPanel(2048, 2048), 128);
  double ratio = linearPanel(cpu(), 2048, 2048, 64) / linearPanel(cpu(), 2048, 2048, 128);
  EXPECT_GT(ratio, 1.02);
  EXPECT_LT(ratio, 1.15);
}

TEST(LinearPanel, APanelStaysNearTheCore) {
  // 64 columns of 4096 numbers are 1 MiB, which a core has near it; 128 would pass by for each block of rows.
  EXPECT_EQ(bestPanel(2048, 4096), 64);
}

TEST(LinearPanel, NarrowResultsHaveWorkForEachThread) {
  EXPECT_LT(bestPanel(128, 2048), 128);
}

TEST(LinearPanel, WhatTwoPanelsShareIsComputedTwice) {
  // 2 panels of 96 against 1.5 of 128, which are 2.
  EXPECT_LT(linearPanel(cpu(), 192, 2048, 96), linearPanel(cpu(), 192, 2048, 128));
}

//===--------------------------------------------------------------------------------------------------------------===//
// linear.dequantizing_rows
//===--------------------------------------------------------------------------------------------------------------===//

constexpr int64_t kNever = 1 << 30;

/// q8_0: 34 bytes for 32 elements.
BlockWeight weightOf(int64_t columns, int64_t inner) {
  return {columns, inner, inner / 32 * 34};
}
int64_t bestRows(const BlockWeight &shape) {
  Question question{"linear.dequantizing_rows", "", {16, 64, 128, 256, 512, 1024, 2048, kNever}, [&](int64_t rows) {
                      return dequantizingRows(gpu(), shape, rows);
                    }};
  return predict(question).best;
}

TEST(DequantizingRows, WeightsOfALayerAreMadeOnce) {
  EXPECT_EQ(bestRows(weightOf(4096, 4096)), 16);
  EXPECT_EQ(bestRows(weightOf(64, 2048)), 16);
  // What steps of 128, 512 and 2048 rows lose by doing it themselves: 82, 69 and 116 us on an H200.
  auto loses = [](int64_t rows) {
    BlockWeight shape = weightOf(4096, 4096);
    return dequantizingRows(gpu(), shape, rows) - dequantizingRows(gpu(), shape, rows / 2);
  };
  EXPECT_NEAR(loses(128), 82, 15);
  EXPECT_NEAR(loses(512), 69, 15);
  EXPECT_NEAR(loses(2048), 116, 15);
}

TEST(DequantizingRows, AnItemForEachMultiprocessorIsFasterThanToWriteThemAll) {
  // 125 panels of a vocabulary: 0.2 GB that are written, and read, against one wave of items.
  EXPECT_EQ(bestRows(weightOf(32000, 2048)), 128);
}

TEST(DequantizingRows, ALaunchCostsMoreThanAFewNumbers) {
  // 32768 numbers are made in 2 us, by whoever multiplies with them.
  EXPECT_EQ(bestRows(weightOf(256, 128)), kNever);
  EXPECT_EQ(bestRows(weightOf(8192, 128)), 1024);
}

//===--------------------------------------------------------------------------------------------------------------===//
// linear.few_columns
//===--------------------------------------------------------------------------------------------------------------===//

int64_t bestFewColumns(const FewRows &shape) {
  Question question{
      "linear.few_columns", "", {16, 32, 64}, [&](int64_t width) { return fewRows(gpu(), shape, width); }};
  return predict(question).best;
}

TEST(FewRows, ItemsForAllMultiprocessors) {
  // Measured on an H200 in a model: 16 and 32 columns even, 64 slower by a sixth.
  FewRows narrow{2048, 5632, 1, 1, 16, 256};
  EXPECT_EQ(bestFewColumns(narrow), 16);
  EXPECT_NEAR(fewRows(gpu(), narrow, 64) / fewRows(gpu(), narrow, 32), 14.2 / 12.3, 0.1);
  EXPECT_EQ(bestFewColumns({64, 2048, 1, 1, 16, 256}), 16);
  // The row of denim-bench: 16.8, 15.9, 16.5 us, of which a launch is 3.
  EXPECT_EQ(bestFewColumns({4096, 4096, 1, 1, 16, 256}), 32);
}

TEST(FewRows, WherePanelsAreManyRowsAreReadLessOften) {
  FewRows wide{12288, 2048, 1, 1, 16, 256};
  EXPECT_EQ(bestFewColumns(wide), 64);
  EXPECT_NEAR(fewRows(gpu(), wide, 16) / fewRows(gpu(), wide, 64), 20.3 / 15.6, 0.1);
  EXPECT_EQ(bestFewColumns({5632, 2048, 2, 1, 16, 256}), 64);
  EXPECT_EQ(bestFewColumns({32000, 2048, 1, 1, 16, 256}), 64);
}

TEST(FewRows, ManyProductsHaveNarrowItemsThatRunAhead) {
  FewRows eight{2048, 2048, 8, 1, 16, 256};
  EXPECT_EQ(eight.slots(gpu(), 16), 2);
  EXPECT_EQ(eight.slots(gpu(), 32), 1);
  EXPECT_EQ(eight.slots(gpu(), 64), 0);
  // A product has four slots whatever there is room for.
  EXPECT_EQ((FewRows{2048, 2048, 1, 1, 16, 64}.slots(gpu(), 16)), 4);
}

/// `rows` of a weight in blocks of `bits`, `products` of them side by side.
FewRows inBlocks(int64_t columns, int64_t inner, int64_t products, int64_t bits) {
  return {columns, inner, products, 1, 16, 512, products * inner / 32 * (2 + 4 * bits)};
}

TEST(FewRows, OfBlocksAsManyItemsAsMultiprocessors) {
  // Measured on an H200 in a model, each by its own column width: 128 items for 2048 and for 4096 columns.
  for (int64_t bits : {8, 4}) {
    EXPECT_EQ(bestFewColumns(inBlocks(2048, 12288, 1, bits)), 16);
    EXPECT_EQ(bestFewColumns(inBlocks(2048, 5632, 1, bits)), 16);
    EXPECT_EQ(bestFewColumns(inBlocks(4096, 4096, 1, bits)), 32);
    EXPECT_EQ(bestFewColumns(inBlocks(5632, 2048, 2, bits)), 64);
  }
  FewRows narrow = inBlocks(2048, 12288, 1, 8), four = inBlocks(2048, 12288, 1, 4);
  EXPECT_NEAR(fewRows(gpu(), narrow, 32) / fewRows(gpu(), narrow, 16), 15.9 / 12.0, 0.1);
  EXPECT_NEAR(fewRows(gpu(), four, 64) / fewRows(gpu(), four, 32), 22.0 / 13.4, 0.2);
  EXPECT_LT(fewRows(gpu(), four, 16), fewRows(gpu(), narrow, 16));
}

TEST(FewRows, OfBlocksTwoOnAMultiprocessorWhereItemsWait) {
  FewRows wide = inBlocks(32000, 2048, 1, 8);
  EXPECT_EQ(wide.blocks(gpu(), 32), 2);
  EXPECT_EQ(wide.slots(gpu(), 32), 3);
  // Two steps of each would be too few.
  EXPECT_EQ(wide.blocks(gpu(), 64), 1);
  EXPECT_EQ(wide.slots(gpu(), 64), 4);
  EXPECT_EQ(inBlocks(4096, 4096, 1, 8).blocks(gpu(), 32), 1);
  EXPECT_EQ((FewRows{32000, 2048, 1, 1, 16, 256}.blocks(gpu(), 32)), 1);
  EXPECT_EQ(bestFewColumns(wide), 32);
}

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence.joined_tokens
//===--------------------------------------------------------------------------------------------------------------===//

int64_t bestJoined(const codegen::Target &target, int64_t dim, bool solves) {
  Question question{"recurrence.joined_tokens", "", {16, 32, 64, 128}, [&](int64_t joined) {
                      return joinedChunks(target, {16, dim, dim}, solves, 16, joined);
                    }};
  return predict(question).best;
}

TEST(JoinedChunks, LargerStatesArePassedByLessOften) {
  // A longer chunk saves passes over the state, d^2 for each chunk, and reads more of its own tokens, d for each of
  // them.
  EXPECT_EQ(bestJoined(cpu(), 128, false), 32);
  EXPECT_EQ(bestJoined(cpu(), 256, false), 64);
  codegen::Target slow = cpu();
  slow.nearRate /= 4;
  EXPECT_GT(bestJoined(slow, 128, false), 32);
}

TEST(JoinedChunks, CorrectionsReadTheChunkTwice) {
  EXPECT_LT(bestJoined(cpu(), 256, true), bestJoined(cpu(), 256, false));
}

//===--------------------------------------------------------------------------------------------------------------===//
// Recurrences
//===--------------------------------------------------------------------------------------------------------------===//

int64_t bestScan(const StateShape &shape) {
  return predict({"", "", divisors(shape.valueDim, 64, 64, 256),
                  [&](int64_t columns) { return stateScan(gpu(), shape, columns); }})
      .best;
}

TEST(StateScan, FewHeadsAreTakenInParts) {
  // 32 heads of 128 columns are 64 items of half of them: all run at once, each no longer than one of a whole head.
  EXPECT_EQ(bestScan({32, 128, 128}), 64);
  EXPECT_LE(stateScan(gpu(), {32, 128, 128}, 64), stateScan(gpu(), {32, 128, 128}, 128));
}

TEST(StateScan, PartsThatNeedASecondWaveAreNotMade) {
  // 128 heads are an item for nearly each multiprocessor; halves of them are twice as many, with the keys read twice.
  EXPECT_EQ(bestScan({128, 128, 128}), 128);
}

TEST(StateScan, BlocksShareAMultiprocessorWhereBothCopyAhead) {
  // Keys, queries, values and two matrices of a chunk: two blocks hold two chunks each. With vectors handed over in
  // place of keys and queries there are three of them, two blocks hold one and a half, and one alone has room for
  // three.
  auto best = [](int64_t chunkBytes) {
    return predict({"",
                    "",
                    {1, 2},
                    [&](int64_t blocks) {
                      return scanBlocks(gpu(), {32, 128, 128}, 64, chunkBytes, blocks);
                    }})
        .best;
  };
  EXPECT_EQ(best(57 * 1024), 2);
  EXPECT_EQ(best(73 * 1024), 1);
}

/// A delta rule of `columns` value columns in chunks of `tokens`.
HeadChunks deltaChunks(int64_t tokens, int64_t columns, int64_t operandTerms, bool perChannel = false) {
  return {tokens, columns, /*vectors=*/2, /*writes=*/1, /*solves=*/true, perChannel, operandTerms};
}

TEST(HeadChunks, OperandsThatStandTogether) {
  // State, keys, queries, values as they are written, and the inverse, of two bytes an element; with exact products
  // three times as much.
  int64_t elements = 128 * 128 + 3 * 64 * 128 + 64 * 64;
  EXPECT_EQ(chunkOperandBytes({1, 128, 128}, deltaChunks(64, 128, 1)), 2 * elements);
  EXPECT_EQ(chunkOperandBytes({1, 128, 128}, deltaChunks(64, 128, 3)), 3 * 2 * elements);
  // 32 columns take as much as 64: operands are panels of so many.
  EXPECT_EQ(chunkOperandBytes({1, 128, 128}, deltaChunks(64, 32, 1)),
            chunkOperandBytes({1, 128, 128}, deltaChunks(64, 64, 1)));
  // A second write has a vector of its own, and both stand there for the sum that the first is part of.
  HeadChunks twice = deltaChunks(64, 128, 1);
  twice.vectors = 3, twice.writes = 2;
  EXPECT_EQ(chunkOperandBytes({1, 128, 128}, twice), 2 * (elements + 2 * 64 * 128));
}

TEST(HeadChunks, EachPartOfAChunkNeedsLess) {
  for (int64_t terms : {1, 3})
    for (bool perChannel : {false, true})
      for (int64_t tokens : {16, 32, 64})
        for (int64_t columns : {64, 128, 256}) {
          HeadChunks form = deltaChunks(tokens, columns, terms, perChannel);
          int64_t bytes = chunkOperandBytes({1, 128, 256}, form);
          EXPECT_LT(bytes, chunkOperandBytes({1, 128, 256}, deltaChunks(2 * tokens, columns, terms, perChannel)));
          EXPECT_LT(bytes, chunkOperandBytes({1, 128, 256}, deltaChunks(tokens, 2 * columns, terms, perChannel)));
        }
}

TEST(HeadChunks, WholeHeadsInLongChunksWhereTheyFit) {
  // Halves of a head compute with its keys twice, halves of a chunk have two chains instead of one: what fits is not
  // cut.
  for (int64_t terms : {1, 3})
    for (int64_t channels : {64, 128}) {
      StateShape shape{1, channels, channels};
      double whole = headChunks(gpu(), shape, deltaChunks(64, channels, terms));
      EXPECT_LT(whole, headChunks(gpu(), shape, deltaChunks(32, channels, terms)));
      EXPECT_LT(whole, headChunks(gpu(), shape, deltaChunks(64, channels / 2, terms)));
    }
  // Of 256 channels near f32, what tokens of a chunk have to do with one another is more than another chain.
  StateShape wide{1, 256, 256};
  EXPECT_GT(headChunks(gpu(), wide, deltaChunks(128, 64, 3)), headChunks(gpu(), wide, deltaChunks(64, 64, 3)));
}

TEST(HeadChunks, AStateLeavesRegistersForProducts) {
  // An H200, bf16, two writes, 128 heads of 1024 tokens, in milliseconds.
  auto predicted = [](const StateShape &shape, int64_t tokens, int64_t columns) {
    HeadChunks form = deltaChunks(tokens, columns, 1);
    form.vectors = 4, form.writes = 2;
    return headChunks(gpu(), shape, form) / 1e3;
  };
  struct Measured {
    StateShape shape;
    int64_t tokens, columns;
    double milliseconds;
  };
  for (const Measured &m : std::initializer_list<Measured>{{{1, 128, 128}, 64, 128, 0.262},
                                                           {{1, 128, 256}, 64, 128, 0.519},
                                                           {{1, 128, 256}, 64, 256, 0.704},
                                                           {{1, 256, 128}, 64, 64, 0.565},
                                                           {{1, 256, 128}, 64, 128, 0.659},
                                                           {{1, 256, 256}, 64, 64, 1.085},
                                                           {{1, 256, 256}, 64, 128, 1.237},
                                                           {{1, 256, 256}, 32, 256, 3.115}})
    EXPECT_NEAR(predicted(m.shape, m.tokens, m.columns), m.milliseconds, 0.25 * m.milliseconds)
        << m.shape.keyDim << " x " << m.shape.valueDim << ", " << m.tokens << " tokens, " << m.columns << " columns";
}

// What value heads share is worth the block less on a multiprocessor where there are items for all places; few heads
// leave places empty, and a large group leaves more of them so.
TEST(CostModel, PreparedHeads) {
  auto best = [](int64_t heads, llvm::ArrayRef<int64_t> divisors) {
    return predict({"", "", llvm::SmallVector<int64_t>(divisors),
                    [&](int64_t together) {
                      return prepareChunks(gpu(), {heads, 128, 128}, together, together > 1 ? 3 : 4);
                    }})
        .best;
  };
  EXPECT_EQ(best(32, {1, 2}), 2);
  EXPECT_EQ(best(24, {1, 3}), 3);
  EXPECT_EQ(best(8, {1, 2}), 1);
  EXPECT_LT(best(32, {1, 2, 4, 8}), 8);
}

int64_t bestSegments(const StateShape &shape, int64_t columns) {
  return predict({"",
                  "",
                  {1, 2, 3, 4, 5, 6, 7, 9, 13, 17, 25, 33},
                  [&](int64_t segments) { return segmentScan(gpu(), shape, columns, 0.6, segments); }})
      .best;
}

TEST(SegmentScan, FewHeadsAreCutIntoSegments) {
  // As many behind the first as give each of 132 multiprocessors a block: one more and some have two, one behind the
  // other.
  EXPECT_EQ(bestSegments({32, 128, 128}, 128), 5);
  EXPECT_EQ(bestSegments({8, 128, 128}, 128), 17);
}

TEST(SegmentScan, HeadsThatFillTheMachineAreNotCut) {
  // A launch would be waited for, with nobody idle before.
  EXPECT_EQ(bestSegments({128, 128, 128}, 128), 1);
}

TEST(SegmentScan, WholeHeadsWhereSegmentsFillTheMachine) {
  // Halves of heads read keys and queries twice and make what queries read of the chunk twice.
  EXPECT_LT(segmentScan(gpu(), {32, 128, 128}, 128, 0.6, 5), segmentScan(gpu(), {32, 128, 128}, 64, 0.6, 3));
}

// Of a chunk of 128 keys and 64 values in bf16, with two matrices of 64 x 64; or five blocks handed over as one.
constexpr ScannedChunk kNumbers = {57 * 1024, 33 * 1024}, kVectors = {73 * 1024, 73 * 1024, true};

int64_t bestTransitions(const StateShape &shape, const ScannedChunk &chunk, int64_t columns = 64) {
  return predict({"",
                  "",
                  {1, 3, 4, 5, 6, 7, 9, 13, 17},
                  [&](int64_t segments) { return transitionScan(gpu(), shape, columns, chunk, 1.5, segments); }})
      .best;
}

TEST(TransitionScan, AllSegmentsButTheFirstFillTheMachine) {
  // Two parts of 32 heads are 64 items: two segments behind the first are 128 of 132 multiprocessors, three would be
  // two waves. Of 16 heads there are four.
  EXPECT_EQ(bestTransitions({32, 128, 128}, kNumbers), 3);
  EXPECT_EQ(bestTransitions({16, 128, 128}, kNumbers), 5);
}

TEST(TransitionScan, HeadsThatFillTheMachineAreNotCut) {
  EXPECT_EQ(bestTransitions({66, 128, 128}, kNumbers), 1);
  // Two segments are one behind the other, without a transition: the chain is as long, and a launch longer.
  EXPECT_LT(transitionScan(gpu(), {32, 128, 128}, 64, kNumbers, 1.5, 1),
            transitionScan(gpu(), {32, 128, 128}, 64, kNumbers, 1.5, 2));
}

TEST(TransitionScan, ScansThatTheCacheLimitsAreNotMadeTwice) {
  // 128 blocks that read 73 KB for each chunk wait for the last cache, with or without results.
  EXPECT_EQ(bestTransitions({32, 128, 128}, kVectors), 1);
}

double step(const StateShape &shape, int64_t columns, int64_t blocks, int64_t sequences = 32) {
  return tokenStep(gpu(), shape, /*beside=*/88, /*threads=*/128, columns, blocks, sequences);
}

TEST(TokenStep, WaitingBlocksHideEachOther) {
  // The chain of an item is longer than its bytes take: with twice as many at once there are half as many waves.
  EXPECT_LT(step({32, 128, 128}, 32, 2), 0.6 * step({32, 128, 128}, 32, 1));
}

TEST(TokenStep, BlocksWithTooFewRegistersSpill) {
  // 120 registers: 4 blocks of 128 threads have 128 for each, 5 have 96.
  StateShape shape{32, 128, 128};
  auto best = [](const StateShape &shape) {
    return predict({"", "", {1, 2, 3, 4, 5, 6, 8}, [&](int64_t blocks) { return step(shape, 32, blocks); }}).best;
  };
  EXPECT_EQ(best(shape), 4);
  // A state with twice the keys is held by twice the registers: fewer blocks are best.
  EXPECT_LT(best({32, 256, 128}), 4);
}

TEST(TokenStep, AHeadIsTakenInPartsWhereProcessorsAreIdle) {
  // One sequence of 32 heads: a quarter of the machine, or all of it. 512 heads are four waves of quarters, and three
  // of halves.
  EXPECT_LT(step({32, 128, 128}, 32, 4, 1), step({32, 128, 128}, 128, 2, 1));
  EXPECT_GT(step({512, 128, 128}, 32, 4, 1), step({512, 128, 128}, 64, 3, 1));
}

TEST(TokenStep, ManySequencesTakeHalvesOfAHead) {
  // 128 sequences of 32 heads on an H200: quarters 0.143, halves 0.139, whole heads by eight warps 0.174 ms.
  double quarters = step({32, 128, 128}, 32, 4, 128), halves = step({32, 128, 128}, 64, 3, 128);
  EXPECT_LT(halves, quarters);
  EXPECT_GT(step({32, 128, 128}, 128, 2, 128), 1.2 * halves);
}

TEST(TokenStep, NeverFasterThanMemory) {
  double bytes = 32.0 * 32 * 128 * 128 * 8;
  for (int64_t columns : {32, 64, 128})
    for (int64_t blocks : {1, 4, 8})
      EXPECT_GT(step({32, 128, 128}, columns, blocks), bytes / gpu().memoryRate);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Questions and tables
//===--------------------------------------------------------------------------------------------------------------===//

TEST(Choice, TheSmallestOfEqualsIsTaken) {
  Question question{"linear.panel_columns", "", {16, 32, 64}, [](int64_t n) { return n >= 32 ? 1.0 : 2.0; }};
  Prediction prediction = predict(question);
  EXPECT_EQ(prediction.best, 32);
  EXPECT_EQ(prediction.microseconds, (llvm::SmallVector<double>{2, 1, 1}));
}

TEST(Choice, DivisorsAreWhole) {
  EXPECT_EQ(divisors(192, 16, 32, 128), (llvm::SmallVector<int64_t>{32, 48, 64, 96}));
  EXPECT_EQ(divisors(100, 16, 16, 128), (llvm::SmallVector<int64_t>{}));
}

TEST(Choice, NamesAreOnce) {
  for (const ChoiceKind &kind : choiceKinds()) {
    EXPECT_EQ(llvm::count_if(choiceKinds(), [&](const ChoiceKind &other) { return other.name == kind.name; }), 1);
    EXPECT_FALSE(kind.meaning.empty());
  }
}

TEST(Table, TheOnesInTheCompilerAreRead) {
  for (const EmbeddedText *one = kEmbeddedTexts; one->text; ++one) {
    auto table = parseTable(one->text, one->file);
    ASSERT_TRUE(bool(table)) << llvm::toString(table.takeError());
    EXPECT_EQ(std::string(one->file), table->target + ".json");
    EXPECT_FALSE(table->chip.empty()) << one->file;
    EXPECT_EQ(embeddedTable(table->target)->entries.size(), table->entries.size());
  }
}

//===--------------------------------------------------------------------------------------------------------------===//
// Experts
//===--------------------------------------------------------------------------------------------------------------===//

int64_t bestFewRows(const ExpertShape &shape) {
  Question question{
      "experts.few_rows", "", {1, 2, 4, 8, 16, 32}, [&](int64_t n) { return expertFewRows(gpu(), shape, n); }};
  return predict(question).best;
}
int64_t bestGroup(const ExpertShape &shape) {
  Question question{"experts.group_rows", "", {64, 128}, [&](int64_t n) { return expertGroupRows(gpu(), shape, n); }};
  return predict(question).best;
}

TEST(Experts, RowsThatShareExpertsAreGroupedSooner) {
  // Of 8 large experts, two rows with two each share one as often as not; of 512, sixteen rows share hardly any.
  EXPECT_EQ(bestFewRows({8, 2, 4096, 14336, 2}), 1);
  EXPECT_GE(bestFewRows({512, 10, 2048, 512, 2}), 8);
}

TEST(Experts, SmallExpertsAreReadAgainRatherThanSorted) {
  // Their weights take less than the launches do.
  EXPECT_EQ(bestFewRows({8, 2, 64, 64, 2}), 32);
}

TEST(Experts, GroupsAreNotMuchLargerThanWhatExpertsGet) {
  // 8192 rows: 64 of them for each expert, which would be half of a group of 128; or 2048.
  EXPECT_EQ(bestGroup({512, 4, 2048, 512, 2}), 64);
  EXPECT_EQ(bestGroup({8, 2, 4096, 14336, 2}), 128);
}

int64_t bestExpertPanel(const ExpertShape &shape, int64_t rows) {
  // A panel is shared by gate and up; narrower experts are a panel by themselves.
  return predict({"experts.panel_columns",
                  "",
                  {128, 256},
                  [&](int64_t n) {
                    return expertPanels(gpu(), shape, rows, std::min(shape.inner, n / 2), std::min(shape.hidden, n),
                                        64);
                  }})
      .best;
}

TEST(Experts, WidePanelsReadTheRowsLessOften) {
  // 128 rows with 128 columns are 64 operations for a byte of operands, with 256 columns 85. Matrix units would do 96
  // while the last cache gives one.
  ExpertShape shape{128, 8, 2048, 768, 2};
  EXPECT_EQ(bestExpertPanel(shape, 128), 256);
  EXPECT_GT(expertPanels(gpu(), shape, 128, 64, 128, 64), 1.2 * expertPanels(gpu(), shape, 128, 128, 256, 64));
}

TEST(Experts, NarrowPanelsWhereMultiprocessorsAreIdle) {
  // 64 groups of one panel of 256 columns are an item for half of the multiprocessors.
  EXPECT_EQ(bestExpertPanel({4, 1, 256, 64, 2}, 128), 128);
  EXPECT_EQ(bestExpertPanel({4, 4, 256, 64, 2}, 128), 256);
}

TEST(Experts, LongStepsWhereSharedMemoryHoldsThreeOfThem) {
  // Measured with panels of 256: 1.47 ms, and 1.51 in steps of 128, of which shared memory holds two. Of narrow panels
  // it holds three, and warps meet half as often.
  ExpertShape shape{128, 8, 2048, 768, 2};
  double ratio = expertPanels(gpu(), shape, 128, 128, 256, 128) / expertPanels(gpu(), shape, 128, 128, 256, 64);
  EXPECT_NEAR(ratio, 1.51 / 1.47, 0.01);
  EXPECT_LT(expertPanels(gpu(), shape, 128, 64, 128, 128), expertPanels(gpu(), shape, 128, 64, 128, 64));
}

//===--------------------------------------------------------------------------------------------------------------===//
// Short convolutions
//===--------------------------------------------------------------------------------------------------------------===//

struct ConvItem {
  double time = 0;
  int64_t rows = 0, columns = 0, blocks = 0;
};
ConvItem bestConv(int64_t taps) {
  ConvItem best;
  for (int64_t columns : {32, 64})
    for (int64_t rows : {64, 128, 256})
      for (int64_t blocks = 1; blocks <= 6; ++blocks) {
        double time = shortConv(gpu(), taps, rows, columns, blocks);
        if (best.rows == 0 || time < best.time)
          best = {time, rows, columns, blocks};
      }
  return best;
}

TEST(ShortConv, AsMeasured) {
  // On an H200, microseconds (test/perf/README.md).
  EXPECT_NEAR(shortConv(gpu(), 4, 128, 32, 6), 79, 0.05 * 79);
  EXPECT_NEAR(shortConv(gpu(), 4, 128, 32, 4), 84, 0.05 * 84);
  EXPECT_NEAR(shortConv(gpu(), 4, 256, 32, 2), 107, 0.1 * 107);
  ConvItem best = bestConv(4);
  EXPECT_EQ(best.rows, 128);
  EXPECT_EQ(best.columns, 32);
  EXPECT_EQ(best.blocks, 6);
}

TEST(ShortConv, MoreTapsTakeRegistersOfBlocks) {
  // A thread has 4 rows of 8 channels and reads 15 of them where it read 7: 28 registers more than six blocks leave.
  EXPECT_LT(bestConv(12).blocks, bestConv(4).blocks);
}

TEST(ShortConv, MoreTapsAreSharedByMoreRows) {
  // With 24 taps a thread of 4 rows reads 27, almost seven for each; one of 8 rows reads 31, not even four.
  EXPECT_EQ(bestConv(24).rows, 256);
}

TEST(ShortConv, NeverFasterThanACopy) {
  for (int64_t rows : {64, 128, 256})
    for (int64_t blocks = 1; blocks <= 6; ++blocks)
      EXPECT_GT(shortConv(gpu(), 2, rows, 32, blocks), 2 * 2.0 * 8192 * 8192 / gpu().memoryRate);
}

} // namespace
