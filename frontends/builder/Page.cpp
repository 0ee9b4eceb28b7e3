#include "frontends/builder/Page.h"
#include "dialects/attn/ir/Attn.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include <array>

using namespace mlir;
using namespace denim;
using namespace denim::frontends;

Page::Page(MLIRContext &context) {
  context.loadDialect<model::ModelDialect, attn::AttnDialect>();
  module = ModuleOp::create(UnknownLoc::get(&context));
}

/// `%norm = param "norm.weight" : tensor<64xf32>` in three columns.
using Columns = std::array<std::string, 3>;
static bool splitParameter(StringRef line, Columns &columns) {
  auto [name, rest] = line.split(" = param ");
  size_t quote = rest.find("\" : ");
  if (rest.empty() || quote == StringRef::npos)
    return false;
  columns = {name.str(), rest.take_front(quote + 1).str(), rest.drop_front(quote + 4).str()};
  return true;
}

/// Lets consecutive parameters line up.
static void alignParameters(std::vector<std::string> &lines) {
  for (size_t begin = 0, end; begin < lines.size(); begin = end + 1) {
    std::vector<Columns> rows;
    Columns columns;
    for (end = begin; end < lines.size() && splitParameter(lines[end], columns); ++end)
      rows.push_back(columns);
    size_t nameWidth = 0, tensorWidth = 0;
    for (auto &row : rows) {
      nameWidth = std::max(nameWidth, row[0].size());
      tensorWidth = std::max(tensorWidth, row[1].size());
    }
    for (auto [i, row] : llvm::enumerate(rows))
      lines[begin + i] = row[0] + std::string(nameWidth - row[0].size(), ' ') + " = param " + row[1] +
                         std::string(tensorWidth - row[1].size(), ' ') + " : " + row[2];
  }
}

/// The text of a block or a network, line by line: its head, one line for each op of the body, a closing brace.
static std::vector<std::string> linesOf(Operation &op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op.print(stream, OpPrintingFlags().useLocalScope().printNameLocAsPrefix());
  std::vector<std::string> lines;
  for (StringRef line : llvm::split(StringRef(text).rtrim(), '\n'))
    lines.push_back(line.str());
  return lines;
}

void Page::print(llvm::raw_ostream &out) {
  out << "// " << title << '\n';
  for (Operation &structure : module->getOps()) {
    std::vector<std::string> lines = linesOf(structure);
    std::vector<std::string> page{""};
    if (const std::string &comment = above.lookup(&structure); !comment.empty())
      page.push_back("// " + comment);
    page.push_back(lines.front());
    for (auto [i, op] : llvm::enumerate(structure.getRegion(0).front())) {
      auto paragraph = above.find(&op);
      if (paragraph != above.end()) {
        page.push_back("");
        if (!paragraph->second.empty())
          page.push_back("  // " + paragraph->second);
      }
      page.push_back(lines[i + 1]);
    }
    page.push_back(lines.back());
    alignParameters(page);
    for (const std::string &line : page)
      out << line << '\n';
  }
}
