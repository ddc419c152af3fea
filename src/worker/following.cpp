// Dispatcher: what follows a message, its continuations and the parts of its graph.
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "app/graph_reference.hpp"
#include "base/logging.hpp"
#include "worker/dispatcher.hpp"
#include "worker/kill_point.hpp"
#include "worker/log_lines.hpp"

namespace lovage::worker {

using execution::JobId;

namespace {

constexpr std::size_t kMostTold = 200;  // and what one node more leads to

}  // namespace

std::string Dispatcher::next_of(const broker::Settlement& settlement) {
  if (settlement.disposal == broker::Disposal::carry_on) return settlement.continuation;
  return settlement.counts ? settlement.counts->continuation : std::string();
}

// Its settlement stays under way until the continuation's own: a worker that ends waits for it.
void Dispatcher::carry_on(JobId number, Token token, const std::string& text) {
  auto decoded = decode_continuation(text);
  if (!decoded) {
    // Left where it is: a worker of another release may know it.
    log::error(fmt::format("A continuation cannot be carried out here: {}", decoded.error().message));
    unsettled_.erase(number);
    return tell_if_idle();
  }
  unsettled_.insert_or_assign(number, Unsettled{.id = "a continuation", .next = {}, .continuation = text});
  follow(std::move(*decoded), [this, number, token, text](broker::Settlement settlement) {
    settlement.token = token;
    if (settler_ == nullptr || !unsettled_.contains(number)) return;
    unsettled_.insert_or_assign(number,
                                Unsettled{.id = "a continuation", .next = next_of(settlement), .continuation = text});
    pass(KillPoint::in_continuation);
    settler_->settle(std::move(settlement));
  });
}

// Of a message that was acknowledged early: nothing is reserved, and nobody else would do it.
void Dispatcher::carry_on_unreserved(const std::string& text, JobId job, const std::string& id) {
  auto decoded = decode_continuation(text);
  if (!decoded) return tell_if_idle();
  const JobId number = job | JobId{1} << 63;
  unsettled_.insert_or_assign(number, Unsettled{.id = id, .next = {}, .continuation = {}});
  follow(std::move(*decoded), [this, number, job, id](broker::Settlement settlement) {
    unsettled_.erase(number);
    settle_early_acknowledged(std::move(settlement), job, id);
    tell_if_idle();
  });
}

void Dispatcher::follow(Continuation continuation, UniqueFunction<void(broker::Settlement)> then) {
  if (auto* const fan_out = std::get_if<FanOut>(&continuation))
    return then(rules_.fanned_out({}, std::move(*fan_out), clock_.now()));
  if (auto* const give_up = std::get_if<GiveUp>(&continuation)) return tell(std::move(*give_up), {}, std::move(then));
  const std::string group_id = std::get<Join>(continuation).group_id;
  outbox_.read_parts(group_id, [this, join = std::get<Join>(std::move(continuation)),
                                then = std::move(then)](std::vector<std::string> parts) mutable {
    pass(KillPoint::before_join);
    const auto reference = app::leading_reference(join.body);
    if (!reference) return then(rules_.joined({}, join, parts, clock_.now()));
    graphs_.read(*reference, [this, join = std::move(join), parts = std::move(parts),
                              then = std::move(then)](Result<Value> node) mutable {
      const auto read = node ? app::put_in_place(join.body, std::move(*node)) : tl::unexpected(node.error());
      then(rules_.joined({}, join, parts, clock_.now(), read ? std::nullopt : std::optional(read.error().message)));
    });
  });
}

// Reads on until it is enough for one settlement.
void Dispatcher::tell(GiveUp give_up, Abandoned found, UniqueFunction<void(broker::Settlement)> then) {
  std::move(found.references.begin(), found.references.end(), std::back_inserter(give_up.references));
  found.references.clear();
  std::optional<wire::GraphReference> next;
  while (!next && !give_up.references.empty() && found.tasks.size() < kMostTold) {
    next = wire::graph_reference(give_up.references.back());
    give_up.references.pop_back();
  }
  if (!next) return then(rules_.given_up({}, std::move(give_up), found, clock_.now()));
  graphs_.read(*next, [this, give_up = std::move(give_up), found = std::move(found),
                       then = std::move(then)](Result<Value> node) mutable {
    if (!node) log::error(fmt::format("Steps that will never run cannot be told so: {}", node.error().message));
    if (node) abandon(*node, found);
    tell(std::move(give_up), std::move(found), std::move(then));
  });
}

// --- Graphs ------------------------------------------------------------------------------------------

// What the message's end needs of its graph is read before it runs: a graph that is lost is found out in time.
void Dispatcher::prepare(JobId number, Held& held) {
  const auto& embed = held.job.embed;
  const bool is_followed = embed && embed->chain && !embed->chain->empty();
  const auto reference = is_followed ? app::leading_reference(embed->chain->back()) : std::nullopt;
  if (!reference) return start(held);
  ++preparing_;
  graphs_.read(*reference, [this, number](Result<Value> node) { on_node(number, std::move(node)); });
}

void Dispatcher::on_node(JobId number, Result<Value> node) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  --preparing_;
  Held& held = found->second;
  wire::Embed embed = *held.job.embed;
  const auto read = node ? app::put_in_place(embed.chain->back(), std::move(*node)) : tl::unexpected(node.error());
  if (read && !draining_) {
    held.job.embed = std::make_shared<const wire::Embed>(std::move(embed));
    return start(held);
  }
  bytes_waiting_ -= held.job.bytes;
  const Job job = std::move(held.job);
  jobs_.erase(found);
  if (read || draining_) {
    settle(SettlementRules::give_back(job), job.id());
  } else {
    log_graph_lost(job, read.error().message);
    settle(rules_.graph_lost(job, read.error().message, clock_.now()), job.id());
  }
  update_credit();
}

}  // namespace lovage::worker
