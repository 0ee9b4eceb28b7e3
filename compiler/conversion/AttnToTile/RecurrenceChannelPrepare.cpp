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

void RecurrenceWriter::writePreparedByChannel(Value number, Value row) {
  Rows rows{row, kChunk, begin, end};
  // The gate first: what it is made of is the longest to load, and nothing else needs registers yet.
  Value g = logDecay(rows, ownHead), beta = strength(form.k, rows, ownHead);
  if (e.failed())
    return;
  ChannelDecay decay(e, g, leastDecay(operandOf(form.decay)));
  Value k = tileOf(form.k.vector, rows, ownHead), q = tileOf(form.query, rows, ownHead);
  if (e.failed())
    return;
  auto scaled = [&](Value tile, Value factors, double scale) {
    return e.map(cast<tile::TileType>(tile.getType()), {tile, factors}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value product = arith::MulFOp::create(b, e.loc, in[0], in[1]);
      if (scale == 1)
        return product;
      return arith::MulFOp::create(b, e.loc, product, arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(scale)));
    });
  };
  auto write = [&](Value tile, Handed what) {
    tile::StoreOp::create(e.b, e.loc, tile, handedBlock(what, number, ownHead), e.index(0), e.index(0), Value(),
                          Value());
  };

  decay.prepare(k, q, /*own=*/bool(form.p));
  write(decay.fromStart(q, form.readScale), Handed::queriesFromStart);
  if (form.p)
    write(decay.fromStart(k, 1), Handed::keysFromStart);
  write(scaled(decay.toEnd(k), beta, 1), Handed::keysToEnd);
  Value place = e.add(e.mul(number, form.valueHeads), ownHead);
  tile::StoreOp::create(e.b, e.loc, decay.total(), handedMemory(Handed::fade), place, e.index(0), Value(), Value());

  ChannelDecay::Reads reads = decay.finish();
  auto square = e.tileType(kChunk, kChunk);
  write(tile::TransposeOp::create(e.b, e.loc, square, scaled(reads.queries, beta, form.readScale)), Handed::weights);
  if (form.p)
    write(tile::InverseOp::create(e.b, e.loc, scaled(reads.own, e.turned(beta), 1)), Handed::inverse);
}
