// SPDX-License-Identifier: Apache-2.0
// api_objects.h over curl(1): one process, one connection, a request an object.
#include "tests/support/api_objects.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include <boost/json/serialize.hpp>

#include "tests/support/control_plane.h"
#include "tests/support/process.h"

namespace keelson::testing {
namespace {

namespace json = boost::json;

// What curl prints after each answer, to find its code.
constexpr const char* kMark = "@@answer ";

std::string text(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

std::string path_of(const json::object& object) {
  const auto& metadata = object.at("metadata").as_object();
  auto ns = text(metadata, "namespace"), name = text(metadata, "name"), kind = text(object, "kind");
  ns = ns.empty() ? "default" : ns;
  if (kind == "Node") {
    return "/api/v1/nodes/" + name;
  }
  if (kind == "Namespace") {
    return "/api/v1/namespaces/" + name;
  }
  if (kind == "EndpointSlice") {
    return fmt::format("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices/{}", ns, name);
  }
  EXPECT_EQ(kind, "Service") << "a kind that is not known here";
  return fmt::format("/api/v1/namespaces/{}/services/{}", ns, name);
}

std::string quoted(const std::string& words) {
  std::string out = "\"";
  for (char c : words) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + "\"";
}

// One transfer of a curl configuration file.
std::string request(const std::string& method, const std::string& path, const std::string& type,
                    const std::string& body) {
  auto out = fmt::format(
      "next\nurl = \"{}{}\"\nrequest = {}\ninsecure\nsilent\nmax-time = 30\nheader = \"Authorization: Bearer "
      "{}\"\nwrite-out = \"\\n{}{} %{{http_code}}\\n\"\n",
      kApiServer, path, method, kAdminToken, kMark, method);
  if (!body.empty()) {
    out += fmt::format("header = \"Content-Type: application/{}\"\ndata-raw = {}\n", type, quoted(body));
  }
  return out;
}

}  // namespace

void ApiObjects::apply(const std::vector<json::object>& objects) const {
  std::string requests;
  for (auto object : objects) {
    auto path = path_of(object);
    json::object status;
    if (auto* given = object.if_contains("status")) {
      status["status"] = *given;
      object.erase("status");
    }
    requests +=
        request("PATCH", path + "?fieldManager=keelson-tests&force=true", "apply-patch+yaml", json::serialize(object));
    if (!status.empty()) {
      requests += request("PATCH", path + "/status", "merge-patch+json", json::serialize(status));
    }
  }
  call(requests);
}

void ApiObjects::remove(const std::vector<json::object>& objects) const {
  std::string requests;
  for (const auto& object : objects) {
    requests += request("DELETE", path_of(object), "", "");
  }
  call(requests);
}

void ApiObjects::call(const std::string& requests) const {
  if (requests.empty()) {
    return;
  }
  std::vector<std::string> command;
  if (!netns_.empty()) {
    command = {"nsenter", "--net=" + netns_};
  }
  command.insert(command.end(), {"curl", "--config", "-"});
  auto done = run(command, requests.substr(std::string("next\n").size()));
  ASSERT_EQ(done.code, 0) << "curl: " << done.error;
  std::string answer;
  std::istringstream lines(done.out);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kMark)) {
      answer += line + "\n";
      continue;
    }
    auto result = line.substr(std::string(kMark).size());
    EXPECT_TRUE(result.find(" 2") != result.npos || result == "DELETE 404") << result << ": " << answer;
    answer.clear();
  }
}

}  // namespace keelson::testing
