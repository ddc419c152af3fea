// Waiting for results, and how they look on the terminal: for `result` and `call --wait`.
#pragma once

#include <optional>
#include <string>

#include "backend/backend.hpp"
#include "wire/result_meta.hpp"

namespace lovage::cli {

// What is stored now; PENDING when nothing is. Throws ConnectionError, DecodeError.
wire::ResultMeta current_result(backend::Backend& backend, const std::string& id);

// Waits until the task is ready. `seconds` empty: for ever. Throws Timeout, which names the state that it was left in.
wire::ResultMeta wait_for_result(backend::Backend& backend, const std::string& id, std::optional<double> seconds);

enum class ResultForm { value, raw, json };
// The value to stdout, or the error to stderr; returns the exit code.
int print_result(const wire::ResultMeta& meta, ResultForm form);

}  // namespace lovage::cli
