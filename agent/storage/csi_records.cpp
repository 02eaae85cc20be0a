// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_records.h"

#include <filesystem>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/storage/names.h"
#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::storage {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr const char* kFile = "/vol_data.json";

std::string text_of(const json::object& from, const char* key) {
  const auto* value = from.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    found.push_back(entry.path());
  }
  return found;
}

std::vector<CsiRecord> records_in(const std::string& path) {
  std::vector<CsiRecord> found;
  for (const auto& folder : folders_in(path)) {
    auto record = read_record(folder);
    if (record) {
      found.push_back(*std::move(record));
    } else if (record.error().kind() != Kind::not_found) {
      log::warning("{}", record.error().message());
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
                          {"volumeLifecycleMode", record.ephemeral ? "Ephemeral" : "Persistent"}};
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
                   .ephemeral = text_of(from, "volumeLifecycleMode") == "Ephemeral"};
  if (record.driver.empty() || record.handle.empty()) {
    return fail(Kind::invalid, "{}{} names no driverName or no volumeHandle", folder, kFile);
  }
  return record;
}

std::vector<CsiRecord> pod_records(const std::string& root, const std::string& uid) {
  return records_in(volumes_dir(root, uid, "csi"));
}

std::vector<PodRecord> all_pod_records(const std::string& root) {
  std::vector<PodRecord> found;
  for (const auto& pod : folders_in(root + "/pods")) {
    const auto uid = fs::path(pod).filename().string();
    for (auto& record : pod_records(root, uid)) {
      found.push_back({uid, std::move(record)});
    }
  }
  return found;
}

std::vector<CsiRecord> device_records(const std::string& root) {
  std::vector<CsiRecord> found;
  for (const auto& driver : folders_in(root + "/plugins/kubernetes.io/csi")) {
    for (auto& record : records_in(driver)) {
      found.push_back(std::move(record));
    }
  }
  return found;
}

}  // namespace keelson::storage
