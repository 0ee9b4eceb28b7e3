// Tile programs done element by element in double, rounded to f32 after each op: the judge of generated code. Shares
// nothing with the lowering but the ops' definitions.
#ifndef TEST_CODEGEN_CPU_TILEINTERPRETER_H
#define TEST_CODEGEN_CPU_TILEINTERPRETER_H

#include "dialects/tile/ir/Tile.h"
#include "runtime/abi/Kernel.h"

namespace denim::test {

/// Runs all items [begin, end) of a kernel on what the arguments of denim_kernel_fn point to.
void interpret(tile::KernelOp kernel, const denim_batch_t &batch, void *const *args, int64_t begin, int64_t end);

float fromBrain(uint16_t bits);
uint16_t toBrain(float value);
float fromHalf(uint16_t bits);
uint16_t toHalf(float value);

} // namespace denim::test

#endif // TEST_CODEGEN_CPU_TILEINTERPRETER_H
