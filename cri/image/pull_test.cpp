// SPDX-License-Identifier: Apache-2.0
// Pulls from a registry on loopback, whole and with faults.
#include "cri/image/pull.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "cri/image/auth.h"
#include "cri/image/hosts.h"
#include "tests/support/registry.h"

namespace keelson::cri::image {
namespace {

namespace fs = std::filesystem;
using keelson::testing::make_layer;
using keelson::testing::TestRegistry;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class PullTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (layers keep their owners)";
    }
    char name[] = "/tmp/keelson-pull-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    auto store = ImageStore::open({.root = dir_ + "/store", .limits = {}});
    ASSERT_TRUE(store) << store.error().message();
    store_ = std::move(*store);
  }
  void TearDown() override { fs::remove_all(dir_); }

  Result<StoredImage> pull(const std::string& reference, const Credentials& credentials = {}) {
    return pull_image(*store_, reference, credentials,
                      {.config_dir = dir_ + "/certs.d", .deadline = std::chrono::seconds(60)});
  }
  std::string here(const std::string& name) const { return registry_.address() + "/" + name; }
  std::string content(const StoredImage& image, const std::string& file) const {
    std::ifstream in(store_->layer_dirs(image).front() + "/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void add_box() { registry_.add("box", "1", {.config = "{}", .layers = {make_layer({{"file", "text"}}, false)}}); }
  size_t asked(const std::string& part) const {
    size_t count = 0;
    for (const auto& request : registry_.requests()) {
      count += request.find(part) != std::string::npos ? 1 : 0;
    }
    return count;
  }
  void write_hosts(const std::string& registry, const std::string& text) {
    fs::create_directories(dir_ + "/certs.d/" + registry);
    std::ofstream(dir_ + "/certs.d/" + registry + "/hosts.toml") << text;
  }

  std::string dir_;
  TestRegistry registry_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(PullTest, IndexLayersAndNames) {
  auto plain = make_layer({{"a", "below"}}, false);
  auto top = make_layer({{"b", "above"}}, false);
  auto digest = registry_.add("library/box", "1",
                              {.config = R"({"Cmd":["/b"]})",
                               .layers = {plain, make_layer({{"b", "above"}}, true)},
                               .diff_ids = {testing::digest_of(plain), testing::digest_of(top)},
                               .index = true});
  auto image = pull(here("library/box:1"));
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_THAT(image->tags, ElementsAre(here("library/box:1")));
  EXPECT_THAT(image->digests, ElementsAre(here("library/box@") + digest));
  EXPECT_THAT(image->config.command, ElementsAre("/b"));
  EXPECT_EQ(content(*image, "b"), "above");
  EXPECT_EQ(asked("/blobs/"), 3U);

  auto again = pull(here("library/box@") + digest);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->id, image->id);
  EXPECT_EQ(asked("/blobs/"), 4U);  // the config alone
}

// CVE-2021-41103. A store that an earlier version made is closed, too.
TEST_F(PullTest, RootAloneEntersTheStore) {
  ASSERT_EQ(::chmod((dir_ + "/store").c_str(), 0711), 0);
  store_.reset();
  ASSERT_TRUE(ImageStore::open({.root = dir_ + "/store", .limits = {}}));
  EXPECT_EQ(fs::status(dir_ + "/store").permissions(), fs::perms::owner_all);
}

TEST_F(PullTest, AllThatSomebodyHoldsStays) {
  add_box();
  registry_.add("pages", "1", {.config = R"({"a":"b"})", .layers = {make_layer({{"page", "text"}}, false)}});
  ASSERT_TRUE(pull(here("box:1")));
  ASSERT_TRUE(pull(here("pages:1")));
  ASSERT_TRUE(store_->hold(here("box:1"), "container"));
  ASSERT_TRUE(store_->hold(here("pages:1"), "container"));
  ASSERT_TRUE(store_->remove(here("box:1")));
  ASSERT_TRUE(store_->remove(here("pages:1")));
  EXPECT_EQ(store_->list().size(), 2);
  store_->release("container");
  EXPECT_TRUE(store_->list().empty());
  EXPECT_TRUE(fs::is_empty(dir_ + "/store/layers"));
}

TEST_F(PullTest, BrokenConnectionGoesOnWhereItStopped) {
  add_box();
  registry_.set({.break_blobs_after = 1000});
  auto image = pull(here("box:1"));
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(content(*image, "file"), "text");
  EXPECT_EQ(asked(" 206 bytes=1000-"), 1U);
}

TEST_F(PullTest, HostWithoutRangesStartsOver) {
  registry_.add("box", "1", {.config = "{}", .layers = {make_layer({{"file", "text"}}, false)}});
  registry_.set({.break_blobs_after = 1000, .ignore_ranges = true});
  auto image = pull(here("box:1"));
  ASSERT_FALSE(image);
  EXPECT_EQ(asked(" bytes=1000-"), 3U);  // and no fourth
}

TEST_F(PullTest, TooManyRequestsIsTriedAgain) {
  add_box();
  registry_.set({.too_many_requests = 1});
  EXPECT_TRUE(pull(here("box:1")));
  registry_.set({.too_many_requests = 100});
  auto failed = pull(here("box:1"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), Kind::unavailable);
  EXPECT_THAT(failed.error().message(), HasSubstr("HTTP 429"));
  EXPECT_EQ(asked(" 429"), 5U);
}

TEST_F(PullTest, WrongContentIsRefused) {
  add_box();
  for (uint64_t from : {1, 1000}) {  // the config too, or the layer alone
    registry_.set({.wrong_blobs_from = from});
    auto failed = pull(here("box:1"));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind(), Kind::invalid);
    EXPECT_THAT(failed.error().message(), HasSubstr(from == 1 ? " of box: its digest is" : "bytes, their digest is"));
  }
  EXPECT_TRUE(store_->list().empty());
}

TEST_F(PullTest, AbsentImageNamesHostImageAndStatus) {
  auto failed = pull(here("none:1"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), Kind::not_found);
  EXPECT_THAT(failed.error().message(), HasSubstr(registry_.address() + ": manifest 1 of none: HTTP 404 NAME_UNKNOWN"));
}

TEST_F(PullTest, TokenForTheRightUser) {
  add_box();
  registry_.want_token("user", "secret");
  EXPECT_TRUE(pull(here("box:1"), {.username = "user", .password = "secret"}));
  EXPECT_TRUE(pull(here("box:1"), {.auth = "dXNlcjpzZWNyZXQ="}));
  EXPECT_TRUE(pull(here("box:1"), {.registry_token = "test-token"}));
  EXPECT_EQ(asked("/token?service=test&scope=repository%3Aa%3Apull%2Cx 200"), 2U);
  auto failed = pull(here("box:1"), {.username = "user", .password = "guess"});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), Kind::permission);
  EXPECT_THAT(failed.error().message(), HasSubstr("HTTP 401"));
  EXPECT_THAT(failed.error().message(), Not(HasSubstr("guess")));
}

TEST_F(PullTest, Basic) {
  add_box();
  registry_.want_basic("user", "secret");
  EXPECT_TRUE(pull(here("box:1"), {.username = "user", .password = "secret"}));
  EXPECT_FALSE(pull(here("box:1"), {.username = "user", .password = "guess"}));
  auto failed = pull(here("box:1"));
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message(), HasSubstr("wants credentials"));
}

// As CVE-2020-15157: where a registry sends us for a blob is any host's place to ask for the registry's password.
TEST_F(PullTest, CredentialsAreNotForWhomARedirectLeadsTo) {
  add_box();
  registry_.want_basic("user", "secret");
  TestRegistry elsewhere;
  elsewhere.add("box", "1", {.config = "{}", .layers = {make_layer({{"file", "text"}}, false)}});
  registry_.set({.redirect_blobs_to = elsewhere.address()});
  EXPECT_TRUE(pull(here("box:1"), {.username = "user", .password = "secret"})) << "blobs may be elsewhere";

  ASSERT_TRUE(store_->remove(here("box:1")));
  elsewhere.want_token("user", "secret");
  auto failed = pull(here("box:1"), {.username = "user", .password = "secret"});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), Kind::permission);
  EXPECT_THAT(elsewhere.requests(), Not(::testing::Contains(HasSubstr("/token"))));
  EXPECT_THAT(elsewhere.requests().back(), HasSubstr("/blobs/")) << "it has not been asked";
  EXPECT_THAT(elsewhere.requests().back(), HasSubstr(" 401"));
}

TEST_F(PullTest, OneFlightForManyCallers) {
  add_box();
  registry_.set({.too_many_requests = 2});  // the first caller pauses, the others meet it
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] { EXPECT_TRUE(pull(here("box:1"))); });
    }
  }
  EXPECT_EQ(asked("/manifests/1 200"), 1U);
}

TEST_F(PullTest, MirrorsInOrderWithoutCredentials) {
  TestRegistry mirror;
  mirror.add("library/box", "1", {.config = "{}", .layers = {make_layer({{"file", "mirrored"}}, false)}});
  // Nobody listens at port 1; the origin would have been the internet's.
  write_hosts("docker.io", fmt::format("server = \"http://{}\"\n[host.\"http://127.0.0.1:1\"]\n[host.\"http://{}\"]\n"
                                       "capabilities = [\"pull\", \"resolve\"]\n",
                                       registry_.address(), mirror.address()));
  mirror.want_basic("user", "secret");
  EXPECT_FALSE(pull("box:1", {.username = "user", .password = "secret"}));
  EXPECT_EQ(asked("GET /v2/library/box/manifests/1 404"), 1U);
  mirror.want_token("", "");
  auto image = pull("box:1");
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(content(*image, "file"), "mirrored");
  EXPECT_THAT(image->tags, ElementsAre("docker.io/library/box:1"));
  EXPECT_THAT(mirror.requests().back(), HasSubstr("?ns=docker.io 200"));
}

TEST_F(PullTest, HostsFile) {
  write_hosts("_default",
              "[host.\"https://z.test\"]\ncapabilities = [\"pull\"]\nskip_verify = true\n"
              "[host.\"https://a.test/v2/proxy\"]\noverride_path = true\n"
              "[host.\"https://a.test/v2/proxy\".header]\nx-key = [\"1\", \"2\"]\n");
  auto hosts = hosts_for(dir_ + "/certs.d", "r.test");
  ASSERT_TRUE(hosts) << hosts.error().message();
  ASSERT_EQ(hosts->size(), 3U);
  EXPECT_EQ((*hosts)[0].url, "https://z.test/v2");
  EXPECT_TRUE((*hosts)[0].tls.skip_verify);
  EXPECT_FALSE((*hosts)[0].resolve);
  EXPECT_EQ((*hosts)[1].url, "https://a.test/v2/proxy");
  EXPECT_THAT((*hosts)[1].headers, ElementsAre("x-key: 1", "x-key: 2"));
  EXPECT_EQ((*hosts)[2].url, "https://r.test/v2");
  EXPECT_TRUE((*hosts)[2].origin);
  write_hosts("r.test", "server = 'https://r.test'\n[host.\"ftp://x\"]\n");
  auto wrong = hosts_for(dir_ + "/certs.d", "r.test");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), HasSubstr("r.test/hosts.toml: host.\"ftp://x\": expected http"));
  // Found by fuzzing: what makes toml++ assert or worse is an error like any other.
  for (const char* text :
       {"[~hio:1host.\"http://x\"]\n", "a = \xce\x96\n", "\xce\x96 = 1\n", "server = \"\\\xce\x96\"\n"}) {
    write_hosts("r.test", text);
    auto damaged = hosts_for(dir_ + "/certs.d", "r.test");
    ASSERT_FALSE(damaged) << text;
    EXPECT_THAT(damaged.error().message(), HasSubstr("r.test/hosts.toml"));
  }
  write_hosts("r.test", " # \xce\x96\nserver = 'https://r.test'\n");
  EXPECT_TRUE(hosts_for(dir_ + "/certs.d", "r.test")) << "comments may be in any language";
  EXPECT_EQ(hosts_for("", "docker.io")->front().url, "https://registry-1.docker.io/v2");
}

TEST(Challenges, SeveralInOneHeader) {
  auto found = parse_challenges(R"(Bearer realm="https://a.test/t",scope="r:x:pull,push", Basic realm="b")");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].parameters["scope"], "r:x:pull,push");
  EXPECT_EQ(found[1].scheme, "basic");
}

}  // namespace
}  // namespace keelson::cri::image
