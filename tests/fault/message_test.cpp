// Messages that no good producer sends, pushed raw beside a running worker, and tasks that nobody knows yet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "fault/fleet.hpp"
#include "fault/scene.hpp"
#include "support/crafted_messages.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
using testing::UnorderedElementsAre;

class UnknownTask : public testing::TestWithParam<Engine> {};

TEST_P(UnknownTask, WaitsForAWorkerThatKnowsIt) {
  Scene scene(GetParam());
  const Worker without = scene.worker("without");
  const auto late = scene.app().remote<std::int64_t(std::int64_t)>("fault.late").delay(41);
  ASSERT_TRUE(scene.wait_log("without", "Received unregistered task of type 'fault.late'"));
  ASSERT_TRUE(scene.wait_queue([](const auto& queue) { return queue.scheduled == 1; }));
  const Worker with = scene.worker("with", {.environment = {"FAULT_KNOWS_LATE=1"}});
  EXPECT_EQ(late.get(10s), 42);
  EXPECT_TRUE(scene.dead_letters().empty());
}

TEST_P(UnknownTask, RunsBesideAWorkerThatDoesNotKnowIt) {
  Scene scene(GetParam());
  const Worker without = scene.worker("without");
  const Worker with = scene.worker("with", {.environment = {"FAULT_KNOWS_LATE=1"}});
  const auto late = scene.app().remote<std::int64_t(std::int64_t)>("fault.late");
  std::vector<AsyncResult<std::int64_t>> sent;
  for (int i = 0; i < 20; ++i) sent.push_back(late.delay(i));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sent[static_cast<std::size_t>(i)].get(10s), i + 1);
  EXPECT_TRUE(scene.dead_letters().empty());
}

INSTANTIATE_TEST_SUITE_P(, UnknownTask, testing::Values(Engine::redis, Engine::sqlite),
                         [](const auto& made) { return name_of(made.param); });

// An envelope as Celery writes it, with no more than it needs.
std::string envelope(const std::string& id, const std::string& tag, const std::string& body) {
  return R"({"body": ")" + body + R"(", "content-encoding": "utf-8", "content-type": "application/json",)" +
         R"( "headers": {"lang": "cpp", "task": "fault.note", "id": ")" + id +
         R"("}, "properties": {"delivery_info":)" + R"( {"exchange": "", "routing_key": "celery"}, "delivery_tag": ")" +
         tag + R"("}})";
}

TEST(DeliveryTags, MayBeTheSame) {
  Scene scene(Engine::redis);
  const auto note = [&](const std::string& id) {
    return envelope(id, "one-tag", R"([[\")" + id + R"(\", \")" + scene.path("notes") + R"(\"], {}, {}])");
  };
  // All three are there when the worker comes, so that one reserve takes them together.
  for (const auto& text : {note("a"), note("a"), note("b")}) scene.redis().command({"LPUSH", "celery", text});
  const Worker worker = scene.worker("worker", {.arguments = {"-c", "4"}});
  wait_until_empty(scene.app(), "celery");
  EXPECT_THAT(scene.lines("notes"), UnorderedElementsAre("a", "a", "b")) << scene.log("worker");
  EXPECT_TRUE(scene.dead_letters().empty());
}

Value golden(const std::string& name) {
  std::ifstream file(std::string(LOVAGE_TEST_SOURCE_DIR) + "/golden/5.6.3/" + name + ".json", std::ios::binary);
  return from_json(std::string{std::istreambuf_iterator<char>(file), {}});
}

struct Crafted {
  std::string name;
  std::string bytes;
  std::string id;  // empty: none that can be read
  Value celery;    // the result meta that a Celery worker stored, or null
};

std::string id_of(const Value& envelope, const Value& celery) {
  const Value* const headers = envelope.find("headers");
  const Value* id = headers != nullptr ? headers->find("id") : nullptr;
  if (id == nullptr && celery.if_object() != nullptr) id = celery.find("task_id");  // protocol 1: in the body
  return id != nullptr && id->if_string() != nullptr ? *id->if_string() : "";
}

std::vector<Crafted> crafted_messages() {
  std::vector<Crafted> out;
  const Value samples = golden("worker_tolerance_crafted_messages");
  for (const auto& [name, sample] : *samples.find("cases")->if_object()) {
    const Value& envelope = *sample.find("envelope");
    const std::string* const stored = sample.find("result")->if_string();
    const Value celery = stored != nullptr ? from_json(*stored) : Value();
    out.push_back({name, to_json(envelope), id_of(envelope, celery), celery});
  }
  return out;
}

void expect_dead(Scene& scene, const Crafted& crafted, const std::string& reason,
                 const std::vector<broker::DeadLetterEntry>& dead) {
  std::vector<std::string> reasons;
  for (const auto& entry : dead) {
    if (entry.bytes == crafted.bytes) reasons.push_back(entry.letter.reason);
  }
  EXPECT_THAT(reasons, testing::ElementsAre(reason));
  if (crafted.id.empty()) return;
  EXPECT_EQ(scene.app().result(crafted.id).state(), "FAILURE");
}

void expect_ran(Scene& scene, const Crafted& crafted) {
  ASSERT_FALSE(crafted.id.empty());
  const auto result = scene.app().result(crafted.id);
  const std::string wanted = crafted.name == "expires_past_naive"   ? "REVOKED"
                             : crafted.name == "ignore_result_true" ? "PENDING"
                                                                    : "SUCCESS";
  ASSERT_EQ(result.state(), wanted) << to_json(result.result());
  // Where Celery fails a task for a callback that lacks fields, there is no value to compare with.
  if (wanted != "SUCCESS" || *crafted.celery.find("status") != Value("SUCCESS")) return;
  EXPECT_EQ(to_json(result.result()), to_json(*crafted.celery.find("result")));
}

TEST(CraftedMessages, AreDeadLettersOrRun) {
  Scene scene(Engine::redis);
  const Worker worker = scene.worker("worker", {.arguments = {"-c", "2"}});
  const auto crafted = crafted_messages();
  ASSERT_GE(crafted.size(), 40U);
  for (const auto& message : crafted) scene.redis().command({"LPUSH", "celery", message.bytes});
  // No envelope at all, and one that is cut short.
  const std::string whole = crafted.front().bytes;
  const std::vector<std::string> wrecks{"", "junk", "[]", std::string("\0\xff", 2), whole.substr(0, whole.size() / 2)};
  for (const auto& wreck : wrecks) scene.redis().command({"LPUSH", "celery", wreck});
  wait_until_empty(scene.app(), "celery");
  const auto dead = scene.dead_letters();
  for (const auto& message : crafted) {
    SCOPED_TRACE(message.name);
    const auto reason = test::kCraftedReasons.find(message.name);
    reason != test::kCraftedReasons.end() ? expect_dead(scene, message, reason->second, dead)
                                          : expect_ran(scene, message);
  }
  for (const auto& wreck : wrecks)
    expect_dead(scene, {.name = "wreck", .bytes = wreck, .id = {}, .celery = {}}, "bad-envelope", dead);
  EXPECT_EQ(dead.size(), test::kCraftedReasons.size() + wrecks.size());
  EXPECT_TRUE(worker->running());
  EXPECT_EQ(scene.send("after", 0ms).wait(30s), "SUCCESS");
}

}  // namespace
}  // namespace lovage::fault
