// What is made for all chunks at once where each channel has a decay of its own (RecurrencePrepare.cpp has the
// formulas).
//
// The decay stands between the vectors of every pair of tokens, so L and D come from products of vectors that were
// decayed before (ChannelDecay.h), and the scan gets vectors that were: exp(G) K, scale exp(G) Q and exp(G_C - G) B K,
// with T and A as one block (handedColumns).
//
// Registers decide the order. Sums of decays are a tile of the width of a head; keys and queries would be two more, but
// each op reads them anew from where they were copied to. So they stand as memory has them, and their norms multiply
// what is made of them, with the other factors of a token. All are done with before the products that fill whole tiles
// of their own run.
#include "compiler/conversion/AttnToTile/ChannelDecay.h"
#include "compiler/conversion/AttnToTile/Recurrence.h"

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

/// What the text says that no log decay is below.
static std::optional<double> leastDecay(Value decay) {
  auto gate = withoutReshapes(decay).getDefiningOp<attn::LogDecayOp>();
  if (gate && gate.getLowerBound())
    return gate.getLowerBound()->convertToDouble();
  return std::nullopt;
}

int64_t RecurrenceWriter::channelPrepareWarps() {
  // Four warps hold whole rows, and nothing goes between them but the products of many rows. All of it is one long line
  // of code, though, and with the ways to split groups that are chosen from at run time it is more than the 128 KB
  // that a multiprocessor keeps of it: eight warps have half as much each.
  return ChannelDecay::isBounded(leastDecay(operandOf(form.decay))) ? 4 : 8;
}

void RecurrenceWriter::writePreparedByChannel(Value number, Value row) {
  Rows rows{row, kChunk, begin, end};
  auto column = e.tileType(kChunk, 1), square = e.tileType(kChunk, kChunk);
  auto write = [&](Value tile, Handed what) {
    tile::StoreOp::create(e.b, e.loc, tile, handedBlock(Handed::chunk, number, ownHead), e.index(0),
                          e.index(handedColumns(form, what).first), Value(), Value());
  };

  auto [key, query, g, beta, k, q] = prepareInputs(rows);
  if (e.failed())
    return;
  ChannelDecay decay(e, g, leastDecay(operandOf(form.decay)));
  Value keyNorm = key.norm ? normFactor(key.norm, k) : Value();
  Value queryNorm = query.norm ? normFactor(query.norm, q) : Value();
  Value scale = form.readScale == 1 ? Value() : e.splat(form.readScale, kChunk, 1);
  // What multiplies a key that writes, and a query that reads.
  Value writes = e.product(column, {beta, keyNorm}), reads = e.product(column, {queryNorm, scale});

  decay.prepare(k, q, /*own=*/bool(form.p));
  auto vectors = cast<tile::TileType>(k.getType());
  Value start = decay.fromStart();
  write(e.product(vectors, {q, start, reads}), Handed::queriesFromStart);
  if (form.p)
    write(e.product(vectors, {k, start, keyNorm}), Handed::keysFromStart);
  write(e.product(vectors, {decay.toEnd(k), writes}), Handed::keysToEnd);
  Value place = e.add(e.mul(number, form.valueHeads), ownHead);
  tile::StoreOp::create(e.b, e.loc, decay.total(), handedMemory(Handed::fade), place, e.index(0), Value(), Value());

  ChannelDecay::Reads pairs = decay.finish();
  Value weights = e.product(square, {pairs.queries, writes, reads ? e.turned(reads) : Value()});
  write(tile::TransposeOp::create(e.b, e.loc, square, weights), Handed::weights);
  if (form.p)
    write(tile::InverseOp::create(e.b, e.loc, e.product(square, {pairs.own, e.turned(writes), keyNorm})),
          Handed::inverse);
}
