// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes from an API server, cut anywhere. Nothing may crash, and the cuts may change nothing.
#include <cstdint>
#include <cstdlib>

#include "kube/json_stream.h"

namespace {

using namespace keelson::kube;

const AnnotationNames kKept = {"k/*"};

template <class T>
struct Decoded {
  bool good = true;
  std::vector<T> objects;
  std::vector<std::string> versions;
  bool operator==(const Decoded&) const = default;
};

template <class T>
Decoded<T> list_of(std::string_view text, size_t step) {
  ListDecoder<T> decoder(kKept);
  Decoded<T> decoded;
  for (size_t at = 0; decoded.good && at < text.size(); at += step) {
    decoded.good = decoder.feed(text.substr(at, step)).has_value();
  }
  const auto meta =
      decoded.good ? decoder.finish() : keelson::Result<ListMeta>(keelson::fail(keelson::Kind::invalid, "-"));
  decoded.good = meta.has_value();
  if (meta) {
    decoded.objects = decoder.take();
    decoded.versions = {meta->resource_version, meta->continue_token};
  }
  return decoded;
}

template <class T>
Decoded<T> events_of(std::string_view text, size_t step) {
  EventDecoder<T> decoder(kKept);
  Decoded<T> decoded;
  for (size_t at = 0; decoded.good && at < text.size(); at += step) {
    auto events = decoder.feed(text.substr(at, step));
    decoded.good = events.has_value();
    for (auto& event : events ? *events : std::vector<WatchEvent<T>>()) {
      decoded.versions.push_back(std::to_string(static_cast<int>(event.type)));
      decoded.objects.push_back(std::move(event.object));
    }
  }
  if (!decoded.good) {
    return {.good = false, .objects = {}, .versions = {}};
  }
  return decoded;
}

template <class T>
void cut_anywhere(std::string_view text, size_t step) {
  if (list_of<T>(text, step) != list_of<T>(text, text.size()) ||
      events_of<T>(text, step) != events_of<T>(text, text.size())) {
    std::abort();
  }
}

}  // namespace

/// The first byte says where to cut.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const size_t step = data[0] % 17 + 1;
  cut_anywhere<Service>(text, step);
  cut_anywhere<EndpointSlice>(text, step);
  cut_anywhere<Node>(text, step);
  cut_anywhere<Pod>(text, step);
  cut_anywhere<ConfigMap>(text, step);
  cut_anywhere<Secret>(text, step);
  decode_status(text);
  return 0;
}
