#ifndef DIALECTS_TILE_IR_TILETYPES_TD
#define DIALECTS_TILE_IR_TILETYPES_TD
include "dialects/tile/ir/TileDialect.td"

class Tile_Type<string name, string typeMnemonic> : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Tile_TileType : Tile_Type<"Tile", "tile"> {
  let summary = "a two-dimensional value of fixed size";
  let description = [{
    `!tile.tile<64x128xf32>`: 64 rows, 128 columns. Columns run along the feature axis (channels of a head), rows
    along tokens or keys. A tile of one column or one row broadcasts in `tile.map`. Elements: f32, i32 or i1.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getNumElements() const { return getRows() * getColumns(); }
    TileType withShape(int64_t rows, int64_t columns) const {
      return TileType::get(getContext(), rows, columns, getElementType());
    }
    TileType withElement(::mlir::Type element) const {
      return TileType::get(getContext(), getRows(), getColumns(), element);
    }
  }];
}

class Tile_MemoryLike<string name, string typeMnemonic> : Tile_Type<name, typeMnemonic> {
  let parameters = (ins "int64_t":$columns, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $columns `x` $elementType `>`";
}

def Tile_MemoryType : Tile_Type<"Memory", "memory"> {
  let summary = "row-major memory outside the kernel";
  let description = [{
    `!tile.memory<192xbf16>`: any number of rows of 192 elements, one behind the other. A tensor of higher rank is
    seen as the rows of its last axis. Elements: f32, bf16, f16 or i32, or a type that keeps them in blocks along a row
    (`BlockTypeInterface`), `!tile.memory<192x!model.q8_0>`, which is read and never written.
  }];
  let parameters = (ins "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
}
def Tile_SlotsType : Tile_Type<"Slots", "slots"> {
  let summary = "one memory per sequence of the step (state, convolution tail)";
  let parameters = (ins "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
}
def Tile_PagesType : Tile_Type<"Pages", "pages"> {
  let summary = "pages of a cache: keys, values or latents";
  let description = [{
    `!tile.pages<4x64x128xf32>`: a page holds 4 heads of 64 tokens of 128 elements, in this order; page `j` of a
    sequence holds its tokens `64 j ... 64 j + 63`.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$tokens, "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
}
def Tile_StackType : Tile_Type<"Stack", "stack"> {
  let summary = "several tensors of one shape (the experts of a layer), each in its own memory";
  let parameters = (ins "int64_t":$count, "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
}

def Tile_AnyTile : Type<CPred<"::llvm::isa<::denim::tile::TileType>($_self)">, "tile", "::denim::tile::TileType">;
def Tile_AnyMemory : Type<CPred<"::llvm::isa<::denim::tile::MemoryType>($_self)">, "tile memory", "::denim::tile::MemoryType">;

def Tile_CountKind : I32EnumAttr<"CountKind", "what a kernel counts", [
    I32EnumAttrCase<"once", 0>, I32EnumAttrCase<"tokens", 1>, I32EnumAttrCase<"outputs", 2>,
    I32EnumAttrCase<"sequences", 3>]> {
  let cppNamespace = "::denim::tile";
  let genSpecializedAttr = 0;
}
def Tile_CountKindAttr : EnumAttr<Tile_Dialect, Tile_CountKind, "count"> { let assemblyFormat = "$value"; }
def Tile_RowList : I32EnumAttr<"RowList", "a list of the step, one entry per row", [
    I32EnumAttrCase<"tokens", 0>, I32EnumAttrCase<"positions", 1>, I32EnumAttrCase<"outputs", 2>]> {
  let cppNamespace = "::denim::tile";
  let genSpecializedAttr = 0;
}
def Tile_RowListAttr : EnumAttr<Tile_Dialect, Tile_RowList, "row_list"> { let assemblyFormat = "$value"; }
def Tile_Combiner : I32EnumAttr<"Combiner", "how a reduction combines", [
    I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"max", 1>, I32EnumAttrCase<"min", 2>]> {
  let cppNamespace = "::denim::tile";
  let genSpecializedAttr = 0;
}
def Tile_CombinerAttr : EnumAttr<Tile_Dialect, Tile_Combiner, "combiner"> { let assemblyFormat = "$value"; }
def Tile_Triangle : I32EnumAttr<"Triangle", "which operand of a product is lower triangular", [
    I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"lhs", 1>, I32EnumAttrCase<"result", 2>]> {
  let cppNamespace = "::denim::tile";
  let genSpecializedAttr = 0;
}
def Tile_TriangleAttr : EnumAttr<Tile_Dialect, Tile_Triangle, "triangle"> { let assemblyFormat = "$value"; }

def Tile_ItemsAttr : AttrDef<Tile_Dialect, "Items"> {
  let mnemonic = "items";
  let summary = "how many work items a launch has";
  let description = [{
    `#tile.items<tokens by 64 times 3>`: 3 * ceil(tokens of the step / 64) items. `once` counts 1.
  }];
  let parameters = (ins "::denim::tile::CountKind":$per, "int64_t":$block, "int64_t":$times);
  let assemblyFormat = "`<` $per `by` $block `times` $times `>`";
}
#endif
