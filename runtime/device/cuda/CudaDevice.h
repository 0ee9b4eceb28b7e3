//===- CudaDevice.h - an NVIDIA GPU -------------------------------*- C++ -*-===//
//
// All work goes to one stream, in the order it was asked for; the host waits only where it reads. Memory is an address
// range that is backed as it fills (virtual memory management of the driver), so pools of the cache keep their base and
// kernels their arguments.
//
// The context is the device's primary one, which libraries such as cuBLASLt share. Code is a cubin made for exactly
// this device's compute capability, or PTX that the driver compiles.
//
// An error of a kernel spoils the context: from then on every call that returns a Status says which error was first.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_CUDA_CUDADEVICE_H
#define DENIM_RUNTIME_DEVICE_CUDA_CUDADEVICE_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CublasLt.h"
#include "runtime/device/cuda/CudaDriver.h"

#include <map>
#include <mutex>
#include <tuple>

namespace denim {

/// Where to look; tests name libraries of their own.
struct CudaLibraries {
  std::string driver = "libcuda.so.1";
  std::vector<std::string> blas = {"libcublasLt.so.13", "libcublasLt.so.12"}; ///< the first that loads; none is fine
  double leastMeasured = 0x1p34; ///< operations of a product whose algorithms are measured: 20 us of an H200
};

class CudaDevice : public Device {
public:
  static Status create(int ordinal, std::shared_ptr<CudaDevice> &out, const CudaLibraries &libraries = {});
  ~CudaDevice() override;

  Machine machine() const override { return Machine::Cuda; }
  std::string_view name() const override { return ownName; }
  /// "sm_90": this compute capability or a later one; "sm_90a": exactly this one.
  bool hasFeature(std::string_view feature) const override;
  Status load(const Code &code, const std::vector<KernelInfo> &kernels,
              std::shared_ptr<const Executable> &out) override;
  Status createRunner(std::shared_ptr<const Executable> executable, size_t mostBytes,
                      std::unique_ptr<PassRunner> &out) override;
  Status reserve(size_t bytes, DeviceMemory &out) override;
  bool readsHost() const override { return false; }
  void zero(void *to, size_t bytes) override;
  void copy(void *to, const void *from, size_t bytes) override;
  Status write(void *to, const void *from, size_t bytes) override;
  Status read(void *to, const void *from, size_t bytes) override;
  Status synchronize() override;

  /// What the driver calls it, and how many multiprocessors it has.
  const std::string &productName() const { return product; }
  int multiprocessors() const { return processors; }
  /// Whether a library for products is there.
  bool hasProducts() const { return blas != nullptr; }

  // For runners and executables.
  const cuda::Driver &driver() const { return functions; }
  cuda::Stream stream() const { return workStream; }
  /// Makes the context the thread's; says so if the device was lost.
  Status enter();
  /// For ending things, which goes on when the device is lost: waits for the stream and ignores what it says.
  void settle() const {
    functions.ctxSetCurrent(context);
    functions.streamSynchronize(workStream);
  }
  /// What became of a call of the driver: `cuda:0: cuMemCreate of 4096 bytes: expected success, but got ...`.
  template <typename... Parts> Status check(cuda::Result result, const Parts &...what) {
    return result ? failed(result, error(DENIM_STATUS_INTERNAL, what...).message()) : Status();
  }
  /// All items of a kernel, or the product they make up, to the stream.
  Status launch(const Executable &executable, cuda::Address batch, const Launch &launch);
  /// Before a pass that comes again: the fastest algorithms for its products. What is in its activations is lost.
  Status measureProducts(const std::vector<Launch> &launches);
  /// An executable ends.
  void forgetMaps(const Executable &executable);
  /// Of arguments in memory that is not freed, for kernels of executables that there are.
  size_t keptMaps() const { return tensorMaps.size(); }

protected:
  Status commitRange(char *base, size_t reserved, size_t from, size_t &to) override;
  void free(void *base, size_t reserved, size_t committed) override;

private:
  CudaDevice() = default;
  Status encode(const KernelInfo &kernel, const TensorMapInfo &map, const void *argument, cuda::TensorMap &out);
  Status failed(cuda::Result result, const std::string &what);
  Status loadImage(const Code &code, cuda::CodeModule &out);

  cuda::Driver functions;
  std::string ownName, product;
  cuda::DeviceNumber number = -1;
  cuda::Context context = nullptr;
  cuda::Stream workStream = nullptr;
  int capability = 0, processors = 0, mostShared = 0; // 90 for 9.0
  bool overlapsLaunches = false;                      // kernels may begin while the one before runs, in graphs too
  size_t granularity = 0;
  char *staging = nullptr; // pinned, for reading
  std::unique_ptr<CublasLt> blas;
  /// By address of the argument, executable, kernel, and which of its maps. Arguments stay where they are: each is
  /// encoded once, and forgotten with its memory, which may go while a session runs on another thread.
  std::map<std::tuple<cuda::Address, const Executable *, uint32_t, size_t>, cuda::TensorMap> tensorMaps;
  std::mutex mapsLock;
  Status pending; // of work whose call could not say so
  Status lost;    // the first fatal error
};

} // namespace denim

#endif
