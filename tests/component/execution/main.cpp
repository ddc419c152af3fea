// The tests, and the fork server that their pools start: one program, as a user's app is.
#include <unistd.h>

#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include "execution/fork_server.hpp"
#include "execution/test_tasks.hpp"

int main(int argc, char** argv) {
  using namespace lovage;
  if (argc > 1 && argv[1] == execution::kForkServerFlag) {
    const std::string_view mode = argc > 2 ? argv[2] : "";
    if (mode == "broken") return 1;
    // As a library of the app might: a thread that is there for good.
    if (mode == "threads") std::thread([] { ::pause(); }).detach();
    app::Registry registry;
    execution::add_test_tasks(registry);
    return execution::run_fork_server(registry);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
