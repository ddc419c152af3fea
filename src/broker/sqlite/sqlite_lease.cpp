#include "broker/sqlite/sqlite_lease.hpp"

#include <utility>

#include "base/logging.hpp"

namespace lovage::broker::sqlite {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kExpireAtOnce = 256;
constexpr std::int64_t kChordsAtOnce = 4;  // each with its parts
constexpr auto kCleaningTime = 200ms;      // a tick; the gate is free between the steps

}  // namespace

SqliteLease::SqliteLease(std::shared_ptr<StoreAccess> access, IncarnationId incarnation,
                         std::chrono::milliseconds lease, std::shared_ptr<const std::atomic<bool>> registered)
    : access_(std::move(access)),
      incarnation_(std::move(incarnation)),
      lease_(lease),
      registered_(std::move(registered)),
      observer_(access_->clock(), lease) {}

Result<Lease::Renewal> SqliteLease::renew(Deadline deadline) {
  if (!registered_->load()) return Renewal::renewed;
  auto store = access_->acquire(deadline);
  if (!store) return tl::unexpected(store.error());
  auto transaction = (*store)->db().begin(deadline, client::CommitSurvives::process_death);
  if (!transaction) return tl::unexpected(transaction.error());
  auto renewed = (*store)->renew(incarnation_);
  if (!renewed) return tl::unexpected(renewed.error());
  if (!*renewed) return Renewal::lost;
  if (auto done = transaction->commit(client::CommitWakes::nobody); !done) return tl::unexpected(done.error());
  return Renewal::renewed;
}

Result<std::vector<Lease::Swept>> SqliteLease::sweep(Deadline deadline) {
  auto store = access_->acquire(deadline);
  auto swept = store ? sweep_dead(**store, deadline) : Result<std::vector<Swept>>(tl::unexpected(store.error()));
  if (!swept) observer_.start_again();
  return swept;
}

Result<std::vector<Lease::Swept>> SqliteLease::sweep_dead(Store& store, Deadline deadline) {
  const Monotonic asked = access_->clock().monotonic();
  std::vector<Swept> swept;
  {
    auto transaction = store.db().begin(deadline, client::CommitSurvives::process_death);
    if (!transaction) return tl::unexpected(transaction.error());
    auto other = store.is_other_sweeper(incarnation_, lease_);
    if (!other) return tl::unexpected(other.error());
    if (*other) {
      observer_.start_again();
      return swept;
    }
    if (auto ours = store.become_sweeper(incarnation_, lease_); !ours) return tl::unexpected(ours.error());
    auto snapshot = store.lease_snapshot();
    if (!snapshot) return tl::unexpected(snapshot.error());
    snapshot->server_run = store.db().identity();
    for (const auto& dead : observer_.answered(asked, *snapshot)) {
      auto returned = store.sweep(dead);
      if (!returned) return tl::unexpected(returned.error());
      if (*returned) swept.push_back(std::move(**returned));
    }
    const auto wakes = swept.empty() ? client::CommitWakes::nobody : client::CommitWakes::everybody;
    if (auto done = transaction->commit(wakes); !done) return tl::unexpected(done.error());
  }
  // What was swept has to be told, so trouble with tidying up goes to the log alone.
  if (auto cleaned = clean(store, deadline); !cleaned) log::warning(cleaned.error().message);
  return swept;
}

Result<void> SqliteLease::clean(Store& store, Deadline deadline) {
  const Deadline enough = Deadline::after(kCleaningTime).or_earlier(deadline);
  for (bool more = true; more && !enough.passed();) {
    auto transaction = store.db().begin(deadline, client::CommitSurvives::process_death);
    if (!transaction) return tl::unexpected(transaction.error());
    auto results = store.expire_results(kExpireAtOnce);
    if (!results) return tl::unexpected(results.error());
    auto chords = store.expire_chords(kChordsAtOnce);
    if (!chords) return tl::unexpected(chords.error());
    auto groups = store.expire_groups(kExpireAtOnce);
    if (!groups) return tl::unexpected(groups.error());
    auto graphs = store.expire_graphs(kChordsAtOnce);
    if (!graphs) return tl::unexpected(graphs.error());
    more =
        *results == kExpireAtOnce || *chords == kChordsAtOnce || *groups == kExpireAtOnce || *graphs == kChordsAtOnce;
    if (auto vacuumed = store.vacuum(); !vacuumed) return vacuumed;
    if (auto done = transaction->commit(client::CommitWakes::nobody); !done) return done;
  }
  return {};
}

}  // namespace lovage::broker::sqlite
