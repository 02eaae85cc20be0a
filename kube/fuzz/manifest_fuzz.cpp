// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes as a manifest. Nothing may crash or hang, and what is accepted must survive being printed and read
// again.
#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>

#include "kube/codec.h"
#include "kube/pod_qos.h"
#include "kube/selector.h"

namespace {

using namespace keelson::kube;

void expect(bool good, const char* what, const std::string& text) {
  if (!good) {
    fmt::print(stderr, "{}\n{}\n", what, text);
    std::abort();
  }
}

void there_and_back(const Pod& pod) {
  for (const std::string& text : {encode_yaml(pod), encode_json(pod), encode_json(pod, JsonStyle::pretty)}) {
    const auto documents = decode_documents(text, "again");
    expect(documents.size() == 1 && documents[0].object.has_value(), "printed, but not accepted again", text);
    expect(std::get<Pod>(*documents[0].object) == pod, "changed by printing and reading", text);
  }
  qos_class(pod);
  expect(pod_requests(pod).size() >= pod.spec.overhead.size(), "requests without the overhead", "");
  pod_limits(pod);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Document& document : decode_documents(text, "fuzz")) {
    expect(document.object.has_value() == document.errors.empty(), "an object and errors, or neither", "");
    for (const Problem& problem : document.errors) {
      expect(!problem.message().empty(), "an error without a message", "");
    }
    if (document.object && std::holds_alternative<Pod>(*document.object)) {
      there_and_back(std::get<Pod>(*document.object));
    }
  }
  (void)decode_pods(text).has_value();
  (void)decode_events(text).has_value();
  if (const auto selector = parse_selector(text)) {
    matches(*selector, {{"app", "web"}});
  }
  if (const auto quantity = Quantity::parse(text)) {
    const auto again = Quantity::parse(quantity->to_string());
    expect(again && *again == *quantity, "a quantity changed by printing", quantity->to_string());
  }
  return 0;
}
