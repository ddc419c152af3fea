// The messages that a finished task gives rise to: link callbacks, the next chain step, errbacks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <lovage/value.hpp>

#include "app/producer.hpp"
#include "base/result.hpp"
#include "wire/body.hpp"
#include "wire/signature.hpp"
#include "wire/task_message.hpp"
#include "worker/facts.hpp"

namespace lovage::worker {

// What leaves with a settlement.
struct Successors {
  std::vector<wire::TaskMessage> messages;
  std::vector<wire::QueueDeclaration> queues;  // theirs, each once
  Array children;                              // result tuples, as a result's "children" lists them
};

class SuccessorBuilder {
 public:
  // `lineage`: whose successors they are.
  SuccessorBuilder(const Facts& facts, app::Lineage lineage) : facts_(facts), lineage_(std::move(lineage)) {}

  // On success: several plain callbacks become a group, as in Celery; then the next chain step, which
  // is the last element of embed.chain and takes the rest along.
  Result<Successors> after_success(const wire::Embed& embed, const Value& result);
  // On failure: all errbacks as one group with the failed id as their argument.
  Result<Successors> after_failure(const Array& errbacks, const std::string& failed_id);

 private:
  using Chain = std::optional<Array>;
  Result<void> add(const Value& signature, const Value& argument, const Chain& rest);
  Result<void> add_group(const Array& tasks, Object options, const Value& argument, const Chain& rest);
  Result<void> add_chain(Array tasks, const Object& options, const Value& argument, const Chain& rest);
  Result<void> add_task(wire::SignatureData signature, const Value& argument, const Chain& rest);
  void add_queue(wire::QueueDeclaration queue);
  Result<wire::TaskMessage> message_of(wire::SignatureData signature, const Chain& rest);

  const Facts& facts_;
  const app::Lineage lineage_;
  Successors made_;
  int depth_ = 0;
};

// Whether a signature in the embed (the chain's steps, the callbacks) needs a chord: a chord itself, or
// a group that something follows.
bool needs_chord(const wire::Embed& embed);

}  // namespace lovage::worker
