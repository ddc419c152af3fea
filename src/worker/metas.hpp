// Result metas as this worker stores them.
#pragma once

#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/settlement.hpp"
#include "execution/request.hpp"
#include "wire/result_meta.hpp"
#include "wire/task_message.hpp"
#include "worker/facts.hpp"

namespace lovage::worker {

// Fails with bad_data when the value cannot be written in the result serializer (EncodeError).
Result<broker::StoreResult> success_meta(const wire::TaskMessage& message, const execution::Outcome& outcome,
                                         const Array& children, const Facts& facts, Timestamp now);

// FAILURE, RETRY, REVOKED. Arguments that cannot be written are replaced by their repr.
broker::StoreResult exception_meta(const wire::TaskMessage& message, std::string_view state,
                                   const wire::ExceptionInfo& exception, std::string traceback, Array children,
                                   const Facts& facts, Timestamp now);

// STARTED and custom states.
Result<broker::StoreResult> state_meta(const wire::TaskMessage& message, std::string_view state, Value result,
                                       const Facts& facts);

}  // namespace lovage::worker
