//===- FakeCuda.h - switches of the fake driver -------------------*- C++ -*-===//

#ifndef DENIM_TEST_RUNTIME_DEVICE_CUDA_FAKECUDA_H
#define DENIM_TEST_RUNTIME_DEVICE_CUDA_FAKECUDA_H

extern "C" {

/// Everything as at the start, but memory that is still in use.
void fake_cuda_reset(void);
/// "memory": bytes that can still be had; "devices"; "fail launch": the n-th kernel from now fails.
void fake_cuda_set(const char *what, long value);
/// "launches": kernels that ran; "launch calls": that were asked for one by one; "overlapped":
/// of these, that may begin before the one before has ended; "graph launches"; "tensor maps": that
/// were encoded; "events": records of one; "memory": bytes in use; "pinned": host allocations; "contexts".
long fake_cuda_count(const char *what);
/// Work for the stream in its order: run(data), and release(data) when it was forgotten. For the fake of cuBLASLt.
int fake_cuda_enqueue(void *stream, void (*run)(void *), void *data, void (*release)(void *));
}

#endif
