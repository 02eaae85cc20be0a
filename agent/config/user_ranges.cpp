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

constexpr uint32_t kRanges = 65535;  // the last one would have the id that means "none"

std::string text_of(uint32_t first) {
  const json::array mappings = {{{"hostId", first}, {"containerId", 0}, {"length", UserRanges::kLength}}};
  return json::serialize(json::object{{"uidMappings", mappings}, {"gidMappings", mappings}});
}

/// The number of the range. Nothing but our own text is understood.
Result<uint32_t> range_in(const std::string& path) {
  KEELSON_TRY(const auto text, read_file(path));
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto* host = error ? nullptr : value.find_pointer("/uidMappings/0/hostId", error);
  const auto first = host != nullptr && host->is_int64() ? host->as_int64() : 0;
  if (first <= 0 || first % UserRanges::kLength != 0 || first / UserRanges::kLength >= kRanges ||
      value != json::parse(text_of(static_cast<uint32_t>(first)))) {
    return fail(Kind::invalid, "{}: not one range of {} user and group ids; the pod has to be deleted", path,
                UserRanges::kLength);
  }
  return static_cast<uint32_t>(first / UserRanges::kLength);
}

}  // namespace

UserRanges::UserRanges(std::string root) : root_(std::move(root)) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/pods", error)) {
    const auto uid = entry.path().filename().string();
    const auto range = range_in(file_of(uid));
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
    return found->second * kLength;
  }
  if (const auto unknown = range_in(file_of(uid)); !unknown && unknown.error().kind() != Kind::not_found) {
    return std::unexpected(unknown.error());
  }
  uint32_t range = 1;
  while (taken_.contains(range)) {
    ++range;
  }
  if (range >= kRanges) {
    return fail(Kind::exhausted, "hostUsers: all {} ranges of ids are taken", kRanges - 1);
  }
  KEELSON_DO(write_file_atomic(file_of(uid), text_of(range * kLength), 0644));
  ranges_[uid] = range;
  taken_.insert(range);
  return range * kLength;
}

std::optional<uint32_t> UserRanges::of(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = ranges_.find(uid);
  return found == ranges_.end() ? std::nullopt : std::optional(found->second * kLength);
}

void UserRanges::release(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (const auto found = ranges_.find(uid); found != ranges_.end()) {
    taken_.erase(found->second);
    ranges_.erase(found);
  }
}

}  // namespace keelson::agent
