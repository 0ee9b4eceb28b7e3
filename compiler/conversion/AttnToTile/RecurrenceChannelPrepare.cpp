// What is made for all chunks at once where each channel has a decay of its own (RecurrencePrepare.cpp has the
// formulas).
//
// The decay stands between the vectors of every pair of tokens, so L and D come from products of vectors that were
// decayed before (ChannelDecay.h), and the scan gets vectors that were: exp(G) K, scale exp(G) Q and exp(G_C - G) B K,
// each a block.
//
// Norms of queries and keys are numbers of a token, and multiply into what is made of them.
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
  // The gate first: what it is made of takes longest to load, and nothing else needs registers yet.
  Value g = logDecay(rows, ownHead), beta = strength(form.k, rows, ownHead);
  if (e.failed())
    return;
  ChannelDecay decay(e, g, leastDecay(operandOf(form.decay)));
  Unnormed key = withoutNorm(form.k.vector), query = withoutNorm(form.query);
  Value k = tileOf(key.vector, rows, ownHead), q = tileOf(query.vector, rows, ownHead);
  if (e.failed())
    return;
  /// The product of those that are there.
  auto product = [&](SmallVector<Value> factors, double scale = 1) -> Value {
    llvm::erase(factors, Value());
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
  Value keyNorm = key.norm ? normFactor(key.norm, k) : Value();
  Value queryNorm = query.norm ? normFactor(query.norm, q) : Value();
  Value written = product({beta, keyNorm});
  write(product({decay.fromStart(q), queryNorm}, form.readScale), Handed::queriesFromStart);
  if (form.p)
    write(product({decay.fromStart(k), keyNorm}), Handed::keysFromStart);
  write(product({decay.toEnd(k), written}), Handed::keysToEnd);
  Value place = e.add(e.mul(number, form.valueHeads), ownHead);
  tile::StoreOp::create(e.b, e.loc, decay.total(), handedMemory(Handed::fade), place, e.index(0), Value(), Value());

  ChannelDecay::Reads reads = decay.finish();
  Value queryNorms = queryNorm ? e.turned(queryNorm) : Value();
  write(tile::TransposeOp::create(e.b, e.loc, e.tileType(kChunk, kChunk),
                                  product({reads.queries, written, queryNorms}, form.readScale)),
        Handed::weights);
  if (form.p)
    write(tile::InverseOp::create(e.b, e.loc, product({reads.own, keyNorm, e.turned(written)})), Handed::inverse);
}
