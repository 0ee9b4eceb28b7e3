// Elementwise ops. The region of a map is cloned once per vector, its scalars turned into vectors of lanes; what
// depends on nothing but scalars from outside is cloned once, as scalars.
#include "codegen/cpu/KernelLowering.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void KernelLowering::lower(tile::SplatOp op) {
  Place place;
  place.splat = scalarOf(op.getValue());
  place.element = typeOf(op.getResult()).getElementType();
  place.rows = typeOf(op.getResult()).getRows(), place.columns = typeOf(op.getResult()).getColumns();
  bind(op.getResult(), place);
}

void KernelLowering::lower(tile::WindowOp op) {
  auto type = typeOf(op.getResult());
  bind(op.getResult(), access.window(placeOf(op.getSource()), code.constant(op.getRow()), code.constant(op.getColumn()),
                                     type.getRows(), type.getColumns()));
}

void KernelLowering::lower(tile::TransposeOp op) {
  const Place from = placeOf(op.getSource()).transposed();
  access.copy(from, placeResult(op.getResult()));
}

void KernelLowering::lower(tile::FlattenOp op) {
  const Place from = placeOf(op.getSource());
  const Place to = placeResult(op.getResult());
  Value zero = code.constant(0);
  for (int64_t row = 0; row < from.rows; ++row)
    access.copy(access.window(from, code.constant(row), zero, 1, from.columns),
                access.window(to, zero, code.constant(row * from.columns), 1, from.columns));
}

void KernelLowering::lower(tile::ExtractOp op) {
  Value element = access.scalar(placeOf(op.getSource()), code.constant(op.getRow()), code.constant(op.getColumn()));
  scalars.map(op.getResult(), op.getResult().getType().isIndex() ? code.toIndex(code.toI64(element)) : element);
}

void KernelLowering::lower(tile::MapOp op) {
  auto type = typeOf(op.getResult());
  Block &body = op.getBody().front();

  // Vectors run the way they do in most of what is read.
  int64_t alongRows = 0, alongColumns = 0;
  for (Value input : op.getInputs()) {
    const Place &place = placeOf(input);
    if (place.splat || place.rows != type.getRows() || place.columns != type.getColumns())
      continue;
    alongRows += place.isContiguous(Axis::rows), alongColumns += place.isContiguous(Axis::columns);
  }
  // One row or one column is contiguous whatever it is made of.
  bool flat = type.getRows() == 1 || type.getColumns() == 1;
  Axis axis = flat || alongRows == alongColumns ? naturalAxis(type)
              : alongRows > alongColumns        ? Axis::rows
                                                : Axis::columns;

  SmallVector<int> borrowed;
  SmallVector<Place> inputs;
  SmallVector<Value> reusable;
  for (Value input : op.getInputs()) {
    inputs.push_back(placeOf(input).extent(axis) == 1 ? placeOf(input) : along(axis, placeOf(input), borrowed));
    // A window may show other elements of the same storage than the one about to be written.
    bool aliased = llvm::any_of(op.getInputs(), [&](Value other) {
      return other != input && isa_and_nonnull<tile::WindowOp>(other.getDefiningOp());
    });
    if (!aliased && typeOf(input).getRows() == type.getRows() && typeOf(input).getColumns() == type.getColumns())
      reusable.push_back(input);
  }
  std::optional<Place> target = storeTarget(op, axis);
  if (target)
    bind(op.getResult(), *target);
  const Place to = target ? *target : placeResult(op.getResult(), axis, reusable);

  // Scalars first.
  llvm::DenseSet<Value> uniform;
  IRMapping outer = scalars;
  auto isUniform = [&](Value v) { return v.getParentBlock() != &body || uniform.contains(v); };
  for (Operation &inner : body.without_terminator())
    if (!isa<tile::IndexOp>(inner) && llvm::all_of(inner.getOperands(), isUniform)) {
      code.builder.clone(inner, outer);
      uniform.insert(inner.result_begin(), inner.result_end());
    }

  bool whole = to.padded && llvm::all_of(inputs, [&](const Place &p) {
                 return p.splat || p.extent(axis) == 1 || (p.padded && p.stride(axis) == 1);
               });
  EachRound ask = askAhead(op);
  int64_t along = axis == Axis::rows ? type.getRows() : type.getColumns();
  int64_t across = type.getRows() * type.getColumns() / along, vectors = llvm::divideCeil(along, code.lanes);
  access.forEachVector(type.getRows(), type.getColumns(), axis, whole, [&](Value row, Value column, int64_t valid) {
    if (ask) {
      auto [line, first] = axis == Axis::columns ? std::pair(row, column) : std::pair(column, row);
      ask(code.add(code.mul(line, vectors), code.divide(first, code.lanes)), across * vectors);
    }
    IRMapping lanes;
    auto vectorOf = [&](Value v) -> Value {
      if (Value known = lanes.lookupOrNull(v))
        return known;
      Value made = code.broadcast(outer.lookup(v));
      lanes.map(v, made);
      return made;
    };
    for (auto [argument, place] : llvm::zip_equal(body.getArguments(), inputs))
      lanes.map(argument, access.vector(place, axis, row, column, valid));
    for (Operation &inner : body.without_terminator()) {
      if (auto index = dyn_cast<tile::IndexOp>(inner)) {
        bool isRow = index.getDimension() == 0;
        Value first = code.broadcast(code.toI32(isRow ? row : column));
        bool varies = isRow == (axis == Axis::rows);
        lanes.map(index.getResult(), varies ? code.addi(first, code.laneNumbers()) : first);
        continue;
      }
      if (llvm::all_of(inner.getResults(), [&](Value v) { return uniform.contains(v); }))
        continue;
      SmallVector<Value> operands;
      for (Value operand : inner.getOperands())
        operands.push_back(vectorOf(operand));
      SmallVector<Type> types;
      for (Type t : inner.getResultTypes())
        types.push_back(code.vectorOf(t));
      Operation *clone =
          code.builder.create(inner.getLoc(), inner.getName().getIdentifier(), operands, types, inner.getAttrs());
      lanes.map(inner.getResults(), clone->getResults());
    }
    Value result = vectorOf(body.getTerminator()->getOperand(0));
    access.setVector(to, axis, row, column, valid, result);
  });
  for (int storage : borrowed)
    release(storage);
}
