//===- SharedObject.h - an ELF shared object, loaded from memory --*- C++ -*-===//

#ifndef DENIM_RUNTIME_DEVICE_CPU_SHAREDOBJECT_H
#define DENIM_RUNTIME_DEVICE_CPU_SHAREDOBJECT_H

#include "runtime/base/Status.h"

#include <string_view>

namespace denim {

/// Owns the loaded object: functions found in it are valid as long as it lives. Immutable after `load`.
class SharedObject {
public:
  SharedObject() = default;
  SharedObject(const SharedObject &) = delete;
  SharedObject &operator=(const SharedObject &) = delete;
  ~SharedObject();

  /// Once. |bytes| is borrowed for the call. Its headers are checked before the dynamic linker sees it, for that
  /// crashes on a damaged one.
  Status load(std::string_view bytes);
  /// Null if the object itself (not a library it uses) exports no such function.
  void *find(const std::string &symbol) const;

private:
  void *handle = nullptr;
  int file = -1;
};

} // namespace denim

#endif
