// SPDX-License-Identifier: Apache-2.0
// Text to documents: what is read, what is refused, and what the messages say.
#include <gmock/gmock.h>

#include "kube/quick_reader.h"
#include "kube/reader.h"
#include "kube/testdata.h"

namespace keelson::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A path that ends with the expression would be read after its end.
static_assert(std::is_constructible_v<Reader, const Value&, const Path&, Findings&>);
static_assert(!std::is_constructible_v<Reader, const Value&, Path, Findings&>);
static_assert(std::is_constructible_v<QuickReader, const TokenAt&, const Path&, Findings&>);
static_assert(!std::is_constructible_v<QuickReader, const TokenAt&, Path, Findings&>);

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

TEST(Decode, SharedExamples) {
  const Pod frontend = pod_of(testdata("frontend.yaml"));
  ASSERT_EQ(frontend.spec.containers.size(), 2U);
  EXPECT_EQ(full_name(frontend.metadata), "default/frontend");
  const Container* wp = find_container(frontend.spec, "wp");
  ASSERT_NE(wp, nullptr);
  EXPECT_EQ(wp->image, "wordpress");
  EXPECT_EQ(wp->resources.requests.at("cpu").milli(), 250);
  EXPECT_EQ(wp->resources.limits.at("memory").whole(), 128 << 20);

  const Pod liveness = pod_of(testdata("liveness-http.yaml"));
  const Probe& probe = *liveness.spec.containers[0].liveness_probe;
  EXPECT_EQ(probe.http_get->path, "/healthz");
  EXPECT_EQ(probe.http_get->port.number(), 8080);
  EXPECT_EQ(probe.http_get->http_headers, (std::vector<HttpHeader>{{"X-Custom-Header", "Awesome"}}));
  EXPECT_EQ(probe.initial_delay_seconds, 15);
  EXPECT_EQ(probe.timeout_seconds, 1);
  EXPECT_EQ(probe.period_seconds, 10);
  EXPECT_EQ(liveness.metadata.labels, (StringMap{{"test", "liveness"}}));
}

TEST(Decode, TypesAreStrict) {
  EXPECT_THAT(
      errors_of(R"(apiVersion: v1
kind: Pod
metadata: {name: yes}
spec:
  restartPolicy: always
  hostNetwork: "true"
  terminationGracePeriodSeconds: 99999999999999999999
  containers:
  - name: a
    image: [b]
    ports:
    - containerPort: "8080"
    - containerPort: 80.5
    - containerPort: 3000000000
    env:
    - {name: A, value: 8080}
    - {name: B, value: off}
    livenessProbe: {httpGet: {port: {a: b}}}
    resources: {limits: {cpu: a lot, memory: [1]}}
    command: run
  - ~
)"),
      ElementsAre("3: metadata.name: expected a string, got a boolean (quote it)",
                  "10: spec.containers[0].image: expected a string, got a list",
                  "20: spec.containers[0].command: expected a list, got a string",
                  "12: spec.containers[0].ports[0].containerPort: expected an integer, got a string",
                  "13: spec.containers[0].ports[1].containerPort: expected an integer, got a fractional number",
                  "14: spec.containers[0].ports[2].containerPort: 3000000000 does not fit into 32 bits",
                  "16: spec.containers[0].env[0].value: expected a string, got an integer (quote it)",
                  "17: spec.containers[0].env[1].value: expected a string, got a boolean (quote it)",
                  "19: spec.containers[0].resources.limits.cpu: quantities must match the regular expression "
                  "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                  "19: spec.containers[0].resources.limits.memory: expected a quantity, got a list",
                  "18: spec.containers[0].livenessProbe.httpGet.port: expected an integer or a string, got a map",
                  "21: spec.containers[1]: an entry of a list is empty",
                  "5: spec.restartPolicy: Unsupported value: \"always\": supported values: \"Always\", \"Never\", "
                  "\"OnFailure\"",
                  "7: spec.terminationGracePeriodSeconds: expected an integer, got a fractional number",
                  "6: spec.hostNetwork: expected a boolean, got a string"));
}

TEST(Decode, WarnsOfUnknownFieldsAndTwins) {
  const auto documents = decode_documents(R"(apiVersion: v1
kind: Pod
metadata: {name: a, managedFields: [{x: 1}]}
spec:
  hostNetwrok: true
  containers:
  - {name: a, image: b, imagePulPolicy: Never, zzz: 1, name: c}
)",
                                          "web.yaml");
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_TRUE(documents[0].object);
  std::vector<std::string> warnings;
  for (const Problem& problem : documents[0].warnings) {
    warnings.push_back(problem.message());
  }
  EXPECT_THAT(
      warnings,
      ElementsAre("web.yaml:7: spec.containers[0].imagePulPolicy: unknown field; did you mean \"imagePullPolicy\"?",
                  "web.yaml:7: spec.containers[0].zzz: unknown field",
                  "web.yaml:5: spec.hostNetwrok: unknown field; did you mean \"hostNetwork\"?",
                  "web.yaml:7: key \"name\" given twice; the last one counts"));
  EXPECT_EQ(std::get<Pod>(*documents[0].object).spec.containers[0].name, "c");
}

TEST(Decode, ABadDocumentSparesItsNeighbours) {
  const auto documents = decode_documents(R"(# comment only
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
a: [
--- # the next
{"apiVersion": "v1", "kind": "ConfigMap",
 "metadata": {"name": "b"},
 "data": {"k": "\u00e9\ud83d\ude00 \/"}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: n}
---
{"apiVersion": "v1", "kind": "Secret",
 "metadata": {"name": tru}}
---
just text
---
kind: Pod
---
apiVersion: v2
kind: Pod
...
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {a: over, c: "3"}
data: {a: Zmlyc3Q=, b: AAH/}
)",
                                          "f");
  std::vector<std::string> seen;
  for (const Document& document : documents) {
    seen.push_back(document.errors.empty() ? document.kind + " " + document.name : document.errors[0].message());
  }
  EXPECT_THAT(
      seen,
      ElementsAre("ConfigMap a", HasSubstr("f:8: not valid YAML: "), "ConfigMap b",
                  "f:14: kind: kind \"NetworkPolicy\" of \"networking.k8s.io/v1\" is not supported by this node; it "
                  "reads ConfigMap, EndpointSlice, Node, Pod, RuntimeClass, Secret, Service",
                  HasSubstr("f:18: not valid JSON: "), "f:20: expected an object, got a string",
                  "f:22: apiVersion: Required value",
                  "f:24: apiVersion: Unsupported value: \"v2\": supported values: \"v1\"", "Secret s"));
  ASSERT_EQ(documents.size(), 9U);
  EXPECT_EQ(std::get<ConfigMap>(*documents[2].object).data.at("k"), "\u00e9\U0001F600 /");
  const auto& secret = std::get<Secret>(*documents[8].object);
  EXPECT_EQ(secret.data, (StringMap{{"a", "over"}, {"b", std::string("\0\1\xff", 3)}, {"c", "3"}}));
  EXPECT_EQ(secret.type, "Opaque");
}

TEST(Decode, ListsAreTakenApart) {
  const auto documents = decode_documents(R"(apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {selector: {a: b}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: p}
  spec: {containers: [{name: a}]}
- 7
)",
                                          "f");
  ASSERT_EQ(documents.size(), 3U);
  EXPECT_EQ(std::get<Service>(*documents[0].object).ports[0].target_port.number(), 80);
  ASSERT_EQ(documents[1].errors.size(), 1U);
  EXPECT_EQ(documents[1].errors[0].message(), "f:11: items[1].spec.containers[0].image: Required value");
  EXPECT_EQ(documents[1].line, 8);
  EXPECT_EQ(documents[2].errors[0].message(), "f:12: items[2]: expected an object, got an integer");
}

TEST(Decode, TypedListsNameTheKindOnce) {
  const auto documents =
      decode_documents("{apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: a}}, {kind: Pod}]}", "f");
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_TRUE(documents[0].object && std::holds_alternative<ConfigMap>(*documents[0].object));
  EXPECT_EQ(documents[1].errors[0].message(), "f:1: items[1].apiVersion: Required value");
}

TEST(Decode, TwoObjectsOfOneName) {
  const std::string one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n";
  const auto documents =
      decode_documents(one + one + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n", "f");
  ASSERT_EQ(documents.size(), 3U);
  EXPECT_TRUE(documents[0].object);
  EXPECT_FALSE(documents[1].object);
  EXPECT_EQ(documents[1].errors[0].message(),
            "f:5: metadata.name: Duplicate value: \"a\": ConfigMap default/a is already at line 1");
  EXPECT_TRUE(documents[2].object);
}

TEST(Decode, RefusesWhatIsTooMuch) {
  EXPECT_THAT(errors_of(std::string(kMaxTextSize + 1, '#')),
              ElementsAre(" 3145729 bytes are too many for a manifest; at most 3145728"));
  EXPECT_THAT(errors_of(repeat("[", 101) + repeat("]", 101)),
              ElementsAre("1: not valid YAML: nested deeper than 100 levels"));
  EXPECT_THAT(errors_of(repeat("{\"a\":", 101)), ElementsAre(HasSubstr("not valid JSON: ")));
  EXPECT_THAT(errors_of(repeat("- ", 101) + "x"), ElementsAre("1: not valid YAML: nested deeper than 100 levels"));
  EXPECT_THAT(
      errors_of("a: &a " + repeat("[", 60) + repeat("]", 60) + "\nb: " + repeat("[", 60) + "*a" + repeat("]", 60)),
      ElementsAre("2: not valid YAML: nested deeper than 100 levels with aliases expanded"));
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    const std::string last = std::string("*") + static_cast<char>(c - 1);
    laughs += std::string(1, c) + ": &" + c + " [" + last + repeat("," + last, 9) + "]\n";
  }
  EXPECT_THAT(errors_of(laughs), ElementsAre(HasSubstr("more than 300000 values")));
  EXPECT_THAT(errors_of("a: &a [*a]"), ElementsAre("1: not valid YAML: an alias inside the value that it names"));
  EXPECT_THAT(errors_of(repeat("---\na: b\n", 5001)), ElementsAre("10002: more than 5000 objects in one file"));
  EXPECT_THAT(errors_of("kind: List\nitems: [" + repeat("1,", 6000) + "1]"),
              ElementsAre("2: more than 5000 objects in one file"));
  EXPECT_THAT(errors_of(repeat("---\na: &a [1,2,3,4,5,6]\nb: [" + repeat("*a,", 9990) + "]\n", 5)),
              testing::Contains(HasSubstr("more than 300000 values")));
  EXPECT_THAT(errors_of("\"a\" \"b\""), ElementsAre("1: not valid YAML: text after the end of the document"));
  EXPECT_THAT(errors_of("a: b\n...\n: c\n? d\n"), testing::SizeIs(2));
  EXPECT_THAT(errors_of("a: 1\nb: \xff"), ElementsAre("2: not UTF-8 text"));
  EXPECT_THAT(errors_of("a: \xed\xa0\x80"), ElementsAre("1: not UTF-8 text"));
  EXPECT_THAT(errors_of("[a]: b"), ElementsAre(HasSubstr("a key must be a string, not a list or a map")));
  EXPECT_THAT(errors_of("a: !!python/object b"),
              ElementsAre(HasSubstr("a tag that Kubernetes objects have no use for")));
}

TEST(Decode, NothingToRead) {
  EXPECT_THAT(decode_documents("", "f"), IsEmpty());
  EXPECT_THAT(decode_documents("{kind: List, items: [], items: []}", "f"), IsEmpty());
  EXPECT_THAT(decode_documents("\xEF\xBB\xBF# only\n---\n\n---\n%YAML 1.1\n---\n~\n", "f"), IsEmpty());
}

TEST(Decode, NeverShowsASecret) {
  const std::string text = R"(apiVersion: v1
kind: Secret
metadata: {name: s}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: aHVudGVyMg==, "bad key": aHVudGVyMg==, c: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: t}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: hunter2}
---
stringData: {password: *hunter2}
)";
  const auto errors = errors_of(text);
  EXPECT_EQ(errors.size(), 3U);
  for (const std::string& error : errors) {
    EXPECT_THAT(error, testing::Not(HasSubstr("hunter2"))) << error;
  }
}

TEST(Decode, AnchorsAndMerges) {
  const auto documents = decode_documents(R"(apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  <<: [*none]
)",
                                          "f");
  EXPECT_FALSE(documents[0].object);
  const auto merged = decode_documents(R"(apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  labels: &labels {app: web, tier: one}
  annotations: {<<: *labels, tier: two}
)",
                                       "f");
  ASSERT_TRUE(merged[0].object) << testing::PrintToString(merged[0].errors[0].message());
  const auto& map = std::get<ConfigMap>(*merged[0].object);
  EXPECT_EQ(map.metadata.annotations, (StringMap{{"app", "web"}, {"tier", "two"}}));
}

TEST(Decode, LenientForOurOwnOutput) {
  EXPECT_EQ(decode_pods(R"({"kind": "PodList", "items": [{"metadata": {"name": "a"}, "future": 1}]})")->size(), 1U);
  EXPECT_EQ(decode_pods("kind: Pod\nmetadata: {name: a}")->at(0).metadata.name, "a");
  EXPECT_EQ(decode_pods(R"({"kind": "PodList", "items": []})")->size(), 0U);
  EXPECT_EQ(decode_pods("kind: Event").error().what(), "expected Pod, got Event");
  EXPECT_EQ(decode_pods("kind: Pod\nspec: 7").error().what(), "spec: expected a map, got an integer");
}

}  // namespace
}  // namespace keelson::kube
