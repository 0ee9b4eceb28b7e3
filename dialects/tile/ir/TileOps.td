#ifndef DIALECTS_TILE_IR_TILEOPS_TD
#define DIALECTS_TILE_IR_TILEOPS_TD
include "dialects/tile/ir/TileTypes.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

//===--------------------------------------------------------------------------------------------------------------===//
// The kernel and what it knows of the step
//===--------------------------------------------------------------------------------------------------------------===//

def Tile_KernelOp : Tile_Op<"kernel", [IsolatedFromAbove, Symbol, SingleBlock, NoTerminator]> {
  let summary = "one kernel";
  let description = [{
    The body does one work item; its last block argument is the index of the item. The other block arguments are the
    memory the launch passes: `!tile.memory`, `!tile.slots`, `!tile.pages` or `!tile.stack`. Items are independent.

    ```mlir
    tile.kernel @double(%x: !tile.memory<192xf32>, %y: !tile.memory<192xf32>) items <tokens by 64 times 1> at %item {
      %c64 = arith.constant 64 : index
      %c0 = arith.constant 0 : index
      %two = arith.constant 2.0 : f32
      %n = tile.count tokens
      %row = arith.muli %item, %c64 : index
      %t = tile.load %x[%row, %c0] within [%c0, %n] : !tile.memory<192xf32> -> !tile.tile<64x192xf32>
      %u = tile.map (%a = %t : !tile.tile<64x192xf32>) -> !tile.tile<64x192xf32> {
        %m = arith.mulf %a, %two : f32
        tile.yield %m : f32
      }
      tile.store %u, %y[%row, %c0] within [%c0, %n] : !tile.tile<64x192xf32>, !tile.memory<192xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Tile_ItemsAttr:$items);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getBody().front(); }
    /// The memory arguments, without the item.
    ::llvm::ArrayRef<::mlir::BlockArgument> getMemories() { return getBlock()->getArguments().drop_back(); }
    ::mlir::Value getItem() { return getBlock()->getArguments().back(); }
  }];
}

def Tile_CountOp : Tile_Op<"count", [Pure]> {
  let summary = "how many tokens, outputs or sequences the step has";
  let arguments = (ins Tile_CountKindAttr:$kind);
  let results = (outs Index:$result);
  let assemblyFormat = "`` $kind attr-dict"; // the attribute prints a space of its own
  let builders = [OpBuilder<(ins "::denim::tile::CountKind":$kind), [{
    build($_builder, $_state, $_builder.getIndexType(), CountKindAttr::get($_builder.getContext(), kind));
  }]>];
}

def Tile_SequenceOp : Tile_Op<"sequence", [Pure]> {
  let summary = "where the new tokens of a sequence stand";
  let description = [{
    `begin` and `end` are the rows of the new tokens of sequence `index`; `past` is the number of its earlier tokens,
    so the token of row `r` has position `past + r - begin`.
  }];
  let arguments = (ins Index:$index);
  let results = (outs Index:$begin, Index:$end, Index:$past);
  let assemblyFormat = "$index attr-dict";
  let builders = [OpBuilder<(ins "::mlir::Value":$index), [{
    auto type = $_builder.getIndexType();
    build($_builder, $_state, type, type, type, index);
  }]>];
}

def Tile_RowsOp : Tile_Op<"rows", [Pure]> {
  let summary = "entries of a list of the step: token ids, positions or output rows";
  let description = [{ Entry `row + i` in row `i` of the tile; 0 where `row + i >= count`. }];
  let arguments = (ins Tile_RowListAttr:$list, Index:$row, Index:$count);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "`` $list `[` $row `]` `below` $count attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------------------------===//

def Tile_SlotOp : Tile_Op<"slot", [Pure]> {
  let summary = "the memory of one sequence in a cache of slots";
  let arguments = (ins AnyType:$slots, Index:$sequence);
  let results = (outs Tile_AnyMemory:$result);
  let assemblyFormat = "$slots `[` $sequence `]` attr-dict `:` qualified(type($slots)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Tile_PageOp : Tile_Op<"page", [Pure]> {
  let summary = "one head of one page of a sequence: a memory of as many rows as a page has tokens";
  let arguments = (ins AnyType:$pages, Index:$sequence, Index:$page, Index:$head);
  let results = (outs Tile_AnyMemory:$result);
  let assemblyFormat = [{
    $pages `[` $sequence `,` $page `,` $head `]` attr-dict `:` qualified(type($pages)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_BlockOp : Tile_Op<"block", [Pure]> {
  let summary = "one head of one block: a page that is found by its number, without a table";
  let description = [{
    Memory that kernels of one step hand to each other in blocks of rows: `!tile.pages`, seen as an array of pages.
  }];
  let arguments = (ins AnyType:$pages, Index:$number, Index:$head);
  let results = (outs Tile_AnyMemory:$result);
  let assemblyFormat = [{
    $pages `[` $number `,` $head `]` attr-dict `:` qualified(type($pages)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_StackedOp : Tile_Op<"stacked", [Pure]> {
  let summary = "one tensor of a stack";
  let arguments = (ins AnyType:$stack, Index:$index);
  let results = (outs Tile_AnyMemory:$result);
  let assemblyFormat = "$stack `[` $index `]` attr-dict `:` qualified(type($stack)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Tile_LoadOp : Tile_Op<"load", [AttrSizedOperandSegments, MemoryEffects<[MemRead]>]> {
  let summary = "read a window of memory";
  let description = [{
    Element (i, j) is `memory[row + i, column + j]`, widened to f32 from bf16, f16 or elements in blocks; rows outside
    `[lo, hi)` are zero and not read. Without `within` the caller promises that all rows may be read. With `transposed`, element
    (i, j) is `memory[row + j, column + i]`, and `within` bounds the memory's rows all the same.
    Of a memory in blocks whole blocks are read: `column` and the number of columns are multiples of 32.
    A load may be lowered to no copy at all when the memory is not written before its last use.
  }];
  let arguments = (ins Tile_AnyMemory:$memory, Index:$row, Index:$column, Optional<Index>:$lo, Optional<Index>:$hi,
                       UnitAttr:$transposed);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $memory `[` $row `,` $column `]` (`within` ` ` `[` $lo^ `,` $hi `]`)? (`transposed` $transposed^)? attr-dict
    `:` qualified(type($memory)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_GatherOp : Tile_Op<"gather", [MemoryEffects<[MemRead]>]> {
  let summary = "read rows of memory chosen by a tile of row numbers";
  let description = [{ Row i is `memory[rows[i], column ... ]`; every row number must be a row of the memory. }];
  let arguments = (ins Tile_AnyMemory:$memory, Tile_AnyTile:$rows, Index:$column);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $memory `[` $rows `,` $column `]` attr-dict `:` qualified(type($memory)) `,` qualified(type($rows)) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [AttrSizedOperandSegments, MemoryEffects<[MemWrite]>]> {
  let summary = "write a window of memory";
  let description = [{ Rows outside `[lo, hi)` are not written; f32 is rounded to nearest even for bf16 and f16. }];
  let arguments = (ins Tile_AnyTile:$value, Tile_AnyMemory:$memory, Index:$row, Index:$column, Optional<Index>:$lo,
                       Optional<Index>:$hi);
  let assemblyFormat = [{
    $value `,` $memory `[` $row `,` $column `]` (`within` ` ` `[` $lo^ `,` $hi `]`)? attr-dict
    `:` qualified(type($value)) `,` qualified(type($memory))
  }];
  let hasVerifier = 1;
}

def Tile_ScatterOp : Tile_Op<"scatter", [MemoryEffects<[MemWrite]>]> {
  let summary = "write rows of memory chosen by a tile of row numbers";
  let description = [{
    Row i of the tile becomes `memory[rows[i], column ... ]`; a row whose number is negative is not written. All other
    numbers must be rows of the memory and differ from each other. f32 is rounded as by `tile.store`.
  }];
  let arguments = (ins Tile_AnyTile:$value, Tile_AnyMemory:$memory, Tile_AnyTile:$rows, Index:$column);
  let assemblyFormat = [{
    $value `,` $memory `[` $rows `,` $column `]` attr-dict `:` qualified(type($value)) `,` qualified(type($memory)) `,`
    qualified(type($rows))
  }];
  let hasVerifier = 1;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------------------------===//

def Tile_SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "a tile whose elements are all equal";
  let arguments = (ins AnyTypeOf<[F32, I32]>:$value);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` qualified(type($result))";
}

def Tile_MapOp : Tile_Op<"map", [RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "an elementwise function of tiles";
  let description = [{
    The region is the function of one element: `arith` and `math` on scalars, and `tile.index`. An operand with one
    row or one column is broadcast along it. Scalars from outside (f32, i32, index) may be used in the region.
  }];
  let arguments = (ins Variadic<Tile_AnyTile>:$inputs);
  let results = (outs Tile_AnyTile:$result);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::denim::tile::TileType":$result, "::mlir::ValueRange":$inputs,
    "::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>":$body)>];
}

def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator, HasParent<"MapOp">]> {
  let summary = "the element a tile.map makes";
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let builders = [OpBuilder<(ins), [{ llvm_unreachable("tile.yield needs a value"); }]>];
}

def Tile_IndexOp : Tile_Op<"index", [Pure]> {
  let summary = "the row (0) or column (1) of the element, inside tile.map";
  let arguments = (ins ConfinedAttr<I64Attr, [IntNonNegative, IntMaxValue<1>]>:$dimension);
  let results = (outs I32:$result);
  let assemblyFormat = "$dimension attr-dict";
}

def Tile_WindowOp : Tile_Op<"window", [Pure]> {
  let summary = "a part of a tile";
  let description = [{ Element (i, j) is `source[row + i, column + j]`. }];
  let arguments = (ins Tile_AnyTile:$source, I64Attr:$row, I64Attr:$column);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $source `[` $row `,` $column `]` attr-dict `:` qualified(type($source)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_TransposeOp : Tile_Op<"transpose", [Pure]> {
  let summary = "rows and columns exchanged";
  let arguments = (ins Tile_AnyTile:$source);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Tile_FlattenOp : Tile_Op<"flatten", [Pure]> {
  let summary = "the rows of a tile one behind the other, as one row";
  let description = [{
    Element (0, i * columns + j) is `source[i, j]`. A long row is computed as a matrix, which deals it to all threads of
    a block, and flattened to be multiplied.
  }];
  let arguments = (ins Tile_AnyTile:$source);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Tile_ExtractOp : Tile_Op<"extract", [Pure]> {
  let summary = "one element as a scalar";
  let description = [{ An i32 element may be taken as an index: it then chooses rows, pages or experts. }];
  let arguments = (ins Tile_AnyTile:$source, I64Attr:$row, I64Attr:$column);
  let results = (outs AnyTypeOf<[F32, I32, Index]>:$result);
  let assemblyFormat = [{
    $source `[` $row `,` $column `]` attr-dict `:` qualified(type($source)) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "combine all elements along one dimension";
  let description = [{
    `dimension` 0 combines the rows (the result has one row), 1 the columns (the result has one column). The order of
    the additions is the machine's, and the same for every run.
  }];
  let arguments = (ins Tile_CombinerAttr:$combiner, Tile_AnyTile:$source,
                       ConfinedAttr<I64Attr, [IntNonNegative, IntMaxValue<1>]>:$dimension);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    `` $combiner $source `along` $dimension attr-dict `:` qualified(type($source)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Tile_CumsumOp : Tile_Op<"cumsum", [Pure, AllTypesMatch<["source", "result"]>]> {
  let summary = "inclusive prefix sum over the rows";
  let arguments = (ins Tile_AnyTile:$source);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source))";
}

def Tile_SpreadOp : Tile_Op<"spread", [Pure, AllTypesMatch<["source", "result"]>]> {
  let summary = "one row of each group of rows, for all rows of the group";
  let description = [{
    Rows are taken in groups of `group`, and all of a group become its row `row`: element (i, j) is
    `source[i - i mod group + row, j]`. With sums over the first half of each group, the last row of that half is what
    the second half lacks.

    ```mlir
    tile.kernel @missing(%x: !tile.memory<128xf32>, %y: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
      %c0 = arith.constant 0 : index
      %sums = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
      %last = tile.spread %sums row 7 of 16 : !tile.tile<64x128xf32>
      tile.store %last, %y[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
    }
    ```
  }];
  let arguments = (ins Tile_AnyTile:$source, I64Attr:$row, I64Attr:$group);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$source `row` $row `of` $group attr-dict `:` qualified(type($source))";
  let hasVerifier = 1;
}

def Tile_MmaOp : Tile_Op<"mma", [Pure]> {
  let summary = "matrix product with accumulation, f32";
  let description = [{
    `result = lhs * rhs + acc`, or without `acc` just the product; `transpose_lhs` and `transpose_rhs` say that the
    operand is given transposed. `triangle = lhs` promises that lhs (as used) is zero above its diagonal, and `result`
    that entries of the result above the diagonal are not used: they may hold anything. `blocks n` promises the same
    of entries outside the square blocks of n rows and columns along the diagonal.
  }];
  let arguments = (ins Tile_AnyTile:$lhs, Tile_AnyTile:$rhs, Optional<Tile_AnyTile>:$acc, UnitAttr:$transpose_lhs,
                       UnitAttr:$transpose_rhs,
                       DefaultValuedAttr<Tile_TriangleAttr, "::denim::tile::Triangle::none">:$triangle,
                       OptionalAttr<I64Attr>:$blocks);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    (`transpose_lhs` $transpose_lhs^)? $lhs `,` (`transpose_rhs` $transpose_rhs^)? $rhs (`acc` $acc^)?
    (`triangle` $triangle^)? (`blocks` $blocks^)? attr-dict `:` qualified(type($lhs)) `,` qualified(type($rhs))
    (`,` qualified(type($acc))^)? `->` qualified(type($result))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getM() { return ::llvm::cast<TileType>(getResult().getType()).getRows(); }
    int64_t getN() { return ::llvm::cast<TileType>(getResult().getType()).getColumns(); }
    int64_t getK() {
      auto lhs = ::llvm::cast<TileType>(getLhs().getType());
      return getTransposeLhs() ? lhs.getRows() : lhs.getColumns();
    }
  }];
}

def Tile_SolveOp : Tile_Op<"solve", [Pure, AllTypesMatch<["rhs", "result"]>]> {
  let summary = "solve with a unit lower triangular matrix";
  let description = [{
    `result = (I + L)^-1 rhs`, where L is the part of `lower` strictly below the diagonal; the rest of `lower` is not
    read. Forward substitution, all in f32 (`spec/attention.md` section 3.3 calls the inverse T).
  }];
  let arguments = (ins Tile_AnyTile:$lower, Tile_AnyTile:$rhs);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$lower `,` $rhs attr-dict `:` qualified(type($lower)) `,` qualified(type($rhs))";
  let hasVerifier = 1;
}

def Tile_InverseOp : Tile_Op<"inverse", [Pure, AllTypesMatch<["lower", "result"]>]> {
  let summary = "the inverse of a unit lower triangular matrix";
  let description = [{
    `result = (I + L)^-1`, zero above the diagonal, where L is the part of `lower` strictly below it; the rest of `lower`
    is not read. For matrices that are applied more than once, or by another kernel; with one right-hand side `tile.solve`
    keeps more digits.
  }];
  let arguments = (ins Tile_AnyTile:$lower);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$lower attr-dict `:` qualified(type($lower))";
  let hasVerifier = 1;
}
#endif
