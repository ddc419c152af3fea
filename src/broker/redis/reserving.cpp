// RedisConsumer: taking messages out of the queues, and adopting what the server gave without our hearing it.
#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/logging.hpp"
#include "broker/redis/redis_consumer.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kInFlight = 3;  // while there is plenty
constexpr std::size_t kWorthAsking = 32;
constexpr std::size_t kAdoptAtOnce = 64;
constexpr std::size_t kContinuationsAtOnce = 16;
constexpr std::size_t kContinuationBytesAtOnce = 1u << 20;
constexpr std::size_t kMostInInbox = 16u << 10;    // bytes of a message that is run while it is there
constexpr std::chrono::milliseconds kInInbox{20};  // how long it may be there then
constexpr std::chrono::milliseconds kLongestWait = std::chrono::years(100);

// "suspect:strikes:waited_ms", more fields may follow.
void read_marks(std::string_view text, Delivery& delivery) {
  std::array<std::int64_t, 3> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (auto& number : numbers) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return;
    at = next < end ? next + 1 : end;
  }
  delivery.suspect = numbers[0] != 0;
  delivery.strikes = static_cast<int>(std::clamp<std::int64_t>(numbers[1], 0, 1'000'000));
  delivery.waited_unknown = std::chrono::milliseconds(std::clamp<std::int64_t>(numbers[2], 0, kLongestWait.count()));
}

}  // namespace

void RedisConsumer::set_credit(std::size_t messages, std::size_t bytes) {
  if (stopping_) return;
  if (!wants_more() && messages > 0) look_everywhere();
  credit_ = messages;
  credit_bytes_ = bytes;
  credit_untouched_ = true;
  pump_at_end_of_turn();
}

std::deque<RedisConsumer::List>::iterator RedisConsumer::find_list(const std::string& key) {
  return std::find_if(lists_.begin(), lists_.end(), [&](const List& list) { return list.key == key; });
}

// A wait brought one message, and there is nothing else. An idle worker runs it at once, where no other call of its own
// can have found it in the inbox.
void RedisConsumer::came(const std::string& list_key, std::string message) {
  const auto list = find_list(list_key);
  if (list == lists_.end()) return;
  const bool is_small = message.size() <= kMostInInbox && (credit_untouched_ || message.size() <= credit_bytes_);
  const bool is_looked_for = look_ || in_flight_ > 0;
  if (state_ != State::ready || stopping_ || !list->active || !wants_more() || !is_small || is_looked_for)
    return rung(list_key);
  arms_later_ = true;
  loop_.at_end_of_next_turn([this, weak = std::weak_ptr(alive_)] {
    if (!weak.lock()) return;
    arms_later_ = false;
    pump();
  });
  Delivery delivery;
  delivery.token = Token(next_token_++);
  delivery.queue = list->queue;
  delivery.step = list->step;
  delivery.bytes = std::move(message);
  const auto at = static_cast<std::size_t>(list - lists_.begin());
  held_.try_emplace(delivery.token.get(), Held{.list = at});
  untaken_.insert_or_assign(delivery.token.get(), Untaken{.list = at, .message = delivery.bytes});
  credit_ -= 1;
  credit_bytes_ -= std::min(credit_bytes_, delivery.bytes.size());
  credit_untouched_ = false;
  if (!take_timer_) {
    take_timer_ = loop_.after(kInInbox, [this] {
      take_timer_.reset();
      look_at_untaken();
    });
  }
  std::vector<Delivery> deliveries;
  deliveries.push_back(std::move(delivery));
  events_->on_deliveries(std::move(deliveries));
}

void RedisConsumer::take_all() {
  for (const auto& [token, untaken] : untaken_) {
    if (!untaken.asked) take(Token(token));
  }
}

void RedisConsumer::take_all_again() {
  take_refused_ = false;
  for (const auto& [token, untaken] : untaken_) take(Token(token));
}

void RedisConsumer::take(Token token) {
  Untaken& untaken = untaken_.at(token.get());
  untaken.asked = true;
  const List& list = lists_[untaken.list];
  const auto& [keys, id] = std::tie(setup_.keys, setup_.incarnation);
  auto call = std::make_shared<ScriptCall>();
  call->script = &take_script();
  call->keys = {keys.incarnations(), keys.reserved(id), list.inbox};
  call->args = {id.get(), reservation_field(token, list.name), untaken.message};
  run(*commands_, std::move(call), [this, token](const Result<client::RedisReply>& reply) {
    if (!reply) return;  // asked again after the reconnect
    if (reply->is_error()) {
      take_refused_ = true;
      return server_refused("reserve a message", client::failure_of(*reply));
    }
    const auto taken = untaken_.extract(token.get());  // or not ours: then its settlement is fenced
    const auto waits = taken ? outstanding_.find(taken.mapped().batch) : outstanding_.end();
    if (waits != outstanding_.end()) send_batch(waits->second);
  });
}

// An idle worker is told by the ring where to look: all other lists were empty, and ring for themselves.
void RedisConsumer::rung(const std::string& list_key) {
  ++wishes_;
  hungry_ = look_ = true;
  const auto list = find_list(list_key);
  if (list != lists_.end()) rung_.insert(static_cast<std::size_t>(list - lists_.begin()));
  pump_at_end_of_turn();
}

void RedisConsumer::look_everywhere() {
  ++wishes_;
  hungry_ = look_ = everywhere_ = true;
}

void RedisConsumer::send_reserves() {
  if (lists_.empty() || paused_ || take_refused_) return;
  ask_for_messages();
  if (!arms_later_ && may_wait()) bells_->arm();
}

// Only a worker whose lease was renewed a short while ago goes on waiting.
bool RedisConsumer::may_wait() const {
  const bool idle = !hungry_ && in_flight_ == 0 && wants_more();
  return idle && !stopping_ && !paused_ && !take_refused_ && setup_.heartbeat->is_fresh(setup_.options.lease * 2 / 3);
}

void RedisConsumer::ask_for_messages() {
  // A worker that has enough ends the waits; so does one that would ask, when each of them could bring one too many.
  const auto promised = [this] { return asked_ + bells_->waiting(); };
  if (!wants_more() || (hungry_ && in_flight_ == 0 && credit_ <= promised())) bells_->unblock(*commands_);
  if (!wants_more() && look_ && in_flight_ == 0) send_reserve(0, 0);
  while (hungry_ && wants_more() && in_flight_ < (plenty_ ? kInFlight : 1) && credit_ > promised()) {
    const std::size_t room = credit_ - promised();
    const std::size_t bytes = credit_bytes_ > asked_bytes_ ? credit_bytes_ - asked_bytes_ : 0;
    if (bytes == 0 && (in_flight_ > 0 || !credit_untouched_)) break;
    // Behind another one, small ones wait until they are worth a call.
    if (in_flight_ > 0 && room < kWorthAsking) break;
    const std::size_t messages = std::min(room, kBatch);
    send_reserve(messages, bytes / room * messages + bytes % room);
  }
}

std::shared_ptr<ScriptCall> RedisConsumer::reserve_call(std::size_t messages, std::size_t bytes) {
  auto call = std::make_shared<ScriptCall>();
  call->script = &reserve_script();
  const auto& id = setup_.incarnation;
  call->keys = {setup_.keys.incarnations(), setup_.keys.reserved(id), setup_.keys.held_marks(id), setup_.keys.marks(),
                setup_.keys.mark_ages()};
  call->args = {id.get(), std::to_string(next_token_), std::to_string(messages), std::to_string(bytes),
                look_ ? "1" : "0"};
  return call;
}

void RedisConsumer::send_reserve(std::size_t messages, std::size_t bytes) {
  take_all();
  auto call = reserve_call(messages, bytes);
  Asked asked{next_token_, messages, bytes, wishes_, look_, {}};
  const bool all = everywhere_ || rung_.empty();
  // By priority step, and within one step the queues take turns.
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    if (lists_[i].active && (all || rung_.contains(i))) asked.order.push_back(i);
  }
  const std::size_t queues = std::max<std::size_t>(queues_.size(), 1);
  const std::size_t turn = turn_++ % queues;
  const std::size_t steps = setup_.keys.layout().steps.size();
  const auto rank = [&](std::size_t at) { return std::pair(lists_[at].step, (at / steps + queues - turn) % queues); };
  std::stable_sort(asked.order.begin(), asked.order.end(),
                   [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  for (const std::size_t at : asked.order) {
    const List& list = lists_[at];
    call->keys.insert(call->keys.end(), {list.key, list.inbox, list.schedule});
    call->args.push_back(list.name);
  }
  call->args.insert(call->args.end(), unknown_.begin(), unknown_.end());
  next_token_ += messages;
  ++in_flight_;
  asked_ += messages;
  asked_bytes_ += bytes;
  look_ = false;
  rung_.clear();
  run(*commands_, std::move(call),
      [this, asked = std::move(asked)](Result<client::RedisReply> reply) { reserved(asked, std::move(reply)); });
}

void RedisConsumer::reserved(const Asked& asked, Result<client::RedisReply> reply) {
  if (in_flight_ == 0) return;
  --in_flight_;
  asked_ -= asked.messages;
  asked_bytes_ -= asked.bytes;
  if (!reply) return;  // what it reserved is adopted after the reconnect
  if (asked.looks) bells_->looked_into();
  if (reply->is_error()) {
    paused_ = true;
    return server_refused("reserve messages", client::failure_of(*reply));
  }
  auto& parts = reply->items;
  if (parts.size() == 1 && parts[0].integer == 0) return lost();
  if (parts.size() != 7) return commands_->reset({Errc::bad_data, "a reserve reply of another shape"});
  if (asked.messages > 0) {
    const bool more = parts[1].integer != 0;
    plenty_ = parts[1].integer == 1;
    if (more || asked.wishes == wishes_) hungry_ = everywhere_ = more;
  }
  const bool found_suspect = parts[1].integer == 2;
  wake_when_due(parts[2].integer);
  for (const auto& error : parts[6].items) {
    const Failure failure = client::failure_of(error);
    if (client::wants_another_server(failure)) return commands_->reset(failure);  // it took nothing
    server_refused("reserve messages", failure);
  }
  auto deliveries = take_deliveries(asked, *reply);
  alone_ = (found_suspect || alone_) && !held_.empty();
  pump_at_end_of_turn();
  if (!deliveries.empty()) events_->on_deliveries(std::move(deliveries));
}

std::vector<Delivery> RedisConsumer::take_deliveries(const Asked& asked, client::RedisReply& reply) {
  auto& segments = reply.items[3].items;
  auto& messages = reply.items[4].items;
  const auto& marks = reply.items[5].items;
  std::vector<Delivery> deliveries;
  deliveries.reserve(messages.size());
  for (std::size_t s = 0; s + 1 < segments.size(); s += 2) {
    const auto order = static_cast<std::size_t>(segments[s].integer) - 1;
    if (order >= asked.order.size()) break;
    const std::size_t at = asked.order[order];
    for (std::int64_t n = 0; n < segments[s + 1].integer && deliveries.size() < messages.size(); ++n) {
      Delivery delivery;
      delivery.token = Token(asked.first + deliveries.size());
      delivery.queue = lists_[at].queue;
      delivery.step = lists_[at].step;
      delivery.bytes = std::move(messages[deliveries.size()].text);
      held_.try_emplace(delivery.token.get(), Held{.list = at});
      credit_bytes_ -= std::min(credit_bytes_, delivery.bytes.size());
      deliveries.push_back(std::move(delivery));
    }
  }
  for (std::size_t m = 0; m + 1 < marks.size(); m += 2) {
    const auto position = static_cast<std::size_t>(marks[m].integer) - 1;
    if (position < deliveries.size()) read_marks(marks[m + 1].text, deliveries[position]);
  }
  credit_ -= std::min(credit_, deliveries.size());
  if (!deliveries.empty()) credit_untouched_ = false;
  return deliveries;
}

// A settled message leaves the table. Once nothing is held, a suspect may come.
void RedisConsumer::released(Token token) {
  const auto held = held_.find(token.get());
  const bool adopted = held != held_.end() && held->second.adopted;
  if (held != held_.end()) held_.erase(held);
  if (adopted && --adopted_ == 0 && more_to_adopt_) adopt_continuations();
  if (!alone_ || !held_.empty()) return;
  alone_ = false;
  look_everywhere();
  pump_at_end_of_turn();
}

// The schedule's next message is due then; a reserve, even of none, moves it to its queue.
void RedisConsumer::wake_when_due(std::int64_t in_ms) {
  if (in_ms < 0) return;
  const auto wait = std::chrono::milliseconds(std::min<std::int64_t>(in_ms, 86'400'000));
  const Monotonic at = std::chrono::steady_clock::now() + wait;
  if (due_timer_ && at >= due_at_) return;
  due_at_ = at;
  due_timer_ = loop_.after(wait, [this] {
    due_timer_.reset();
    // Else our own wait could be the one that gets back what we do not know.
    if (!unknown_.empty() && !bells_->at_rest()) bells_->unblock(*commands_);
    look_everywhere();
    pump_at_end_of_turn();
  });
}

// Replies come in order, so at the time of this one `held_` is what the server's hash was then.
void RedisConsumer::compare_count() {
  commands_->command({"HLEN", setup_.keys.reserved(setup_.incarnation)},
                     [this](const Result<client::RedisReply>& reply) {
                       if (!reply || reply->is_error() || state_ != State::ready) return;
                       if (static_cast<std::size_t>(reply->integer) != held_.size()) adopt_unknown([] {});
                     });
}

void RedisConsumer::adopt_unknown(UniqueFunction<void()> done) {
  commands_->command({"HKEYS", setup_.keys.reserved(setup_.incarnation)},
                     [this, done = std::move(done)](const Result<client::RedisReply>& reply) mutable {
                       if (!reply) return;
                       if (reply->is_error()) return server_refused("list reservations", client::failure_of(*reply));
                       std::vector<std::string> unknown;
                       for (const auto& field : reply->items) {
                         Reservation reservation;
                         if (!parse_reservation_field(field.text, reservation)) continue;
                         if (!held_.contains(reservation.token.get())) unknown.push_back(field.text);
                       }
                       adopt(std::move(unknown), std::move(done));
                     });
}

void RedisConsumer::adopt(std::vector<std::string> fields, UniqueFunction<void()> done) {
  if (fields.empty()) return done();
  const std::size_t count = std::min(fields.size(), kAdoptAtOnce);
  std::vector<std::string> chunk(fields.end() - static_cast<std::ptrdiff_t>(count), fields.end());
  fields.resize(fields.size() - count);
  const std::string reserved_key = setup_.keys.reserved(setup_.incarnation);
  const std::string marks_key = setup_.keys.held_marks(setup_.incarnation);
  std::vector<std::string_view> words{"HMGET", reserved_key};
  words.insert(words.end(), chunk.begin(), chunk.end());
  std::string bytes;
  client::append_command(bytes, words);
  words[1] = marks_key;
  client::append_command(bytes, words);
  commands_->pipeline(std::move(bytes), 2,
                      [this, chunk = std::move(chunk), rest = std::move(fields),
                       done = std::move(done)](Result<std::vector<client::RedisReply>> replies) mutable {
                        if (!replies) return;
                        if ((*replies)[0].is_error()) {
                          return server_refused("read reservations", client::failure_of((*replies)[0]));
                        }
                        auto& messages = (*replies)[0].items;
                        const auto& marks = (*replies)[1].items;
                        std::vector<Delivery> deliveries;
                        for (std::size_t i = 0; i < chunk.size() && i < messages.size(); ++i) {
                          auto delivery = hold_again(chunk[i], messages[i]);
                          if (!delivery) continue;
                          if (i < marks.size()) read_marks(marks[i].text, *delivery);
                          deliveries.push_back(std::move(*delivery));
                        }
                        credit_ -= std::min(credit_, deliveries.size());
                        std::sort(deliveries.begin(), deliveries.end(),
                                  [](const Delivery& a, const Delivery& b) { return a.token < b.token; });
                        if (!deliveries.empty()) events_->on_deliveries(std::move(deliveries));
                        adopt(std::move(rest), std::move(done));
                      });
}

// nullopt: it is there no more, not from a list of ours, or held already.
std::optional<Delivery> RedisConsumer::hold_again(const std::string& field, client::RedisReply& message) {
  Reservation reservation;
  if (message.is_nil() || !parse_reservation_field(field, reservation)) return std::nullopt;
  const auto list = std::find_if(lists_.begin(), lists_.end(),
                                 [&](const List& known) { return known.name == reservation.list_name; });
  if (list == lists_.end()) return std::nullopt;
  const auto at = static_cast<std::size_t>(list - lists_.begin());
  if (!held_.try_emplace(reservation.token.get(), Held{.list = at}).second) return std::nullopt;
  Delivery delivery;
  delivery.token = reservation.token;
  delivery.queue = list->queue;
  delivery.step = list->step;
  delivery.bytes = std::move(message.text);
  delivery.is_continuation = delivery.bytes.starts_with(kContinuationMark);
  if (delivery.is_continuation) delivery.bytes.erase(0, 1);
  return delivery;
}

// What others died with that had work to do after a settlement. Beside the credit: it is little, and comes seldom.
void RedisConsumer::adopt_continuations() {
  if (stopping_ || lists_.empty() || std::exchange(adopting_, true)) return;
  const auto& [keys, id] = std::tie(setup_.keys, setup_.incarnation);
  const std::uint64_t first = next_token_;
  next_token_ += kContinuationsAtOnce;
  auto call = std::make_shared<ScriptCall>();
  call->script = &adopt_script();
  call->keys = {keys.incarnations(), keys.reserved(id), keys.continuations()};
  call->args = {id.get(), std::to_string(first), std::to_string(kContinuationsAtOnce),
                std::to_string(kContinuationBytesAtOnce)};
  for (const List& list : lists_) {
    if (list.active) call->args.push_back(list.name);
  }
  run(*commands_, std::move(call), [this, first](const Result<client::RedisReply>& reply) {
    if (!reply) return;  // what it reserved is found after the reconnect
    adopting_ = false;
    pump_at_end_of_turn();
    if (reply->is_error()) return server_refused("adopt continuations", client::failure_of(*reply));
    adopted_continuations(first, *reply);
  });
}

void RedisConsumer::adopted_continuations(std::uint64_t first, const client::RedisReply& reply) {
  if (reply.items.size() == 1) return lost();
  if (reply.items.size() != 3) return commands_->reset({Errc::bad_data, "an adopt reply of another shape"});
  const auto& words = reply.items[2].items;
  std::vector<Delivery> deliveries;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const auto list =
        std::find_if(lists_.begin(), lists_.end(), [&](const List& known) { return known.name == words[i].text; });
    if (list == lists_.end()) continue;
    Delivery delivery;
    delivery.token = Token(first + i / 2);
    delivery.queue = list->queue;
    delivery.step = list->step;
    delivery.bytes = words[i + 1].text;
    delivery.is_continuation = true;
    held_.try_emplace(delivery.token.get(),
                      Held{.list = static_cast<std::size_t>(list - lists_.begin()), .adopted = true});
    deliveries.push_back(std::move(delivery));
  }
  adopted_ += deliveries.size();
  more_to_adopt_ = reply.items[1].integer == 1;
  if (!deliveries.empty()) events_->on_deliveries(std::move(deliveries));
}

}  // namespace lovage::broker::redis
