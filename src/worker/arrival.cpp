#include "worker/arrival.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/printable.hpp"
#include "execution/frame.hpp"
#include "wire/envelope.hpp"
#include "worker/exceptions.hpp"
#include "worker/successors.hpp"

namespace lovage::worker {
namespace {

Object fields_of(const wire::TaskMessage& message) {
  return {{"id", Value(message.id)}, {"name", Value(message.display_name())}};
}

std::string label(const Job& job) {
  return fmt::format("{}[{}]", printable(job.name()), printable(job.id()));
}

Decided refuse(Token token, const SettlementRules& rules, const wire::BadMessage& bad, Timestamp now) {
  return {
      .settlement = rules.unreadable(token, bad, now),
      .line = {.level = log::Level::critical,
               .text = fmt::format("Can't decode message body: {} ({}) [id:{} task:{}]: moved to the dead letters",
                                   printable(bad.detail), bad.reason, bad.id.empty() ? "unknown" : printable(bad.id),
                                   bad.task.empty() ? "unknown" : printable(bad.task)),
               .fields = {{"id", Value(bad.id)}, {"name", Value(bad.task)}, {"reason", Value(bad.reason)}}}};
}

Decided settle(broker::Settlement settlement, log::Level level, std::string text, const Job& job) {
  return {.settlement = std::move(settlement),
          .line = {.level = level, .text = std::move(text), .fields = fields_of(job.message)}};
}

Decided wait_for_a_worker(const Job& job, const SettlementRules& rules, Timestamp now) {
  broker::Settlement settlement = rules.unknown_task(job, now);
  const bool dead = settlement.disposal == broker::Disposal::dead_letter;
  // Once per message, not once per round of waiting.
  const auto level = dead                                    ? log::Level::error
                     : job.marks.waited_unknown.count() == 0 ? log::Level::warning
                                                             : log::Level::debug;
  std::string text =
      fmt::format("Received unregistered task of type '{}' [{}]: {}", printable(job.message->task), printable(job.id()),
                  dead ? "moved to the dead letters" : "it waits for a worker that knows it");
  return settle(std::move(settlement), level, std::move(text), job);
}

// The content type is looked at without decoding the body: the pool does that where the task runs.
std::optional<wire::BadMessage> refused_content(const wire::TaskMessage& message, const Facts& facts) {
  const auto& accepted = facts.accept_content;
  if (std::find(accepted.begin(), accepted.end(), message.content_type) != accepted.end()) return std::nullopt;
  return wire::BadMessage{
      .reason = "refused-content-type",
      .detail = fmt::format("Refusing to deserialize disabled content of type {}", message.content_type),
      .id = message.id,
      .task = message.task};
}

}  // namespace

Arrival assess(broker::Delivery delivery, const Facts& facts, const SettlementRules& rules, EmbedReader& embeds,
               Timestamp now, const std::function<bool(const std::string&)>& is_revoked) {
  const wire::DecodeLimits limits{.max_bytes = facts.config().task_message_max_bytes};
  // In its envelope the body is base64, a third larger, and there are headers beside it.
  const wire::DecodeLimits envelope_limits{.max_bytes = execution::max_frame_for(limits.max_bytes)};
  const std::size_t size = delivery.size();
  wire::SharedMessage message = std::move(delivery.message);
  if (!message) {
    if (auto ok = wire::decode_envelope(message.edit(), delivery.bytes, envelope_limits); !ok)
      return refuse(delivery.token, rules, ok.error(), now);
  }
  if (auto bad = refused_content(message, facts)) return refuse(delivery.token, rules, *bad, now);

  Job job;
  job.token = delivery.token;
  job.queue = std::move(delivery.queue);
  job.marks = {.suspect = delivery.suspect, .strikes = delivery.strikes, .waited_unknown = delivery.waited_unknown};
  job.bytes = size;
  job.message = std::move(message);
  auto embed = embeds.read(job.message);
  if (!embed) {
    wire::BadMessage bad = std::move(embed.error());
    bad.id = job.id();
    bad.task = job.message->task;
    return refuse(job.token, rules, bad, now);
  }
  job.embed = std::move(*embed);
  const app::TaskDefinition* const task = facts.registry().find(job.message->task);
  job.rules = rules_for(job.message, task, facts);

  if (is_revoked && is_revoked(job.id()))
    return settle(rules.revoked(job, "revoked", now), log::Level::info,
                  fmt::format("Discarding revoked task: {}", label(job)), job);
  if (job.message->expires && job.message->expires->at < now)
    return settle(rules.revoked(job, "expired", now), log::Level::info,
                  fmt::format("Discarding expired task: {}", label(job)), job);
  if (task == nullptr) return wait_for_a_worker(job, rules, now);
  if (job.message->eta && job.message->eta->at > now)
    return settle(rules.not_due(job, now), log::Level::info,
                  fmt::format("Task {} received: eta {}", label(job), job.message->eta->text), job);
  if (job.marks.strikes >= facts.config().task_max_strikes)
    return settle(rules.poison(job, fmt::format("{} runs of it were never settled", job.marks.strikes), now),
                  log::Level::error,
                  fmt::format("Task {} moved to the dead letters: {} runs of it were never settled", label(job),
                              job.marks.strikes),
                  job);
  return Accepted{std::move(job)};
}

}  // namespace lovage::worker
