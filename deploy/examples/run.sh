#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a whole node on the example manifests, beside anything else on this machine, and leaves no trace of it.
# usage: run.sh [--once] [--timeout SECONDS]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${KEELSON_BIN:-$here/../../build/bin}
server=${KEELSON_TEST_SERVER:-$here/../../build/test/test-server}
once= timeout=120
while [ $# -gt 0 ]; do
  case $1 in
    --once) once=1 ;;
    --timeout) timeout=$2; shift ;;
    *) echo "usage: ./dev run [--once] [--timeout SECONDS]" >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || { echo "run.sh: containers need root; run it with sudo" >&2; exit 1; }

home=$(mktemp -d /tmp/keelson-run-XXXXXX)
keelson() { "$bin/keelson" --run "$home/run" "$@"; }
node=
stop() {
  trap - EXIT INT TERM
  if [ -n "$node" ] && kill -0 "$node" 2>/dev/null; then
    echo "stopping: every pod, mount, cgroup and link of this run goes"
    kill -TERM "$node"
    wait "$node" || echo "the node ended with $?, see $home/node.log" >&2
  fi
  rm -rf --one-file-system "$home"
}
trap stop EXIT
trap 'exit 130' INT TERM

"$here/make-images.sh" "$server" "$home/images"
mkdir -p "$home/manifests" "$home/cni/net.d"
cp "$here"/manifests/* "$home/manifests/"
cat > "$home/cni/net.d/10-keelson.conflist" <<JSON
{"cniVersion": "1.1.0", "name": "keelson-run", "plugins": [{"type": "keelson-cni", "dataDir": "$home/cni/data",
  "ranges": ["10.241.0.0/24", "fd00:10:241::/112"]}]}
JSON
"$bin/keelson" node --root "$home/root" --run "$home/run" --manifests "$home/manifests" --cni-conf-dir "$home/cni/net.d" \
  --cni-bin-dir "$bin" --pod-logs-dir "$home/logs/pods" --container-logs-dir "$home/logs/containers" \
  --cgroup-root "/$(basename "$home")" --remove-pods-on-exit --image-archives "$home/images" > "$home/node.log" 2>&1 &
node=$!

# Prints a line for each pod that is not as deploy/examples/expected says.
missing() {
  local list=$1 namespace name ready status restarts
  while read -r namespace name ready status restarts; do
    case $namespace in '' | '#'*) continue ;; esac
    echo "$list" | awk -v ns="$namespace" -v n="$name" -v r="$ready" -v s="^($status)\$" -v c="$restarts" \
      '$1 == ns && $2 == n && $3 == r && $4 ~ s && $5 + 0 >= c + 0 {found = 1} END {exit !found}' ||
      echo "$namespace/$name is not yet $ready $status"
  done < "$here/expected"
}

end=$((SECONDS + timeout))
while :; do
  kill -0 "$node" 2>/dev/null || { echo "the node ended:" >&2; tail -20 "$home/node.log" >&2; exit 1; }
  list=$(keelson get pods -A -o wide --no-headers 2>/dev/null || true)
  left=$(missing "$list")
  if [ -z "$once" ]; then
    [ -t 1 ] && printf '\033[H\033[2J'
    keelson status 2>/dev/null || echo "the node is starting"
    [ -z "$left" ] && printf '\nEvery example pod is as expected. Try: %s --run %s logs web -f\nCtrl-C ends it and removes every trace.\n' "$bin/keelson" "$home/run"
    sleep 1
  elif [ -z "$left" ]; then
    keelson status
    echo "every example pod is as expected"
    exit 0
  elif [ $SECONDS -ge $end ]; then
    keelson status || true
    printf 'after %s s:\n%s\n' "$timeout" "$left" >&2
    keelson events -A | tail -40 >&2 || true
    tail -20 "$home/node.log" >&2
    exit 1
  else
    sleep 0.1
  fi
done
