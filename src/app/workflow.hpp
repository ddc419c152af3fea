// Sends workflows, and runs them in eager mode.
#pragma once

#include <memory>

#include <lovage/signature.hpp>

#include "app/core.hpp"
#include "app/result_node.hpp"

namespace lovage::app {

// Whether it is more than one call.
bool is_workflow(const Signature& signature) noexcept;

// A copy with these options. The id that is among them is that of what it returns: of a chord's body, of a chain's last
// step.
Signature with_options(const Signature& signature, const ApplyOptions& options);

// Starts its chords, then sends all its messages in one go. What is known of its results: a group's for what ends in a
// group. Throws what Signature::delay throws, MessageTooLarge for what is over workflow_max_bytes, and ConfigError for
// a chord without a result backend.
std::shared_ptr<const detail::ResultNode> send_workflow(const std::shared_ptr<Core>& core, const Signature& signature);

// Runs it here and now, in its order. A failed step ends it; its result is that failure.
std::shared_ptr<const detail::ResultNode> run_workflow(const std::shared_ptr<Core>& core, const Signature& signature);

}  // namespace lovage::app
