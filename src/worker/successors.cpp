#include "worker/successors.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "base/uuid.hpp"
#include "worker/signature_options.hpp"

namespace lovage::worker {
namespace {

constexpr std::size_t kMostMessages = 5'000;  // one settlement's bound
constexpr int kDeepest = 50;                  // nesting of groups and chains

const std::string* kind_of(const Value& signature) {
  const Value* kind = signature.find("subtask_type");
  return kind != nullptr ? kind->if_string() : nullptr;
}

bool is_kind(const Value& signature, std::string_view kind) {
  const std::string* const found = kind_of(signature);
  return found != nullptr && *found == kind;
}

const Array* tasks_of(const Value& signature) {
  const Value* kwargs = signature.find("kwargs");
  const Value* tasks = kwargs != nullptr ? kwargs->find("tasks") : nullptr;
  return tasks != nullptr ? tasks->if_array() : nullptr;
}

bool signature_needs_chord(const Value& signature, bool followed, int depth) {
  if (depth > kDeepest || is_kind(signature, "chord")) return true;
  const bool group = is_kind(signature, "group");
  if (group && followed) return true;
  const Array* const tasks = tasks_of(signature);
  if (tasks == nullptr || (!group && !is_kind(signature, "chain"))) return false;
  for (std::size_t i = 0; i < tasks->size(); ++i) {
    const bool more = followed || (!group && i + 1 < tasks->size());
    if (signature_needs_chord((*tasks)[i], more, depth + 1)) return true;
  }
  return false;
}

// Appends `more` (one signature or a list) to the list under `key`.
void append_links(Object& options, std::string_view key, const Value* more) {
  if (more == nullptr || more->is_null()) return;
  Array links = list_of(options.find(key)).value_or(Array{});
  const Array added = list_of(more).value_or(Array{});
  links.insert(links.end(), added.begin(), added.end());
  options[key] = Value(std::move(links));
}

Value result_tuple(const std::string& id, Value children = {}) {
  return Value(Array{Value(Array{Value(id), Value()}), std::move(children)});
}

}  // namespace

bool needs_chord(const wire::Embed& embed) {
  if (embed.callbacks)
    for (const auto& callback : *embed.callbacks)
      if (signature_needs_chord(callback, false, 0)) return true;
  if (embed.chain)  // in reverse: the first element is the last step
    for (std::size_t i = 0; i < embed.chain->size(); ++i)
      if (signature_needs_chord((*embed.chain)[i], i > 0, 0)) return true;
  return false;
}

Result<Successors> SuccessorBuilder::after_success(const wire::Embed& embed, const Value& result) {
  if (embed.callbacks) {
    Array plain;
    for (const auto& callback : *embed.callbacks) {
      if (is_kind(callback, "group") || embed.callbacks->size() == 1) {
        if (auto added = add(callback, result, std::nullopt); !added) return tl::unexpected(added.error());
      } else {
        plain.push_back(callback);
      }
    }
    if (!plain.empty()) {
      if (auto added = add_group(plain, {}, result, std::nullopt); !added) return tl::unexpected(added.error());
    }
  }
  if (embed.chain && !embed.chain->empty()) {
    Array rest(embed.chain->begin(), std::prev(embed.chain->end()));
    if (auto added = add(embed.chain->back(), result, std::move(rest)); !added) return tl::unexpected(added.error());
  }
  return std::move(made_);
}

Result<Successors> SuccessorBuilder::after_failure(const Array& errbacks, const std::string& failed_id) {
  if (auto added = add_group(errbacks, {}, Value(failed_id), std::nullopt); !added)
    return tl::unexpected(added.error());
  return std::move(made_);
}

Result<void> SuccessorBuilder::add(const Value& signature, const Value& argument, const Chain& rest) {
  auto data = wire::signature_from_value(signature);
  if (!data) return tl::unexpected(data.error());
  const Array* const tasks = tasks_of(signature);
  if (tasks != nullptr && is_kind(signature, "group"))
    return add_group(*tasks, std::move(data->options), argument, rest);
  if (tasks != nullptr && is_kind(signature, "chain")) return add_chain(*tasks, data->options, argument, rest);
  if (is_kind(signature, "chord")) return fail(Errc::bad_data, "chords are not supported yet");
  return add_task(std::move(*data), argument, rest);
}

Result<void> SuccessorBuilder::add_group(const Array& tasks, Object options, const Value& argument, const Chain& rest) {
  if (++depth_ > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  const std::string group_id = text_option(options, "task_id").value_or(new_uuid());
  Array siblings = std::exchange(made_.children, {});
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Value member = tasks[i];
    if (Object* const object = member.if_object(); object != nullptr && !is_kind(member, "group")) {
      Value& own = (*object)["options"];
      if (own.if_object() == nullptr) own = Value(Object{});
      Object& member_options = *own.if_object();
      member_options["group_id"] = Value(group_id);
      if (const Value* index = member_options.find("group_index"); index == nullptr || index->is_null())
        member_options["group_index"] = Value(i);
    }
    if (auto added = add(member, argument, rest); !added) return added;
  }
  Array members = std::exchange(made_.children, std::move(siblings));
  made_.children.push_back(result_tuple(group_id, Value(std::move(members))));
  --depth_;
  return {};
}

Result<void> SuccessorBuilder::add_chain(Array tasks, const Object& options, const Value& argument, const Chain& rest) {
  if (++depth_ > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  if (tasks.empty()) return fail(Errc::bad_data, "a chain without tasks");
  for (auto& task : tasks) {
    Object* const object = task.if_object();
    if (object == nullptr) return fail(Errc::bad_data, "a chain element is no signature");
    Value& own = (*object)["options"];
    if (own.if_object() == nullptr) own = Value(Object{});
    append_links(*own.if_object(), "link_error", options.find("link_error"));
    if (&task == &tasks.back()) {
      append_links(*own.if_object(), "link", options.find("link"));
      for (const std::string_view key : {"group_id", "group_index", "chord"})
        if (const Value* const value = options.find(key)) (*own.if_object())[key] = *value;
    }
  }
  Array following = rest.value_or(Array{});
  for (std::size_t i = tasks.size() - 1; i > 0; --i) following.push_back(std::move(tasks[i]));
  auto added = add(tasks.front(), argument, std::move(following));
  --depth_;
  return added;
}

Result<void> SuccessorBuilder::add_task(wire::SignatureData signature, const Value& argument, const Chain& rest) {
  if (made_.messages.size() >= kMostMessages)
    return fail(Errc::too_large, fmt::format("more than {} successors", kMostMessages));
  if (!signature.immutable) signature.args.insert(signature.args.begin(), argument);
  auto message = message_of(std::move(signature), rest);
  if (!message) return tl::unexpected(message.error());
  made_.children.push_back(result_tuple(message->id));
  made_.messages.push_back(std::move(*message));
  return {};
}

void SuccessorBuilder::add_queue(wire::QueueDeclaration queue) {
  const auto same = [&](const auto& known) { return known.name == queue.name; };
  if (std::ranges::none_of(made_.queues, same)) made_.queues.push_back(std::move(queue));
}

Result<wire::TaskMessage> SuccessorBuilder::message_of(wire::SignatureData signature, const Chain& rest) {
  // A frozen signature may carry these as null; whose successor it is is known here.
  signature.options.erase("root_id");
  signature.options.erase("parent_id");
  if (rest) signature.options.set("chain", Value(*rest));
  try {
    auto prepared = app::prepare(facts_.core, std::move(signature), lineage_);
    if (prepared.queue) add_queue(std::move(*prepared.queue));
    return std::move(prepared.message);
  } catch (const Error& error) {  // the app's layer throws at its callers
    return fail(Errc::bad_data, error.what());
  }
}

}  // namespace lovage::worker
