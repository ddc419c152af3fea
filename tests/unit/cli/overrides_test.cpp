#include "cli/overrides.hpp"

#include <gmock/gmock.h>

#include <lovage/error.hpp>

namespace lovage::cli {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

struct Case {
  std::string text;
  std::string setting;
  Value value;
  bool typed;
};

class Overrides : public testing::TestWithParam<Case> {};

TEST_P(Overrides, AreReadAsCeleryWritesThem) {
  const Override read = parse_override(GetParam().text, "worker");
  EXPECT_EQ(read.setting, GetParam().setting);
  EXPECT_EQ(read.value, GetParam().value);
  EXPECT_EQ(read.typed, GetParam().typed);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Overrides,
    testing::Values(Case{"task_acks_late=1", "task_acks_late", "1", false},
                    Case{"worker.prefetch_multiplier=4", "worker_prefetch_multiplier", "4", false},
                    Case{".send_task_events=1", "worker_send_task_events", "1", false},
                    Case{"_send_task_events=1", "worker_send_task_events", "1", false},
                    Case{"broker.transport_options={\"a.b\": 1}", "broker_transport_options", "{\"a.b\": 1}", false},
                    Case{"broker_url=redis://h:6379/0?a=b", "broker_url", "redis://h:6379/0?a=b", false},
                    Case{"timezone=", "timezone", "", false},
                    Case{".concurrency=(int)-4", "worker_concurrency", -4, true}, Case{"x=(float)1.5", "x", 1.5, true},
                    Case{"x=(bool)No", "x", false, true}, Case{"x=(bool)on", "x", true, true},
                    Case{"x=(str)(int)4", "x", "(int)4", true}, Case{"x=(list)[1, \"a\"]", "x", Array{1, "a"}, true},
                    Case{"x=(dict){\"a\": 1}", "x", Object{{"a", 1}}, true},
                    Case{"x=(unclosed", "x", "(unclosed", false}));

class BadOverrides : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(BadOverrides, AreRefusedWithTheReason) {
  EXPECT_THAT([] { parse_override(GetParam().first, "worker"); },
              ThrowsMessage<ConfigError>(HasSubstr(GetParam().second)));
}

INSTANTIATE_TEST_SUITE_P(Cases, BadOverrides,
                         testing::Values(std::pair{"concurrency", "no setting"}, std::pair{"=1", "no setting"},
                                         std::pair{"x=(int)four", "x: 'four' is no int"},
                                         std::pair{"x=(int)", "x: '' is no int"},
                                         std::pair{"x=(bool)maybe", "x: 'maybe' is no bool"},
                                         std::pair{"x=(lsit)[]", "did you mean 'list'?"},
                                         std::pair{"x=(list){}", "is no JSON list"}, std::pair{"x=(dict)[", "x: "}));

}  // namespace
}  // namespace lovage::cli
