// Which queues -Q and -X mean.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <lovage/config.hpp>

#include "broker/broker.hpp"

namespace lovage::cli {

// "a,b" taken apart; blanks around names and empty names are dropped.
std::vector<std::string> split_names(std::string_view text);

// The queues that the settings declare: task_queues, or the default queue.
std::vector<std::string> configured_queues(const Config& config);

// The configured queues, or `wanted` where it is not empty, without `excluded`. Every name must be configured or known
// to the broker: a mistyped name would purge nothing, in silence. Throws ConfigError, ConnectionError.
std::vector<std::string> choose_queues(const Config& config, broker::Broker& broker,
                                       const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& excluded);

}  // namespace lovage::cli
