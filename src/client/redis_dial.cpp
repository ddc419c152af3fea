#include "client/redis_dial.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace lovage::client {
namespace {

std::string_view text_or_empty(const std::vector<RedisReply>& items, std::size_t index) {
  return index < items.size() ? std::string_view(items[index].text) : std::string_view();
}

// Some servers repeat the arguments of a command that they do not know.
void hide(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 2)) {
    text.replace(at, secret.size(), "**");
  }
}

void append_auth(std::string& out, const std::string& user, const std::string& password) {
  if (user.empty()) {
    append_command(out, {"AUTH", password});
  } else {
    append_command(out, {"AUTH", user, password});
  }
}

}  // namespace

RedisExchange::RedisExchange(net::Endpoint endpoint, std::string request, std::size_t replies, Deadline deadline)
    : dial_(std::move(endpoint), deadline),
      request_(std::move(request)),
      expected_(replies),
      deadline_(deadline),
      reader_(std::size_t{1024} * 1024) {}

Result<bool> RedisExchange::advance() {
  if (!socket_) {
    auto dialed = dial_.advance();
    if (!dialed) return tl::unexpected(dialed.error());
    if (!*dialed) {
      wait_ = dial_.wait();
      return false;
    }
    socket_.emplace(std::move(**dialed));
  }
  if (auto written = write(); !written || !*written) return written;
  return read();
}

Result<bool> RedisExchange::write() {
  while (sent_ < request_.size()) {
    const auto sent = socket_->write_some(std::string_view(request_).substr(sent_));
    if (!sent) return tl::unexpected(sent.error());
    sent_ += sent->bytes;
    if (must_wait(sent->want)) {
      if (deadline_.passed()) return fail(Errc::timed_out, "the server did not answer in time");
      return false;
    }
  }
  return true;
}

Result<bool> RedisExchange::read() {
  std::array<char, 4096> buffer;
  while (true) {
    auto complete = take_replies();
    if (!complete || *complete) return complete;
    const auto got = socket_->read_some(buffer);
    if (!got) return tl::unexpected(got.error());
    if (must_wait(got->want)) {
      if (deadline_.passed()) return fail(Errc::timed_out, "the server did not answer in time");
      return false;
    }
    if (auto fed = reader_.feed({buffer.data(), got->bytes}); !fed) return tl::unexpected(fed.error());
  }
}

Result<bool> RedisExchange::take_replies() {
  while (replies_.size() < expected_) {
    auto reply = reader_.next();
    if (!reply) return tl::unexpected(reply.error());
    if (!*reply) return false;
    replies_.push_back(std::move(**reply));
  }
  if (!reader_.empty()) return fail(Errc::bad_data, "the server says more than it was asked");
  return true;
}

bool RedisExchange::must_wait(net::Want want) {
  if (want == net::Want::nothing) return false;
  wait_ = net::Wait{socket_->fd(), want, deadline_};
  return true;
}

RedisDial::RedisDial(RedisOptions options, std::string client_name, Deadline deadline)
    : options_(std::move(options)), client_name_(std::move(client_name)), deadline_(deadline) {
  start_candidate();
}

void RedisDial::start_candidate() {
  candidate_deadline_ = Deadline::after(options_.connect_timeout).or_earlier(deadline_);
  if (!options_.unix_path.empty()) return greet_server({.unix_path = options_.unix_path});
  const auto& [host, port] = options_.hosts.at(candidate_);
  if (options_.sentinel) return ask_sentinel(host, port);
  greet_server({.host = host, .port = port, .tls = tls()});
}

void RedisDial::ask_sentinel(const std::string& host, std::uint16_t port) {
  asking_sentinel_ = true;
  std::string request;
  if (!options_.sentinel_password.empty()) append_auth(request, options_.sentinel_user, options_.sentinel_password);
  append_command(request, {"SENTINEL", "get-master-addr-by-name", options_.master_name});
  exchange_.emplace(net::Endpoint{.host = host, .port = port, .tls = tls()}, std::move(request),
                    options_.sentinel_password.empty() ? 1U : 2U, candidate_deadline_);
}

void RedisDial::greet_server(net::Endpoint endpoint) {
  asking_sentinel_ = false;
  greeting_.clear();
  std::string request;
  if (!options_.password.empty()) {
    append_auth(request, options_.user, options_.password);
    greeting_.emplace_back("AUTH");
  }
  // PING tells at once that a password is missing or that the server still loads its data.
  append_command(request, {"PING"});
  greeting_.emplace_back("PING");
  if (options_.db != 0) {
    append_command(request, {"SELECT", std::to_string(options_.db)});
    greeting_.emplace_back("SELECT");
  }
  if (!client_name_.empty()) {
    append_command(request, {"CLIENT", "SETNAME", client_name_});
    greeting_.emplace_back("SETNAME");
  }
  append_command(request, {"CLIENT", "ID"});
  greeting_.emplace_back("ID");
  if (role_matters()) {
    append_command(request, {"ROLE"});
    greeting_.emplace_back("ROLE");
  }
  exchange_.emplace(std::move(endpoint), std::move(request), greeting_.size(), candidate_deadline_);
}

std::optional<net::TlsOptions> RedisDial::tls() const {
  if (!options_.tls.enabled) return std::nullopt;
  return net::TlsOptions{options_.tls.verify, options_.tls.check_hostname, options_.tls.ca_file, options_.tls.cert_file,
                         options_.tls.key_file};
}

Result<std::optional<DialedRedis>> RedisDial::advance() {
  if (options_.sentinel && options_.master_name.empty()) {
    return tl::unexpected(described({Errc::misconfigured, "master_name is not set: which master to ask for"}));
  }
  while (true) {
    const auto done = exchange_->advance();
    if (done && !*done) return std::nullopt;
    Failure why{Errc::unavailable, {}};
    if (!done) {
      why = done.error();
    } else if (asking_sentinel_) {
      auto found = take_master_address();
      if (found) continue;
      why = found.error();
    } else {
      auto greeted = take_greeting();
      if (greeted) return std::move(*greeted);
      why = greeted.error();
    }
    const bool hopeless = why.code == Errc::misconfigured;
    if (hopeless || deadline_.passed() || candidate_ + 1 >= options_.hosts.size())
      return tl::unexpected(described(why));
    ++candidate_;
    start_candidate();
  }
}

// The sentinel's answer: go on with the master that it named.
Result<void> RedisDial::take_master_address() {
  const auto& replies = exchange_->replies();
  for (const auto& reply : replies) {
    if (reply.is_error()) return tl::unexpected(failure_of(reply));
  }
  const auto& answer = replies.back();
  const auto host = text_or_empty(answer.items, 0);
  const auto port_text = text_or_empty(answer.items, 1);
  std::uint16_t port = 0;
  const auto* const end = port_text.data() + port_text.size();
  if (answer.is_nil()) {
    return fail(Errc::unavailable, "the sentinel knows no master named '" + options_.master_name + "'");
  }
  if (host.empty() || std::from_chars(port_text.data(), end, port).ptr != end || port == 0) {
    return fail(Errc::bad_data, "the sentinel's answer is no address");
  }
  greet_server({.host = std::string(host), .port = port, .tls = tls()});
  return {};
}

Result<DialedRedis> RedisDial::take_greeting() {
  std::int64_t id = 0;
  for (std::size_t i = 0; i < greeting_.size(); ++i) {
    const auto& name = greeting_[i];
    const auto& reply = exchange_->replies()[i];
    // What an access list may forbid without harm: a name for the eyes of administrators, and the role.
    if (reply.is_error() && (name == "SETNAME" || name == "ROLE") && !wants_another_server(reply)) continue;
    if (reply.is_error()) return tl::unexpected(failure_of(reply));
    if (name == "ID") id = reply.integer;
    if (name == "ROLE" && text_or_empty(reply.items, 0) != "master") {
      return fail(Errc::server_busy, "the server is no master");
    }
  }
  return DialedRedis{exchange_->take_socket(), id};
}

Failure RedisDial::described(const Failure& why) const {
  std::string message = "cannot connect to " + options_.display_url + ": ";
  if (role_matters()) {
    const auto& [host, port] = options_.hosts.at(candidate_);
    message += (options_.sentinel ? "sentinel " : "") + host + ":" + std::to_string(port) + ": ";
  }
  auto reason = why.message;
  hide(reason, options_.password);
  hide(reason, options_.sentinel_password);
  return Failure{why.code, message + reason};
}

}  // namespace lovage::client
