// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_records.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/storage/names.h"
#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::storage {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr const char* kFile = "/vol_data.json";

std::string text_of(const json::object& from, const char* key) {
  const auto* value = from.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<std::vector<std::string>> folders_in(const std::string& path) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(path, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    found.push_back(it->path());
  }
  if (error && error.value() != ENOENT && error.value() != ENOTDIR) {
    return fail_errno(error.value(), "list {}", path);
  }
  return found;
}

/// A folder without a record is none of a driver's.
Result<std::vector<CsiRecord>> records_in(const std::string& path) {
  std::vector<CsiRecord> found;
  KEELSON_TRY(const auto folders, folders_in(path));
  for (const auto& folder : folders) {
    auto record = read_record(folder);
    if (record) {
      found.push_back(*std::move(record));
    } else if (record.error().kind() != Kind::not_found) {
      return std::unexpected(std::move(record).error());
    }
  }
  return found;
}

}  // namespace

Result<> write_record(const std::string& folder, const CsiRecord& record) {
  KEELSON_DO(make_directories(folder, 0750));
  const json::object text{{"driverName", record.driver},
                          {"volumeHandle", record.handle},
                          {"specVolID", record.name},
                          {"attachmentID", record.attachment},
                          {"volumeLifecycleMode", record.ephemeral ? "Ephemeral" : "Persistent"},
                          {"groupGiven", record.group_given ? "true" : "false"}};
  return write_file_atomic(folder + kFile, json::serialize(text), 0644);
}

Result<CsiRecord> read_record(const std::string& folder) {
  KEELSON_TRY(const auto text, read_file(folder + kFile));
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error || !value.is_object()) {
    return fail(Kind::invalid, "{}{} is not a JSON object", folder, kFile);
  }
  const auto& from = value.get_object();
  CsiRecord record{.driver = text_of(from, "driverName"),
                   .handle = text_of(from, "volumeHandle"),
                   .name = text_of(from, "specVolID"),
                   .attachment = text_of(from, "attachmentID"),
                   .ephemeral = text_of(from, "volumeLifecycleMode") == "Ephemeral",
                   .group_given = text_of(from, "groupGiven") == "true"};
  if (record.driver.empty() || record.handle.empty()) {
    return fail(Kind::invalid, "{}{} names no driverName or no volumeHandle", folder, kFile);
  }
  return record;
}

Result<std::vector<CsiRecord>> pod_records(const std::string& root, const std::string& uid) {
  return records_in(volumes_dir(root, uid, "csi"));
}

Result<std::vector<PodRecord>> all_pod_records(const std::string& root) {
  std::vector<PodRecord> found;
  KEELSON_TRY(const auto pods, folders_in(root + "/pods"));
  for (const auto& pod : pods) {
    const auto uid = fs::path(pod).filename().string();
    KEELSON_TRY(auto records, pod_records(root, uid));
    for (auto& record : records) {
      found.push_back({uid, std::move(record)});
    }
  }
  return found;
}

Result<std::vector<CsiRecord>> device_records(const std::string& root) {
  std::vector<CsiRecord> found;
  KEELSON_TRY(const auto drivers, folders_in(root + "/plugins/kubernetes.io/csi"));
  for (const auto& driver : drivers) {
    KEELSON_TRY(auto records, records_in(driver));
    std::ranges::move(records, std::back_inserter(found));
  }
  return found;
}

}  // namespace keelson::storage
