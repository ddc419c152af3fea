// What the suites of chords, of what expires with them, and of continuations have in common.
#pragma once

#include <lovage/states.hpp>

#include <fmt/format.h>

#include "contract/contract.hpp"

namespace lovage::contract {

inline broker::ChordPart part(const std::string& id, std::optional<std::int64_t> index) {
  return {index, id, fmt::format(R"([1, "{}", "SUCCESS", 1])", id)};
}

class ChordTest : public ContractTest {
 protected:
  void start(std::uint64_t size, const std::string& group = "g") {
    const auto started = store->backend()->start_chord({group, size}, patience());
    ASSERT_TRUE(started) << started.error().message;
  }
  // The token of a message that the worker has reserved now.
  Token reserve(Worker& worker, const std::string& id) {
    publish(*store->broker(), {message(id)});
    return worker.take_one().token;
  }
  // A header task that ended well.
  static broker::Settlement ended(Token token, broker::ChordPart part, const std::string& group = "g") {
    broker::Settlement settlement;
    settlement.token = token;
    settlement.results.push_back(success(part.task_id));
    settlement.counts =
        broker::ChordCount{.group_id = group, .parts = {std::move(part)}, .continuation = "join " + group};
    return settlement;
  }
  broker::SettleStatus end(Worker& worker, broker::ChordPart part, const std::string& group = "g") {
    const Token token = reserve(worker, part.task_id);
    return worker.settle(ended(token, std::move(part), group));
  }
  static broker::Settlement joined(Token token, std::vector<std::string> task_ids, const std::string& group = "g") {
    broker::Settlement settlement;
    settlement.token = token;
    settlement.ended_chord = broker::ChordEnd{group, std::move(task_ids)};
    return settlement;
  }
  static broker::StoreResult success(const std::string& id) {
    return {id, std::string(states::success), fmt::format(R"({{"status": "SUCCESS", "task_id": "{}"}})", id)};
  }
  // Read in pages of so many.
  std::vector<std::string> parts(const std::string& group = "g", std::size_t most = 1'000) {
    std::vector<std::string> texts;
    std::string next;
    do {
      auto page = store->backend()->chord_parts(group, next, most, patience());
      if (!page) throw std::runtime_error(page.error().message);
      if (page->texts.size() > most) throw std::runtime_error("a page of more parts than asked for");
      texts.insert(texts.end(), page->texts.begin(), page->texts.end());
      next = page->next;
    } while (!next.empty());
    return texts;
  }
  bool has_result(const std::string& id) { return store->backend()->get(id, patience()).value().has_value(); }
  broker::QueueInfo info(const std::string& queue = "q") {
    return store->broker()->queues(std::vector<std::string>{queue}, patience()).value().front();
  }
  std::vector<broker::Sighting> survey() {
    std::vector<broker::Sighting> seen;
    auto done = store->broker()->survey([&](broker::Sighting one) { seen.push_back(std::move(one)); }, kPatience);
    if (!done) throw std::runtime_error(done.error().message);
    return seen;
  }
};

}  // namespace lovage::contract
