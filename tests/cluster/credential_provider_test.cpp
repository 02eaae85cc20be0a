// SPDX-License-Identifier: Apache-2.0
// Images that a credential provider has the login for, who acts for the service accounts of pods (KEP-4412).
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "tests/support/member_pods.h"
#include "tests/support/registry.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr const char* kAudience = "pulls.example";
constexpr const char* kMount = "    volumeMounts: [{name: pages, mountPath: /pages}]\n";

/// A registry that gives "team/pages:1" to "puller" alone, and a provider that knows the password if it gets a token;
/// what it is asked stands in request_file().
class CredentialProviders : public MemberPodsTest {
 protected:
  void SetUp() override {
    MemberPodsTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    registry_.add("team/pages", "1", {.config = "{}", .layers = {make_layer({{"page", "hello\n"}}, false)}});
    registry_.want_basic("puller", "for-puller");
    write_provider();
    const auto made = kubectl({"apply", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: ServiceAccount
metadata: {{name: puller, namespace: default, annotations: {{example.com/role: reader, example.com/other: hidden}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: tokens-for-pulls}}
rules:
- {{apiGroups: [""], resources: [{}], resourceNames: [puller], verbs: [request-serviceaccounts-token-audience]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: tokens-for-pulls}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tokens-for-pulls}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:node:{}"}}]
)",
                                                                kAudience, kNode));
    ASSERT_EQ(made.code, 0) << made.error;
    join({"--client-ca-file", control_plane_->authority_file(), "--image-credential-provider-config",
          home() + "/credentials.yaml", "--image-credential-provider-bin-dir", home() + "/providers"});
    wait_node_ready();
  }

  std::string request_file() const { return home() + "/request.json"; }
  std::string pages(const std::string& more = "") const {
    return fmt::format(
        "{}  volumes: [{{name: pages, image: {{reference: \"{}/team/pages:1\", pullPolicy: Always}}}}]\n", more,
        registry_.address());
  }

 private:
  void write_provider() const {
    fs::create_directories(home() + "/providers");
    const auto program = home() + "/providers/small-provider";
    std::ofstream(program) << fmt::format(R"(#!/bin/sh
cat > {0}
grep -q '"serviceAccountToken":"' {0} || exit 1
echo '{{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",'
echo '"cacheKeyType":"Registry","cacheDuration":"10m",'
echo '"auth":{{"{1}":{{"username":"puller","password":"for-puller"}}}}}}'
)",
                                          request_file(), registry_.address());
    fs::permissions(program, fs::perms::owner_all);
    std::ofstream(home() + "/credentials.yaml") << fmt::format(R"(apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: small-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["{}"]
  defaultCacheDuration: 0s
  tokenAttributes:
    serviceAccountTokenAudience: {}
    cacheType: Token
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys: [example.com/role]
)",
                                                               registry_.address(), kAudience);
  }

  TestRegistry registry_;
};

TEST_F(CredentialProviders, APodsServiceAccountPullsItsImages) {
  create_pod("stranger", kRuns, kMount, pages());
  expect_soon("stranger", "containerStatuses[0].state.waiting.reason", "ImagePullBackOff");
  EXPECT_FALSE(fs::exists(request_file())) << "a pod without a service account";

  create_pod("reader", fmt::format("grep -q hello /pages/page && {}", kRuns), kMount,
             pages("  serviceAccountName: puller\n"));
  expect_ready("reader");
  boost::system::error_code broken;
  const auto request = boost::json::parse(read_text(request_file()), broken);
  ASSERT_FALSE(broken) << "the provider was not asked\n" << log();
  EXPECT_EQ(boost::json::serialize(request.at("serviceAccountAnnotations")), R"({"example.com/role":"reader"})");
  const std::string token(request.at("serviceAccountToken").as_string());
  const auto review = kubectl({"create", "-f", "-", "-o",
                               "jsonpath={.status.user.username} "
                               "{.status.user.extra.authentication\\.kubernetes\\.io/pod-name}"},
                              fmt::format(R"(apiVersion: authentication.k8s.io/v1
kind: TokenReview
spec: {{token: "{}", audiences: [{}]}}
)",
                                          token, kAudience));
  EXPECT_EQ(review.out, "system:serviceaccount:default:puller [\"reader\"]") << review.error;
  EXPECT_THAT(whole_log(), Not(HasSubstr(token)));

  const auto metrics = kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy/metrics", kNode)}).out;
  EXPECT_THAT(metrics,
              HasSubstr("kubelet_credential_provider_plugin_duration_count{plugin_name=\"small-provider\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("kubelet_credential_provider_config_info{hash=\"sha256:"));
}

}  // namespace
}  // namespace keelson::testing
