//===- SafetensorsWriter.h - write tensors to a file --------------*- C++ -*-===//

#ifndef DENIM_FORMATS_SAFETENSORS_SAFETENSORSWRITER_H
#define DENIM_FORMATS_SAFETENSORS_SAFETENSORSWRITER_H

#include "formats/file/Error.h"
#include "formats/safetensors/Safetensors.h"

namespace denim::formats {

/// Writes |tensors| to |path| in their order, through a file beside it that is renamed when complete, so that nobody
/// sees half of it. `bytes` of each must be what its type and shape say; the data is borrowed for the call.
Error writeSafetensors(const std::string &path, const std::vector<Tensor> &tensors);

} // namespace denim::formats

#endif
