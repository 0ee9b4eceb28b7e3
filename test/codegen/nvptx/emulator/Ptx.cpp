#include "test/codegen/nvptx/emulator/Ptx.h"
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <unordered_map>

using namespace denim::ptx;

bool Statement::has(const char *text) const {
  return std::find(opcode.begin(), opcode.end(), text) != opcode.end();
}

std::string Statement::name() const {
  std::string all;
  for (const std::string &part : opcode)
    all += (all.empty() ? "" : ".") + part;
  return all;
}

namespace {

struct Token {
  std::string text;
  int32_t line;
};

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}

/// Words (with their dots, so "ld.shared.b32" is one), "::" inside a word, and single characters.
std::vector<Token> tokenize(const std::string &text) {
  std::vector<Token> tokens;
  int32_t line = 1;
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (c == '\n')
      ++line;
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (c == '/' && i + 1 < text.size() && text[i + 1] == '/') {
      while (i < text.size() && text[i] != '\n')
        ++i;
    } else if (isWord(c)) {
      size_t begin = i;
      while (i < text.size() && (isWord(text[i]) || (text[i] == ':' && i + 1 < text.size() && text[i + 1] == ':') ||
                                 (text[i] == ':' && text[i - 1] == ':')))
        ++i;
      tokens.push_back({text.substr(begin, i - begin), line});
    } else if (c == '"') {
      size_t end = std::min(text.find('"', i + 1), text.size() - 1);
      tokens.push_back({text.substr(i, end + 1 - i), line});
      i = end + 1;
    } else {
      tokens.push_back({std::string(1, c), line});
      ++i;
    }
  }
  return tokens;
}

class Parser {
public:
  Parser(std::vector<Token> tokens, Module &out) : tokens(std::move(tokens)), out(out) {}
  std::string error;

  bool run() {
    while (at < tokens.size() && error.empty()) {
      if (eat(".version") || eat(".target") || eat(".address_size")) {
        while (at < tokens.size() && tokens[at].line == tokens[at - 1].line)
          ++at;
      } else if (eat(".extern")) {
        parseExtern();
      } else if (eat(".visible")) {
        if (!eat(".entry"))
          fail("expected .entry");
        else
          parseEntry();
      } else {
        fail("expected .extern or .visible .entry");
      }
    }
    return error.empty();
  }

private:
  const std::string &peek() const {
    static const std::string none;
    return at < tokens.size() ? tokens[at].text : none;
  }
  std::string next() { return at < tokens.size() ? tokens[at++].text : ""; }
  bool eat(const char *text) {
    if (peek() != text)
      return false;
    ++at;
    return true;
  }
  void expect(const char *text) {
    if (!eat(text))
      fail(std::string("expected '") + text + "'");
  }
  void fail(const std::string &what) {
    if (error.empty())
      error = "line " + std::to_string(at < tokens.size() ? tokens[at].line : -1) + ": " + what + ", but got '" +
              peek() + "'";
    at = tokens.size();
  }

  /// .shared .align 1024 .b8 denim_shared[];
  void parseExtern() {
    expect(".shared");
    if (eat(".align"))
      next();
    next();
    out.dynamicShared.push_back(next());
    expect("[");
    expect("]");
    expect(";");
  }

  void parseEntry() {
    Entry entry;
    entry.name = next();
    expect("(");
    int64_t offset = 0;
    while (error.empty() && !eat(")")) {
      expect(".param");
      int64_t alignment = eat(".align") ? std::atoll(next().c_str()) : 0;
      std::string type = next();
      int64_t bytes = type.size() > 2 ? std::atoi(type.c_str() + 2) / 8 : 0;
      if (bytes < 1)
        fail("expected a parameter of numbers");
      alignment = std::max(alignment, bytes);
      while (peek()[0] == '.')
        if (eat(".align"))
          next();
        else
          next();
      std::string name = next();
      if (eat("[")) {
        bytes *= std::atoll(next().c_str());
        expect("]");
      }
      offset = (offset + alignment - 1) / alignment * alignment;
      entry.parameters.push_back({name, offset, bytes});
      offset += bytes;
      eat(",");
    }
    while (error.empty() && peek() != "{") {
      bool threads = peek() == ".maxntid";
      next();
      int64_t number = std::atoll(next().c_str());
      if (threads)
        entry.mostThreads = number;
      while (eat(","))
        next();
    }
    out.entries.push_back(std::move(entry));
    parseScope(out.entries.back());
    Entry &done = out.entries.back();
    for (auto [statement, label] : branches) {
      auto it = labels.find(label);
      if (it == labels.end() && error.empty())
        error = "line " + std::to_string(done.statements[statement].line) + ": expected the label " + label +
                " to be in the entry, but it is not";
      else if (error.empty())
        done.statements[statement].target = it->second;
    }
    for (auto [statement, table] : jumps)
      for (const std::string &label : tables[table]) {
        if (!labels.count(label) && error.empty())
          error = "line " + std::to_string(done.statements[statement].line) + ": expected the label " + label +
                  " to be in the entry, but it is not";
        done.statements[statement].targets.push_back(labels[label]);
      }
    branches.clear();
    jumps.clear();
    tables.clear();
    labels.clear();
  }

  void parseScope(Entry &entry) {
    expect("{");
    scopes.emplace_back();
    while (error.empty() && !eat("}")) {
      if (at >= tokens.size())
        return fail("expected '}'");
      if (peek() == "{")
        parseScope(entry);
      else if (eat(".reg"))
        parseRegisters(entry);
      else if (eat(".pragma"))
        while (!eat(";") && at < tokens.size())
          next();
      else if (at + 1 < tokens.size() && tokens[at + 1].text == ":") {
        std::string label = next();
        next();
        // label: .branchtargets a, b;
        if (eat(".branchtargets"))
          do
            tables[label].push_back(next());
          while (eat(","));
        else
          labels[label] = int32_t(entry.statements.size());
        eat(";");
      } else
        parseStatement(entry);
    }
    scopes.pop_back();
  }

  /// .reg .pred %p<5>; .reg .b16 l, h;
  void parseRegisters(Entry &entry) {
    std::string type = next();
    RegisterClass kind = RegisterClass::predicate;
    if (type != ".pred") {
      int width = type.size() > 2 ? std::atoi(type.c_str() + 2) : 0;
      if (width != 16 && width != 32 && width != 64)
        return fail("expected registers of 16, 32 or 64 bits");
      kind = width == 16 ? RegisterClass::bits16 : width == 32 ? RegisterClass::bits32 : RegisterClass::bits64;
    }
    do {
      std::string name = next();
      int64_t count = -1;
      if (eat("<")) {
        count = std::atoll(next().c_str());
        expect(">");
      }
      for (int64_t i = 0; i < std::max<int64_t>(count, 1); ++i) {
        std::string own = count < 0 ? name : name + std::to_string(i);
        scopes.back()[own] = int32_t(entry.registers.size());
        entry.registers.push_back({own, kind});
      }
    } while (eat(","));
    expect(";");
  }

  int32_t find(const std::string &name) const {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
      if (auto it = scope->find(name); it != scope->end())
        return it->second;
    return -1;
  }

  void parseStatement(Entry &entry) {
    Statement statement;
    statement.line = tokens[at].line;
    if (eat("@")) {
      statement.guardNegated = eat("!");
      statement.guard = find(next());
      if (statement.guard < 0)
        return fail("expected a predicate");
    }
    std::string opcode = next();
    for (size_t begin = 0; begin <= opcode.size();) {
      size_t end = std::min(opcode.find('.', begin), opcode.size());
      statement.opcode.push_back(opcode.substr(begin, end - begin));
      begin = end + 1;
    }
    if (opcode == "bra" || opcode == "bra.uni")
      branches.push_back({entry.statements.size(), next()});
    else if (opcode == "brx.idx" || opcode == "brx.idx.uni") {
      statement.operands.push_back(parseOperand());
      expect(",");
      jumps.push_back({entry.statements.size(), next()});
    } else
      while (error.empty() && peek() != ";") {
        statement.operands.push_back(parseOperand());
        if (!eat(",") && !(peek() == "|" && eat("|")) && peek() != ";")
          fail("expected ',' or ';'");
      }
    expect(";");
    entry.statements.push_back(std::move(statement));
  }

  static bool isNumber(const std::string &text) {
    return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0]));
  }

  Operand parseOperand() {
    Operand operand;
    if (eat("{")) {
      operand.kind = Operand::Kind::list;
      while (error.empty() && !eat("}")) {
        operand.list.push_back(parseOperand());
        eat(",");
      }
      return operand;
    }
    if (eat("[")) {
      operand.kind = Operand::Kind::address;
      operand.name = next();
      operand.index = find(operand.name);
      if (eat("+"))
        operand.value = std::strtoll(signedNumber().c_str(), nullptr, 0);
      if (eat(","))
        operand.list.push_back(parseOperand());
      expect("]");
      return operand;
    }
    if (eat("!"))
      operand.negated = true;
    if (peek() == "-" || isNumber(peek())) {
      std::string text = signedNumber();
      if (text.rfind("0f", 0) == 0 || text.rfind("0d", 0) == 0) {
        operand.kind = Operand::Kind::real;
        operand.wide = text[1] == 'd';
        operand.value = int64_t(std::strtoull(text.c_str() + 2, nullptr, 16));
      } else {
        operand.kind = Operand::Kind::integer;
        // Values above 2^63 are written without a sign.
        operand.value =
            text[0] == '-' ? std::strtoll(text.c_str(), nullptr, 0) : int64_t(std::strtoull(text.c_str(), nullptr, 0));
      }
      return operand;
    }
    operand.name = next();
    if (operand.name == "_")
      return operand;
    operand.index = find(operand.name);
    operand.kind = operand.index < 0 ? Operand::Kind::symbol : Operand::Kind::reg;
    return operand;
  }
  std::string signedNumber() {
    std::string sign = eat("-") ? "-" : "";
    return sign + next();
  }

  std::vector<Token> tokens;
  Module &out;
  size_t at = 0;
  std::vector<std::unordered_map<std::string, int32_t>> scopes;
  std::unordered_map<std::string, int32_t> labels;
  std::vector<std::pair<size_t, std::string>> branches, jumps;
  std::unordered_map<std::string, std::vector<std::string>> tables;
};

} // namespace

bool denim::ptx::parse(const std::string &text, Module &out, std::string &error) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = std::min(text.find('\n', begin), text.size());
    out.lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  Parser parser(tokenize(text), out);
  if (parser.run())
    return true;
  error = parser.error;
  return false;
}

bool Mutation::apply(std::string &text) const {
  if (from.empty())
    return false;
  int64_t count = 0, changed = 0;
  for (size_t position = 0; (position = text.find(from, position)) != std::string::npos;) {
    size_t header = text.rfind(".entry ", position);
    bool inside = header != std::string::npos &&
                  text.substr(header, text.find('(', header) - header).find(entry) != std::string::npos;
    if (!inside || (at && ++count != at)) {
      position += from.size();
      continue;
    }
    text.replace(position, from.size(), to);
    position += to.size();
    ++changed;
  }
  return changed > 0;
}
