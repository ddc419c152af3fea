#include "execution/prefork_child.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/logging.hpp"
#include "execution/frame.hpp"
#include "execution/shared_pages.hpp"

namespace lovage::execution {
namespace {

constexpr std::size_t kReadSize = std::size_t{64} * 1024;
constexpr std::size_t kMaxSettingsFrame = 1 << 20;

// The worker's end is closed: there is nobody left to work for.
struct WorkerGone {};

// The child's end of the socket pair.
class Pipe {
 public:
  explicit Pipe(net::Fd socket) : socket_(std::move(socket)) {}

  // What has come and was not looked at; nullopt: a read would wait. Throws WorkerGone.
  std::optional<Frame> buffered() {
    auto frame = frames_.next();
    if (!frame) {
      log::critical("The worker sent " + frame.error().message);
      throw WorkerGone{};
    }
    return *frame;
  }
  void wait() {
    std::array<char, kReadSize> chunk;
    ssize_t size = 0;
    while ((size = ::recv(socket_.get(), chunk.data(), chunk.size(), 0)) < 0 && errno == EINTR) {
    }
    if (size <= 0) throw WorkerGone{};
    frames_.append({chunk.data(), static_cast<std::size_t>(size)});
  }
  void send(std::string& bytes) {
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t size = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) throw WorkerGone{};
      rest.remove_prefix(static_cast<std::size_t>(size));
    }
    bytes.clear();
  }
  void allow(std::size_t max_frame) { frames_.set_max_frame(max_frame); }

 private:
  net::Fd socket_;
  FrameBuffer frames_{kMaxSettingsFrame};
};

// The resident size of this process.
class MemoryGauge {
 public:
  MemoryGauge() : statm_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {}
  [[nodiscard]] std::uint64_t resident_kib() const noexcept {
    std::array<char, 128> text;
    const ssize_t size = ::pread(statm_.get(), text.data(), text.size(), 0);
    if (size <= 0) return 0;
    const std::string_view numbers(text.data(), static_cast<std::size_t>(size));
    const std::size_t second = numbers.find(' ');
    if (second == std::string_view::npos) return 0;
    std::uint64_t pages = 0;
    std::from_chars(numbers.data() + second + 1, numbers.data() + numbers.size(), pages);
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  }

 private:
  net::Fd statm_;
};

class Child final : public StateSink {
 public:
  Child(Pipe& pipe, ChildSettings settings, SharedPages::Slot& slot, const app::Registry& registry)
      : pipe_(pipe), settings_(std::move(settings)), slot_(slot), registry_(registry) {}

  int serve() {
    append(HelloFrame{.pid = ::getpid()});
    for (;;) {
      const auto frame = pipe_.buffered();
      if (!frame) {
        flush();
        std::fflush(stdout);
        pipe_.wait();
        continue;
      }
      if (frame->type != FrameType::request || !handle(frame->payload)) {
        log::critical("The worker sent what is no request");
        return EXIT_FAILURE;
      }
      if (is_worn_out()) {
        flush();
        return kRecycledExitCode;
      }
    }
  }

  void on_state(JobId, std::string state, std::string meta_json) override {
    append(StateFrame{.sequence = sequence_, .state = std::move(state), .meta_json = std::move(meta_json)});
    flush();
  }

 private:
  bool handle(std::string_view payload) {
    auto frame = read_request(payload);
    if (!frame) return false;
    sequence_ = frame->sequence;
    wait_for_permit();
    if (!slot_.claims.claim(sequence_)) return true;  // taken back
    // No outcome is in our hands while a task runs, so that a child that dies takes nothing finished with it: the one
    // before leaves now, and this start with it. Alone it would wake the worker once more for each task.
    const bool leaves = frame->request.tell_start || !out_.empty();
    append(StartedFrame{.sequence = sequence_});
    if (leaves) flush();
    append(trace(settings_.trace, registry_, frame->request, *this));
    ++tasks_run_;
    return true;
  }

  // The worker renews its lease, or takes the request back; when it is gone, the fork server ends us.
  void wait_for_permit() {
    while (!slot_.permit.is_valid() && slot_.claims.is_open(sequence_)) {
      flush();
      std::this_thread::sleep_for(StartPermit::kLook);
    }
  }

  void append(const Outcome& outcome) {
    if (write_frame(out_, sequence_, outcome, settings_.max_frame)) return;
    Outcome refused = Outcome::of(outcome.job, Outcome::Kind::failure);
    refused.exception = {
        .type = "EncodeError",
        .module = "kombu.exceptions",
        .arguments = {Value(fmt::format("what the task returned or raised is too large (task_message_max_bytes "
                                        "allows {}) or too deep",
                                        settings_.trace.limits.max_bytes))}};
    refused.runtime = outcome.runtime;
    refused.pid = outcome.pid;
    refused.process_name = outcome.process_name;
    (void)write_frame(out_, sequence_, refused, settings_.max_frame);
  }
  template <class T>
  void append(const T& frame) {
    if (!write_frame(out_, frame, settings_.max_frame)) log::error("A custom state is too large: it was not sent");
  }
  void flush() {
    if (!out_.empty()) pipe_.send(out_);
  }
  [[nodiscard]] bool is_worn_out() const {
    if (settings_.max_tasks > 0 && tasks_run_ >= settings_.max_tasks) return true;
    return settings_.max_memory_kib > 0 && tasks_run_ > 0 && memory_.resident_kib() > settings_.max_memory_kib;
  }

  Pipe& pipe_;
  const ChildSettings settings_;
  SharedPages::Slot& slot_;
  const app::Registry& registry_;
  const MemoryGauge memory_;
  std::string out_;
  std::uint64_t sequence_ = 0;  // of the request at hand
  std::uint64_t tasks_run_ = 0;
};

ChildSettings receive_settings(Pipe& pipe) {
  for (;;) {
    if (const auto frame = pipe.buffered()) {
      auto settings = frame->type == FrameType::settings ? read_settings(frame->payload)
                                                         : fail(Errc::bad_data, "no settings frame");
      if (!settings) throw WorkerGone{};
      return std::move(*settings);
    }
    pipe.wait();
  }
}

}  // namespace

int run_child(net::Fd socket, net::Fd pages, const app::Registry& registry) {
  try {
    Pipe pipe(std::move(socket));
    ChildSettings settings = receive_settings(pipe);
    pipe.allow(settings.max_frame);
    log::set_process_name(settings.trace.process_name);
    const auto page = SharedPages::map(pages.get(), settings.slot, 1);
    if (!page) {
      log::critical(page.error().message);
      return EXIT_FAILURE;
    }
    pages.reset();
    return Child(pipe, std::move(settings), page->slot(0), registry).serve();
  } catch (const WorkerGone&) {
    return EXIT_SUCCESS;
  }
}

}  // namespace lovage::execution
