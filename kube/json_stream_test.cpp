// SPDX-License-Identifier: Apache-2.0
// Lists and events in pieces: the same objects as from the whole text, wherever it is cut.
#include "kube/json_stream.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "kube/codec.h"

namespace keelson::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const AnnotationNames kKept = {"service.kubernetes.io/*", "endpoints.kubernetes.io/last-change-trigger-time"};

constexpr std::string_view kServices = R"({"kind":"ServiceList","apiVersion":"v1",
"metadata":{"resourceVersion":"77","continue":"abc\u00e9"},"items":[
{"metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"5","creationTimestamp":"2026-01-02T03:04:05Z",
 "labels":{"app":"w\"e\\b\n"},"annotations":{"service.kubernetes.io/topology-mode":"Auto","other":"x","a":"y"},
 "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{"annotations":{"f:x":{}},"n":[1,2.5,true,null]}}}]},
 "spec":{"type":"LoadBalancer","clusterIP":"10.96.0.7","clusterIPs":["10.96.0.7","fd96::7"],"ipFamilies":["IPv4","IPv6"],
 "sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":60}},"selector":{"app":"web"},
 "internalTrafficPolicy":"Local","externalTrafficPolicy":"Local","healthCheckNodePort":32111,"unknownToUs":{"a":[{}]},
 "ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":"www","nodePort":30080},{"name":"dns","protocol":"UDP","port":53,"targetPort":5353}]},
 "status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.20","ipMode":"Proxy"}]}}},
{"metadata":{"name":"bare","namespace":"shop"},"spec":{"ports":[{"port":81}],"clusterIP":"None"},"status":{}}]}
)";

constexpr std::string_view kSlices = R"({"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1",
"metadata":{"resourceVersion":"78"},"items":[
{"metadata":{"name":"web-1","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
 "endpoints":[{"addresses":["10.1.0.4"],"conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"a",
 "zone":"z","targetRef":{"kind":"Pod"},"hints":{"forZones":[{"name":"z"},{"name":"y"}]}},
 {"addresses":["10.1.0.5"],"conditions":{"ready":false}}],
 "ports":[{"name":"","port":8080,"protocol":"TCP"},{"name":"any","port":null}]},
{"metadata":{"name":"web-2","namespace":"shop"},"addressType":"IPv6","endpoints":null,"ports":null}]})";

/// Feeds `text` cut at every multiple of `step`.
template <class T>
std::pair<std::vector<T>, ListMeta> decode_list(std::string_view text, size_t step) {
  ListDecoder<T> decoder(kKept);
  std::vector<T> objects;
  for (size_t at = 0; at < text.size(); at += step) {
    auto fed = decoder.feed(text.substr(at, step));
    EXPECT_TRUE(fed) << fed.error().message();
    std::ranges::move(decoder.take(), std::back_inserter(objects));
  }
  EXPECT_THAT(decoder.take_left_out(), IsEmpty());
  auto meta = decoder.finish();
  EXPECT_TRUE(meta) << meta.error().message();
  return {std::move(objects), meta ? *meta : ListMeta()};
}

TEST(JsonStreamTest, AListInAnyPiecesIsTheListAsAWhole) {
  auto whole = decode_services(kServices);
  ASSERT_TRUE(whole) << whole.error().message();
  for (Service& service : *whole) {
    std::erase_if(service.metadata.annotations, [](const auto& pair) { return pair.first.size() < 8; });
  }
  ASSERT_EQ((*whole)[0].metadata.annotations.size(), 1U);
  auto slices = decode_endpoint_slices(kSlices);
  ASSERT_TRUE(slices) << slices.error().message();
  for (const size_t step : {1U, 2U, 3U, 7U, 64U, 1000U, 100000U}) {
    auto [services, meta] = decode_list<Service>(kServices, step);
    EXPECT_EQ(services, *whole) << step;
    EXPECT_EQ(meta.resource_version, "77");
    EXPECT_EQ(meta.continue_token, "abc\u00e9");
    EXPECT_EQ((decode_list<EndpointSlice>(kSlices, step).first), *slices) << step;
  }
}

constexpr std::string_view kPods = R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[
{"metadata":{"name":"web-0","namespace":"shop","uid":"u1","generation":2,"deletionTimestamp":"2026-01-02T03:04:05Z",
 "deletionGracePeriodSeconds":5,"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"web","uid":"u0","controller":true}]},
 "spec":{"nodeName":"n1","serviceAccount":"old","affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
 {"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"In","values":["a",1,2.5,true,null]}]}]}}},
 "containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"250m","memory":64}},
 "env":[{"name":"E","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}],
 "volumes":[{"name":"api","projected":{"defaultMode":420,"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
 {"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
 {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}},
 {"clusterTrustBundle":{"path":"x"}}]}},{"name":"disk","csi":{"driver":"d","volumeAttributes":{"a":"b"}}},{"name":"far","iscsi":{"lun":1}}],
 "readinessGates":[{"conditionType":"example.com/gate"}],"os":{"name":"linux"}},
 "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.2"}],"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"}],
 "containerStatuses":[{"name":"c","ready":true,"restartCount":1,"image":"i","imageID":"","state":{"running":{"startedAt":"2026-01-02T03:04:05Z"}}}]}}]})";

TEST(JsonStreamTest, PodsInAnyPieces) {
  const auto whole = decode_pods(kPods);
  ASSERT_TRUE(whole) << whole.error().message();
  for (const size_t step : {1U, 7U, 100000U}) {
    EXPECT_EQ((decode_list<Pod>(kPods, step).first), *whole) << step;
  }
  const Pod& pod = whole->front();
  EXPECT_EQ(pod.spec.service_account_name, "old");
  EXPECT_EQ(pod.spec.volumes[0].projected->sources[3].unsupported, "clusterTrustBundle");
  EXPECT_EQ(pod.spec.volumes[1].csi, (CsiVolume{.driver = "d", .attributes = {{"a", "b"}}}));
  EXPECT_EQ(pod.spec.volumes[2].unsupported, "iscsi");
  EXPECT_THAT(pod.spec.affinity.json, HasSubstr(R"("values":["a",1,2.5,true,null])"));
}

TEST(JsonStreamTest, ConfigMapsAndSecretsAsBytes) {
  const auto maps =
      decode_list<ConfigMap>(
          R"({"kind":"ConfigMapList","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a","namespace":"n"},
      "immutable":true,"data":{"k":"v"},"binaryData":{"b":"AAE="}}]})",
          3)
          .first;
  ASSERT_EQ(maps.size(), 1U);
  EXPECT_EQ(maps[0].binary_data, (StringMap{{"b", std::string("\0\1", 2)}}));
  EXPECT_EQ(maps[0].immutable, true);
  const auto secrets =
      decode_list<Secret>(
          R"({"kind":"SecretList","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a","namespace":"n"},
      "data":{"k":"c2VjcmV0"}}]})",
          5)
          .first;
  ASSERT_EQ(secrets.size(), 1U);
  EXPECT_EQ(secrets[0].data, (StringMap{{"k", "secret"}}));
  EXPECT_EQ(secrets[0].type, "Opaque");
  ListDecoder<Secret> decoder({});
  ASSERT_TRUE(decoder.feed(
      R"({"kind":"SecretList","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a","namespace":"n"},"data":{"k":"?canary?"}}]})"));
  EXPECT_THAT(decoder.take_left_out(), ElementsAre("n/a: data.k: not valid base64"));
}

TEST(JsonStreamTest, PagesFollowEachOther) {
  ListDecoder<Service> decoder({});
  for (int page = 1; page <= 3; ++page) {
    ASSERT_TRUE(decoder.feed(fmt::format(
        R"({{"kind":"ServiceList","metadata":{{"resourceVersion":"{0}"}},"items":[{{"metadata":{{"name":"s{0}"}}}}]}})",
        page)));
    auto meta = decoder.finish();
    ASSERT_TRUE(meta) << meta.error().message();
    EXPECT_EQ(meta->resource_version, std::to_string(page));
  }
  const auto objects = decoder.take();
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[2].metadata.name, "s3");
}

TEST(JsonStreamTest, ABadObjectSparesItsNeighbours) {
  ListDecoder<Service> decoder({});
  ASSERT_TRUE(decoder.feed(R"({"kind":"ServiceList","metadata":{"resourceVersion":"1"},"items":[
    {"metadata":{"name":"a","namespace":"n"},"spec":{"ports":[{"port":"80"}]}},
    {"metadata":{"name":"b","namespace":"n"},"spec":{"type":"Magic"}},
    {"metadata":{"name":"c","namespace":"n"},"spec":{"ports":[{"port":99999999999}]}},
    {"metadata":{"name":"d","namespace":"n"},"spec":{"ports":[{"port":80}]}}]})"));
  ASSERT_TRUE(decoder.finish());
  auto objects = decoder.take();
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_EQ(objects[0].metadata.name, "d");
  EXPECT_THAT(decoder.take_left_out(), ElementsAre("n/a: spec.ports[0].port: expected an integer, got a string",
                                                   HasSubstr("n/b: spec.type: Unsupported value: \"Magic\""),
                                                   "n/c: spec.ports[0].port: 99999999999 does not fit into 32 bits"));
}

TEST(JsonStreamTest, WhatIsNoListIsAnError) {
  const auto error_of = [](std::string_view text) {
    ListDecoder<Service> decoder({});
    if (auto fed = decoder.feed(text); !fed) {
      return fed.error().message();
    }
    auto end = decoder.finish();
    return end ? std::string("fine") : end.error().message();
  };
  EXPECT_EQ(error_of(R"({"kind":"ServiceList","metadata":{"resourceVersion":"1"},"items":[]})"), "fine");
  EXPECT_EQ(error_of(R"({"kind":"ServiceList","metadata":{"resourceVersion":"1"},"items":[{"spec")"),
            "the list was cut short");
  EXPECT_THAT(error_of(R"({"kind":"Status","metadata":{},"code":410})"), HasSubstr("not a list: kind \"Status\""));
  EXPECT_THAT(error_of("[1]"), HasSubstr("not a list"));
  EXPECT_THAT(error_of("<html>"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(R"({"kind":"ServiceList","metadata":{},"items":[]})"), HasSubstr("without a resourceVersion"));
  EXPECT_THAT(error_of(R"({"kind":"ServiceList","metadata":{"resourceVersion":"1"},"items":[]} x)"),
              HasSubstr("something follows"));
}

TEST(JsonStreamTest, EventsInAnyPieces) {
  const std::string text =
      R"({"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"5","managedFields":[{}],)"
      R"("annotations":{"x":"y","service.kubernetes.io/topology-mode":"Auto"}}}})"
      "\n"
      R"({"object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"6"}},"type":"DELETED"})"
      R"({"type":"MODIFIED","object":{"metadata":{"name":"b","resourceVersion":"7"},"spec":{"ports":3}}})"
      "\n\n"
      R"({"type":"BOOKMARK","object":{"kind":"Service","metadata":{"resourceVersion":"8","creationTimestamp":null}}})"
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}})"
      "\n";
  for (const size_t step : {1U, 5U, 1000U}) {
    EventDecoder<Service> decoder(kKept);
    std::vector<WatchEvent<Service>> events;
    for (size_t at = 0; at < text.size(); at += step) {
      auto some = decoder.feed(std::string_view(text).substr(at, step));
      ASSERT_TRUE(some) << some.error().message();
      std::ranges::move(*some, std::back_inserter(events));
    }
    ASSERT_EQ(events.size(), 5U) << step;
    EXPECT_EQ(events[0].type, EventType::added);
    EXPECT_EQ(events[0].object.metadata.name, "a");
    EXPECT_EQ(events[0].object.metadata.annotations.size(), 1U);
    EXPECT_EQ(events[1].type, EventType::deleted);
    EXPECT_EQ(events[1].object.metadata.resource_version, "6");
    EXPECT_EQ(events[2].type, EventType::bookmark);  // left out
    EXPECT_EQ(events[2].object.metadata.resource_version, "7");
    EXPECT_THAT(decoder.take_left_out(), ElementsAre(HasSubstr("b: spec.ports: expected a list")));
    EXPECT_EQ(events[3].type, EventType::bookmark);
    EXPECT_EQ(events[3].object.metadata.resource_version, "8");
    EXPECT_EQ(events[4].status, (Status{.code = 410, .reason = "Expired", .message = "too old"}));
  }
  EXPECT_FALSE(EventDecoder<Service>({}).feed(R"({"type":"SURPRISE","object":{}})"));
  EXPECT_FALSE(EventDecoder<Service>({}).feed("[]"));
  EXPECT_FALSE(EventDecoder<Service>({}).feed("503 gateway"));
}

TEST(JsonStreamTest, StatusOfAnAnswer) {
  EXPECT_EQ(decode_status(R"({"kind":"Status","code":429,"details":{"retryAfterSeconds":3}})").retry_after_seconds, 3);
  EXPECT_EQ(decode_status("<html>bad gateway</html>"), Status());
  EXPECT_EQ(decode_status(R"({"kind":"Pod","code":1})"), Status());
  EXPECT_EQ(decode_status(""), Status());
}

}  // namespace
}  // namespace keelson::kube
