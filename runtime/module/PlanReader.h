//===- PlanReader.h - the plan's JSON, checked --------------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_MODULE_PLANREADER_H
#define DENIM_RUNTIME_MODULE_PLANREADER_H

#include "runtime/base/Status.h"
#include "runtime/module/Plan.h"

namespace denim {

/// Reads |text|, the plan for |machine|, into |out|, or says in one line which value was wrong:
/// `plan.steps[3].parameters[1]: expected a whole number from 0 to 7, but got 8`. A text that is taken is consistent in
/// itself; |out| is changed only then.
Status readPlan(std::string_view text, Machine machine, Plan &out);

} // namespace denim

#endif
