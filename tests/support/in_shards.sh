#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# in_shards.sh N PROGRAM [ARGS...]: a GoogleTest program as N processes at once, each with its share of the tests; what they print
# comes in order. For programs whose time goes into the kernel's verifier, and whose tests keep to namespaces and pins of their own.
set -uo pipefail
count=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for ((i = 0; i < count; i++)); do
  GTEST_TOTAL_SHARDS=$count GTEST_SHARD_INDEX=$i "$@" > "$folder/$i" 2>&1 &
  pids[i]=$!
done
status=0
for ((i = 0; i < count; i++)); do
  wait "${pids[i]}" || status=$?
  cat "$folder/$i"
done
exit $status
