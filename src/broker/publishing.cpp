// Broker::start_publishing for engines that send all messages at once.
#include "broker/broker.hpp"

namespace lovage::broker {
namespace {

class AtOnce final : public Publishing {
 public:
  AtOnce(Broker& broker, Deadline deadline) : broker_(broker), deadline_(deadline) {}

  void send(std::span<const wire::TaskMessage> messages) override { messages_ = messages; }
  std::vector<Result<void>> finish() override { return broker_.publish(messages_, deadline_); }

 private:
  Broker& broker_;
  const Deadline deadline_;
  std::span<const wire::TaskMessage> messages_;
};

}  // namespace

std::unique_ptr<Publishing> Broker::start_publishing(Deadline deadline) {
  return std::make_unique<AtOnce>(*this, deadline);
}

}  // namespace lovage::broker
