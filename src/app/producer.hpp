// From a call to messages in the broker. Celery: app/amqp.py, as_task_v2.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <lovage/signature.hpp>

#include "app/core.hpp"
#include "app/routing.hpp"
#include "base/clock.hpp"
#include "broker/broker.hpp"
#include "wire/body.hpp"
#include "wire/signature.hpp"
#include "wire/task_message.hpp"

namespace lovage::app {

// The workflow that a message belongs to: the ids of its first task and of the one that sent it.
struct Lineage {
  std::string root_id;  // empty: the message's own id
  std::optional<std::string> parent_id;
  std::string graph_id = {};  // where it is stored, when messages refer to it; empty: nowhere
};
// That of the task which this thread is running; empty outside tasks.
Lineage current_lineage();

class CallOptions;
// Where a call with these options goes: they win over the task's own, and those over the routes. Throws ConfigError.
Destination destination_of(const Core& core, const std::string& task, const CallOptions& options);

// A call to be sent, borrowed from a signature: the program's or one that travels.
struct Call {
  const std::string& task;
  const Array& args;
  const Object& kwargs;
  const Object& options;
};
Call call_of(const Signature& signature);
Call call_of(const wire::SignatureData& signature);

struct Prepared {
  wire::TaskMessage message;
  std::optional<wire::QueueDeclaration> queue;  // to be declared before the first message to it
};

// Builds the message of a call, without I/O: options, the task's defaults, route and settings. Callbacks
// that a worker sends are built by it too, so what comes from the wire is checked: throws TypeError
// ("option 'queue' must be str, not int"), EncodeError, ConfigError.
Prepared prepare(const Core& core, const Call& call, const Lineage& lineage);

// When a body is compressed unasked and when it is too large, by the settings: for whoever encodes one.
void set_size_rules(wire::BodyFormat& format, const Config& config);

// Messages that leave together, and the queues to be declared before them.
struct Outgoing {
  std::vector<wire::TaskMessage> messages;
  std::vector<wire::QueueDeclaration> queues;
  // As prepare(), and returns the message. Nothing is added when it throws.
  const wire::TaskMessage& add(const Core& core, const Call& call, const Lineage& lineage);
};

// Sends messages while those after them are being made. They stay in their place: reserve it.
class Sending {
 public:
  Sending(Core& core, const detail::SendOptions& options);
  // What `outgoing` has got since the last time. Its timeout runs from the first.
  void send(const Outgoing& outgoing);
  // One outcome per message. Tries again while the broker is away, by task_publish_retry_policy, and never takes longer
  // than its timeout.
  std::vector<Result<void>> finish(const Outgoing& outgoing);

 private:
  Core& core_;
  const detail::SendOptions options_;
  Deadline deadline_ = Deadline::never();
  std::unique_ptr<broker::Publishing> publishing_;
  std::optional<Failure> refused_;  // why nothing is sent any more
};

// The same in one go.
std::vector<Result<void>> publish(Core& core, const Outgoing& outgoing, const detail::SendOptions& options);

wire::SignatureData to_data(const Signature& signature);

}  // namespace lovage::app
