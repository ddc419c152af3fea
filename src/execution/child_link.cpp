#include "execution/child_link.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

namespace lovage::execution {
namespace {

constexpr std::size_t kReadSize = std::size_t{64} * 1024;

// The kinds that running a task can end in; all others are for the worker to say.
bool comes_from_a_task(Outcome::Kind kind) noexcept {
  switch (kind) {
    case Outcome::Kind::success:
    case Outcome::Kind::failure:
    case Outcome::Kind::retry:
    case Outcome::Kind::ignored:
    case Outcome::Kind::replaced:
    case Outcome::Kind::rejected:
    case Outcome::Kind::malformed:
      return true;
    case Outcome::Kind::timed_out:
    case Outcome::Kind::revoked:
    case Outcome::Kind::lost:
    case Outcome::Kind::not_started:
      return false;
  }
  return false;
}

}  // namespace

ChildLink::ChildLink(net::Loop& loop, Events& events, const Options& options, net::Fd socket, ClaimCounter& claims)
    : events_(events),
      loop_(loop),
      id_(options.id),
      process_name_(options.settings.trace.process_name),
      max_frame_(options.settings.max_frame),
      socket_(std::move(socket)),
      claims_(claims),
      in_(max_frame_),
      end_(options.first_sequence) {
  (void)write_frame(out_, options.settings, max_frame_);
  readable_ = loop_.on_readable(socket_.get(), [this] { drain(); });
  flush();
}

bool ChildLink::give(Request& request) {
  if (!write_frame(out_, end_, request, max_frame_)) return false;
  jobs_.push_back({.sequence = end_++, .request = std::move(request)});
  fresh_ = false;
  return true;
}

void ChildLink::flush() {
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t size = ::send(socket_.get(), out_.data() + sent, out_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      out_.erase(0, sent);
      if (!writable_) writable_ = loop_.on_writable(socket_.get(), [this] { flush(); });
      return;
    }
    if (size < 0) break;  // it is gone: drain() hears of it
    sent += static_cast<std::size_t>(size);
  }
  out_.clear();
  writable_.reset();
}

std::vector<Request> ChildLink::take_back() {
  const std::uint64_t ours = claims_.take_back(end_);
  std::vector<Request> requests;
  const auto first = std::find_if(jobs_.begin(), jobs_.end(), [ours](const Job& job) { return job.sequence >= ours; });
  for (auto it = first; it != jobs_.end(); ++it) requests.push_back(std::move(it->request));
  jobs_.erase(first, jobs_.end());
  return requests;
}

void ChildLink::drain() {
  std::array<char, kReadSize> chunk;
  while (!closed_) {
    const ssize_t size = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0) return closed(true);
    in_.append({chunk.data(), static_cast<std::size_t>(size)});
    if (!handle_whole_frames()) return closed(false);
    if (static_cast<std::size_t>(size) < chunk.size()) return;
  }
}

bool ChildLink::handle_whole_frames() {
  for (;;) {
    const auto frame = in_.next();
    if (!frame) return false;
    if (!*frame) return true;
    if (!handle(**frame)) return false;
  }
}

void ChildLink::closed(bool sane) {
  closed_ = true;
  readable_.reset();
  writable_.reset();
  events_.on_child_closed(*this, sane);
}

void ChildLink::close_sending() {
  flush();
  ::shutdown(socket_.get(), SHUT_WR);
}

bool ChildLink::handle(const Frame& frame) {
  switch (frame.type) {
    case FrameType::hello: {
      const auto hello = read_hello(frame.payload);
      if (!hello || ready_) return false;
      pid_ = hello->pid;
      ready_ = true;
      events_.on_child_ready(*this);
      return true;
    }
    case FrameType::started: {
      const auto started = read_started(frame.payload);
      Job* const job = started ? running(started->sequence) : nullptr;
      if (job == nullptr) return false;
      hear_of_start(*job);
      return true;
    }
    case FrameType::state: {
      auto state = read_state(frame.payload);
      const Job* const job = state ? running(state->sequence) : nullptr;
      if (job == nullptr || !job->started) return false;
      events_.on_job_state(*job, std::move(state->state), std::move(state->meta_json));
      return true;
    }
    case FrameType::outcome: {
      auto outcome = read_outcome(frame.payload);
      return outcome && handle_outcome(std::move(*outcome));
    }
    case FrameType::settings:
    case FrameType::request:
      return false;
  }
  return false;
}

bool ChildLink::handle_outcome(OutcomeFrame frame) {
  const Job* const running_job = running(frame.sequence);
  if (running_job == nullptr || !running_job->started || !comes_from_a_task(frame.outcome.kind)) return false;
  const Job job = std::move(jobs_.front());
  jobs_.pop_front();
  frame.outcome.job = job.request.job;
  events_.on_job_outcome(*this, job, std::move(frame.outcome));
  return true;
}

void ChildLink::look_for_start() {
  if (!jobs_.empty() && claims_.is_claimed(jobs_.front().sequence)) hear_of_start(jobs_.front());
}

void ChildLink::hear_of_start(Job& job) {
  if (std::exchange(job.started, true)) return;
  job.since = std::chrono::steady_clock::now();
  events_.on_job_started(*this, job);
}

// A child works in the order of its requests: whatever it tells is about the oldest.
ChildLink::Job* ChildLink::running(std::uint64_t sequence) noexcept {
  return !jobs_.empty() && jobs_.front().sequence == sequence ? &jobs_.front() : nullptr;
}

}  // namespace lovage::execution
