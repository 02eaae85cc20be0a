// SPDX-License-Identifier: Apache-2.0
// Volumes that grow: what a claim says of it, and what a node does and tells.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

#include <boost/asio/co_spawn.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/storage/claim_growth.h"
#include "agent/storage/volume_growth.h"
#include "tests/support/strategic_merge.h"

namespace keelson::storage {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

kube::Quantity gibibytes(int64_t count) {
  return kube::Quantity::of(count << 30, kube::Quantity::Format::binary_si);
}

class ClaimGrowthTest : public ::testing::Test {
 protected:
  ClaimGrowthTest() {
    claim.metadata.resource_version = "7";
    claim.capacity["storage"] = gibibytes(1);
  }
  void tell(const std::string& status) {
    claim.allocated["storage"] = gibibytes(2);
    claim.allocated_statuses["storage"] = status;
  }
  ClaimGrowth growth() const { return growth_of(claim, gibibytes(3)); }
  kube::PersistentVolumeClaim claim;
};

TEST_F(ClaimGrowthTest, OfAnOlderControllerTheCapacityAloneCounts) {
  EXPECT_TRUE(growth().wanted);
  EXPECT_FALSE(growth().told);
  EXPECT_EQ(growth().size, gibibytes(3));
}

TEST_F(ClaimGrowthTest, TheNodesTurnIsWhatTheStatusSaysAndTheSizeWhatIsAllocated) {
  const std::map<std::string, bool> expected = {{"ControllerResizeInProgress", false},
                                                {"ControllerResizeInfeasible", false},
                                                {"NodeResizePending", true},
                                                {"NodeResizeInProgress", true},
                                                {"NodeResizeInfeasible", false}};
  for (const auto& [status, wanted] : expected) {
    tell(status);
    EXPECT_EQ(growth().wanted, wanted) << status;
    EXPECT_FALSE(growth().recorded) << status;
    EXPECT_TRUE(growth().told) << status;
    EXPECT_EQ(growth().size, gibibytes(2)) << status;
  }
}

TEST_F(ClaimGrowthTest, WhatAnotherNodeHasRecordedIsDoneHereForVolumesOfManyNodesAlone) {
  claim.allocated["storage"] = claim.capacity["storage"] = gibibytes(3);
  claim.access_modes = {kube::AccessMode::read_write_once};
  EXPECT_TRUE(growth().recorded);
  EXPECT_FALSE(growth().wanted);
  claim.access_modes.push_back(kube::AccessMode::read_write_many);
  EXPECT_TRUE(growth().wanted);
  claim.metadata.annotations["volume.kubernetes.io/node-expansion-not-required"] = "true";
  EXPECT_FALSE(growth().wanted);
}

TEST_F(ClaimGrowthTest, PatchesSayWhatTheKubeletsDo) {
  tell("NodeResizePending");
  claim.conditions = {{"FileSystemResizePending", "True"}, {"Mine", "True"}};
  EXPECT_EQ(growing_patch(claim),
            R"({"metadata":{"resourceVersion":"7"},"status":{"allocatedResourceStatuses":{"storage":)"
            R"("NodeResizeInProgress"}}})");
  EXPECT_EQ(grown_patch(claim, gibibytes(2)),
            R"({"metadata":{"resourceVersion":"7"},"status":{"capacity":{"storage":"2Gi"},)"
            R"("allocatedResourceStatuses":{"storage":null},)"
            R"("conditions":[{"$patch":"delete","type":"FileSystemResizePending"}]}})");
  EXPECT_EQ(not_grown_patch(claim, true, "no", FakeClock().wall()),
            R"({"status":{"allocatedResourceStatuses":{"storage":"NodeResizeInfeasible"},)"
            R"("conditions":[{"type":"NodeResizeError","status":"True",)"
            R"("lastTransitionTime":"2023-11-14T22:13:20Z","message":"failed to expand pvc with no"}]}})");
  claim.conditions.push_back({"NodeResizeError", "True"});
  EXPECT_EQ(not_grown_patch(claim, false, "no", FakeClock().wall()), "") << "it is told";
}

/// A claim and its volume as an API server keeps them, and a driver that does as it is told.
class VolumeGrowthTest : public ::testing::Test {
 protected:
  VolumeGrowthTest()
      : growth_(loop_, [this](kube::Request request, Duration) { return serve(std::move(request)); }, held_,
                {.node_name = "node-1",
                 .grow = [this](SharedHeldVolume, int64_t bytes) { return grow(bytes); },
                 .record =
                     [this](const kube::ObjectReference& about, agent::EventType, std::string_view reason,
                            const std::string& message) {
                       events_.push_back(fmt::format("{} {}: {}", about.kind, reason, message));
                     }}) {
    claim_ = json::parse(R"({"kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"shop","uid":"c-1",
        "resourceVersion":"7"},"spec":{"volumeName":"pv-1","resources":{"requests":{"storage":"2Gi"}}},
      "status":{"phase":"Bound","capacity":{"storage":"1Gi"}}})")
                 .as_object();
  }
  ~VolumeGrowthTest() override {
    asio::co_spawn(loop_.io(), growth_.close(), [](std::exception_ptr, Result<>) {});
    loop_.run_until_idle();
  }

  Task<std::string> serve(kube::Request request) {
    if (request.method == "PATCH") {
      patches_.push_back(request.body);
      auto patch = json::parse(request.body).as_object();
      if (refused_patches_-- > 0) {
        co_return std::unexpected(Error(Kind::conflict, "the object has been modified", 409));
      }
      patch.erase("metadata");
      merge(patch);
    }
    if (request.path.starts_with("/api/v1/persistentvolumes/")) {
      co_return fmt::format(R"({{"kind":"PersistentVolume","metadata":{{"name":"pv-1"}},"spec":{{
        "capacity":{{"storage":"{}"}},"claimRef":{{"uid":"c-1"}},"csi":{{"driver":"d","volumeHandle":"h"}}}}}})",
                            volume_size_);
    }
    co_return json::serialize(claim_);
  }
  void merge(const json::object& patch) { keelson::testing::strategic_merge(claim_, patch); }

  Task<Growing> grow(int64_t bytes) {
    grown_.push_back(gibibytes(bytes >> 30).to_string());
    co_return answer_;
  }

  /// A controller has made it larger.
  void enlarge(const std::string& size, bool told = true) {
    volume_size_ = size;
    if (told) {
      merge(
          json::parse(fmt::format(R"({{"status":{{"allocatedResources":{{"storage":"{}"}},"allocatedResourceStatuses":)"
                                  R"({{"storage":"NodeResizePending"}},"conditions":[{{"type":)"
                                  R"("FileSystemResizePending","status":"True"}}]}}}})",
                                  size))
              .as_object());
    }
  }
  std::string status() const { return json::serialize(claim_.at("status")); }

  SharedHeldVolume volume(bool read_only = false) {
    HeldVolume volume{.pod = {}, .name = "files", .bound = {.name = "pv-1", .volume = {}}};
    volume.pod.name = "web";
    volume.pod.ns = "shop";
    volume.pod.uid = "uid-1";
    volume.bound.volume.claim = kube::ClaimReference{"shop", "data", "c-1"};
    volume.bound.volume.csi.emplace();
    volume.bound.volume.capacity["storage"] = kube::Quantity::parse(volume_size_).value();
    volume.bound.claim_capacity =
        kube::Quantity::parse(std::string_view(claim_.at("status").at("capacity").at("storage").as_string())).value();
    volume.bound.read_only = read_only;
    return std::make_shared<const HeldVolume>(std::move(volume));
  }
  /// Its error.
  std::string mount(bool read_only = false) {
    std::optional<Result<>> result;
    auto one = volume(read_only);
    asio::co_spawn(loop_.io(), growth_.at_mount(one),
                   [&](std::exception_ptr, Result<> got) { result.emplace(std::move(got)); });
    loop_.run_until_idle();
    if (!result) {
      return "it has not ended";
    }
    if (*result) {
      held_[{"uid-1", "files"}] = one;
    }
    return *result ? "" : result->error().message();
  }
  void run() {
    asio::co_spawn(loop_.io(), growth_.run(), [](std::exception_ptr, Result<>) {});
    loop_.run_until_idle();
  }
  void wait_minutes(int count) { loop_.advance(clock_, std::chrono::minutes(count)); }

  FakeClock clock_;
  Loop loop_{clock_, "growth"};
  HeldVolumes held_;
  std::vector<std::string> patches_, events_, grown_;
  json::object claim_;
  std::string volume_size_ = "1Gi";
  Growing answer_;
  int refused_patches_ = 0;
  VolumeGrowth growth_;
};

constexpr const char* kSucceeded = "MountVolume.NodeExpandVolume succeeded for volume \"pv-1\" node-1";

TEST_F(VolumeGrowthTest, AVolumeThatHasItsSizeIsLeftAlone) {
  EXPECT_EQ(mount(), "");
  run();
  wait_minutes(3);
  EXPECT_THAT(grown_, IsEmpty());
  EXPECT_THAT(patches_, IsEmpty());
}

TEST_F(VolumeGrowthTest, AVolumeGrowsBeforeItsPodHasIt) {
  enlarge("2Gi");
  EXPECT_EQ(mount(), "");
  EXPECT_THAT(grown_, ElementsAre("2Gi"));
  EXPECT_THAT(patches_,
              ElementsAre(HasSubstr("NodeResizeInProgress"), HasSubstr("\"capacity\":{\"storage\":\"2Gi\"}")));
  EXPECT_EQ(json::parse(status()), json::parse(R"({"phase":"Bound","capacity":{"storage":"2Gi"},
    "allocatedResources":{"storage":"2Gi"},"allocatedResourceStatuses":{},"conditions":[]})"));
  EXPECT_THAT(events_, ElementsAre(fmt::format("Pod FileSystemResizeSuccessful: {}", kSucceeded),
                                   fmt::format("PersistentVolumeClaim FileSystemResizeSuccessful: {}", kSucceeded)));
  run();
  wait_minutes(3);
  EXPECT_EQ(grown_.size(), 1U) << "it has its size";
}

TEST_F(VolumeGrowthTest, AVolumeGrowsWhileAPodHasIt) {
  EXPECT_EQ(mount(), "");
  run();
  enlarge("2Gi");
  wait_minutes(1);
  EXPECT_THAT(grown_, ElementsAre("2Gi"));
  EXPECT_THAT(status(), HasSubstr("\"capacity\":{\"storage\":\"2Gi\"}"));
  enlarge("3Gi", false);
  claim_["status"].as_object().erase("allocatedResources");
  wait_minutes(1);
  EXPECT_THAT(grown_, ElementsAre("2Gi", "3Gi")) << "by an older controller";
  held_.clear();
  growth_.forget_unheld();
  enlarge("4Gi");
  wait_minutes(2);
  EXPECT_EQ(grown_.size(), 2U) << "nobody has it";
}

TEST_F(VolumeGrowthTest, WhatFailsAtTheMountKeepsThePodFromTheVolumeUntilNothingMoreCanBeDone) {
  enlarge("2Gi");
  answer_ = {Growing::End::failed, "the disk is on fire"};
  EXPECT_EQ(mount(), "MountVolume.Setup failed while expanding volume for volume \"pv-1\" : the disk is on fire");
  EXPECT_THAT(status(), HasSubstr("\"message\":\"failed to expand pvc with the disk is on fire\""));
  EXPECT_THAT(status(), HasSubstr("\"FileSystemResizePending\"")) << "it still is";
  EXPECT_NE(mount(), "") << "it is tried again";
  claim_["spec"].as_object()["resources"] = {{"requests", {{"storage", "1Gi"}}}};
  EXPECT_NE(mount(), "");
  EXPECT_THAT(status(), HasSubstr("NodeResizeInfeasible")) << "its user wants another size now: the controller's turn";
  EXPECT_EQ(mount(), "");
  EXPECT_EQ(grown_.size(), 3U);
}

TEST_F(VolumeGrowthTest, WhatADriverSaysCannotBeIsNotTriedAgain) {
  enlarge("2Gi");
  answer_ = {Growing::End::infeasible, "too large"};
  EXPECT_NE(mount(), "");
  EXPECT_THAT(status(), HasSubstr("NodeResizeInfeasible"));
  EXPECT_EQ(mount(), "");
  EXPECT_EQ(grown_.size(), 1U);
}

TEST_F(VolumeGrowthTest, WhatMayStillGoOnIsNotToldAsAFailure) {
  enlarge("2Gi");
  answer_ = {Growing::End::unknown, "no answer"};
  EXPECT_NE(mount(), "");
  EXPECT_THAT(status(), ::testing::Not(HasSubstr("NodeResizeError")));
  answer_ = {};
  EXPECT_EQ(mount(), "");
  EXPECT_THAT(status(), HasSubstr("\"capacity\":{\"storage\":\"2Gi\"}"));
}

TEST_F(VolumeGrowthTest, ADriverThatCannotWhileItIsUsedIsAskedOnce) {
  EXPECT_EQ(mount(), "");
  run();
  enlarge("2Gi");
  answer_ = {Growing::End::in_use, "unmount it"};
  wait_minutes(5);
  EXPECT_EQ(grown_.size(), 1U);
  held_.clear();
  growth_.forget_unheld();
  answer_ = {};
  EXPECT_EQ(mount(), "");
  EXPECT_EQ(grown_.size(), 2U) << "the next pod finds it free";
}

TEST_F(VolumeGrowthTest, WhatFailsLaterIsAnEventOfThePodAndTriedAgain) {
  EXPECT_EQ(mount(), "");
  run();
  enlarge("2Gi");
  answer_ = {Growing::End::failed, "busy"};
  wait_minutes(1);
  EXPECT_THAT(events_, ElementsAre("Pod VolumeResizeFailed: NodeExpandVolume.NodeExpandVolume failed for volume "
                                   "\"pv-1\" : busy"));
  answer_ = {};
  wait_minutes(1);
  EXPECT_THAT(status(), HasSubstr("\"capacity\":{\"storage\":\"2Gi\"}"));
  EXPECT_THAT(status(), ::testing::Not(HasSubstr("NodeResizeError")));
}

TEST_F(VolumeGrowthTest, AClaimThatHasChangedMeanwhileIsReadAnew) {
  enlarge("2Gi");
  refused_patches_ = 1;
  EXPECT_THAT(mount(), HasSubstr("patchPVCStatus failed to patch PVC \"data\": the object has been modified"));
  EXPECT_THAT(grown_, IsEmpty());
  EXPECT_EQ(mount(), "");
  EXPECT_THAT(grown_, ElementsAre("2Gi"));
}

TEST_F(VolumeGrowthTest, AVolumeThatIsOnlyReadDoesNotGrowAndSaysSo) {
  enlarge("2Gi");
  EXPECT_EQ(mount(true), "");
  EXPECT_THAT(grown_, IsEmpty());
  EXPECT_THAT(events_,
              ElementsAre(HasSubstr("Pod FileSystemResizeFailed: MountVolume.NodeExpandVolume failed for volume "
                                    "\"pv-1\" requested read-only file system"),
                          HasSubstr("PersistentVolumeClaim FileSystemResizeFailed")));
}

TEST_F(VolumeGrowthTest, AnOlderControllersDriverThatDoesNotGrowVolumesHasDoneSo) {
  enlarge("2Gi", false);
  answer_ = {Growing::End::unsupported, "not by this driver"};
  EXPECT_EQ(mount(), "");
  EXPECT_THAT(patches_, IsEmpty());
  run();
  wait_minutes(2);
  EXPECT_EQ(grown_.size(), 1U);
}

}  // namespace
}  // namespace keelson::storage
