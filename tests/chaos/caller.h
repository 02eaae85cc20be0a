// SPDX-License-Identifier: Apache-2.0
// A client that calls whatever CRI has.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tests/chaos/node.h"
#include "tests/chaos/requests.h"

namespace keelson::chaos {

/// What all callers share. Thread-safe.
class Ledger {
 public:
  KnownIds sandboxes;
  KnownIds containers;
  /// Configurations by sandbox, as CreateContainer repeats them.
  void remember(const std::string& sandbox, const v1::PodSandboxConfig& config);
  v1::PodSandboxConfig config_of(const std::string& sandbox) const;

  /// Counts by method and code; of INTERNAL and UNKNOWN the messages, without their numbers and ids.
  void note(const std::string& method, const grpc::Status& status);
  uint64_t calls() const;
  /// "RunPodSandbox OK 120, INVALID_ARGUMENT 7" a line, then the messages.
  std::string report() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, v1::PodSandboxConfig> configs_;
  std::map<std::string, std::map<int, uint64_t>> counts_;
  std::map<std::string, uint64_t> messages_;
};

/// One thread's.
class Caller {
 public:
  Caller(const Node& node, Ledger& ledger, uint64_t seed) : node_(node), ledger_(ledger), dice_(seed) {}
  /// One call. A fifth of them is given up by the client after a few milliseconds.
  void step();

 private:
  template <class Stub, class Request, class Response>
  using Rpc = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);
  /// The answer, if there was one. `fill` gets the request.
  template <class Stub, class Request, class Response, class Fill>
  std::optional<Response> call(Rpc<Stub, Request, Response> rpc, Fill fill);
  std::shared_ptr<v1::RuntimeService::Stub> stub(const v1::RuntimeService::Stub*) const;
  std::shared_ptr<v1::ImageService::Stub> stub(const v1::ImageService::Stub*) const;
  void run_sandbox();
  void create_container();
  void end_something();
  void use_container();
  void exec_sync(const std::string& container);
  void ask();
  void ask_images();
  void learn();

  const Node& node_;
  Ledger& ledger_;
  Dice dice_;
};

}  // namespace keelson::chaos
