// The program's entry: parses the arguments and runs the command that they name.
#pragma once

namespace lovage {
class App;
}

namespace lovage::cli {

// `own` is the app of a program that is one (lovage::main); nullptr for `lovage` itself, which takes -A. Returns the
// exit code; every exception ends here, as one line on stderr.
int run(App* own, int argc, char** argv);

}  // namespace lovage::cli
