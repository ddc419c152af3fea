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

}  // namespace
}  // namespace lovage::engines
