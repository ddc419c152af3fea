// Which member of an envelope a name stands for.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace lovage::wire {

enum class Field {
  other,
  // the envelope
  body,
  content_encoding,
  content_type,
  headers,
  properties,
  // headers
  lang,
  task,
  id,
  shadow,
  eta,
  expires,
  group,
  group_index,
  retries,
  timelimit,
  root_id,
  parent_id,
  argsrepr,
  kwargsrepr,
  origin,
  ignore_result,
  replaced_task_nesting,
  stamped_headers,
  stamps,
  compression,
  redelivered,
  // properties; delivery_info
  correlation_id,
  reply_to,
  delivery_mode,
  expiration,
  delivery_info,
  priority,
  body_encoding,
  delivery_tag,
  exchange,
  routing_key
};

struct FieldName {
  std::string_view name;
  Field field;
};

inline constexpr std::array kEnvelopeFields{
    FieldName{"body", Field::body},
    FieldName{"content-encoding", Field::content_encoding},
    FieldName{"content-type", Field::content_type},
    FieldName{"headers", Field::headers},
    FieldName{"properties", Field::properties},
};

inline constexpr std::array kHeaderFields{
    FieldName{"lang", Field::lang},
    FieldName{"task", Field::task},
    FieldName{"id", Field::id},
    FieldName{"shadow", Field::shadow},
    FieldName{"eta", Field::eta},
    FieldName{"expires", Field::expires},
    FieldName{"group", Field::group},
    FieldName{"group_index", Field::group_index},
    FieldName{"retries", Field::retries},
    FieldName{"timelimit", Field::timelimit},
    FieldName{"root_id", Field::root_id},
    FieldName{"parent_id", Field::parent_id},
    FieldName{"argsrepr", Field::argsrepr},
    FieldName{"kwargsrepr", Field::kwargsrepr},
    FieldName{"origin", Field::origin},
    FieldName{"ignore_result", Field::ignore_result},
    FieldName{"replaced_task_nesting", Field::replaced_task_nesting},
    FieldName{"stamped_headers", Field::stamped_headers},
    FieldName{"stamps", Field::stamps},
    FieldName{"compression", Field::compression},
    FieldName{"redelivered", Field::redelivered},
};

inline constexpr std::array kPropertyFields{
    FieldName{"correlation_id", Field::correlation_id}, FieldName{"reply_to", Field::reply_to},
    FieldName{"delivery_mode", Field::delivery_mode},   FieldName{"expiration", Field::expiration},
    FieldName{"delivery_info", Field::delivery_info},   FieldName{"priority", Field::priority},
    FieldName{"body_encoding", Field::body_encoding},   FieldName{"delivery_tag", Field::delivery_tag},
};

inline constexpr std::array kDeliveryInfoFields{
    FieldName{"exchange", Field::exchange},
    FieldName{"routing_key", Field::routing_key},
    FieldName{"redelivered", Field::redelivered},
};

// Looks a name up, starting behind the last hit: senders write their fields in one order, so the first
// comparison nearly always fits.
class FieldFinder {
 public:
  explicit constexpr FieldFinder(std::span<const FieldName> fields) : fields_(fields) {}

  // The field that comes next in the usual order.
  [[nodiscard]] const FieldName& expected() const { return fields_[next_]; }
  void pass_expected() { next_ = next_ + 1 == fields_.size() ? 0 : next_ + 1; }

  Field find(std::string_view name) {
    for (std::size_t tried = 0; tried < fields_.size(); ++tried) {
      const FieldName& candidate = expected();
      pass_expected();
      if (candidate.name == name) return candidate.field;
    }
    return Field::other;
  }

 private:
  std::span<const FieldName> fields_;
  std::size_t next_ = 0;
};

}  // namespace lovage::wire
