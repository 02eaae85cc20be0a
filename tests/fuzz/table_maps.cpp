// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/table_maps.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>

namespace keelson::fuzz {
namespace {

using dataplane::Verdict;

template <class Row>
Row row_of(const Fd& map, uint32_t index) {
  Row row{};
  bpf_map_lookup_elem(map.get(), &index, &row);
  return row;
}

std::string rule_text(bool masquerade, bool ranges, const char* verdict, uint32_t affinity) {
  return fmt::format("{}{}{} {}", masquerade ? "masqueraded " : "", ranges ? "ranges " : "", verdict, affinity);
}

}  // namespace

std::string Answer::to_string() const {
  std::string text = rule + ":";
  for (const auto& [address, port] : places) {
    text += fmt::format(" {}:{}", address.to_string(), port);
  }
  return text;
}

Answers answers_of(const dataplane::Model& model) {
  Answers answers;
  for (const auto& [key, service] : model.services) {
    for (const auto& frontend : service.frontends) {
      std::array<Answer, dataplane::kFromCount> all;
      for (size_t from = 0; from < all.size(); from++) {
        auto use = frontend.uses[from];
        bool forward = use.verdict == Verdict::cluster || use.verdict == Verdict::local;
        all[from].rule = rule_text(use.masquerade, !frontend.source_ranges.empty(),
                                   forward                          ? "forward"
                                   : use.verdict == Verdict::reject ? "reject"
                                                                    : "drop",
                                   service.affinity_seconds);
        for (auto place : use.verdict == Verdict::local ? service.local : service.cluster) {
          if (forward) {
            all[from].places.insert({service.backends[place].address, service.backends[place].port});
          }
        }
      }
      answers.try_emplace({frontend.address, frontend.port, service.protocol}, all);
    }
  }
  return answers;
}

TableFiles::TableFiles() {
  constexpr uint32_t kFrontends = 10'000, kServices = 512, kSlots = 1 << 20, kBackends = 4096;
  LIBBPF_OPTS(bpf_map_create_opts, sparse, .map_flags = BPF_F_NO_PREALLOC);
  LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
  frontends_.reset(bpf_map_create(BPF_MAP_TYPE_HASH, "f_frontends", sizeof(kl_frontend_key), sizeof(kl_frontend),
                                  kFrontends, &sparse));
  services_.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "f_services", 4, sizeof(kl_service), kServices, &mapped));
  slots_.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "f_slots", 4, 4, kSlots, &mapped));
  backends_.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "f_backends", 4, sizeof(kl_backend), kBackends, &mapped));
  ranges_.reset(bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "f_ranges", sizeof(kl_range_key), 4, 10'000, &sparse));
  maps_ = {.frontends = frontends_.get(),
           .services = services_.get(),
           .slots = slots_.get(),
           .backends = backends_.get(),
           .source_ranges = ranges_.get(),
           .frontend_rows = kFrontends,
           .service_rows = kServices,
           .slot_rows = kSlots,
           .backend_rows = kBackends};
}

Answer TableFiles::answer(const kl_frontend& frontend, size_t from) const {
  auto verdict = frontend.use[from] & KL_USE_VERDICT;
  auto service = row_of<kl_service>(services_, frontend.service);
  bool forward = verdict == KL_CLUSTER || verdict == KL_LOCAL;
  Answer answer;
  answer.rule = rule_text(frontend.use[from] & KL_USE_MASQUERADE, frontend.ranges != 0,
                          forward                ? "forward"
                          : verdict == KL_REJECT ? "reject"
                                                 : "drop",
                          service.affinity_seconds);
  auto pool = forward ? service.pool[verdict == KL_LOCAL] : 0;
  for (uint32_t i = 0; i < KL_POOL_COUNT(pool); i++) {
    auto name = row_of<uint32_t>(slots_, KL_POOL_BASE(pool) + i);
    auto backend = row_of<kl_backend>(backends_, KL_BACKEND_ROW(name));
    if (backend.name != name || !(backend.flags & KL_BACKEND_SERVING)) {
      answer.rule += " to an endpoint that is gone";
    }
    answer.places.insert({ebpf::from_kl(backend.address), ntohs(backend.port)});
  }
  return answer;
}

Answers TableFiles::answers() const {
  Answers answers;
  kl_frontend_key key{}, next{};
  const kl_frontend_key* before = nullptr;
  while (bpf_map_get_next_key(frontends_.get(), before, &next) == 0) {
    key = next;
    before = &key;
    kl_frontend frontend{};
    bpf_map_lookup_elem(frontends_.get(), &key, &frontend);
    auto& all = answers[{ebpf::from_kl(key.address), ntohs(key.port), static_cast<dataplane::Protocol>(key.protocol)}];
    for (size_t from = 0; from < all.size(); from++) {
      all[from] = answer(frontend, from);
    }
  }
  return answers;
}

}  // namespace keelson::fuzz
