// A kernel may begin while the one before it on the stream still runs, where the target can do that and the launch
// allows it. Blocks then fill the places that the last blocks of the one before leave, and what does not depend on it
// is done meanwhile: numbers of the step are read, and weights are asked for.
//
// Two rules make it right whatever the kernels are:
//
//   1. A thread touches memory that some kernel writes only behind the wait, which returns when all of the kernel
//      before is done and what it wrote is seen. So nothing is read too early, and nothing overwritten that is still
//      read. Parameters (`tile.constants` of the kernel) and the description of the step are written by no kernel.
//   2. Every kernel waits on every path, so that its end is the end of all before it, and lets the next one
//      begin behind that wait.
//
// By the second, all but the kernel in front are done when a kernel begins. What that one does not write
// (`tile.finished` of the kernel, compiler/passes/OverlapLaunches.cpp) its copying warps ask for at once, and wait
// behind the last copy: the rings are full when the computing warps have waited.
//
// The wait stands in front of the first op that rule 1 speaks of. A branch with two sides may have it inside, on both.
//
// When the next one may begin is a question of speed alone: at the end of this one, or as the text says,
//
//   tile.next_behind_wait    behind the own wait, so that no more than one kernel stands ready beside the one that
//                            runs: for short kernels, not for those with copying warps (parts of keys 8 % slower);
//   tile.next_behind_copies  when the copying warps have asked for the last copy (diagonal recurrences 1 % faster).
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

void KernelLowering::awaitKernelsBefore() {
  if (awaited)
    return;
  code.awaitKernelsBefore();
  if (nextBegins() == NextBegins::BehindWait)
    code.letNextBegin();
  awaited = true;
}

KernelLowering::NextBegins KernelLowering::nextBegins() const {
  if (staged.empty())
    return kernel->hasAttr("tile.next_behind_wait") ? NextBegins::BehindWait : NextBegins::AtEnd;
  return kernel->hasAttr("tile.next_behind_copies") ? NextBegins::BehindCopies : NextBegins::AtEnd;
}

bool KernelLowering::touchesUnfinished(Operation &op) {
  auto touches = [&](Operation *inner) {
    Value memory;
    if (isa<tile::LoadOp, tile::GatherOp>(inner))
      memory = inner->getOperand(0);
    else
      memory = tile::writtenMemory(inner);
    if (!memory || constants.contains(rootOf(memory)))
      return WalkResult::advance();
    if (copying) {
      auto load = dyn_cast<tile::LoadOp>(inner);
      bool isRead = load && (isWord(load) || staged.contains(load.getResult()));
      if (!isRead || finished.contains(rootOf(memory)))
        return WalkResult::advance();
    }
    return WalkResult::interrupt();
  };
  return op.walk(touches).wasInterrupted();
}

void KernelLowering::awaitIfTouched(Operation &op) {
  if (awaited || !touchesUnfinished(op))
    return;
  // The copying warps pass over branches that hold nothing for them.
  auto branch = dyn_cast<scf::IfOp>(op);
  if (!branch || branch.getElseRegion().empty() || copying)
    awaitKernelsBefore();
}
