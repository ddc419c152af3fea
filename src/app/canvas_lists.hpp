// Groups where one result is wanted: a list of their members', which Celery's own task hands on.
#pragma once

#include <lovage/config.hpp>
#include <lovage/value.hpp>

#include "base/result.hpp"

namespace lovage::app {

// What hands on the list of a group's results, as the body of a chord: celery.accumulate, with these options.
Value list_of_results(Object options);

// A header task that ends in a group becomes one that ends in the list of its results: one part, as Celery's chords
// have it. The list is handed on where the group's first task goes, under the group's id. Fails as freeze() does, and
// with bad_data where there is no such queue.
Result<void> end_in_one_result(const Config& config, Value& header_task);

}  // namespace lovage::app
