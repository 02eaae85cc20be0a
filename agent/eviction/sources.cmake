# SPDX-License-Identifier: Apache-2.0
# What eviction/ adds to the target keelson::agent; paths are relative to agent/.
set(AGENT_EVICTION_PUBLIC eviction/evictor.h eviction/image_collector.h eviction/node_sources.h eviction/ranking.h eviction/threshold_watch.h)
set(AGENT_EVICTION_SRCS eviction/evictor.cpp eviction/image_collector.cpp eviction/node_sources.cpp eviction/ranking.cpp eviction/threshold_watch.cpp)
set(AGENT_EVICTION_UNIT_TESTS eviction/evictor_test.cpp eviction/image_collector_test.cpp eviction/ranking_test.cpp eviction/threshold_watch_test.cpp)
