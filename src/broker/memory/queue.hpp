// One queue of a store in memory: its lists by priority, and its messages that wait for a time. No lock: the store
// has one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "broker/broker.hpp"
#include "broker/settlement.hpp"
#include "wire/queues.hpp"
#include "wire/shared_message.hpp"

namespace lovage::broker::memory {

struct Message {
  std::uint64_t position = 0;  // ascends within the store; kept while it is reserved, so that it goes back to its place
  wire::SharedMessage content;  // decoded: whoever sent it and whoever takes it live in this process
  Marks marks;
};

// Of a survey: its bytes are written once the lock is let go.
struct Found {
  Sighting sighting;
  wire::SharedMessage content;
};

class Queue {
 public:
  // One for each of wire::kDefaultPrioritySteps, by position.
  using Lists = std::array<std::deque<Message>, wire::kDefaultPrioritySteps.size()>;

  void declare() noexcept { declared_ = true; }
  // Nobody declared it, and it holds nothing.
  [[nodiscard]] bool is_unused() const noexcept;
  [[nodiscard]] QueueInfo counts(const std::string& name) const;

  // A message is ready, or due.
  [[nodiscard]] bool has_work(Timestamp now) const;

  // Puts a message where its position says.
  void put(int step, Message message);
  [[nodiscard]] const Message* first(int step) const;
  // Reserves the first.
  Message take_first(int step);
  // A continuation that waited is reserved.
  void adopted() noexcept { ++reserved_; }
  // A message that was reserved has found its end, or is put or scheduled next.
  void released() noexcept { --reserved_; }
  // Takes all that is ready out, for good.
  Lists take_ready() noexcept { return std::exchange(lists_, {}); }

  // `unknown_task`: a task that some worker did not know; those that have not said so may take it before it is due.
  void schedule(Timestamp due, int step, Message message, const std::string& unknown_task);
  [[nodiscard]] std::optional<Timestamp> next_due() const;
  // Moves what is due, `most` at most, to the tails of the lists; how many.
  std::size_t move_due(Timestamp now, std::size_t most, std::uint64_t& last_position);

  // Adds what is ready, in the order in which it is taken; what is scheduled, in the order of time.
  void add_ready(const std::string& name, std::vector<Found>& found) const;
  void add_scheduled(const std::string& name, std::vector<Found>& found) const;

  // The task after this one in the order of names that some worker did not know; nullptr: none.
  [[nodiscard]] const std::string* next_unknown(const std::string& task) const;
  // Of the messages of such a task.
  [[nodiscard]] const Message* first_unknown(const std::string& task, int step) const;
  // Reserves the first; when it would have been due.
  std::pair<Message, Timestamp> take_first_unknown(const std::string& task, int step);

 private:
  using ScheduleKey = std::pair<Timestamp, std::uint64_t>;  // due, position
  struct Scheduled {
    int step = 0;
    Message message;
    std::string unknown_task;
  };
  using Schedule = std::map<ScheduleKey, Scheduled>;
  using UnknownKey = std::tuple<int, std::uint64_t, Timestamp>;  // step, position, due

  [[nodiscard]] const UnknownKey* find_unknown(const std::string& task, int step) const;
  Scheduled take_scheduled(Schedule::iterator at);

  Lists lists_;
  Schedule schedule_;
  std::map<std::string, std::set<UnknownKey>> unknown_;  // of schedule_, by task
  std::uint64_t reserved_ = 0;
  bool declared_ = false;
};

}  // namespace lovage::broker::memory
