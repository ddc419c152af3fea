// Takes control messages apart. They are rare: unlike task messages, they go through Values.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/printable.hpp"
#include "wire/base64.hpp"
#include "wire/control_message.hpp"
#include "wire/json.hpp"
#include "wire/protocol1.hpp"

namespace lovage::wire {
namespace {

constexpr std::size_t kShownBytes = 200;        // of what a stranger wrote
constexpr double kLatestExpiry = 253402300799;  // the end of year 9999

Failure problem_of(Errc code, std::string_view why) {
  return {code, "control message: " + printable(why.substr(0, kShownBytes))};
}

template <class T>
constexpr std::string_view kKind = "an object";
template <>
constexpr std::string_view kKind<std::string> = "a string";
template <>
constexpr std::string_view kKind<Array> = "a list";
template <>
constexpr std::string_view kKind<std::int64_t> = "a whole number of 64 bits";

// Hands out an object's members by type, and keeps the first problem among all that it handed out.
class Members {
 public:
  Members(Object members, std::optional<Failure>& problem, std::string place = {})
      : members_(std::move(members)), problem_(problem), place_(std::move(place)) {}

  // Null counts as absent.
  [[nodiscard]] const Value* find(std::string_view name) const {
    const Value* const value = members_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  // Nothing when it is absent; also when it is of another type, which is a problem.
  template <class T>
  std::optional<T> take(std::string_view name) {
    if (find(name) == nullptr) return std::nullopt;
    T* const held = members_.find(name)->get_if<T>();
    if (held != nullptr) return std::move(*held);
    wrong(name, std::string("is not ").append(kKind<T>));
    return std::nullopt;
  }

  std::string need(std::string_view name) {
    if (find(name) == nullptr) wrong(name, "is missing");
    return take<std::string>(name).value_or("");
  }

  Members inside(std::string_view name) {
    return {take<Object>(name).value_or(Object()), problem_, std::string(name).append(".")};
  }

  void wrong(std::string_view name, std::string_view how, Errc code = Errc::bad_data) {
    if (!problem_) problem_ = problem_of(code, std::string(place_).append(name).append(" ").append(how));
  }

 private:
  Object members_;
  std::optional<Failure>& problem_;
  std::string place_;
};

// The message as far as reading its body needs it; the body is out of base64.
TaskMessage carrier_of(Members& envelope, Members& headers, std::span<const std::string> accept_content) {
  TaskMessage carrier;
  carrier.content_type = envelope.need("content-type");
  carrier.compression = headers.take<std::string>("compression").value_or("");
  carrier.body = envelope.need("body");
  Members properties = envelope.inside("properties");
  const std::string encoding = properties.take<std::string>("body_encoding").value_or("utf-8");
  if (encoding == "base64") {
    auto bytes = decode_base64(carrier.body);
    if (!bytes) envelope.wrong("body", "is no base64");
    carrier.body = std::move(bytes).value_or("");
  } else if (encoding != "utf-8") {
    properties.wrong("body_encoding", "is neither base64 nor utf-8");
  }
  if (std::find(accept_content.begin(), accept_content.end(), carrier.content_type) == accept_content.end()) {
    envelope.wrong("content-type", "'" + carrier.content_type + "' is not accepted");
  }
  return carrier;
}

std::uint64_t take_clock(Members& headers) {
  const std::int64_t clock = headers.take<std::int64_t>("clock").value_or(0);
  if (clock < 0) headers.wrong("clock", "is negative");
  return static_cast<std::uint64_t>(clock);
}

std::optional<Timestamp> take_expiry(Members& headers) {
  const Value* const value = headers.find("expires");
  if (value == nullptr) return std::nullopt;
  const std::int64_t* const whole = value->if_integer();
  const double* const real = whole == nullptr ? value->if_real() : nullptr;
  const double seconds = whole != nullptr ? static_cast<double>(*whole) : real != nullptr ? *real : -1;
  if (!(seconds >= 0 && seconds <= kLatestExpiry)) {  // NaN neither
    headers.wrong("expires", "is no time in seconds");
    return std::nullopt;
  }
  const Timestamp at(std::chrono::round<std::chrono::microseconds>(std::chrono::duration<double>(seconds)));
  if (at == Timestamp()) return std::nullopt;
  return at;
}

std::optional<std::vector<std::string>> take_destination(Members& content, std::size_t most) {
  auto list = content.take<Array>("destination");
  if (!list) return std::nullopt;
  if (list->size() > most) {
    content.wrong("destination", "has over " + std::to_string(most) + " names", Errc::too_large);
    return std::nullopt;
  }
  std::vector<std::string> names;
  names.reserve(list->size());
  for (Value& item : *list) {
    auto* const name = item.get_if<std::string>();
    if (name == nullptr) content.wrong("destination", "is not a list of node names");
    if (name != nullptr) names.push_back(std::move(*name));
  }
  return names;
}

std::optional<ControlCommand::Reply> take_reply(Members& content) {
  const auto ticket = content.take<std::string>("ticket");
  if (content.find("reply_to") == nullptr) return std::nullopt;
  if (!ticket) content.wrong("ticket", "is missing beside reply_to");
  Members to = content.inside("reply_to");
  return ControlCommand::Reply{ticket.value_or(""), to.need("exchange"), to.need("routing_key")};
}

}  // namespace

Result<ControlCommand> decode_control(std::string_view envelope, std::span<const std::string> accept_content,
                                      const ControlLimits& limits) {
  const auto refused = [](Errc code, std::string_view why) { return tl::unexpected(problem_of(code, why)); };
  auto outer = parse_json(envelope, limits.content);
  if (!outer) return refused(outer.error().code, outer.error().message);
  if (outer->if_object() == nullptr) return refused(Errc::bad_data, "the envelope is not an object");
  std::optional<Failure> problem;
  Members parts(std::move(*outer->if_object()), problem);
  Members headers = parts.inside("headers");
  ControlCommand command;
  command.clock = take_clock(headers);
  command.expires = take_expiry(headers);
  const TaskMessage carrier = carrier_of(parts, headers, accept_content);
  if (problem) return tl::unexpected(std::move(*problem));

  auto inner = decode_content(carrier, limits.content);
  if (!inner) {
    return refused(inner.error().reason == "too-large" ? Errc::too_large : Errc::bad_data, inner.error().detail);
  }
  if (inner->if_object() == nullptr) return refused(Errc::bad_data, "the body is not an object");
  Members content(std::move(*inner->if_object()), problem);
  command.method = content.need("method");
  if (command.method.empty()) content.wrong("method", "is empty");
  command.arguments = content.take<Object>("arguments").value_or(Object());
  command.destination = take_destination(content, limits.max_destinations);
  command.pattern = content.take<std::string>("pattern");
  command.matcher = content.take<std::string>("matcher");
  command.reply = take_reply(content);
  if (problem) return tl::unexpected(std::move(*problem));
  return command;
}

}  // namespace lovage::wire
