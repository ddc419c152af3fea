#include "broker/redis/redis_consumer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/logging.hpp"

namespace lovage::broker::redis {
namespace {

// A worker fetches again within 5 s once its server can be reached: also after a long outage, and when an idle
// connection was swallowed in silence (this, and RedisAsync's suspect_after).
constexpr std::chrono::milliseconds kLongestBackoff{3'000};
constexpr std::chrono::milliseconds kKeepalive{1'500};

client::RedisAsync::Options connection_options(const ConsumerSetup& setup, std::string_view role) {
  client::RedisAsync::Options options;
  options.redis = setup.redis;
  options.client_name = fmt::format("lovage-{}", role);
  options.backoff.cap = kLongestBackoff;
  return options;
}

}  // namespace

void Heartbeat::beat() noexcept {
  answered_ns = std::chrono::steady_clock::now().time_since_epoch().count();
}

bool Heartbeat::is_fresh(std::chrono::milliseconds within) const noexcept {
  const Monotonic answered{Duration(answered_ns.load())};
  return std::chrono::steady_clock::now() - answered <= within;
}

RedisConsumer::RedisConsumer(net::Loop& loop, ConsumerSetup setup)
    : loop_(loop), setup_(std::move(setup)), bindings_(setup_.keys.layout()) {}

RedisConsumer::~RedisConsumer() = default;

void RedisConsumer::start(ConsumerEvents& events) {
  events_ = &events;
  state_ = State::connecting;
  client::RedisAsync::Events calls;
  calls.on_connected = [this] { connected(); };
  calls.on_disconnected = [this](const Failure& why, std::chrono::milliseconds in) { disconnected(why, in); };
  auto options = connection_options(setup_, "worker");
  options.keepalive = kKeepalive;
  commands_ = std::make_unique<client::RedisAsync>(loop_, std::move(options), std::move(calls));

  Doorbells::Events bells;
  bells.on_plain = [this](const std::string& list, std::string message) { came(list, std::move(message)); };
  bells.on_reconnected = [this](const std::string& list) {
    if (state_ == State::ready) compare_count();
    rung(list);
  };
  bells.on_ring = [this](const std::string& list) { rung(list); };
  bells.on_quiet = [this] { pump_at_end_of_turn(); };
  bells.on_refused = [this](const std::string& list, const std::string& error) {
    server_refused("wait for messages", {Errc::refused, list + ": " + error});
  };
  const auto third = setup_.options.lease / 3;
  const auto& [keys, id] = std::tie(setup_.keys, setup_.incarnation);
  bells_ = std::make_unique<Doorbells>(loop_, connection_options(setup_, "doorbell"), third,
                                       std::vector{keys.marks(), keys.held_marks(id)}, std::move(bells));
  for (const auto& queue : setup_.options.queues) add_lists(queue);
  commands_->connect();
  ticks_ = loop_.every(third, [this] { tick(); });
}

void RedisConsumer::add_lists(const wire::QueueDeclaration& queue) {
  const auto same = [&](const List& list) { return list.queue == queue.name; };
  if (std::any_of(lists_.begin(), lists_.end(), [&](const List& list) { return list.active && same(list); })) return;
  const auto active = static_cast<std::size_t>(
      std::count_if(lists_.begin(), lists_.end(), [](const List& list) { return list.active; }));
  const auto& steps = setup_.keys.layout().steps;
  if (active + steps.size() > kMaxLists) {
    log::error(fmt::format("Queue {} is not consumed: a worker serves at most {} queues of {} priority steps on Redis",
                           queue.name, kMaxLists / steps.size(), steps.size()));
    return;
  }
  queues_.push_back(queue);
  const bool known = std::any_of(lists_.begin(), lists_.end(), same);
  for (const int step : steps) {
    if (known) break;
    std::string name = setup_.keys.list_name(queue.name, step);
    lists_.push_back({name, queue.name, step, setup_.keys.list(name), setup_.keys.inbox(setup_.incarnation, name),
                      setup_.keys.schedule(name), true});
  }
  for (List& list : lists_) {
    if (!same(list)) continue;
    list.active = true;
    bells_->add(list.key, list.inbox);
  }
}

void RedisConsumer::connected() {
  if (state_ == State::lost || state_ == State::closed) return;
  state_ = State::adopting;
  ask_for_time();
  bindings_.forget();
  asked_bindings_.clear();
  declared_.clear();
  if (registered_) bells_->start_over(*commands_);
  for (const Script* script : {&reserve_script(), &take_script(), &settle_script(), &settle_one_script()}) {
    commands_->command({"SCRIPT", "LOAD", script->text()}, [](const Result<client::RedisReply>&) {});
  }
  take_all_again();
  registered_ ? check_registration() : register_incarnation();
}

void RedisConsumer::register_incarnation() {
  auto call = std::make_shared<ScriptCall>();
  call->script = &register_script();
  call->keys = {setup_.keys.incarnations(), setup_.keys.about(setup_.incarnation), setup_.keys.lists()};
  call->args = {setup_.incarnation.get(), registered_ ? "0" : "1", setup_.options.node_name};
  for (const List& list : lists_) call->args.push_back(list.name);
  for (const auto& queue : queues_) {
    const std::string exchange = queue.exchange.empty() ? queue.name : queue.exchange;
    commands_->command({"SADD", setup_.keys.binding(exchange), setup_.keys.binding_row(queue)},
                       [](const Result<client::RedisReply>&) {});
  }
  run(*commands_, std::move(call), [this](const Result<client::RedisReply>& reply) {
    if (!reply) return;  // asked again once connected
    if (reply->is_error()) {
      server_refused("register", client::failure_of(*reply));
      return;
    }
    if (reply->integer == 0) return lost();
    if (!registered_) {
      setup_.heartbeat->beat();
      look_for_predecessor();
    }
    registered_ = true;
    if (state_ == State::adopting) adopt_unknown([this] { became_ready(); });
  });
}

// A sweeper that gave a worker up remembers it for an hour: its inboxes are looked at again. A server that does not has
// lost more than this worker.
void RedisConsumer::look_for_predecessor() {
  const auto& lost = setup_.options.predecessor;
  if (lost.get().empty() || lists_.empty()) return;
  commands_->command({"ZSCORE", setup_.keys.orphans(), lost.get() + ":" + lists_.front().name},
                     [this](const Result<client::RedisReply>& reply) {
                       if (!reply || !reply->is_nil()) return;
                       log::critical(fmt::format(
                           "{} came back without its data (or this worker was away for more than an hour): it knows "
                           "nothing of what this worker held. Tasks that had been sent and not run are lost.",
                           setup_.redis.display_url));
                     });
}

void RedisConsumer::ask_for_time() {
  if (std::exchange(time_asked_, true)) return;
  const Monotonic asked = std::chrono::steady_clock::now();
  commands_->command({"TIME"}, [this, asked](const Result<client::RedisReply>& reply) {
    time_asked_ = false;
    if (!reply || reply->items.size() != 2) return;
    const auto number = [&](std::size_t at) { return std::strtoll(reply->items[at].text.c_str(), nullptr, 10); };
    const auto passed = std::chrono::steady_clock::now() - asked;
    server_time_ =
        ServerTime{Timestamp(std::chrono::microseconds(number(0) * 1'000'000 + number(1))), asked + passed / 2};
  });
}

std::optional<Timestamp> RedisConsumer::now() const {
  if (!server_time_) return std::nullopt;
  const auto since = std::chrono::steady_clock::now() - server_time_->at;
  return server_time_->time + std::chrono::duration_cast<std::chrono::microseconds>(since);
}

void RedisConsumer::check_registration() {
  commands_->command({"HEXISTS", setup_.keys.incarnations(), setup_.incarnation.get()},
                     [this](const Result<client::RedisReply>& reply) {
                       if (!reply) return;
                       if (reply->is_error()) return server_refused("look for us", client::failure_of(*reply));
                       if (reply->integer == 0 && giving_back_) return finish_close();
                       if (reply->integer == 0) return lost();
                       adopt_unknown([this] { became_ready(); });
                     });
}

void RedisConsumer::became_ready() {
  state_ = State::ready;
  look_everywhere();
  giving_back_ = paused_ = false;
  resend_batches();
  adopt_continuations();
  pump_at_end_of_turn();
  events_->on_connected();
}

void RedisConsumer::disconnected(const Failure& why, std::chrono::milliseconds retry_in) {
  if (state_ == State::lost || state_ == State::closed) return;
  state_ = State::connecting;
  in_flight_ = asked_ = asked_bytes_ = 0;
  adopting_ = false;
  if (stop_done_) later(std::exchange(stop_done_, {}));  // close() or the sweeper empties the inboxes
  events_->on_disconnected(why, retry_in);
}

// A third of the lease has passed: looks whether something came in that nobody told us of.
void RedisConsumer::tick() {
  if (setup_.heartbeat->lost && registered_ && !close_done_) return lost();
  if (state_ != State::ready) return;
  ask_for_time();
  take_all();
  compare_count();
  adopt_continuations();
  alone_ = false;  // somebody else may have taken the suspect
  look_everywhere();
  pump_at_end_of_turn();
}

void RedisConsumer::lost() {
  if (state_ == State::lost || state_ == State::closed) return;
  state_ = State::lost;
  ticks_.reset();
  due_timer_.reset();
  take_timer_.reset();
  later([this] {
    bells_.reset();
    commands_->close();
    report_all_fenced();
    if (stop_done_) std::exchange(stop_done_, {})();
    if (close_done_) return finish_close();
    events_->on_lost();
  });
}

// Calls `function` from the loop, unless this consumer is gone by then.
void RedisConsumer::later(UniqueFunction<void()> function) {
  loop_.post([weak = std::weak_ptr(alive_), function = std::move(function)] {
    if (weak.lock()) function();
  });
}

void RedisConsumer::pump_at_end_of_turn() {
  if (std::exchange(pump_posted_, true)) return;
  loop_.at_end_of_turn([this, weak = std::weak_ptr(alive_)] {
    if (!weak.lock()) return;
    pump_posted_ = false;
    pump();
  });
}

void RedisConsumer::pump() {
  if (state_ != State::ready) return;
  if (stopping_) {
    send_settlements();
    return advance_shutdown();
  }
  // With plenty waiting, the server hands out the next messages before it settles the last: the worker runs while the
  // server writes. Otherwise somebody may wait for a result.
  const bool busy = plenty_;
  if (busy) send_reserves();
  send_settlements();
  if (!busy) send_reserves();
}

// Said once a second at most; then it is tried again.
void RedisConsumer::server_refused(const char* what, const Failure& failure) {
  if (retry_timer_ || client::wants_another_server(failure)) return;  // then the connection is made anew
  log::error(fmt::format("{} refused to {}: {}", setup_.redis.display_url, what, failure.message));
  retry_timer_ = loop_.after(std::chrono::seconds(1), [this] { try_again(); });
}

void RedisConsumer::try_again() {
  retry_timer_.reset();
  paused_ = false;
  look_everywhere();
  if (state_ == State::adopting && commands_->connected()) registered_ ? check_registration() : register_incarnation();
  if (state_ == State::ready) {
    if (take_refused_) take_all_again();
    resend_refused_batches();
  }
  pump_at_end_of_turn();
}

void RedisConsumer::add_queue(wire::QueueDeclaration queue) {
  setup_.options.queues.push_back(queue);
  if (state_ == State::idle) return;
  add_lists(queue);
  if (commands_->connected() && registered_) register_incarnation();
  look_everywhere();
  pump_at_end_of_turn();
}

void RedisConsumer::cancel_queue(const std::string& queue) {
  std::erase_if(setup_.options.queues, [&](const auto& declared) { return declared.name == queue; });
  std::erase_if(queues_, [&](const auto& declared) { return declared.name == queue; });
  if (state_ == State::idle) return;
  auto call = std::make_shared<ScriptCall>();
  call->script = &empty_inboxes_script();
  take_all();
  bells_->unblock(*commands_);
  for (List& list : lists_) {
    if (list.queue != queue || !list.active) continue;
    list.active = false;
    call->keys.insert(call->keys.end(), {list.key, list.inbox});
    bells_->remove(list.key);
  }
  run(*commands_, std::move(call), [](const Result<client::RedisReply>&) {});
  if (state_ == State::ready) resend_batches();  // one may have gone by the connection of a wait that is no more
}

void RedisConsumer::stop_reserving(UniqueFunction<void()> done) {
  stopping_ = true;
  credit_ = credit_bytes_ = 0;
  if (state_ != State::ready) return later(std::move(done));
  stop_done_ = std::move(done);
  look_everywhere();
  pump_at_end_of_turn();
}

void RedisConsumer::close(UniqueFunction<void()> done) {
  if (state_ == State::idle || state_ == State::lost || state_ == State::closed) return later(std::move(done));
  stopping_ = true;
  credit_ = credit_bytes_ = 0;
  close_done_ = std::move(done);
  pump_at_end_of_turn();
}

// One step of a stop, once a turn: end the waits, await what is in flight, empty the inboxes, go.
void RedisConsumer::advance_shutdown() {
  if (!bells_->at_rest()) return bells_->unblock(*commands_);
  if (in_flight_ > 0 || adopting_) return;
  if (stop_done_) {
    if (!inboxes_empty_) {
      inboxes_empty_ = true;
      look_everywhere();
      return send_reserve(0, 0);
    }
    later(std::exchange(stop_done_, {}));
  }
  const bool settled = outstanding_.empty() && !batch_ && pending_.empty() && expiring_ == 0;
  if (close_done_ && settled && !giving_back_) give_everything_back();
}

void RedisConsumer::give_everything_back() {
  giving_back_ = true;
  take_all();
  const auto& [keys, id] = std::tie(setup_.keys, setup_.incarnation);
  auto call = std::make_shared<ScriptCall>();
  call->script = &give_back_script();
  call->keys = {keys.incarnations(), keys.reserved(id), keys.held_marks(id), keys.settled(id),    keys.about(id),
                keys.marks(),        keys.mark_ages(),  keys.orphans(),      keys.continuations()};
  call->args = {id.get(), "", "0"};
  for (const List& list : lists_) {
    call->keys.insert(call->keys.end(), {list.key, list.inbox});
    call->args.push_back(list.name);
  }
  run(*commands_, std::move(call), [this](const Result<client::RedisReply>& reply) {
    if (!reply) return;  // check_registration() tells whether it ran
    if (reply->is_error()) {
      giving_back_ = false;
      return server_refused("give messages back", client::failure_of(*reply));
    }
    const bool last = reply->items.size() == 3 && reply->items[2].integer == 0;
    last ? hand_back_schedules() : finish_close();
  });
}

// The last Lovage process goes: nobody is left to look at the schedules, a Python worker never will.
void RedisConsumer::hand_back_schedules() {
  commands_->command({"SMEMBERS", setup_.keys.lists()}, [this](const Result<client::RedisReply>& names) {
    if (!names || names->items.empty()) return finish_close();
    auto waiting = std::make_shared<std::size_t>(names->items.size());
    for (const auto& name : names->items) {
      auto call = std::make_shared<ScriptCall>();
      call->script = &hand_back_script();
      call->keys = {setup_.keys.list(name.text), setup_.keys.schedule(name.text)};
      call->args = {"all"};
      auto again = std::make_shared<UniqueFunction<void()>>();
      *again = [this, call, waiting, weak = std::weak_ptr(again)] {
        run(*commands_, call, [this, waiting, self = weak.lock()](const Result<client::RedisReply>& reply) {
          if (reply && reply->integer > 0 && self) return (*self)();
          if (--*waiting == 0) finish_close();
        });
      };
      (*again)();
    }
  });
}

void RedisConsumer::finish_close() {
  state_ = State::closed;
  registered_ = false;
  ticks_.reset();
  later([this] {
    bells_.reset();
    commands_->close();
    std::exchange(close_done_, {})();
  });
}

}  // namespace lovage::broker::redis
