#include "worker/embed_reader.hpp"

#include <utility>

namespace lovage::worker {
namespace {

constexpr std::size_t kMostKept = std::size_t{64} * 1024;

}  // namespace

tl::expected<std::shared_ptr<const wire::Embed>, wire::BadMessage> EmbedReader::read(const wire::TaskMessage& message) {
  const wire::DecodeLimits limits{.max_bytes = facts_.config().task_message_max_bytes};
  if (wire::has_no_embed(message, limits)) return nullptr;
  // Arguments that cannot be read are found out where the task runs, as those of messages that nothing follows.
  const std::string_view text = wire::embed_text(message);
  if (!text.empty() && text == last_text_) return last_;
  auto body = wire::decode_body(message, facts_.accept_content, limits);
  if (!body) return tl::unexpected(std::move(body.error()));
  const wire::Embed& embed = body->embed;
  if (!embed.callbacks && !embed.errbacks && !embed.chain && !embed.chord) return nullptr;
  auto read = std::make_shared<const wire::Embed>(std::move(body->embed));
  if (read->chord && text.size() <= kMostKept) {
    last_text_ = text;
    last_ = read;
  }
  return read;
}

}  // namespace lovage::worker
