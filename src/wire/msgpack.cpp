#include "wire/msgpack.hpp"

#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "wire/utf8.hpp"
#include "wire/value_builder.hpp"

namespace lovage::wire {
namespace {

using Tree = nlohmann::ordered_json;

auto unknown_to_msgpack(const Value& value) {
  return fail(Errc::bad_data, "can not serialize '" + std::string(python_type_name(value.kind())) + "' object");
}

Result<Tree> to_tree(const Value& value, int depth);

Result<Tree> string_to_tree(const std::string& text) {
  if (!is_utf8(text)) return fail(Errc::bad_data, "a string is not UTF-8");
  return Tree(text);
}

Result<Tree> big_to_tree(const Value& value) {
  const std::string& digits = value.get_if<BigInt>()->digits;
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || stop != digits.data() + digits.size()) {
    return fail(Errc::bad_data, "Integer value out of range");
  }
  return Tree(number);
}

Result<Tree> array_to_tree(const Array& items, int depth) {
  Tree tree = Tree::array();
  for (const Value& item : items) {
    auto child = to_tree(item, depth + 1);
    if (!child) return child;
    tree.push_back(std::move(*child));
  }
  return tree;
}

Result<Tree> object_to_tree(const Object& members, int depth) {
  Tree tree = Tree::object();
  auto& to = tree.get_ref<Tree::object_t&>();
  for (const auto& [name, member] : members) {
    if (!is_utf8(name)) return fail(Errc::bad_data, "a string is not UTF-8");
    auto child = to_tree(member, depth + 1);
    if (!child) return child;
    // An Object's names are distinct: no look-up, which would be quadratic here.
    to.push_back({name, std::move(*child)});
  }
  return tree;
}

Result<Tree> to_tree(const Value& value, int depth) {
  if (depth > DecodeLimits{}.max_depth) return fail(Errc::too_large, "nested too deeply for MessagePack");
  switch (value.kind()) {
    case Value::Kind::null:
      return Tree(nullptr);
    case Value::Kind::boolean:
      return Tree(*value.if_bool());
    case Value::Kind::integer:
      return Tree(*value.if_integer());
    case Value::Kind::big_integer:
      return big_to_tree(value);
    case Value::Kind::real:
      return Tree(*value.if_real());
    case Value::Kind::string:
      return string_to_tree(*value.if_string());
    case Value::Kind::array:
      return array_to_tree(*value.if_array(), depth);
    case Value::Kind::object:
      return object_to_tree(*value.if_object(), depth);
    case Value::Kind::bytes: {
      const std::string& data = value.get_if<Bytes>()->data;
      return Tree::binary(std::vector<std::uint8_t>(data.begin(), data.end()));
    }
    default:
      return unknown_to_msgpack(value);
  }
}

// nlohmann's reader announces sizes but allocates nothing for them, and ends when a handler says false.
class Handler : public nlohmann::json_sax<Tree> {
 public:
  explicit Handler(int max_depth) : builder_(max_depth, ValueBuilder::Tags::ignore) {}

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(number_integer_t value) override { return scalar(value); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(value); }
  bool number_float(number_float_t value, const string_t&) override { return scalar(value); }
  bool string(string_t& text) override {
    return is_utf8(text) ? scalar(std::move(text)) : refuse("a string is not UTF-8");
  }
  bool binary(binary_t& bytes) override {
    if (bytes.has_subtype()) return refuse("an extension type");
    return scalar(Bytes{std::string(bytes.begin(), bytes.end())});
  }
  bool start_object(std::size_t) override { return builder_.open_object(); }
  bool key(string_t& name) override {
    if (!is_utf8(name)) return refuse("a string is not UTF-8");
    builder_.key(name);
    return true;
  }
  bool end_object() override { return closed(); }
  bool start_array(std::size_t) override { return builder_.open_array(); }
  bool end_array() override { return closed(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return refuse("broken or cut short");
  }

  ValueBuilder& builder() { return builder_; }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  bool scalar(Value value) {
    builder_.scalar(std::move(value));
    return true;
  }
  bool closed() {
    builder_.close();
    return true;
  }
  bool refuse(std::string_view why) {
    if (error_.empty()) error_ = why;
    return false;
  }
  ValueBuilder builder_;
  std::string error_;
};

}  // namespace

Result<std::string> encode_msgpack(const Value& value) {
  const auto tree = to_tree(value, 0);
  if (!tree) return tl::unexpected(tree.error());
  std::string out;
  Tree::to_msgpack(*tree, out);
  return out;
}

Result<Value> decode_msgpack(std::string_view bytes, const DecodeLimits& limits) {
  if (bytes.size() > limits.max_bytes) return fail(Errc::too_large, "MessagePack over the size limit");
  Handler handler(limits.max_depth);
  const bool ok = Tree::sax_parse(bytes.begin(), bytes.end(), &handler, Tree::input_format_t::msgpack);
  if (handler.builder().too_deep()) return fail(Errc::too_large, "MessagePack nested too deeply");
  if (!ok || !handler.error().empty()) return fail(Errc::bad_data, "MessagePack: " + handler.error());
  return handler.builder().take();
}

}  // namespace lovage::wire
