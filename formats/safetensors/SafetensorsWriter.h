//===- SafetensorsWriter.h - write tensors to a file --------------*- C++ -*-===//

#ifndef DENIM_FORMATS_SAFETENSORS_SAFETENSORSWRITER_H
#define DENIM_FORMATS_SAFETENSORS_SAFETENSORSWRITER_H

#include "formats/file/OutputFile.h"
#include "formats/safetensors/Safetensors.h"

#include <functional>

namespace denim::formats {

/// Writes |tensors| to |path| in their order, as `OutputFile` writes: nobody sees half of it. `bytes` of each must be
/// what its type and shape say; the data is borrowed for the call. Tensors without data are asked for when it is their
/// turn: |make| gives those of the tensor at an index, so that they need not all be in memory at once. What it refuses
/// is what this returns.
using MakeTensor = std::function<Error(size_t index, std::vector<char> &data)>;
Error writeSafetensors(const std::string &path, const std::vector<Tensor> &tensors, const MakeTensor &make = {});
/// The same to a |file| that was opened, and keeps it.
Error writeSafetensors(OutputFile &file, const std::vector<Tensor> &tensors, const MakeTensor &make = {});

} // namespace denim::formats

#endif
