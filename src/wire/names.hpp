// Every name on the wire that other processes read: header fields, key prefixes, states live in
// lovage/states.hpp. Never rename. Facts: Celery 5.2 to 5.6, kombu 5.2 to 5.6.
#pragma once

#include <string_view>

namespace lovage::wire {

inline constexpr std::string_view kResultKeyPrefix = "celery-task-meta-";
inline constexpr std::string_view kGroupKeyPrefix = "celery-taskset-meta-";
inline constexpr std::string_view kBindingKeyPrefix = "_kombu.binding.";
// Commands to every worker; a fanout exchange.
inline constexpr std::string_view kControlExchange = "celery.pidbox";
inline constexpr std::string_view kPrioritySeparator = "\x06\x16";
// Lovage's own keys; the 1 is the layout's version. Created by workers alone.
inline constexpr std::string_view kOwnKeyPrefix = "lovage:1:";

// Header "lang" as JSON: the language of the protocol's conventions, which Python's producers set. Workers
// do not look at it.
inline constexpr std::string_view kLanguageJson = R"("py")";

}  // namespace lovage::wire
