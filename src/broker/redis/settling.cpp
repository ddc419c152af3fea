// RedisConsumer: settlements, gathered in a loop turn, sent in batches, asked again when a reply was lost.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/logging.hpp"
#include "broker/redis/redis_consumer.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kMostDeclared = 1'000;
// Each travels with every reserve; whoever forgets some learns them again.
constexpr std::size_t kMostUnknown = 100;
SettleStatus status_of(char code) {
  switch (code) {
    case '0':
      return SettleStatus::fenced;
    case '1':
      return SettleStatus::settled;
    case '3':
      return SettleStatus::carries_on;
    default:
      return SettleStatus::failed;
  }
}

// While these are under way, what is settled gathers: the busier the server, the fuller the batches.
constexpr std::size_t kBatchesInFlight = 2;
constexpr std::size_t kExpiredAtOnce = 1'000;
// The server remembers the codes of a batch until it is told that they have arrived: each such word costs it time.
constexpr std::size_t kForgottenAtOnce = 8;

}  // namespace

void RedisConsumer::settle(Settlement settlement) {
  queue_item(SettleKind::settlement, std::move(settlement));
}

void RedisConsumer::store_state(Token token, StoreResult result) {
  const auto held = held_.find(token.get());
  if ((held != held_.end() && held->second.settling) || !setup_.results) return;  // its outcome is on the way already
  if (held != held_.end()) held->second.has_state = true;
  Settlement settlement;
  settlement.token = token;
  settlement.results.push_back(std::move(result));
  queue_item(SettleKind::state, std::move(settlement));
}

void RedisConsumer::record_start(Token token) {
  Settlement settlement;
  settlement.token = token;
  queue_item(SettleKind::start, std::move(settlement));
}

void RedisConsumer::queue_item(SettleKind kind, Settlement settlement) {
  const Token token = settlement.token;
  const auto held = held_.find(token.get());
  if (state_ == State::lost || state_ == State::closed || held == held_.end()) {
    return later([this, entry = SettleBatch::Entry{token, kind}] { report(entry, SettleStatus::fenced); });
  }
  const bool has_chords = !settlement.chords.empty() || settlement.counts || settlement.ended_chord;
  if ((!settlement.results.empty() || has_chords) && !setup_.results) {
    log::error("A settlement holds results or parts of chords, but they are kept elsewhere");
    return later([this, entry = SettleBatch::Entry{token, kind}] { report(entry, SettleStatus::failed); });
  }
  const Disposal disposal = settlement.disposal;
  if (settlement.counts && disposal != Disposal::acknowledge && disposal != Disposal::dead_letter) {
    log::error("A settlement counts parts of a chord although its message stays");
    return later([this, entry = SettleBatch::Entry{token, kind}] { report(entry, SettleStatus::failed); });
  }
  if (kind == SettleKind::settlement) held->second.settling = true;
  // What was not due by our notion of the server's time may be so by the server's: then this was a jump of its clock.
  if (settlement.disposal == Disposal::schedule) ask_for_time();
  if (!settlement.unknown_task.empty()) {
    if (unknown_.size() >= kMostUnknown) unknown_.clear();
    unknown_.insert(settlement.unknown_task);
  }
  SettleItem item{kind, lists_[held->second.list].name, std::move(settlement), {}};
  if (!pending_.empty() || !item.settlement.sends.empty() || !add_to_batch(item)) pending_.push_back(std::move(item));
  pump_at_end_of_turn();
}

bool RedisConsumer::add_to_batch(SettleItem& item) {
  if (!batch_) {
    const int db = setup_.redis.db;
    batch_.emplace(SettleScope{&setup_.keys, setup_.incarnation, setup_.results.value_or(ResultStore{db, {}, {}}), db},
                   next_batch_++);
  }
  if (!batch_->has_room_for(item)) return false;
  batch_->add(std::move(item));
  return true;
}

// Moves what waits into the next batch, as far as it has room and the items' ways are known.
void RedisConsumer::fill_batch() {
  while (!pending_.empty() && route(pending_.front()) && add_to_batch(pending_.front())) pending_.pop_front();
}

void RedisConsumer::send_settlements() {
  while (awaited_batches() < kBatchesInFlight && !take_refused_) {
    fill_batch();
    if (!batch_) return;
    const bool forgets = answered_.size() >= kForgottenAtOnce;
    batch_->seal(forgets ? std::exchange(answered_, {}) : std::vector<std::uint64_t>{}, place_of(batch_->lone_token()));
    const std::uint64_t number = batch_->number();
    send_new_batch(outstanding_.emplace(number, std::move(*batch_)).first->second);
    batch_.reset();
  }
}

// Finds the lists of the front item's messages. A message that no queue is bound for becomes a dead letter alone where
// the settlement says how; else the item is taken out, as failed.
bool RedisConsumer::route(SettleItem& item) {
  for (bool grown = true; item.sends.size() < item.settlement.sends.size();) {
    if (std::exchange(grown, false)) declare_queues(item.settlement);
    const wire::TaskMessage& message = item.settlement.sends[item.sends.size()];
    if (!bindings_.knows(message.exchange)) {
      ask_for_bindings(message.exchange);
      return false;
    }
    auto lists = bindings_.lists_for(message);
    if (lists) {
      item.sends.push_back({std::move(*lists), wire::encode_envelope(message)});
    } else if (std::exchange(item.asked_again, message.exchange) != message.exchange) {
      // Its queue may have been bound since they were read.
      bindings_.forget(message.exchange);
      ask_for_bindings(message.exchange);
      return false;
    } else {
      const std::string id = message.id;
      grown = bury_send(item.settlement, item.sends.size());
      if (grown) continue;
      log::error(fmt::format("Message {} cannot be sent: {}", id, lists.error().message));
      const SettleBatch::Entry entry{item.settlement.token, item.kind};
      pending_.pop_front();
      later([this, entry] { report(entry, SettleStatus::failed); });
      pump_at_end_of_turn();
      return false;
    }
  }
  return true;
}

// On the connection of the settling script and before it: no message enters a queue that nobody would find.
void RedisConsumer::declare_queues(const Settlement& settlement) {
  for (const auto& queue : settlement.declares) declare_queue(queue);
  for (const auto& message : settlement.sends) {
    if (message.exchange.empty()) declare_queue({message.routing_key, {}, wire::ExchangeType::direct, {}});
  }
}

void RedisConsumer::declare_queue(const wire::QueueDeclaration& queue) {
  const std::string exchange = queue.exchange.empty() ? queue.name : queue.exchange;
  const std::string row = setup_.keys.binding_row(queue);
  if (declared_.size() >= kMostDeclared) declared_.clear();
  if (!declared_.emplace(exchange, row).second) return;
  bindings_.forget(exchange);
  ++declaring_;
  commands_->command({"SADD", setup_.keys.binding(exchange), row},
                     [this, exchange, row](const Result<client::RedisReply>& reply) {
                       --declaring_;
                       if (reply && !reply->is_error()) return;
                       declared_.erase({exchange, row});
                       if (reply) server_refused("declare a queue", client::failure_of(*reply));
                     });
}

void RedisConsumer::ask_for_bindings(const std::string& exchange) {
  if (!asked_bindings_.insert(exchange).second) return;
  commands_->command({"SMEMBERS", setup_.keys.binding(exchange)},
                     [this, exchange](const Result<client::RedisReply>& reply) {
                       asked_bindings_.erase(exchange);
                       if (!reply) return;
                       if (reply->is_error()) return server_refused("read bindings", client::failure_of(*reply));
                       bindings_.learn(exchange, *reply);
                       pump_at_end_of_turn();
                     });
}

// Where a message waits that nobody has asked the server to reserve yet.
std::optional<InboxMessage> RedisConsumer::place_of(Token token) const {
  const auto untaken = untaken_.find(token.get());
  if (untaken == untaken_.end() || untaken->second.asked) return std::nullopt;
  return InboxMessage{.inbox = lists_[untaken->second.list].inbox, .message = untaken->second.message};
}

// What goes together with a wait is not awaited.
std::size_t RedisConsumer::awaited_batches() const {
  const auto goes_along = [&](const auto& each) {
    return !each.second.asked && outstanding_.contains(each.second.batch);
  };
  return outstanding_.size() - static_cast<std::size_t>(std::count_if(untaken_.begin(), untaken_.end(), goes_along));
}

// One alone has a script that costs the server less: it stores a first result. What that leaves alone goes the usual
// way. The outcome of what a wait has brought goes together with the next wait.
void RedisConsumer::send_new_batch(SettleBatch& batch) {
  const Token token = batch.entries().front().token;
  const auto held = held_.find(token.get());
  if (batch.command_of_one().empty() || held == held_.end() || held->second.has_state) return send_batch(batch);
  const bool may_overtake = declaring_ == 0;  // what the settlement sends needs its queues
  if (may_overtake && place_of(token) && may_wait() && bells_->can_carry(lists_[held->second.list].key))
    return send_with_wait(batch, token);
  commands_->pipeline(batch.command_of_one(), 1,
                      [this, number = batch.number(), token](const Result<std::vector<client::RedisReply>>& replies) {
                        one_answered(number, token, replies && replies->front().integer == 1);
                      });
}

// The answer comes with the next message, or is asked for by look_at_untaken().
void RedisConsumer::send_with_wait(SettleBatch& batch, Token token) {
  Untaken& untaken = untaken_.at(token.get());
  untaken.batch = batch.number();
  Doorbells::Errand errand;
  errand.command = batch.command_of_one();
  client::append_command(errand.check,
                         {"HGET", setup_.keys.settled(setup_.incarnation), std::to_string(batch.number())});
  errand.done = [this, number = batch.number(), token](bool is_settled) { one_answered(number, token, is_settled); };
  bells_->arm(lists_[untaken.list].key, std::move(errand));
}

// What has been in an inbox for a while is reserved, or has been settled.
void RedisConsumer::look_at_untaken() {
  for (const auto& [token, untaken] : untaken_) {
    if (untaken.asked) continue;
    if (untaken.batch == 0) {
      take(Token(token));
      continue;
    }
    commands_->command({"HGET", setup_.keys.settled(setup_.incarnation), std::to_string(untaken.batch)},
                       [this, number = untaken.batch, id = Token(token)](const Result<client::RedisReply>& reply) {
                         if (reply)
                           one_answered(number, id, reply->text == "1");  // else sent again after the reconnect
                       });
  }
}

void RedisConsumer::one_answered(std::uint64_t number, Token token, bool is_settled) {
  const auto found = outstanding_.find(number);
  if (state_ != State::ready || found == outstanding_.end()) return;  // sent again after the reconnect, or concluded
  const auto untaken = untaken_.find(token.get());
  if (is_settled) {
    if (untaken != untaken_.end()) untaken_.erase(untaken);
    return conclude(found, "1");
  }
  if (untaken == untaken_.end()) return send_batch(found->second);
  untaken->second.batch = number;
  take_all();
}

void RedisConsumer::send_batch(SettleBatch& batch, Send how) {
  take_all();
  commands_->pipeline(batch.command(how), 1,
                      [this, number = batch.number()](Result<std::vector<client::RedisReply>> replies) {
                        if (!replies) return;  // sent again after the reconnect
                        client::RedisReply& reply = replies->front();
                        const auto found = outstanding_.find(number);
                        if (found == outstanding_.end()) return;
                        if (is_noscript(reply)) return send_batch(found->second, Send::whole);
                        batch_answered(found, reply);
                      });
}

// In their old order and under their old numbers: what ran already is not run again, only told again.
void RedisConsumer::resend_batches() {
  refused_batches_.clear();
  for (auto& [number, batch] : outstanding_) send_batch(batch);
}

void RedisConsumer::resend_refused_batches() {
  for (const std::uint64_t number : std::exchange(refused_batches_, {})) {
    if (const auto found = outstanding_.find(number); found != outstanding_.end()) send_batch(found->second);
  }
}

void RedisConsumer::batch_answered(Batches::iterator found, const client::RedisReply& reply) {
  if (reply.is_error() && client::failure_of(reply).code == Errc::server_busy) {  // nothing of it was done
    refused_batches_.insert(found->first);
    return server_refused("settle", client::failure_of(reply));
  }
  if (!reply.is_error() && reply.items.size() == 1) return lost();
  if (reply.is_error()) {
    log::error(fmt::format("{} refused to settle: {}", setup_.redis.display_url, reply.text));
    return conclude(found, {});
  }
  if (reply.items.size() != 4) return conclude(found, {});
  wake_when_due(reply.items[2].integer);
  for (const auto& error : reply.items[3].items) {
    log::error(fmt::format("A settlement failed, its message stays reserved: {}", error.text));
  }
  conclude(found, reply.items[1].text);
}

// `codes`: what the server says of each entry; none of them: all have failed.
void RedisConsumer::conclude(Batches::iterator found, std::string_view codes) {
  const SettleBatch batch = std::move(found->second);
  outstanding_.erase(found);
  const auto& entries = batch.entries();
  const bool told = codes.size() == entries.size();
  if (told) answered_.push_back(batch.number());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const SettleStatus status = told ? status_of(codes[i]) : SettleStatus::failed;
    const bool has_ended = status == SettleStatus::settled || status == SettleStatus::carries_on;
    has_ended && !entries[i].ended.empty() ? expire_results(entries[i], status, 0) : report(entries[i], status);
  }
  if (stopping_ || batch_ || !pending_.empty()) pump_at_end_of_turn();
}

// Behind the end of their chord, not in its step: thousands of keys would hold everybody up. Those that this worker
// does not come to any more expire kChordLasts later.
void RedisConsumer::expire_results(SettleBatch::Entry entry, SettleStatus status, std::size_t from) {
  const std::size_t end = std::min(from + kExpiredAtOnce, entry.ended.size());
  if (from == end) return report(entry, status);
  std::string bytes;
  client::append_command(bytes, {"SELECT", std::to_string(setup_.results->db)});
  const std::string lifetime = std::to_string(setup_.results->expires.count());
  for (std::size_t i = from; i < end; ++i) client::append_command(bytes, {"EXPIRE", entry.ended[i], lifetime});
  client::append_command(bytes, {"SELECT", std::to_string(setup_.redis.db)});
  ++expiring_;
  commands_->pipeline(std::move(bytes), end - from + 2,
                      [this, entry = std::move(entry), status, end](const auto& replies) mutable {
                        --expiring_;
                        pump_at_end_of_turn();
                        replies ? expire_results(std::move(entry), status, end) : report(entry, status);
                      });
}

void RedisConsumer::report_all_fenced() {
  if (batch_) batch_->seal({});
  const auto unsent = std::exchange(batch_, std::nullopt);
  const auto outstanding = std::exchange(outstanding_, {});
  const auto pending = std::exchange(pending_, {});
  for (const auto& [number, batch] : outstanding) {
    for (const auto& entry : batch.entries()) report(entry, SettleStatus::fenced);
  }
  if (unsent) {
    for (const auto& entry : unsent->entries()) report(entry, SettleStatus::fenced);
  }
  for (const auto& item : pending) report({item.settlement.token, item.kind}, SettleStatus::fenced);
}

void RedisConsumer::report(const SettleBatch::Entry& entry, SettleStatus status) {
  switch (entry.kind) {
    case SettleKind::state:
      return;
    case SettleKind::start:
      return events_->on_start_recorded(entry.token, status);
    case SettleKind::settlement:
      if (status == SettleStatus::settled || status == SettleStatus::fenced) {
        released(entry.token);
      } else if (const auto held = held_.find(entry.token.get()); held != held_.end()) {
        held->second.settling = false;
      }
      return events_->on_settled(entry.token, status);
  }
}

}  // namespace lovage::broker::redis
