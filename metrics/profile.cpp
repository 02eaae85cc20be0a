// SPDX-License-Identifier: Apache-2.0
#include "metrics/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ranges>

#include "common/fd.h"

namespace keelson::metrics {

namespace {

std::string thread_name(pid_t thread) {
  auto name = read_file(fmt::format("/proc/self/task/{}/comm", thread)).value_or("gone");
  while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) {
    name.pop_back();
  }
  return name;
}

/// A message of Protobuf's wire format: the few kinds of fields that a profile has.
class Message {
 public:
  void number(int field, uint64_t value) {
    varint(static_cast<uint64_t>(field) << 3);
    varint(value);
  }
  void bytes(int field, std::string_view value) {
    varint((static_cast<uint64_t>(field) << 3) | 2);
    varint(value.size());
    text_ += value;
  }
  const std::string& text() const { return text_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      text_ += static_cast<char>((value & 0x7f) | 0x80);
    }
    text_ += static_cast<char>(value);
  }

  std::string text_;
};

/// Numbers for texts, from 0 on, which is the empty one.
class Strings {
 public:
  uint64_t number_of(const std::string& text) {
    const auto [known, fresh] = numbers_.try_emplace(text, list_.size());
    if (fresh) {
      list_.push_back(text);
    }
    return known->second;
  }
  const std::vector<std::string>& list() const { return list_; }

 private:
  std::map<std::string, uint64_t> numbers_ = {{"", 0}};
  std::vector<std::string> list_ = {""};
};

Message value_type(Strings& strings, const std::string& type, const std::string& unit) {
  Message message;
  message.number(1, strings.number_of(type));
  message.number(2, strings.number_of(unit));
  return message;
}

}  // namespace

std::string folded_profile(const CpuProfile& profile, const NameOf& name_of) {
  std::map<uintptr_t, std::string> names;
  std::map<pid_t, std::string> threads;
  std::map<std::string, uint64_t> stacks;
  for (const auto& sample : profile.samples) {
    auto& thread = threads[sample.thread];
    thread = thread.empty() ? thread_name(sample.thread) : thread;
    std::string stack = thread;
    for (const uintptr_t address : sample.addresses | std::views::reverse) {
      auto& name = names[address];
      if (name.empty()) {
        name = name_of(address);
        std::ranges::replace(name, ';', ':');
      }
      stack += ";" + name;
    }
    ++stacks[stack];
  }
  std::string text;
  for (const auto& [stack, count] : stacks) {
    text += fmt::format("{} {}\n", stack, count);
  }
  return text;
}

// The field numbers are profile.proto's.
std::string pprof_profile(const CpuProfile& profile, const NameOf& name_of) {
  Strings strings;
  Message out;
  const auto period = static_cast<uint64_t>(profile.period.count());
  out.bytes(1, value_type(strings, "samples", "count").text());
  out.bytes(1, value_type(strings, "cpu", "nanoseconds").text());
  std::map<std::pair<pid_t, std::vector<uintptr_t>>, uint64_t> stacks;
  for (const auto& sample : profile.samples) {
    ++stacks[{sample.thread, sample.addresses}];
  }
  std::map<uintptr_t, uint64_t> locations;
  for (const auto& [stack, count] : stacks) {
    Message sample;
    for (const uintptr_t address : stack.second) {
      sample.number(1, locations.try_emplace(address, locations.size() + 1).first->second);
    }
    sample.number(2, count);
    sample.number(2, count * period);
    Message label;
    label.number(1, strings.number_of("thread"));
    label.number(2, strings.number_of(thread_name(stack.first)));
    sample.bytes(3, label.text());
    out.bytes(2, sample.text());
  }
  std::map<std::string, uint64_t> functions;
  for (const auto& [address, number] : locations) {
    const auto function = functions.try_emplace(name_of(address), functions.size() + 1).first->second;
    Message line;
    line.number(1, function);
    Message location;
    location.number(1, number);
    location.number(3, address);
    location.bytes(4, line.text());
    out.bytes(4, location.text());
  }
  for (const auto& [name, number] : functions) {
    Message function;
    function.number(1, number);
    function.number(2, strings.number_of(name));
    function.number(3, strings.number_of(name));
    out.bytes(5, function.text());
  }
  const auto kind = value_type(strings, "cpu", "nanoseconds");
  for (const auto& text : strings.list()) {
    out.bytes(6, text);
  }
  out.number(9, static_cast<uint64_t>(profile.at.time_since_epoch().count()));
  out.number(10, static_cast<uint64_t>(profile.length.count()));
  out.bytes(11, kind.text());
  out.number(12, period);
  return out.text();
}

}  // namespace keelson::metrics
