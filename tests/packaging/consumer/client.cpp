// Sends and waits for the answer; linked with the client's library alone.
#include <iostream>

#include "tasks.hpp"

int main() {
  std::cout << add.delay(2, 3).get(std::chrono::seconds(30)) << '\n';
}
