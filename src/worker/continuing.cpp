// SettlementRules: what follows when one settlement was not enough.
#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <lovage/states.hpp>

#include "app/canvas_shape.hpp"
#include "app/hearers.hpp"
#include "worker/exceptions.hpp"
#include "worker/metas.hpp"
#include "worker/settlements.hpp"
#include "worker/successors.hpp"

namespace lovage::worker {
namespace {

using broker::Disposal;
using broker::Settlement;

// The bounds of one settlement's messages.
constexpr std::size_t kMostSends = 5'000;
constexpr std::size_t kMostBytes = 1U << 20U;

// How many of them, from `first` on, one settlement sends: at least one.
std::size_t chunk_of(const std::vector<wire::TaskMessage>& messages, std::size_t first) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (first + count < messages.size() && count < kMostSends) {
    bytes += messages[first + count].body.size();
    if (count > 0 && bytes > kMostBytes) break;
    ++count;
  }
  return count;
}

Result<void> freeze(wire::Embed& embed) {
  for (auto* const signatures : {&embed.callbacks, &embed.chain}) {
    if (!*signatures) continue;
    for (auto& signature : **signatures) {
      if (auto frozen = app::freeze(signature); !frozen) return frozen;
    }
  }
  return {};
}

// A part as it is stored: [1, task id, state, result].
struct Part {
  std::string task_id;
  std::string state;
  Value result;
};

std::optional<Part> part_from(const std::string& text) {
  auto value = wire::decode_value(text, wire::Serializer::json);
  Array* const fields = value ? value->if_array() : nullptr;
  if (fields == nullptr || fields->size() != 4) return std::nullopt;
  auto* const task_id = (*fields)[1].get_if<std::string>();
  auto* const state = (*fields)[2].get_if<std::string>();
  if (task_id == nullptr || state == nullptr) return std::nullopt;
  return Part{std::move(*task_id), std::move(*state), std::move((*fields)[3])};
}

}  // namespace

void SettlementRules::use_graph(Settlement& settlement, const std::string& graph_id, std::uint64_t added,
                                std::uint64_t ended) {
  if (graph_id.empty() || added + ended == 0) return;
  if (!settlement.graph) settlement.graph = broker::GraphUse{.graph_id = graph_id};
  settlement.graph->added += added;
  settlement.graph->ended += ended;
}

Result<Array> SettlementRules::send_following(Settlement& settlement, FanOut following) const {
  const app::Lineage lineage{following.root_id, following.parent_id, following.graph_id};
  const Value* const argument = following.result ? &*following.result : nullptr;
  auto successors = after_success(facts_, lineage, following.embed, argument);
  if (!successors) return tl::unexpected(successors.error());
  if (following.sent == 0 && chunk_of(successors->messages, 0) < successors->messages.size()) {
    // The rest is made again later, by whoever is there then: with the same ids.
    if (auto frozen = freeze(following.embed); !frozen) return tl::unexpected(frozen.error());
    successors = after_success(facts_, lineage, following.embed, argument);
    if (!successors) return tl::unexpected(successors.error());
  }
  auto& messages = successors->messages;
  const auto first = std::min<std::size_t>(following.sent, messages.size());
  const std::size_t count = chunk_of(messages, first);
  const auto chunk = std::span(messages).subspan(first, count);
  use_graph(settlement, successors->graph_id,
            app::graph_holders(chunk) + (first == 0 ? successors->chords_by_reference : 0),
            !following.graph_id.empty() && first + count == messages.size() ? 1 : 0);
  const auto begin = messages.begin() + static_cast<std::ptrdiff_t>(first);
  settlement.sends.insert(settlement.sends.end(), std::make_move_iterator(begin),
                          std::make_move_iterator(begin + static_cast<std::ptrdiff_t>(count)));
  std::move(successors->queues.begin(), successors->queues.end(), std::back_inserter(settlement.declares));
  // All chords before the first message: their tasks are spread over the chunks.
  if (first == 0)
    std::move(successors->chords.begin(), successors->chords.end(), std::back_inserter(settlement.chords));
  following.sent = first + count;
  if (following.sent < messages.size()) {
    following.counts = std::exchange(settlement.counts, std::nullopt);
    settlement.disposal = Disposal::carry_on;
    settlement.continuation = encode_continuation(following);
  }
  return std::move(successors->results);
}

Settlement SettlementRules::fanned_out(Token token, FanOut fan_out, Timestamp now) const {
  Settlement settlement;
  settlement.token = token;
  settlement.counts = std::exchange(fan_out.counts, std::nullopt);
  const FanOut before = fan_out;
  const auto sent = send_following(settlement, std::move(fan_out));
  if (sent) return with_undeliverable(std::move(settlement), now);
  // It was made once before: only a worker with other settings can refuse it.
  Abandoned abandoned;
  for (const auto* const signatures : {&before.embed.callbacks, &before.embed.chain}) {
    if (!*signatures) continue;
    for (const auto& signature : **signatures) abandon(signature, abandoned);
  }
  const wire::ExceptionInfo exception = encode_error(sent.error().message);
  settle_abandoned(settlement, abandoned, {.state = states::failure, .exception = exception, .traceback = {}},
                   {before.root_id, before.parent_id}, now);
  use_graph(settlement, before.graph_id, 0, 1);
  return settlement;
}

Settlement SettlementRules::joined(Token token, const Join& join, const std::vector<std::string>& parts, Timestamp now,
                                   std::optional<std::string> lost_body) const {
  Settlement settlement;
  settlement.token = token;
  settlement.ended_chord = broker::ChordEnd{.group_id = join.group_id, .task_ids = {}};
  Array results;
  results.reserve(parts.size());
  std::optional<std::string> trouble = std::move(lost_body);
  for (const auto& text : parts) {
    auto part = part_from(text);
    if (!part) {
      if (!trouble) trouble = "a part of it cannot be read";
      continue;
    }
    if (part->state != states::success && !trouble)
      trouble = fmt::format("Dependency {} raised {}", part->task_id, wire::exception_from_value(part->result).repr());
    settlement.ended_chord->task_ids.push_back(std::move(part->task_id));
    results.push_back(std::move(part->result));
  }
  if (!trouble) {
    FanOut body{.embed = {.callbacks = Array{join.body}, .errbacks = {}, .chain = {}, .chord = {}},
                .result = Value(std::move(results)),
                .root_id = join.root_id,
                .parent_id = join.parent_id,
                .graph_id = join.graph_id};
    const auto sent = send_following(settlement, std::move(body));
    if (sent) return with_undeliverable(std::move(settlement), now);
    trouble = sent.error().message;
  }
  return chord_failed(std::move(settlement), join, *trouble, now);
}

// The body will never run: it fails as a task would, and so does what would have followed it.
Settlement SettlementRules::chord_failed(Settlement settlement, const Join& join, const std::string& trouble,
                                         Timestamp now) const {
  const wire::ExceptionInfo exception = chord_error(trouble);
  const app::Lineage lineage{join.root_id, join.parent_id};
  Abandoned abandoned;
  abandon(join.body, abandoned);
  settle_abandoned(settlement, abandoned,
                   {.state = states::failure, .exception = exception, .traceback = exception.repr()}, lineage, now);
  use_graph(settlement, join.graph_id, 0, 1);
  const app::Hearers hearers = app::hearers_of(join.body);
  Object request{{"id", Value(hearers.id)}, {"root_id", Value(join.root_id)}, {"parent_id", Value(join.parent_id)}};
  send_errbacks(settlement, hearers.errbacks, lineage,
                {.request = Value(std::move(request)), .exception = exception, .traceback = exception.repr()});
  return with_undeliverable(std::move(settlement), now);
}

}  // namespace lovage::worker
