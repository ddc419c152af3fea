#include "engines/engines.hpp"

#include <gmock/gmock.h>

#include <lovage/error.hpp>

namespace lovage::engines {
namespace {

using testing::HasSubstr;

Config with(const std::string& broker, const std::string& backend = "") {
  Config config;
  config.broker_url = broker;
  config.result_backend = backend;
  return config;
}

template <class Function>
std::string config_error(const Function& function) {
  try {
    function();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

TEST(Engines, TheDefaultIsAFileInTheWorkingDirectoryForBoth) {
  EXPECT_EQ(broker_url_of({}), "sqlite:///lovage.db");
  EXPECT_EQ(backend_url_of({}), "sqlite:///lovage.db");
  EXPECT_EQ(backend_url_of(with("memory://x")), "memory://x");
  EXPECT_EQ(make_broker({})->display_url(), "sqlite:///lovage.db");
}

TEST(Engines, FilesAreRelativeWithThreeSlashesAndAbsoluteWithFour) {
  EXPECT_EQ(make_broker(with("sqlite:///some/file.db"))->display_url(), "sqlite:///some/file.db");
  EXPECT_EQ(make_broker(with("sqlite:////var/file.db"))->display_url(), "sqlite:////var/file.db");
  EXPECT_EQ(make_broker(with("sqlite://"))->display_url(), "sqlite:///lovage.db");
  EXPECT_EQ(make_broker(with("sqlite:///some/file.db"), "/srv")->display_url(), "sqlite:////srv/some/file.db");
  EXPECT_EQ(make_broker({}, "/srv")->display_url(), "sqlite:////srv/lovage.db");
  EXPECT_EQ(make_broker(with("sqlite:////var/file.db"), "/srv")->display_url(), "sqlite:////var/file.db");
  EXPECT_EQ(display_url("sqlite:///some/file.db", "/srv"), "sqlite:////srv/some/file.db");
  EXPECT_EQ(display_url("redis://:secret@h/0", "/srv").find("secret"), std::string::npos);
}

TEST(Engines, MakingAnEngineDoesNotConnect) {
  EXPECT_NE(make_broker(with("sqlite:////no/such/folder/lovage.db")), nullptr);
}

TEST(Engines, OneNameIsOneStoreInMemory) {
  const auto deadline = Deadline::never();
  const auto broker = make_broker(with("memory://one"));
  EXPECT_EQ(broker->identity(deadline).value(), make_backend(with("memory://one"))->identity(deadline).value());
  EXPECT_NE(broker->identity(deadline).value(), make_broker(with("memory://two"))->identity(deadline).value());
}

TEST(Engines, ResultsCanBeDisabled) {
  EXPECT_EQ(make_backend(with("memory://x", "disabled://")), nullptr);
  EXPECT_THAT(config_error([] { make_broker(with("disabled://")); }), HasSubstr("is no broker"));
}

TEST(Engines, AnUnknownSchemeNamesTheNearest) {
  EXPECT_THAT(config_error([] { make_broker(with("sqlit:///x.db")); }), HasSubstr("did you mean 'sqlite'"));
  EXPECT_THAT(config_error([] { make_backend(with("memory://", "memry://")); }), HasSubstr("did you mean 'memory'"));
  EXPECT_THAT(config_error([] { make_broker(with("lovage.db")); }), HasSubstr("no scheme"));
}

TEST(Engines, UrlsThatCannotWorkSayWhatWould) {
  EXPECT_THAT(config_error([] { make_broker(with("sqlite://file.db")); }), HasSubstr("write sqlite:///file.db"));
  EXPECT_THAT(config_error([] { make_broker(with("sqlite:///:memory:")); }), HasSubstr("memory://"));
  EXPECT_THAT(config_error([] { make_broker(with("sqlite:///x.db?mode=ro")); }), HasSubstr("no parameters"));
  EXPECT_THAT(config_error([] { make_broker(with("amqp://guest:secret@host")); }), HasSubstr("not supported yet"));
  Config config = with("sqlite:///x.db");
  config.sqlite_durability = "none";
  EXPECT_THAT(config_error([&] { make_broker(config); }), HasSubstr("'full' or 'normal'"));
}

std::string transport_error(const std::string& name, const Value& value) {
  Config config = with("redis://localhost");
  config.broker_transport_options[name] = value;
  return config_error([&] { make_broker(config); });
}

TEST(TransportOptions, AnUnknownOneNamesTheNearest) {
  EXPECT_THAT(transport_error("visibilty_timeout", 60),
              HasSubstr("broker_transport_options: unknown option 'visibilty_timeout' (did you mean "
                        "'visibility_timeout'?)"));
  Config config = with("redis://localhost");
  config.result_backend_transport_options["global_key_prefix"] = "p";
  EXPECT_THAT(config_error([&] { make_backend(config); }),
              HasSubstr("result_backend_transport_options: unknown option 'global_key_prefix'"));
}

TEST(TransportOptions, WhatWouldMisrouteMessagesIsRefusedUnlessItSaysTheDefault) {
  EXPECT_THAT(transport_error("fanout_prefix", false), HasSubstr("'fanout_prefix' cannot be other than true"));
  EXPECT_THAT(transport_error("fanout_patterns", false), HasSubstr("'fanout_patterns'"));
  EXPECT_THAT(transport_error("queue_order_strategy", "priority"), HasSubstr("the queues take turns"));
  EXPECT_EQ(transport_error("queue_order_strategy", "round_robin"), "no ConfigError");
  EXPECT_EQ(transport_error("fanout_prefix", true), "no ConfigError");
}

TEST(TransportOptions, HarmlessOnesAreAcceptedAndOursChecked) {
  EXPECT_EQ(transport_error("max_connections", 5), "no ConfigError");
  EXPECT_EQ(transport_error("max_retries", 5), "no ConfigError");
  EXPECT_EQ(transport_error("global_keyprefix", "p:"), "no ConfigError");
  EXPECT_THAT(transport_error("global_keyprefix", 1), HasSubstr("'global_keyprefix' is a string"));
  EXPECT_EQ(transport_error("visibility_timeout", 43'200), "no ConfigError");
  EXPECT_EQ(transport_error("visibility_timeout", 0.5), "no ConfigError");
  EXPECT_EQ(transport_error("allow_eviction", true), "no ConfigError");
  EXPECT_EQ(transport_error("result_chord_ordered", false), "no ConfigError");
  EXPECT_THAT(transport_error("allow_eviction", "yes"), HasSubstr("'allow_eviction' is true or false"));
  EXPECT_THAT(transport_error("visibility_timeout", 0), HasSubstr("a number of seconds above 0"));
  EXPECT_THAT(transport_error("visibility_timeout", "60"), HasSubstr("a number of seconds above 0"));
  EXPECT_EQ(transport_error("unacked_key", "mine"), "no ConfigError");
  EXPECT_THAT(transport_error("unacked_key", 1), HasSubstr("'unacked_key' is a string"));
  EXPECT_THAT(transport_error("unacked_mutex_expire", -1), HasSubstr("a number of seconds above 0"));
}

TEST(TransportOptions, PriorityStepsAscendAndTheSeparatorIsNotEmpty) {
  EXPECT_EQ(transport_error("priority_steps", Array{0, 3, 6, 9}), "no ConfigError");
  EXPECT_EQ(transport_error("priority_steps", Array{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), "no ConfigError");
  for (const Value& wrong : {Value(Array{}), Value(Array{0, 5, 5}), Value(Array{5, 0}), Value(Array{-1, 3}),
                             Value(Array{0, "3"}), Value(Array{0, 256}), Value(3)}) {
    EXPECT_THAT(transport_error("priority_steps", wrong), HasSubstr("ascending numbers from 0 to 255"))
        << to_json(wrong);
  }
  EXPECT_EQ(transport_error("sep", ":"), "no ConfigError");
  EXPECT_THAT(transport_error("sep", ""), HasSubstr("'sep' is not empty"));
  EXPECT_THAT(transport_error("sep", 6), HasSubstr("'sep' is a string"));
}

TEST(TransportOptions, AnOptionOfAnotherEngineIsSaidSo) {
  EXPECT_THAT(transport_error("confirm_publish", true), HasSubstr("is an option of RabbitMQ, Redis has none"));
  for (const std::string url : {"sqlite:///x.db", "memory://x"}) {
    Config config = with(url);
    config.broker_transport_options["visibility_timeout"] = 60;
    EXPECT_THAT(config_error([&] { make_broker(config); }),
                HasSubstr("broker_transport_options: 'visibility_timeout' is an option of Redis, "));
    config.broker_transport_options = {{"visibilty_timeout", 60}};
    EXPECT_THAT(config_error([&] { make_broker(config); }),
                HasSubstr("unknown option 'visibilty_timeout' (did you mean 'visibility_timeout'?)"));
    config.result_backend_transport_options["confirm_publish"] = true;
    EXPECT_THAT(config_error([&] { make_backend(config); }),
                HasSubstr("result_backend_transport_options: 'confirm_publish' is an option of RabbitMQ, "));
  }
}

}  // namespace
}  // namespace lovage::engines
