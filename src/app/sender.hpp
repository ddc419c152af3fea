// Who sends: what messages say of this process.
#pragma once

#include <string>

namespace lovage::app {

struct Sender {
  std::string origin;         // "gen12119@host"
  std::string reply_address;  // Celery's clients send one along
};

// Of this process and thread. A child of fork() is another sender than its parent.
const Sender& sender();

}  // namespace lovage::app
