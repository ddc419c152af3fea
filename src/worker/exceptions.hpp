// The exceptions that the worker itself reports, as Python's Celery names them on the wire.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "wire/result_meta.hpp"

namespace lovage::worker {

wire::ExceptionInfo revoked_error(std::string_view reason);  // "expired", "revoked", "terminated"
wire::ExceptionInfo not_registered(std::string_view task);
wire::ExceptionInfo time_limit_exceeded(std::chrono::milliseconds limit);
wire::ExceptionInfo worker_lost_error(std::string text);
wire::ExceptionInfo reject_error(std::string reason);  // Reject without requeue
wire::ExceptionInfo encode_error(std::string text);
wire::ExceptionInfo ignored_error();  // Ignore, where a chord waits for a result
wire::ExceptionInfo chord_error(std::string text);
wire::ExceptionInfo unroutable_error(std::string text);
// Why a message went to the dead letters without having run.
wire::ExceptionInfo bad_message_error(std::string_view reason, std::string detail);

}  // namespace lovage::worker
