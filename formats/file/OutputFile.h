//===- OutputFile.h - a file that appears when it is complete ------*- C++ -*-===//
//
// Writes to a file beside the one that is asked for, and gives it that name in the end: nobody sees half of it, what
// had the name before is kept when writing fails, and who has mapped it keeps what it mapped. A name of something that
// is no regular file (a device, a pipe) cannot be given away: it is written to directly. Behind a symbolic link, the
// file that it names is replaced, not the link.
//
// Whoever has much to compute opens first: a place that cannot be written to is refused before the work. Nothing is
// created before the first byte, so that work that is interrupted leaves nothing.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_FORMATS_FILE_OUTPUTFILE_H
#define DENIM_FORMATS_FILE_OUTPUTFILE_H

#include "formats/file/Error.h"

#include <cstddef>
#include <cstdio>

namespace denim::formats {

/// One file being written, by one thread. What was written without `keep` does not stay.
class OutputFile {
public:
  OutputFile() = default;
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  /// Checks that `path` can be written to. Once for each object, first.
  Error open(const std::string &path);
  Error write(const void *data, size_t bytes);
  /// All that was written becomes the file at the path.
  Error keep();
  /// The same behind `content`.
  Error keep(const std::string &content);

  /// The path as the caller named it, for messages.
  const std::string &name() const { return path; }

private:
  Error create();
  Error failure() const;

  std::string path;
  std::string target;  ///< `path` with links followed
  std::string partial; ///< the file beside `target`; empty where it is written to directly
  std::FILE *file = nullptr;
};

} // namespace denim::formats

#endif
