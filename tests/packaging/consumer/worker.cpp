#include "tasks.hpp"

int main(int argc, char** argv) {
  return lovage::main(app, argc, argv);
}
