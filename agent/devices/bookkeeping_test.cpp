// SPDX-License-Identifier: Apache-2.0
// Which devices are chosen, in which words there are none, and what is on disk of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/devices/checkpoint.h"
#include "agent/devices/inventory.h"
#include "agent/devices/proto/device_plugin.pb.h"
#include "agent/devices/response.h"
#include "kube/resource_names.h"

namespace keelson::devices {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr const char* kResource = "example.com/dongle";

Wish wish(int64_t count, const std::string& pod = "uid-1") {
  return {.pod = pod, .container = "main", .resource = kResource, .count = count};
}

std::vector<Device> three() {
  return {{.id = "a", .healthy = true, .numa_nodes = {}},
          {.id = "b", .healthy = true, .numa_nodes = {0, 1}},
          {.id = "c", .healthy = false, .numa_nodes = {}}};
}

std::string trouble(const Result<Choice>& choice) {
  return choice ? "" : choice.error().message();
}

int64_t amount(const kube::ResourceList& list) {
  const auto found = list.find(kResource);
  return found != list.end() ? found->second.whole() : -1;
}

TEST(InventoryTest, TheNodeHasAllDevicesAndPodsMayHaveTheHealthyOnes) {
  Inventory inventory;
  EXPECT_EQ(amount(inventory.totals().capacity), -1);
  inventory.listed(kResource, three());
  EXPECT_EQ(amount(inventory.totals().capacity), 3);
  EXPECT_EQ(amount(inventory.totals().allocatable), 2);
  inventory.listed(kResource, {{.id = "a", .healthy = true, .numa_nodes = {}}});
  EXPECT_EQ(amount(inventory.totals().capacity), 1) << "those are all";
  inventory.stopped(kResource);
  EXPECT_EQ(amount(inventory.totals().capacity), 1);
  EXPECT_EQ(amount(inventory.totals().allocatable), 0);
  inventory.removed(kResource);
  EXPECT_EQ(amount(inventory.totals().capacity), 0) << "it is told that they have gone";
  EXPECT_THAT(inventory.resources(), IsEmpty());
  inventory.expect(kResource);
  EXPECT_EQ(amount(inventory.totals().capacity), 0);
  EXPECT_THAT(inventory.resources(), ElementsAre(kResource));
}

TEST(InventoryTest, WhatSomebodyHasIsNotChosen) {
  Inventory inventory;
  inventory.listed(kResource, three());
  auto choice = inventory.choose(wish(1), {});
  ASSERT_TRUE(choice);
  EXPECT_THAT(choice->available, ElementsAre("a", "b"));
  EXPECT_THAT(choice->complete({}), ElementsAre("a"));
  EXPECT_THAT(choice->complete({"b", "c", "z"}), ElementsAre("b")) << "as its plugin prefers";
  inventory.hold(kResource, {"a"});
  EXPECT_EQ(trouble(inventory.choose(wish(2), {})),
            "requested number of devices unavailable for example.com/dongle. Requested: 2, Available: 1");
  inventory.unhold(kResource, {"a"});
  inventory.assign("uid-2", {{"main", {{kResource, inventory.describe(kResource, {"b"}, "")}}}});
  EXPECT_THAT(inventory.choose(wish(1), {})->available, ElementsAre("a"));
  EXPECT_TRUE(inventory.release("uid-2"));
  EXPECT_FALSE(inventory.release("uid-2"));
  EXPECT_TRUE(inventory.choose(wish(2), {}));
}

TEST(InventoryTest, InitContainersLeaveTheirDevicesToThoseAfterThem) {
  Inventory inventory;
  inventory.listed(kResource, three());
  inventory.hold(kResource, {"a"});
  const auto choice = inventory.choose(wish(2), {"a"});
  ASSERT_TRUE(choice) << choice.error().message();
  EXPECT_EQ(choice->left, 1);
  EXPECT_THAT(choice->complete({}), ElementsAre("a", "b"));
  EXPECT_THAT(inventory.choose(wish(1), {"a", "b"})->complete({}), ElementsAre("a")) << "no more than it wants";
}

TEST(InventoryTest, WhyThereIsNone) {
  Inventory inventory;
  EXPECT_EQ(trouble(inventory.choose(wish(1), {})), "cannot allocate unregistered device example.com/dongle");
  inventory.expect(kResource);
  EXPECT_EQ(trouble(inventory.choose(wish(1), {})),
            "no healthy devices present; cannot allocate unhealthy devices example.com/dongle");
  inventory.listed(kResource, three());
  EXPECT_TRUE(inventory.check_kept(kResource, {"a", "b"}));
  EXPECT_EQ(inventory.check_kept(kResource, {"a", "c"}).error().message(),
            "previously allocated devices are no longer healthy; cannot allocate unhealthy devices example.com/dongle");
}

TEST(InventoryTest, ADeviceIsOfItsNumaNodes) {
  Inventory inventory;
  inventory.listed(kResource, three());
  EXPECT_THAT(inventory.describe(kResource, {"a", "b"}, "x").devices,
              ElementsAre(Pair(kNoNumaNode, ElementsAre("a")), Pair(0, ElementsAre("b")), Pair(1, ElementsAre("b"))));
  EXPECT_THAT(inventory.describe(kResource, {"a", "b"}, "x").ids(), ElementsAre("a", "b"));
}

TEST(InventoryTest, AResourceInUseIsStillKnownWhenItsPluginHasGone) {
  Inventory inventory;
  inventory.listed(kResource, three());
  inventory.assign("uid-1", {{"main", {{kResource, inventory.describe(kResource, {"b"}, "")}}}});
  inventory.removed(kResource);
  EXPECT_THAT(inventory.resources(), ElementsAre(kResource));
  inventory.release("uid-1");
  EXPECT_THAT(inventory.resources(), IsEmpty());
}

Checkpoint full() {
  Checkpoint checkpoint;
  checkpoint.assigned["uid-1"]["main"]["example.com/b"] = {.devices = {{-1, {"x"}}, {0, {"y", "z"}}, {10, {"q"}}},
                                                           .response = {10, 8, 0, '\xff'}};
  checkpoint.assigned["uid-2"]["side"]["example.com/b"] = {.devices = {{-1, {"y"}}}, .response = ""};
  checkpoint.registered = {{"example.com/a", {}}, {"example.com/b", {"x", "y"}}};
  checkpoint.boot_id = "boot-1";
  return checkpoint;
}

TEST(CheckpointTest, IsReadAsItWasWritten) {
  for (const auto& checkpoint : {Checkpoint(), full()}) {
    const auto read = decode(encode(checkpoint));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, checkpoint);
  }
}

// Texts and checksums as a kubelet 1.34 makes them, of the same structs and the same go-spew.
TEST(CheckpointTest, IsTheKubelets) {
  EXPECT_EQ(encode({}), R"({"Data":{"PodDeviceEntries":null,"RegisteredDevices":{}},"Checksum":3467439661})");
  const auto read =
      decode(R"({"Data":{"PodDeviceEntries":[{"PodUID":"uid-1","ContainerName":"main","ResourceName":"example.com/b",)"
             R"("DeviceIDs":{"-1":["x"],"0":["y","z"],"10":["q"],"2":null},"AllocResp":"CggA/w=="},{"PodUID":"uid-1",)"
             R"("ContainerName":"\"q\" é\n","ResourceName":"example.com/b","DeviceIDs":{"-1":["y"]},"AllocResp":""},)"
             R"({"PodUID":"","ContainerName":"","ResourceName":"","DeviceIDs":null,"AllocResp":null}],)"
             R"("RegisteredDevices":{"example.com/b":["y","x"]}},"Checksum":1621823011})");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->assigned.at("uid-1").at("main").at("example.com/b").response, std::string("\x0a\x08\x00\xff", 4));
  EXPECT_THAT(read->registered, ElementsAre(Pair("example.com/b", ElementsAre("x", "y"))));
  EXPECT_EQ(read->boot_id, "");
  EXPECT_TRUE(decode(R"({"Data":{"PodDeviceEntries":null,"RegisteredDevices":{"example.com/a":[],)"
                     R"("example.com/b":["y","x"]}},"Checksum":911457733})"));
  EXPECT_TRUE(decode(R"({"Data":{"PodDeviceEntries":[],"RegisteredDevices":null},"Checksum":3252601439})"));
}

TEST(CheckpointTest, WhatIsNotOneIsRefused) {
  for (const char* text : {"", "[]", "{}", "7", R"({"Data":7,"Checksum":1})", R"({"Data":{},"Checksum":"x"})",
                           R"({"Data":{"PodDeviceEntries":[7],"RegisteredDevices":{}},"Checksum":1})",
                           R"({"Data":{"PodDeviceEntries":[{"DeviceIDs":{"x":[]}}]},"Checksum":1})",
                           R"({"Data":{"PodDeviceEntries":[{"AllocResp":"*"}]},"Checksum":1})"}) {
    const auto read = decode(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind(), Kind::invalid) << text;
  }
  auto text = encode(full());
  text.replace(text.find("uid-1"), 5, "uid-9");
  EXPECT_THAT(decode(text).error().message(), HasSubstr("checksum"));
}

TEST(ResponseTest, WhatTwoPluginsGiveUnderOneNameIsTheFirsts) {
  v1beta1::ContainerAllocateResponse first;
  (*first.mutable_envs())["KEY"] = "first";
  (*first.mutable_annotations())["note"] = "first";
  auto* mount = first.add_mounts();
  mount->set_container_path("/lib/x");
  mount->set_host_path("/opt/x");
  mount->set_read_only(true);
  auto* device = first.add_devices();
  device->set_container_path("/dev/x");
  device->set_host_path("/dev/null");
  device->set_permissions("rw");
  first.add_cdi_devices()->set_name("example.com/x=1");
  auto second = first;
  (*second.mutable_envs())["KEY"] = "second";
  (*second.mutable_envs())["OTHER"] = "second";
  const auto out = allotment_of({{"example.com/a", {.devices = {}, .response = first.SerializeAsString()}},
                                 {"example.com/b", {.devices = {}, .response = second.SerializeAsString()}},
                                 {"example.com/c", {.devices = {}, .response = "\xff\xff"}}});
  EXPECT_THAT(out.envs, ElementsAre(Pair("KEY", "first"), Pair("OTHER", "second")));
  EXPECT_THAT(out.annotations, ElementsAre(Pair("note", "first")));
  ASSERT_EQ(out.mounts.size(), 1);
  EXPECT_EQ(out.mounts[0].host_path, "/opt/x");
  EXPECT_TRUE(out.mounts[0].read_only);
  ASSERT_EQ(out.devices.size(), 1);
  EXPECT_EQ(out.devices[0].permissions, "rw");
  EXPECT_THAT(out.cdi_devices, ElementsAre("example.com/x=1"));
}

TEST(ResourceNameTest, IsAnExtendedResources) {
  for (const char* name : {"example.com/dongle", "a/B_c.d-1"}) {
    EXPECT_TRUE(kube::is_valid_extended_resource(name)) << name;
  }
  for (const char* name : {"", "dongle", "cpu", "kubernetes.io/x", "requests.example.com/x", "/x", "example.com/",
                           "Example.com/x", "example.com/-x", "example.com/a/b"}) {
    EXPECT_FALSE(kube::is_valid_extended_resource(name)) << name;
  }
}

}  // namespace
}  // namespace keelson::devices
