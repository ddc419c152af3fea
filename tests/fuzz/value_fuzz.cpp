// Values, results and kombu's records: everything else that is read from a store.
#include "broker/redis/unacked.hpp"
#include "fuzz/target.hpp"
#include "wire/body.hpp"
#include "wire/result_meta.hpp"
#include "wire/signature.hpp"

using namespace lovage;

namespace {

constexpr wire::DecodeLimits kLimits{.max_bytes = 1U << 20U};

void read_value(std::string_view bytes, wire::Serializer serializer) {
  const auto value = wire::decode_value(bytes, serializer, kLimits);
  if (!value) return;
  (void)wire::safe_repr(*value);
  (void)wire::signature_from_value(*value);
  const auto text = wire::encode_value(*value, serializer, wire::JsonTypes::celery_5_6);
  if (!text) return;  // a string that is no UTF-8, say: msgpack carries what JSON cannot
  const auto again = wire::decode_value(*text, serializer, kLimits);
  fuzz::promise(again.has_value(), "what encode_value writes is read");
  const auto twice = wire::encode_value(*again, serializer, wire::JsonTypes::celery_5_6);
  fuzz::promise(twice && *twice == *text, "a value that was read again is written alike");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text_of(data, size);
  read_value(bytes, wire::Serializer::json);
  read_value(bytes, wire::Serializer::msgpack);
  (void)wire::decode_result_meta(bytes, kLimits);
  (void)wire::parse_wire_time(bytes);
  (void)broker::redis::restore_record(bytes);
  return 0;
}
