// Runs a task in the calling thread, without a broker. Celery: Task.apply and task_always_eager.
#pragma once

#include <memory>

#include <lovage/signature.hpp>

#include "app/core.hpp"

namespace lovage::app {

// The result is ready. Retries run at once, without their delay; callbacks are sent (and run at once
// themselves with task_always_eager); custom states are not stored. Throws NotRegistered, and TaskFailed
// with task_eager_propagates.
ResultHandle apply_eagerly(const std::shared_ptr<Core>& core, const Signature& call);

// Those of a chord whose body will not run, with the body's id.
void call_errbacks(const std::shared_ptr<Core>& core, const Array& errbacks, const std::string& failed_id);

}  // namespace lovage::app
