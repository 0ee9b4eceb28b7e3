#ifndef DIALECTS_MODEL_IR_MODELTYPES_TD
#define DIALECTS_MODEL_IR_MODELTYPES_TD
include "dialects/model/ir/ModelDialect.td"
include "dialects/interfaces/Interfaces.td"

/// Parameters that a checkpoint keeps in blocks of 32 elements with a scale.
class Model_BlockType<string name, string typeMnemonic, string integers> : TypeDef<Model_Dialect, name, [
    DeclareTypeInterfaceMethods<BlockTypeInterface>]> {
  let mnemonic = typeMnemonic;
  let summary = "elements " # integers # ", in blocks of 32 with a scale of f16";
  let description = [{
    `tensor<512x192x!model.}] # typeMnemonic # [{>`: a weight of `linear`, [N, K] with K a multiple of 32. Blocks lie along K;
    `formats/blocks/BlockFormat.h` says how a row lies in memory, and that a safetensors file has it as U8 [N, bytes of a
    row]. The numbers are those of ggml's format of this name.
  }];
}
def Model_Q8_0Type : Model_BlockType<"Q8_0", "q8_0", "of eight bits">;
def Model_Q4_0Type : Model_BlockType<"Q4_0", "q4_0", "of four bits">;
#endif
