#include "worker/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/backoff.hpp"
#include "base/logging.hpp"
#include "base/printable.hpp"

namespace lovage::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostPerBatch = 256;
constexpr std::chrono::seconds kCallBudget{5};
constexpr std::size_t kPartsAtOnce = 1'000;

// An uncertain write is made again: storing twice changes nothing, and a successor is sent at least once.
bool try_again(Errc code) {
  return is_retryable(code) || code == Errc::uncertain;
}

}  // namespace

Outbox::Outbox(broker::Broker& broker, backend::Backend* backend, Post post)
    : broker_(broker), backend_(backend), post_(std::move(post)), thread_([this] { run(); }) {}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Outbox::Item Outbox::Item::of(broker::Settlement& settlement) {
  return {.results = std::exchange(settlement.results, {}),
          .chords = std::exchange(settlement.chords, {}),
          .declares = std::exchange(settlement.declares, {}),
          .graph = std::exchange(settlement.graph, std::nullopt),
          .sends = std::exchange(settlement.sends, {}),
          .undeliverable = std::exchange(settlement.undeliverable, {}),
          .counts = std::exchange(settlement.counts, std::nullopt),
          .ended_chord = std::exchange(settlement.ended_chord, std::nullopt),
          .done = {}};
}

void Outbox::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  wake_.notify_one();
}

void Outbox::read_parts(std::string group_id, UniqueFunction<void(std::vector<std::string>)> done) {
  {
    const std::lock_guard lock(mutex_);
    readings_.emplace_back([this, group_id = std::move(group_id), done = std::move(done)]() mutable {
      std::vector<std::string> parts;
      if (!read_all_parts(group_id, parts)) return false;
      post_([done = std::move(done), parts = std::move(parts)]() mutable { done(std::move(parts)); });
      return true;
    });
  }
  wake_.notify_one();
}

void Outbox::read_page(std::string graph_id, std::uint64_t page, UniqueFunction<void(Result<std::string>)> done) {
  {
    const std::lock_guard lock(mutex_);
    readings_.emplace_back([this, graph_id = std::move(graph_id), page, done = std::move(done)]() mutable {
      Result<std::string> text;
      if (!read_graph(graph_id, page, text)) return false;
      post_([done = std::move(done), text = std::move(text)]() mutable { done(std::move(text)); });
      return true;
    });
  }
  wake_.notify_one();
}

void Outbox::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !items_.empty() || !readings_.empty(); });
    if (stopping_) return;
    const auto count = static_cast<std::ptrdiff_t>(std::min(items_.size(), kMostPerBatch));
    std::vector<Item> batch(std::make_move_iterator(items_.begin()), std::make_move_iterator(items_.begin() + count));
    items_.erase(items_.begin(), items_.begin() + count);
    auto readings = std::exchange(readings_, {});
    lock.unlock();
    if (!carry_out(batch)) return;
    for (auto& reading : readings) {
      if (!reading()) return;
    }
    lock.lock();
  }
}

bool Outbox::carry_out(std::vector<Item>& batch) {
  std::vector<broker::StoreResult> results;
  std::vector<broker::ChordStart> chords;
  std::vector<wire::QueueDeclaration> declares;
  std::vector<wire::TaskMessage> sends;
  for (auto& item : batch) {
    std::move(item.results.begin(), item.results.end(), std::back_inserter(results));
    std::move(item.chords.begin(), item.chords.end(), std::back_inserter(chords));
    std::move(item.declares.begin(), item.declares.end(), std::back_inserter(declares));
    std::move(item.sends.begin(), item.sends.end(), std::back_inserter(sends));
  }
  const auto store = [this](const auto& left) { return backend_->store(left, Deadline::after(kCallBudget)); };
  if (backend_ != nullptr && !until_done(std::move(results), store, "store a result")) return false;
  const auto start = [this](const auto& left) {
    std::vector<Result<void>> outcomes;
    outcomes.reserve(left.size());
    for (const auto& chord : left) outcomes.push_back(backend_->start_chord(chord, Deadline::after(kCallBudget)));
    return outcomes;
  };
  if (backend_ != nullptr && !until_done(std::move(chords), start, "start a chord")) return false;
  const auto declare = [this](const auto& left) {
    return std::vector(left.size(), broker_.declare(left, Deadline::after(kCallBudget)));
  };
  if (!until_done(std::move(declares), declare, "declare a queue")) return false;
  if (!hold_graphs(batch)) return false;
  // Header tasks that are added to a chord have to be expected before the first of them can end.
  for (auto& item : batch) {
    bool complete = false;
    if (item.counts && item.counts->added > 0 && !count(item, complete)) return false;
  }
  const auto publish = [this](const auto& left) { return broker_.publish(left, Deadline::after(kCallBudget)); };
  std::vector<wire::TaskMessage> unroutable;
  if (!until_done(std::move(sends), publish, "send a task", &unroutable)) return false;
  if (!unroutable.empty() && !bury(batch, unroutable)) return false;
  for (auto& item : batch)
    if (!finish(item)) return false;
  return true;
}

bool Outbox::count(Item& item, bool& complete) {
  if (backend_ == nullptr || !item.counts) return true;
  const auto count_parts = [&](const auto& left) {
    std::vector<Result<void>> outcomes;
    for (const broker::ChordCount& counts : left) {
      const auto counted = backend_->count_parts(counts, Deadline::after(kCallBudget));
      complete = counted && *counted;
      outcomes.push_back(counted ? Result<void>() : Result<void>(tl::unexpected(counted.error())));
    }
    return outcomes;
  };
  return until_done(std::vector{std::move(*std::exchange(item.counts, std::nullopt))}, count_parts,
                    "count a part of a chord");
}

bool Outbox::finish(Item& item) {
  bool complete = false;
  if (!count(item, complete)) return false;
  if (backend_ != nullptr && item.ended_chord) {
    const auto end = [this](const auto& left) {
      std::vector<Result<void>> outcomes;
      outcomes.reserve(left.size());
      for (const auto& chord : left) outcomes.push_back(backend_->end_chord(chord, Deadline::after(kCallBudget)));
      return outcomes;
    };
    if (!until_done(std::vector{std::move(*item.ended_chord)}, end, "end a chord")) return false;
  }
  if (!release_graph(item)) return false;
  if (item.done) post_([done = std::move(item.done), complete] { done(complete); });
  return true;
}

// Before anything is sent: whoever runs it may end before this worker counts. What is counted twice keeps a graph until
// it expires; what is not counted could lose it.
bool Outbox::hold_graphs(std::vector<Item>& batch) {
  std::vector<broker::GraphUse> uses;
  for (const auto& item : batch) {
    if (item.graph && item.graph->added > 0) uses.push_back({item.graph->graph_id, item.graph->added, 0});
  }
  const auto hold = [this](const auto& left) {
    std::vector<Result<void>> outcomes;
    outcomes.reserve(left.size());
    for (const auto& use : left) outcomes.push_back(broker_.use_graph(use, Deadline::after(kCallBudget)));
    return outcomes;
  };
  return until_done(std::move(uses), hold, "hold a workflow's graph");
}

bool Outbox::release_graph(Item& item) {
  if (!item.graph || item.graph->ended == 0) return true;
  const auto release = [this](const auto& left) {
    std::vector<Result<void>> outcomes;
    for (const auto& use : left) {
      auto outcome = broker_.use_graph(use, Deadline::after(kCallBudget));
      // Not twice: another one's hold would end with it.
      const bool is_uncertain = !outcome && outcome.error().code == Errc::uncertain;
      outcomes.push_back(is_uncertain ? Result<void>() : std::move(outcome));
    }
    return outcomes;
  };
  return until_done(std::vector{broker::GraphUse{item.graph->graph_id, 0, item.graph->ended}}, release,
                    "release a workflow's graph");
}

bool Outbox::read_graph(const std::string& graph_id, std::uint64_t page, Result<std::string>& text) {
  const auto read = [&](const auto& /*left*/) {
    text = broker_.graph_page(graph_id, page, Deadline::after(kCallBudget));
    const bool again = !text && try_again(text.error().code);
    return std::vector<Result<void>>{again ? Result<void>(tl::unexpected(text.error())) : Result<void>()};
  };
  return until_done(std::vector{graph_id}, read, "read a workflow's graph");
}

bool Outbox::read_all_parts(const std::string& group_id, std::vector<std::string>& parts) {
  std::string next;  // read on from here after a failure
  const auto read_chunk = [&](const auto& /*left*/) {
    std::vector<Result<void>> outcomes;
    do {
      auto chunk = backend_->chord_parts(group_id, next, kPartsAtOnce, Deadline::after(kCallBudget));
      if (!chunk) {
        outcomes.emplace_back(tl::unexpected(chunk.error()));
        return outcomes;
      }
      std::move(chunk->texts.begin(), chunk->texts.end(), std::back_inserter(parts));
      next = std::move(chunk->next);
    } while (!next.empty());
    outcomes.emplace_back();
    return outcomes;
  };
  return backend_ == nullptr || until_done(std::vector{group_id}, read_chunk, "read the parts of a chord");
}

// Each alone becomes a dead letter, and what its failure brings is carried out behind it.
bool Outbox::bury(std::vector<Item>& batch, const std::vector<wire::TaskMessage>& unroutable) {
  std::vector<broker::BuriedMessage> buried;
  std::vector<Item> following;
  for (const auto& message : unroutable) {
    broker::Settlement instead;
    instead.dead_letter = {.task_id = message.id, .task = message.task, .reason = "unroutable", .detail = {}};
    for (auto& item : batch) {
      const auto found = std::ranges::find(item.undeliverable, message.id, [](const auto& each) -> const std::string& {
        return each.instead.dead_letter.task_id;
      });
      if (found != item.undeliverable.end()) instead = found->instead;
    }
    log::error(fmt::format("Task {}[{}] cannot be sent and is moved to the dead letters: {}", printable(message.task),
                           printable(message.id), printable(instead.dead_letter.detail)));
    buried.push_back({message, instead.dead_letter});
    following.push_back(Item::of(instead));
  }
  const auto put_away = [this](const auto& left) {
    return std::vector(left.size(), broker_.bury(left, Deadline::after(kCallBudget)));
  };
  return until_done(std::move(buried), put_away, "store a dead letter") && carry_out(following);
}

template <class T, class Attempt>
bool Outbox::until_done(std::vector<T> left, Attempt attempt, const char* what, std::vector<T>* refused) {
  constexpr Backoff kBackoff{.base = milliseconds(100), .cap = milliseconds(5'000)};
  for (unsigned tries = 0; !left.empty(); ++tries) {
    const auto outcomes = attempt(left);
    std::vector<T> again;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (outcomes[i]) continue;
      const Failure& failure = outcomes[i].error();
      if (try_again(failure.code)) {
        if (again.empty() && tries % 10 == 0)
          log::warning(fmt::format("Cannot {}: {}: trying again", what, failure.message));
        again.push_back(std::move(left[i]));
      } else if (refused != nullptr && failure.code == Errc::not_found) {
        refused->push_back(std::move(left[i]));
      } else {
        log::critical(fmt::format("Cannot {}: {}: given up", what, failure.message));
      }
    }
    left = std::move(again);
    if (!left.empty() && stopped_after(kBackoff.jittered(tries, random_u64()))) return false;
  }
  return true;
}

bool Outbox::stopped_after(milliseconds pause) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, pause, [this] { return stopping_; });
}

}  // namespace lovage::worker
