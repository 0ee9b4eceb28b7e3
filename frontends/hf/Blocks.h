// Weights in blocks (formats/blocks): from a checkpoint that has them as numbers to one of a quarter of its size.
#ifndef FRONTENDS_HF_BLOCKS_H
#define FRONTENDS_HF_BLOCKS_H

#include "frontends/builder/Page.h"
#include "frontends/hf/Checkpoint.h"

namespace denim::frontends {

/// Writes what the page reads of the checkpoint to `to`: its weights of `linear`, whose rows are whole blocks, in
/// blocks of the format; all else as it is. Beside the tensors go the files of `from` that describe the model and its
/// text (*.json, *.txt), so that `to` is a checkpoint, too. Then gives the page's parameters these types. Tables that
/// are looked up, experts, norms and convolutions stay as they are. An error where no weight is such, or where an
/// element has no block: it is not finite, or too large for a scale of f16.
Error useBlocks(Page &page, const Checkpoint &checkpoint, formats::BlockFormat format, const std::string &from,
                const std::string &to);

} // namespace denim::frontends

#endif // FRONTENDS_HF_BLOCKS_H
