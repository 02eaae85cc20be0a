// SPDX-License-Identifier: Apache-2.0
// The parts that need no driver: names, records, claims, capabilities, turns.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/storage/claims.h"
#include "agent/storage/csi_capability.h"
#include "agent/storage/csi_records.h"
#include "agent/storage/keyed_turns.h"
#include "agent/storage/names.h"
#include "common/fd.h"

namespace keelson::storage {

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// What attachers and drivers of a cluster compute, too.
TEST(StorageNamesTest, AreTheKubelets) {
  EXPECT_EQ(attachment_name("vol-7", "disk.example.com", "node-1"),
            "csi-b8d8276ec06e973922ed2e0ef93581b13d128894b9ca534d5dafa9435abc79ec");
  EXPECT_EQ(inline_handle("uid-1", "scratch"), "csi-a919eb5a57ed1bf8c61a802fc713b36e9bfa4fbf009dfb5f4206d253a3a3dc32");
  EXPECT_EQ(unique_name("disk.example.com", "vol-7"), "kubernetes.io/csi/disk.example.com^vol-7");
  EXPECT_EQ(
      device_dir("/r", "disk.example.com", "vol-7"),
      "/r/plugins/kubernetes.io/csi/disk.example.com/3b8eaa29ffb6b19f3f6676e1690a58d664b222d12969353cd0edaff789668287");
}

class CsiRecordsTest : public ::testing::Test {
 protected:
  CsiRecordsTest() {
    std::string pattern = "/tmp/keelson-storage-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~CsiRecordsTest() override { fs::remove_all(root_); }
  std::string root_;
};

TEST_F(CsiRecordsTest, AreFoundByPodAndByDevice) {
  const CsiRecord one{.driver = "d", .handle = "h/1", .name = "pv-1", .attachment = "csi-1", .group_given = true};
  const CsiRecord two{.driver = "d", .handle = "h/2", .name = "scratch", .attachment = "", .ephemeral = true};
  ASSERT_TRUE(write_record(volumes_dir(root_, "uid-1", "csi", "pv-1"), one));
  ASSERT_TRUE(write_record(volumes_dir(root_, "uid-2", "csi", "scratch"), two));
  ASSERT_TRUE(write_record(device_dir(root_, "d", "h/1"), one));
  EXPECT_EQ(pod_records(root_, "uid-1").value(), std::vector{one});
  EXPECT_EQ(pod_records(root_, "uid-3").value(), std::vector<CsiRecord>());
  EXPECT_EQ(all_pod_records(root_).value().size(), 2);
  EXPECT_EQ(device_records(root_).value(), std::vector{one});
}

TEST_F(CsiRecordsTest, AFolderWithoutOneIsPassedOverAndOneThatCannotBeReadIsAnError) {
  const auto folder = volumes_dir(root_, "uid-1", "csi", "pv-1");
  ASSERT_TRUE(make_directories(folder + "/mount"));
  EXPECT_EQ(read_record(folder).error().kind(), Kind::not_found);
  EXPECT_TRUE(pod_records(root_, "uid-1").value().empty());
  for (const char* text : {"", "[]", "{}", R"({"driverName": 7})", R"({"driverName": "d"})"}) {
    std::ofstream(folder + "/vol_data.json") << text;
    EXPECT_EQ(read_record(folder).error().kind(), Kind::invalid) << text;
    EXPECT_EQ(pod_records(root_, "uid-1").error().kind(), Kind::invalid) << text;
    EXPECT_EQ(all_pod_records(root_).error().kind(), Kind::invalid) << text;
  }
}

/// An API server of texts by path; what is not there is 404.
class ClaimsTest : public ::testing::Test {
 protected:
  ClaimsTest() {
    pod_.metadata.name = "web";
    pod_.metadata.ns = "shop";
    pod_.metadata.uid = "uid-1";
    volume_.name = "data";
    volume_.persistent_volume_claim = kube::PersistentVolumeClaimVolume{.claim_name = "data"};
    claim(R"("phase":"Bound")", R"("volumeName":"pv-1")");
    texts_["/api/v1/persistentvolumes/pv-1"] = R"({"kind":"PersistentVolume","metadata":{"name":"pv-1"},
      "spec":{"claimRef":{"uid":"c-1"},"nfs":{"server":"s","path":"/x","readOnly":true}}})";
  }
  void claim(const std::string& status, const std::string& spec, const std::string& meta = "",
             const char* name = "data") {
    texts_[fmt::format("/api/v1/namespaces/shop/persistentvolumeclaims/{}", name)] = fmt::format(
        R"({{"kind":"PersistentVolumeClaim","metadata":{{"name":"{}","uid":"c-1"{}}},"spec":{{{}}},"status":{{{}}}}})",
        name, meta, spec, status);
  }
  Result<BoundVolume> bound() {
    std::optional<Result<BoundVolume>> result;
    const agent::ApiCall call = [this](kube::Request request, Duration) { return answer(texts_, request.path); };
    asio::co_spawn(loop_.io(), bound_volume(loop_, call, pod_, volume_),
                   [&](std::exception_ptr, Result<BoundVolume> got) { result.emplace(std::move(got)); });
    loop_.run_until_idle();
    return std::move(result).value_or(fail(Kind::timeout, "no answer"));
  }
  static Task<std::string> answer(std::map<std::string, std::string> texts, std::string path) {
    const auto found = texts.find(path);
    if (found == texts.end()) {
      co_return std::unexpected(Error(Kind::not_found, "\"" + path + "\" not found", 404));
    }
    co_return found->second;
  }
  std::string trouble() {
    auto got = bound();
    return got ? "" : got.error().message();
  }

  FakeClock clock_;
  Loop loop_{clock_, "claims"};
  std::map<std::string, std::string> texts_;
  kube::Pod pod_;
  kube::Volume volume_;
};

TEST_F(ClaimsTest, AClaimLeadsToItsVolume) {
  const auto got = bound();
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->name, "pv-1");
  EXPECT_EQ(got->volume.nfs->server, "s");
  EXPECT_TRUE(got->read_only) << "the volume is";
}

TEST_F(ClaimsTest, WhatIsNotReadyIsNamed) {
  texts_.erase("/api/v1/persistentvolumes/pv-1");
  EXPECT_THAT(trouble(), HasSubstr("error processing PVC shop/data: failed to fetch PersistentVolume pv-1"));
  claim(R"("phase":"Pending")", "");
  EXPECT_EQ(trouble(), "error processing PVC shop/data: PVC is not bound");
  claim(R"("phase":"Bound")", R"("volumeName":"pv-1")", R"(,"deletionTimestamp":"2026-01-01T00:00:00Z")");
  EXPECT_EQ(trouble(), "error processing PVC shop/data: PVC is being deleted");
  texts_.clear();
  EXPECT_THAT(trouble(), HasSubstr("error processing PVC shop/data: failed to fetch PVC from API server"));
}

TEST_F(ClaimsTest, AVolumeOfAnotherClaimIsNotUsed) {
  texts_["/api/v1/persistentvolumes/pv-1"] = R"({"kind":"PersistentVolume","metadata":{"name":"pv-1"},
    "spec":{"claimRef":{"uid":"c-2"},"nfs":{"server":"s","path":"/x"}}})";
  EXPECT_EQ(trouble(), "error processing PVC shop/data: PV pv-1 is not bound to this claim");
}

TEST_F(ClaimsTest, AnEphemeralVolumesClaimIsThePodsOwn) {
  volume_.persistent_volume_claim.reset();
  volume_.ephemeral.emplace();
  claim(R"("phase":"Bound")", R"("volumeName":"pv-1")", "", "web-data");
  EXPECT_EQ(trouble(),
            "error processing PVC shop/web-data: PVC web-data was not created for pod web (pod is not owner)");
  claim(R"("phase":"Bound")", R"("volumeName":"pv-1")", R"(,"ownerReferences":[{"uid":"uid-1","controller":true}])",
        "web-data");
  EXPECT_EQ(trouble(), "");
}

TEST(CsiCapabilityTest, WritersOfANodeAreToldApartToDriversThatDo) {
  Loop loop(real_clock(), "driver");
  RegisteredDriver driver(loop, "/nowhere");
  using Mode = csi::v1::VolumeCapability::AccessMode;
  const auto mode = [&](kube::AccessMode wanted) {
    BoundVolume bound{.name = "v", .volume = {}};
    bound.volume.csi.emplace();
    bound.volume.access_modes = {wanted};
    return capability_of(bound, driver, {}).access_mode().mode();
  };
  EXPECT_EQ(mode(kube::AccessMode::read_write_once), Mode::SINGLE_NODE_WRITER);
  EXPECT_EQ(mode(kube::AccessMode::read_write_once_pod), Mode::SINGLE_NODE_WRITER);
  EXPECT_EQ(mode(kube::AccessMode::read_only_many), Mode::MULTI_NODE_READER_ONLY);
  EXPECT_EQ(mode(kube::AccessMode::read_write_many), Mode::MULTI_NODE_MULTI_WRITER);
  driver.capabilities.insert(csi::v1::NodeServiceCapability::RPC::SINGLE_NODE_MULTI_WRITER);
  EXPECT_EQ(mode(kube::AccessMode::read_write_once), Mode::SINGLE_NODE_MULTI_WRITER);
  EXPECT_EQ(mode(kube::AccessMode::read_write_once_pod), Mode::SINGLE_NODE_SINGLE_WRITER);
}

TEST(CsiCapabilityTest, FilesAreGivenToTheGroupByThePolicy) {
  Loop loop(real_clock(), "driver");
  RegisteredDriver driver(loop, "/nowhere");
  using Policy = kube::FsGroupPolicy;
  BoundVolume bound{.name = "v", .volume = {}};
  bound.volume.csi.emplace();
  bound.volume.access_modes = {kube::AccessMode::read_write_once};
  EXPECT_FALSE(is_given_to_group(bound, Policy::read_write_once_with_fs_type, driver)) << "no file system is named";
  EXPECT_TRUE(is_given_to_group(bound, Policy::file, driver));
  EXPECT_FALSE(is_given_to_group(bound, Policy::none, driver));
  bound.volume.csi->fs_type = "ext4";
  EXPECT_TRUE(is_given_to_group(bound, Policy::read_write_once_with_fs_type, driver));
  bound.volume.access_modes = {kube::AccessMode::read_write_once_pod};
  EXPECT_TRUE(is_given_to_group(bound, Policy::read_write_once_with_fs_type, driver));
  bound.volume.access_modes = {kube::AccessMode::read_write_many};
  EXPECT_FALSE(is_given_to_group(bound, Policy::read_write_once_with_fs_type, driver));
  bound.read_only = true;
  EXPECT_FALSE(is_given_to_group(bound, Policy::file, driver));
  bound.read_only = false;
  driver.capabilities.insert(csi::v1::NodeServiceCapability::RPC::VOLUME_MOUNT_GROUP);
  EXPECT_FALSE(is_given_to_group(bound, Policy::file, driver)) << "the driver mounts with it";
  EXPECT_EQ(capability_of(bound, driver, 77).mount().volume_mount_group(), "77");
}

Task<> hold(KeyedTurns& turns, std::string key, Loop& loop, std::vector<std::string>& said, std::string name) {
  KEELSON_CO_TRY(const auto turn, co_await turns.take(key));
  said.push_back(name + " begins");
  KEELSON_CO_DO(co_await loop.sleep(std::chrono::seconds(1)));
  said.push_back(name + " ends");
  co_return Result<>();
}

TEST(KeyedTurnsTest, OneAtATimeForAKeyAndNobodyWaitsForAnother) {
  FakeClock clock;
  Loop loop(clock, "turns");
  KeyedTurns turns(loop);
  std::vector<std::string> said;
  for (const auto& [key, name] : std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"a", "2"}, {"b", "3"}}) {
    asio::co_spawn(loop.io(), hold(turns, key, loop, said, name), [](std::exception_ptr, Result<>) {});
  }
  loop.run_until_idle();
  EXPECT_EQ(said, (std::vector<std::string>{"1 begins", "3 begins"}));
  loop.advance(clock, std::chrono::seconds(3));
  EXPECT_EQ(said, (std::vector<std::string>{"1 begins", "3 begins", "1 ends", "2 begins", "3 ends", "2 ends"}));
}

}  // namespace

}  // namespace keelson::storage
