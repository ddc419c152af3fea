// A consumer, a pool and a broker that only write down what they are asked.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.hpp"
#include "broker/broker.hpp"
#include "broker/consumer.hpp"
#include "execution/pool.hpp"

namespace lovage::worker::testing {

struct FakeConsumer final : broker::Consumer {
  IncarnationId id{"fake"};
  std::vector<std::pair<std::size_t, std::size_t>> credits;
  std::vector<broker::Settlement> settled;
  std::vector<std::pair<Token, broker::StoreResult>> states;
  std::vector<Token> records;

  [[nodiscard]] const IncarnationId& incarnation() const noexcept override { return id; }
  void start(broker::ConsumerEvents& /*events*/) override {}
  void set_credit(std::size_t messages, std::size_t bytes) override { credits.emplace_back(messages, bytes); }
  void settle(broker::Settlement settlement) override { settled.push_back(std::move(settlement)); }
  void store_state(Token token, broker::StoreResult result) override { states.emplace_back(token, std::move(result)); }
  void record_start(Token token) override { records.push_back(token); }
  void stop_reserving(UniqueFunction<void()> done) override { done(); }
  void close(UniqueFunction<void()> done) override { done(); }
  void add_queue(wire::QueueDeclaration /*queue*/) override {}
  void cancel_queue(const std::string& /*queue*/) override {}
};

struct FakePool final : execution::Pool {
  std::size_t slot_count = 2;
  std::size_t wanted = 2;
  std::vector<execution::Request> submitted;
  int given_back = 0;
  int killed = 0;

  void start(execution::PoolEvents& /*events*/, UniqueFunction<void()> ready) override { ready(); }
  [[nodiscard]] std::size_t slots() const noexcept override { return slot_count; }
  [[nodiscard]] std::size_t appetite() const noexcept override { return wanted; }
  void submit(execution::Request request) override { submitted.push_back(std::move(request)); }
  void allow_starts_until(Monotonic) noexcept override {}
  void give_back() override { ++given_back; }
  void terminate(execution::JobId /*job*/, int /*signal*/) override {}
  void kill_all() override { ++killed; }
  void stop(UniqueFunction<void()> done) override { done(); }
  [[nodiscard]] std::vector<int> pids() const override { return {}; }
  [[nodiscard]] std::string name() const override { return "fake"; }
};

// What the fake broker and backend were asked to do, in one order; may be told to fail.
class Journal {
 public:
  // The next `times` calls with items fail with this code.
  void fail_next(int times, Errc code) {
    const std::lock_guard lock(mutex_);
    failures_ = times;
    code_ = code;
  }
  // "store <id> <STATE>" and "send <id>", once there are `count` of them (or ten seconds have passed).
  std::vector<std::string> lines(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lines_.size() >= count; });
    return lines_;
  }
  template <class Items, class Describe>
  std::vector<Result<void>> write(const Items& items, Describe describe) {
    const std::lock_guard lock(mutex_);
    std::vector<Result<void>> outcomes;
    const bool fails = failures_ > 0 && !items.empty();
    if (fails) --failures_;
    for (const auto& item : items) {
      if (fails) {
        outcomes.push_back(fail(code_, "told to fail"));
      } else {
        lines_.push_back(describe(item));
        outcomes.emplace_back();
      }
    }
    changed_.notify_all();
    return outcomes;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;  // guarded by mutex_
  int failures_ = 0;                // guarded by mutex_
  Errc code_ = Errc::unavailable;   // guarded by mutex_
};

struct FakeBroker final : broker::Broker {
  explicit FakeBroker(Journal& to) : journal(to) {}
  Journal& journal;

  std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages, Deadline /*deadline*/) override {
    return journal.write(messages, [](const auto& message) { return "send " + message.id; });
  }
  Result<void> broadcast(const wire::BroadcastMessage&, Deadline) override { return {}; }
  Result<void> declare(std::span<const wire::QueueDeclaration> queues, Deadline /*deadline*/) override {
    return journal.write(queues, [](const auto& queue) { return "declare " + queue.name; }).at(0);
  }
  Result<broker::ServerReport> check(Deadline /*deadline*/) override { return broker::ServerReport{}; }
  broker::ConsumerPair make_consumer(net::Loop& /*loop*/, broker::ConsumerOptions /*options*/) override { return {}; }
  Result<std::vector<broker::QueueInfo>> queues(std::span<const std::string> /*names*/,
                                                Deadline /*deadline*/) override {
    return std::vector<broker::QueueInfo>{};
  }
  Result<std::uint64_t> purge(const std::string& /*queue*/, Deadline /*deadline*/) override { return 0U; }
  Result<std::vector<broker::WorkerInfo>> workers(Deadline /*deadline*/) override {
    return std::vector<broker::WorkerInfo>{};
  }
  Result<std::vector<broker::DeadLetterEntry>> dead_letters(std::size_t /*limit*/, Deadline /*deadline*/) override {
    return std::vector<broker::DeadLetterEntry>{};
  }
  Result<std::optional<broker::DeadLetterEntry>> dead_letter(const std::string& /*key*/,
                                                             Deadline /*deadline*/) override {
    return std::nullopt;
  }
  Result<void> retry_dead_letter(const std::string& /*key*/, const wire::TaskMessage& /*message*/,
                                 Deadline /*deadline*/) override {
    return {};
  }
  Result<void> store_graph(const broker::Graph& /*graph*/, Deadline /*deadline*/) override { return {}; }
  std::vector<std::string> pages;  // of every graph
  Result<std::string> graph_page(const std::string& id, std::uint64_t page, Deadline /*deadline*/) override {
    if (page >= pages.size()) return fail(Errc::not_found, broker::graph_gone(id, page));
    return journal.write(std::vector{pages[page]}, [&](const auto&) { return "page of " + id; }).at(0).transform([&] {
      return pages[page];
    });
  }
  Result<void> use_graph(const broker::GraphUse& use, Deadline /*deadline*/) override {
    const std::string what = use.added > 0 ? "hold " + std::to_string(use.added) : "release";
    return journal.write(std::vector{use}, [&](const auto& each) { return what + " " + each.graph_id; }).at(0);
  }
  Result<void> bury(std::span<const broker::BuriedMessage> messages, Deadline /*deadline*/) override {
    return journal.write(messages, [](const auto& buried) { return "bury " + buried.message.id; }).at(0);
  }
  Result<std::uint64_t> purge_dead_letters(std::optional<std::string> /*key*/, Deadline /*deadline*/) override {
    return 0U;
  }
  std::unique_ptr<broker::Lease> make_sweeper(std::chrono::milliseconds) override { return nullptr; }
  Result<std::uint64_t> release(Scheduled, Deadline) override { return 0U; }
  Result<void> survey(const broker::SurveyVisit&, std::chrono::milliseconds) override { return {}; }
  Result<std::string> identity(Deadline /*deadline*/) override { return "fake"; }
  [[nodiscard]] std::string display_url() const override { return "fake://"; }
};

struct FakeBackend final : backend::Backend {
  explicit FakeBackend(Journal& to) : journal(to) {}
  Journal& journal;
  bool are_last = false;           // what is counted: its chord's last parts
  std::vector<std::string> parts;  // of every chord

  Result<void> one(const std::string& line) {
    return journal.write(std::vector{line}, [](const auto& text) { return text; }).at(0);
  }

  std::vector<Result<void>> store(std::span<const broker::StoreResult> results, Deadline /*deadline*/) override {
    return journal.write(results, [](const auto& result) { return "store " + result.task_id + " " + result.state; });
  }
  Result<std::optional<std::string>> get(const std::string& /*task_id*/, Deadline /*deadline*/) override {
    return std::nullopt;
  }
  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> ids,
                                                           Deadline /*deadline*/) override {
    return std::vector<std::optional<std::string>>(ids.size());
  }
  Result<std::optional<std::string>> wait(const std::string& /*task_id*/, Deadline /*deadline*/) override {
    return std::nullopt;
  }
  Result<void> forget(const std::string& /*task_id*/, Deadline /*deadline*/) override { return {}; }
  Result<void> start_chord(const broker::ChordStart& start, Deadline /*deadline*/) override {
    return one("start " + start.group_id);
  }
  Result<void> extend_chord(const std::string& group_id, Deadline /*deadline*/) override {
    return one("extend " + group_id);
  }
  Result<bool> count_parts(const broker::ChordCount& count, Deadline /*deadline*/) override {
    if (auto written = one("count " + count.parts.at(0).task_id); !written) return tl::unexpected(written.error());
    return are_last;
  }
  Result<broker::ChordParts> chord_parts(const std::string& /*group_id*/, const std::string& from, std::size_t most,
                                         Deadline /*deadline*/) override {
    broker::ChordParts chunk;
    std::size_t i = from.empty() ? 0 : std::stoul(from);
    for (; i < parts.size() && chunk.texts.size() < most; ++i) chunk.texts.push_back(parts[i]);
    if (i < parts.size()) chunk.next = std::to_string(i);
    return chunk;
  }
  Result<void> end_chord(const broker::ChordEnd& end, Deadline /*deadline*/) override {
    return one("end " + end.group_id);
  }
  Result<void> save_group(const std::string&, const std::string&, Deadline) override { return {}; }
  Result<std::optional<std::string>> restore_group(const std::string&, Deadline) override { return std::nullopt; }
  Result<void> forget_group(const std::string&, Deadline) override { return {}; }
  Result<void> check(Deadline /*deadline*/) override { return {}; }
  Result<std::string> identity(Deadline /*deadline*/) override { return "fake"; }
  [[nodiscard]] std::string display_url() const override { return "fake://"; }
};

}  // namespace lovage::worker::testing
