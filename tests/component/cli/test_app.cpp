// A small app for the tests of the command line: as a shared library (-A ./libcli_test_app.so) and, with its main(), as
// a program.
#include <lovage/app.hpp>
#include <lovage/context.hpp>
#include <lovage/main.hpp>

#include <stdexcept>
#include <string>

namespace {

lovage::App& app() {
  static lovage::App made("cli_test");
  return made;
}

const auto add = app().task(
    "tests.add", [](int x, int y) { return x + y; }, lovage::params("x", "y"));
const auto greet = app().task("tests.greet", [](const std::string& name) { return "hello " + name; });
const auto fail = app().task("tests.fail", []() -> int { throw std::invalid_argument("no luck"); });

}  // namespace

extern "C" lovage::App* lovage_app() {
  return &app();
}

#ifdef LOVAGE_TEST_PROGRAM
int main(int argc, char** argv) {
  return lovage::main(app(), argc, argv);
}
#endif
