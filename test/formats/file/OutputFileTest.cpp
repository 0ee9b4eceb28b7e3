//===- OutputFileTest.cpp - what is there before, while and after writing -===//

#include "formats/file/OutputFile.h"
#include "test/formats/TemporaryDirectory.h"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

using namespace denim::formats;
using denim::test::TemporaryDirectory;

namespace {

std::string contentOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Error writeFile(const std::string &path, const std::string &content) {
  OutputFile file;
  if (Error error = file.open(path))
    return error;
  return file.keep(content);
}

size_t filesIn(const TemporaryDirectory &directory) {
  return std::distance(std::filesystem::directory_iterator(directory.path), {});
}

TEST(OutputFile, AppearsWhenItIsKept) {
  TemporaryDirectory directory;
  std::string path = directory.write("f", "before");
  OutputFile file;
  ASSERT_FALSE(file.open(path));
  ASSERT_FALSE(file.write("after", 5));
  EXPECT_EQ(contentOf(path), "before");
  ASSERT_FALSE(file.keep());
  EXPECT_EQ(contentOf(path), "after");
  EXPECT_EQ(filesIn(directory), 1u);
}

TEST(OutputFile, LeavesWhatWasThereUnlessItIsKept) {
  TemporaryDirectory directory;
  std::string path = directory.write("f", "before");
  {
    OutputFile file;
    ASSERT_FALSE(file.open(path));
    EXPECT_EQ(filesIn(directory), 1u) << "nothing is created before the first byte";
    ASSERT_FALSE(file.write("after", 5));
  }
  EXPECT_EQ(contentOf(path), "before");
  EXPECT_EQ(filesIn(directory), 1u);
}

TEST(OutputFile, MayBeEmpty) {
  TemporaryDirectory directory;
  ASSERT_FALSE(writeFile(directory.file("f"), ""));
  EXPECT_TRUE(std::filesystem::exists(directory.file("f")));
}

// Who reads by a mapping or an open file goes on reading what it opened.
TEST(OutputFile, ReplacesTheFileNotItsBytes) {
  TemporaryDirectory directory;
  std::string path = directory.write("f", "before");
  std::ifstream reader(path);
  ASSERT_FALSE(writeFile(path, "after"));
  std::string seen;
  reader >> seen;
  EXPECT_EQ(seen, "before");
}

TEST(OutputFile, FollowsALink) {
  TemporaryDirectory directory;
  std::string path = directory.write("f", "before"), link = directory.file("link");
  ASSERT_EQ(symlink("f", link.c_str()), 0);
  ASSERT_FALSE(writeFile(link, "after"));
  EXPECT_EQ(contentOf(path), "after");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

// A device that gave its name away to a file would be gone for everybody.
TEST(OutputFile, WritesIntoWhatIsNoFile) {
  TemporaryDirectory directory;
  std::string pipe = directory.file("pipe"), link = directory.file("link");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ASSERT_EQ(symlink("pipe", link.c_str()), 0);
  std::fstream reader(pipe, std::ios::in | std::ios::out); // keeps the pipe open
  for (const std::string &name : {pipe, link}) {
    ASSERT_FALSE(writeFile(name, "word\n"));
    std::string seen;
    reader >> seen;
    EXPECT_EQ(seen, "word");
    EXPECT_TRUE(std::filesystem::is_fifo(name));
  }
  EXPECT_EQ(filesIn(directory), 2u);
}

TEST(OutputFile, RefusesBeforeTheWork) {
  TemporaryDirectory directory;
  directory.write("f", "");
  auto refusal = [](const std::string &path) { return OutputFile().open(path).message(); };
  EXPECT_EQ(refusal("/nonexistent/x"), "cannot write '/nonexistent/x': No such file or directory");
  EXPECT_EQ(refusal(directory.path), "cannot write '" + directory.path + "': Is a directory");
  EXPECT_EQ(refusal(directory.file("f/x")), "cannot write '" + directory.file("f/x") + "': Not a directory");
  EXPECT_EQ(refusal(""), "cannot write '': No such file or directory");
}

TEST(OutputFile, TellsOfAFullDisk) {
  TemporaryDirectory directory;
  std::string full = directory.file("full"); // a link, so that a test that fails does no harm
  ASSERT_EQ(symlink("/dev/full", full.c_str()), 0);
  EXPECT_EQ(writeFile(full, "x").message(), "cannot write '" + full + "': No space left on device");
  EXPECT_TRUE(std::filesystem::is_character_file(full));
}

} // namespace
