// SPDX-License-Identifier: Apache-2.0
// What a node remembers of its API servers.
#include "kube/client/known_servers.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KnownServersTest : public ::testing::Test {
 protected:
  ~KnownServersTest() override { ::unlink(path_.c_str()); }

  static EndpointSlice slice(std::string ns, std::string service, std::vector<std::string> addresses) {
    EndpointSlice slice;
    slice.metadata.name = service + (addresses.empty() || addresses[0].find(':') == std::string::npos ? "-4" : "-6");
    slice.metadata.ns = std::move(ns);
    slice.metadata.labels["kubernetes.io/service-name"] = std::move(service);
    slice.ports = {{.name = "https", .port = 6443}};
    for (auto& address : addresses) {
      slice.endpoints.push_back({.addresses = {std::move(address)}});
    }
    return slice;
  }

  const std::string path_ = ::testing::TempDir() + "/api-servers-" + std::to_string(::getpid()) + ".json";
};

TEST_F(KnownServersTest, RemembersTheReadyOnesOfDefaultKubernetes) {
  auto four = slice("default", "kubernetes", {"10.0.0.2", "10.0.0.1", "10.0.0.3"});
  four.endpoints[2].ready = false;
  const auto six = slice("default", "kubernetes", {"fd00::1"});
  const auto other = slice("shop", "kubernetes", {"10.9.9.9"});
  const auto neighbour = slice("default", "web", {"10.8.8.8"});
  KnownServers known(path_);
  ASSERT_THAT(known.load().value(), IsEmpty());
  EXPECT_TRUE(known.synced({four, other, six, neighbour}).value());
  EXPECT_FALSE(known.changed({.changed = {six, other}, .removed = {{.name = "default/none"}}}).value())
      << "nothing new";
  KnownServers later(path_);
  EXPECT_THAT(later.load().value(), ElementsAre(ServerAddress{"10.0.0.1", 6443}, ServerAddress{"10.0.0.2", 6443},
                                                ServerAddress{"fd00::1", 6443}));
  EXPECT_FALSE(later.synced({four, six}).value());
  EXPECT_TRUE(later.changed({.changed = {}, .removed = {{.name = full_name(six.metadata)}}}).value());
  EXPECT_EQ(later.servers().size(), 2U);
}

TEST_F(KnownServersTest, NeverForgetsTheLastOnes) {
  const auto one = slice("default", "kubernetes", {"10.0.0.1"});
  const auto none = slice("default", "kubernetes", {});
  KnownServers known(path_);
  EXPECT_TRUE(known.synced({one}).value());
  EXPECT_FALSE(known.changed({.changed = {none}, .removed = {}}).value());
  EXPECT_FALSE(known.synced({}).value());
  EXPECT_THAT(KnownServers(path_).load().value(), ElementsAre(ServerAddress{"10.0.0.1", 6443}));
}

TEST_F(KnownServersTest, ABadFileIsToldAndReplaced) {
  for (const char* text : {"", "{", "[]", R"({"version":2,"servers":[]})", R"({"version":1,"servers":["10.0.0.1"]})",
                           R"({"version":1,"servers":[5]})"}) {
    ASSERT_TRUE(write_file_atomic(path_, text));
    KnownServers known(path_);
    const auto loaded = known.load();
    ASSERT_FALSE(loaded) << text;
    EXPECT_THAT(loaded.error().message(), HasSubstr(path_));
    const auto one = slice("default", "kubernetes", {"10.0.0.1"});
    EXPECT_TRUE(known.synced({one}).value());
    EXPECT_EQ(KnownServers(path_).load().value().size(), 1U);
  }
}

}  // namespace
}  // namespace keelson::kube
