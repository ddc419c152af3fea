#include "broker/sqlite/sqlite_broker.hpp"

#include <algorithm>
#include <utility>

#include "base/uuid.hpp"
#include "broker/dead_letters.hpp"
#include "broker/sqlite/sqlite_consumer.hpp"
#include "broker/sqlite/sqlite_lease.hpp"

namespace lovage::broker::sqlite {
namespace {

using namespace std::chrono_literals;

// The bounds of one transaction: others wait for the gate meanwhile.
constexpr std::size_t kMessagesAtOnce = 256;
constexpr auto kTimeAtOnce = 20ms;
constexpr std::int64_t kPurgeAtOnce = 1'000;

class SqliteBroker final : public Broker {
 public:
  explicit SqliteBroker(std::shared_ptr<StoreAccess> access) : access_(std::move(access)) {}

  std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages, Deadline deadline) override {
    std::vector<Result<void>> outcomes;
    outcomes.reserve(messages.size());
    while (outcomes.size() < messages.size()) {
      const auto rest = messages.subspan(outcomes.size());
      auto chunk = publish_chunk(rest, deadline);
      if (chunk) {
        outcomes.insert(outcomes.end(), chunk->begin(), chunk->end());
      } else {
        // The chunk was rolled back; what follows would meet the same trouble.
        outcomes.insert(outcomes.end(), rest.size(), tl::unexpected(chunk.error()));
      }
    }
    return outcomes;
  }

  Result<void> broadcast(const wire::BroadcastMessage&, Deadline) override {
    return fail(Errc::misconfigured, access_->display_url() + " has no remote control yet: it takes a redis:// broker");
  }

  Result<void> declare(std::span<const wire::QueueDeclaration> queues, Deadline deadline) override {
    return write<void>(deadline, client::CommitWakes::nobody, [&](Store& store) -> Result<void> {
      for (const auto& queue : queues) {
        if (auto done = store.declare(queue); !done) return done;
      }
      return {};
    });
  }

  Result<ServerReport> check(Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    ServerReport report;
    if (auto note = access_->durability_note(); !note.empty()) report.warnings.push_back(std::move(note));
    auto dead = (*store)->count_dead_letters();
    if (!dead) return tl::unexpected(dead.error());
    warn_of_dead_letters(*dead, report.warnings);
    return report;
  }

  ConsumerPair make_consumer(net::Loop& loop, ConsumerOptions options) override {
    auto [consumer, lease] = make_sqlite_consumer(access_, loop, std::move(options));
    return {std::move(consumer), std::move(lease)};
  }

  Result<std::vector<QueueInfo>> queues(std::span<const std::string> names, Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    std::vector<std::string> wanted(names.begin(), names.end());
    if (wanted.empty()) {
      auto known = (*store)->queue_names();
      if (!known) return tl::unexpected(known.error());
      wanted = std::move(*known);
    }
    std::vector<QueueInfo> infos;
    for (const auto& name : wanted) {
      auto info = (*store)->queue(name);
      if (!info) return tl::unexpected(info.error());
      infos.push_back(std::move(*info));
    }
    return infos;
  }

  Result<std::uint64_t> purge(const std::string& queue, Deadline deadline) override {
    std::uint64_t purged = 0;
    for (;;) {
      auto removed = write<std::int64_t>(deadline, client::CommitWakes::nobody,
                                         [&](Store& store) { return store.purge(queue, kPurgeAtOnce); });
      if (!removed) return tl::unexpected(removed.error());
      purged += static_cast<std::uint64_t>(*removed);
      if (*removed < kPurgeAtOnce) return purged;
    }
  }

  Result<std::vector<WorkerInfo>> workers(Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->workers();
  }

  Result<std::vector<DeadLetterEntry>> dead_letters(std::size_t limit, Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->dead_letters(limit);
  }

  Result<std::optional<DeadLetterEntry>> dead_letter(const std::string& key_or_id, Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->dead_letter(key_or_id);
  }

  Result<void> retry_dead_letter(const std::string& key, const wire::TaskMessage& message, Deadline deadline) override {
    return write<void>(deadline, client::CommitWakes::everybody, [&](Store& store) -> Result<void> {
      auto removed = store.remove_dead_letters(key);
      if (!removed) return tl::unexpected(removed.error());
      if (*removed == 0) return fail(Errc::not_found, "no dead letter '" + key + "'");
      return store.publish(message);
    });
  }

  Result<void> store_graph(const Graph& graph, Deadline deadline) override {
    return write<void>(deadline, client::CommitWakes::nobody, [&](Store& store) { return store.store_graph(graph); });
  }

  Result<std::string> graph_page(const std::string& graph_id, std::uint64_t page, Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->graph_page(graph_id, page);
  }

  Result<void> use_graph(const GraphUse& use, Deadline deadline) override {
    return write<void>(deadline, client::CommitWakes::nobody, [&](Store& store) { return store.use_graph(use); });
  }

  Result<void> bury(std::span<const BuriedMessage> messages, Deadline deadline) override {
    return write<void>(deadline, client::CommitWakes::nobody, [&](Store& store) -> Result<void> {
      for (const auto& message : messages) {
        if (auto done = store.bury(message); !done) return done;
      }
      return {};
    });
  }

  Result<std::uint64_t> purge_dead_letters(std::optional<std::string> key, Deadline deadline) override {
    auto removed = write<std::int64_t>(deadline, client::CommitWakes::nobody,
                                       [&](Store& store) { return store.remove_dead_letters(key); });
    if (!removed) return tl::unexpected(removed.error());
    return static_cast<std::uint64_t>(*removed);
  }

  std::unique_ptr<Lease> make_sweeper(std::chrono::milliseconds lease) override {
    return std::make_unique<SqliteLease>(access_, IncarnationId(new_uuid()), lease,
                                         std::make_shared<const std::atomic<bool>>(true));
  }

  Result<std::uint64_t> release(Scheduled which, Deadline deadline) override {
    const Timestamp due = which == Scheduled::due ? access_->clock().now() : Timestamp::max();
    std::uint64_t sum = 0;
    for (;;) {
      auto store = access_->acquire(deadline);
      if (!store) return tl::unexpected(store.error());
      auto transaction = (*store)->db().begin(deadline);
      if (!transaction) return tl::unexpected(transaction.error());
      const auto moved = (*store)->release(due, kMessagesAtOnce);
      if (!moved) return tl::unexpected(moved.error());
      // Asked often, and mostly nothing is due: then nobody is woken.
      const auto wakes = *moved > 0 ? client::CommitWakes::everybody : client::CommitWakes::nobody;
      if (auto done = transaction->commit(wakes); !done) return tl::unexpected(done.error());
      sum += static_cast<std::uint64_t>(*moved);
      if (*moved < static_cast<std::int64_t>(kMessagesAtOnce)) return sum;
    }
  }

  Result<void> survey(const SurveyVisit& visit, std::chrono::milliseconds patience) override {
    Store::SurveyCursor at;
    std::vector<Sighting> page;
    do {
      page.clear();
      {
        auto store = access_->acquire(Deadline::after(patience));
        if (!store) return tl::unexpected(store.error());
        auto more = (*store)->survey(at, page);
        if (!more) return tl::unexpected(more.error());
      }
      for (auto& sighting : page) visit(std::move(sighting));
    } while (!page.empty());
    return {};
  }

  Result<std::string> identity(Deadline deadline) override { return access_->identity(deadline); }
  [[nodiscard]] std::string display_url() const override { return access_->display_url(); }

 private:
  // One transaction around `change`.
  template <class T, class Change>
  Result<T> write(Deadline deadline, client::CommitWakes wakes, const Change& change) {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    auto transaction = (*store)->db().begin(deadline);
    if (!transaction) return tl::unexpected(transaction.error());
    Result<T> changed = change(**store);
    if (!changed) return changed;
    if (auto done = transaction->commit(wakes); !done) return tl::unexpected(done.error());
    return changed;
  }

  // An outcome for each of the first messages, at least one; an error when nothing was sent.
  Result<std::vector<Result<void>>> publish_chunk(std::span<const wire::TaskMessage> messages, Deadline deadline) {
    const auto chunk = messages.first(std::min(messages.size(), kMessagesAtOnce));
    std::vector<std::string> envelopes;  // made before the gate is entered
    envelopes.reserve(chunk.size());
    for (const auto& message : chunk) envelopes.push_back(wire::encode_envelope(message));
    return write<std::vector<Result<void>>>(deadline, client::CommitWakes::everybody,
                                            [&](Store& store) -> Result<std::vector<Result<void>>> {
                                              const Deadline enough = Deadline::after(kTimeAtOnce);
                                              std::vector<Result<void>> outcomes;
                                              for (std::size_t i = 0; i < chunk.size(); ++i) {
                                                auto sent = store.publish(chunk[i], envelopes[i]);
                                                if (!sent && sent.error().code != Errc::not_found)
                                                  return tl::unexpected(sent.error());
                                                outcomes.push_back(std::move(sent));
                                                if (enough.passed()) break;
                                              }
                                              return outcomes;
                                            });
  }

  const std::shared_ptr<StoreAccess> access_;
};

}  // namespace

std::shared_ptr<Broker> make_sqlite_broker(std::shared_ptr<StoreAccess> access) {
  return std::make_shared<SqliteBroker>(std::move(access));
}

}  // namespace lovage::broker::sqlite
