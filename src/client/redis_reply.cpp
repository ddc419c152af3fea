#include "client/redis_reply.hpp"

#include <hiredis/read.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace lovage::client {
namespace {

// The reader builds our values in place: an array's items are made inside their parent, and only the
// outermost is an object of its own. A parent's vector grows only between finished items, so the
// pointers that the reader keeps to unfinished ones stay good.
RedisReply* new_value(const redisReadTask* task, RedisReply::Kind kind) {
  RedisReply* value = nullptr;
  if (task->parent != nullptr) {
    value = &static_cast<RedisReply*>(task->parent->obj)->items.emplace_back();
  } else {
    value = std::make_unique<RedisReply>().release();  // the reader's until next() takes it
  }
  value->kind = kind;
  return value;
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
  const auto kind = task->type == REDIS_REPLY_ERROR    ? RedisReply::Kind::error
                    : task->type == REDIS_REPLY_STATUS ? RedisReply::Kind::status
                                                       : RedisReply::Kind::string;
  auto* const value = new_value(task, kind);
  value->text.assign(text, size);
  return value;
}

template <class Size>  // int in hiredis 0.14, size_t in 1.x
void* create_array(const redisReadTask* task, Size size) {
  auto* const value = new_value(task, RedisReply::Kind::array);
  // What the header announces is not yet there: room for more comes with the items themselves.
  value->items.reserve(std::min<std::size_t>(static_cast<std::size_t>(size), 1024));
  return value;
}

void* create_integer(const redisReadTask* task, long long integer) {
  auto* const value = new_value(task, RedisReply::Kind::integer);
  value->integer = integer;
  return value;
}

void* create_nil(const redisReadTask* task) {
  return new_value(task, RedisReply::Kind::nil);
}

void free_object(void* object) {
  std::unique_ptr<RedisReply>(static_cast<RedisReply*>(object)).reset();
}

// hiredis 1.x parses RESP3's doubles and booleans too; no server sends them without HELLO 3.
template <class Functions>
void refuse_resp3(Functions& functions) {
  if constexpr (requires { functions.createDouble; }) {
    functions.createDouble = [](const redisReadTask*, double, char*, std::size_t) -> void* { return nullptr; };
    functions.createBool = [](const redisReadTask*, int) -> void* { return nullptr; };
  }
}

redisReplyObjectFunctions* functions() {
  static redisReplyObjectFunctions table = [] {
    redisReplyObjectFunctions own{};
    own.createString = create_string;
    own.createArray = create_array;
    own.createInteger = create_integer;
    own.createNil = create_nil;
    own.freeObject = free_object;
    refuse_resp3(own);
    return own;
  }();
  return &table;
}

bool starts_with_code(std::string_view text, std::string_view code) {
  return text.starts_with(code) && (text.size() == code.size() || text[code.size()] == ' ');
}

template <std::size_t N>
bool has_code(std::string_view text, const std::array<std::string_view, N>& codes) {
  return std::any_of(codes.begin(), codes.end(), [&](std::string_view code) { return starts_with_code(text, code); });
}

void append_number(std::string& out, char kind, std::size_t number) {
  std::array<char, 24> text{kind};
  char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(text.data(), end);
}

}  // namespace

Failure failure_of(const RedisReply& error) {
  static constexpr std::array<std::string_view, 9> kBusy{
      "LOADING", "READONLY", "MASTERDOWN", "UNBLOCKED", "TRYAGAIN", "BUSY", "CLUSTERDOWN", "NOREPLICAS", "MISCONF"};
  return Failure{has_code(error.text, kBusy) ? Errc::server_busy : Errc::refused, error.text};
}

bool wants_another_server(const RedisReply& reply) {
  return reply.is_error() && wants_another_server(failure_of(reply));
}

bool wants_another_server(const Failure& failure) {
  static constexpr std::array<std::string_view, 3> kElsewhere{"LOADING", "READONLY", "MASTERDOWN"};
  // CLIENT UNBLOCK ... ERROR, which a caller asked for, begins with the same word.
  return has_code(failure.message, kElsewhere) || failure.message.starts_with("UNBLOCKED force unblock");
}

void append_command_head(std::string& out, std::size_t words) {
  append_number(out, '*', words);
}

void append_word(std::string& out, std::string_view word) {
  append_number(out, '$', word.size());
  out += word;
  out += "\r\n";
}

void append_command(std::string& out, std::span<const std::string_view> arguments) {
  append_command_head(out, arguments.size());
  for (const auto argument : arguments) append_word(out, argument);
}

void append_command(std::string& out, std::initializer_list<std::string_view> arguments) {
  append_command(out, std::span(arguments.begin(), arguments.size()));
}

RedisReader::RedisReader(std::size_t max_reply)
    : reader_(::redisReaderCreateWithFunctions(functions())), max_reply_(max_reply) {
  if (!reader_) throw std::bad_alloc();
}

RedisReader::~RedisReader() = default;
RedisReader::RedisReader(RedisReader&&) noexcept = default;
RedisReader& RedisReader::operator=(RedisReader&&) noexcept = default;

void RedisReader::Free::operator()(redisReader* reader) const noexcept {
  ::redisReaderFree(reader);
}

Result<void> RedisReader::feed(std::string_view bytes) {
  if (::redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) {
    return fail(Errc::bad_data, std::string("redis reply: ") + reader_->errstr);
  }
  reply_size_ += bytes.size();
  return {};
}

Result<std::optional<RedisReply>> RedisReader::next() {
  void* object = nullptr;
  if (::redisReaderGetReply(reader_.get(), &object) != REDIS_OK) {
    return fail(Errc::bad_data, std::string("redis reply: ") + reader_->errstr);
  }
  if (object == nullptr) {
    if (reply_size_ > max_reply_) {
      return fail(Errc::bad_data, "redis reply: longer than " + std::to_string(max_reply_) + " bytes");
    }
    return std::nullopt;
  }
  const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(object));
  reply_size_ = reader_->len - reader_->pos;
  return std::move(*reply);
}

}  // namespace lovage::client
