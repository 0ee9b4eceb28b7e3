// ptxas: machine code, and what it says of registers and spills.
#include "codegen/nvptx/Compile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace denim::codegen;

static std::string findAssembler(const std::string &wanted) {
  if (!wanted.empty())
    return wanted == "-" ? "" : wanted;
  if (auto found = sys::findProgramByName("ptxas"))
    return *found;
  if (auto found = sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"}))
    return *found;
  return "";
}

/// `ptxas -v` writes, for each entry in turn:
///   Compiling entry function 'NAME' for 'sm_90a'
///   ... N bytes stack frame, N bytes spill stores, N bytes spill loads
///   ... Used N registers, ...
static void readReport(StringRef report, NvptxCode &code) {
  NvptxKernel *kernel = nullptr;
  for (StringRef line : split(report, '\n')) {
    if (size_t at = line.find("entry function '"); at != StringRef::npos) {
      StringRef name = line.drop_front(at + strlen("entry function '")).split('\'').first;
      auto it = find_if(code.kernels, [&](const NvptxKernel &k) { return k.name == name; });
      kernel = it == code.kernels.end() ? nullptr : &*it;
      continue;
    }
    if (line.contains("warning") || line.contains("(C7"))
      code.warnings.push_back(line.str());
    if (!kernel)
      continue;
    int64_t number = 0;
    if (line.contains("bytes spill stores")) {
      int64_t stores = 0, loads = 0;
      if (!line.split("stack frame, ").second.consumeInteger(10, stores) &&
          !line.split("spill stores, ").second.consumeInteger(10, loads))
        kernel->spillBytes = stores + loads;
    } else if (StringRef used = line.split("Used ").second; !used.empty() && !used.consumeInteger(10, number)) {
      kernel->registers = number;
    }
  }
}

Error denim::codegen::assemble(NvptxCode &code, const GpuTarget &target, const std::string &wanted) {
  std::string program = findAssembler(wanted);
  if (program.empty())
    return Error::success();
  SmallString<128> files[3]; // in, out, report
  const char *endings[] = {"ptx", "cubin", "txt"};
  for (int i = 0; i < 3; ++i)
    if (std::error_code error = sys::fs::createTemporaryFile("denim", endings[i], files[i]))
      return createStringError("cannot make a temporary file: " + error.message());
  FileRemover removers[3] = {FileRemover(files[0]), FileRemover(files[1]), FileRemover(files[2])};
  {
    std::error_code error;
    raw_fd_ostream out(files[0], error);
    if (error)
      return createStringError("cannot write " + files[0] + ": " + error.message());
    out << code.ptx;
  }
  std::string architecture = "-arch=" + target.name;
  StringRef arguments[] = {program, architecture, "-v", "-O3", "-o", files[1], files[0]};
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(files[2]), StringRef(files[2])};
  std::string message;
  int result = sys::ExecuteAndWait(program, arguments, std::nullopt, redirects, 0, 0, &message);
  auto report = MemoryBuffer::getFile(files[2]);
  StringRef said = report ? (*report)->getBuffer() : StringRef(message);
  if (result != 0) {
    std::string why = message.empty() ? said.trim().str() : message;
    return createStringError("expected " + program + " to assemble the kernels, but got " +
                             (why.empty() ? "exit status " + std::to_string(result) : why));
  }
  readReport(said, code);
  auto cubin = MemoryBuffer::getFile(files[1]);
  if (!cubin)
    return createStringError("cannot read what ptxas wrote: " + cubin.getError().message());
  code.cubin.assign((*cubin)->getBufferStart(), (*cubin)->getBufferEnd());
  return Error::success();
}
