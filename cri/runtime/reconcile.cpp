// SPDX-License-Identifier: Apache-2.0
// reconcile.h.
#include "cri/runtime/reconcile.h"

#include <signal.h>

#include <filesystem>
#include <map>
#include <set>

#include "common/fd.h"
#include "common/log.h"
#include "cri/runtime/image_volumes.h"
#include "cri/runtime/lifecycle.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

void warn(const Result<>& outcome, std::string_view what, const std::string& id) {
  if (!outcome) {
    log::warning("{} {}: {}; the next start or removal tries again", what, id, outcome.error().message());
  }
}

Result<> fill_table(Parts& parts) {
  KEELSON_TRY(auto all, parts.records.load());
  for (auto& record : all.sandboxes) {
    parts.pods.adopt(std::make_shared<Sandbox>(std::move(record), parts.records));
  }
  for (auto& record : all.containers) {
    const auto sandbox = parts.pods.sandbox(record.sandbox_id());
    if (!sandbox) {
      KEELSON_DO(parts.records.remove_container(record.id()));
      continue;
    }
    if (record.complete()) {
      auto held = parts.images.acquire(record.image_id(), record.id());
      if (!held) {
        log::warning("image of container {}: {}", record.id(), held.error().message());
      }
      if (auto volumes = hold_image_volumes(parts.images, record); !volumes) {
        log::warning("container {}: {}", record.id(), volumes.error().message());
      }
    }
    parts.pods.adopt(*sandbox, std::make_shared<Container>(std::move(record), parts.records));
  }
  parts.images.remove_unused();
  return {};
}

// What the shim says of a container against what was written.
void take_over(Parts& parts, const Located& located, const shim::ProcessStatus* status) {
  auto& container = *located.container;
  if (!status) {
    if (container.state() != v1::CONTAINER_EXITED) {
      shim::ProcessStatus gone;
      gone.exit_code = 128 + SIGKILL;
      gone.finished_at = now_ns();
      record_exit(parts, located, gone);
    }
    return;
  }
  if (status->state == shim::ProcessState::exited) {
    record_exit(parts, located, *status);
  } else if (status->state == shim::ProcessState::running && container.state() == v1::CONTAINER_CREATED) {
    warn(container.update([&](ContainerRecord& record) {
      record.set_state(v1::CONTAINER_RUNNING);
      record.set_started_at(status->started_at);
      record.set_pid(status->pid);
    }),
         "adopt container", container.id());
  }
}

Result<> adopt(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  const auto dir = parts.sandbox_dir(sandbox->id());
  KEELSON_TRY(auto line, shim::ShimClient::connect(dir, parts.options.shim_timeout));
  KEELSON_TRY(auto calls, shim::ShimClient::connect(dir, parts.options.shim_timeout));
  const std::shared_ptr<shim::ShimClient> shim(std::move(calls));
  sandbox->set_shim(shim);
  // Heard from here on; what ended before is in the state, what ends between comes twice, and counts once.
  KEELSON_DO(parts.watcher->watch(sandbox->id(), std::move(line)));
  KEELSON_TRY(const auto statuses, shim->state());
  std::map<std::string, const shim::ProcessStatus*> told;
  for (const auto& status : statuses) {
    if (status.exec_id.empty()) {
      told[status.container_id] = &status;
    }
  }
  for (const auto& container : sandbox->containers()) {
    const auto found = told.find(container->id());
    take_over(parts, {sandbox, container}, found == told.end() ? nullptr : found->second);
    told.erase(container->id());
  }
  for (const auto& [id, status] : told) {
    warn(shim->remove(id), "remove unknown container", id);
  }
  return {};
}

void settle(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  auto adopted = adopt(parts, sandbox);
  if (!adopted) {
    record_loss(parts, sandbox->id());
  }
  const auto record = sandbox->record();
  if (!record.complete()) {
    warn(remove_sandbox(parts, sandbox), "undo sandbox", sandbox->id());
    return;
  }
  if (adopted && record.state() == v1::SANDBOX_NOTREADY) {  // its stop was cut short
    warn(stop_sandbox(parts, sandbox), "stop sandbox", sandbox->id());
  }
  for (const auto& container : sandbox->containers()) {
    if (!container->read([](const auto& one) { return one.complete(); })) {
      warn(remove_container(parts, {sandbox, container}), "undo container", container->id());
    }
  }
}

// A folder without a record: its removal was cut short after the record went.
void remove_strays(const std::string& dir, const std::set<std::string>& known, std::chrono::milliseconds timeout) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    if (known.contains(entry.path().filename().string())) {
      continue;
    }
    if (auto shim = shim::ShimClient::connect(entry.path().string(), timeout)) {
      warn((*shim)->shutdown(), "end unknown shim", entry.path().string());
    }
    warn(remove_tree(entry.path().string()), "remove", entry.path().string());
  }
}

}  // namespace

Result<> reconcile(Parts& parts) {
  KEELSON_DO(fill_table(parts));
  for (const auto& sandbox : parts.pods.sandboxes()) {
    settle(parts, sandbox);
  }
  std::set<std::string> known;
  for (const auto& sandbox : parts.pods.sandboxes()) {
    known.insert(sandbox->id());
  }
  for (const auto& located : parts.pods.containers()) {
    known.insert(located.container->id());
  }
  remove_strays(parts.options.run_dir + "/sandboxes", known, parts.options.shim_timeout);
  remove_strays(parts.options.state_dir + "/sandboxes", known, parts.options.shim_timeout);
  remove_strays(parts.options.state_dir + "/containers", known, parts.options.shim_timeout);
  return {};
}

}  // namespace keelson::cri
