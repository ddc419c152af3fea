#include "broker/redis/doorbells.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace lovage::broker::redis {

struct Doorbells::Bell {
  std::string list;
  std::string wait;  // the commands
  bool armed = false;
  bool looked_into = false;  // its inbox, since it was armed
  bool unblocking = false;   // the server has been asked to end this wait
  bool may_hush = false;     // the server takes CLIENT REPLY
  std::unique_ptr<client::RedisAsync> connection;
};

Doorbells::Doorbells(net::Loop& loop, client::RedisAsync::Options options, std::chrono::milliseconds wait,
                     std::vector<std::string> marks, Events events)
    : loop_(loop),
      options_(std::move(options)),
      wait_seconds_(fmt::format("{:.3f}", std::chrono::duration<double>(wait).count())),
      marks_(std::move(marks)),
      events_(std::move(events)) {
  options_.suspect_after += wait;
  options_.reply_timeout += wait;
}

Doorbells::~Doorbells() = default;

void Doorbells::add(const std::string& list_key, const std::string& inbox_key) {
  auto bell = std::make_shared<Bell>();
  bell->list = list_key;
  client::append_command(bell->wait, {"BLMOVE", list_key, inbox_key, "RIGHT", "LEFT", wait_seconds_});
  std::vector<std::string_view> others{"EXISTS", list_key};
  others.insert(others.end(), marks_.begin(), marks_.end());
  client::append_command(bell->wait, others);
  Bell* at = bell.get();
  client::RedisAsync::Events events;
  // A wait that was blocked when its connection broke may have brought something all the same.
  events.on_connected = [this, at] {
    at->armed = at->may_hush = false;
    at->connection->command({"CLIENT", "REPLY", "ON"}, [at](const Result<client::RedisReply>& reply) {
      at->may_hush = reply && !reply->is_error();
    });
    events_.on_reconnected(at->list);
  };
  events.on_disconnected = [at](const Failure&, std::chrono::milliseconds) { at->armed = false; };
  bell->connection = std::make_unique<client::RedisAsync>(loop_, options_, std::move(events));
  bell->connection->connect();
  bells_.push_back(std::move(bell));
}

void Doorbells::remove(const std::string& list_key) {
  std::erase_if(bells_, [&](const auto& bell) { return bell->list == list_key; });
}

void Doorbells::start_over(client::RedisAsync& commands) {
  for (const auto& bell : bells_) {
    if (!bell->connection->connected()) continue;
    // Its wait, if the server still has it, is for nobody and would take the next message.
    if (bell->armed) {
      const std::string id = std::to_string(bell->connection->client_id());
      commands.command({"CLIENT", "UNBLOCK", id}, [](const Result<client::RedisReply>&) {});
    }
    bell->connection->reset({Errc::unavailable, "the connection for commands was lost"});
  }
}

void Doorbells::arm() {
  for (const auto& bell : bells_) {
    if (!bell->armed && bell->connection->connected()) arm(*bell, {});
  }
}

Doorbells::Bell* Doorbells::find(const std::string& list_key) const noexcept {
  const auto bell =
      std::find_if(bells_.begin(), bells_.end(), [&](const auto& each) { return each->list == list_key; });
  return bell != bells_.end() ? bell->get() : nullptr;
}

bool Doorbells::can_carry(const std::string& list_key) const noexcept {
  const Bell* const bell = find(list_key);
  return bell != nullptr && !bell->armed && bell->may_hush && bell->connection->connected();
}

void Doorbells::arm(const std::string& list_key, Errand errand) {
  if (Bell* const bell = find(list_key)) arm(*bell, std::move(errand));
}

void Doorbells::arm(Bell& bell, Errand errand) {
  bell.armed = true;
  bell.looked_into = bell.unblocking = false;
  const bool carries = !errand.command.empty();
  std::string bytes;
  if (carries) {
    client::append_command(bytes, {"CLIENT", "REPLY", "SKIP"});
    bytes += errand.command;
  }
  bytes += bell.wait;
  bytes += errand.check;
  bell.connection->pipeline(
      std::move(bytes), carries ? 3 : 2, [this, at = &bell, carries, done = std::move(errand.done)](auto replies) {
        at->armed = false;
        if (carries)
          done(replies && replies->back().kind == client::RedisReply::Kind::string && replies->back().text == "1");
        if (replies) answered(*at, (*replies)[0], (*replies)[1]);  // else on_reconnected
      });
}

void Doorbells::looked_into() noexcept {
  for (const auto& bell : bells_) bell->looked_into = true;
}

void Doorbells::answered(Bell& bell, client::RedisReply& wait, const client::RedisReply& others) {
  // READONLY and the like: the connection is made anew, and finds the master again.
  if (client::wants_another_server(wait)) return;
  if (wait.is_error()) return events_.on_refused(bell.list, wait.text);
  if (wait.is_nil()) return events_.on_quiet();
  const bool plain = !bell.looked_into && !others.is_error() && others.integer == 0;
  plain ? events_.on_plain(bell.list, std::move(wait.text)) : events_.on_ring(bell.list);
}

void Doorbells::unblock(client::RedisAsync& commands) {
  for (const auto& bell : bells_) {
    if (bell->armed && !bell->unblocking) unblock(bell, commands);
  }
}

void Doorbells::unblock(const std::shared_ptr<Bell>& bell, client::RedisAsync& commands) {
  bell->unblocking = true;
  const std::string id = std::to_string(bell->connection->client_id());
  commands.command({"CLIENT", "UNBLOCK", id},
                   [weak = std::weak_ptr(bell), &commands](const Result<client::RedisReply>& reply) {
                     const auto asked = weak.lock();
                     if (!asked || !asked->unblocking || !asked->armed) return;
                     asked->unblocking = false;
                     // 0: the server had not read the wait yet. Without a connection the wait ends by itself.
                     if (reply && reply->integer == 0) unblock(asked, commands);
                   });
}

std::size_t Doorbells::waiting() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(bells_.begin(), bells_.end(), [](const auto& bell) { return bell->armed; }));
}

}  // namespace lovage::broker::redis
