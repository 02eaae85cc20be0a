// SPDX-License-Identifier: Apache-2.0
// passwd(5) and group(5), read as text: the container's files are not ours to trust to libc's NSS.
#include "cri/shim/user_lookup.h"

#include <sys/stat.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "common/fd.h"

namespace keelson::cri::shim {

namespace {

constexpr size_t kMaxFile = 4 << 20;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(at + 1);
  }
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

/// The lines of a file as fields; an absent file has none.
Result<std::string> contents(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return fail(Kind::invalid, "{} is no regular file", path);  // to open it may wait for ever, or do something
  }
  auto text = read_file(path, kMaxFile);
  if (!text && text.error().kind() == Kind::not_found) {
    return std::string();
  }
  return text;
}

}  // namespace

Result<User> find_user(const std::string& root, const std::string& user) {
  auto colon = user.find(':');
  std::string name = user.substr(0, colon);
  std::string group = colon == std::string::npos ? "" : user.substr(colon + 1);
  KEELSON_TRY(auto passwd, contents(root + "/etc/passwd"));
  KEELSON_TRY(auto groups, contents(root + "/etc/group"));

  User found;
  auto id = name.empty() ? std::optional<uint32_t>(0) : number(name);
  std::string login;
  bool listed = false;
  for (auto line : split(passwd, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() < 6 || listed) {
      continue;
    }
    auto uid = number(fields[2]);
    auto gid = number(fields[3]);
    if (uid && gid && (id ? *uid == *id : fields[0] == name)) {
      listed = true;
      found.uid = *uid;
      found.gid = *gid;
      found.home = fields[5].empty() ? "/" : std::string(fields[5]);
      login = fields[0];
    }
  }
  if (!listed && !id) {
    return fail(Kind::not_found, "user {} is not in the container's /etc/passwd", name);
  }
  if (!listed) {
    found.uid = *id;
  }
  auto gid = number(group);
  bool group_found = group.empty() || gid.has_value();
  for (auto line : split(groups, '\n')) {
    auto fields = split(line, ':');
    auto entry = fields.size() >= 4 ? number(fields[2]) : std::nullopt;
    if (!entry) {
      continue;
    }
    if (!group_found && fields[0] == group) {
      gid = entry;
      group_found = true;
    }
    for (auto member : split(fields[3], ',')) {
      if (!login.empty() && member == login) {
        found.groups.push_back(*entry);
      }
    }
  }
  if (!group_found) {
    return fail(Kind::not_found, "group {} is not in the container's /etc/group", group);
  }
  if (gid) {
    found.gid = *gid;
  }
  return found;
}

}  // namespace keelson::cri::shim
