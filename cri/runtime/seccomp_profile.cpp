// SPDX-License-Identifier: Apache-2.0
// Localhost seccomp profiles: the OCI runtime-spec JSON, read with the place of each mistake.
#include <boost/json.hpp>

#include "cri/runtime/seccomp.h"
#include "cri/runtime/seccomp_filter.h"

namespace keelson::cri {

namespace json = boost::json;

namespace {

Result<uint32_t> action_of(std::string_view name, uint32_t errno_value, std::string_view where) {
  if (name == "SCMP_ACT_ALLOW") {
    return SCMP_ACT_ALLOW;
  }
  if (name == "SCMP_ACT_ERRNO") {
    return SCMP_ACT_ERRNO(errno_value);
  }
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") {
    return SCMP_ACT_KILL_THREAD;
  }
  if (name == "SCMP_ACT_KILL_PROCESS") {
    return SCMP_ACT_KILL_PROCESS;
  }
  if (name == "SCMP_ACT_TRAP") {
    return SCMP_ACT_TRAP;
  }
  if (name == "SCMP_ACT_LOG") {
    return SCMP_ACT_LOG;
  }
  if (name == "SCMP_ACT_TRACE") {
    return SCMP_ACT_TRACE(errno_value);
  }
  return fail(Kind::invalid, "{}: unknown or unsupported action \"{}\"", where, name);
}

Result<scmp_compare> compare_of(std::string_view name, std::string_view where) {
  constexpr std::pair<std::string_view, scmp_compare> kNames[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
                                                                  {"SCMP_CMP_LT", SCMP_CMP_LT},
                                                                  {"SCMP_CMP_LE", SCMP_CMP_LE},
                                                                  {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                                                  {"SCMP_CMP_GE", SCMP_CMP_GE},
                                                                  {"SCMP_CMP_GT", SCMP_CMP_GT},
                                                                  {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  for (const auto& [text, op] : kNames) {
    if (text == name) {
      return op;
    }
  }
  return fail(Kind::invalid, "{}: unknown operator \"{}\"", where, name);
}

std::string text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

uint64_t number_at(const json::object& object, std::string_view key, uint64_t fallback) {
  const auto* value = object.if_contains(key);
  if (value && value->is_int64()) {
    return static_cast<uint64_t>(value->get_int64());
  }
  return value && value->is_uint64() ? value->get_uint64() : fallback;
}

const json::array& array_at(const json::object& object, std::string_view key) {
  static const json::array kEmpty;
  const auto* value = object.if_contains(key);
  return value && value->is_array() ? value->get_array() : kEmpty;
}

Result<std::vector<SeccompArgument>> arguments_of(const json::object& call, const std::string& where) {
  std::vector<SeccompArgument> arguments;
  for (const auto& item : array_at(call, "args")) {
    if (!item.is_object()) {
      return fail(Kind::invalid, "{}.args: not an object", where);
    }
    const auto& argument = item.get_object();
    KEELSON_TRY(const auto op, compare_of(text_at(argument, "op"), where + ".args.op"));
    arguments.push_back({static_cast<unsigned>(number_at(argument, "index", 0)), op, number_at(argument, "value", 0),
                         number_at(argument, "valueTwo", 0)});
  }
  return arguments;
}

Result<> add_call(SeccompFilter& filter, const json::value& item, const std::string& where) {
  if (!item.is_object()) {
    return fail(Kind::invalid, "{}: not an object", where);
  }
  const auto& call = item.get_object();
  const auto errno_value = static_cast<uint32_t>(number_at(call, "errnoRet", EPERM));
  KEELSON_TRY(const uint32_t action, action_of(text_at(call, "action"), errno_value, where + ".action"));
  KEELSON_TRY(const auto arguments, arguments_of(call, where));
  for (const auto& name : array_at(call, "names")) {
    if (!name.is_string()) {
      return fail(Kind::invalid, "{}.names: not a string", where);
    }
    KEELSON_DO(filter.rule(action, std::string(name.get_string()), arguments));
  }
  return {};
}

}  // namespace

Result<std::string> seccomp_program_of_profile(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error || !value.is_object()) {
    return fail(Kind::invalid, "seccomp profile: not a JSON object{}{}", error ? ": " : "",
                error ? error.message() : "");
  }
  const auto& profile = value.get_object();
  const auto errno_value = static_cast<uint32_t>(number_at(profile, "defaultErrnoRet", EPERM));
  KEELSON_TRY(const uint32_t fallback, action_of(text_at(profile, "defaultAction"), errno_value, "defaultAction"));
  KEELSON_TRY(auto filter, SeccompFilter::create(fallback));
  for (const auto& arch : array_at(profile, "architectures")) {
    KEELSON_DO(filter.add_architecture(arch.is_string() ? std::string(arch.get_string()) : std::string()));
  }
  size_t index = 0;
  for (const auto& call : array_at(profile, "syscalls")) {
    KEELSON_DO(add_call(filter, call, fmt::format("syscalls[{}]", index++)));
  }
  return filter.program();
}

}  // namespace keelson::cri
