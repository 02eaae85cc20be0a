// SPDX-License-Identifier: Apache-2.0
// Printing, and the way there and back.
#include <gmock/gmock.h>

#include "kube/testdata.h"
#include "kube/text.h"
#include "kube/value.h"

namespace keelson::kube {
namespace {

TEST(Encode, GoldenPod) {
  const Pod pod = pod_of(testdata("shop.yaml"));
  EXPECT_EQ(encode_yaml(pod), testdata("shop.golden.yaml"));
  EXPECT_EQ(pod_of(encode_yaml(pod)), pod);
  EXPECT_EQ(pod_of(encode_json(pod)), pod);
  EXPECT_EQ(pod_of(encode_json(pod, JsonStyle::pretty)), pod);
}

TEST(Encode, StatusAndTimes) {
  Pod pod;
  pod.metadata.name = "a";
  pod.metadata.creation_timestamp = WallTime(std::chrono::seconds(1'700'000'000));
  pod.status.phase = PodPhase::running;
  pod.status.host_ip = "192.0.2.1";
  pod.status.pod_ip = "10.0.0.2";
  pod.status.pod_ips = {"10.0.0.2", "2001:db8::2"};
  pod.status.qos_class = QosClass::best_effort;
  PodCondition& condition = pod.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = ConditionStatus::true_status;
  ContainerStatus& status = pod.status.container_statuses.emplace_back();
  status.name = "c";
  status.started = true;
  status.state.running = ContainerRunning{pod.metadata.creation_timestamp};
  status.last_state.terminated = ContainerTerminated{};
  EXPECT_EQ(
      encode_json(std::vector<Pod>{pod}),
      R"({"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"creationTimestamp":"2023-11-14T22:13:20Z",)"
      R"("name":"a"},"spec":{"containers":[],"dnsPolicy":"ClusterFirst","enableServiceLinks":true,"restartPolicy":"Always",)"
      R"("schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30},"status":{)"
      R"("conditions":[{"lastProbeTime":null,"lastTransitionTime":null,"status":"True","type":"Ready"}],)"
      R"("containerStatuses":[{"image":"","imageID":"","lastState":{"terminated":{"exitCode":0,"finishedAt":null,)"
      R"("startedAt":null}},"name":"c","ready":false,"restartCount":0,"started":true,"state":{"running":{"startedAt":)"
      R"("2023-11-14T22:13:20Z"}}}],"hostIP":"192.0.2.1","phase":"Running","podIP":"10.0.0.2","podIPs":[{"ip":"10.0.0.2"},)"
      R"({"ip":"2001:db8::2"}],"qosClass":"BestEffort"}}],"kind":"PodList","metadata":{"resourceVersion":""}})");
  EXPECT_EQ(decode_pods(encode_json(std::vector<Pod>{pod}))->at(0), pod);
  EXPECT_EQ(decode_pods(encode_yaml(std::vector<Pod>{pod, pod}))->at(1), pod);
}

TEST(Encode, Events) {
  Event event;
  event.metadata.name = "a.1";
  event.involved_object = {.kind = "Pod",
                           .ns = "default",
                           .name = "a",
                           .uid = "u",
                           .api_version = "v1",
                           .resource_version = "",
                           .field_path = "spec.containers{c}"};
  event.reason = "Unhealthy";
  event.message = "Liveness probe failed: \"500\"\nline";
  event.source_component = "keelson";
  event.reporting_component = "keelson";
  event.reporting_instance = "n1";
  event.type = "Warning";
  event.last_timestamp = WallTime(std::chrono::seconds(1'700'000'000));
  EXPECT_EQ(decode_events(encode_json(event))->at(0), event);
  EXPECT_EQ(decode_events(encode_yaml(event))->at(0), event);
  EXPECT_EQ(decode_events(encode_json(std::vector<Event>{event, event}, JsonStyle::pretty))->size(), 2U);
}

struct Plain {
  std::string_view text;
  std::string_view json;
};

TEST(Yaml, PlainScalarsAsTheGoLibraryReadsThem) {
  const std::vector<Plain> cases = {{"yes", "true"},
                                    {"Off", "false"},
                                    {"y", "true"},
                                    {"N", "false"},
                                    {"oN", "\"oN\""},
                                    {"~", "null"},
                                    {"Null", "null"},
                                    {"nULL", "\"nULL\""},
                                    {"0644", "420"},
                                    {"0o17", "15"},
                                    {"0x1F", "31"},
                                    {"0b11", "3"},
                                    {"1_000", "1000"},
                                    {"089", "89"},
                                    {"08", "8"},
                                    {"-5", "-5"},
                                    {"+5", "5"},
                                    {"1.5", "1.5"},
                                    {"1e3", "1000"},
                                    {"1.0", "1"},
                                    {".5", "0.5"},
                                    {".", "\".\""},
                                    {"-", "\"-\""},
                                    {"1.2.3", "\"1.2.3\""},
                                    {"2001-01-01", "\"2001-01-01\""},
                                    {"12:30", "\"12:30\""},
                                    {"64Mi", "\"64Mi\""},
                                    {"0x", "\"0x\""},
                                    {"1e", "\"1e\""},
                                    {"9223372036854775807", "9223372036854775807"},
                                    {"9223372036854775808", "9223372036854775808"},
                                    {"-9223372036854775808", "-9223372036854775808"}};
  for (const auto& [text, json] : cases) {
    EXPECT_EQ(print_json(resolve_plain(text), false), json) << text;
  }
}

TEST(Yaml, StringsComeBackAsTheyWere) {
  const std::vector<std::string> texts = {
      "",      " ",        "a",         "a ",         " a",       "yes",      "1",    "1.5",  "0x1",  "null",
      "~",     "a: b",     "a:",        ":a",         "a #b",     "#a",       "a#b",  "- a",  "-a",   "-",
      "--",    "---",      "--- a",     "...",        "'",        "\"",       "a'b",  "it's", "{a}",  "[a",
      "*a",    "&a",       "!a",        "|",          ">",        "%a",       "@a",   "`a",   "a\n",  "a\nb",
      "a\n\n", "\n",       "\na",       " a\nb",      "a\n b\n",  "a \nb",    "a\tb", "\ta",  "\t\n", "a\r\nb",
      "\x01",  "\x7f",     "é",         "2001-01-01", "12:30:45", "10.0.0.1", "<<",   "=",    "?",    "? a",
      ",a",    "a\n\nb\n", "a\n---\nb", "# x\n# y\n", "\\",       "a\\nb"};
  for (const std::string& text : texts) {
    Value map = Value::of_type(Value::Type::map);
    map.members.push_back({.key = "k", .value = Value::of_string(text)});
    Value list = Value::of_type(Value::Type::list);
    list.items = {Value::of_string(text), map};
    map.members.push_back({.key = "l", .value = list});
    if (!text.empty() && text != "k" && text != "l") {
      map.members.push_back({.key = text, .value = Value::of_integer(1)});
    }
    for (const std::string& printed : {print_yaml(map), print_json(map, true)}) {
      const auto trees = read_trees(printed);
      ASSERT_EQ(trees.size(), 1U) << printed;
      ASSERT_FALSE(trees[0].error) << printed << trees[0].error->text;
      EXPECT_EQ(print_json(trees[0].root, false), print_json(map, false)) << printed;
    }
  }
}

TEST(Text, Base64) {
  const std::string bytes("\0\xff\x10 text", 8);
  for (size_t i = 0; i <= bytes.size(); ++i) {
    EXPECT_EQ(decode_base64(encode_base64(bytes.substr(0, i))), bytes.substr(0, i));
  }
  EXPECT_EQ(decode_base64("YWJj\nZGVm\n"), "abcdef");
  for (const std::string_view bad : {"a", "ab", "abc", "a===", "ab=c", "ab==ab==", "a b=", "====", "ab-_"}) {
    EXPECT_FALSE(decode_base64(bad)) << bad;
  }
}

}  // namespace
}  // namespace keelson::kube
