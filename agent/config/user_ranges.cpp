// SPDX-License-Identifier: Apache-2.0
// user_ranges.h: the file of a pod, and which number is free.
#include "agent/config/user_ranges.h"

#include <filesystem>

#include <boost/json.hpp>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

/// How many there are, the node's own among them; the last one would have the id that means "none".
uint32_t ranges_of(uint32_t length) {
  return static_cast<uint32_t>((uint64_t{1} << 32) / length - 1);
}

std::string text_of(uint32_t first, uint32_t length) {
  const json::array mappings = {{{"hostId", first}, {"containerId", 0}, {"length", length}}};
  return json::serialize(json::object{{"uidMappings", mappings}, {"gidMappings", mappings}});
}

/// The number of the range. Nothing but our own text is understood.
Result<uint32_t> range_in(const std::string& path, uint32_t length) {
  KEELSON_TRY(const auto text, read_file(path));
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto* host = error ? nullptr : value.find_pointer("/uidMappings/0/hostId", error);
  const auto first = host != nullptr && host->is_int64() ? host->as_int64() : 0;
  if (first <= 0 || first % length != 0 || first / length >= ranges_of(length) ||
      value != json::parse(text_of(static_cast<uint32_t>(first), length))) {
    return fail(Kind::invalid, "{}: not one range of {} user and group ids; the pod has to be deleted", path, length);
  }
  return static_cast<uint32_t>(first / length);
}

}  // namespace

UserRanges::UserRanges(std::string root, uint32_t length) : root_(std::move(root)), length_(length) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/pods", error)) {
    const auto uid = entry.path().filename().string();
    const auto range = range_in(file_of(uid), length_);
    if (range) {
      ranges_[uid] = *range;
      taken_.insert(*range);
    } else if (range.error().kind() != Kind::not_found) {
      log::warning("{}", range.error().message());
    }
  }
}

std::string UserRanges::file_of(const std::string& uid) const {
  return root_ + "/pods/" + uid + "/userns";
}

Result<uint32_t> UserRanges::acquire(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (const auto found = ranges_.find(uid); found != ranges_.end()) {
    return found->second * length_;
  }
  if (const auto unknown = range_in(file_of(uid), length_); !unknown && unknown.error().kind() != Kind::not_found) {
    return std::unexpected(unknown.error());
  }
  uint32_t range = 1;
  while (taken_.contains(range)) {
    ++range;
  }
  if (const auto all = ranges_of(length_); range >= all) {
    return fail(Kind::exhausted, "hostUsers: all {} ranges of ids are taken", all - 1);
  }
  KEELSON_DO(write_file_atomic(file_of(uid), text_of(range * length_, length_), 0644));
  ranges_[uid] = range;
  taken_.insert(range);
  return range * length_;
}

std::optional<uint32_t> UserRanges::of(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = ranges_.find(uid);
  return found == ranges_.end() ? std::nullopt : std::optional(found->second * length_);
}

void UserRanges::release(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (const auto found = ranges_.find(uid); found != ranges_.end()) {
    taken_.erase(found->second);
    ranges_.erase(found);
  }
}

}  // namespace keelson::agent
