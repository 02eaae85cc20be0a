// SPDX-License-Identifier: Apache-2.0
// `nft -j list table`, as libnftables-json(5) writes it and as far as kube-proxy's rules go.
#include <optional>

#include <boost/json.hpp>

#include "network/kube_proxy/ruleset.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

/// The value below `path`; null if a step is absent.
const json::value* find(const json::value& value, std::initializer_list<std::string_view> path) {
  const auto* at = &value;
  for (auto step : path) {
    const auto* object = at->if_object();
    at = object ? object->if_contains(step) : nullptr;
    if (!at) {
      return nullptr;
    }
  }
  return at;
}

std::string text(const json::value* value) {
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

std::optional<dataplane::Prefix> prefix_of(const json::value& value) {
  if (const auto* prefix = find(value, {"prefix"})) {
    const auto* length = find(*prefix, {"len"});
    return length && length->is_int64()
               ? dataplane::Prefix::parse(fmt::format("{}/{}", text(find(*prefix, {"addr"})), length->get_int64()))
               : std::nullopt;
  }
  if (const auto* inner = find(value, {"elem", "val"})) {
    return prefix_of(*inner);
  }
  return value.is_string() ? dataplane::Prefix::parse(std::string_view(value.get_string())) : std::nullopt;
}

std::optional<dataplane::Protocol> protocol_of(const json::value& value) {
  auto name = text(&value);
  return name == "tcp"    ? std::optional(dataplane::Protocol::tcp)
         : name == "udp"  ? std::optional(dataplane::Protocol::udp)
         : name == "sctp" ? std::optional(dataplane::Protocol::sctp)
                          : std::nullopt;
}

/// The part of a packet that an expression reads.
std::optional<Match::What> field_of(const json::value& expression) {
  auto field = text(find(expression, {"payload", "field"}));
  if (field == "saddr" || field == "daddr") {
    return field == "saddr" ? Match::What::source : Match::What::destination;
  }
  if (field == "dport") {
    return Match::What::port;
  }
  if (text(find(expression, {"meta", "key"})) == "l4proto") {
    return Match::What::protocol;
  }
  if (const auto* flags = find(expression, {"fib", "flags"}); flags && flags->is_array()) {
    for (const auto& flag : flags->get_array()) {
      if (text(&flag) == "saddr" || text(&flag) == "daddr") {
        return text(&flag) == "saddr" ? Match::What::source_is_local : Match::What::destination_is_local;
      }
    }
  }
  return std::nullopt;
}

/// A verdict, as a rule ends with one and as a map's value.
bool set_verdict(const json::value& verdict, Rule& rule) {
  using Action = Rule::Action;
  const auto* object = verdict.if_object();
  if (!object || object->size() != 1) {
    return false;
  }
  const auto& [key, value] = *object->begin();
  if (key == "jump" || key == "goto") {
    rule.action = key == "jump" ? Action::jump : Action::go_to;
    rule.chain = text(find(value, {"target"}));
    return true;
  }
  static const std::map<std::string_view, Action> kVerdicts = {
      {"drop", Action::drop}, {"reject", Action::reject}, {"accept", Action::accept}, {"return", Action::back}};
  auto known = kVerdicts.find(key);
  if (known == kVerdicts.end()) {
    return false;
  }
  rule.action = known->second;
  return true;
}

struct Tables {
  std::map<std::string, json::array> maps;
  std::map<std::string, std::optional<std::vector<dataplane::Prefix>>> sets;  // nothing: filled by packets
};

/// One rule of the table may be many of ours: one for each element of a map that it looks into.
class RuleReader {
 public:
  explicit RuleReader(const Tables& tables) : tables_(tables) {}

  Result<std::vector<Rule>> read(const json::array& expressions) {
    for (const auto& expression : expressions) {
      if (const auto* match = find(expression, {"match"})) {
        add_match(*match);
      } else if (const auto* vmap = find(expression, {"vmap"})) {
        KEELSON_DO(expand(*vmap));
        return std::move(rules_);
      } else if (const auto* dnat = find(expression, {"dnat"})) {
        KEELSON_DO(add_dnat(*dnat));
      } else {
        set_verdict(expression, rule_);
      }
    }
    rules_.push_back(std::move(rule_));
    return std::move(rules_);
  }

 private:
  void add_match(const json::value& match) {
    const auto *left = find(match, {"left"}), *right = find(match, {"right"});
    auto field = left ? field_of(*left) : std::nullopt;
    if (!field || !right) {
      rule_.matches.push_back({Match::What::may_hold});
      return;
    }
    rule_.matches.push_back(value_match(*field, *right, text(find(match, {"op"})) == "!="));
  }

  Match value_match(Match::What field, const json::value& value, bool negated) const {
    auto name = text(&value);
    Match match{field, negated};
    if (name.starts_with('@')) {
      auto known = tables_.sets.find(name.substr(1));
      if (known == tables_.sets.end() || !known->second) {
        return {Match::What::may_hold};
      }
      match.prefixes = *known->second;
      return match;
    }
    if (field == Match::What::port && value.is_int64()) {
      match.port = static_cast<uint16_t>(value.get_int64());
      return match;
    }
    if (auto protocol = protocol_of(value); field == Match::What::protocol && protocol) {
      match.protocol = *protocol;
      return match;
    }
    if (field == Match::What::source_is_local || field == Match::What::destination_is_local) {
      return name == "local" ? match : Match{Match::What::may_hold};
    }
    if (const auto* set = find(value, {"set"}); set && set->is_array()) {
      for (const auto& one : set->get_array()) {
        if (auto prefix = prefix_of(one)) {
          match.prefixes.push_back(*prefix);
        }
      }
      return match;
    }
    if (auto prefix = prefix_of(value)) {
      match.prefixes = {*prefix};
      return match;
    }
    return {Match::What::may_hold};
  }

  Result<> add_dnat(const json::value& dnat) {
    auto address = dataplane::Address::parse(text(find(dnat, {"addr"})));
    const auto* port = find(dnat, {"port"});
    if (!address || !port || !port->is_int64()) {
      return fail(Kind::invalid, "nft: dnat without address and port: {}", json::serialize(dnat));
    }
    rule_.action = Rule::Action::dnat;
    rule_.to = {*address, static_cast<uint16_t>(port->get_int64())};
    return {};
  }

  Result<> expand(const json::value& vmap) {
    const auto *key = find(vmap, {"key"}), *data = find(vmap, {"data"});
    if (!key || !data) {
      return fail(Kind::invalid, "nft: vmap without key and data");
    }
    const auto* inline_set = find(*data, {"set"});
    auto named = tables_.maps.find(data->is_string() ? text(data).substr(1) : "");
    const auto* elements = inline_set && inline_set->is_array() ? &inline_set->get_array()
                           : named != tables_.maps.end()        ? &named->second
                                                                : nullptr;
    // A map that has no elements has none in JSON, either.
    for (const auto& element : elements ? *elements : json::array()) {
      const auto* pair = element.if_array();
      Rule rule = rule_;
      if (!pair || pair->size() != 2 || !set_verdict((*pair)[1], rule)) {
        return fail(Kind::invalid, "nft: an element of a verdict map is '{}'", json::serialize(element));
      }
      add_key(*key, (*pair)[0], rule);
      rules_.push_back(std::move(rule));
    }
    return {};
  }

  void add_key(const json::value& key, const json::value& value, Rule& rule) const {
    if (const auto* inner = find(value, {"elem", "val"})) {
      return add_key(key, *inner, rule);
    }
    const auto *fields = find(key, {"concat"}), *values = find(value, {"concat"});
    if (fields && values && fields->is_array() && values->is_array() &&
        fields->get_array().size() == values->get_array().size()) {
      for (size_t i = 0; i < fields->get_array().size(); i++) {
        add_key(fields->get_array()[i], values->get_array()[i], rule);
      }
      return;
    }
    auto field = field_of(key);
    rule.matches.push_back(field ? value_match(*field, value, false) : Match{Match::What::may_hold});
  }

  const Tables& tables_;
  Rule rule_;
  std::vector<Rule> rules_;
};

std::optional<std::vector<dataplane::Prefix>> elements_of(const json::value& set) {
  if (const auto* flags = find(set, {"flags"}); flags && json::serialize(*flags).find("dynamic") != std::string::npos) {
    return std::nullopt;
  }
  std::vector<dataplane::Prefix> prefixes;
  if (const auto* elements = find(set, {"elem"}); elements && elements->is_array()) {
    for (const auto& element : elements->get_array()) {
      if (auto prefix = prefix_of(element)) {
        prefixes.push_back(*prefix);
      }
    }
  }
  return prefixes;
}

}  // namespace

Result<Ruleset> Ruleset::from_nftables(std::string_view text_of_table) {
  boost::system::error_code error;
  auto root = json::parse(json::string_view(text_of_table.data(), text_of_table.size()), error);
  const auto* objects = error ? nullptr : find(root, {"nftables"});
  if (!objects || !objects->is_array()) {
    return fail(Kind::invalid, "nft -j: {}", error ? error.message() : "there is no list 'nftables'");
  }
  Tables tables;
  for (const auto& object : objects->get_array()) {
    if (const auto* map = find(object, {"map"})) {
      const auto* elements = find(*map, {"elem"});
      tables.maps[text(find(*map, {"name"}))] =
          elements && elements->is_array() ? elements->get_array() : json::array();
    } else if (const auto* set = find(object, {"set"})) {
      tables.sets[text(find(*set, {"name"}))] = elements_of(*set);
    }
  }
  Ruleset rules;
  for (const auto& object : objects->get_array()) {
    const auto* expressions = find(object, {"rule", "expr"});
    if (!expressions || !expressions->is_array()) {
      continue;
    }
    auto chain = text(find(object, {"rule", "chain"}));
    KEELSON_TRY(auto read, RuleReader(tables).read(expressions->get_array()));
    for (auto& rule : read) {
      rules.add(chain, std::move(rule));
    }
  }
  rules.entries_ = {"firewall-check", "services", "nodeport-endpoints-check", "service-endpoints-check"};
  rules.of_destinations_ = {"services", "nodeport-endpoints-check", "service-endpoints-check"};
  rules.make_indexes();
  return rules;
}

}  // namespace keelson::network
