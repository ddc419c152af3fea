// Sending what is prepared: declares queues, publishes in one go and tries again while the broker is away.
#include <algorithm>
#include <thread>

#include "app/producer.hpp"

namespace lovage::app {
namespace {

// Declares the queues that this process has not declared yet.
Result<void> declare_new(Core& core, std::span<const Prepared> messages, Deadline deadline) {
  std::vector<wire::QueueDeclaration> fresh;
  for (const auto& prepared : messages) {
    if (!prepared.queue || core.declared_queues().contains(prepared.queue->name)) continue;
    const auto same = [&](const auto& queue) { return queue.name == prepared.queue->name; };
    if (std::ranges::none_of(fresh, same)) fresh.push_back(*prepared.queue);
  }
  if (fresh.empty()) return {};
  auto declared = core.broker().declare(fresh, deadline);
  if (!declared) {
    // Declaring twice does no harm, and no message has left yet.
    auto failure = declared.error();
    if (failure.code == Errc::uncertain) failure.code = Errc::unavailable;
    return tl::unexpected(failure);
  }
  for (auto& queue : fresh) core.declared_queues().add(std::move(queue.name));
  return {};
}

// Publishes the messages at `indices` and puts their outcomes in place.
void publish_some(Core& core, std::span<const Prepared> messages, const std::vector<std::size_t>& indices,
                  std::vector<Result<void>>& outcomes, Deadline deadline) {
  if (const auto declared = declare_new(core, messages, deadline); !declared) {
    for (const auto index : indices) outcomes[index] = tl::unexpected(declared.error());
    return;
  }
  std::vector<wire::TaskMessage> batch;
  batch.reserve(indices.size());
  for (const auto index : indices) batch.push_back(messages[index].message);
  auto results = core.broker().publish(batch, deadline);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    outcomes[indices[i]] =
        i < results.size() ? std::move(results[i]) : fail(Errc::uncertain, "the broker gave no answer");
  }
}

std::chrono::milliseconds pause_before(const RetryPolicy& policy, int attempt) {
  return std::min(policy.interval_start + policy.interval_step * attempt, policy.interval_max);
}

}  // namespace

std::vector<Result<void>> publish(Core& core, std::span<const Prepared> messages, const detail::SendOptions& options) {
  const Config& config = core.config();
  const bool retry = options.retry.value_or(config.task_publish_retry);
  const RetryPolicy policy = options.retry_policy.value_or(config.task_publish_retry_policy);
  const Deadline deadline = Deadline::after(options.timeout.value_or(config.task_publish_timeout));
  std::vector<Result<void>> outcomes(messages.size());
  std::vector<std::size_t> pending(messages.size());
  for (std::size_t i = 0; i < pending.size(); ++i) pending[i] = i;
  for (int attempt = 0;; ++attempt) {
    publish_some(core, messages, pending, outcomes, deadline);
    std::erase_if(pending, [&](std::size_t i) { return outcomes[i] || !is_retryable(outcomes[i].error().code); });
    if (pending.empty() || !retry || (policy.max_retries >= 0 && attempt >= policy.max_retries)) return outcomes;
    const auto pause = pause_before(policy, attempt);
    if (deadline.remaining() <= pause) return outcomes;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace lovage::app
