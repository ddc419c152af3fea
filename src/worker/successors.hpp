// What a finished task gives rise to: link callbacks, the next chain step, errbacks.
#pragma once

#include <lovage/value.hpp>

#include "app/launcher.hpp"
#include "base/result.hpp"
#include "wire/body.hpp"
#include "worker/facts.hpp"

namespace lovage::worker {

// On success: several plain callbacks become a group, as in Celery; then the next chain step, which is the last element
// of embed.chain and takes the rest along. All of it, however much it is: it is sent in bounded steps.
// `result`: nullptr where nothing is handed on.
Result<app::Launch> after_success(const Facts& facts, const app::Lineage& lineage, const wire::Embed& embed,
                                  const Value* result);

// On failure: all errbacks as one group with the failed id as their argument.
Result<app::Launch> after_failure(const Facts& facts, const app::Lineage& lineage, const Array& errbacks,
                                  const std::string& failed_id);

}  // namespace lovage::worker
