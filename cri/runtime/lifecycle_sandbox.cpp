// SPDX-License-Identifier: Apache-2.0
// lifecycle.h: ends of sandboxes.
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "common/fd.h"
#include "common/log.h"
#include "cri/runtime/lifecycle.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

constexpr int kShimEnds = 5000;  // milliseconds

// SIGKILL to all at once, then wait for each: the pod's end takes as long as its slowest, not their sum.
Result<> kill_containers(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  std::vector<Result<>> outcomes;
  const auto containers = sandbox->containers();
  outcomes.resize(containers.size());
  std::vector<std::jthread> workers;
  for (size_t i = 1; i < containers.size(); ++i) {
    workers.emplace_back(
        [&, i] { outcomes[i] = stop_container(parts, {sandbox, containers[i]}, std::chrono::seconds::zero()); });
  }
  if (!containers.empty()) {
    outcomes[0] = stop_container(parts, {sandbox, containers[0]}, std::chrono::seconds::zero());
  }
  workers.clear();
  for (auto& outcome : outcomes) {
    KEELSON_DO(std::move(outcome));
  }
  return {};
}

Result<> detach_network(Parts& parts, Sandbox& sandbox) {
  const auto record = sandbox.record();
  if (!record.network_attached()) {
    return {};
  }
  KEELSON_DO(parts.network.detach(record).context("network of sandbox {}", sandbox.id()));
  return sandbox.update([](SandboxRecord& change) { change.set_network_attached(false); });
}

// The shim's reply is its last word, not its end: its cgroup and namespaces are free when it has gone.
void await_end(const Fd& process) {
  if (process) {
    pollfd ready{process.get(), POLLIN, 0};
    ::poll(&ready, 1, kShimEnds);
  }
}

Result<> end_shim(Parts& parts, Sandbox& sandbox) {
  parts.watcher->forget(sandbox.id());
  if (const auto shim = sandbox.shim()) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, shim->pid(), 0)));
    auto ended = shim->shutdown();
    if (!ended && ended.error().kind() != Kind::unavailable) {
      return std::move(ended).context("end the shim of sandbox {}", sandbox.id());
    }
    await_end(process);
    sandbox.set_shim(nullptr);
  }
  parts.execs.lost(sandbox.id());
  const auto netns = sandbox.read([](const auto& record) { return record.netns_path(); });
  // A shim that was killed could not do it.
  ::umount2(parts.shared_memory_dir(sandbox.id()).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (!netns.empty()) {
    ::umount2(netns.c_str(), MNT_DETACH);
    ::unlink(netns.c_str());
  }
  return {};
}

Result<> take_away(Parts& parts, Sandbox& sandbox) {
  const auto parent = sandbox.read([](const auto& record) { return record.cgroup_parent(); });
  KEELSON_DO(parts.cgroups.kill_and_remove(parts.cgroups.child(parent, sandbox.id())));
  if (parent == parts.options.default_cgroup_parent) {
    parts.cgroups.remove_if_empty(parent);
  }
  KEELSON_DO(remove_tree(parts.sandbox_dir(sandbox.id())));
  KEELSON_DO(remove_tree(parts.sandbox_files_dir(sandbox.id())));
  return sandbox.forget();
}

}  // namespace

Result<> stop_sandbox(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  const std::scoped_lock turn(sandbox->operation());
  const bool was_ready = sandbox->ready();
  if (was_ready) {  // first: a stop that is cut short is then known as one at the next start
    KEELSON_DO(sandbox->update([](SandboxRecord& record) { record.set_state(v1::SANDBOX_NOTREADY); }));
  }
  KEELSON_DO(kill_containers(parts, sandbox));
  KEELSON_DO(detach_network(parts, *sandbox));
  if (const auto shim = sandbox->shim()) {
    for (const auto& container : sandbox->containers()) {
      if (container->state() == v1::CONTAINER_CREATED) {
        shim::ProcessStatus status;
        status.exit_code = 128 + SIGKILL;
        status.finished_at = now_ns();
        record_exit(parts, {sandbox, container}, status);
      }
    }
  }
  KEELSON_DO(end_shim(parts, *sandbox));
  if (was_ready) {
    tell(parts, *sandbox, sandbox->id(), v1::CONTAINER_STOPPED_EVENT);
  }
  return {};
}

Result<> remove_sandbox(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  KEELSON_DO(stop_sandbox(parts, sandbox));
  for (const auto& container : sandbox->containers()) {
    KEELSON_DO(remove_container(parts, {sandbox, container}));
  }
  const std::scoped_lock turn(sandbox->operation());
  if (sandbox->forgotten()) {  // by another removal, while this one waited for its turn
    return {};
  }
  const bool complete = sandbox->read([](const auto& record) { return record.complete(); });
  // As for containers: a removal that is cut short goes on at the next start.
  KEELSON_DO(sandbox->update([](SandboxRecord& change) { change.set_complete(false); }));
  if (auto gone = take_away(parts, *sandbox); !gone) {
    KEELSON_DO(sandbox->update([&](SandboxRecord& change) { change.set_complete(complete); }));
    return gone;
  }
  parts.pods.erase_sandbox(sandbox->id());
  tell(parts, *sandbox, sandbox->id(), v1::CONTAINER_DELETED_EVENT);
  return {};
}

}  // namespace keelson::cri
