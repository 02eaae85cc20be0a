// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes as the body of a shim message. What is accepted is the same once written and read again.
#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>

#include "cri/shim/protocol.h"
#include "cri/shim/wire.h"

namespace {

using namespace keelson::cri::shim;

template <class T>
void there_and_back(std::string_view bytes) {
  const auto message = decode<T>(bytes);
  if (!message) {
    return;
  }
  const auto written = encode(*message);
  const auto again = decode<T>(written);
  if (!again || encode(*again) != written) {
    fmt::print(stderr, "changed by writing and reading\n");
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  there_and_back<Request>(bytes);
  there_and_back<Reply>(bytes);
  there_and_back<SandboxSpec>(bytes);
  there_and_back<ContainerSpec>(bytes);
  there_and_back<ProcessStatus>(bytes);
  return 0;
}
