// SPDX-License-Identifier: Apache-2.0
// lifecycle.h: ends of containers, and events.
#include "cri/runtime/lifecycle.h"

#include <signal.h>

#include "common/cgroup/kill.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "cri/runtime/handlers.h"
#include "cri/runtime/status_view.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

// How long a SIGKILL may take to be told: a process in uninterruptible sleep may hold it up.
constexpr std::chrono::seconds kKillTime{30};
constexpr int kKilled = 128 + SIGKILL;

std::chrono::steady_clock::time_point in(std::chrono::seconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// True if nothing is left to wait for.
Result<bool> signal_container(Parts& parts, const Located& located, shim::ShimClient& shim, int number, bool all) {
  auto sent = shim.signal(located.container->id(), number, all);
  if (sent) {
    return false;
  }
  if (sent.error().kind() == Kind::unavailable) {  // the shim has ended; the watcher may tell it a moment later
    record_loss(parts, located.sandbox->id());
    return true;
  }
  if (sent.error().kind() == Kind::not_found) {  // another call has just removed it
    return true;
  }
  return std::unexpected(std::move(sent).error());
}

std::string reason_of(const shim::ProcessStatus& status, bool oom) {
  if (status.exit_code == 0) {
    return "Completed";
  }
  return oom ? "OOMKilled" : "Error";
}

Result<> take_away(Parts& parts, const Located& located, const ContainerRecord& record) {
  const auto& id = record.id();
  if (const auto shim = located.sandbox->shim()) {
    auto removed = shim->remove(id);
    if (!removed && removed.error().kind() != Kind::not_found && removed.error().kind() != Kind::unavailable) {
      return std::move(removed).context("remove container {}", id);
    }
  }
  KEELSON_DO(forget_by_handler(parts, *located.sandbox, id));
  if (!record.cgroup().empty()) {
    KEELSON_DO(parts.cgroups.kill_and_remove(record.cgroup()));
  }
  KEELSON_DO(remove_tree(parts.container_dir(id)));
  parts.images.release(id);
  return located.container->forget();
}

}  // namespace

int64_t now_ns() {
  return real_clock().wall().time_since_epoch().count();
}

void tell(Parts& parts, const Sandbox& sandbox, const std::string& id, v1::ContainerEventType type) {
  if (!parts.events.heard()) {
    return;
  }
  Events::Event event;
  event.set_container_id(id);
  event.set_container_event_type(type);
  event.set_created_at(now_ns());
  *event.mutable_pod_sandbox_status() = sandbox.read([](const auto& record) { return status_of(record); });
  for (const auto& container : sandbox.containers()) {
    *event.add_containers_statuses() = container->read([](const auto& record) { return status_of(record); });
  }
  parts.events.publish(event);
}

void record_exit(Parts& parts, const Located& located, const shim::ProcessStatus& status) {
  const auto cgroup = located.container->read([](const auto& record) { return record.cgroup(); });
  const bool oom = parts.cgroups.oom_kills(cgroup) > 0 && status.exit_code != 0;
  bool first = false;
  auto saved = located.container->update([&](ContainerRecord& record) {
    if (record.state() == v1::CONTAINER_EXITED) {
      return;
    }
    first = true;
    record.set_state(v1::CONTAINER_EXITED);
    record.set_pid(0);
    if (record.started_at() == 0) {
      record.set_started_at(status.started_at);
    }
    record.set_finished_at(status.finished_at);
    record.set_exit_code(status.exit_code);
    record.set_reason(reason_of(status, oom));
  });
  if (!saved) {
    log::error("exit of container {}: {}; kept in memory", located.container->id(), saved.error().message());
  }
  if (first) {
    tell(parts, *located.sandbox, located.container->id(), v1::CONTAINER_STOPPED_EVENT);
  }
}

void record_loss(Parts& parts, const std::string& sandbox_id) {
  auto sandbox = parts.pods.sandbox(sandbox_id);
  if (!sandbox) {
    return;
  }
  (*sandbox)->set_shim(nullptr);
  parts.execs.lost(sandbox_id);
  auto saved = (*sandbox)->update([](SandboxRecord& record) { record.set_state(v1::SANDBOX_NOTREADY); });
  if (!saved) {
    log::error("loss of sandbox {}: {}; kept in memory", sandbox_id, saved.error().message());
  }
  for (const auto& container : (*sandbox)->containers()) {
    // In a shared PID namespace what it has forked lives on without the shim.
    const auto cgroup = container->read([](const auto& record) { return record.cgroup(); });
    if (auto dead = cgroup.empty() ? Result<>() : cgroup::kill_members(parts.cgroups.procs_files(cgroup)); !dead) {
      log::error("container {}: {}", container->id(), dead.error().message());
    }
    if (auto gone = forget_by_handler(parts, **sandbox, container->id()); !gone) {
      log::error("container {}: {}; its removal tries again", container->id(), gone.error().message());
    }
    if (container->state() != v1::CONTAINER_EXITED) {
      shim::ProcessStatus status;
      status.exit_code = kKilled;
      status.finished_at = now_ns();
      auto noted =
          container->update([](auto& record) { record.set_message("the sandbox's shim ended, and this with it"); });
      static_cast<void>(noted);  // record_exit writes, and reports, the same row
      record_exit(parts, {*sandbox, container}, status);
    }
  }
  tell(parts, **sandbox, sandbox_id, v1::CONTAINER_STOPPED_EVENT);
}

Result<> stop_container(Parts& parts, const Located& located, std::chrono::seconds grace) {
  // No lock while it waits: a later call with a shorter grace, or a kill of the whole pod, must not stand behind this
  // one.
  const auto& container = *located.container;
  if (container.state() != v1::CONTAINER_RUNNING) {
    return {};
  }
  const auto shim = located.sandbox->shim();
  if (!shim) {
    record_loss(parts, located.sandbox->id());
    return {};
  }
  if (grace > std::chrono::seconds::zero()) {
    const int number = container.read([](const auto& record) { return record.stop_signal(); });
    KEELSON_TRY(const bool over, signal_container(parts, located, *shim, number ? number : SIGTERM, false)
                                     .context("stop container {}", container.id()));
    if (over || container.wait_stopped(in(grace))) {
      return {};
    }
  }
  KEELSON_TRY(const bool over,
              signal_container(parts, located, *shim, SIGKILL, true).context("kill container {}", container.id()));
  if (over) {
    return {};
  }
  if (!container.wait_stopped(in(kKillTime))) {
    return fail(Kind::timeout, "container {} is not dead {} s after SIGKILL", container.id(), kKillTime.count());
  }
  return {};
}

Result<> remove_container(Parts& parts, const Located& located) {
  const auto& id = located.container->id();
  KEELSON_DO(stop_container(parts, located, std::chrono::seconds::zero()));
  const std::scoped_lock turn(located.container->operation());
  if (located.container->forgotten()) {  // by another removal, while this one waited for its turn
    return {};
  }
  const auto record = located.container->record();
  // What a crash leaves from here on is less than a container: the next start goes on with its removal.
  KEELSON_DO(located.container->update([](ContainerRecord& change) { change.set_complete(false); }));
  if (auto gone = take_away(parts, located, record); !gone) {
    KEELSON_DO(located.container->update([&](ContainerRecord& change) { change.set_complete(record.complete()); }));
    return gone;
  }
  parts.pods.erase_container(id);
  tell(parts, *located.sandbox, id, v1::CONTAINER_DELETED_EVENT);
  return {};
}

}  // namespace keelson::cri
