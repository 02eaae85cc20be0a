// SPDX-License-Identifier: Apache-2.0
// References and image JSON: what is taken, what is refused.
#include "cri/image/reference.h"

#include <gtest/gtest.h>

#include "cri/image/digest.h"
#include "cri/image/manifest.h"

namespace keelson::cri::image {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(Reference, IsMadeWhole) {
  const std::pair<std::string, std::string> cases[] = {
      {"mysql", "docker.io/library/mysql:latest"},
      {"a/b:1", "docker.io/a/b:1"},
      {"gcr.io/google_containers/liveness", "gcr.io/google_containers/liveness:latest"},
      {"localhost:5000/x", "localhost:5000/x:latest"},
      {"[::1]:5000/x:t", "[::1]:5000/x:t"},
      {"index.docker.io/mysql", "docker.io/library/mysql:latest"},
      {"x@" + kDigest, "docker.io/library/x@" + kDigest},
      {"x:1@" + kDigest, "docker.io/library/x:1@" + kDigest},
      {"a__b/c---d.e", "docker.io/a__b/c---d.e:latest"},
  };
  for (const auto& [text, whole] : cases) {
    auto reference = parse_reference(text);
    ASSERT_TRUE(reference) << text << ": " << reference.error().message();
    EXPECT_EQ(reference->text(), whole);
  }
}

TEST(Reference, RefusesWhatIsNone) {
  for (std::string text :
       {"", "MySQL", "a//b", "/a", "a/", "a:", "a:-x", "a_.b", "a@sha256:12", "a b", "../a", "a.-b", "host:port/a"}) {
    auto reference = parse_reference(text);
    ASSERT_FALSE(reference) << text;
    EXPECT_EQ(reference.error().kind(), Kind::invalid);
    EXPECT_TRUE(reference.error().message().starts_with("invalid reference format")) << text;
  }
}

TEST(Digest, OfKnownText) {
  EXPECT_EQ(sha256_of("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Manifest, IndexChoosesThePlatform) {
  auto entry = [](char c, const char* arch) {
    return R"({"digest":"sha256:)" + std::string(64, c) + R"(","size":1,"platform":{"os":"linux","architecture":")" +
           arch + R"("}})";
  };
  std::string index = R"({"schemaVersion":2,"manifests":[)" + entry('1', "arm64") + "," + entry('2', "amd64") + "]}";
  auto found = parse_manifest(index, "amd64");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->chosen.digest, "sha256:" + std::string(64, '2'));
  auto none = parse_manifest(index, "riscv64");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind(), Kind::not_found);
}

TEST(Manifest, RefusesWhatIsNone) {
  for (std::string text :
       {"", "[]", "{}", R"({"config":{},"layers":[]})", R"({"config":{"digest":"sha256:x","size":1},"layers":[]})"}) {
    EXPECT_FALSE(parse_manifest(text, "amd64")) << text;
  }
  EXPECT_EQ(parse_manifest(R"({"schemaVersion":1})", "amd64").error().kind(), Kind::unsupported);
  EXPECT_FALSE(parse_config(R"({"rootfs":{"diff_ids":["../x"]}})"));
}

}  // namespace
}  // namespace keelson::cri::image
