// What is made for all chunks at once where each channel has a decay of its own (RecurrencePrepare.cpp has the
// formulas).
//
// The decay stands between the vectors of every pair of tokens, so L and D come from products of vectors that were
// decayed before (ChannelDecay.h), and the scan gets vectors that were: exp(G) K, scale exp(G) Q and exp(G_C - G) B K,
// each a block.
//
// Registers decide the order. Keys, queries and sums of decays are three tiles of the width of a head; they are done
// with before the products that fill whole tiles of their own run.
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
  // of code, though, and with a halving for every power of two it is more than the 128 KB that a multiprocessor keeps
  // of it: eight warps have half as much each.
  return leastDecay(operandOf(form.decay)) ? 4 : 8;
}

void RecurrenceWriter::writePreparedByChannel(Value number, Value row) {
  Rows rows{row, kChunk, begin, end};
  // The gate first: what it is made of takes longest to load, and nothing else needs registers yet.
  Value g = logDecay(rows, ownHead), beta = strength(form.k, rows, ownHead);
  if (e.failed())
    return;
  ChannelDecay decay(e, g, leastDecay(operandOf(form.decay)));
  Value k = tileOf(form.k.vector, rows, ownHead), q = tileOf(form.query, rows, ownHead);
  if (e.failed())
    return;
  auto product = [&](ValueRange factors, double scale = 1) -> Value {
    auto type = cast<tile::TileType>(factors.front().getType());
    return e.map(type, factors, [&](OpBuilder &b, ValueRange in) -> Value {
      Value all = in[0];
      for (Value factor : in.drop_front())
        all = arith::MulFOp::create(b, e.loc, all, factor);
      if (scale == 1)
        return all;
      return arith::MulFOp::create(b, e.loc, all, arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(scale)));
    });
  };
  auto write = [&](Value tile, Handed what) {
    tile::StoreOp::create(e.b, e.loc, tile, handedBlock(what, number, ownHead), e.index(0), e.index(0), Value(),
                          Value());
  };

  decay.prepare(k, q, /*own=*/bool(form.p));
  write(product({decay.fromStart(q)}, form.readScale), Handed::queriesFromStart);
  if (form.p)
    write(decay.fromStart(k), Handed::keysFromStart);
  write(product({decay.toEnd(k), beta}), Handed::keysToEnd);
  Value place = e.add(e.mul(number, form.valueHeads), ownHead);
  tile::StoreOp::create(e.b, e.loc, decay.total(), handedMemory(Handed::fade), place, e.index(0), Value(), Value());

  ChannelDecay::Reads reads = decay.finish();
  write(
      tile::TransposeOp::create(e.b, e.loc, e.tileType(kChunk, kChunk), product({reads.queries, beta}, form.readScale)),
      Handed::weights);
  if (form.p)
    write(tile::InverseOp::create(e.b, e.loc, product({reads.own, e.turned(beta)})), Handed::inverse);
}
