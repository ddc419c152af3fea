// Signatures of workflows, as a worker finds them in a message.
#include <span>

#include "app/callbacks.hpp"
#include "app/canvas_shape.hpp"
#include "app/core.hpp"
#include "app/graph_reference.hpp"
#include "app/graph_writer.hpp"
#include "app/hearers.hpp"
#include "app/launcher.hpp"
#include "app/stamping.hpp"
#include "fuzz/target.hpp"
#include "wire/body.hpp"
#include "worker/abandoned.hpp"
#include "worker/continuation.hpp"

using namespace lovage;

namespace {

constexpr app::LaunchLimits kLimits{.messages = 1'000, .bytes = 1U << 20U};

std::vector<std::string> ids_of(const app::Core& core, const Value& signature) {
  app::Launcher launcher(core, {"root", "parent"}, kLimits);
  const Value result("result");
  std::vector<std::string> ids;
  if (!launcher.add(signature, std::span(&result, 1))) return ids;
  const app::Launch launch = launcher.take();
  fuzz::promise(launch.messages.size() <= kLimits.messages, "no more messages than allowed");
  for (const auto& message : launch.messages) ids.push_back(message.id);
  for (const auto& chord : launch.chords) fuzz::promise(chord.size > 0, "a chord that begins has parts");
  return ids;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const app::Core core("fuzz", Config{});
  const auto bytes = fuzz::text_of(data, size);
  (void)worker::decode_continuation(bytes);
  auto value = wire::decode_value(bytes, wire::Serializer::json, {.max_bytes = 1U << 20U});
  if (!value) return 0;
  worker::Abandoned abandoned;
  worker::abandon(*value, abandoned);
  (void)app::hearers_of(*value);
  (void)app::graph_of(*value);
  (void)app::leading_reference(*value);
  (void)ids_of(core, *value);
  Value stamped = *value;
  if (app::stamp(stamped, {{"stamp", 1}})) {
    Value twice = stamped;
    fuzz::promise(app::stamp(twice, {{"stamp", 2}}) && twice == stamped, "a stamp stays");
  }
  Value frozen = *value;
  if (!app::freeze(frozen)) return 0;
  Value again = frozen;
  fuzz::promise(app::freeze(again) && again == frozen, "what is frozen stays as it is");
  Value told = frozen;
  (void)app::attach_callbacks(core, told);
  Value shared = frozen;
  app::GraphWriter writer(core.config(), "graph");
  if (writer.share(shared) && !app::graph_of(frozen))
    fuzz::promise(app::graph_of(shared).has_value() == !writer.take().pages.empty(), "what is referred to is there");
  const auto ids = ids_of(core, frozen);
  fuzz::promise(ids == ids_of(core, frozen), "what is frozen is sent under the same ids each time");
  return 0;
}
