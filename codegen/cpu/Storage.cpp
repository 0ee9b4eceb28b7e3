// Which value holds which part of scratch.
#include "codegen/cpu/KernelLowering.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

int KernelLowering::allocate(tile::TileType type, Axis axis) {
  Place place;
  place.element = type.getElementType();
  place.rows = type.getRows(), place.columns = type.getColumns();
  place.alignment = 64;
  place.padded = true;
  int64_t along = llvm::alignTo(place.extent(axis), code.lanes), across = place.extent(otherAxis(axis));
  place.rowStride = axis == Axis::rows ? 1 : along;
  place.columnStride = axis == Axis::rows ? along : 1;
  int64_t bytes = along * across * Code::bytesOf(place.element);
  int64_t offset = scratch.allocate(bytes);
  place.base = code.advance(scratchPointer, offset, code.builder.getI8Type());
  storages.push_back({place, offset, bytes, Value(), false});
  return storages.size() - 1;
}

int KernelLowering::allocateBytes(int64_t bytes) {
  auto type = tile::TileType::get(kernel.getContext(), 1, llvm::divideCeil(bytes, 4), code.f32());
  return allocate(type, Axis::columns);
}

void KernelLowering::release(int storage) {
  scratch.release(storages[storage].offset, storages[storage].bytes);
}

void KernelLowering::withScratch(tile::TileType type, Axis axis, function_ref<void(const Place &)> body) {
  int storage = allocate(type, axis);
  body(Place(storages[storage].place));
  release(storage);
}

void KernelLowering::hold(int storage, Value value) {
  storages[storage].occupant = value;
  storageOf[value] = storage;
  places[value] = storages[storage].place;
}

/// Whether a result of `op` may be written to the storage.
bool KernelLowering::isFreeAt(const Storage &storage, Operation *op, ArrayRef<Value> reusable) {
  if (!storage.occupant)
    return true;
  int64_t last = lifetimes.lastUse(storage.occupant), now = lifetimes.position(op);
  // The occupant may come from a block around: then its uses there say nothing about the rounds of a loop between.
  if (last < now)
    return true;
  return last == now && llvm::is_contained(reusable, storage.occupant);
}

Place &KernelLowering::placeResult(Value result, ArrayRef<Value> reusable) {
  return placeResult(result, layouts.axisOf(result), reusable);
}

Place &KernelLowering::placeResult(Value result, Axis axis, ArrayRef<Value> reusable) {
  Operation *op = result.getDefiningOp();
  auto fits = [&](const Storage &storage) {
    return storage.place.element == typeOf(result).getElementType() && storage.place.rows == typeOf(result).getRows() &&
           storage.place.columns == typeOf(result).getColumns() &&
           (storage.place.stride(axis) == 1 || storage.place.extent(axis) == 1);
  };
  if (auto it = requested.find(result); it != requested.end()) {
    Storage &storage = storages[it->second];
    if (fits(storage) && isFreeAt(storage, op, reusable)) {
      hold(it->second, result);
      return places[result];
    }
  }
  for (Value operand : reusable) {
    auto it = storageOf.find(operand);
    if (it == storageOf.end() || operand.getParentBlock() != op->getBlock())
      continue;
    int index = it->second;
    Storage &storage = storages[index];
    if (storage.occupant == operand && fits(storage) && lifetimes.lastUse(operand) == lifetimes.position(op)) {
      hold(index, result);
      return places[result];
    }
  }
  hold(allocate(typeOf(result), axis), result);
  return places[result];
}

void KernelLowering::releaseDead(Operation &op) {
  int64_t now = lifetimes.position(&op);
  auto releaseIf = [&](Value value, bool dead) {
    auto it = storageOf.find(value);
    if (!dead || it == storageOf.end())
      return;
    Storage &storage = storages[it->second];
    if (storage.occupant != value || storage.carried)
      return;
    storage.occupant = Value();
    release(it->second);
    storageOf.erase(it);
  };
  for (Value result : op.getResults())
    if (isa<tile::TileType>(result.getType()))
      releaseIf(result, lifetimes.lastUse(result) == 0);
  // Whatever holds scratch in this block and was last used here, be it by a window of it.
  SmallVector<Value> dead;
  for (auto &[value, storage] : storageOf)
    if (value.getParentBlock() == op.getBlock() && lifetimes.lastUse(value) == now)
      dead.push_back(value);
  for (Value value : dead)
    releaseIf(value, true);
  for (auto it = transposedCopies.begin(); it != transposedCopies.end(); ++it)
    if (it->first.getParentBlock() == op.getBlock() && lifetimes.lastUse(it->first) == now) {
      release(it->second);
      transposedCopies.erase(it);
    }
  for (auto it = tiledForms.begin(); it != tiledForms.end(); ++it)
    if (it->first.getParentBlock() == op.getBlock() && lifetimes.lastUse(it->first) == now) {
      for (const TiledForm &form : it->second)
        release(form.storage);
      tiledForms.erase(it);
    }
}

void KernelLowering::copyTransposed(Value tile) {
  if (!layouts.wantsTransposed(tile) || placeOf(tile).splat)
    return;
  const Place from = placeOf(tile);
  Axis axis = from.isContiguous(Axis::columns) ? Axis::rows : Axis::columns;
  auto type = tile::TileType::get(tile.getContext(), from.rows, from.columns, code.f32());
  int storage = allocate(type, axis);
  access.copy(from, storages[storage].place);
  transposedCopies[tile] = storage;
}

Place KernelLowering::along(Axis axis, const Place &place, SmallVectorImpl<int> &borrowed) {
  if (place.splat || place.isContiguous(axis))
    return place;
  Type element = place.element.isInteger(1) || place.element.isInteger(32) ? place.element : code.f32();
  int storage = allocate(tile::TileType::get(element.getContext(), place.rows, place.columns, element), axis);
  access.copy(place, storages[storage].place);
  borrowed.push_back(storage);
  return storages[storage].place;
}
