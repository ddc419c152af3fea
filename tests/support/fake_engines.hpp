// A broker and a backend in memory that tests steer: what was sent, which calls fail, and with what.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <lovage/states.hpp>

#include "backend/backend.hpp"
#include "broker/broker.hpp"
#include "wire/result_meta.hpp"

namespace lovage::test {

class FakeBroker final : public broker::Broker {
 public:
  // The next calls of publish() fail with these, one each, before sends work again.
  void fail_next(Failure failure) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(std::move(failure));
  }
  // From now on nothing answers: calls take until their deadline.
  void stop_answering() {
    const std::lock_guard lock(mutex_);
    answers_ = false;
  }
  [[nodiscard]] std::vector<wire::TaskMessage> sent() const {
    const std::lock_guard lock(mutex_);
    return sent_;
  }
  [[nodiscard]] std::vector<std::string> declared() const {
    const std::lock_guard lock(mutex_);
    return declared_;
  }
  [[nodiscard]] int publish_calls() const {
    const std::lock_guard lock(mutex_);
    return publish_calls_;
  }

  // How many messages each call of send() showed, over all publications.
  [[nodiscard]] std::vector<std::size_t> shown() const {
    const std::lock_guard lock(mutex_);
    return shown_;
  }

  std::unique_ptr<broker::Publishing> start_publishing(Deadline deadline) override {
    class Publication final : public broker::Publishing {
     public:
      Publication(FakeBroker& broker, Deadline until) : broker_(broker), until_(until) {}
      void send(std::span<const wire::TaskMessage> messages) override {
        messages_ = messages;
        const std::lock_guard lock(broker_.mutex_);
        broker_.shown_.push_back(messages.size());
      }
      std::vector<Result<void>> finish() override { return broker_.publish(messages_, until_); }

     private:
      FakeBroker& broker_;
      const Deadline until_;
      std::span<const wire::TaskMessage> messages_;
    };
    return std::make_unique<Publication>(*this, deadline);
  }
  std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages, Deadline deadline) override {
    std::unique_lock lock(mutex_);
    ++publish_calls_;
    if (!answers_) {
      silence_.wait_until(lock, deadline.when(), [] { return false; });
      return {messages.size(), fail(Errc::timed_out, "no answer")};
    }
    if (!failures_.empty()) {
      const auto failure = failures_.front();
      failures_.pop_front();
      return {messages.size(), tl::unexpected(failure)};
    }
    std::vector<Result<void>> outcomes;
    for (const auto& message : messages) {
      if (message.task == refused_task) {
        outcomes.push_back(fail(Errc::not_found, "no binding"));
      } else {
        sent_.push_back(message);
        outcomes.emplace_back();
      }
    }
    return outcomes;
  }

  Result<void> broadcast(const wire::BroadcastMessage& message, Deadline) override {
    const std::lock_guard lock(mutex_);
    if (!failures_.empty()) {
      const auto failure = failures_.front();
      failures_.pop_front();
      return tl::unexpected(failure);
    }
    broadcasts_.push_back(message);
    return {};
  }
  [[nodiscard]] std::vector<wire::BroadcastMessage> broadcasts() const {
    const std::lock_guard lock(mutex_);
    return broadcasts_;
  }

  Result<void> declare(std::span<const wire::QueueDeclaration> queues, Deadline) override {
    const std::lock_guard lock(mutex_);
    for (const auto& queue : queues) declared_.push_back(queue.name);
    return {};
  }

  Result<broker::ServerReport> check(Deadline) override { return broker::ServerReport{}; }
  broker::ConsumerPair make_consumer(net::Loop&, broker::ConsumerOptions) override { return {}; }
  Result<std::vector<broker::QueueInfo>> queues(std::span<const std::string>, Deadline) override {
    return std::vector<broker::QueueInfo>{};
  }
  Result<std::uint64_t> purge(const std::string&, Deadline) override { return 0U; }
  Result<std::vector<broker::WorkerInfo>> workers(Deadline) override { return std::vector<broker::WorkerInfo>{}; }
  Result<std::vector<broker::DeadLetterEntry>> dead_letters(std::size_t, Deadline) override {
    return std::vector<broker::DeadLetterEntry>{};
  }
  Result<std::optional<broker::DeadLetterEntry>> dead_letter(const std::string&, Deadline) override {
    return std::optional<broker::DeadLetterEntry>{};
  }
  Result<void> retry_dead_letter(const std::string&, const wire::TaskMessage&, Deadline) override { return {}; }
  Result<void> store_graph(const broker::Graph& graph, Deadline /*deadline*/) override {
    graphs.push_back(graph);
    return {};
  }
  Result<std::string> graph_page(const std::string& id, std::uint64_t page, Deadline /*deadline*/) override {
    return fail(Errc::not_found, broker::graph_gone(id, page));
  }
  Result<void> use_graph(const broker::GraphUse& /*use*/, Deadline /*deadline*/) override { return {}; }
  Result<void> bury(std::span<const broker::BuriedMessage> /*messages*/, Deadline /*deadline*/) override { return {}; }
  Result<std::uint64_t> purge_dead_letters(std::optional<std::string>, Deadline) override { return 0U; }
  std::unique_ptr<broker::Lease> make_sweeper(std::chrono::milliseconds) override { return nullptr; }
  Result<std::uint64_t> release(Scheduled, Deadline) override { return 0U; }
  Result<void> survey(const broker::SurveyVisit&, std::chrono::milliseconds) override { return {}; }
  Result<std::string> identity(Deadline) override { return std::string("fake"); }
  [[nodiscard]] std::string display_url() const override { return "fake://"; }

  std::vector<broker::Graph> graphs;  // stored
  std::string refused_task;           // messages of this task are unroutable

 private:
  mutable std::mutex mutex_;
  std::condition_variable silence_;
  bool answers_ = true;
  std::vector<std::size_t> shown_;
  int publish_calls_ = 0;
  std::deque<Failure> failures_;
  std::vector<wire::TaskMessage> sent_;
  std::vector<std::string> declared_;
  std::vector<wire::BroadcastMessage> broadcasts_;
};

class FakeBackend final : public backend::Backend {
 public:
  void put(const std::string& id, std::string meta) {
    {
      const std::lock_guard lock(mutex_);
      metas_[id] = std::move(meta);
    }
    changed_.notify_all();
  }
  // The next read fails with this.
  void fail_next(Failure failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }

  Result<std::optional<std::string>> get(const std::string& id, Deadline) override {
    const std::lock_guard lock(mutex_);
    if (failure_) return tl::unexpected(*std::exchange(failure_, std::nullopt));
    return find(id);
  }
  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> ids, Deadline) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::optional<std::string>> found;
    for (const auto& id : ids) found.push_back(find(id));
    return found;
  }
  Result<std::optional<std::string>> wait(const std::string& id, Deadline deadline) override {
    std::unique_lock lock(mutex_);
    const auto is_there = [&] {
      const auto meta = find(id);
      return meta && states::is_ready(wire::peek_status(*meta).value_or(""));
    };
    if (deadline.is_never())
      changed_.wait(lock, is_there);
    else if (!changed_.wait_until(lock, deadline.when(), is_there))
      return std::optional<std::string>{};
    return find(id);
  }
  std::vector<Result<void>> store(std::span<const backend::StoreResult> results, Deadline) override {
    for (const auto& result : results) put(result.task_id, result.meta);
    return std::vector<Result<void>>(results.size());
  }
  Result<void> forget(const std::string& id, Deadline) override {
    const std::lock_guard lock(mutex_);
    metas_.erase(id);
    return {};
  }
  // Chords: what was said of them. Nothing is ever counted here.
  Result<void> start_chord(const backend::ChordStart& start, Deadline) override {
    const std::lock_guard lock(mutex_);
    chords_[start.group_id] = start.size;
    return {};
  }
  Result<void> extend_chord(const std::string& group_id, Deadline) override {
    const std::lock_guard lock(mutex_);
    ++chords_[group_id];
    return {};
  }
  Result<bool> count_parts(const backend::ChordCount&, Deadline) override { return false; }
  Result<backend::ChordParts> chord_parts(const std::string&, const std::string&, std::size_t, Deadline) override {
    return backend::ChordParts{};
  }
  Result<void> end_chord(const backend::ChordEnd& end, Deadline) override {
    const std::lock_guard lock(mutex_);
    chords_.erase(end.group_id);
    return {};
  }
  // How many header tasks each chord has that was started.
  [[nodiscard]] std::map<std::string, std::uint64_t> chords() const {
    const std::lock_guard lock(mutex_);
    return chords_;
  }
  Result<void> save_group(const std::string& group_id, const std::string& text, Deadline) override {
    const std::lock_guard lock(mutex_);
    groups_[group_id] = text;
    return {};
  }
  Result<std::optional<std::string>> restore_group(const std::string& group_id, Deadline) override {
    const std::lock_guard lock(mutex_);
    const auto known = groups_.find(group_id);
    return known == groups_.end() ? std::nullopt : std::optional(known->second);
  }
  Result<void> forget_group(const std::string& group_id, Deadline) override {
    const std::lock_guard lock(mutex_);
    groups_.erase(group_id);
    return {};
  }
  Result<void> check(Deadline) override { return {}; }
  Result<std::string> identity(Deadline) override { return std::string("fake"); }
  [[nodiscard]] std::string display_url() const override { return "fake://"; }

 private:
  [[nodiscard]] std::optional<std::string> find(const std::string& id) const {
    const auto at = metas_.find(id);
    return at == metas_.end() ? std::nullopt : std::optional(at->second);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> metas_;
  std::map<std::string, std::uint64_t> chords_;
  std::map<std::string, std::string> groups_;
  std::optional<Failure> failure_;
};

}  // namespace lovage::test
