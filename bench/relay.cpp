#include "relay.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace lovage::bench {
namespace {

constexpr std::string_view kList = "lovage-bench:relay";
constexpr std::string_view kChannel = "lovage-bench:relayed";

Deadline limit() {
  return Deadline::after(std::chrono::seconds(5));
}

client::RedisReply must(Result<client::RedisReply> reply) {
  if (!reply) raise(reply.error());
  return std::move(*reply);
}

std::unique_ptr<client::RedisSync> connect(const std::string& url) {
  const auto options = client::redis_options_from_url(url);
  if (!options) raise(options.error());
  auto connection = client::RedisSync::connect(*options, limit());
  if (!connection) raise(connection.error());
  return std::move(*connection);
}

// The other process: waits, passes on, for ever.
[[noreturn]] void pass_on(const std::string& url) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    const auto connection = connect(url);
    while (true) {
      const auto item = must(connection->command({"BRPOP", kList, "0"}, Deadline::never()));
      must(connection->command({"PUBLISH", kChannel, item.items.at(1).text}, limit()));
    }
  } catch (const std::exception&) {
    ::_exit(1);
  }
}

}  // namespace

Relay::Relay(const std::string& redis_url)
    : sender_(connect(redis_url)), listener_(connect(redis_url)), child_(::fork()) {
  if (child_ == 0) pass_on(redis_url);
  if (child_ < 0) throw std::runtime_error("cannot fork the relay");
  must(listener_->command({"SUBSCRIBE", kChannel}, limit()));
}

Relay::~Relay() {
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

double Relay::once() {
  const auto start = std::chrono::steady_clock::now();
  must(sender_->command({"LPUSH", kList, "x"}, limit()));
  const auto message = listener_->read(limit());
  if (!message) raise(message.error());
  if (!*message) throw std::runtime_error("the relay did not answer in 5 s");
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double relay_p50_ms(const std::string& redis_url, int rounds) {
  Relay relay(redis_url);
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(rounds));
  for (int i = 0; i < rounds; ++i) times.push_back(relay.once());
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times.at(times.size() / 2);
}

}  // namespace lovage::bench
