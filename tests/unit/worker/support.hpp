// Messages, jobs and facts for the worker's tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "app/core.hpp"
#include "app/registry.hpp"
#include "wire/body.hpp"
#include "wire/result_meta.hpp"
#include "wire/signature.hpp"
#include "worker/facts.hpp"
#include "worker/job.hpp"
#include "worker/settlements.hpp"

namespace lovage::worker::testing {

inline const Timestamp kNow = Timestamp(std::chrono::seconds(1'800'000'000));

inline app::TaskDefinition task_named(std::string name, TaskOptions options = {}) {
  app::TaskDefinition task;
  task.name = std::move(name);
  task.options = std::move(options);
  task.call = [](Context&, Array, Object) { return Value(); };
  return task;
}

// An app with the task "add" and settings that a test may change before it takes the facts.
struct World {
  app::Core core{"test", Config{}};
  Config& config = core.config();
  app::Registry& registry = core.registry();

  World() { registry.add(task_named("add")); }
  [[nodiscard]] Facts facts() const { return make_facts(core, "celery@test", true); }
};

inline wire::TaskMessage message_of(wire::Body body = {}, const wire::BodyFormat& format = {}) {
  wire::TaskMessage message;
  message.task = "add";
  message.id = "id-1";
  message.root_id = "root-1";
  message.parent_id = "parent-1";
  message.origin = "gen7@producer";
  message.reply_to = "reply-1";
  message.routing_key = "celery";
  message.delivery_tag = "tag-1";
  EXPECT_TRUE(wire::encode_body(message, body, format));
  message.argsrepr = wire::args_repr(body.args);
  message.kwargsrepr = wire::kwargs_repr(body.kwargs);
  return message;
}

inline Job job_of(const Facts& facts, const wire::TaskMessage& message) {
  Job job;
  job.token = Token(7);
  job.queue = "celery";
  job.message = message;
  job.rules = rules_for(message, facts.registry().find(message.task), facts);
  auto body = wire::decode_body(message, facts.accept_content);
  if (body && (body->embed.callbacks || body->embed.errbacks || body->embed.chain || body->embed.chord))
    job.embed = std::make_shared<const wire::Embed>(body->embed);
  return job;
}

inline Value signature(std::string task, Array args = {}, Object options = {}, bool immutable = false) {
  return wire::to_value(wire::SignatureData{.task = std::move(task),
                                            .args = std::move(args),
                                            .kwargs = {},
                                            .options = std::move(options),
                                            .subtask_type = std::nullopt,
                                            .immutable = immutable});
}

inline Value canvas(std::string kind, Array tasks, Object options = {}) {
  return wire::to_value(wire::SignatureData{.task = "celery." + kind,
                                            .args = {},
                                            .kwargs = {{"tasks", Value(std::move(tasks))}},
                                            .options = std::move(options),
                                            .subtask_type = kind,
                                            .immutable = false});
}

inline execution::Outcome outcome_of(execution::Outcome::Kind kind) {
  execution::Outcome outcome;
  outcome.kind = kind;
  return outcome;
}

inline execution::Outcome success(std::string result_json = "5") {
  execution::Outcome outcome = outcome_of(execution::Outcome::Kind::success);
  outcome.result_json = std::move(result_json);
  return outcome;
}

inline execution::Outcome failure(std::string type = "ValueError", std::string text = "boom") {
  execution::Outcome outcome = outcome_of(execution::Outcome::Kind::failure);
  outcome.exception = {.type = std::move(type), .module = "builtins", .arguments = {Value(std::move(text))}};
  outcome.traceback = "Traceback: here";
  return outcome;
}

// What is to become of a message whose run has ended so.
inline broker::Settlement settle(const World& world, const wire::TaskMessage& message,
                                 const execution::Outcome& outcome) {
  const Facts facts = world.facts();
  return SettlementRules(facts).finished(job_of(facts, message), outcome, kNow);
}

inline wire::ResultMeta stored(const broker::StoreResult& result) {
  auto meta = wire::decode_result_meta(result.meta);
  EXPECT_TRUE(meta) << result.meta;
  return meta ? *meta : wire::ResultMeta{};
}

inline wire::Body body_of(const wire::TaskMessage& message) {
  const std::vector<std::string> accept{"application/json", "application/x-msgpack"};
  auto body = wire::decode_body(message, accept);
  EXPECT_TRUE(body);
  return body ? *body : wire::Body{};
}

}  // namespace lovage::worker::testing
