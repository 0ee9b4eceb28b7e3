// RUN: denim-opt %s --attach-target | FileCheck %s --check-prefix=CPU
// RUN: denim-opt %s --attach-target=machine=cuda | FileCheck %s --check-prefix=CUDA
// RUN: denim-opt %s "--attach-target=machine=cuda target=sm_80" | FileCheck %s --check-prefix=SECOND
// RUN: denim-opt %s --attach-target=target=x86-64-v3 --attach-target=machine=cuda | FileCheck %s --check-prefix=CUDA
// RUN: denim-opt %s --attach-target=target=native | FileCheck %s --check-prefix=NATIVE
// RUN: not denim-opt %s --attach-target=machine=tpu 2>&1 | FileCheck %s --check-prefix=MACHINE
// RUN: not denim-opt %s --attach-target=target=sm_90a 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not denim-opt %s "--attach-target=machine=cuda target=x86-64-v3" 2>&1 | FileCheck %s --check-prefix=GPU

// Without a target, the best of the machine; what was attached before is replaced.
// CPU: module attributes {plan.machine = "cpu", plan.target = "x86-64-v4-amx"}
// CUDA: module attributes {plan.machine = "cuda", plan.target = "sm_90a"}
// SECOND: module attributes {plan.machine = "cuda", plan.target = "sm_80"}

// A text may be compiled on elsewhere: the target that this machine is, by its name.
// NATIVE: module attributes {plan.machine = "cpu", plan.target = "x86-64-v{{[234](-amx)?}}"}

// MACHINE: error: expected a machine cpu or cuda, but got tpu
// OTHER: error: expected target native, x86-64-v4-amx, x86-64-v4, x86-64-v3, x86-64-v2, but got 'sm_90a'
// GPU: error: expected a GPU target (sm_90a, sm_80), but got "x86-64-v3"

// The body is left alone.
// CPU-NEXT: model.block @block(%{{.*}}: tensor<?x32xf32>) {
// CPU-NEXT: yield
model.block @block(%x: tensor<?x32xf32>) {
  yield %x
}
