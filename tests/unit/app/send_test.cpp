// From a call to the message in the broker, and from a stored meta to the result.
#include <gmock/gmock.h>

#include <sys/wait.h>
#include <unistd.h>
#include <cmath>
#include <filesystem>

#include <latch>
#include <set>
#include <thread>

#include <lovage/app.hpp>
#include <lovage/error.hpp>

#include "app/core.hpp"
#include "app/invoke.hpp"
#include "app/producer.hpp"
#include "support/fake_engines.hpp"
#include "wire/body.hpp"

namespace lovage {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::ThrowsMessage;

template <class T, class... A>
concept Delays = requires(const T& task, A... args) {
  task.delay(args...);
};
static_assert(Delays<Task<int(int, int)>, int, int>);
static_assert(!Delays<Task<int(int, int)>, const char*>, "add.delay(\"x\") must not compile");
static_assert(!Delays<Task<int(int, int)>, int, const char*>);
static_assert(!Delays<Task<int(int, int)>, int, int, int>);
static_assert(std::is_same_v<decltype(std::declval<Task<int(bool, int)>>().s(3)), TypedSignature<int(bool)>>);

const std::string kUuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";
// Version 7 where Celery makes version 4: an id is any string to it.
const std::string kTaskId = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";

class SendTest : public testing::Test {
 protected:
  SendTest() { app_.core().use(broker_, backend_); }

  [[nodiscard]] wire::TaskMessage last() const {
    const auto sent = broker_->sent();
    if (sent.empty()) throw std::runtime_error("nothing was sent");
    return sent.back();
  }
  static wire::Body body_of(const wire::TaskMessage& message) {
    const std::vector<std::string> accept{"application/json", "application/x-msgpack"};
    auto body = wire::decode_body(message, accept);
    if (!body) throw std::runtime_error(body.error().detail);
    return *body;
  }
  void store(const std::string& id, std::string_view state, const Value& result, const std::string& rest = "") {
    backend_->put(id, R"({"status": ")" + std::string(state) + R"(", "result": )" + to_json(result) +
                          R"(, "traceback": null, "children": [], "date_done": null)" + rest + R"(, "task_id": ")" +
                          id + "\"}");
  }

  std::shared_ptr<test::FakeBroker> broker_ = std::make_shared<test::FakeBroker>();
  std::shared_ptr<test::FakeBackend> backend_ = std::make_shared<test::FakeBackend>();
  App app_{"test", Config{}};
  Task<int(int, int)> add_ = app_.task(
      "tasks.add", [](int x, int y) { return x + y; }, params("x", "y"));
  Task<void(int)> log_ = app_.task("tasks.log", [](int) {});
};

TEST_F(SendTest, DelayWritesWhatCeleryWrites) {
  const auto result = add_.delay(2, 3);
  const auto message = last();
  EXPECT_EQ(message.task, "tasks.add");
  EXPECT_EQ(message.id, result.id());
  EXPECT_EQ(message.root_id, message.id);
  EXPECT_EQ(message.parent_id, std::nullopt);
  EXPECT_THAT(message.id, MatchesRegex(kTaskId));
  EXPECT_THAT(message.reply_to, MatchesRegex(kUuid));
  EXPECT_THAT(message.delivery_tag, MatchesRegex(kUuid));
  EXPECT_EQ(message.argsrepr, "(2, 3)");
  EXPECT_EQ(message.kwargsrepr, "{}");
  EXPECT_THAT(message.origin, MatchesRegex("gen" + std::to_string(::getpid()) + "@.+"));
  EXPECT_EQ(message.ignore_result, false);
  EXPECT_EQ(message.exchange, "");
  EXPECT_EQ(message.routing_key, "celery");
  EXPECT_EQ(message.priority, 0);
  EXPECT_EQ(message.content_type, "application/json");
  EXPECT_EQ(message.body, R"([[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])");
  add_.delay(4, 5);
  EXPECT_EQ(last().reply_to, message.reply_to) << "one reply address a process";
  EXPECT_THAT(broker_->declared(), ElementsAre("celery")) << "a queue is declared once";
}

TEST_F(SendTest, OptionsOfOneSend) {
  const auto before = Clock::system().now();
  add_.apply_async({2, 3}, {.task_id = "my-id",
                            .queue = "priority",
                            .countdown = 60s,
                            .expires = 120s,
                            .priority = 4,
                            .link = log_.s(),
                            .link_error = {app_.signature("a"), app_.signature("b")},
                            .headers = {{"x-my", "header"}},
                            .ignore_result = true,
                            .shadow = "shown",
                            .time_limit = 30s,
                            .soft_time_limit = 1500ms,
                            .reply_to = "me"});
  const auto message = last();
  EXPECT_EQ(message.id, "my-id");
  EXPECT_EQ(message.routing_key, "priority");
  EXPECT_EQ(message.priority, 4);
  EXPECT_EQ(message.ignore_result, true);
  EXPECT_EQ(message.shadow, "shown");
  EXPECT_EQ(message.timelimit.hard, 30);
  EXPECT_EQ(message.timelimit.soft, 1.5);
  EXPECT_EQ(message.reply_to, "me");
  EXPECT_EQ(message.custom_headers, (Object{{"x-my", "header"}}));
  EXPECT_EQ(message.expiration, "120000");
  ASSERT_TRUE(message.eta && message.expires);
  EXPECT_GE(message.eta->at, before + 60s);
  EXPECT_EQ(message.expires->at - message.eta->at, 60s);
  const auto body = body_of(message);
  ASSERT_EQ(body.embed.callbacks->size(), 1U);
  EXPECT_EQ(*body.embed.callbacks->front().find("task"), Value("tasks.log"));
  EXPECT_EQ(body.embed.errbacks->size(), 2U);
}

TEST_F(SendTest, HeadersTravelAsJsonOrNotAtAll) {
  const auto send = [&](const std::string& name, Value value) {
    add_.apply_async({1, 2}, {.headers = {{name, std::move(value)}}});
  };
  const Object carried{{"nan", std::nan("")}, {"bytes", Bytes{"\xff"}}, {"time", DateTime{"2030-01-02T00:00:00"}}};
  EXPECT_NO_THROW(add_.apply_async({1, 2}, {.headers = carried}));
  EXPECT_THROW(send("text", "\xff"), EncodeError);
  EXPECT_THROW(send("\xff", 1), EncodeError);
  app_.config().json_types = "5.2";
  send("time", DateTime{"2030-01-02T00:00:00"});
  EXPECT_EQ(last().custom_headers, (Object{{"time", "2030-01-02T00:00:00"}}));
  const auto count = broker_->sent().size();
  EXPECT_THAT([&] { send("x-raw", Bytes{"abc"}); },
              ThrowsMessage<EncodeError>(testing::StartsWith("the header 'x-raw' cannot be sent: ")));
  EXPECT_EQ(broker_->sent().size(), count) << "nothing was sent";
}

TEST(AppFolder, IsTheOneWhereTheAppWasMade) {
  const auto before = std::filesystem::current_path();
  Config config;
  config.broker_url = "sqlite:///queue.db";
  const App app("test", config);
  std::filesystem::current_path("/");
  const std::string shown = app.core().broker().display_url();
  std::filesystem::current_path(before);
  EXPECT_EQ(shown, "sqlite:///" + (before / "queue.db").string());
}

TEST_F(SendTest, PointsInTimeTravelAsSuch) {
  const std::chrono::system_clock::time_point eta = std::chrono::sys_days(std::chrono::year(2030) / 1 / 2);
  add_.apply_async({1, 2}, {.eta = eta, .expires = eta - std::chrono::hours(24 * 365 * 20)});
  EXPECT_EQ(last().eta->text, "2030-01-02T00:00:00+00:00");
  EXPECT_EQ(last().expiration, "0") << "the past is no negative time to live";
}

TEST_F(SendTest, KeywordArgumentsSerializersAndCompression) {
  app_.send_task("py.task", {1}, {{"a", 2}}, {.serializer = "msgpack", .compression = "zlib", .kwargs = {{"b", 3}}});
  EXPECT_EQ(last().content_type, "application/x-msgpack");
  EXPECT_EQ(last().compression, "application/x-gzip");
  EXPECT_EQ(body_of(last()).kwargs, (Object{{"a", 2}, {"b", 3}}));
  EXPECT_THAT(
      [&] {
        add_.apply_async({1, 2}, {.serializer = "jsn"});
      },
      ThrowsMessage<ConfigError>("unknown serializer 'jsn' (did you mean 'json'?)"));
  EXPECT_THROW(add_.apply_async({1, 2}, {.headers = {{"id", "x"}}}), EncodeError);
}

TEST_F(SendTest, LargeMessagesAreCompressedUnasked) {
  const std::string large(70'000, 'x');
  app_.send_task("tasks.log", {std::string(60'000, 'x')});
  EXPECT_EQ(last().compression, "") << "under the threshold";
  app_.send_task("tasks.log", {large});
  EXPECT_EQ(last().compression, "application/x-gzip") << "what every Celery can read";
  EXPECT_LT(last().body.size(), 2'000U);
  EXPECT_EQ(body_of(last()).args, Array{large});
  app_.send_task("tasks.log", {large}, {}, {.compression = "zstd"});
  EXPECT_EQ(last().compression, "application/zstd") << "what is asked for wins";
  app_.send_task("tasks.log", {large}, {}, {.compression = "none"});
  EXPECT_EQ(last().compression, "");
  app_.config().task_compression_threshold = 0;
  app_.send_task("tasks.log", {large});
  EXPECT_EQ(last().compression, "");
}

TEST_F(SendTest, TooLargeMessagesAreRefused) {
  app_.config().task_message_max_bytes = 1'000;
  app_.config().task_compression_threshold = 100;
  EXPECT_THAT([&] { app_.send_task("tasks.log", {std::string(1'000, 'x')}); },
              ThrowsMessage<MessageTooLarge>(
                  "the message of task tasks.log has 1079 bytes, task_message_max_bytes allows 1000"))
      << "the receiver has to hold all of it: compression does not help";
  EXPECT_TRUE(broker_->sent().empty());
  const std::vector<Signature> calls{app_.signature("tasks.log", {std::string(2'000, 'x')}),
                                     app_.signature("tasks.log", {1})};
  const auto outcomes = app_.send_many(calls);
  EXPECT_THROW(std::rethrow_exception(outcomes.at(0).error), MessageTooLarge);
  EXPECT_TRUE(outcomes.at(1).sent());
  EXPECT_EQ(broker_->sent().size(), 1U);
}

TEST_F(SendTest, TheTasksOwnDefaults) {
  app_.task("io", [] {},
            {.soft_time_limit = 20s,
             .time_limit = 30s,
             .ignore_result = true,
             .queue = "io",
             .priority = 6,
             .expires = 5s})
      .delay();
  EXPECT_EQ(last().routing_key, "io");
  EXPECT_EQ(last().priority, 6);
  EXPECT_EQ(last().timelimit.hard, 30);
  EXPECT_EQ(last().timelimit.soft, 20);
  EXPECT_EQ(last().ignore_result, true);
  EXPECT_EQ(last().expiration, "5000");
}

TEST_F(SendTest, ManyLeaveWhileOthersAreMade) {
  const std::vector<Signature> calls(200, add_.si(1, 2));
  const auto outcomes = app_.send_many(calls);
  EXPECT_THAT(broker_->shown(), testing::ElementsAre(64, 128, 192, 200));
  ASSERT_EQ(outcomes.size(), calls.size());
  const auto sent = broker_->sent();
  ASSERT_EQ(sent.size(), calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(outcomes[i].result.id(), sent[i].id);
}

TEST_F(SendTest, ARouterThatThrowsAnythingStopsAllOfMany) {
  int left = 150;
  app_.config().task_router = [&left](std::string_view) -> std::optional<Route> {
    if (--left == 0) throw std::runtime_error("no way");
    return std::nullopt;
  };
  const std::vector<Signature> calls(200, add_.si(1, 2));
  EXPECT_THROW(app_.send_many(calls), std::runtime_error);
  EXPECT_THAT(broker_->shown(), testing::IsEmpty());
  EXPECT_TRUE(broker_->sent().empty());
}

TEST_F(SendTest, RoutesByFunctionNamePatternAndQueue) {
  auto& config = app_.config();
  config.task_routes = {{"tasks.*", {.queue = "glob", .priority = 3}}, {"tasks.log", {.queue = "exact"}}};
  config.task_router = [](std::string_view task) -> std::optional<Route> {
    if (task == "routed") return Route{.queue = "by-function"};
    return std::nullopt;
  };
  add_.delay(1, 2);
  EXPECT_EQ(last().routing_key, "glob");
  EXPECT_EQ(last().priority, 3);
  log_.delay(1);
  EXPECT_EQ(last().routing_key, "exact");
  app_.send_task("routed");
  EXPECT_EQ(last().routing_key, "by-function");
  add_.apply_async({1, 2}, {.queue = "asked"});
  EXPECT_EQ(last().routing_key, "asked");
  EXPECT_EQ(last().priority, 0);
}

TEST_F(SendTest, ExchangesAndMissingQueues) {
  auto& config = app_.config();
  config.task_queues = {{.name = "tq", .exchange = "tex", .exchange_type = "topic", .routing_key = "a.#"},
                        {.name = "direct"}};
  add_.apply_async({1, 2}, {.queue = "tq", .routing_key = "a.b"});
  EXPECT_EQ(last().exchange, "tex");
  EXPECT_EQ(last().routing_key, "a.b");
  add_.apply_async({1, 2}, {.exchange = "other", .routing_key = "key"});
  EXPECT_EQ(last().exchange, "other");
  EXPECT_EQ(last().routing_key, "key");
  config.task_create_missing_queues = false;
  add_.apply_async({1, 2}, {.queue = "direct"});
  EXPECT_EQ(last().routing_key, "direct");
  EXPECT_THAT(
      [&] {
        add_.apply_async({1, 2}, {.queue = "direkt"});
      },
      ThrowsMessage<ConfigError>(HasSubstr("unknown queue 'direkt' (did you mean 'direct'?)")));
}

TEST_F(SendTest, SignaturesCarryTheirOptions) {
  auto signature = add_.s(3);
  signature.set({.queue = "q", .countdown = 5s, .priority = 3}).link(log_.si(1));
  EXPECT_EQ(
      to_json(signature.to_value()),
      R"({"task": "tasks.add", "args": [3], "kwargs": {}, "options": {"queue": "q", "countdown": 5, "priority": 3, )"
      R"("link": [{"task": "tasks.log", "args": [1], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": true}]}, )"
      R"("subtask_type": null, "immutable": false})");
  signature.delay(2);
  EXPECT_EQ(body_of(last()).args, (Array{2, 3})) << "new arguments come first";
  EXPECT_EQ(last().routing_key, "q");
  const auto copy = Signature::from_value(signature.core(), signature.to_value());
  EXPECT_EQ(copy.to_value(), signature.to_value());
  EXPECT_EQ(log_.si(1).clone({9}).args(), Array{1}) << "an immutable signature takes none";
  EXPECT_EQ(signature.link(log_.si(1)).options().find("link")->if_array()->size(), 1U) << "a link is there once";
}

TEST_F(SendTest, OptionsFromElsewhereAreChecked) {
  const auto with = [](Object options) {
    wire::SignatureData call;
    call.task = "t";
    call.options = std::move(options);
    return call;
  };
  const auto call = with({{"queue", 5}});
  EXPECT_THAT([&] { app::prepare(app_.core(), app::call_of(call), {}); },
              ThrowsMessage<TypeError>("option 'queue' must be str, not int"));
  const auto late = with({{"countdown", 1e300}});
  EXPECT_THROW(app::prepare(app_.core(), app::call_of(late), {}), EncodeError);
  const auto frozen = with({{"task_id", "i"},
                            {"root_id", "r"},
                            {"parent_id", nullptr},
                            {"group_id", "g"},
                            {"group_index", 2},
                            {"stamped_headers", Array{"color"}},
                            {"color", "red"},
                            {"reply_to", "o"},
                            {"expires", DateTime{"2030-01-02T03:04:05"}}});
  const auto message = app::prepare(app_.core(), app::call_of(frozen), {.root_id = "x", .parent_id = "p"}).message;
  EXPECT_EQ(message.root_id, "r");
  EXPECT_EQ(message.parent_id, "p");
  EXPECT_EQ(message.group_index, 2);
  EXPECT_EQ(message.stamps, (Object{{"color", "red"}}));
  EXPECT_EQ(message.expires->text, "2030-01-02T03:04:05") << "a given text is kept";
}

class TestState final : public Context::State {
 public:
  void update_state(std::string_view, Value) override {}
};

TEST_F(SendTest, ATaskIsTheParentOfWhatItSends) {
  app_.task("parent", [this](Context&) { add_.delay(1, 2); });
  TestState state;
  state.request.id = "parent-id";
  state.request.root_id = "root-id";
  app::invoke(*app_.core().registry().find("parent"), state, 0);
  EXPECT_EQ(last().root_id, "root-id");
  EXPECT_EQ(last().parent_id, "parent-id");
  EXPECT_THAT(state.children, ElementsAre(last().id));
}

TEST_F(SendTest, WaitingInsideATaskIsRefused) {
  store("x", "SUCCESS", 5);
  auto wait = app_.task("wait", [this](bool allow) { return app_.result<int>("x").get(1s, {.allow_in_task = allow}); });
  EXPECT_THAT([&] { wait.apply(false).get(); }, ThrowsMessage<TaskFailed>(HasSubstr("must not wait")));
  EXPECT_EQ(wait.apply(true).get(), 5);
}

TEST_F(SendTest, SendsAreTriedAgainWhileTheBrokerIsAway) {
  app_.config().task_publish_retry_policy = {.max_retries = 3, .interval_start = 0ms, .interval_step = 1ms};
  broker_->fail_next({Errc::unavailable, "away"});
  broker_->fail_next({Errc::server_busy, "loading"});
  add_.delay(1, 2);
  EXPECT_EQ(broker_->publish_calls(), 3);
  broker_->fail_next({Errc::unavailable, "away"});
  EXPECT_THROW(add_.apply_async({1, 2}, {.retry = false}), ConnectionError);
  EXPECT_EQ(broker_->publish_calls(), 4);
  for (int i = 0; i < 4; ++i) broker_->fail_next({Errc::unavailable, "away"});
  EXPECT_THROW(add_.delay(1, 2), ConnectionError);
  EXPECT_EQ(broker_->publish_calls(), 8);
}

TEST_F(SendTest, AnUncertainSendIsNotRepeatedAndNamesItsId) {
  broker_->fail_next({Errc::uncertain, "cut"});
  try {
    add_.apply_async({1, 2}, {.task_id = "maybe"});
    FAIL() << "did not throw";
  } catch (const SendUncertain& error) {
    EXPECT_EQ(error.task_id(), "maybe");
  }
  EXPECT_EQ(broker_->publish_calls(), 1);
}

TEST_F(SendTest, ASendNeverTakesLongerThanItsTimeout) {
  broker_->stop_answering();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(add_.apply_async({1, 2}, {.timeout = 50ms}), ConnectionError);
  app_.config().task_publish_timeout = 50ms;
  app_.config().task_publish_retry_policy.max_retries = -1;
  EXPECT_THROW(add_.delay(1, 2), ConnectionError);
  EXPECT_FALSE(app_.send_many(std::vector<Signature>{add_.si(1, 2)})[0].sent());
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, 150ms);
  EXPECT_LT(took, 4s);
}

TEST_F(SendTest, SendManyHasAnOutcomeForEach) {
  broker_->refused_task = "unroutable";
  const std::vector<Signature> calls{add_.si(1, 2), app_.signature("unroutable"),
                                     app_.signature("bad").set({.serializer = "nonsense"}), add_.si(3, 4)};
  const auto outcomes = app_.send_many(calls);
  ASSERT_EQ(outcomes.size(), 4U);
  EXPECT_TRUE(outcomes[0].sent());
  EXPECT_THROW(std::rethrow_exception(outcomes[1].error), ConnectionError);
  EXPECT_THROW(std::rethrow_exception(outcomes[2].error), ConfigError);
  EXPECT_TRUE(outcomes[3].sent());
  EXPECT_EQ(broker_->publish_calls(), 1) << "one pipeline";
  EXPECT_EQ(last().id, outcomes[3].result.id());
}

TEST_F(SendTest, ThreadsSendAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kSends = 50;
  std::latch start(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        for (int i = 0; i < kSends; ++i) add_.apply_async({t, i}, {.queue = "q" + std::to_string(i % 7)});
      });
    }
  }
  std::set<std::string> ids;
  for (const auto& message : broker_->sent()) ids.insert(message.id);
  EXPECT_EQ(ids.size(), kThreads * kSends);
}

TEST_F(SendTest, AForkedChildSends) {
  add_.delay(1, 2);
  const auto parent = last();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // No gtest in here: the exit code says it all.
    bool good = false;
    try {
      add_.apply_async({3, 4}, {.queue = "another"});
      const auto message = last();
      good = message.id != parent.id && message.reply_to != parent.reply_to && message.origin != parent.origin;
    } catch (...) {
    }
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(SendTest, ResultsAreRead) {
  const auto result = app_.result<int>("x");
  EXPECT_EQ(result.state(), "PENDING");
  EXPECT_FALSE(result.ready());
  store("x", "PROGRESS", Object{{"done", 1}});
  EXPECT_EQ(result.state(), "PROGRESS");
  EXPECT_EQ(*result.info().find("done"), Value(1));
  EXPECT_THROW(result.get(1ms), Timeout);
  store("x", "SUCCESS", 5);
  EXPECT_TRUE(result.ready());
  EXPECT_TRUE(result.successful());
  EXPECT_EQ(result.get(1s), 5);
  EXPECT_EQ(result.get(), 5);
  EXPECT_THAT([&] { app_.result<std::string>("x").get(); },
              ThrowsMessage<TypeError>("the result of x must be str, not int"));
  result.forget();
  EXPECT_EQ(result.state(), "PENDING");
  backend_->fail_next({Errc::unavailable, "away"});
  EXPECT_THROW(static_cast<void>(result.state()), ConnectionError);
}

TEST_F(SendTest, AWaitingGetWakesUp) {
  const auto result = app_.result<int>("x");
  const std::jthread worker([&] { store("x", "SUCCESS", 5); });
  EXPECT_EQ(result.get(10s), 5);
}

TEST_F(SendTest, FailuresAreThrown) {
  store("f", "FAILURE",
        Object{{"exc_type", "ValueError"}, {"exc_message", Array{"boom", 1}}, {"exc_module", "builtins"}});
  const auto result = app_.result("f");
  EXPECT_TRUE(result.failed());
  try {
    result.get(1s);
    FAIL() << "did not throw";
  } catch (const TaskFailed& error) {
    EXPECT_STREQ(error.what(), "ValueError: boom, 1");
    EXPECT_EQ(error.type(), "ValueError");
    EXPECT_EQ(error.message(), "boom, 1");
    EXPECT_EQ(error.details().module, "builtins");
  }
  EXPECT_EQ(*result.get(1s, {.propagate = false}).find("exc_type"), Value("ValueError"));
  store(
      "r", "REVOKED",
      Object{{"exc_type", "TaskRevokedError"}, {"exc_message", Array{"expired"}}, {"exc_module", "celery.exceptions"}});
  EXPECT_THROW(app_.result("r").get(1s), TaskRevoked);
}

TEST_F(SendTest, ChildrenAreFollowed) {
  backend_->put(
      "p",
      R"({"status": "SUCCESS", "result": 1, "traceback": null, "children": [[["c1", null], null], "odd"], "task_id": "p"})");
  const auto children = app_.result("p").children();
  ASSERT_EQ(children.size(), 1U);
  EXPECT_EQ(children[0].id(), "c1");
  EXPECT_EQ(app_.result("p").parent(), std::nullopt);
}

TEST_F(SendTest, NoBackendIsSaidSo) {
  app_.core().use(broker_, nullptr);
  EXPECT_THROW(static_cast<void>(app_.result("x").state()), ConfigError);
}

TEST(AppSettings, ComeFromTheEnvironmentAndReportLater) {
  ASSERT_EQ(::setenv("LOVAGE_WORKER_CONCURRENCY", "5", 1), 0);
  EXPECT_EQ(App("shop").config().worker_concurrency, 5);
  EXPECT_EQ(App("shop", Config{}).config().worker_concurrency, 0);
  ASSERT_EQ(::setenv("LOVAGE_WORKER_CONCURRENCY", "five", 1), 0);
  App app("shop");
  ASSERT_EQ(::unsetenv("LOVAGE_WORKER_CONCURRENCY"), 0);
  EXPECT_THAT([&] { app.send_task("t"); }, ThrowsMessage<ConfigError>(HasSubstr("LOVAGE_WORKER_CONCURRENCY")));
  app.set("worker_concurrency", 7);
  EXPECT_EQ(app.config().worker_concurrency, 7);
  EXPECT_THROW(app.set("worker_concurency", 7), ConfigError);
}

TEST_F(SendTest, RevokeTellsEveryWorker) {
  const auto result = app_.result("the-id");
  result.revoke();
  result.revoke(true, "kill");
  const auto said = broker_->broadcasts();
  ASSERT_EQ(said.size(), 2U);
  EXPECT_EQ(said[0].exchange, "celery.pidbox");
  EXPECT_EQ(said[0].routing_key, "");
  EXPECT_THAT(said[0].body, HasSubstr(R"({"task_id": "the-id", "terminate": false, "signal": "SIGTERM"})"));
  EXPECT_THAT(said[1].body, HasSubstr(R"({"task_id": "the-id", "terminate": true, "signal": "SIGKILL"})"));
  EXPECT_EQ(*said[0].headers.find("clock"), Value(1));
  EXPECT_EQ(*said[1].headers.find("clock"), Value(2));
}

TEST_F(SendTest, RevokeRefusesAnUnknownSignalAndTellsWhyNothingWasSaid) {
  const auto result = app_.result("the-id");
  EXPECT_THAT([&] { result.revoke(true, "SIGTRM"); }, ThrowsMessage<ConfigError>(HasSubstr("'SIGTRM' is no signal")));
  EXPECT_THAT(broker_->broadcasts(), testing::IsEmpty());
  broker_->fail_next({Errc::unavailable, "nobody there"});
  EXPECT_THAT([&] { result.revoke(); }, ThrowsMessage<ConnectionError>(HasSubstr("nobody there")));
}

TEST(Revoke, EnginesWithoutRemoteControlSaySo) {
  App app("revoke");
  app.config().broker_url = "memory://revoke";
  EXPECT_THAT([&] { app.result("x").revoke(); }, ThrowsMessage<ConfigError>(HasSubstr("no remote control yet")));
}

}  // namespace
}  // namespace lovage
