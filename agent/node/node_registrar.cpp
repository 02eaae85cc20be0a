// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_registrar.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "common/log.h"

namespace keelson::agent {

using namespace asio::experimental::awaitable_operators;

namespace {

constexpr std::chrono::milliseconds kFirstWait{100};
constexpr std::chrono::seconds kLongestWait{7};
constexpr std::chrono::milliseconds kFastLook{100};
constexpr std::chrono::minutes kFastLooks{2};
constexpr std::chrono::seconds kRuntimePatience{30};
constexpr std::chrono::seconds kImagesAge{30};
constexpr std::chrono::seconds kNoAddressAge{1};
constexpr int kTries = 5;

bool cancelled(const Error& error) {
  return error.kind() == Kind::cancelled;
}

/// The API server counts its versions; 0 for one that it does not.
uint64_t version_of(const kube::FullNode& node) {
  const auto& text = node.metadata.resource_version;
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  return error == std::errc() && end == text.data() + text.size() ? version : 0;
}

struct ConditionEvents {
  std::string_view type;
  std::string_view when_true;
  std::string_view when_false;
};
constexpr ConditionEvents kConditionEvents[] = {
    {"MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"},
    {"DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"},
    {"PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"},
    {"Ready", "NodeReady", "NodeNotReady"}};

}  // namespace

NodeRegistrar::NodeRegistrar(Loop& loop, NodeApi& api, NodeSources& sources, RegistrarOptions options)
    : loop_(loop),
      api_(api),
      sources_(sources),
      options_(std::move(options)),
      path_("/api/v1/nodes/" + options_.settings.name),
      started_(loop.clock().steady()),
      held_(options_.pressure_transition),
      report_after_(options_.report_frequency),
      random_(options_.seed),
      news_(loop.io(), asio::steady_timer::time_point::max()) {}

Task<> NodeRegistrar::run() {
  KEELSON_CO_DO(co_await observe());
  if (options_.register_node) {
    mark(&StartupStats::asked_to_register);
    KEELSON_CO_DO(co_await register_node());
  }
  tell(false, "Starting", "Starting kubelet.");
  while (true) {
    KEELSON_CO_DO(co_await report());
    was_ready_ = was_ready_ || looks_ready();
    // Up to 4 % longer, as the kubelet: a cluster's nodes do not fall into step.
    const Duration wait = options_.update_frequency + options_.update_frequency * (random() % 1024) / 1024 / 25;
    KEELSON_CO_DO(co_await look_until(loop_.clock().steady() + wait));
  }
}

void NodeRegistrar::mark(void (StartupStats::*moment)(WallTime)) const {
  if (options_.startup != nullptr) {
    (options_.startup->*moment)(loop_.clock().wall());
  }
}

uint32_t NodeRegistrar::random() {
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
  return static_cast<uint32_t>(random_ >> 33);
}

// ---- Registration

Task<> NodeRegistrar::register_node() {
  Duration wait = kFirstWait;
  while (true) {
    auto done = co_await try_register();
    if (done) {
      co_return Result<>();
    }
    if (cancelled(done.error())) {
      co_return done;
    }
    if (wait >= std::chrono::seconds(1)) {
      log::warning("register node {}: {}; trying again in {} ms", options_.settings.name, done.error().message(),
                   wait / std::chrono::milliseconds(1));
    }
    KEELSON_CO_DO(co_await loop_.sleep(wait));
    wait = std::min<Duration>(wait * 2, kLongestWait);
    KEELSON_CO_DO(co_await observe());
  }
}

Task<> NodeRegistrar::try_register() {
  const auto node = make_node(options_.settings, view_, loop_.clock().wall());
  auto made = co_await ask({.method = "POST", .path = "/api/v1/nodes", .body = encode_json(node)});
  if (made) {
    KEELSON_CO_TRY(sent_, kube::decode_full_node(*made));
    mark(&StartupStats::registered);
    log::info("node {} is registered", options_.settings.name);
    co_return Result<>();
  }
  if (made.error().kind() != Kind::exists) {
    co_return std::unexpected(std::move(made).error());
  }
  co_return co_await reconcile();
}

Task<> NodeRegistrar::reconcile() {
  KEELSON_CO_TRY(const auto existing, co_await get());
  const auto change = metadata_change(make_node(options_.settings, view_, loop_.clock().wall()), existing);
  if (!change.labels.empty() || !change.annotations.empty()) {
    KEELSON_CO_DO(co_await ask(kube::patch_request(path_, kube::PatchType::strategic,
                                                   kube::encode_metadata_patch(change.labels, change.annotations))));
  }
  const auto& boot = existing.status.node_info.boot_id;
  if (!boot.empty() && boot != view_.machine.boot_id) {
    tell(true, "Rebooted",
         fmt::format("Node {} has been rebooted, boot id: {}", options_.settings.name, view_.machine.boot_id));
  }
  log::info("node {} was registered before", options_.settings.name);
  co_return Result<>();
}

// ---- Status

Task<> NodeRegistrar::look_until(SteadyTime next) {
  while (true) {
    const SteadyTime now = loop_.clock().steady();
    const bool often = !was_ready_ && now - started_ < kFastLooks;
    auto waited = co_await (loop_.sleep(often ? std::min<Duration>(kFastLook, next - now) : next - now) || wait_news());
    if (waited.index() == 0 && !std::get<0>(waited)) {
      co_return std::unexpected(std::get<0>(std::move(waited)).error());
    }
    const bool news = std::exchange(has_news_, false);
    KEELSON_CO_DO(co_await observe());
    if (news || loop_.clock().steady() >= next || (!was_ready_ && looks_ready())) {
      co_return Result<>();
    }
  }
}

bool NodeRegistrar::looks_ready() const {
  const auto status = make_node_status(options_.settings, view_, {}, loop_.clock().wall());
  return find_condition(status, "Ready")->status == kube::ConditionStatus::true_status;
}

Task<> NodeRegistrar::report() {
  for (int tries = 1;; ++tries) {
    auto done = co_await try_report();
    if (done || cancelled(done.error())) {
      if (done && std::exchange(failing_, false)) {
        log::info("the status of node {} is told again", options_.settings.name);
      }
      co_return done;
    }
    if (tries == kTries || done.error().kind() == Kind::not_found) {
      if (!std::exchange(failing_, true)) {
        log::warning(
            "tell the status of node {}: {}; trying again in {} s{}", options_.settings.name, done.error().message(),
            options_.update_frequency / std::chrono::seconds(1),
            done.error().kind() == Kind::not_found ? "; a Node that was deleted registers when the agent starts" : "");
      }
      co_return Result<>();
    }
    KEELSON_CO_DO(co_await loop_.sleep(kFirstWait * (1 << tries)));
  }
}

Task<> NodeRegistrar::try_report() {
  KEELSON_CO_TRY(auto existing, co_await get());
  // The server's cache, which answers, may be behind what it has told us.
  if (sent_ && version_of(existing) != 0 && version_of(existing) < version_of(*sent_)) {
    existing = *sent_;
  }
  tell_schedulable(existing.unschedulable);
  if (too_early_for(existing)) {
    co_return Result<>();
  }
  auto before = existing.status;
  const bool begins_anew = view_.devices.first_life && !begun_anew_;
  if (begins_anew) {
    take_away_extended(before);
  }
  const auto status = make_node_status(options_.settings, view_, before, loop_.clock().wall());
  const bool due = !reported_ || loop_.clock().steady() - *reported_ >= report_after_;
  if (!due && !differs(existing.status, status)) {
    begun_anew_ = begun_anew_ || begins_anew;
    co_return Result<>();
  }
  KEELSON_CO_DO(co_await send(existing, status));
  begun_anew_ = begun_anew_ || begins_anew;
  co_return Result<>();
}

Task<> NodeRegistrar::send(const kube::FullNode& existing, const kube::NodeStatus& status) {
  auto body = kube::encode_status_patch(existing.status, status);
  KEELSON_CO_TRY(const auto answer,
                 co_await ask(kube::patch_request(path_ + "/status", kube::PatchType::strategic, std::move(body))));
  KEELSON_CO_TRY(sent_, kube::decode_full_node(answer));
  reported_ = loop_.clock().steady();
  if (find_condition(status, "Ready")->status == kube::ConditionStatus::true_status) {
    mark(&StartupStats::ready);
  }
  report_after_ = options_.report_frequency / 2 + options_.report_frequency * (random() % 1024) / 1024;
  tell_changes(existing.status, status);
  co_return Result<>();
}

bool NodeRegistrar::too_early_for(const kube::FullNode& existing) const {
  const auto* ready = find_condition(existing.status, "Ready");
  return !view_.runtime.asked && loop_.clock().steady() - started_ < kRuntimePatience && ready != nullptr &&
         ready->status != kube::ConditionStatus::false_status;
}

void NodeRegistrar::tell_changes(const kube::NodeStatus& before, const kube::NodeStatus& after) const {
  for (const auto& events : kConditionEvents) {
    const auto* old = find_condition(before, events.type);
    const auto* now = find_condition(after, events.type);
    if (now == nullptr || (old != nullptr && old->status == now->status) ||
        (old == nullptr && events.type == "Ready")) {
      continue;
    }
    const auto reason = now->status == kube::ConditionStatus::true_status ? events.when_true : events.when_false;
    log::info("node {}: {}: {}", options_.settings.name, reason, now->message);
    tell(false, std::string(reason), fmt::format("Node {} status is now: {}", options_.settings.name, reason));
  }
}

void NodeRegistrar::tell_schedulable(bool unschedulable) {
  if (std::exchange(unschedulable_, unschedulable) != unschedulable) {
    const auto* reason = unschedulable ? "NodeNotSchedulable" : "NodeSchedulable";
    tell(false, reason, fmt::format("Node {} status is now: {}", options_.settings.name, reason));
  }
}

void NodeRegistrar::tell(bool warning, std::string reason, std::string message) const {
  if (options_.tell) {
    options_.tell({.warning = warning, .reason = std::move(reason), .message = std::move(message)});
  }
}

// ---- What is seen

Task<> NodeRegistrar::observe() {
  auto machine = co_await sources_.machine();
  if (machine) {
    view_.machine = *std::move(machine);
    view_.pressures =
        held_.observe(pressures(options_.settings.reservation.eviction_hard, view_.machine), loop_.clock().steady());
  } else if (cancelled(machine.error())) {
    co_return std::unexpected(std::move(machine).error());
  } else {
    log::warning("look at the machine: {}; what was seen before counts", machine.error().message());
  }
  KEELSON_CO_DO(co_await look_for_addresses());
  read_board();
  co_return co_await ask_runtime();
}

Task<> NodeRegistrar::look_for_addresses() {
  const SteadyTime now = loop_.clock().steady();
  if (addresses_due_ && now < *addresses_due_) {
    co_return Result<>();
  }
  auto found = co_await sources_.addresses();
  if (!found && cancelled(found.error())) {
    co_return std::unexpected(std::move(found).error());
  }
  addresses_due_ = now + (found ? options_.update_frequency : kNoAddressAge);
  if (!found) {
    if (std::exchange(no_address_, found.error().message()) != found.error().message()) {
      log::error("{}; trying again", no_address_);
    }
    co_return Result<>();
  }
  no_address_.clear();
  if (view_.ips != *found) {
    log::info("node {} has the addresses {}", options_.settings.name, fmt::join(*found, ", "));
    view_.ips = *std::move(found);
  }
  co_return Result<>();
}

/// The own look at the machine counts beside it: an agent that hangs keeps no pressure back.
void NodeRegistrar::read_board() {
  if (options_.board != nullptr) {
    const auto words = options_.board->read();
    view_.pressures |= words.pressures;
    view_.shutting_down = words.shutting_down;
    view_.volumes_in_use = words.volumes_in_use;
    view_.devices = words.devices;
    // While neither has been there for long, nothing is wrong yet.
    const auto seen = options_.board->last_alive();
    const Duration silent = loop_.clock().steady() - seen.value_or(started_);
    view_.pleg = {.seen = seen || silent <= kPlegThreshold, .silent = silent};
  }
}

void NodeRegistrar::look_now() {
  has_news_ = true;
  news_.cancel();
}

Task<> NodeRegistrar::wait_news() {
  while (!has_news_) {
    co_await news_.async_wait(use_result);
  }
  co_return Result<>();
}

Task<> NodeRegistrar::ask_runtime() {
  auto status = co_await sources_.runtime_status();
  if (!status && cancelled(status.error())) {
    co_return std::unexpected(std::move(status).error());
  }
  const SteadyTime now = loop_.clock().steady();
  if (!status) {
    const bool down = now - runtime_answered_.value_or(started_) > kRuntimePatience;
    if (down && !std::exchange(view_.runtime.down, true)) {
      log::warning("the runtime has not answered for {} s: {}", kRuntimePatience.count(), status.error().message());
    }
    // It never came: that is said, too.
    co_return Result<>();
  }
  runtime_answered_ = now;
  view_.runtime.down = false;
  view_.runtime.status = *std::move(status);
  if (!images_seen_ || now - *images_seen_ >= kImagesAge) {
    KEELSON_CO_DO(co_await ask_images());
  }
  co_return Result<>();
}

Task<> NodeRegistrar::ask_images() {
  auto version = co_await sources_.runtime_version();
  if (!version) {
    co_return cancelled(version.error()) ? Result<>(std::unexpected(std::move(version).error())) : Result<>();
  }
  auto images = co_await sources_.images();
  if (!images && cancelled(images.error())) {
    co_return std::unexpected(std::move(images).error());
  }
  view_.runtime.version = *std::move(version);
  view_.runtime.asked = true;
  if (images) {
    view_.runtime.images = *std::move(images);
    images_seen_ = loop_.clock().steady();
  }
  co_return Result<>();
}

std::vector<kube::NodeAddress> NodeRegistrar::addresses() const {
  return sent_ ? sent_->status.addresses : std::vector<kube::NodeAddress>();
}

// ---- The API server

Task<kube::FullNode> NodeRegistrar::get() {
  // Version 0 asks the server's cache, which may not know yet what was made just now.
  KEELSON_CO_TRY(const auto text, co_await ask({.path = path_ + (reported_ ? "?resourceVersion=0" : "")}));
  co_return kube::decode_full_node(text);
}

Task<std::string> NodeRegistrar::ask(kube::Request request) {
  auto answer = co_await api_.call(std::move(request), options_.answer);
  if (!answer && (answer.error().kind() == Kind::timeout || answer.error().kind() == Kind::unavailable)) {
    api_.drop_connection();
  }
  co_return answer;
}

}  // namespace keelson::agent
