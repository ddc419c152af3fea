#include "cli/cli.hpp"

int main(int argc, char** argv) {
  return lovage::cli::run(nullptr, argc, argv);
}
