// A chunk of the scan where each channel has a decay of its own (RecurrenceScan.cpp has the products and their order):
// a K, b Q and c K are blocks of vectors that prepare has made, not numbers and the vectors where they stand. They come
// with T and A as one block: in a chain of short steps each wait for a copy is one of them.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/Scalars.h"

using namespace mlir;
using namespace denim;

RecurrenceWriter::Scanned RecurrenceWriter::scanChannelChunk(const ScanChunk &chunk, const ScanMode &mode) {
  Value s = chunk.state;
  Value all = loadHandedBlock(Handed::chunk, chunk.number);
  auto block = [&](Handed what) {
    HandedColumns columns = handedColumns(form, what);
    return e.window(all, 0, columns.first, kRecurrenceChunk, columns.count);
  };
  Value read = form.p ? e.mma(s, block(Handed::keysFromStart), {false, true, {}, tile::Triangle::none}) : Value();
  Value out = mode.reads ? e.mma(s, block(Handed::queriesFromStart), {false, true, {}, tile::Triangle::none}) : Value();
  Value w = transposedLoad(valueOf(form.value, chunk.rows, ownHead));
  if (e.failed())
    return {};
  if (form.p) {
    SmallVector<Value> inputs{w, read};
    if (mode.share)
      inputs.push_back(mode.share);
    Value own = e.map(cast<tile::TileType>(w.getType()), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      return minus(b, e.loc, in.size() > 2 ? times(b, e.loc, in[0], in[2]) : in[0], in[1]);
    });
    w = e.mma(own, block(Handed::inverse), {false, true, {}, tile::Triangle::none});
  }
  Value kept = scaled(s, chunk.fade);
  if (mode.reads)
    out = e.mma(w, block(Handed::weights), {false, true, out, tile::Triangle::none});
  return {e.mma(w, block(Handed::keysToEnd), {false, false, kept, tile::Triangle::none}), out};
}
