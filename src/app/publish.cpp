// Sending what is prepared: declares queues, publishes in one go and tries again while the broker is away.
#include <algorithm>
#include <thread>

#include "app/producer.hpp"

namespace lovage::app {
namespace {

// Declares the queues that this process has not declared yet.
Result<void> declare_new(Core& core, std::span<const wire::QueueDeclaration> queues, Deadline deadline) {
  std::vector<wire::QueueDeclaration> fresh;
  for (const auto& queue : queues) {
    if (!core.declared_queues().contains(queue.name)) fresh.push_back(queue);
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

std::vector<Result<void>> declare_and_publish(Core& core, std::span<const wire::QueueDeclaration> queues,
                                              std::span<const wire::TaskMessage> messages, Deadline deadline) {
  if (const auto declared = declare_new(core, queues, deadline); !declared) {
    std::vector<Result<void>> refused(messages.size(), tl::unexpected(declared.error()));
    return refused;
  }
  auto outcomes = core.broker().publish(messages, deadline);
  outcomes.resize(messages.size(), fail(Errc::uncertain, "the broker gave no answer"));
  return outcomes;
}

std::chrono::milliseconds pause_before(const RetryPolicy& policy, int attempt) {
  return std::min(policy.interval_start + policy.interval_step * attempt, policy.interval_max);
}

}  // namespace

std::vector<Result<void>> publish(Core& core, const Outgoing& outgoing, const detail::SendOptions& options) {
  const Config& config = core.config();
  const bool retry = options.retry.value_or(config.task_publish_retry);
  const RetryPolicy policy = options.retry_policy.value_or(config.task_publish_retry_policy);
  const Deadline deadline = Deadline::after(options.timeout.value_or(config.task_publish_timeout));
  auto outcomes = declare_and_publish(core, outgoing.queues, outgoing.messages, deadline);
  for (int attempt = 0; retry && (policy.max_retries < 0 || attempt < policy.max_retries); ++attempt) {
    std::vector<std::size_t> pending;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (!outcomes[i] && is_retryable(outcomes[i].error().code)) pending.push_back(i);
    }
    const auto pause = pause_before(policy, attempt);
    if (pending.empty() || deadline.remaining() <= pause) break;
    std::this_thread::sleep_for(pause);
    std::vector<wire::TaskMessage> batch;
    batch.reserve(pending.size());
    for (const auto i : pending) batch.push_back(outgoing.messages[i]);
    auto again = declare_and_publish(core, outgoing.queues, batch, deadline);
    for (std::size_t i = 0; i < pending.size(); ++i) outcomes[pending[i]] = std::move(again[i]);
  }
  return outcomes;
}

}  // namespace lovage::app
