#include "worker/worker.hpp"

#include "worker/worker_process.hpp"

namespace lovage::worker {

int run(app::Core& app, const WorkerOptions& options) {
  return WorkerProcess(app, options).run();
}

}  // namespace lovage::worker
