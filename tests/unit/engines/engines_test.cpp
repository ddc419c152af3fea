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
  EXPECT_THAT(transport_error("priority_steps", Array{0, 5}), HasSubstr("'priority_steps' cannot be other than"));
  EXPECT_THAT(transport_error("sep", ":"), HasSubstr("separator"));
  EXPECT_THAT(transport_error("fanout_prefix", false), HasSubstr("'fanout_prefix'"));
  EXPECT_THAT(transport_error("fanout_patterns", false), HasSubstr("'fanout_patterns'"));
  EXPECT_THAT(transport_error("unacked_key", "mine"), HasSubstr("'unacked_key'"));
  EXPECT_EQ(transport_error("priority_steps", Array{0, 3, 6, 9}), "no ConfigError");
  EXPECT_EQ(transport_error("sep", "\x06\x16"), "no ConfigError");
  EXPECT_EQ(transport_error("fanout_prefix", true), "no ConfigError");
}

TEST(TransportOptions, HarmlessOnesAreAcceptedAndOursChecked) {
  EXPECT_EQ(transport_error("max_connections", 5), "no ConfigError");
  EXPECT_EQ(transport_error("visibility_timeout", 43'200), "no ConfigError");
  EXPECT_EQ(transport_error("global_keyprefix", "p:"), "no ConfigError");
  EXPECT_THAT(transport_error("global_keyprefix", 1), HasSubstr("'global_keyprefix' is a string"));
}

}  // namespace
}  // namespace lovage::engines
