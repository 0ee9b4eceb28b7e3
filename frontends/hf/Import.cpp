#include "frontends/hf/Blocks.h"
#include "frontends/hf/architectures/Architecture.h"
#include "mlir/IR/Verifier.h"

using namespace denim;
using namespace denim::frontends;

namespace {
struct Family {
  llvm::StringRef modelType;
  void (*write)(Config &, const Checkpoint &, Page &);
};
} // namespace

static constexpr Family kFamilies[] = {
    {"llama", writeLlama},
    {"qwen3", writeQwen3},
    {"qwen3_next", writeQwen3Next},
};

Error frontends::importCheckpoint(const std::string &directory, Page &page, const std::optional<BlockWeights> &blocks) {
  Config config;
  if (Error error = Config::read(directory, config))
    return error;
  std::string modelType = config.word("model_type", "");
  const Family *family = llvm::find_if(kFamilies, [&](const Family &f) { return f.modelType == modelType; });
  if (family == std::end(kFamilies))
    return Error::of("config.json: expected model_type llama, qwen3 or qwen3_next, but got \"", modelType, '"');
  Checkpoint checkpoint;
  if (Error error = Checkpoint::open(directory, checkpoint))
    return error;
  family->write(config, checkpoint, page);
  if (config.error())
    return config.error();
  if (Error error = checkpoint.check(page.getModule()))
    return error;
  if (blocks)
    if (Error error = useBlocks(page, checkpoint, blocks->format, directory, blocks->directory))
      return error;
  if (failed(mlir::verify(page.getModule())))
    return Error::of("config.json: expected a network that verifies, but got the error above");
  return {};
}
