// Workflows where task_always_eager runs everything here.
#include <gmock/gmock.h>

#include <lovage/lovage.hpp>

namespace lovage {
namespace {

class EagerWorkflow : public testing::Test {
 protected:
  static Config eager() {
    Config config;
    config.task_always_eager = true;
    return config;
  }

  App app_{"test", eager()};
  Task<int(int, int)> add_ = app_.task("add", [this](int x, int y) { return *sums_.insert(sums_.end(), x + y); });
  Task<int(std::vector<int>, int)> add_all_ = app_.task("add_all", [this](const std::vector<int>& numbers, int more) {
    for (const int number : numbers) more += number;
    return *sums_.insert(sums_.end(), more);
  });
  std::vector<int> sums_;
};

TEST_F(EagerWorkflow, AChainInsideATaskRunsWithinIt) {
  auto outer = app_.task("outer", [this](int x, int y) { (add_.s(x, x) | add_.s(y)).delay(); });
  outer.delay(4, 8).get();
  EXPECT_THAT(sums_, testing::ElementsAre(8, 16));
}

TEST_F(EagerWorkflow, AChordInsideATaskRunsWithinIt) {
  auto outer = app_.task("outer", [this](int x, int y) { chord(group(add_.s(x, x)), add_all_.s(y)).delay(); });
  outer.delay(4, 8).get();
  EXPECT_THAT(sums_, testing::ElementsAre(8, 16));
}

TEST_F(EagerWorkflow, ATaskSeesItsStamps) {
  Object seen;
  auto look = app_.task("look", [&seen](Context& self) { seen = self.request().stamps; });
  look.s().stamp({{"order", "o-7"}}).delay().get();
  EXPECT_EQ(Value(seen), Value(Object{{"order", "o-7"}}));
}

TEST_F(EagerWorkflow, ArgumentsByNameGoToEachHeaderTask) {
  auto sum = app_.task(
      "sum", [](int x, int y) { return x + y; }, params("x", "y"));
  const auto named = [&](int x) { return app_.signature("sum", {x}); };
  const auto flow = group(named(1), named(2)) | app_.signature("add_all", {0});
  EXPECT_EQ(flow.apply_async({.kwargs = {{"y", 10}}}).get(), Value(23));
}

}  // namespace
}  // namespace lovage
