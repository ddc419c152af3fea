// Stores results and sends messages outside the broker's fenced step, on a thread of its own: for a backend
// that is another engine than the broker, and for messages that were acknowledged early.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backend/backend.hpp"
#include "base/unique_function.hpp"
#include "broker/broker.hpp"
#include "broker/settlement.hpp"

namespace lovage::worker {

class Outbox {
 public:
  struct Item {
    std::vector<broker::StoreResult> results;                      // stored first
    std::vector<broker::ChordStart> chords;                        // then started
    std::vector<wire::QueueDeclaration> declares;                  // then made known
    std::optional<broker::GraphUse> graph;                         // then its new holders counted (the others at last)
    std::vector<wire::TaskMessage> sends;                          // then sent,
    std::vector<broker::Settlement::Undeliverable> undeliverable;  // or this, where no queue takes one
    std::optional<broker::ChordCount> counts;                      // then counted (before, when it adds to its chord)
    std::optional<broker::ChordEnd> ended_chord;                   // then removed
    UniqueFunction<void(bool complete)> done;  // then called, through `post`; `complete`: those were the last parts

    // The effects of a settlement but its disposal, which are taken out of it.
    static Item of(broker::Settlement& settlement);
  };
  using Post = std::function<void(UniqueFunction<void()>)>;

  // `backend` may be nullptr when no item has results. `post` hands a function to the loop thread.
  Outbox(broker::Broker& broker, backend::Backend* backend, Post post);
  // Gives up what is not done yet (the broker still holds its messages) after the call at hand.
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Any thread. The caller bounds how many items are under way. Items are carried out in their order.
  void push(Item item);
  // Any thread: all parts of a chord, in the order of its header. `done` is called through `post`.
  void read_parts(std::string group_id, UniqueFunction<void(std::vector<std::string> parts)> done);
  // Any thread: a page of a stored graph; not_found when it is gone. `done` is called through `post`.
  void read_page(std::string graph_id, std::uint64_t page, UniqueFunction<void(Result<std::string> text)> done);

 private:
  void run();
  bool carry_out(std::vector<Item>& batch);                                           // false: stopped meanwhile
  bool count(Item& item, bool& complete);                                             // the same
  bool finish(Item& item);                                                            // the same
  bool hold_graphs(std::vector<Item>& batch);                                         // the same
  bool release_graph(Item& item);                                                     // the same
  bool read_all_parts(const std::string& group_id, std::vector<std::string>& parts);  // the same
  bool read_graph(const std::string& graph_id, std::uint64_t page, Result<std::string>& text);  // the same
  bool bury(std::vector<Item>& batch, const std::vector<wire::TaskMessage>& unroutable);
  // Calls `attempt` with what is left until it leaves nothing, with back-off; false: stopped meanwhile.
  // What cannot be done at all goes to `refused` where it is not found, and is said to be given up else.
  template <class T, class Attempt>
  bool until_done(std::vector<T> left, Attempt attempt, const char* what, std::vector<T>* refused = nullptr);
  bool stopped_after(std::chrono::milliseconds pause);

  broker::Broker& broker_;
  backend::Backend* const backend_;
  const Post post_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Item> items_;                       // guarded by mutex_
  std::vector<UniqueFunction<bool()>> readings_;  // guarded by mutex_; false: stopped meanwhile
  bool stopping_ = false;                         // guarded by mutex_
  std::thread thread_;                            // last: starts when everything else is there
};

}  // namespace lovage::worker
