#include "codegen/cpu/Link.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <deque>

using namespace denim::codegen;
using llvm::StringRef;

static llvm::Expected<std::string> findLinker(StringRef wanted) {
  static const StringRef names[] = {"ld.lld-22", "ld.lld", "clang-22", "clang", "cc"};
  llvm::ArrayRef<StringRef> candidates = wanted.empty() ? llvm::ArrayRef<StringRef>(names) : llvm::ArrayRef(wanted);
  for (StringRef name : candidates)
    if (auto path = llvm::sys::findProgramByName(name))
      return *path;
  if (wanted.empty())
    return llvm::createStringError("expected one of ld.lld-22, ld.lld, clang-22, clang or cc on PATH to link kernels, "
                                   "but got none");
  return llvm::createStringError("expected a linker '%s' on PATH, but there is none", wanted.str().c_str());
}

static llvm::Error write(llvm::ArrayRef<char> bytes, StringRef path) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  stream.write(bytes.data(), bytes.size());
  stream.close();
  if (error || stream.has_error())
    return llvm::createStringError("expected to write %s, but the disk refused", path.str().c_str());
  return llvm::Error::success();
}

llvm::Expected<std::vector<char>> denim::codegen::linkSharedObject(llvm::ArrayRef<ObjectFile> objects,
                                                                   StringRef linker) {
  auto program = findLinker(linker);
  if (!program)
    return program.takeError();
  std::deque<llvm::FileRemover> removed;
  std::string sharedPath, messagePath;
  auto makeTemporary = [&](StringRef suffix, std::string &path) -> llvm::Error {
    llvm::SmallString<128> made;
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("denim-kernels", suffix, made))
      return llvm::createStringError(error, "expected to make a temporary file");
    path = made.str();
    removed.emplace_back(path);
    return llvm::Error::success();
  };
  if (llvm::Error error = makeTemporary("so", sharedPath))
    return error;
  if (llvm::Error error = makeTemporary("txt", messagePath))
    return error;
  std::vector<std::string> objectPaths(objects.size());
  for (auto [object, path] : llvm::zip_equal(objects, objectPaths)) {
    if (llvm::Error error = makeTemporary("o", path))
      return error;
    if (llvm::Error error = write(object, path))
      return error;
  }
  bool driver = !llvm::sys::path::filename(*program).contains("ld");
  llvm::SmallVector<StringRef> command = {*program, "-shared"};
  if (driver)
    command.append({"-nostdlib", "-Wl,-z,defs", "-Wl,--hash-style=gnu", "-Wl,-s"});
  else
    command.append({"-z", "defs", "--hash-style=gnu", "-s"});
  command.append({"-o", sharedPath});
  command.append(objectPaths.begin(), objectPaths.end());
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(messagePath), StringRef(messagePath)};
  std::string failure;
  int status = llvm::sys::ExecuteAndWait(*program, command, std::nullopt, redirects, 0, 0, &failure);
  if (status != 0) {
    auto text = llvm::MemoryBuffer::getFile(messagePath);
    return llvm::createStringError("expected %s to link the kernels, but it ended with status %d: %s%s",
                                   program->c_str(), status, failure.c_str(),
                                   text ? (*text)->getBuffer().str().c_str() : "");
  }
  auto shared = llvm::MemoryBuffer::getFile(sharedPath);
  if (!shared)
    return llvm::createStringError(shared.getError(), "expected to read %s", sharedPath.c_str());
  return std::vector<char>((*shared)->getBufferStart(), (*shared)->getBufferEnd());
}
