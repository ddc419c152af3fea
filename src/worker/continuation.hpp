// Work that a settlement leaves behind under its message's token, in our own words (broker::Settlement::continuation).
// Whoever holds the token carries it out: this worker, or the one that adopts it when this one has died.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <lovage/value.hpp>

#include "base/result.hpp"
#include "broker/chord.hpp"
#include "wire/body.hpp"

namespace lovage::worker {

// All header tasks of a chord have ended: read their parts, send the body.
struct Join {
  std::string group_id;
  Value body;             // a signature
  std::string root_id;    // of the part that came last, as in Celery
  std::string parent_id;  // its id
  // The graph that the chord held; empty: none. Its body says it.
  std::string graph_id = {};
};

// More successors than one settlement sends: those from `sent` on are still to be sent.
struct FanOut {
  wire::Embed embed;            // its callbacks and chain, with all ids given: made again, they are the same messages
  std::optional<Value> result;  // the argument of all of them
  std::string root_id;
  std::string parent_id;
  std::uint64_t sent = 0;
  std::optional<broker::ChordCount> counts = {};  // with the last of them
  std::string graph_id = {};                      // the graph that is held until the last of them; empty: none
};

// Steps of a stored graph that will never run: those who wait for one of them are still to be told.
struct GiveUp {
  Array references;  // to them
  std::string state;
  Value exception;  // as results carry it
  std::string traceback;
  std::optional<broker::ChordCount> counts = {};  // when all are told
  std::string graph_id = {};                      // the graph that is held until then; empty: none
};

using Continuation = std::variant<Join, FanOut, GiveUp>;

std::string encode_continuation(const Continuation& continuation);
// The same of a join whose body is JSON already: each part of a chord brings one.
std::string encode_join(const std::string& group_id, std::string_view body_json, const std::string& root_id,
                        const std::string& parent_id);
// Fails with bad_data for what encode_continuation() does not write.
Result<Continuation> decode_continuation(std::string_view text);

}  // namespace lovage::worker
