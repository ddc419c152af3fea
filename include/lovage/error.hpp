// Every exception that Lovage throws at its callers. All derive from lovage::Error, but for the three
// signals that task code throws to steer its own fate (Retry, Ignore, Reject: see context.hpp).
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <lovage/value.hpp>

namespace lovage {

// Base of all errors of the library.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A setting, option, URL or name that cannot be used. Programs exit with 2 on it.
// Celery: ImproperlyConfigured.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// The broker or the result backend could not be reached, or refused the work, within the deadline.
// Nothing was sent or stored. kombu: OperationalError.
class ConnectionError : public Error {
 public:
  using Error::Error;
};

// A message was written but the broker's answer was lost: it may have been stored or not. Sending
// again with the same task id is safe for tasks that may run twice.
class SendUncertain : public ConnectionError {
 public:
  SendUncertain(const std::string& what, std::string task_id) : ConnectionError(what), task_id_(std::move(task_id)) {}
  [[nodiscard]] const std::string& task_id() const noexcept { return task_id_; }

 private:
  std::string task_id_;
};

// A wait ended before its result was ready. Celery: TimeoutError.
class Timeout : public Error {
 public:
  using Error::Error;
};

// A value or message that cannot be written in the chosen form. kombu: EncodeError.
class EncodeError : public Error {
 public:
  using Error::Error;
};

// A message, custom state or retry that is larger than task_message_max_bytes allows: nothing was sent. (A task whose
// result is too large fails with an EncodeError.)
class MessageTooLarge : public EncodeError {
 public:
  using EncodeError::EncodeError;
};

// Bytes that are not what they should be. kombu: DecodeError.
class DecodeError : public Error {
 public:
  using Error::Error;
};

// A value of the wrong type for a parameter or a result. Python: TypeError.
class TypeError : public Error {
 public:
  using Error::Error;
};

// A task name that this app does not know. Celery: NotRegistered.
class NotRegistered : public Error {
 public:
  using Error::Error;
};

// A task ran longer than its soft time limit: thrown inside the task by Context's checks.
// Celery: SoftTimeLimitExceeded.
class SoftTimeLimitExceeded : public Error {
 public:
  SoftTimeLimitExceeded() : Error("SoftTimeLimitExceeded()") {}
};

// self.retry() was called more often than max_retries allows. Celery: MaxRetriesExceededError.
class MaxRetriesExceeded : public Error {
 public:
  using Error::Error;
};

// AsyncResult::get() of a task that failed. Carries what the worker stored.
//
// A task that throws it fails under that name itself: so the failure of a task that it waited for is passed on
// unchanged, and so a task fails with an exception of any Python name, which a Python caller catches as such:
//
//   throw lovage::TaskFailed("no such user",
//                            {.type = "KeyError", .module = "builtins", .arguments = lovage::Array{"ann"}});
//
// Without a type it is a plain Exception, without arguments its argument is the text.
class TaskFailed : public Error {
 public:
  struct Details {
    std::string state = {};      // FAILURE or REVOKED
    std::string type = {};       // "ValueError", "std::runtime_error", ...
    std::string module = {};     // "builtins", "cpp", ...
    Value arguments = {};        // the exception's arguments, an array
    std::string message = {};    // the arguments as one line of text
    std::string traceback = {};  // as stored; may be empty
  };
  TaskFailed(const std::string& what, Details details) : Error(what), details_(std::move(details)) {}
  [[nodiscard]] const std::string& type() const noexcept { return details_.type; }
  [[nodiscard]] const std::string& message() const noexcept { return details_.message; }
  [[nodiscard]] const std::string& traceback() const noexcept { return details_.traceback; }
  [[nodiscard]] const Details& details() const noexcept { return details_; }

 private:
  Details details_;
};

// AsyncResult::get() of a task that was revoked or expired. Celery: TaskRevokedError.
class TaskRevoked : public TaskFailed {
 public:
  using TaskFailed::TaskFailed;
};

}  // namespace lovage
