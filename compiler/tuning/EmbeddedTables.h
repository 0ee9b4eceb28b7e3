// The texts of `tables/`, in the compiler.
#ifndef COMPILER_TUNING_EMBEDDEDTABLES_H
#define COMPILER_TUNING_EMBEDDEDTABLES_H

namespace denim::tuning {

struct EmbeddedText {
  const char *file, *text;
};
/// Behind the last stands one without a text. The build writes their definition.
extern const EmbeddedText kEmbeddedTexts[];

} // namespace denim::tuning

#endif // COMPILER_TUNING_EMBEDDEDTABLES_H
