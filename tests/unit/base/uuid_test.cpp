#include "base/uuid.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <set>
#include <string>

namespace lovage {
namespace {

// Eight, four, four, four and twelve lower-case hexadecimal digits, with the version and the variant in their places.
bool is_uuid(const std::string& text, char version) {
  if (text.size() != 36 || text[14] != version) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : std::isxdigit(text[i]) == 0 || std::isupper(text[i]) != 0) return false;
  }
  return std::string("89ab").find(text[19]) != std::string::npos;
}

TEST(Uuid, HasTheFormOfItsVersion) {
  EXPECT_TRUE(is_uuid(new_uuid(), '4'));
  EXPECT_TRUE(is_uuid(new_task_id(), '7'));
}

TEST(Uuid, OfATaskBeginsWithTheTimeInMilliseconds) {
  const auto prefix = [](const std::string& id) { return std::stoll(id.substr(0, 8) + id.substr(9, 4), nullptr, 16); };
  const auto now = [] {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count();
  };
  const auto before = now();
  const auto made = prefix(new_task_id());
  EXPECT_LE(before, made);
  EXPECT_LE(made, now());
}

TEST(Uuid, IsNeverRepeatedNotInAForkedChildEither) {
  std::set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(ids.insert(new_task_id().substr(13)).second);  // the random part
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::write(fds[1], new_uuid().data(), 36) == 36 ? 0 : 1);
  std::string theirs(36, '\0');
  ASSERT_EQ(::read(fds[0], theirs.data(), theirs.size()), 36);
  EXPECT_NE(theirs, new_uuid());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ::close(fds[0]);
  ::close(fds[1]);
}

}  // namespace
}  // namespace lovage
