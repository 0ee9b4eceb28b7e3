// Elementwise ops. The region of a map is cloned once per register; what depends on nothing but scalars from outside is
// cloned once.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

void KernelLowering::lower(tile::SplatOp op) {
  bind(op.getResult(), splat(scalarOf(op.getValue()), distributionOf(op.getResult())));
}

void KernelLowering::lower(tile::WindowOp op) {
  if (isPanels(op) && wantedShared.contains(op.getSource())) {
    SharedTile part = sharedOf(op.getSource());
    part.offset += op.getColumn() / 64 * part.panelBytes();
    part.columns = typeOf(op.getResult()).getColumns();
    sharedTiles[op.getResult()] = part;
    return;
  }
  Fragment from = fragmentOf(op.getSource());
  Distribution to = distributionOf(op.getResult());
  bool whole = to.rows == from.shape.rows && to.columns == from.shape.columns;
  int64_t column = op.getColumn();
  if (!whole && to.rows == from.shape.rows && from.shape.grid.across == 1 && to.grid == from.shape.grid &&
      to.oneColumn() == from.shape.oneColumn() && column % (to.groupColumns() * to.joined) == 0) {
    // Every thread has all columns of its rows.
    Fragment part{to, from.element, {}};
    for (int64_t slab = 0; slab < to.slabs(); ++slab)
      for (int64_t group = 0; group < to.groups(); ++group)
        for (int64_t half = 0; half < to.halves(); ++half)
          for (int64_t e = 0; e < to.pairs(); ++e)
            part.values.push_back(from.at(slab, column / to.groupColumns() + group, half, e));
    return bind(op.getResult(), std::move(part));
  }
  if (from.shape.oneRow() && from.shape.grid.across == 1 && to.oneColumn() && to.joined == 1) {
    // So has every warp of its lanes.
    Value own = from.at(0, column / 8, 0, column % 2);
    return bind(op.getResult(), {to, from.element, {code.shuffleIndex(own, column % 8 / 2)}});
  }
  bind(op.getResult(), whole ? from : exchange(from, to, false, op.getRow(), column));
}

void KernelLowering::lower(tile::TransposeOp op) {
  auto store =
      op.getResult().hasOneUse() ? dyn_cast<tile::StoreOp>(*op.getResult().getUsers().begin()) : tile::StoreOp();
  if (store && (isStoredTurned(store) || isStoredAcross(store))) {
    // The store reads the source, of which this is the last reader to be seen.
    if (readLater.contains(op.getSource()))
      fragmentOf(op.getSource());
    return;
  }
  Fragment from = fragmentOf(op.getSource());
  bind(op.getResult(), exchange(from, distributionOf(op.getResult()), true, 0, 0));
}

void KernelLowering::lower(tile::FlattenOp op) {
  if (wantedPieces.contains(op.getResult()))
    return; // made of the source (Streamed.cpp)
  Fragment from = fragmentOf(op.getSource());
  Distribution to = distributionOf(op.getResult());
  int64_t bytes = to.columns * 4, offset = shared.allocate(bytes);
  shared.writes(offset, bytes);
  spill(from, code.constant32(offset), from.shape.columns, 0, from.shape.rows);
  shared.reads(offset, bytes);
  Fragment result{to, from.element, {}};
  for (int64_t group = 0; group < to.groups(); ++group)
    for (int64_t e = 0; e < to.pairs(); ++e) {
      Value column = columnOf(to, group, e);
      if (to.padsColumns()) // padding reads what some other element has
        column = code.mini(column, code.constant32(to.columns - 1));
      Value word = code.loadShared(code.add(code.mul(column, 4), offset), 1)[0];
      result.values.push_back(code.ofType(word, from.element));
    }
  shared.release(offset);
  bind(op.getResult(), std::move(result));
}

LogicalResult KernelLowering::lower(tile::ExtractOp op) {
  Value element;
  if (auto rows = op.getSource().getDefiningOp<tile::RowsOp>()) {
    // The list itself is nearer than the thread that holds the entry.
    Value entry = code.add(i64Of(rows.getRow()), op.getRow());
    Value present = code.lessThan(entry, i64Of(rows.getCount()));
    element = code.loadWords(code.advance(step.list(rows.getList()), entry, code.i32()), 1, present)[0];
  } else if (auto load = op.getSource().getDefiningOp<tile::LoadOp>(); load && isWord(load)) {
    element = code.loadWords(elementAddress(viewOf(load.getMemory()), i64Of(load.getRow()), i64Of(load.getColumn())), 1,
                             Value())[0];
  } else {
    Distribution one{1, 1, {warps, 1}};
    const Fragment from = fragmentOf(op.getSource());
    bool single = from.shape.rows == 1 && from.shape.columns == 1;
    element = (single ? from : exchange(from, one, false, op.getRow(), op.getColumn())).values.front();
  }
  Type type = op.getResult().getType();
  scalars.map(op.getResult(), type.isIndex() ? code.toIndex(element) : element);
  return success();
}

void KernelLowering::lower(tile::MapOp op) {
  if (sumSquares(op))
    return;
  Block &body = op.getBody().front();
  Distribution shape = distributionOf(op.getResult());
  SmallVector<Fragment> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(fragmentOf(input, shape.grid));

  IRMapping outer = scalars;
  llvm::DenseSet<Value> uniform;
  auto isUniform = [&](Value v) { return v.getParentBlock() != &body || uniform.contains(v); };
  for (Operation &inner : body.without_terminator())
    if (!isa<tile::IndexOp>(inner) && llvm::all_of(inner.getOperands(), isUniform)) {
      code.builder.clone(inner, outer);
      uniform.insert(inner.result_begin(), inner.result_end());
    }

  Fragment result{shape, typeOf(op.getResult()).getElementType(), {}};
  // Registers of rows that nobody asks for stay as they are, which takes no instruction.
  const Fragment *same = llvm::find_if(inputs, [&](const Fragment &input) {
    return input.element == result.element && input.shape.registers() == shape.registers();
  });
  auto unused = [&](int64_t at) -> Value {
    return same != inputs.end() ? same->values[at] : code.ofType(code.constant32(0), result.element);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t half = 0; half < shape.halves(); ++half)
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          if (!shape.isUsed(slab, half)) {
            result.values.push_back(unused(shape.at(slab, group, half, e)));
            continue;
          }
          IRMapping element = outer;
          for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs))
            element.map(argument, input.at(slab, group, half, e));
          for (Operation &inner : body.without_terminator()) {
            if (auto index = dyn_cast<tile::IndexOp>(inner))
              element.map(index.getResult(),
                          index.getDimension() == 0 ? rowOf(shape, slab, half) : columnOf(shape, group, e));
            else if (inner.getNumResults() == 0 || !uniform.contains(inner.getResult(0)))
              code.builder.clone(inner, element);
          }
          result.values.push_back(element.lookup(body.getTerminator()->getOperand(0)));
        }
  bind(op.getResult(), std::move(result));
}
