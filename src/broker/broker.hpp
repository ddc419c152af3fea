// A broker: where messages wait. Small on purpose; each engine is a folder beside this file and passes
// tests/contract.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/consumer.hpp"
#include "broker/graph.hpp"
#include "broker/survey.hpp"
#include "wire/control_message.hpp"
#include "wire/queues.hpp"
#include "wire/task_message.hpp"

namespace lovage::net {
class Loop;
}

namespace lovage::broker {

// An incarnation's two halves: the consumer lives on the loop, the lease on a thread of its own.
struct ConsumerPair {
  std::unique_ptr<Consumer> consumer;
  std::unique_ptr<Lease> lease;
};

struct QueueInfo {
  std::string name;
  std::uint64_t ready = 0;
  std::uint64_t scheduled = 0;
  std::uint64_t reserved = 0;
};

struct WorkerInfo {
  IncarnationId incarnation;
  std::string node_name;
  std::uint64_t counter = 0;  // rises with each renewal: a worker whose counter stands still is gone
  std::uint64_t reserved = 0;
  std::optional<std::vector<std::string>> queues = {};  // that it takes from, sorted, where the engine knows
};

struct DeadLetterEntry {
  std::string key;  // unique within the store, ascending in time
  DeadLetter letter;
  std::string queue;
  int step = 0;
  Timestamp died;
  std::string bytes;  // the message as it was
};

// What a look at the server has found.
struct ServerReport {
  std::vector<std::string> warnings = {};
  // Not empty: the server will lose messages, and this says how and what to do. No worker starts on it.
  std::string refusal = {};
};

// Messages that leave while those after them are being made. One thread.
class Publishing {
 public:
  virtual ~Publishing() = default;
  // All messages so far: those of the call before and what came behind them. They stay in their place until finish()
  // has returned.
  virtual void send(std::span<const wire::TaskMessage> messages) = 0;
  // One outcome per message, in order. Once, and last.
  virtual std::vector<Result<void>> finish() = 0;
};

// Thread-safe; may be used after fork() in the child, which makes connections of its own. Every call
// returns by its deadline.
class Broker {
 public:
  virtual ~Broker() = default;

  // Sends messages in pipelined chunks; one outcome per message, in order. An unroutable message
  // (an exchange without a binding for its key) is refused with not_found.
  virtual std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages, Deadline deadline) = 0;
  // The same bit by bit. Where nothing is won by it, all are sent at the end.
  virtual std::unique_ptr<Publishing> start_publishing(Deadline deadline);

  // Sends a message to everybody who listens to a fanout exchange at this moment; that may be nobody. An engine
  // without remote control refuses it as misconfigured.
  virtual Result<void> broadcast(const wire::BroadcastMessage& message, Deadline deadline) = 0;

  // Graphs of workflows. One that nobody has used for 30 days is lost: its messages are.
  // Before the first message that refers to it.
  virtual Result<void> store_graph(const Graph& graph, Deadline deadline) = 0;
  // Fails with not_found for a graph or page that is not there (any more).
  virtual Result<std::string> graph_page(const std::string& graph_id, std::uint64_t page, Deadline deadline) = 0;
  // Outside of settlements: for workers whose settlements are no one step.
  virtual Result<void> use_graph(const GraphUse& use, Deadline deadline) = 0;

  // Makes queues and their bindings known, as kombu's declare does.
  virtual Result<void> declare(std::span<const wire::QueueDeclaration> queues, Deadline deadline) = 0;

  // Reaches the server and checks its version and settings.
  virtual Result<ServerReport> check(Deadline deadline) = 0;

  virtual ConsumerPair make_consumer(net::Loop& loop, ConsumerOptions options) = 0;

  // Management: chunked where long, on connections of their own.
  // `names` empty: every queue that the store knows, by a declaration or by what it holds, sorted by name. A name that
  // the store does not know comes back with zeros.
  // A queue's numbers are of one moment: a message that moves meanwhile is in exactly one of them.
  virtual Result<std::vector<QueueInfo>> queues(std::span<const std::string> names, Deadline deadline) = 0;
  virtual Result<std::uint64_t> purge(const std::string& queue, Deadline deadline) = 0;  // waiting messages only
  virtual Result<std::vector<WorkerInfo>> workers(Deadline deadline) = 0;
  virtual Result<std::vector<DeadLetterEntry>> dead_letters(std::size_t limit, Deadline deadline) = 0;
  // Looks a dead letter up by its key or its task id.
  virtual Result<std::optional<DeadLetterEntry>> dead_letter(const std::string& key_or_id, Deadline deadline) = 0;
  // Sends `message` to its queue and removes the letter, in one step.
  virtual Result<void> retry_dead_letter(const std::string& key, const wire::TaskMessage& message,
                                         Deadline deadline) = 0;
  // Stores messages as dead letters, all or none: for workers whose settlements are no one step.
  virtual Result<void> bury(std::span<const BuriedMessage> messages, Deadline deadline) = 0;
  virtual Result<std::uint64_t> purge_dead_letters(std::optional<std::string> key, Deadline deadline) = 0;

  // Shows every message to `visit`, chunk by chunk, in the order of their way: queues, inboxes, reservations,
  // schedules, dead letters, continuations without a worker. Of a store at work it is no picture of one moment: a
  // message that moves meanwhile may be seen twice, and one that goes back may be missed, so ask again before you say
  // so. Each request is answered within `patience`.
  virtual Result<void> survey(const SurveyVisit& visit, std::chrono::milliseconds patience) = 0;

  // For processes without a worker. The sweeping half of a lease: sweep() alone may be called, a third of `lease`
  // apart.
  virtual std::unique_ptr<Lease> make_sweeper(std::chrono::milliseconds lease) = 0;
  // Moves scheduled messages to their queues, as workers do with what is due; how many.
  enum class Scheduled { due, all };
  virtual Result<std::uint64_t> release(Scheduled which, Deadline deadline) = 0;

  // Names the store that holds the data (server run id, file identity): two engines with one identity
  // settle atomically.
  virtual Result<std::string> identity(Deadline deadline) = 0;

  // Whether settlements can store results in their own step, tried at the server in the way of a settlement. Asked
  // where identities agree. "refused" and "misconfigured" say why not; another failure, that it could not be found out.
  virtual Result<void> probe_results(Deadline deadline) {
    static_cast<void>(deadline);
    return {};
  }

  // "redis://host:6379/0", passwords hidden.
  [[nodiscard]] virtual std::string display_url() const = 0;
};

}  // namespace lovage::broker
