//===- Error.h - what was wrong with a file -----------------------*- C++ -*-===//

#ifndef DENIM_FORMATS_FILE_ERROR_H
#define DENIM_FORMATS_FILE_ERROR_H

#include <sstream>
#include <string>

namespace denim::formats {

/// The outcome of reading or writing a file: nothing, or one line for a person that names the file and says what
/// was expected and what was found. True when there was an error:
///
///     if (Error error = Safetensors::open(path, weights))
///       return report(error.message());
class [[nodiscard]] Error {
public:
  Error() = default;

  /// The parts, one after the other, as an output stream writes them.
  template <typename... Parts> static Error of(const Parts &...parts) {
    std::ostringstream text;
    (text << ... << parts);
    Error error;
    error.text = text.str();
    return error;
  }

  explicit operator bool() const { return !text.empty(); }
  const std::string &message() const { return text; }

private:
  std::string text;
};

} // namespace denim::formats

#endif
