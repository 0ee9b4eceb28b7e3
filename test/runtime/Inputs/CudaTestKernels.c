/* The kernels of TestKernels.c as the fake driver calls them (test/runtime/device/cuda/FakeCuda.cpp): one call for each
 * block, which does one work item. `parameters` points to the parameters of the entry: batch, items, arguments. */
#define test_embed cpu_embed
#define test_mix cpu_mix
#define test_append cpu_append
#define test_attend cpu_attend
#define test_head cpu_head
#include "TestKernels.c"
#undef test_embed
#undef test_mix
#undef test_append
#undef test_attend
#undef test_head

#define ENTRY(name, cpu, count)                                                                                        \
  const int name##_arguments = count;                                                                                  \
  int name(int64_t block, void **parameters) {                                                                         \
    void *args[count];                                                                                                 \
    float scratch[Columns];                                                                                            \
    for (int i = 0; i < count; ++i)                                                                                    \
      args[i] = *(void **)parameters[2 + i];                                                                           \
    if (block >= *(int64_t *)parameters[1])                                                                            \
      return 1;                                                                                                        \
    cpu(*(const denim_batch_t **)parameters[0], args, block, block + 1, scratch);                                      \
    return 0;                                                                                                          \
  }

ENTRY(test_embed, cpu_embed, 2)
ENTRY(test_mix, cpu_mix, 4)
ENTRY(test_append, cpu_append, 2)
ENTRY(test_attend, cpu_attend, 2)
ENTRY(test_head, cpu_head, 3)
