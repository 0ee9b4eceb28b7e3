// The families of models that can be read, one file each. A family's file says which fields of config.json it reads,
// with their defaults, what its layers compute, and under which names the checkpoint keeps their weights.
#ifndef FRONTENDS_HF_ARCHITECTURES_ARCHITECTURE_H
#define FRONTENDS_HF_ARCHITECTURES_ARCHITECTURE_H

#include "frontends/builder/Page.h"
#include "frontends/hf/Checkpoint.h"
#include "frontends/hf/Config.h"

namespace denim::frontends {

/// Each writes the network that `config` describes; nothing is written if `config.error()` afterwards.
void writeLlama(Config &config, const Checkpoint &checkpoint, Page &page);
void writeQwen3(Config &config, const Checkpoint &checkpoint, Page &page);
void writeQwen3Next(Config &config, const Checkpoint &checkpoint, Page &page);

/// Weights of `linear` in blocks of a format, and the folder where the checkpoint that has them goes.
struct BlockWeights {
  formats::BlockFormat format;
  std::string directory;
};

/// From a checkpoint's directory to a checked page.
Error importCheckpoint(const std::string &directory, Page &page, const std::optional<BlockWeights> &blocks = {});

} // namespace denim::frontends

#endif // FRONTENDS_HF_ARCHITECTURES_ARCHITECTURE_H
