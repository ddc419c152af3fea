// Running a task: its arguments, its signals, its exceptions and where they were thrown.
#include <gmock/gmock.h>

#include <filesystem>
#include <functional>

#include <lovage/app.hpp>
#include <lovage/error.hpp>

#include "app/core.hpp"
#include "app/invoke.hpp"
#include "app/symbols.hpp"
#include "support/fake_engines.hpp"

namespace shop {

struct OutOfStock : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Not inlined: the names are what the tests look for.
[[gnu::noinline]] void throw_deep_down(int depth) {
  if (depth == 0) throw std::invalid_argument("boom");
  throw_deep_down(depth - 1);
}

[[gnu::noinline]] void swallow_another_one() {
  try {
    throw std::out_of_range("caught and gone");
  } catch (const std::out_of_range&) {
  }
}

}  // namespace shop

namespace lovage {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TestState final : public Context::State {
 public:
  void update_state(std::string_view state, Value meta) override { states.emplace_back(state, std::move(meta)); }
  std::vector<std::pair<std::string, Value>> states;
};

class InvokeTest : public testing::Test {
 protected:
  template <class F>
  app::Invocation run(F function, TaskOptions options = {}, Array args = {}, Object kwargs = {}) {
    const auto name = "t" + std::to_string(app_.core().registry().names().size());
    app_.task(name, std::move(function), std::move(options));
    state_.request.task = name;
    state_.request.id = "id-1";
    state_.request.args = std::move(args);
    state_.request.kwargs = std::move(kwargs);
    return app::invoke(*app_.core().registry().find(name), state_, random_);
  }

  App app_{"test", Config{}};
  TestState state_;
  std::uint64_t random_ = 0;
};

TEST_F(InvokeTest, ReturnsTheValue) {
  EXPECT_EQ(
      std::get<app::Returned>(run([](int x, const std::string& y) { return y + std::to_string(x); }, {}, {1, "a"}))
          .value,
      Value("a1"));
  EXPECT_EQ(std::get<app::Returned>(run([] {})).value, Value());
  EXPECT_EQ(
      std::get<app::Returned>(run([](std::string_view a, const char* b) { return std::string(a) + b; }, {}, {"x", "y"}))
          .value,
      Value("xy"));
}

TEST_F(InvokeTest, KeywordsAndDefaultsReachDeclaredNames) {
  app_.task(
      "named", [](int x, int y) { return x - y; }, params("x", param("y") = 5));
  state_.request.kwargs = {{"x", 8}};
  EXPECT_EQ(std::get<app::Returned>(app::invoke(*app_.core().registry().find("named"), state_, 0)).value, Value(3));
  EXPECT_THROW(app_.task(
                   "bad", [](int) {}, params(param("x") = "five")),
               ConfigError);
  EXPECT_THROW(app_.task("named", [] {}), ConfigError);
}

TEST_F(InvokeTest, WrongArgumentsAreTypeErrorsThatNameTheParameter) {
  app_.task(
      "tasks.add", [](int x, int) { return x; }, params("x", "y"));
  state_.request.args = {"2", 3};
  const auto raised = std::get<app::Raised>(app::invoke(*app_.core().registry().find("tasks.add"), state_, 0));
  EXPECT_EQ(raised.exception.type, "TypeError");
  EXPECT_EQ(raised.exception.module, "builtins");
  EXPECT_EQ(raised.exception.arguments, Array{"tasks.add(): argument 'x' must be int, not str"});
}

TEST_F(InvokeTest, ABoundTaskSeesItsRun) {
  state_.request.retries = 2;
  const auto result = run(
      [](Context& self, int x) {
        EXPECT_EQ(Context::current(), &self);
        self.update_state("PROGRESS", {{"done", x}});
        return self.request().retries;
      },
      {}, {7});
  EXPECT_EQ(std::get<app::Returned>(result).value, Value(2));
  ASSERT_EQ(state_.states.size(), 1U);
  EXPECT_EQ(state_.states[0].first, "PROGRESS");
  EXPECT_EQ(state_.states[0].second, Value(Object{{"done", 7}}));
  EXPECT_EQ(Context::current(), nullptr);
}

TEST_F(InvokeTest, TheTracebackShowsTheThrowingFunction) {
  const auto raised = std::get<app::Raised>(run([] { shop::throw_deep_down(2); }));
  EXPECT_THAT(raised.traceback, StartsWith("Traceback (most recent call last):\n  File \""));
  EXPECT_THAT(raised.traceback, HasSubstr("in shop::throw_deep_down(int)\nValueError: boom\n"));
  EXPECT_THAT(raised.traceback, Not(HasSubstr("lovage::app::")));
  EXPECT_THAT(raised.traceback, Not(HasSubstr("gtest"))) << "frames outside the task say nothing";
}

TEST_F(InvokeTest, TheTracebackLeavesTheLibrarysFramesOut) {
  const std::function<void(int)> deep = [](int depth) { shop::throw_deep_down(depth); };
  const auto raised = std::get<app::Raised>(run([deep] { std::invoke(deep, 1); }));
  EXPECT_THAT(raised.traceback, HasSubstr("in shop::throw_deep_down(int)\n"));
  EXPECT_THAT(raised.traceback, Not(HasSubstr("in _Z")));
  EXPECT_THAT(raised.traceback, Not(testing::ContainsRegex("in [a-z ]*(std|lovage::detail)::")));
}

TEST(FunctionName, IsTheFunctionsOfWhichTheCompilerMadeAPart) {
  EXPECT_EQ(app::function_name("_ZN4shop15throw_deep_downEi"), "shop::throw_deep_down(int)");
  EXPECT_EQ(app::function_name("_ZN4shop15throw_deep_downEi.cold"), "shop::throw_deep_down(int)");
  EXPECT_EQ(app::function_name("_ZN4shop15throw_deep_downEi.constprop.0.isra.0"), "shop::throw_deep_down(int)");
  EXPECT_EQ(app::function_name("main.part.0"), "main");
  EXPECT_EQ(app::function_name("main"), "main");
}

TEST_F(InvokeTest, TheTracebackIsThatOfTheExceptionWhichLeftTheTask) {
  const auto raised = std::get<app::Raised>(run([] {
    try {
      shop::throw_deep_down(0);
    } catch (...) {
      shop::swallow_another_one();
      throw;
    }
  }));
  EXPECT_THAT(raised.traceback, AllOf(HasSubstr("throw_deep_down"), Not(HasSubstr("swallow_another_one"))));
}

TEST_F(InvokeTest, ExceptionsHavePythonsNames) {
  const auto check = [](auto error, const std::string& type, const std::string& module) {
    const auto info = app::describe_exception(std::make_exception_ptr(error));
    EXPECT_EQ(info.type, type);
    EXPECT_EQ(info.module, module) << type;
  };
  check(std::invalid_argument("x"), "ValueError", "builtins");
  check(std::out_of_range("x"), "IndexError", "builtins");
  check(std::overflow_error("x"), "OverflowError", "builtins");
  check(std::runtime_error("x"), "RuntimeError", "builtins");
  check(std::bad_alloc(), "MemoryError", "builtins");
  check(std::filesystem::filesystem_error("x", std::make_error_code(std::errc::io_error)), "OSError", "builtins");
  check(TypeError("x"), "TypeError", "builtins");
  check(SoftTimeLimitExceeded(), "SoftTimeLimitExceeded", "billiard.exceptions");
  check(MaxRetriesExceeded("x"), "MaxRetriesExceededError", "celery.exceptions");
  check(shop::OutOfStock("x"), "shop::OutOfStock", "cpp");
  check(42, "int", "cpp");
  const auto system =
      app::describe_exception(std::make_exception_ptr(std::system_error(2, std::generic_category(), "open")));
  EXPECT_EQ(system.arguments, (Array{2, "open: No such file or directory"}));
  EXPECT_EQ(app::describe_exception(
                std::make_exception_ptr(TaskFailed("x", {"FAILURE", "KeyError", "builtins", Array{"k"}, "k", ""})))
                .repr(),
            "KeyError('k')");
}

TEST_F(InvokeTest, ATaskFailsUnderTheNameThatItsTaskFailedHas) {
  const auto thrown = [this](TaskFailed error) {
    return std::get<app::Raised>(run([error = std::move(error)] { throw error; })).exception;
  };
  const auto named =
      thrown(TaskFailed("no such user", {.type = "NoSuchUser", .module = "shop.errors", .arguments = Array{"ann", 7}}));
  EXPECT_EQ(named.type, "NoSuchUser");
  EXPECT_EQ(named.module, "shop.errors");
  EXPECT_EQ(named.arguments, (Array{"ann", 7}));
  const auto bare = thrown(TaskFailed("went wrong", {}));
  EXPECT_EQ(bare.type, "Exception");
  EXPECT_EQ(bare.module, "builtins");
  EXPECT_EQ(bare.arguments, (Array{"went wrong"}));
}

TEST_F(InvokeTest, ExpectedExceptionsAreMarked) {
  const auto thrower = [] { throw shop::OutOfStock("none left"); };
  EXPECT_TRUE(std::get<app::Raised>(run(thrower, {.throws = exceptions<shop::OutOfStock>()})).expected);
  EXPECT_FALSE(std::get<app::Raised>(run(thrower, {.throws = exceptions<std::logic_error>()})).expected);
}

TEST_F(InvokeTest, IgnoreAndRejectPassThrough) {
  EXPECT_TRUE(std::holds_alternative<Ignore>(run([] { throw Ignore{}; })));
  const auto reject = std::get<Reject>(run([] { throw Reject{.reason = "bad", .requeue = true}; }));
  EXPECT_EQ(reject.reason, "bad");
  EXPECT_TRUE(reject.requeue);
}

TEST_F(InvokeTest, RetryCarriesTheExceptionBeingHandled) {
  const auto retry = std::get<app::RetryRaised>(run([](Context& self) {
    try {
      shop::throw_deep_down(0);
    } catch (const std::exception&) {
      self.retry({.countdown = 2s, .args = Array{1}});
    }
  }));
  EXPECT_EQ(retry.options.countdown, 2000ms);
  EXPECT_EQ(retry.options.args, Array{1});
  EXPECT_EQ(retry.reason.type, "ValueError");
  EXPECT_EQ(retry.message, "Retry in 2s: ValueError('boom')");
  EXPECT_THAT(retry.traceback, AllOf(HasSubstr("throw_deep_down"), HasSubstr("Retry in 2s: ValueError('boom')\n")));
}

TEST_F(InvokeTest, RetryUsesTheTasksDelayAndReason) {
  const auto retry = std::get<app::RetryRaised>(
      run([](Context& self) { self.retry({.reason = "not yet"}); }, {.default_retry_delay = 1500ms}));
  EXPECT_EQ(retry.options.countdown, 1500ms);
  EXPECT_EQ(retry.message, "Retry in 1.5s: not yet");
  EXPECT_EQ(retry.reason.type, "");
}

TEST_F(InvokeTest, ASwallowedRetryIsStillARetry) {
  const auto swallow = [](Context& self) {
    try {
      self.retry({.countdown = 3s});
    } catch (...) {
    }
    return 1;
  };
  EXPECT_EQ(std::get<app::RetryRaised>(run(swallow)).options.countdown, 3000ms);
  const auto replace = [](Context& self) {
    try {
      self.retry({.countdown = 4s});
    } catch (...) {
      throw std::runtime_error("instead");
    }
  };
  EXPECT_EQ(std::get<app::RetryRaised>(run(replace)).options.countdown, 4000ms);
}

TEST_F(InvokeTest, RetriesAreLimited) {
  const auto retry = [](Context& self) { self.retry(); };
  const auto handling = [](Context& self) {
    try {
      throw shop::OutOfStock("none left");
    } catch (const std::exception&) {
      self.retry();
    }
  };
  state_.request.retries = 2;
  EXPECT_TRUE(std::holds_alternative<app::RetryRaised>(run(retry, {.max_retries = 3})));
  state_.request.retries = 3;
  const auto exhausted = std::get<app::Raised>(run(retry, {.max_retries = 3}, {2, 3}));
  EXPECT_EQ(exhausted.exception.type, "TypeError") << "the task takes no arguments";
  const auto limited = std::get<app::Raised>(run(retry, {.max_retries = 3}));
  EXPECT_EQ(limited.exception.type, "MaxRetriesExceededError");
  EXPECT_THAT(to_json(limited.exception.arguments), HasSubstr("Can't retry t2[id-1] args:() kwargs:{}"));
  EXPECT_EQ(std::get<app::Raised>(run(handling, {.max_retries = 3})).exception.type, "shop::OutOfStock");
  EXPECT_TRUE(std::holds_alternative<app::RetryRaised>(run(retry, {.max_retries = std::nullopt})));
}

TEST_F(InvokeTest, AutoretryBacksOffByTheRule) {
  const auto thrower = [] { throw shop::OutOfStock("none left"); };
  const auto delay_of = [&](TaskOptions options, std::int64_t retries, std::uint64_t random) {
    options.autoretry_for = exceptions<std::runtime_error>();
    options.max_retries = std::nullopt;
    state_.request.retries = retries;
    random_ = random;
    return *std::get<app::RetryRaised>(run(thrower, options)).options.countdown;
  };
  const TaskOptions exact{.retry_backoff = 2, .retry_jitter = false};
  EXPECT_EQ(delay_of(exact, 0, 0), 2s);
  EXPECT_EQ(delay_of(exact, 3, 0), 16s);
  EXPECT_EQ(delay_of(exact, 20, 0), 600s);
  EXPECT_EQ(delay_of(exact, 1'000'000, 0), 600s);
  EXPECT_EQ(delay_of({.retry_backoff = 0.5, .retry_jitter = false}, 1, 0), 2s);
  EXPECT_EQ(delay_of({.retry_backoff = 2}, 1, 4), 4s) << "the jitter reaches the whole delay";
  EXPECT_EQ(delay_of({.retry_backoff = 2}, 1, 5), 0s) << "and begins at nothing";
  EXPECT_EQ(delay_of({.default_retry_delay = 7s}, 5, 0), 7s);
}

TEST_F(InvokeTest, AutoretryEndsWithTheExceptionItself) {
  state_.request.retries = 3;
  const TaskOptions options{.max_retries = 3, .autoretry_for = exceptions<shop::OutOfStock>()};
  const auto raised = std::get<app::Raised>(run([] { throw shop::OutOfStock("none left"); }, options));
  EXPECT_EQ(raised.exception.repr(), "shop::OutOfStock('none left')");
}

TEST_F(InvokeTest, TheSoftTimeLimitThrowsAtChecks) {
  state_.soft_limit_passed = true;
  const auto raised = std::get<app::Raised>(run([](Context& self) { self.check(); }));
  EXPECT_EQ(raised.exception.type, "SoftTimeLimitExceeded");
  EXPECT_EQ(raised.exception.module, "billiard.exceptions");
  state_.soft_limit_passed = false;
  state_.soft_deadline = std::chrono::steady_clock::now() - 1ms;
  EXPECT_TRUE(std::holds_alternative<app::Raised>(run([](Context& self) { self.check(); })));
}

TEST_F(InvokeTest, EagerRunsAreReadyResults) {
  auto add = app_.task("tasks.add", [](int x, int y) { return x + y; });
  const auto sum = add.apply(2, 3);
  EXPECT_EQ(sum.state(), "SUCCESS");
  EXPECT_EQ(sum.get(), 5);
  auto flaky = app_.task("flaky", [](Context& self) -> std::int64_t {
    if (self.request().retries < 2) self.retry({.countdown = std::chrono::hours(1)});
    return self.request().retries;
  });
  EXPECT_EQ(flaky.apply().get(), 2);
  auto failing = app_.task("failing", [] { throw std::invalid_argument("boom"); });
  const auto failed = failing.apply();
  EXPECT_TRUE(failed.failed());
  EXPECT_THAT(*failed.traceback(), HasSubstr("ValueError: boom"));
  EXPECT_THROW(failed.get(), TaskFailed);
  EXPECT_THROW(app_.signature("tasks.ad").apply(), NotRegistered);
}

TEST_F(InvokeTest, AlwaysEagerRunsCallbacksToo) {
  app_.config().task_always_eager = true;
  std::vector<int> seen;
  auto note = app_.task("note", [&seen](int x) { seen.push_back(x); });
  auto add = app_.task("tasks.add", [](int x, int y) { return x + y; });
  EXPECT_EQ(add.apply_async({2, 3}, {.link = note.s()}).get(), 5);
  EXPECT_THAT(seen, testing::ElementsAre(5));
  app_.config().task_eager_propagates = true;
  auto failing = app_.task("failing", [] { throw std::invalid_argument("boom"); });
  EXPECT_THROW(failing.delay(), TaskFailed);
}

}  // namespace
}  // namespace lovage
