// SPDX-License-Identifier: Apache-2.0
// Devices for the containers of a pod, one container after the other, and all of them or none.
#include <fmt/format.h>

#include <algorithm>

#include "agent/devices/devices_state.h"

namespace keelson::devices {

namespace {

constexpr const char* kReason = "UnexpectedAdmissionError";

/// Our own end, as opposed to a plugin's word.
bool is_given_up(const Error& error) {
  return error.kind() == Kind::cancelled;
}

}  // namespace

Task<std::optional<agent::AllotmentRefusal>> Devices::State::allot(kube::Pod pod) {
  const auto uid = pod.metadata.uid;
  auto work = std::make_shared<Allotting>(inventory, std::move(pod));
  if (const auto* had = inventory.of(uid)) {
    work->given = *had;
  }
  const PodDevices before = work->given;
  allotting[uid] = work;
  const auto done = co_await allot_all(work);
  allotting.erase(uid);
  if (!done && is_given_up(done.error())) {
    co_return std::unexpected(done.error());
  }
  if (!done) {
    co_return agent::AllotmentRefusal{
        .reason = kReason,
        .message = fmt::format("Allocate failed due to {}, which is unexpected", done.error().message())};
  }
  if (work->released) {
    co_return fail(Kind::cancelled, "pod {} has gone", uid);
  }
  earlier_boot.erase(uid);
  if (work->news) {
    inventory.assign(uid, work->given);
    if (auto kept = write(); !kept) {
      inventory.assign(uid, before);
      co_return std::unexpected(std::move(kept).error());
    }
    options.changed();
  }
  co_return std::nullopt;
}

Task<> Devices::State::allot_all(SharedAllotting work) {
  for (const auto& container : work->pod.spec.init_containers) {
    KEELSON_CO_DO(co_await allot_container(work, container, !container.is_sidecar()));
  }
  for (const auto& container : work->pod.spec.containers) {
    KEELSON_CO_DO(co_await allot_container(work, container, false));
  }
  co_return Result<>();
}

/// `ends`: before the next container begins, which may then have its devices.
Task<> Devices::State::allot_container(SharedAllotting work, kube::Container container, bool ends) {
  for (const auto& [resource, amount] : container.resources.limits) {
    if (amount.zero() || !inventory.resources().contains(resource)) {
      continue;
    }
    Wish wish{
        .pod = work->pod.metadata.uid, .container = container.name, .resource = resource, .count = amount.whole()};
    KEELSON_CO_DO(co_await allot_resource(work, std::move(wish)));
  }
  for (const auto& [resource, assignment] : work->given[container.name]) {
    auto& reusable = work->reusable[resource];
    for (const auto& id : assignment.ids()) {
      if (ends) {
        reusable.insert(id);
      } else {
        reusable.erase(id);
      }
    }
  }
  if (work->given[container.name].empty()) {
    work->given.erase(container.name);
  }
  co_return Result<>();
}

/// Of what the container has already.
Result<> Devices::State::keep(const Allotting& work, const Wish& wish, const Assignment& assignment) const {
  const auto ids = assignment.ids();
  if (std::ssize(ids) != wish.count) {
    return fail(Kind::invalid, "pod \"{}\" container \"{}\" changed request for resource \"{}\" from {} to {}",
                wish.pod, wish.container, wish.resource, ids.size(), wish.count);
  }
  // After a restart of this process alone the container may run, with its plugin not yet back.
  return earlier_boot.contains(work.pod.metadata.uid) ? inventory.check_kept(wish.resource, ids) : Result<>();
}

Task<> Devices::State::allot_resource(SharedAllotting work, Wish wish) {
  const auto& has = work->given[wish.container];
  if (const auto found = has.find(wish.resource); found != has.end()) {
    co_return keep(*work, wish, found->second);
  }
  KEELSON_CO_TRY(auto choice, inventory.choose(wish, work->reusable[wish.resource]));
  Ids first;
  if (auto endpoint = endpoint_of(wish.resource);
      choice.left > 0 && endpoint && endpoint->options().preferred_allocation) {
    KEELSON_CO_TRY(first, co_await preferred(std::move(endpoint), choice, wish.count));
    // Others may have chosen meanwhile.
    KEELSON_CO_TRY(choice, inventory.choose(wish, work->reusable[wish.resource]));
  }
  const auto ids = choice.complete(first);
  work->hold(wish.resource, ids);
  const auto endpoint = endpoint_of(wish.resource);
  if (!endpoint) {
    co_return fail(Kind::unavailable, "endpoint {} has been stopped", wish.resource);
  }
  const SteadyTime began = loop.clock().steady();
  auto response = co_await endpoint->allocate(ids);
  durations.observe({{"resource_name", wish.resource}}, loop.clock().steady() - began);
  if (!response) {
    co_return std::unexpected(std::move(response).error());
  }
  work->given[wish.container][wish.resource] = inventory.describe(wish.resource, ids, *std::move(response));
  work->news = true;
  co_return Result<>();
}

Task<Ids> Devices::State::preferred(std::shared_ptr<Endpoint> endpoint, Choice choice, int64_t count) {
  Ids all = choice.available;
  all.insert(choice.taken.begin(), choice.taken.end());
  auto told = co_await endpoint->prefer(std::move(all), choice.taken, count);
  if (!told && !is_given_up(told.error())) {
    co_return fail(told.error().kind(), "device plugin GetPreferredAllocation rpc failed with err: {}",
                   told.error().message());
  }
  co_return told;
}

Task<> Devices::State::prepare_container(kube::Pod pod, std::string name) {
  const auto* container = kube::find_container(pod.spec, name);
  if (container == nullptr) {
    co_return Result<>();
  }
  if (lacks(pod.metadata.uid, *container)) {
    KEELSON_CO_TRY(const auto refusal, co_await allot(pod));
    if (refusal) {
      co_return fail(Kind::exhausted, "{}", refusal->message);
    }
  }
  for (const auto& [resource, amount] : container->resources.limits) {
    const auto asked = plugin_options.find(resource);
    if (amount.zero() || asked == plugin_options.end() || !asked->second.pre_start) {
      continue;
    }
    const auto* has = devices_of(pod.metadata.uid, name);
    if (has == nullptr || !has->contains(resource)) {
      co_return fail(Kind::conflict, "no devices found allocated in local cache for pod {}, container {}, resource {}",
                     pod.metadata.uid, name, resource);
    }
    const auto endpoint = endpoint_of(resource);
    Result<> done = endpoint ? co_await endpoint->pre_start(has->at(resource).ids())
                             : fail(Kind::unavailable, "endpoint {} has been stopped", resource);
    if (!done) {
      co_return fail(done.error().kind(), "device plugin PreStartContainer rpc failed with err: {}",
                     done.error().message());
    }
  }
  co_return Result<>();
}

/// Of a resource that nobody knew when the pod came: its plugin has registered since, or what was known was lost.
bool Devices::State::lacks(const std::string& uid, const kube::Container& container) const {
  const auto known = inventory.resources();
  const auto* has = devices_of(uid, container.name);
  return std::ranges::any_of(container.resources.limits, [&](const auto& limit) {
    const auto& [resource, amount] = limit;
    return !amount.zero() && known.contains(resource) && (has == nullptr || !has->contains(resource));
  });
}

void Devices::State::release(const std::string& uid) {
  if (const auto found = allotting.find(uid); found != allotting.end()) {
    if (const auto work = found->second.lock()) {
      work->released = true;
    }
  }
  earlier_boot.erase(uid);
  if (inventory.release(uid)) {
    write_or_tell();
    options.changed();
  }
}

const ContainerDevices* Devices::State::devices_of(const std::string& uid, const std::string& container) const {
  const auto* pod = inventory.of(uid);
  if (pod == nullptr) {
    return nullptr;
  }
  const auto found = pod->find(container);
  return found != pod->end() ? &found->second : nullptr;
}

}  // namespace keelson::devices
