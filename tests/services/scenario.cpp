// SPDX-License-Identifier: Apache-2.0
// scenario.h: from YAML.
#include "tests/services/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <stdexcept>

#include <yaml-cpp/yaml.h>

#include "tests/services/objects.h"

namespace keelson::services {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArrow = " -> ";

std::string slug(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!result.empty() && result.back() != '-') {
      result += '-';
    }
  }
  while (result.ends_with('-')) {
    result.pop_back();
  }
  return result;
}

std::string text_of(const YAML::Node& node, const char* key) {
  return node[key] ? node[key].as<std::string>() : "";
}

void set_target(Send& send, std::string target) {
  if (auto slash = target.find('/'); slash != target.npos) {
    send.path = target.substr(slash);
    target.resize(slash);
  }
  auto colon = target.rfind(':');
  if (colon == target.npos) {
    throw std::runtime_error("no port in " + target);
  }
  send.port = static_cast<uint16_t>(std::stoi(target.substr(colon + 1)));
  send.address = target.substr(0, colon);
  if (send.address.starts_with('[')) {
    send.address = send.address.substr(1, send.address.size() - 2);
  }
}

Send parse_send(const std::string& text) {
  std::istringstream words(text);
  Send send;
  std::string target, word;
  words >> send.who >> send.protocol >> target;
  set_target(send, target);
  while (words >> word) {
    if (word == "same") {
      send.same_wanted = true;
    } else if (word == "df") {
      send.whole = true;
    } else if (word == "size") {
      words >> send.size;
    } else if (word == "as") {
      words >> send.name;
    } else if (word.starts_with('x')) {
      send.times = std::stoi(word.substr(1));
    } else {
      throw std::runtime_error("unknown word " + word + " in " + text);
    }
  }
  return send;
}

void parse_text(Step& step) {
  std::istringstream words(step.text);
  std::string first, second;
  words >> first >> second;
  static const std::map<std::string, Step::Kind> kinds = {
      {"use", Step::Kind::use},   {"stray", Step::Kind::stray}, {"restart", Step::Kind::restart},
      {"kill", Step::Kind::kill}, {"stop", Step::Kind::stop},   {"start", Step::Kind::start},
      {"wait", Step::Kind::wait}};
  auto kind = kinds.find(first);
  if (kind == kinds.end()) {
    step.send = parse_send(step.text);
    return;
  }
  step.kind = kind->second;
  if (step.kind == Step::Kind::wait) {
    step.wait = std::chrono::milliseconds(std::stoi(second));
  } else {
    step.name = second;
  }
}

// "ours" is what all do, but where a peer is given by itself.
void set_wanted(Step& step, const std::string& ours, const YAML::Node& node) {
  for (auto side : kSides) {
    step.wanted[side] = ours;
  }
  if (!node.IsMap()) {
    return;
  }
  for (auto side : {Side::packets, Side::iptables, Side::nftables}) {
    const char* group = side == Side::packets ? "others" : "peers";
    for (const auto& key : {std::string("others"), std::string(group), std::string(to_string(side))}) {
      if (node[key]) {
        step.wanted[side] = node[key].as<std::string>();
      }
    }
  }
  step.why = text_of(node, "why");
  if (step.differs() != !step.why.empty()) {
    throw std::runtime_error("a difference has a why, and only a difference: " + step.text);
  }
}

Step parse_step(const YAML::Node& node, const std::string& ns, int family) {
  auto mapped = [&](const std::string& text) { return family == 4 ? text : text_in_ipv6(text); };
  Step step;
  for (auto [key, kind] : {std::pair("apply", Step::Kind::apply), {"remove", Step::Kind::remove}}) {
    if (node.IsMap() && node[key]) {
      step.kind = kind;
      step.text = key;
      step.objects = expand(node[key], ns, family);
      return step;
    }
  }
  auto text = node.IsMap() ? node["step"].as<std::string>() : node.as<std::string>();
  auto arrow = text.find(kArrow);
  auto ours = node.IsMap() ? text_of(node, "ours") : arrow == text.npos ? "" : text.substr(arrow + 4);
  step.text = mapped(text.substr(0, arrow));
  parse_text(step);
  if (!ours.empty()) {
    set_wanted(step, ours, node);
  }
  bool seen = step.kind == Step::Kind::send || step.kind == Step::Kind::use;
  if (seen != !step.wanted.empty()) {
    throw std::runtime_error("a step that is seen has an answer, and only such: " + text);
  }
  return step;
}

Scenario parse_scenario(const YAML::Node& node, const std::string& file, const std::string& group, int family) {
  Scenario scenario{.file = file,
                    .group = text_of(node, "group").empty() ? group : text_of(node, "group"),
                    .feature = text_of(node, "feature"),
                    .name = slug(text_of(node, "name")),
                    .family = family,
                    .objects = {},
                    .steps = {}};
  try {
    auto ns = fmt::format("{}-v{}", scenario.name, family);
    if (scenario.name.empty() || scenario.feature.empty() || ns.size() > 63) {
      throw std::runtime_error("needs a name (up to 60 characters) and a feature");
    }
    scenario.alone = node["alone"].as<bool>(false);
    scenario.objects = expand(node, ns, family);
    for (const auto& step : node["steps"]) {
      scenario.steps.push_back(parse_step(step, ns, family));
    }
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("{}: {}: {}", file, scenario.name, error.what()));
  }
  return scenario;
}

std::vector<Group> load_groups(const std::string& file) {
  std::vector<Group> groups;
  for (const auto& node : YAML::LoadFile(file)) {
    Group group{.name = node["name"].as<std::string>(), .proxy = {}, .flags = {}};
    if (node["proxy"]) {
      group.proxy = to_json(node["proxy"]).as_object();
    }
    for (const auto& flag : node["flags"]) {
      group.flags.push_back(flag.as<std::string>());
    }
    groups.push_back(group);
  }
  return groups;
}

void load_file(const fs::path& path, Suite& suite) {
  auto root = YAML::LoadFile(path.string());
  auto group = text_of(root, "group");
  for (const auto& node : root["scenarios"]) {
    std::vector<int> families = {4, 6};
    if (node["families"]) {
      families = node["families"].as<std::vector<int>>();
    }
    for (int family : families) {
      suite.scenarios.push_back(parse_scenario(node, path.stem().string(), group.empty() ? "default" : group, family));
    }
  }
}

}  // namespace

std::string_view to_string(Side side) {
  constexpr std::string_view names[] = {"ours", "packets", "iptables", "nftables"};
  return names[static_cast<size_t>(side)];
}

bool Step::differs() const {
  return std::ranges::any_of(wanted, [&](const auto& one) { return one.second != wanted.at(Side::ours); });
}

bool Step::may_be_silent() const {
  return std::ranges::any_of(wanted, [](const auto& one) { return one.second.find("no answer") != std::string::npos; });
}

std::string Scenario::id() const {
  return fmt::format("{}/{}/v{}", file, name, family);
}

const Group& Suite::group(const std::string& name) const {
  auto found = std::ranges::find(groups, name, &Group::name);
  if (found == groups.end()) {
    throw std::runtime_error("no group " + name + " in groups.yaml");
  }
  return *found;
}

Suite load_suite(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml" && entry.path().filename() != "groups.yaml") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  Suite suite{.groups = load_groups(folder + "/groups.yaml"), .scenarios = {}};
  std::set<std::string> namespaces;
  for (const auto& file : files) {
    load_file(file, suite);
  }
  for (const auto& scenario : suite.scenarios) {
    suite.group(scenario.group);
    if (!namespaces.insert(fmt::format("{}-v{}", scenario.name, scenario.family)).second) {
      throw std::runtime_error("two scenarios " + scenario.name);
    }
  }
  return suite;
}

}  // namespace keelson::services
