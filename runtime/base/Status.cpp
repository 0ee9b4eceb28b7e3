//===- Status.cpp - the outcome of a call inside the runtime --------------===//

#include "runtime/base/Status.h"

namespace denim {

const std::string &Status::message() const {
  static const std::string none;
  return payload ? payload->message : none;
}

} // namespace denim
