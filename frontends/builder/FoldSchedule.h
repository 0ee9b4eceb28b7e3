// The shortest text for a list of layers.
//
// A configuration names the kind of every layer; a person writes `12 x (3 x @linear, 1 x @full)`. `foldSchedule` finds
// that: among all ways to write the list with nested repeats, one of the shortest. Dynamic programming over the
// intervals of the list: an interval is one item (a run of equal layers, or a repeated shorter interval) or two
// intervals side by side. n layers take O(n^3) steps.
#ifndef FRONTENDS_BUILDER_FOLDSCHEDULE_H
#define FRONTENDS_BUILDER_FOLDSCHEDULE_H

#include "dialects/model/ir/Model.h"

namespace denim::frontends {

/// `layers` holds the block's symbol of every layer, in order; not empty.
model::RepeatAttr foldSchedule(mlir::MLIRContext &context, llvm::ArrayRef<std::string> layers);

} // namespace denim::frontends

#endif // FRONTENDS_BUILDER_FOLDSCHEDULE_H
