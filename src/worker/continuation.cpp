#include "worker/continuation.hpp"

#include <utility>

#include <fmt/format.h>

#include "app/graph_reference.hpp"

namespace lovage::worker {
namespace {

// A version of its own: workers of two releases may serve one broker.
constexpr std::string_view kJoin = "join-1";
constexpr std::string_view kFanOut = "fan-out-1";
constexpr std::string_view kGiveUp = "give-up-1";

Value value_of(const std::optional<Array>& signatures) {
  return signatures ? Value(*signatures) : Value();
}

std::optional<Array> signatures_from(const Value* value) {
  const Array* const array = value != nullptr ? value->if_array() : nullptr;
  return array != nullptr ? std::optional(*array) : std::nullopt;
}

Value value_of(const broker::ChordCount& counts) {
  Array parts;
  for (const auto& part : counts.parts)
    parts.emplace_back(Array{part.index ? Value(*part.index) : Value(), Value(part.task_id), Value(part.text)});
  return Value(Object{{"group_id", Value(counts.group_id)},
                      {"parts", Value(std::move(parts))},
                      {"added", Value(static_cast<std::int64_t>(counts.added))},
                      {"continuation", Value(counts.continuation)}});
}

Value counts_value(const std::optional<broker::ChordCount>& counts) {
  return counts ? value_of(*counts) : Value();
}

// Reads members of one object; remembers whether one was missing or of another type.
class Reader {
 public:
  explicit Reader(const Value& value) : object_(value.if_object()), ok_(object_ != nullptr) {}

  const Value* find(std::string_view name) { return object_ != nullptr ? object_->find(name) : nullptr; }
  std::string text(std::string_view name) {
    const Value* const value = find(name);
    const std::string* const text = value != nullptr ? value->if_string() : nullptr;
    ok_ = ok_ && text != nullptr;
    return text != nullptr ? *text : std::string();
  }
  Value value(std::string_view name) {
    const Value* const value = find(name);
    ok_ = ok_ && value != nullptr;
    return value != nullptr ? *value : Value();
  }
  std::uint64_t count(std::string_view name) {
    const Value* const value = find(name);
    const auto* const number = value != nullptr ? value->get_if<std::int64_t>() : nullptr;
    ok_ = ok_ && number != nullptr && *number >= 0;
    return ok_ ? static_cast<std::uint64_t>(*number) : 0;
  }
  void expect(bool condition) { ok_ = ok_ && condition; }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  const Object* object_;
  bool ok_;
};

std::optional<broker::ChordCount> counts_from(const Value& value) {
  Reader reader(value);
  broker::ChordCount counts{.group_id = reader.text("group_id"),
                            .parts = {},
                            .added = reader.count("added"),
                            .continuation = reader.text("continuation")};
  const Value parts = reader.value("parts");
  const Array* const list = parts.if_array();
  if (!reader.ok() || list == nullptr) return std::nullopt;
  for (const auto& entry : *list) {
    const Array* const fields = entry.if_array();
    if (fields == nullptr || fields->size() != 3) return std::nullopt;
    const auto* const index = (*fields)[0].get_if<std::int64_t>();
    const std::string* const task_id = (*fields)[1].if_string();
    const std::string* const text = (*fields)[2].if_string();
    if ((index == nullptr && !(*fields)[0].is_null()) || task_id == nullptr || text == nullptr) return std::nullopt;
    counts.parts.push_back({index != nullptr ? std::optional(*index) : std::nullopt, *task_id, *text});
  }
  return counts;
}

void read_counts(Reader& reader, std::optional<broker::ChordCount>& counts) {
  const Value* const value = reader.find("counts");
  if (value == nullptr || value->is_null()) return;
  counts = counts_from(*value);
  reader.expect(counts.has_value());
}

Result<Continuation> join_from(const Value& value) {
  Reader reader(value);
  Join join{.group_id = reader.text("group_id"),
            .body = reader.value("body"),
            .root_id = reader.text("root_id"),
            .parent_id = reader.text("parent_id"),
            .graph_id = {}};
  if (!reader.ok()) return fail(Errc::bad_data, "a join without its members");
  join.graph_id = app::graph_of(join.body).value_or("");
  return join;
}

Result<Continuation> fan_out_from(const Value& value) {
  Reader reader(value);
  FanOut fan_out{.embed = {},
                 .result = {},
                 .root_id = reader.text("root_id"),
                 .parent_id = reader.text("parent_id"),
                 .sent = reader.count("sent"),
                 .counts = {},
                 .graph_id = reader.text("graph_id")};
  const Value arguments = reader.value("arguments");
  reader.expect(arguments.if_array() != nullptr && arguments.if_array()->size() <= 1);
  if (reader.ok() && !arguments.if_array()->empty()) fan_out.result = arguments.if_array()->front();
  fan_out.embed.callbacks = signatures_from(reader.find("callbacks"));
  fan_out.embed.chain = signatures_from(reader.find("chain"));
  read_counts(reader, fan_out.counts);
  if (!reader.ok()) return fail(Errc::bad_data, "a fan-out without its members");
  return fan_out;
}

Result<Continuation> give_up_from(const Value& value) {
  Reader reader(value);
  GiveUp give_up{.references = {},
                 .state = reader.text("state"),
                 .exception = reader.value("exception"),
                 .traceback = reader.text("traceback"),
                 .counts = {},
                 .graph_id = reader.text("graph_id")};
  const Value references = reader.value("references");
  reader.expect(references.if_array() != nullptr);
  if (reader.ok()) give_up.references = *references.if_array();
  read_counts(reader, give_up.counts);
  if (!reader.ok()) return fail(Errc::bad_data, "steps to be given up, without what is said of them");
  return give_up;
}

}  // namespace

std::string encode_join(const std::string& group_id, std::string_view body_json, const std::string& root_id,
                        const std::string& parent_id) {
  return fmt::format(R"(["{}", {{"group_id": {}, "body": {}, "root_id": {}, "parent_id": {}}}])", kJoin,
                     to_json(Value(group_id)), body_json, to_json(Value(root_id)), to_json(Value(parent_id)));
}

std::string encode_continuation(const Continuation& continuation) {
  if (const auto* const join = std::get_if<Join>(&continuation))
    return encode_join(join->group_id, to_json(join->body), join->root_id, join->parent_id);
  if (const auto* const give_up = std::get_if<GiveUp>(&continuation)) {
    return to_json(Value(Array{Value(kGiveUp), Value(Object{{"references", Value(give_up->references)},
                                                            {"state", Value(give_up->state)},
                                                            {"exception", give_up->exception},
                                                            {"traceback", Value(give_up->traceback)},
                                                            {"counts", counts_value(give_up->counts)},
                                                            {"graph_id", Value(give_up->graph_id)}})}));
  }
  const auto& fan_out = std::get<FanOut>(continuation);
  return to_json(
      Value(Array{Value(kFanOut), Value(Object{{"callbacks", value_of(fan_out.embed.callbacks)},
                                               {"chain", value_of(fan_out.embed.chain)},
                                               {"arguments", Value(fan_out.result ? Array{*fan_out.result} : Array{})},
                                               {"root_id", Value(fan_out.root_id)},
                                               {"parent_id", Value(fan_out.parent_id)},
                                               {"sent", Value(static_cast<std::int64_t>(fan_out.sent))},
                                               {"counts", counts_value(fan_out.counts)},
                                               {"graph_id", Value(fan_out.graph_id)}})}));
}

Result<Continuation> decode_continuation(std::string_view text) {
  auto value = wire::decode_value(text, wire::Serializer::json);
  if (!value) return tl::unexpected(value.error());
  const Array* const parts = value->if_array();
  const std::string* const kind = parts != nullptr && parts->size() == 2 ? (*parts)[0].if_string() : nullptr;
  if (kind != nullptr && *kind == kJoin) return join_from((*parts)[1]);
  if (kind != nullptr && *kind == kFanOut) return fan_out_from((*parts)[1]);
  if (kind != nullptr && *kind == kGiveUp) return give_up_from((*parts)[1]);
  return fail(Errc::bad_data, "a continuation of a kind that this worker does not know");
}

}  // namespace lovage::worker
