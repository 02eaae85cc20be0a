// SPDX-License-Identifier: Apache-2.0
// RuntimeClasses from text.
#include <gmock/gmock.h>

#include "kube/testdata.h"

namespace keelson::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RuntimeClassTest, HandlerAndOverhead) {
  const auto documents = decode_documents(R"(
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: sandboxed}
handler: runsc
overhead: {podFixed: {cpu: 1500u, memory: 64Mi}}
scheduling: {nodeSelector: {sandbox: "true"}, tolerations: [{operator: Exists}]}
)",
                                          "class.yaml");
  ASSERT_EQ(documents.size(), 1U);
  ASSERT_TRUE(documents[0].object) << documents[0].errors.at(0).message();
  EXPECT_EQ(documents[0].ns, "");
  EXPECT_TRUE(documents[0].warnings.empty());
  const auto& sandboxed = std::get<RuntimeClass>(*documents[0].object);
  EXPECT_EQ(full_name(sandboxed.metadata), "sandboxed");
  EXPECT_EQ(sandboxed.handler, "runsc");
  EXPECT_EQ(sandboxed.overhead.at("cpu").milli(), 2) << "rounded up";
  EXPECT_EQ(sandboxed.overhead.at("memory").whole(), 64 << 20);
}

TEST(RuntimeClassTest, ErrorsNameTheField) {
  EXPECT_THAT(errors_of(R"(
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: A, namespace: shop}
handler: not/a/name
overhead: {podFixed: {memory: -1}}
)"),
              ElementsAre(HasSubstr("metadata.name: Invalid value"), HasSubstr("metadata.namespace: Forbidden"),
                          HasSubstr("5: handler: Invalid value: \"not/a/name\""),
                          HasSubstr("6: overhead.podFixed[memory]: Invalid value")));
  const std::string head = "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: a}\n";
  EXPECT_THAT(errors_of(head), ElementsAre(HasSubstr("handler: Required value")));
  EXPECT_THAT(errors_of("apiVersion: node.k8s.io/v1beta1\nkind: RuntimeClass\nmetadata: {name: a}\nhandler: h\n"),
              ElementsAre(HasSubstr("apiVersion: Unsupported value: \"node.k8s.io/v1beta1\"")));
  EXPECT_THAT(errors_of(head + "handler: h\n---\n" + head + "handler: h\n"),
              ElementsAre(HasSubstr("RuntimeClass a is already at line")));
}

}  // namespace
}  // namespace keelson::kube
