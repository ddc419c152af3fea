// The worker's end of one prefork child: its socket, and the requests that it holds.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "execution/claim.hpp"
#include "execution/frame.hpp"
#include "execution/request.hpp"
#include "net/fd.hpp"
#include "net/loop.hpp"

namespace lovage::execution {

// Loop thread only.
class ChildLink {
 public:
  struct Job {
    std::uint64_t sequence = 0;
    Request request;
    bool started = false;  // as far as the worker has heard; a claimed job may run already
    Monotonic since{};     // when it heard so
  };

  // None of them may destroy the link.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_child_ready(ChildLink& child) = 0;
    virtual void on_job_started(ChildLink& child, const Job& job) = 0;
    virtual void on_job_state(const Job& job, std::string state, std::string meta_json) = 0;
    virtual void on_job_outcome(ChildLink& child, const Job& job, Outcome outcome) = 0;
    // Nothing more comes from it: it has closed its end, as a process that ends does, or (not `sane`) it has
    // written what makes no sense.
    virtual void on_child_closed(ChildLink& child, bool sane) = 0;
  };

  struct Options {
    std::uint32_t id = 0;
    std::uint64_t first_sequence = 0;  // goes on where the slot's last child ended
    ChildSettings settings;
  };
  ChildLink(net::Loop& loop, Events& events, const Options& options, net::Fd socket, ClaimCounter& claims);
  ChildLink(const ChildLink&) = delete;
  ChildLink& operator=(const ChildLink&) = delete;
  ~ChildLink() = default;

  // Puts the request behind the others; flush() sends. False: it is too large to travel, and was not taken.
  [[nodiscard]] bool give(Request& request);
  void flush();
  // All requests that the child has not claimed, oldest first: it will not run them.
  [[nodiscard]] std::vector<Request> take_back();
  // Reads what has come.
  void drain();
  // Whether the oldest request has started is seen in its claim, too, before the child tells it.
  void look_for_start();
  // Nothing more will be sent: the child ends when it has finished.
  void close_sending();

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& process_name() const noexcept { return process_name_; }
  [[nodiscard]] int pid() const noexcept { return pid_; }
  [[nodiscard]] bool is_ready() const noexcept { return ready_ && !closed_; }
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  // What it holds, oldest first; after take_back() only what it has claimed.
  [[nodiscard]] const std::deque<Job>& jobs() const noexcept { return jobs_; }
  [[nodiscard]] std::uint64_t next_sequence() const noexcept { return end_; }
  // Whether it has been given anything yet.
  [[nodiscard]] bool is_fresh() const noexcept { return fresh_; }

 private:
  bool handle_whole_frames();  // that have come; false: one is not what a child says
  bool handle(const Frame& frame);
  bool handle_outcome(OutcomeFrame frame);
  Job* running(std::uint64_t sequence) noexcept;
  void hear_of_start(Job& job);
  void closed(bool sane);

  Events& events_;
  net::Loop& loop_;
  const std::uint32_t id_;
  const std::string process_name_;
  const std::size_t max_frame_;
  net::Fd socket_;
  ClaimCounter& claims_;
  FrameBuffer in_;
  std::string out_;
  std::uint64_t end_;  // the number of the next request
  std::deque<Job> jobs_;
  int pid_ = 0;
  bool ready_ = false;
  bool closed_ = false;
  bool fresh_ = true;
  net::Registration readable_;
  net::Registration writable_;
};

}  // namespace lovage::execution
