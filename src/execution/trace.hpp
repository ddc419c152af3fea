// Runs one request on this thread: decodes its body, finds the task, calls it and writes down what came
// of it. Every pool comes here.
#pragma once

#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "app/registry.hpp"
#include "execution/request.hpp"
#include "wire/body.hpp"
#include "wire/task_message.hpp"

namespace lovage::execution {

// What tracing needs from the settings; travels to the children as it is.
struct TraceSettings {
  std::vector<std::string> accept_content;  // MIME names
  wire::JsonTypes json_types = wire::JsonTypes::celery_5_6;
  wire::DecodeLimits limits;
  bool ignore_result = false;  // task_ignore_result: when neither message nor task say
  std::string hostname;        // the worker's node name
  std::string process_name;    // "ForkPoolWorker-1"
};

// Throws ConfigError for an unknown name in accept_content or json_types.
TraceSettings trace_settings(const Config& config, std::string hostname, std::string process_name);

// Takes the custom states of the running task, on the task's thread.
class StateSink {
 public:
  virtual ~StateSink() = default;
  virtual void on_state(JobId job, std::string state, std::string meta_json) = 0;
};

Outcome trace(const TraceSettings& settings, const app::Registry& registry, const Request& request, StateSink& sink);

}  // namespace lovage::execution
