//===- Status.h - the outcome of a call inside the runtime --------*- C++ -*-===//
//
// Converts to true when something went wrong, so that passing an error on reads
//
//     if (Status status = cache.reserve(growths))
//       return status;
//
// Codes are those of the C API, where each is explained.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_BASE_STATUS_H
#define DENIM_RUNTIME_BASE_STATUS_H

#include <denim/status.h>

#include <memory>
#include <sstream>
#include <string>

namespace denim {

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(denim_status_code_t code, std::string message) : payload(new Payload{code, std::move(message)}) {}

  explicit operator bool() const { return payload != nullptr; }
  denim_status_code_t code() const { return payload ? payload->code : DENIM_STATUS_OK; }
  /// One line; "" without error.
  const std::string &message() const;

private:
  struct Payload {
    denim_status_code_t code;
    std::string message;
  };
  std::unique_ptr<Payload> payload;
};

/// The parts, one after the other, as an output stream writes them.
template <typename... Parts> Status error(denim_status_code_t code, const Parts &...parts) {
  std::ostringstream text;
  (text << ... << parts);
  return Status(code, text.str());
}
template <typename... Parts> Status invalidArgument(const Parts &...parts) {
  return error(DENIM_STATUS_INVALID_ARGUMENT, parts...);
}
template <typename... Parts> Status exhausted(const Parts &...parts) {
  return error(DENIM_STATUS_RESOURCE_EXHAUSTED, parts...);
}

} // namespace denim

#endif
