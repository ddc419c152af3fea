// Reads what follows the tasks of arriving messages.
#pragma once

#include <memory>
#include <string>

#include "wire/body.hpp"
#include "worker/facts.hpp"

namespace lovage::worker {

// The header tasks of a chord come together, and each carries the same: it is parsed once. Loop thread only.
class EmbedReader {
 public:
  explicit EmbedReader(const Facts& facts) : facts_(facts) {}

  // nullptr: no callbacks, errbacks, chain or chord.
  tl::expected<std::shared_ptr<const wire::Embed>, wire::BadMessage> read(const wire::TaskMessage& message);

 private:
  const Facts& facts_;
  std::string last_text_;  // what `last_` was parsed from; empty: nothing is kept
  std::shared_ptr<const wire::Embed> last_;
};

}  // namespace lovage::worker
