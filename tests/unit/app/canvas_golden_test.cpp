// Workflows leave as Celery's do: the same messages, but for ids that differ and fields that mean nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include <lovage/app.hpp>
#include <lovage/canvas.hpp>

#include "app/core.hpp"
#include "support/fake_engines.hpp"
#include "unit/wire/golden.hpp"
#include "wire/base64.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"

namespace lovage {
namespace {

// Brings signatures into one form: ids by the order of their first appearance, without what is empty, without the
// places in a workflow that has not begun yet (Celery writes them early, Lovage when it begins).
class Normal {
 public:
  Value message(const Value& headers, const Value& body) {
    const Array& parts = *body.if_array();
    const Value& embed = parts[2];
    Object out{{"task", *headers.find("task")}, {"args", parts[0]}, {"kwargs", parts[1]}};
    out.set("id", id(*headers.find("id")));
    out.set("group", id(*headers.find("group")));
    out.set("group_index", *headers.find("group_index"));
    out.set("stamps", *headers.find("stamps"));
    for (const std::string_view list : {"callbacks", "errbacks", "chain"})
      out.set(std::string(list), signatures(embed.find(list)));
    const Value* const chord = embed.find("chord");
    out.set("chord", chord == nullptr || chord->is_null() ? Value() : signature(*chord, false));
    return out;
  }

 private:
  Value id(const Value& given) {
    if (given.if_string() == nullptr) return {};
    return Value(ids_.emplace(*given.if_string(), static_cast<std::int64_t>(ids_.size())).first->second);
  }

  Value signatures(const Value* given, bool is_waiting = false) {
    Array out;
    for (const auto& one : wire::list_of(given).value_or(Array{})) out.push_back(signature(one, is_waiting));
    return out;
  }

  // `is_waiting`: in a group or chord that has not begun.
  Value signature(const Value& given, bool is_waiting) {
    Object out{{"task", *given.find("task")}, {"args", *given.find("args")}, {"immutable", *given.find("immutable")}};
    const wire::CanvasKind kind = wire::canvas_kind(given);
    const bool is_task = kind == wire::CanvasKind::task;
    if (is_task) out.set("kwargs", *given.find("kwargs"));
    const bool waits_inside = kind == wire::CanvasKind::group || kind == wire::CanvasKind::chord;
    if (const Array* const tasks = wire::canvas_tasks(given))
      out.set("tasks", signatures(&static_cast<const Value&>(keep(Value(*tasks))), is_waiting || waits_inside));
    if (const Value* const body = wire::chord_body(given)) out.set("body", signature(*body, true));
    Object options = wire::canvas_options(given);
    std::ranges::sort(options, {}, &Object::Member::first);
    const bool is_part = options.find("chord") != nullptr && !options.find("chord")->is_null() && !is_waiting;
    for (const auto& [name, value] : options) {
      static constexpr std::string_view kMeaningless[] = {"reply_to", "root_id", "parent_id", "add_to_parent"};
      static constexpr std::string_view kPlace[] = {"group_id", "group_index", "chord"};
      if (value.is_null() || std::ranges::count(kMeaningless, name) > 0) continue;
      if (std::ranges::count(kPlace, name) > 0 && !is_part) continue;
      if (name == "task_id" && !is_task) continue;
      if (name == "link" || name == "link_error") {
        out.set(name, signatures(&value));
      } else if (name == "chord") {
        out.set(name, signature(value, false));
      } else {
        out.set(name, name == "task_id" || name == "group_id" ? id(value) : value);
      }
    }
    return out;
  }

  const Value& keep(Value value) { return kept_.emplace_back(std::move(value)); }

  std::map<std::string, std::int64_t> ids_;
  std::deque<Value> kept_;
};

using Message = std::pair<Value, Value>;  // headers, body

std::string normal(std::vector<Message> messages) {
  std::ranges::sort(messages, {}, [](const Message& message) { return to_json(message.second); });
  Normal form;
  std::string out;
  for (const auto& [headers, body] : messages) out += to_json(form.message(headers, body)) + "\n";
  return out;
}

class CanvasGolden : public testing::Test {
 protected:
  CanvasGolden() { app_.core().use(broker_, backend_); }
  void SetUp() override {
    if (!tests::has_collection()) GTEST_SKIP() << "the collection of captured samples is not here";
  }

  static std::string celerys(const std::string& name) {
    for (const auto& sample : tests::samples(name)) {
      if (sample.name != "5.6.3/" + name) continue;
      std::vector<Message> messages;
      for (const auto& message : *sample.content.find("messages")->if_array()) {
        const Value raw = from_json(*message.find("raw")->if_string());
        messages.emplace_back(*raw.find("headers"), from_json(*message.find("body_decoded")->if_string()));
      }
      return normal(std::move(messages));
    }
    return "no sample " + name;
  }

  std::string ours() const {
    std::vector<Message> messages;
    for (const auto& message : broker_->sent()) {
      Object headers{{"task", message.task}, {"id", message.id}, {"group", Value()}, {"group_index", Value()}};
      if (message.group_id) headers.set("group", *message.group_id);
      if (message.group_index) headers.set("group_index", *message.group_index);
      headers.set("stamps", message.stamps);
      messages.emplace_back(Value(headers), from_json(message.body));
    }
    return normal(std::move(messages));
  }

  std::shared_ptr<test::FakeBroker> broker_ = std::make_shared<test::FakeBroker>();
  std::shared_ptr<test::FakeBackend> backend_ = std::make_shared<test::FakeBackend>();
  App app_{"test", Config{}};
  Task<int(int, int)> add_ = app_.remote<int(int, int)>("wireapp.add");
  Task<int(std::vector<int>)> tsum_ = app_.remote<int(std::vector<int>)>("wireapp.tsum");
  Signature errback_ = app_.signature("wireapp.on_err_old");
};

TEST_F(CanvasGolden, Chain) {
  chain(add_.s(1, 2), add_.s(3)).delay();
  EXPECT_EQ(ours(), celerys("task_chain2"));
}

TEST_F(CanvasGolden, StampedChain) {
  chain(add_.s(1, 2), add_.s(3)).stamp({{"mtask_id", "stamp-1"}}).delay();
  EXPECT_EQ(ours(), celerys("task_stamped_chain"));
}

TEST_F(CanvasGolden, Group) {
  group(add_.s(1, 1), add_.s(2, 2), add_.s(3, 3)).delay();
  EXPECT_EQ(ours(), celerys("task_group"));
}

TEST_F(CanvasGolden, ChunksAreAGroup) {
  chunks(add_, {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}}, 3).delay();
  EXPECT_EQ(ours(), celerys("task_chunks_as_group"));
}

TEST_F(CanvasGolden, ChainThatEndsInAGroup) {
  chain(add_.s(1, 1), group(add_.s(2), add_.s(3))).delay();
  EXPECT_EQ(ours(), celerys("task_chain_then_group"));
}

TEST_F(CanvasGolden, GroupInAChainBecomesAChord) {
  chain(add_.s(1, 1), group(add_.s(2), add_.s(3)), tsum_.s()).delay();
  EXPECT_EQ(ours(), celerys("task_chain_group_then_task_upgraded_to_chord"));
}

TEST_F(CanvasGolden, Chord) {
  chord(group(add_.s(1, 1), add_.s(2, 2)), tsum_.s()).delay();
  EXPECT_EQ(ours(), celerys("task_chord"));
}

TEST_F(CanvasGolden, ChordOfOne) {
  chord(group(add_.s(1, 1)), tsum_.s()).delay();
  EXPECT_EQ(ours(), celerys("task_chord_of_one"));
}

TEST_F(CanvasGolden, ChainsInAHeader) {
  chord(group(chain(add_.s(1, 1), add_.s(5)), add_.s(2, 2)), tsum_.s()).delay();
  EXPECT_EQ(ours(), celerys("task_chord_header_chains"));
}

TEST_F(CanvasGolden, ChordInAHeader) {
  chord(group(chord(group(add_.s(1, 1), add_.s(2, 2)), tsum_.s()), add_.s(9, 9)), tsum_.s()).delay();
  EXPECT_EQ(ours(), celerys("task_nested_chord"));
}

TEST_F(CanvasGolden, ChainAsABody) {
  chord(group(add_.s(1, 1), add_.s(2, 2)), chain(tsum_.s(), add_.s(1))).delay();
  EXPECT_EQ(ours(), celerys("task_chord_body_chain"));
}

TEST_F(CanvasGolden, ErrbackOfABody) {
  auto body = tsum_.s();
  chord(group(add_.s(1, 1), add_.s(2, 2)), body.on_error(errback_)).delay();
  EXPECT_EQ(ours(), celerys("task_chord_body_link_error"));
}

TEST_F(CanvasGolden, FormsOfSignatures) {
  const auto samples = tests::samples("signature_dict_forms");
  const Value* forms = nullptr;
  for (const auto& sample : samples)
    if (sample.name == "5.6.3/signature_dict_forms") forms = sample.content.find("forms");
  ASSERT_NE(forms, nullptr);
  const auto celerys = [&](std::string_view name) { return from_json(*forms->find(name)->find("json")->if_string()); };
  EXPECT_EQ(add_.s(1, 2).to_value(), celerys("s"));
  EXPECT_EQ(add_.si(1, 2).to_value(), celerys("si"));
  EXPECT_EQ(chain(add_.s(1, 2), add_.s(3)).to_value(), celerys("chain"));
  EXPECT_EQ(group(add_.s(1, 1), add_.s(2, 2)).to_value(), celerys("group"));
  EXPECT_EQ(chord(group(add_.s(1, 1), add_.s(2, 2)), tsum_.s()).to_value(), celerys("chord"));
  // What Celery has written, raw or frozen, is read and launched, whatever its form.
  for (const auto& [name, form] : *forms->if_object()) {
    for (const std::string_view kind : {"json", "frozen"}) {
      const Value* const text = form.find(kind);
      if (text == nullptr || text->if_string() == nullptr) continue;
      const auto signature = Signature::from_value(add_.s(1, 2).core(), from_json(*text->if_string()));
      EXPECT_EQ(signature.to_value(), from_json(*text->if_string())) << name;
    }
  }
}

}  // namespace
}  // namespace lovage
