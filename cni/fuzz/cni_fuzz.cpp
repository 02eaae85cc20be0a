// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes as a network configuration, as a plugin's result, and as what the plugin is run with. What is
// accepted must read the same once written again, and whatever the plugin is given, its answer is JSON.
#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cni/conflist.h"
#include "cni/ipam.h"
#include "cni/plugin.h"
#include "cni/types.h"

namespace {

using namespace keelson::cni;
namespace json = boost::json;

void expect(bool good, const char* what, const std::string& text) {
  if (!good) {
    fmt::print(stderr, "{}\n{}\n", what, text);
    std::abort();
  }
}

void result_there_and_back(const std::string& text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error) {
    return;
  }
  const auto outcome = parse_outcome(value);
  if (!outcome) {
    expect(!outcome.error().message().empty(), "an error without a message", text);
    return;
  }
  for (const char* version : kVersions) {
    const auto written = format_outcome(*outcome, version);
    const auto again = parse_outcome(written);
    expect(again.has_value(), "written, but not accepted again", json::serialize(written));
    expect(json::serialize(format_outcome(*again, version)) == json::serialize(written), "changed by writing",
           json::serialize(written));
  }
}

void list(const std::string& text) {
  for (const char* file : {"10-a.conflist", "10-a.conf"}) {
    const auto parsed = parse_network_list(text, file);
    if (!parsed) {
      expect(parsed.error().message().find(file) != std::string::npos, "an error that does not name the file",
             parsed.error().message());
      continue;
    }
    expect(valid_name(parsed->name), "a list with a name that is none", parsed->name);
    expect(!parsed->plugins.empty(), "a list without plugins", text);
  }
}

/// The plugin itself, as far as it goes without a container: the namespace it is given is never there. Leases go to a
/// folder of ours, whatever the configuration says.
void plugin(const std::string& given) {
  static const std::string data_dir = fmt::format("/tmp/keelson-fuzz-cni-{}", ::getpid());
  static const bool alone = ::unshare(CLONE_NEWNET) == 0;
  expect(alone, "needs a network namespace of its own: run it as root", "");
  boost::system::error_code none;
  auto text = given;
  if (auto value = json::parse(given.substr(std::min(given.find('\n'), given.size())), none);
      !none && value.is_object()) {
    value.as_object()["dataDir"] = data_dir;
    text = given.substr(0, given.find('\n')) + "\n" + json::serialize(value);
  } else if (given.find("dataDir") != given.npos) {
    return;
  }
  const auto cut = text.find('\n');
  const auto id = text.substr(0, std::min(cut, text.size()));
  for (const char* verb : {"ADD", "CHECK", "VERSION", "STATUS"}) {
    const auto answer = run_plugin({.environment = {{"CNI_COMMAND", verb},
                                                    {"CNI_CONTAINERID", id},
                                                    {"CNI_IFNAME", id.substr(0, 16)},
                                                    {"CNI_NETNS", "/nonexistent/netns"},
                                                    {"CNI_PATH", "/nonexistent"}},
                                    .input = cut == std::string::npos ? text : text.substr(cut + 1)});
    boost::system::error_code error;
    if (!answer.output.empty()) {
      const auto value = json::parse(answer.output, error);
      expect(!error && value.is_object(), "an answer that is not JSON", answer.output);
    }
    expect(answer.exit_code == 0 || !answer.output.empty(), "a failure without an error object", text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  list(text);
  result_there_and_back(text);
  plugin(text);
  if (const auto subnet = Subnet::parse(text)) {
    expect(subnet->prefix > 0, "a subnet of everything", text);
  }
  return 0;
}
