#include "worker/exceptions.hpp"

#include <utility>

namespace lovage::worker {

wire::ExceptionInfo revoked_error(std::string_view reason) {
  return {.type = "TaskRevokedError", .module = "celery.exceptions", .arguments = {Value(reason)}};
}

wire::ExceptionInfo not_registered(std::string_view task) {
  return {.type = "NotRegistered", .module = "celery.exceptions", .arguments = {Value(task)}};
}

wire::ExceptionInfo time_limit_exceeded(std::chrono::milliseconds limit) {
  const auto count = limit.count();
  // Seconds, whole ones as Python's int.
  Value seconds = count % 1'000 == 0 ? Value(count / 1'000) : Value(static_cast<double>(count) / 1'000);
  return {.type = "TimeLimitExceeded", .module = "billiard.exceptions", .arguments = {std::move(seconds)}};
}

wire::ExceptionInfo worker_lost_error(std::string text) {
  return {.type = "WorkerLostError", .module = "billiard.exceptions", .arguments = {Value(std::move(text))}};
}

wire::ExceptionInfo reject_error(std::string reason) {
  return {.type = "Reject", .module = "celery.exceptions", .arguments = {Value(std::move(reason)), Value(false)}};
}

wire::ExceptionInfo encode_error(std::string text) {
  return {.type = "EncodeError", .module = "kombu.exceptions", .arguments = {Value(std::move(text))}};
}

wire::ExceptionInfo ignored_error() {
  return {.type = "Ignore", .module = "celery.exceptions", .arguments = {}};
}

wire::ExceptionInfo chord_error(std::string text) {
  return {.type = "ChordError", .module = "celery.exceptions", .arguments = {Value(std::move(text))}};
}

wire::ExceptionInfo unroutable_error(std::string text) {
  return {.type = "OperationalError", .module = "kombu.exceptions", .arguments = {Value(std::move(text))}};
}

wire::ExceptionInfo bad_message_error(std::string_view reason, std::string detail) {
  if (reason == "refused-content-type")
    return {.type = "ContentDisallowed", .module = "kombu.exceptions", .arguments = {Value(std::move(detail))}};
  return {.type = "DecodeError", .module = "kombu.exceptions", .arguments = {Value(std::move(detail))}};
}

}  // namespace lovage::worker
