// What has to be there before a worker consumes: broker and backend are reached and checked, queues are
// declared, and, with --purge, emptied. Blocking calls, on a thread of their own, so that signals are
// heard meanwhile.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backend/backend.hpp"
#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "broker/broker.hpp"

namespace lovage::worker {

class Startup {
 public:
  struct Plan {
    broker::Broker& broker;
    backend::Backend* backend;  // nullptr: no results
    std::vector<wire::QueueDeclaration> queues;
    bool purge = false;
    int max_retries = 100;  // 0: for ever
    bool retry = true;
    std::chrono::milliseconds timeout{4'000};  // of one try
    bool say_warnings = true;                  // of the broker about itself
  };
  struct Ready {
    bool one_engine = true;  // broker and backend can settle in one step
  };
  // On the startup thread, once: Ready, or why it was given up (which is in the log already).
  using Done = UniqueFunction<void(Result<Ready>)>;

  Startup(Plan plan, Done done);
  ~Startup();  // gives up after the call at hand
  Startup(const Startup&) = delete;
  Startup& operator=(const Startup&) = delete;

 private:
  void run();
  Result<Ready> reach_all();
  Result<void> reach(const std::string& url, const std::function<Result<void>()>& attempt);
  bool pause(std::chrono::seconds length);  // false: stopped meanwhile
  Result<void> check_broker();
  Result<void> prepare_queues();
  Result<bool> same_engine();

  const Plan plan_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;     // last: starts when everything else is there
};

}  // namespace lovage::worker
