//===- SharedObject.cpp - an ELF shared object, loaded from memory --------===//

#include "runtime/device/cpu/SharedObject.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace denim {

namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#endif

/// The parts of the file that the dynamic linker reads without looking.
Status checkHeaders(std::string_view bytes) {
  Elf64_Ehdr header;
  auto wrong = [](const auto &...parts) { return error(DENIM_STATUS_DATA_LOSS, "code of the module: ", parts...); };
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
    return wrong("expected an ELF file, but got something else");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN)
    return wrong("expected a 64-bit shared object, but got class ", int(header.e_ident[EI_CLASS]), ", type ",
                 header.e_type);
  if (header.e_machine != kMachine)
    return error(DENIM_STATUS_INCOMPATIBLE, "code of the module: expected ELF machine ", kMachine, ", but got ",
                 header.e_machine);
  uint64_t size = bytes.size();
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size ||
      header.e_phnum > (size - header.e_phoff) / sizeof(Elf64_Phdr))
    return wrong("expected program headers within ", size, " bytes, but got ", header.e_phnum, " at ", header.e_phoff);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC)
      continue;
    if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)
      return wrong("expected segment ", i, " within ", size, " bytes, but got ", segment.p_filesz, " at ",
                   segment.p_offset);
  }
  return {};
}

} // namespace

SharedObject::~SharedObject() {
  if (handle)
    dlclose(handle);
  if (file >= 0)
    close(file);
}

Status SharedObject::load(std::string_view bytes) {
  if (Status status = checkHeaders(bytes))
    return status;
  file = memfd_create("denim-module", MFD_CLOEXEC);
  if (file < 0)
    return exhausted("cannot create a file in memory for the code of the module: ", std::strerror(errno));
  for (size_t written = 0; written < bytes.size();) {
    ssize_t n = write(file, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return exhausted("cannot write the code of the module to memory: ", std::strerror(errno));
    written += n;
  }
  // The linker takes a path it has seen for the same object, so the number must stay taken as long as this lives.
  handle = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return error(DENIM_STATUS_DATA_LOSS, "cannot load the code of the module: ", dlerror());
  return {};
}

void *SharedObject::find(const std::string &symbol) const {
  void *address = dlsym(handle, symbol.c_str());
  if (!address)
    return nullptr;
  // dlsym also searches what the object depends on; a kernel called "exit" must not be found in libc.
  Dl_info info;
  struct link_map *map = nullptr;
  if (!dladdr1(address, &info, reinterpret_cast<void **>(&map), RTLD_DL_LINKMAP) || map != handle)
    return nullptr;
  return address;
}

} // namespace denim
