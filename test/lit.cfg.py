import ctypes
import os
import shutil

import lit.formats

config.name = "denim"
config.test_format = lit.formats.ShTest(execute_external=False)
# Every .mlir test runs denim-opt.
config.suffixes = [".test", ".mlir"] if config.with_compiler else [".test"]
config.excludes = ["Inputs", "goldens"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.obj_root, "test")

bin_dir = os.path.join(config.obj_root, "bin")
config.environment["PATH"] = os.pathsep.join([bin_dir, config.llvm_bin, os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"
# One switch turns every denim-opt line of the suite into a round-trip test.
if "DENIM_CHECK_ROUNDTRIP" in os.environ:
    config.substitutions.append((r"(?<![\w/.-])denim-opt(?![\w/.-])", os.path.join(bin_dir, "denim-opt") + " --verify-roundtrip"))
config.substitutions += [
    ("%root", config.src_root),
    ("%obj", config.obj_root),
    ("%goldens", os.path.join(config.src_root, "test", "goldens")),
    ("%python", "python3"),
]
config.available_features.add("compiler" if config.with_compiler else "runtime-only")
def cuda_devices():
    """GPUs that the NVIDIA driver gives a process; a driver may be installed where none is."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


if cuda_devices():
    config.available_features.add("cuda")
if shutil.which("ptxas") or os.path.exists("/usr/local/cuda/bin/ptxas"):
    config.available_features.add("ptxas")
for flag in ("avx2", "avx512f", "amx_bf16"):
    if flag in open("/proc/cpuinfo").read().split():
        config.available_features.add(flag)
