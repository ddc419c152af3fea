// The crafted samples of golden/*/worker_tolerance_crafted_messages.json that are no tasks.
#pragma once

#include <map>
#include <string>

namespace lovage::test {

// Name of the case: the reason that its dead letter bears. The other cases can be run.
inline const std::map<std::string, std::string> kCraftedReasons{{"body_two_elements", "bad-body"},
                                                                {"kwargs_null", "bad-body"},
                                                                {"args_null", "bad-body"},
                                                                {"no_content_type", "no-content-type"},
                                                                {"content_type_charset", "refused-content-type"},
                                                                {"bad_json_body", "bad-body"},
                                                                {"bad_base64", "bad-base64"},
                                                                {"no_id", "no-id"},
                                                                {"int_id", "bad-header"},
                                                                {"no_task_anywhere", "no-task"},
                                                                {"unknown_compression", "unknown-compression"},
                                                                {"timelimit_missing_second", "bad-header"},
                                                                {"eta_epoch_int", "bad-header"},
                                                                {"unknown___type__", "bad-body"},
                                                                {"no_delivery_info", "bad-envelope"},
                                                                {"no_delivery_tag", "bad-envelope"}};

}  // namespace lovage::test
