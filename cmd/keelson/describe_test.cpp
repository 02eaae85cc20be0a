// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/describe.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace keelson::cli {
namespace {

namespace json = boost::json;

TEST(DescribePod, ShowsStateProbesAndEvents) {
  auto pod = json::parse(R"({"metadata":{"name":"liveness-http","namespace":"default","labels":{"test":"liveness"}},
    "spec":{"nodeName":"n1","containers":[{"name":"liveness","image":"registry/liveness","args":["/server"],
      "resources":{"limits":{"memory":"128Mi"}},
      "env":[{"name":"TOKEN","valueFrom":{"secretKeyRef":{"name":"s","key":"token"}}}],
      "livenessProbe":{"httpGet":{"path":"/healthz","port":8080,"scheme":"HTTP"},"initialDelaySeconds":15,
        "timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}}]},
    "status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z","podIP":"10.1.0.2","podIPs":[{"ip":"10.1.0.2"}],
      "qosClass":"Burstable","conditions":[{"type":"Ready","status":"True"}],
      "containerStatuses":[{"name":"liveness","ready":true,"restartCount":2,"containerID":"cri://abc",
        "state":{"running":{"startedAt":"2026-01-01T00:01:00Z"}},
        "lastState":{"terminated":{"reason":"Error","exitCode":137,"startedAt":"x","finishedAt":"y"}}}]}})");
  auto events =
      json::parse(R"({"items":[{"type":"Warning","reason":"Unhealthy","count":3,"source":{"component":"kubelet"},
    "message":"Liveness probe failed: HTTP probe failed with statuscode: 500"}]})");
  auto text = describe_pod(pod, events);
  for (const char* expected : {
           "Name:             liveness-http\n",
           "Labels:           test=liveness\n",
           "Annotations:      <none>\n",
           "  IP:           10.1.0.2\n",
           "  liveness:\n    Container ID:   cri://abc\n",
           "    Args:\n      /server\n",
           "    State:          Running\n      Started:      2026-01-01T00:01:00Z\n",
           "    Last State:     Terminated\n",
           "      Exit Code:    137\n",
           "    Restart Count:  2\n",
           "    Limits:\n      memory:  128Mi\n",
           "    Liveness:       http-get http://:8080/healthz delay=15s timeout=1s period=10s #success=1 #failure=3\n",
           "      TOKEN:  <set by secretKeyRef: token>\n",
           "QoS Class:        Burstable\n",
           "Liveness probe failed: HTTP probe failed with statuscode: 500\n",
       }) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\nis not in:\n" << text;
  }
}

TEST(FormatEvents, CountsRepeats) {
  auto events = json::parse(R"({"items":[{"type":"Normal","reason":"Pulled","count":1,"message":"m",
    "involvedObject":{"kind":"Pod","name":"web"},"metadata":{"namespace":"default"}}]})");
  EXPECT_EQ(format_events(events, false),
            "LAST SEEN   TYPE     REASON   OBJECT    MESSAGE\n"
            "<unknown>   Normal   Pulled   Pod/web   m\n");
}

}  // namespace
}  // namespace keelson::cli
