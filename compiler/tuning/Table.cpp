#include "compiler/tuning/Table.h"
#include "compiler/tuning/Choice.h"
#include "compiler/tuning/EmbeddedTables.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace denim::tuning;

std::optional<int64_t> Table::find(StringRef choice, StringRef shape) const {
  for (const Entry &entry : entries)
    if (entry.choice == choice && (entry.shape.empty() || entry.shape == shape))
      return entry.value;
  return std::nullopt;
}

namespace {

class Reader {
public:
  explicit Reader(StringRef file) : file(file) {}

  Expected<Table> read(StringRef text) {
    Expected<json::Value> value = json::parse(text);
    if (!value)
      return fail("expected JSON, but got " + toString(value.takeError()));
    json::Object *object = value->getAsObject();
    json::Array *entries = object ? object->getArray("entries") : nullptr;
    std::optional<StringRef> target = object ? object->getString("target") : std::nullopt;
    if (!target || !entries)
      return fail("expected an object with \"target\" and \"entries\", but got " +
                  (object ? "one without " + Twine(target ? "entries" : "target") : Twine("something else")).str());
    Table table{target->str(), object->getString("chip").value_or("").str(), {}};
    StringSet<> seen;
    for (auto [number, entry] : enumerate(*entries)) {
      Expected<Entry> read = readEntry(entry);
      if (!read)
        return fail("entry " + Twine(number + 1) + ": " + toString(read.takeError()));
      if (!seen.insert(read->choice + " " + read->shape).second)
        return fail("entry " + Twine(number + 1) + ": expected one entry of " + read->choice + " for \"" + read->shape +
                    "\", but got a second");
      table.entries.push_back(std::move(*read));
    }
    return table;
  }

private:
  Error fail(const Twine &what) { return createStringError(file + ": " + what); }

  static Expected<Entry> readEntry(const json::Value &value) {
    const json::Object *object = value.getAsObject();
    if (!object)
      return createStringError("expected an object, but got something else");
    std::optional<StringRef> choice = object->getString("choice"), shape = object->getString("shape");
    if (!choice)
      return createStringError("expected the name of a choice in \"choice\", but got none");
    if (Error error = checkChoice(*choice))
      return error;
    if (!shape || shape->empty())
      return createStringError("expected the shape of a kernel in \"shape\", but got none");
    std::optional<int64_t> number = object->getInteger("value");
    if (!number)
      return createStringError("expected a whole number in \"value\", but got none");
    // What was measured is for people; but a table whose value was never measured does not say what it stands for.
    if (const json::Value *ms = object->get("ms")) {
      const json::Object *rows = ms->getAsObject();
      std::string key = std::to_string(*number);
      bool measured = rows && !rows->empty();
      if (measured)
        for (auto &row : *rows) {
          const json::Object *times = row.second.getAsObject();
          measured &= times && times->getNumber(key).has_value();
        }
      if (!measured)
        return createStringError("expected the milliseconds of " + key +
                                 " in each row of \"ms\", but got a row without them");
    }
    return Entry{choice->str(), shape->str(), *number};
  }

  StringRef file;
};

} // namespace

Expected<Table> denim::tuning::parseTable(StringRef text, StringRef file) {
  return Reader(file).read(text);
}

Expected<Entry> denim::tuning::parseForced(StringRef text) {
  auto [choice, number] = text.rsplit('=');
  int64_t value = 0;
  if (number.empty() || number.getAsInteger(10, value))
    return createStringError("expected CHOICE=NUMBER, but got \"" + text + "\"");
  if (Error error = checkChoice(choice))
    return error;
  return Entry{choice.str(), "", value};
}

const Table *denim::tuning::embeddedTable(StringRef target) {
  // Read when first asked for; the tests of the room read all of them.
  static const StringMap<Table> tables = [] {
    StringMap<Table> all;
    for (const EmbeddedText *one = kEmbeddedTexts; one->text; ++one) {
      Table table = cantFail(parseTable(one->text, one->file));
      all[table.target] = std::move(table);
    }
    return all;
  }();
  auto it = tables.find(target);
  return it == tables.end() ? nullptr : &it->second;
}
