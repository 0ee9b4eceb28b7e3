// Whether what is compiled from a page computes what the page says: every form of a sequence against the page run op by
// op in double precision.
#include "compiler/driver/Compilation.h"
#include "compiler/driver/InputText.h"
#include "compiler/evaluator/Evaluator.h"
#include "compiler/tools/denim-check/CaseFile.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <limits>
#include <random>

using namespace denim;
using namespace denim::check;
namespace cl = llvm::cl;

static cl::OptionCategory category("denim-check options");
static cl::opt<std::string> input(cl::Positional, cl::desc("<model.mlir>"), cl::init("-"), cl::cat(category));
static cl::opt<std::string> weights("weights", cl::desc("checkpoint, or random"), cl::init("random"),
                                    cl::value_desc("DIR|random"), cl::cat(category));
static cl::opt<std::string> target("target", cl::desc("as for denim-compile; of the device by default"),
                                   cl::cat(category));
static cl::opt<std::string> device("device", cl::desc("cpu, or cuda"), cl::init("cpu"), cl::cat(category));
static cl::opt<bool> planOfCuda("plan-of-cuda",
                                cl::desc("run the plan and the tile programs of a CUDA device on the CPU"),
                                cl::cat(category));
static cl::opt<bool> exact("exact", cl::desc("with activations and products of a CUDA device near f32"),
                           cl::cat(category));
static cl::opt<std::string> pages("pages", cl::desc("as for denim-compile"), cl::value_desc("f32|bf16|f16"),
                                  cl::cat(category));
static cl::opt<std::string> assembler("assembler", cl::desc("as for denim-compile"), cl::value_desc("path"),
                                      cl::cat(category));
static cl::list<std::string> forced("choose", cl::desc("as for denim-compile"), cl::value_desc("KIND.CHOICE=VALUE"),
                                    cl::cat(category));
static cl::opt<int64_t> tokenCount("tokens", cl::desc("length of the sequences"), cl::init(150), cl::cat(category));
static cl::list<int64_t> chunkSizes("chunks", cl::desc("sizes of chunks (7, 64)"), cl::CommaSeparated,
                                    cl::cat(category));
static cl::list<int64_t> lengths("lengths", cl::desc("lengths to cut to (1, 37, 63, 64, 65)"), cl::CommaSeparated,
                                 cl::cat(category));
static cl::opt<bool> single("single", cl::desc("also token by token (true)"), cl::init(true), cl::cat(category));
static cl::opt<int64_t> chunk("chunk", cl::desc("tokens per chunk of a linear recurrence"), cl::init(64),
                              cl::cat(category));
static cl::opt<uint64_t> seed("seed", cl::desc("of tokens and random weights"), cl::init(1), cl::cat(category));
static cl::opt<double>
    tolerance("tolerance",
              cl::desc("share of the largest logit that a logit may be off (2e-5; 0.04 where activations or pages are "
                       "bf16, 0.005 where pages are f16; unless given, more for tokens whose logits move by more when "
                       "the weights do by a rounding)"),
              cl::init(0), cl::cat(category));
static cl::opt<std::string> keep("keep", cl::desc("folder for the module (m.denim) and random weights (w.safetensors)"),
                                 cl::value_desc("DIR"), cl::cat(category));
static cl::opt<std::string> caseFolder("write-case",
                                       cl::desc("folder for all that run-check-case needs to do this check elsewhere; "
                                                "nothing is run here"),
                                       cl::value_desc("DIR"), cl::cat(category));

static cl::opt<bool> exactToo("exact-too",
                              cl::desc("with --write-case, where activations are bf16: also a module near f32 (true)"),
                              cl::init(true), cl::cat(category));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "denim-check: " << message << '\n';
  return 1;
}

namespace {

/// What logits may be off: a share of the largest of all; or, where the page itself says so, more. A norm of what is
/// nearly nothing, a score that decides, make of one rounding a difference that every kernel has and no kernel can
/// avoid. How much, double precision tells: the page is run again with all weights moved by up to one rounding.
struct Precision {
  double share;
  double rounding; ///< relative; of what is rounded most coarsely on the way
  double times;    ///< how many such moves a token may be off; 0: its share alone
};
/// f32: about 1e-6 of the largest logit is seen, and up to 27 moves, for sums of hundreds of terms round at each.
constexpr Precision kExactPrecision{2e-5, 0x1p-24, 64};
/// bf16, some tens of times on the way to a logit, and never inside of a sum: 1 move is usual, 5 are seen.
constexpr Precision kRoundedPrecision{0.04, 0x1p-9, 8};
/// Keys and values in f16: an eighth of bf16.
constexpr Precision kHalfPrecision{0.005, 0x1p-12, 8};
/// Runs with moved weights: one alone may happen not to move what a kernel moves.
constexpr int kMoves = 3;
/// A difference says nothing where a recurrence diverges: its rounding errors grow as fast as its values.
constexpr double kLargestLogit = 1e6;

/// A folder that goes when the program ends, or the one that the user named.
class Folder {
public:
  std::error_code open() {
    const std::string &named = caseFolder.empty() ? keep : caseFolder;
    if (!named.empty()) {
      path = named;
      return llvm::sys::fs::create_directories(named);
    }
    isTemporary = true;
    llvm::SmallString<128> made;
    std::error_code fault = llvm::sys::fs::createUniqueDirectory("denim-check", made);
    path = made.str();
    return fault;
  }
  ~Folder() {
    if (isTemporary && !path.empty())
      llvm::sys::fs::remove_directories(path);
  }
  std::string file(llvm::StringRef name) const {
    llvm::SmallString<128> whole(path);
    llvm::sys::path::append(whole, name);
    return std::string(whole);
  }

private:
  std::string path;
  bool isTemporary = false;
};

bool runsOnCuda() {
  return llvm::StringRef(device).starts_with("cuda");
}
/// Activations in bf16.
bool isRounded() {
  return (planOfCuda || runsOnCuda()) && !exact;
}
Precision precision() {
  if (tolerance > 0)
    return {tolerance, 0, 0};
  return isRounded() || pages == "bf16" ? kRoundedPrecision : pages == "f16" ? kHalfPrecision : kExactPrecision;
}

/// The bytes of the module file. `page` is changed.
llvm::Expected<std::string> compilePage(mlir::ModuleOp page, bool exact, llvm::StringRef pages) {
  CompileOptions options;
  options.source = input;
  options.pipeline.chunk = chunk;
  options.pipeline.pages = pages.str();
  options.exact = exact;
  options.assembler = assembler;
  for (const std::string &choice : forced) {
    llvm::Expected<tuning::Entry> entry = tuning::parseForced(choice);
    if (!entry)
      return llvm::createStringError("--choose: " + llvm::toString(entry.takeError()));
    options.forced.push_back(std::move(*entry));
  }
  std::string name = target;
  if (name.empty())
    name = runsOnCuda() ? "nvptx" : "cpu,native";
  auto targets = parseTargets(name);
  if (!targets)
    return targets.takeError();
  options.machines = *targets;
  if (!planOfCuda)
    return compile(page, options);
  // The text of the tile phase says no more of its machine: it is compiled on for another.
  CompileOptions toTile = options;
  toTile.machines = {{Machine::Cuda, {}}};
  if (auto cuda = parseTargets("nvptx"))
    toTile.machines = *cuda;
  else
    return cuda.takeError();
  toTile.emit = Emit::Tile;
  toTile.to = Phase::Tile;
  llvm::Expected<std::string> text = compile(page, toTile);
  if (!text)
    return text;
  auto tiles = mlir::parseSourceString<mlir::ModuleOp>(*text, page->getContext());
  if (!tiles)
    return llvm::createStringError("expected the text of the tile phase to be read back");
  options.from = Phase::Tile;
  options.forced.clear(); // the text says what was chosen
  options.pipeline.pages.clear();
  return compile(*tiles, options);
}

/// Compiles `page`, which is changed, to `path`. On failure a line for people.
std::optional<std::string> writeModule(mlir::ModuleOp page, bool exact, llvm::StringRef pages,
                                       const std::string &path) {
  llvm::Expected<std::string> bytes = compilePage(page, exact, pages);
  if (!bytes)
    return llvm::toString(bytes.takeError());
  std::error_code fault;
  llvm::raw_fd_ostream file(path, fault);
  file << *bytes;
  file.close();
  if (fault || file.has_error())
    return "'" + path + "': expected to write the module, but could not";
  return std::nullopt;
}

llvm::Expected<std::vector<Expected>> expectedLogits(mlir::ModuleOp page, const Parameters &parameters,
                                                     int64_t vocabulary, llvm::ArrayRef<Form> forms) {
  std::mt19937_64 source(seed);
  std::uniform_int_distribution<int32_t> any(0, int32_t(vocabulary - 1));
  std::vector<Expected> expected(kSequences);
  for (auto [i, one] : llvm::enumerate(expected)) {
    // The first is fed alone as well, the others beside it only.
    int64_t length = 0;
    for (const Form &form : forms)
      length = std::max(length, form.tokensOf(i));
    if (length == 0)
      continue;
    for (int64_t t = 0; t < length; ++t)
      one.tokens.push_back(any(source));
    auto logits = evaluateNetwork(page, parameters, one.tokens);
    if (mlir::failed(logits))
      return llvm::createStringError("expected a page that can be evaluated");
    one.logits = logits->values();
  }
  return expected;
}

/// Adds what logits of each token may be off in a module of such a precision.
llvm::Error addLimits(mlir::ModuleOp page, const Parameters &parameters, const Precision &precision, double largest,
                      std::vector<Expected> &expected) {
  for (Expected &one : expected)
    one.limits.resize(one.limits.size() + one.tokens.size(),
                      std::max(precision.share * largest, std::numeric_limits<double>::min()));
  std::mt19937_64 source(seed);
  std::uniform_real_distribution<double> any(-precision.rounding, precision.rounding);
  for (int move = 0; move < (precision.times > 0 ? kMoves : 0); ++move) {
    Parameters moved = parameters;
    for (auto &[name, tensor] : moved)
      for (double &value : tensor.values())
        value += value * any(source);
    for (Expected &one : expected) {
      if (one.tokens.empty())
        continue;
      auto logits = evaluateNetwork(page, moved, one.tokens);
      if (mlir::failed(logits))
        return llvm::createStringError("expected a page that can be evaluated");
      size_t vocabulary = one.logits.size() / one.tokens.size();
      double *limits = one.limits.data() + one.limits.size() - one.tokens.size();
      for (size_t i = 0; i < one.logits.size(); ++i)
        limits[i / vocabulary] =
            std::max(limits[i / vocabulary], precision.times * std::fabs(logits->values()[i] - one.logits[i]));
    }
  }
  return llvm::Error::success();
}

/// Ids of tokens are rows of the table that is looked up.
int64_t vocabularyOf(mlir::ModuleOp page) {
  int64_t rows = 0;
  page.walk([&](mlir::Operation *op) {
    if (op->getName().getStringRef() == "model.embed")
      rows = llvm::cast<mlir::RankedTensorType>(op->getOperand(1).getType()).getDimSize(0);
  });
  return rows;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "compares what is compiled from a page with what the page says\n");
  if (tokenCount < 1)
    return fail("expected --tokens to be at least 1, but got " + llvm::Twine(tokenCount));
  if (!caseFolder.empty() && (weights != "random" || !keep.empty()))
    return fail("expected --write-case without --weights and --keep: a case has random weights in its own folder");
  std::vector<int64_t> chunks = chunkSizes, cuts = lengths;
  // 64 is the chunk of a linear recurrence and a page of the cache; 7 tokens are too few for a chunk.
  if (chunks.empty())
    chunks = {7, 64};
  if (cuts.empty())
    cuts = {1, 37, 63, 64, 65};
  for (int64_t number : llvm::concat<int64_t>(chunks, cuts))
    if (number < 1)
      return fail("expected --chunks and --lengths of at least 1, but got " + llvm::Twine(number));
  for (int64_t length : lengths)
    if (length > tokenCount)
      return fail("expected --lengths of at most the " + llvm::Twine(tokenCount) + " of --tokens, but got " +
                  llvm::Twine(length));

  std::unique_ptr<InputText> text = InputText::read(input, "denim-check");
  if (!text)
    return 1;
  mlir::ModuleOp page = text->module();
  auto types = parametersOf(page);
  if (mlir::failed(types))
    return 1;
  Folder folder;
  if (std::error_code fault = folder.open())
    return fail("'" + (caseFolder.empty() ? keep : caseFolder) + "': " + fault.message());

  std::string weightsPath = weights;
  Parameters parameters;
  if (weights == "random") {
    parameters = randomParameters(*types, seed);
    weightsPath = folder.file("w.safetensors");
    if (llvm::Error fault = writeParameters(*types, parameters, weightsPath))
      return fail(llvm::toString(std::move(fault)));
  } else if (auto read = readParameters(*types, weights)) {
    parameters = std::move(*read);
  } else {
    return fail(llvm::toString(read.takeError()));
  }
  std::vector<Form> forms = formsOf(tokenCount, chunks, cuts, single);
  auto expected = expectedLogits(page, parameters, vocabularyOf(page), forms);
  if (!expected)
    return fail(llvm::toString(expected.takeError()));
  double largest = 0;
  for (const Expected &one : *expected)
    for (double logit : one.logits)
      largest = std::max(largest, std::fabs(logit));
  if (!(largest < kLargestLogit))
    return fail(
        llvm::formatv("expected logits below {0}, but got one of {1:e1}: what the page says grows without bound "
                      "with these weights",
                      int64_t(kLargestLogit), largest));
  bool both = !caseFolder.empty() && exactToo && isRounded();
  if (llvm::Error fault = addLimits(page, parameters, precision(), largest, *expected))
    return fail(llvm::toString(std::move(fault)));
  if (both) // whatever the other may be off
    if (llvm::Error fault = addLimits(page, parameters, kExactPrecision, largest, *expected))
      return fail(llvm::toString(std::move(fault)));
  Case one{tokenCount, single, chunks, cuts, both ? 2 : 1, std::move(*expected)};
  mlir::OwningOpRef<mlir::ModuleOp> again = both ? page.clone() : mlir::ModuleOp();
  std::string modulePath = folder.file("m.denim");
  if (auto wrong = writeModule(page, exact, pages, modulePath))
    return fail(*wrong);
  if (both)
    if (auto wrong = writeModule(*again, true, /*pages=*/"", folder.file("exact.denim")))
      return fail(*wrong);
  if (!caseFolder.empty()) {
    if (auto wrong = writeCase(one, caseFolder))
      return fail(*wrong);
    return 0;
  }
  Runner runner;
  if (auto wrong = runner.open(modulePath, weightsPath, device, tokenCount))
    return fail(*wrong);
  bool isRight = true;
  if (auto wrong = runForms(runner, one, 0, isRight))
    return fail(*wrong);
  return isRight ? 0 : 1;
}
