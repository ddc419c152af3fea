// Takes an envelope apart in one pass over its text, straight into a TaskMessage.
#include <bitset>
#include <optional>
#include <utility>

#include "wire/base64.hpp"
#include "wire/envelope.hpp"
#include "wire/headers.hpp"
#include "wire/json_reader.hpp"
#include "wire/plain_json.hpp"
#include "wire/protocol1.hpp"
#include "wire/utf8.hpp"
#include "wire/value_builder.hpp"

namespace lovage::wire {
namespace {

using lovage_rapidjson::SizeType;

// What a pass over the text found.
struct Parts {
  explicit Parts(TaskMessage& to) : message(to) {}
  TaskMessage& message;
  std::string_view body;  // still encoded
  std::optional<std::string_view> body_encoding;
  std::bitset<64> seen;    // Fields that had a usable value
  std::string bad_header;  // the first one whose value cannot be used
  bool too_deep = false;

  [[nodiscard]] bool has(Field field) const { return seen[static_cast<std::size_t>(field)]; }
  void mark(Field field) { seen.set(static_cast<std::size_t>(field)); }
};

class EnvelopeHandler : public lovage_rapidjson::BaseReaderHandler<lovage_rapidjson::UTF8<>, EnvelopeHandler> {
 public:
  EnvelopeHandler(Parts& parts, int max_depth) : parts_(parts), nested_(max_depth - 3) {}

  bool Null() { return scalar({}); }
  bool Bool(bool value) { return scalar({Scalar::Kind::boolean, value, {}}); }
  bool RawNumber(const char* text, SizeType length, bool) {
    return scalar({Scalar::Kind::number, false, {text, length}});
  }
  bool String(const char* text, SizeType length, bool) { return scalar({Scalar::Kind::string, false, {text, length}}); }

  bool Key(const char* text, SizeType length, bool) {
    const std::string_view name(text, length);
    if (depth_ > 0) {
      nested_.key(name);
      return true;
    }
    if (finder_ != nullptr) field_ = finder_->find(name);
    if (field_ == Field::other) name_ = name;
    return true;
  }

  // Most names are known before they are read, as the fast reader makes use of.
  [[nodiscard]] std::string_view expected_key() const {
    return depth_ > 0 || finder_ == nullptr ? std::string_view() : finder_->expected().name;
  }
  void expected_key_came() {
    field_ = finder_->expected().field;
    finder_->pass_expected();
  }

  bool StartObject() {
    if (depth_ > 0) return open(true);
    switch (place_) {
      case Place::outside:
        return go(Place::envelope);
      case Place::envelope:
        if (field_ == Field::headers) return go(Place::headers);
        if (field_ == Field::properties) return go(Place::properties);
        return open(true);
      case Place::properties:
        if (field_ == Field::delivery_info) return go(Place::delivery_info);
        return open(true);
      default:
        return open(true);
    }
  }
  bool EndObject(SizeType) {
    if (depth_ > 0) return close();
    switch (place_) {
      case Place::envelope:
        return go(Place::outside);
      case Place::delivery_info:
        return go(Place::properties);
      default:
        return go(Place::envelope);
    }
  }

  bool StartArray() {
    if (place_ == Place::outside) return false;
    if (depth_ == 0 && place_ == Place::headers && field_ == Field::timelimit) {
      limits_seen_ = 0;
      return go(Place::timelimit);
    }
    return open(false);
  }
  bool EndArray(SizeType) {
    if (depth_ > 0) return close();
    if (limits_seen_ != 2) bad_header("timelimit");
    return go(Place::headers);
  }

 private:
  enum class Place { outside, envelope, headers, timelimit, properties, delivery_info };

  bool go(Place place) {
    place_ = place;
    finder_ = finder_of(place);
    return true;
  }

  FieldFinder* finder_of(Place place) {
    switch (place) {
      case Place::envelope:
        return &envelope_fields_;
      case Place::headers:
        return &header_fields_;
      case Place::properties:
        return &property_fields_;
      case Place::delivery_info:
        return &delivery_fields_;
      case Place::outside:
      case Place::timelimit:
        break;
    }
    return nullptr;
  }

  void bad_header(std::string_view name) {
    if (parts_.bad_header.empty()) parts_.bad_header = name;
  }

  bool open(bool object) {
    if (object ? nested_.open_object() : nested_.open_array()) {
      ++depth_;
      return true;
    }
    parts_.too_deep = true;
    return false;
  }

  bool close() {
    nested_.close();
    if (--depth_ == 0) nested_value(nested_.take());
    return true;
  }

  bool scalar(const Scalar& from) {
    if (depth_ > 0) {
      nested_.scalar(from.value());
      return true;
    }
    switch (place_) {
      case Place::outside:
        return false;
      case Place::envelope:
        envelope_scalar(from);
        break;
      case Place::headers:
        header_scalar(from);
        break;
      case Place::timelimit:
        time_limit(from);
        break;
      case Place::properties:
        property_scalar(from);
        break;
      case Place::delivery_info:
        delivery_scalar(from);
        break;
    }
    return true;
  }

  void envelope_scalar(const Scalar& from) {
    if (!from.is_string()) return;
    if (field_ == Field::body) parts_.body = from.text;
    if (field_ == Field::content_type) parts_.message.content_type = from.text;
    if (field_ == Field::content_encoding) parts_.message.content_encoding = from.text;
    parts_.mark(field_);
  }

  void header_scalar(const Scalar& from) {
    if (field_ == Field::other) {
      parts_.message.custom_headers.set(std::string(name_), from.value());
      return;
    }
    if (!set_header(parts_.message, field_, from)) return bad_header(name_of(field_));
    if (!from.is_null()) parts_.mark(field_);
  }

  void time_limit(const Scalar& from) {
    TimeLimits& limits = parts_.message.timelimit;
    ++limits_seen_;
    if (limits_seen_ <= 2 && !set_time_limit(limits_seen_ == 1 ? limits.hard : limits.soft, from)) {
      bad_header("timelimit");
    }
  }

  void property_scalar(const Scalar& from) {
    set_property(parts_.message, field_, from);
    if (!from.is_string()) return;
    if (field_ == Field::body_encoding) parts_.body_encoding = from.text;
    if (field_ == Field::delivery_tag) parts_.message.delivery_tag = from.text;
    parts_.mark(field_);
  }

  void delivery_scalar(const Scalar& from) {
    if (field_ == Field::redelivered) set_header(parts_.message, field_, from);
    if (field_ != Field::exchange && field_ != Field::routing_key) return;
    // kombu routes null as it does "".
    if (!from.is_string() && !from.is_null()) return;
    (field_ == Field::exchange ? parts_.message.exchange : parts_.message.routing_key) = from.text;
    parts_.mark(field_);
  }

  void nested_value(Value value) {
    if (place_ == Place::timelimit) {
      ++limits_seen_;
      return bad_header("timelimit");
    }
    if (place_ != Place::headers) return;  // nothing that kombu puts elsewhere is read
    if (!nested_.error().empty()) return bad_header(field_ == Field::other ? name_ : name_of(field_));
    TaskMessage& m = parts_.message;
    if (field_ == Field::other) {
      m.custom_headers.set(std::string(name_), std::move(value));
    } else if (field_ == Field::stamps && value.if_object() != nullptr) {
      m.stamps = std::move(*value.if_object());
    } else if (field_ == Field::stamped_headers && value.if_array() != nullptr) {
      m.stamped_headers = std::move(value);
    } else {
      bad_header(name_of(field_));
    }
  }

  static std::string_view name_of(Field field) {
    for (const FieldName& known : kHeaderFields) {
      if (known.field == field) return known.name;
    }
    return "";
  }

  Parts& parts_;
  Place place_ = Place::outside;
  Field field_ = Field::other;
  std::string_view name_;
  int limits_seen_ = 0;
  int depth_ = 0;
  ValueBuilder nested_;
  FieldFinder envelope_fields_{kEnvelopeFields};
  FieldFinder header_fields_{kHeaderFields};
  FieldFinder property_fields_{kPropertyFields};
  FieldFinder delivery_fields_{kDeliveryInfoFields};
  FieldFinder* finder_ = nullptr;  // the one for this place
};

tl::unexpected<BadMessage> bad(const TaskMessage& message, std::string reason, std::string detail) {
  const auto readable = [](const std::string& text) { return is_utf8(text) ? text : std::string(); };
  return tl::unexpected(BadMessage{std::move(reason), std::move(detail), readable(message.id), readable(message.task)});
}

// The envelope's own parts; empty when they are all there.
std::string_view missing_part(const Parts& parts) {
  if (!parts.has(Field::body)) return "no body";
  if (!parts.has(Field::exchange)) return "no delivery_info.exchange";
  if (!parts.has(Field::routing_key)) return "no delivery_info.routing_key";
  if (!parts.has(Field::delivery_tag)) return "no delivery_tag";
  return {};
}

tl::expected<void, BadMessage> take_body(Parts& parts) {
  TaskMessage& m = parts.message;
  if (parts.body_encoding && *parts.body_encoding == "base64") {
    auto bytes = decode_base64(parts.body);
    if (!bytes) return bad(m, "bad-base64", "the body is no base64");
    m.body = std::move(*bytes);
  } else if (!parts.body_encoding || *parts.body_encoding == "utf-8") {
    m.body = parts.body;
  } else {
    return bad(m, "unknown-body-encoding", "body_encoding is neither base64 nor utf-8");
  }
  return {};
}

// The message as it was read, with its id and task known as far as possible.
tl::expected<void, BadMessage> judge(Parts& parts, const DecodeLimits& limits) {
  TaskMessage& m = parts.message;
  if (const auto missing = missing_part(parts); !missing.empty()) return bad(m, "bad-envelope", std::string(missing));
  if (!parts.has(Field::content_type)) return bad(m, "no-content-type", "no content-type");
  if (auto ok = take_body(parts); !ok) return ok;
  if (auto ok = adopt_protocol1(m, limits); !ok) return ok;
  if (!parts.bad_header.empty()) return bad(m, "bad-header", "unusable header '" + parts.bad_header + "'");
  if (m.task.empty()) return bad(m, "no-task", "no task name");
  if (m.id.empty()) return bad(m, "no-id", "no task id");
  return {};
}

// Empty when the text is not plain: read it from the start by decode_any() then.
std::optional<tl::expected<void, BadMessage>> decode_plain(TaskMessage& message, std::string_view bytes,
                                                           const DecodeLimits& limits) {
  Parts parts(message);
  EnvelopeHandler handler(parts, limits.max_depth);
  if (!read_plain_json(bytes, handler)) return std::nullopt;
  return judge(parts, limits);
}

tl::expected<void, BadMessage> decode_any(TaskMessage& message, std::string_view bytes, const DecodeLimits& limits) {
  thread_local ScratchText scratch;  // reused: one allocation less for each message
  std::optional<Parts> parts;
  const JsonStatus status = read_json(bytes, scratch, [&] {
    message = {};
    return EnvelopeHandler(parts.emplace(message), limits.max_depth);
  });
  auto judged = [&]() -> tl::expected<void, BadMessage> {
    if (parts->too_deep) return bad(message, "too-large", "nested too deeply");
    if (!status.ok) {
      return bad(message, "bad-envelope", std::string(status.what) + " (byte " + std::to_string(status.offset) + ")");
    }
    if (!is_utf8(bytes)) return bad(message, "bad-envelope", "not UTF-8");
    return judge(*parts, limits);
  }();
  scratch.shrink();
  return judged;
}

}  // namespace

tl::expected<void, BadMessage> decode_envelope(TaskMessage& message, std::string_view bytes,
                                               const DecodeLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return tl::unexpected(BadMessage{"too-large", std::to_string(bytes.size()) + " bytes", {}, {}});
  }
  if (auto judged = decode_plain(message, bytes, limits)) return std::move(*judged);
  return decode_any(message, bytes, limits);
}

tl::expected<TaskMessage, BadMessage> decode_envelope(std::string_view bytes, const DecodeLimits& limits) {
  tl::expected<TaskMessage, BadMessage> message;
  if (auto ok = decode_envelope(*message, bytes, limits); !ok) return tl::unexpected(std::move(ok.error()));
  return message;
}

}  // namespace lovage::wire
