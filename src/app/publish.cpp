// Sending what is prepared: declares queues, publishes and tries again while the broker is away.
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

Sending::Sending(Core& core, const detail::SendOptions& options) : core_(core), options_(options) {}

void Sending::send(const Outgoing& outgoing) {
  if (refused_) return;
  if (publishing_ == nullptr) {
    deadline_ = Deadline::after(options_.timeout.value_or(core_.config().task_publish_timeout));
    publishing_ = core_.broker().start_publishing(deadline_);
  }
  if (const auto declared = declare_new(core_, outgoing.queues, deadline_); !declared) {
    refused_ = declared.error();
  } else {
    publishing_->send(outgoing.messages);
  }
}

std::vector<Result<void>> Sending::finish(const Outgoing& outgoing) {
  send(outgoing);
  auto outcomes = publishing_->finish();
  const Failure missing = refused_.value_or(Failure{Errc::uncertain, "the broker gave no answer"});
  outcomes.resize(outgoing.messages.size(), tl::unexpected(missing));
  const Config& config = core_.config();
  const bool retry = options_.retry.value_or(config.task_publish_retry);
  const RetryPolicy policy = options_.retry_policy.value_or(config.task_publish_retry_policy);
  for (int attempt = 0; retry && (policy.max_retries < 0 || attempt < policy.max_retries); ++attempt) {
    std::vector<std::size_t> pending;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (!outcomes[i] && is_retryable(outcomes[i].error().code)) pending.push_back(i);
    }
    const auto pause = pause_before(policy, attempt);
    if (pending.empty() || deadline_.remaining() <= pause) break;
    std::this_thread::sleep_for(pause);
    std::vector<wire::TaskMessage> batch;
    batch.reserve(pending.size());
    for (const auto i : pending) batch.push_back(outgoing.messages[i]);
    auto again = declare_and_publish(core_, outgoing.queues, batch, deadline_);
    for (std::size_t i = 0; i < pending.size(); ++i) outcomes[pending[i]] = std::move(again[i]);
  }
  return outcomes;
}

std::vector<Result<void>> publish(Core& core, const Outgoing& outgoing, const detail::SendOptions& options) {
  return Sending(core, options).finish(outgoing);
}

}  // namespace lovage::app
