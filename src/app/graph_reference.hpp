// Signatures that refer to nodes of a stored graph: what has to be read, and what takes its place.
#pragma once

#include <optional>
#include <string>

#include <lovage/value.hpp>

#include "base/result.hpp"
#include "wire/canvas.hpp"

namespace lovage::app {

// The reference that a signature begins with: it has to be read before the signature can be launched.
std::optional<wire::GraphReference> leading_reference(const Value& signature);

// The node in the place of the reference that the signature begins with. What hangs at the reference is for the node.
// Fails with bad_data for a node that is no signature.
Result<void> put_in_place(Value& signature, Value node);

// The graph that it refers to anywhere in it, but for its callbacks, which never do.
std::optional<std::string> graph_of(const Value& signature);

}  // namespace lovage::app
