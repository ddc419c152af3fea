// Stamps: names and values that every message of a workflow carries. Pure functions on signatures as they travel.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <lovage/stamping.hpp>
#include <lovage/value.hpp>

#include "app/core.hpp"
#include "base/result.hpp"

namespace lovage::app {

// Among the options of a signature.
bool is_stamp(const Object& options, std::string_view name) noexcept;
// One that is there stays.
void add_stamp(Object& options, const std::string& name, const Value& value);

// All of them.
Object stamps_of(const Object& options);
// Without those whose names are options': what comes from the wire.
Object stampable(const Object& stamps);

// Stamps it and everything in it or linked to it. Fails with misconfigured for a name that is an option's, with
// bad_data for what is no signature, with too_large for nesting over 50.
struct Stamping {
  StampingVisitor* visitor = nullptr;    // may add to them
  bool appends = false;                  // stamps of one name become a list; else those that are there stay
  std::shared_ptr<Core> core = nullptr;  // of the signatures that the visitor sees
};
Result<void> stamp(Value& signature, const Object& stamps, const Stamping& stamping = {});

}  // namespace lovage::app
