// SPDX-License-Identifier: Apache-2.0
// iptables-save, as far as kube-proxy's rules go.
#include <charconv>
#include <optional>

#include "network/kube_proxy/ruleset.h"

namespace keelson::network {
namespace {

using Words = std::vector<std::string>;

/// As the shell that iptables-save writes for: blanks between words, "..." around some.
Words split(std::string_view line) {
  Words words;
  for (size_t at = 0; at < line.size();) {
    if (line[at] == ' ') {
      at++;
      continue;
    }
    std::string word;
    bool quoted = line[at] == '"';
    for (at += quoted; at < line.size() && line[at] != (quoted ? '"' : ' '); at++) {
      at += line[at] == '\\' && at + 1 < line.size();
      word += line[at];
    }
    at += quoted;
    words.push_back(std::move(word));
  }
  return words;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(port) : std::nullopt;
}

std::optional<dataplane::Protocol> parse_protocol(const std::string& text) {
  return text == "tcp"    ? std::optional(dataplane::Protocol::tcp)
         : text == "udp"  ? std::optional(dataplane::Protocol::udp)
         : text == "sctp" ? std::optional(dataplane::Protocol::sctp)
                          : std::nullopt;
}

/// "10.0.0.1:80", "[fd00::1]:80".
std::optional<Endpoint> parse_endpoint(std::string text) {
  auto colon = text.rfind(':');
  if (colon == text.npos) {
    return std::nullopt;
  }
  auto port = parse_port(std::string_view(text).substr(colon + 1));
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  auto address = dataplane::Address::parse(host);
  return port && address ? std::optional(Endpoint(*address, *port)) : std::nullopt;
}

/// One rule's words after "-A CHAIN". What is not known is passed over, with the values that follow it: those words
/// that do not begin an option.
class RuleReader {
 public:
  RuleReader(const Words& words, size_t at) : words_(words), at_(at) {}

  /// Nothing: a value could not be read, see wrong().
  std::optional<Rule> read() {
    while (at_ < words_.size()) {
      bool negated = words_[at_] == "!";
      at_ += negated;
      if (at_ >= words_.size() || !option(negated)) {
        return std::nullopt;
      }
    }
    return std::move(rule_);
  }
  std::string wrong() const { return at_ < words_.size() ? words_[at_] : "its end"; }

 private:
  std::string next() { return at_ < words_.size() ? words_[at_++] : ""; }

  bool option(bool negated) {
    auto name = next();
    if (name == "-s" || name == "-d") {
      auto prefix = dataplane::Prefix::parse(next());
      auto what = name == "-s" ? Match::What::source : Match::What::destination;
      rule_.matches.push_back({what, negated, {prefix.value_or(dataplane::Prefix())}});
      return prefix.has_value();
    }
    if (name == "-p") {
      auto protocol = parse_protocol(next());
      rule_.matches.push_back(protocol ? Match{Match::What::protocol, negated, {}, *protocol}
                                       : Match{Match::What::may_hold});
      return true;
    }
    if (name == "--dport") {
      auto port = parse_port(next());
      rule_.matches.push_back({Match::What::port, negated, {}, dataplane::Protocol::tcp, port.value_or(0)});
      return port.has_value();
    }
    if (name == "--src-type" || name == "--dst-type") {
      bool local = next() == "LOCAL";
      auto what = name == "--src-type" ? Match::What::source_is_local : Match::What::destination_is_local;
      rule_.matches.push_back({local ? what : Match::What::may_hold, negated});
      return true;
    }
    if (name == "-j" || name == "-g") {
      return target(next(), name == "-g");
    }
    if (name == "--to-destination") {
      auto endpoint = parse_endpoint(next());
      rule_.to = endpoint.value_or(Endpoint());
      return endpoint.has_value();
    }
    // What depends on more than the packet: chance, who was here before, connections, marks. --set only remembers.
    if (name == "--mode" || name == "--rcheck" || name == "--ctstate" || name == "--mark") {
      rule_.matches.push_back({Match::What::may_hold});
    }
    while (at_ < words_.size() && !words_[at_].starts_with('-') && words_[at_] != "!") {
      at_++;
    }
    return true;
  }

  bool target(const std::string& name, bool goes) {
    using Action = Rule::Action;
    static const std::map<std::string, Action> kTargets = {
        {"DNAT", Action::dnat},   {"REJECT", Action::reject}, {"DROP", Action::drop},        {"ACCEPT", Action::accept},
        {"RETURN", Action::back}, {"MARK", Action::go_on},    {"MASQUERADE", Action::go_on}, {"SNAT", Action::go_on}};
    auto known = kTargets.find(name);
    if (known != kTargets.end()) {
      rule_.action = known->second;
      return true;
    }
    rule_.action = goes ? Action::go_to : Action::jump;
    rule_.chain = name;
    return !name.empty();
  }

  const Words& words_;
  size_t at_;
  Rule rule_;
};

}  // namespace

Result<Ruleset> Ruleset::from_iptables(std::string_view text) {
  Ruleset rules;
  // Both tables have chains of the same names.
  std::string table;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    at = end + 1;
    number++;
    if (line.starts_with('*')) {
      table = line.substr(1) == "nat" ? "" : std::string(line.substr(1)) + "/";
    }
    if (!line.starts_with("-A KUBE-")) {
      continue;
    }
    auto words = split(line);
    RuleReader reader(words, 2);
    auto rule = reader.read();
    if (!rule) {
      return fail(Kind::invalid, "line {} of iptables-save: near '{}': {}", number, reader.wrong(), line);
    }
    if (table.empty() || rule->chain.empty()) {
      rules.add(table + words[1], *std::move(rule));
    } else {
      rule->chain = table + rule->chain;
      rules.add(table + words[1], *std::move(rule));
    }
  }
  rules.entries_ = {"KUBE-SERVICES", "filter/KUBE-PROXY-FIREWALL", "filter/KUBE-SERVICES",
                    "filter/KUBE-EXTERNAL-SERVICES"};
  rules.of_destinations_ = {"KUBE-SERVICES", "KUBE-NODEPORTS", "filter/KUBE-SERVICES", "filter/KUBE-EXTERNAL-SERVICES"};
  rules.make_indexes();
  return rules;
}

}  // namespace keelson::network
