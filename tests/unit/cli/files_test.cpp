// What -A names and the pid file: with real files, in a folder of the test's own.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <lovage/error.hpp>

#include "cli/app_target.hpp"
#include "cli/pid_file.hpp"
#include "cli/print.hpp"
#include "cli/queue_choice.hpp"
#include "support/temp_dir.hpp"

namespace lovage::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

class Folder : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& text, bool may_run = false) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    if (may_run) fs::permissions(folder_ / name, fs::perms::owner_exec, fs::perm_options::add);
    return folder_ / name;
  }
  const test::TempDir temporary_;
  const fs::path folder_ = temporary_.path();
};

using FindApp = Folder;

TEST_F(FindApp, TellsProgramsFromLibraries) {
  fs::copy("/proc/self/exe", folder_ / "shop");
  EXPECT_EQ(find_app("./shop", folder_, "worker").kind, AppTarget::Kind::program);
  EXPECT_EQ(find_app("shop", folder_, "worker").path, folder_ / "shop");
  write("run.sh", "#!/bin/sh\n", true);
  EXPECT_EQ(find_app("./run.sh", folder_, "worker").kind, AppTarget::Kind::program);
}

TEST_F(FindApp, ABareNameMeansTheLibraryOfThatName) {
  // A shared library without an interpreter: the smallest ELF header that says so.
  std::string header(64, '\0');
  header.replace(0, 7,
                 "\x7f"
                 "ELF\x02\x01\x01");
  header[16] = 3;   // ET_DYN
  header[54] = 56;  // the size of a program header
  write("libshop.so", header);
  EXPECT_EQ(find_app("shop", folder_, "worker").kind, AppTarget::Kind::library);
  EXPECT_EQ(find_app("shop", folder_, "worker").path, folder_ / "libshop.so");
}

TEST_F(FindApp, SaysWhenItIsAPythonApp) {
  write("proj/__init__.py", "");
  for (const std::string name : {"proj", "proj.celery", "proj.celery:app", "tasks"}) {
    EXPECT_THAT([&] { find_app(name, folder_, "status"); },
                ThrowsMessage<ConfigError>(HasSubstr("drop -A and use -b URL")))
        << name;
  }
  EXPECT_THAT([&] { find_app("proj", folder_, "worker"); }, ThrowsMessage<ConfigError>(HasSubstr("celery worker")));
}

TEST_F(FindApp, SaysWhenThereIsNoSuchFile) {
  EXPECT_THAT([&] { find_app("./libshop.so", folder_, "worker"); },
              ThrowsMessage<ConfigError>(HasSubstr("there is no such file")));
  EXPECT_THAT([&] { find_app("./libshop.so", folder_, "worker"); },
              ThrowsMessage<ConfigError>(Not(HasSubstr("Python"))));
}

TEST_F(FindApp, SaysWhenAFileIsNoApp) {
  write("libshop.so", "this is text");
  EXPECT_THAT([&] { find_app("./libshop.so", folder_, "worker"); },
              ThrowsMessage<ConfigError>(HasSubstr("neither a shared library nor a program")));
  EXPECT_THAT([&] { load_app(folder_ / "libshop.so"); }, ThrowsMessage<ConfigError>(HasSubstr("Unable to load app")));
}

using PidFiles = Folder;

TEST_F(PidFiles, HoldTheProcessIdAndGoAway) {
  const fs::path path = folder_ / "worker.pid";
  {
    const PidFile file(path.string());
    pid_t pid = 0;
    std::ifstream(path) >> pid;
    EXPECT_EQ(pid, ::getpid());
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(PidFiles, OfALivingProcessAreRespected) {
  const auto path = write("worker.pid", std::to_string(::getppid()) + "\n");
  EXPECT_THAT([&] { PidFile file(path.string()); }, ThrowsMessage<CannotCreate>(HasSubstr("running process")));
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(PidFiles, OfADeadProcessOrNonsenseAreReplaced) {
  for (const std::string text : {"999999999\n", "", "rubbish"}) {
    const auto path = write("worker.pid", text);
    const PidFile file(path.string());
    pid_t pid = 0;
    std::ifstream(path) >> pid;
    EXPECT_EQ(pid, ::getpid()) << text;
  }
}

TEST_F(PidFiles, InAMissingFolderAreAnError) {
  EXPECT_THROW(PidFile((folder_ / "no" / "worker.pid").string()), CannotCreate);
}

TEST(Names, AreSplitAtCommas) {
  EXPECT_THAT(split_names("a, b,,c "), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split_names(""), ElementsAre());
}

TEST(Tables, LineUp) {
  EXPECT_EQ(format_table({{"Queue", "Ready"}, {"celery", "7"}, {"b\xc3\xa9", "1200"}}),
            "Queue   Ready\n"
            "celery      7\n"
            "b\xc3\xa9       1200\n");
}

TEST(Counts, AreWords) {
  EXPECT_EQ(count_of(0, "message"), "0 messages");
  EXPECT_EQ(count_of(1, "message"), "1 message");
}

}  // namespace
}  // namespace lovage::cli
