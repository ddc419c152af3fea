// Workflows through whole workers, on every engine. Where a case is one of Celery's own integration tests, it has its
// name there.
#include <gmock/gmock.h>

#include <algorithm>
#include <future>
#include <memory>
#include <mutex>
#include <optional>

#include <lovage/lovage.hpp>

#include "app/core.hpp"
#include "base/uuid.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"
#include "worker/worker_process.hpp"

namespace lovage::worker {
namespace {

using std::chrono_literals::operator""s;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;
using Numbers = std::vector<std::int64_t>;

// What tasks write down, in their order.
class Notes {
 public:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }
  // Once there are so many of them, or ten seconds have passed.
  std::vector<std::string> lines(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] { return lines_.size() >= count; });
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

class WorkflowOn : public ::testing::TestWithParam<const char*> {
 protected:
  WorkflowOn() {
    Config& config = app.config();
    config.worker_pool = "threads";
    config.worker_concurrency = 2;
    config.broker_url = url_of(GetParam());
    if (std::string(GetParam()) == "two_stores")
      config.result_backend = "sqlite:///" + (folder.path() / "r.db").string();
    WorkerOptions options;
    options.quiet = true;
    options.embedded = true;
    options.hostname = "w@test";
    worker = std::make_unique<WorkerProcess>(app.core(), options);
    exit_code = std::async(std::launch::async, [this] { return worker->run(); });
  }
  ~WorkflowOn() override {
    worker->shut_down(Shutdown::Signal::term);
    EXPECT_EQ(exit_code.get(), 0);
  }

  std::string url_of(const std::string& engine) {
    if (engine == "memory") return "memory://" + new_uuid();
    if (engine == "sqlite") return "sqlite:///" + (folder.path() / "shop.db").string();
    return redis.emplace().url();
  }

  // Nothing of it is left in the store once it has ended.
  void expect_no_chords_left() {
    const auto queues = app.core().broker().queues(std::vector<std::string>{"celery"}, Deadline::after(10s));
    ASSERT_TRUE(queues);
    EXPECT_EQ(queues->at(0).ready + queues->at(0).scheduled, 0U);
  }

  test::TempDir folder;
  std::optional<test::RedisServer> redis;
  Notes notes;
  App app{"flows", Config{}};
  Task<std::int64_t(std::int64_t, std::int64_t)> add =
      app.task("add", [](std::int64_t x, std::int64_t y) { return x + y; });
  Task<std::int64_t(std::int64_t)> same = app.task("same", [](std::int64_t x) { return x; });
  Task<std::int64_t(Numbers)> total = app.task("total", [](const Numbers& numbers) {
    std::int64_t sum = 0;
    for (const auto number : numbers) sum += number;
    return sum;
  });
  Task<Numbers(Numbers)> list = app.task("list", [](Numbers numbers) { return numbers; });
  Task<std::int64_t(std::int64_t)> boom =
      app.task("boom", [](std::int64_t) -> std::int64_t { throw std::invalid_argument("boom"); });
  Task<std::int64_t(std::int64_t)> flaky = app.task(
      "flaky",
      [](Context& self, std::int64_t x) {
        if (self.request().retries < 2) self.retry({.countdown = 0s});
        return x;
      },
      TaskOptions{.max_retries = 5});
  Task<std::int64_t(std::int64_t)> skip = app.task("skip", [](std::int64_t) -> std::int64_t { throw Ignore{}; });
  Task<std::string(std::string)> note = app.task("note", [this](std::string line) {
    notes.add(line);
    return line;
  });
  Task<void(std::string)> note_id = app.task("note_id", [this](const std::string& id) { notes.add("failed " + id); });
  Task<void(Value, Value, std::string)> note_all =
      app.task("note_all", [this](const Value& request, const Value& exception, const std::string&) {
        notes.add(*request.find("id")->if_string() + " " + *exception.find("exc_type")->if_string());
      });
  Task<std::vector<std::string>(std::int64_t)> ids = app.task("ids", [](Context& self, std::int64_t number) {
    const RequestInfo& request = self.request();
    return std::vector<std::string>{request.root_id, request.parent_id.value_or(""), std::to_string(number)};
  });
  Task<std::int64_t(Value)> replace_with =
      app.task("replace_with", [](Context& self, const Value& signature) -> std::int64_t {
        self.replace(Signature::from_value(nullptr, signature));
      });
  Task<std::int64_t(Value)> add_to_chord = app.task("add_to_chord", [](Context& self, const Value& signature) {
    self.add_to_chord(Signature::from_value(nullptr, signature));
    return std::int64_t{1};
  });
  std::unique_ptr<WorkerProcess> worker;
  std::future<int> exit_code;
};
INSTANTIATE_TEST_SUITE_P(Engines, WorkflowOn, ::testing::Values("memory", "sqlite", "redis", "two_stores"),
                         [](const auto& row) { return std::string(row.param); });

// --- Chains ----------------------------------------------------------------------------------------------

TEST_P(WorkflowOn, SimpleAndComplexChains) {
  EXPECT_EQ(chain(add.s(4, 4), add.s(8), add.s(16)).delay().get(10s), 32);
  EXPECT_EQ(chain(add.s(3, 4)).delay().get(10s), 7);
  const auto flow =
      add.s(2, 2) | chain(add.s(4), add.s(8), add.s(16), add.s(32)) | group(add.s(0), add.s(1), add.s(2), add.s(3));
  EXPECT_EQ(flow.delay().get(10s), (Numbers{64, 65, 66, 67}));
}

TEST_P(WorkflowOn, ChainInsideGroupReceivesArguments) {
  EXPECT_EQ((add.s(5, 6) | group(chain(add.s(1), add.s(2)), add.s(3))).delay().get(10s), (Numbers{14, 14}));
}

TEST_P(WorkflowOn, ParentIds) {
  const auto result = chain(ids.si(1), ids.si(2), ids.si(3)).delay();
  const auto found = result.get(10s);
  EXPECT_EQ(found[0], result.parent()->parent()->id());
  EXPECT_EQ(found[1], result.parent()->id());
}

TEST_P(WorkflowOn, ChainOfChords) {
  const auto flow =
      chain(group(add.s(1, 1), add.s(2, 2)), total.s(), group(add.s(10), add.s(20)), total.s(), add.s(1000));
  EXPECT_EQ(flow.delay().get(10s), 1042);
}

TEST_P(WorkflowOn, ChainOfNineChords) {
  auto flow = group(add.s(1, 1), add.s(1, 1)) | total.s();
  for (int i = 0; i < 8; ++i) flow = flow | group(add.s(0), add.s(0)) | total.s();
  EXPECT_EQ(flow.delay().get(20s), 4 * 256);
}

TEST_P(WorkflowOn, AnErrorInAChainStopsItAndIsToldOnce) {
  auto flow = chain(add.s(1, 2), boom.s(), add.s(4));
  flow.link_error(note_id.s());
  const auto result = flow.delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT([&] { result.parent()->get_value(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + result.parent()->id()));
}

TEST_P(WorkflowOn, AnErrbackThatTakesMoreIsToldMore) {
  auto flow = chain(boom.s(1), add.s(4));
  flow.link_error(app.signature("note_all"));
  const auto result = flow.delay();
  EXPECT_THAT(notes.lines(1), ElementsAre(result.parent()->id() + " ValueError"));
}

TEST_P(WorkflowOn, LinksOfSinglesAndOfWorkflowsAreCalled) {
  auto flow = chain(note.s("first").link(note.si("after first")), note.si("second"));
  flow.link(note.si("after all"));
  flow.delay().get(10s);
  EXPECT_THAT(notes.lines(4), UnorderedElementsAre("first", "after first", "second", "after all"));
}

// --- Groups ----------------------------------------------------------------------------------------------

TEST_P(WorkflowOn, NestedGroup) {
  const auto result = group(add.s(1, 10), group(add.s(1, 100), group(add.s(1, 1000), add.s(1, 2000)))).delay();
  EXPECT_EQ(result.join(10s), (Array{11, 101, 1001, 2001}));
  EXPECT_TRUE(result.successful());
  EXPECT_EQ(result.completed_count(), 4U);
}

TEST_P(WorkflowOn, AGroupInAGroupsChainKeepsItsPlace) {
  const auto result = group(same.s(1), same.s(2), chain(same.si(5), group(same.si(3), same.si(4)))).delay();
  EXPECT_EQ(result.join(10s), (Array{1, 2, Array{3, 4}}));
}

TEST_P(WorkflowOn, AGroupIsFoundByItsIdFromElsewhere) {
  const auto result = group(same.s(1), same.s(2)).delay();
  result.save();
  EXPECT_EQ(app.group_result(result.id()).value().join(10s), (Array{1, 2}));
}

TEST_P(WorkflowOn, LargeGroup) {
  std::vector<TypedSignature<std::int64_t()>> members;
  for (std::int64_t i = 0; i < 300; ++i) members.push_back(same.s(i));
  const auto results = group(members).delay().get(20s);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], static_cast<std::int64_t>(i));
}

// --- Chords ----------------------------------------------------------------------------------------------

TEST_P(WorkflowOn, SimpleChordInTheOrderOfItsHeader) {
  std::vector<TypedSignature<std::int64_t()>> header;
  Numbers expected;
  for (std::int64_t i = 0; i < 40; ++i) {
    header.push_back(same.s(i));
    expected.push_back(i);
  }
  const auto result = chord(header, list.s()).delay();
  EXPECT_EQ(result.get(10s), expected);
  EXPECT_TRUE(parent_group(result).value().successful());
  expect_no_chords_left();
}

TEST_P(WorkflowOn, ChordsOfOneAndOfNone) {
  EXPECT_EQ(chord(group(same.s(7)), list.s()).delay().get(10s), (Numbers{7}));
  EXPECT_EQ(chord(std::vector<TypedSignature<std::int64_t()>>{}, list.s()).delay().get(10s), (Numbers{}));
}

TEST_P(WorkflowOn, ChordInChainWithArgs) {
  EXPECT_EQ(chain(same.s(3), chord(group(add.s(1), add.s(2)), total.s())).delay().get(10s), 9);
}

TEST_P(WorkflowOn, NestedChordsAndChainsInHeaders) {
  const auto inner =
      chord(group(chain(same.si(1), same.si(2)), chain(same.si(3), same.si(4))), chain(total.s(), add.s(100)));
  const auto flow = chord(group(inner, chain(same.si(5), add.s(6))), total.s());
  EXPECT_EQ(flow.delay().get(10s), 117);
}

TEST_P(WorkflowOn, ChordInAChordsHeaderAndBody) {
  const auto inner = chord(group(same.s(1), same.s(2)), total.s());
  EXPECT_EQ(chord(group(inner, same.s(10)), total.s()).delay().get(10s), 13);
  const auto body = chain(list.s(), chord(group(total.s(), total.s()), total.s()));
  EXPECT_EQ(chord(group(same.s(1), same.s(2)), body).delay().get(10s), 6);
}

TEST_P(WorkflowOn, ABodyThatIsAGroup) {
  EXPECT_EQ(chord(group(same.s(1), same.s(2)), group(total.s(), total.s())).delay().get(10s), (Numbers{3, 3}));
}

TEST_P(WorkflowOn, ATrailingGroupInAHeaderCountsItsMembers) {
  const auto flow = chord(group(chain(same.s(1), group(add.s(10), add.s(20))), chain(same.s(2), group(add.s(0)))),
                          app.signature("list"));
  EXPECT_EQ(AsyncResult<Numbers>(flow.delay()).get(10s), (Numbers{11, 21, 2}));
}

TEST_P(WorkflowOn, RetriesInAHeader) {
  EXPECT_EQ(chord(group(flaky.s(1), same.s(2)), total.s()).delay().get(20s), 3);
}

TEST_P(WorkflowOn, IgnoredResultsStillReachTheBody) {
  auto silent = same.s(5);
  silent.set({.ignore_result = true});
  EXPECT_EQ(chord(group(silent, same.s(2)), total.s()).delay().get(10s), 7);
}

TEST_P(WorkflowOn, ErrorPropagatesFromTheHeaderToTheBody) {
  const auto result = chord(group(same.s(1), boom.s(2)), total.s().link_error(note_id.s())).delay();
  EXPECT_THAT([&] { result.get(10s); },
              ThrowsMessage<TaskFailed>(AllOf(HasSubstr("ChordError"), HasSubstr("ValueError('boom')"),
                                              HasSubstr(parent_group(result)->results()[1].id()))));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + result.id()));
}

TEST_P(WorkflowOn, AnErrorInAGroupThatIsAStepOfAChainIsToldOnce) {
  auto flow = chain(same.s(1), group(boom.s(), add.s(1)), total.s(), add.s(1));
  flow.link_error(note_id.s());
  const auto result = flow.delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
  note.s("the last note").delay().get(10s);
  EXPECT_THAT(notes.lines(2), UnorderedElementsAre("failed " + result.id(), "the last note"));
}

TEST_P(WorkflowOn, ErrorPropagatesFromAChainInTheHeader) {
  const auto head = chord(group(chain(boom.s(1), same.s()), same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { head.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
  const auto tail = chord(group(chain(same.s(1), boom.s()), same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { tail.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
}

TEST_P(WorkflowOn, ErrorPropagatesThroughAnInnerChord) {
  const auto inner = chord(group(boom.s(1), same.s(1)), total.s());
  const auto result = chord(group(inner, same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ChordError")));
}

TEST_P(WorkflowOn, AnExpiredOrIgnoredPartFailsTheBodyInsteadOfHangingIt) {
  auto late = same.s(1);
  late.set({.expires = std::chrono::system_clock::now() - 1s});
  const auto expired = chord(group(late, same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { expired.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("expired")));
  const auto ignored = chord(group(skip.s(1), same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { ignored.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("Ignore")));
}

TEST_P(WorkflowOn, ParallelChords) {
  std::vector<TypedSignature<std::int64_t()>> chords;
  for (std::int64_t i = 0; i < 10; ++i) chords.push_back(chord(group(add.s(i, 1), add.s(i, 2)), total.s()));
  const auto sums = group(chords).delay().get(20s);
  for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], 2 * static_cast<std::int64_t>(i) + 3);
}

TEST_P(WorkflowOn, AHeaderOfThousandsIsJoinedOnce) {
  std::vector<TypedSignature<std::int64_t()>> header;
  for (std::int64_t i = 0; i < 2'000; ++i) header.push_back(same.s(i));
  EXPECT_EQ(chord(header, total.s()).delay().get(30s), 1'999'000);
}

TEST_P(WorkflowOn, AFanOutOfThousandsIsSentInPieces) {
  std::vector<ImmutableSignature<std::int64_t>> members;
  for (std::int64_t i = 0; i < 6'000; ++i) members.push_back(same.si(i));
  app.config().workflow_max_bytes = 16U << 20U;
  EXPECT_THAT(chain(same.s(1), group(members)).delay().get(60s), SizeIs(6'000));
}

// --- Replaced and added ----------------------------------------------------------------------------------

TEST_P(WorkflowOn, ReplacedWithAChainAGroupAndInAHeader) {
  EXPECT_EQ(replace_with.s(chain(same.si(20), add.s(22)).to_value()).delay().get(10s), 42);
  const auto within = chain(same.si(1), replace_with.si(chain(same.si(40), add.s(1)).to_value()), add.s(1));
  EXPECT_EQ(within.delay().get(10s), 42);
  const auto header = chord(group(replace_with.s(chain(same.si(40), add.s(1)).to_value()), same.s(1)), total.s());
  EXPECT_EQ(header.delay().get(10s), 42);
  const auto grouped = app.signature("replace_with", {group(same.si(1), same.si(2)).to_value()});
  EXPECT_EQ(AsyncResult<Numbers>(grouped.delay()).get(10s), (Numbers{1, 2}));
}

TEST_P(WorkflowOn, ReplacedTwiceKeepsItsIdAndCallbacks) {
  auto call = replace_with.s(replace_with.s(note.si("there").to_value()).to_value());
  call.link(note.si("after"));
  const auto result = call.delay();
  EXPECT_EQ(result.get_value(10s), Value("there"));
  EXPECT_THAT(notes.lines(2), ElementsAre("there", "after"));
}

TEST_P(WorkflowOn, AddToChord) {
  EXPECT_EQ(chord(group(add_to_chord.s(same.si(100).to_value()), same.s(10)), total.s()).delay().get(10s), 111);
  EXPECT_THROW(add_to_chord.s(same.si(100).to_value()).delay().get(10s), TaskFailed);
}

// --- Map, starmap, chunks --------------------------------------------------------------------------------

TEST_P(WorkflowOn, MapStarmapAndChunks) {
  EXPECT_EQ(map(same, {1, 2}).delay().get(10s), (Numbers{1, 2}));
  EXPECT_EQ(starmap(add, {{1, 2}, {3, 4}}).delay().get(10s), (Numbers{3, 7}));
  EXPECT_EQ(chunks(add, {{1, 1}, {2, 2}, {3, 3}}, 2).delay().get(10s), (std::vector<Numbers>{{2, 4}, {6}}));
}

}  // namespace
}  // namespace lovage::worker
