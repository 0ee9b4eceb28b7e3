//===- Machine.h - kinds of machines that run kernels -------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_BASE_MACHINE_H
#define DENIM_RUNTIME_BASE_MACHINE_H

#include <cstdint>
#include <string_view>

namespace denim {

/// What a plan is made for. Devices of one kind differ in their features only.
enum class Machine : uint8_t { Cpu, Cuda };
inline constexpr Machine kMachines[] = {Machine::Cpu, Machine::Cuda};

/// "cpu", "cuda": the name of the plan's section.
constexpr std::string_view name(Machine machine) {
  return machine == Machine::Cpu ? "cpu" : "cuda";
}

} // namespace denim

#endif
