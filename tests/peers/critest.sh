#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# critest against our runtime and against containerd with runc, in one run: a table of every spec, ours and theirs.
# usage: critest.sh [--only ours|theirs] [--focus REGEX] [--handler NAME] [--keep] [--if-built]
# --handler: every pod is of that RuntimeClass handler; ours has one, "runc".
# Fails if a spec that passes on containerd does not pass on ours (with --only ours: if any spec fails).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${KEELSON_BUILD:-$top/build}
only= focus= handler= keep= if_built= arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift ;;
    --focus) focus=$2; shift ;;
    --handler) handler=$2; shift ;;
    --keep) keep=1 ;;
    --if-built) if_built=--if-built ;;
    *) echo "usage: critest.sh [--only ours|theirs] [--focus REGEX] [--handler NAME] [--keep] [--if-built]" >&2; exit 2 ;;
  esac
  shift
done
skip() { echo "SKIP: critest: $*" >&2; exit 77; }
[ "$(id -u)" -eq 0 ] || skip "needs root"
[ -x /usr/lib/cni/portmap ] || skip "needs the reference CNI plugins (portmap)"
command -v iptables > /dev/null || skip "needs iptables, for the portmap plugin"
tools=$("$here/cri-tools.sh" $if_built)
# The newest containerd that was built here; else Debian's.
if peer=$("$here/containerd.sh" --if-built 2> /dev/null); then export PATH=$peer:$PATH; fi

# What has to be fetched is had now: pods on the host's network, host ports and bridges come in a network of their own,
# which reaches nothing, collides with nothing, and ends with this script.
if [ -z "${KEELSON_CRITEST_HOME:-}" ]; then
  export KEELSON_CRITEST_HOME
  KEELSON_CRITEST_HOME=$(mktemp -d /tmp/keelson-critest-XXXXXX)
  trap 'rm -rf "$KEELSON_CRITEST_HOME"' EXIT
  "$here/critest-images.sh" "$build/test" "$KEELSON_CRITEST_HOME/images"
  exec unshare --net --kill-child "$0" "${arguments[@]}"
fi
home=$KEELSON_CRITEST_HOME
ip link set lo up
pids=()
stop() {
  trap - EXIT
  # A spec that failed leaves its pods, and nobody else ends them.
  local socket
  for socket in "$home/run/cri.sock" "$home/containerd.sock"; do
    [ ! -S "$socket" ] || timeout 60 "$tools/crictl" --runtime-endpoint "unix://$socket" rmp --all --force > /dev/null 2>&1 || true
  done
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  awk -v home="$home" '$5 ~ "^" home {print $5}' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l
  find /sys/fs/cgroup -depth -type d -path "*/$(basename "$home")*" -exec rmdir {} + 2>/dev/null || true
  if [ -n "$keep" ]; then echo "kept: $home"; else rm -rf --one-file-system "$home"; fi
}
trap stop EXIT
# wait_for_socket SOCKET PID: a minute, as the disk may be busy with what was built just before; not for a process that has ended.
wait_for_socket() {
  for _ in $(seq 600); do
    [ ! -S "$1" ] || return 0
    kill -0 "$2" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$2" 2>/dev/null; then
    echo "critest: no $1 after a minute; its threads wait in:" >&2
    grep -H '' /proc/"$2"/task/*/{comm,wchan} >&2 || true
  else
    echo "critest: no $1, its process has ended" >&2
  fi
  tail -20 "$home"/*.log >&2
  return 1
}

# Images: a registry on loopback under the names that critest has built in.
"$build/test/test-registry" "$home/images/list" > "$home/registry" &
pids+=($!)
for _ in $(seq 100); do grep -q '^$' "$home/registry" && break; sleep 0.1; done
address=$(head -1 "$home/registry")
for name in registry.k8s.io gcr.io; do
  mkdir -p "$home/certs.d/$name"
  printf 'server = "http://%s"\n\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$address" "$address" > "$home/certs.d/$name/hosts.toml"
done
# One image is asked for by a digest that is built in; the same image made here has another.
digest=$(awk '$1 ~ /test-image-digest$/ {print $3}' "$home/registry")
LC_ALL=C sed "s/\(test-image-digest@\)sha256:[0-9a-f]\{64\}/\1$digest/g" "$tools/critest" > "$home/critest"
chmod +x "$home/critest"

network() {  # network NAME MAIN_PLUGIN: portmap behind it, for host ports
  mkdir -p "$home/cni/$1"
  echo "{\"cniVersion\":\"1.0.0\",\"name\":\"$1\",\"plugins\":[$2,{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}]}" > "$home/cni/$1/10.conflist"
}
start_ours() {
  network ours "{\"type\":\"keelson-cni\",\"dataDir\":\"$home/ipam\",\"ranges\":[\"10.245.0.0/24\"]}"
  "$build/bin/keelson" --run "$home/run" node --roles runtime --root "$home/root" --cni-conf-dir "$home/cni/ours" --cni-bin-dir "$build/bin" --cni-bin-dir /usr/lib/cni \
    --registry-config-dir "$home/certs.d" --cgroup-root "/$(basename "$home")" --runtime-handler "runc=$(command -v runc || echo /usr/sbin/runc)" --remove-pods-on-exit > "$home/ours.log" 2>&1 &
  pids+=($!)
  socket=$home/run/cri.sock
}
start_theirs() {
  network theirs "{\"type\":\"bridge\",\"bridge\":\"kl-critest0\",\"isGateway\":true,\"ipMasq\":true,\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"$home/host-local\",\"ranges\":[[{\"subnet\":\"10.245.1.0/24\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}"
  "$top/tests/support/containerd.sh" "$home" "$home/cni/theirs" "$home/certs.d" > "$home/theirs.log" 2>&1 &
  pids+=($!)
  socket=$home/containerd.sock
  wait_for_socket "$socket" $!
  "$top/deploy/examples/make-images.sh" "$build/test/test-server" "$home/examples"
  ctr --address "$socket" -n k8s.io images import "$home/examples/pause.tar" > /dev/null
}
# measure SIDE: "status TAB spec TAB why skipped" a line, in $home/SIDE.specs
measure() {
  local side=$1 socket
  start_"$side"
  wait_for_socket "$socket" "${pids[-1]}"
  # A fixed seed makes two runs alike.
  timeout "${KEELSON_CRITEST_TIMEOUT:-300}" "$home/critest" --config "$home/none" --runtime-endpoint "unix://$socket" --image-endpoint "unix://$socket" \
    --ginkgo.v --ginkgo.seed 1 --ginkgo.no-color ${focus:+--ginkgo.focus "$focus"} ${handler:+--runtime-handler "$handler"} --ginkgo.junit-report "$home/$side.xml" > "$home/$side.out" 2>&1 || true
  [ -s "$home/$side.xml" ] || { echo "critest: no report for $side" >&2; tail -20 "$home/$side.out" >&2; return 1; }
  awk -v OFS='\t' '
    function text(line, name) {
      if (!match(line, name "=\"[^\"]*\"")) return ""
      line = substr(line, RSTART + length(name) + 2, RLENGTH - length(name) - 3)
      gsub(/&#34;|&quot;/, "\"", line); gsub(/&#39;|&apos;/, "\047", line); gsub(/&lt;/, "<", line); gsub(/&gt;/, ">", line); gsub(/&amp;/, "\\&", line)
      return line
    }
    function out() {if (spec ~ /^\[It\] /) {sub(/^\[It\] (\[k8s.io\] )?/, "", spec); print status, spec, reason} spec = ""}
    /<testcase / {out(); spec = text($0, "name"); status = text($0, "status"); reason = ""}
    /<skipped/ {reason = text($0, "message"); sub(/^skipped - /, "", reason)}
    END {out()}' "$home/$side.xml" | sort -t$'\t' -k2 > "$home/$side.specs"
}

sides=(ours theirs)
[ -z "$only" ] || sides=("$only")
case " ${sides[*]} " in *" theirs "*)
  for tool in containerd runc ctr; do command -v $tool > /dev/null || skip "needs $tool"; done ;;
esac
for side in "${sides[@]}"; do measure "$side"; done
for side in ours theirs; do [ -e "$home/$side.specs" ] || : > "$home/$side.specs"; done

echo "critest $("$tools/crictl" --version | awk '{print $3}'): ours beside $(containerd --version 2>/dev/null | awk '{print $1, $3}') with $(runc --version 2>/dev/null | head -1)"
awk -F'\t' -v only="$only" -v focus="$focus" '
  FILENAME ~ /ours.specs$/ {ours[$2] = $1; why[$2] = $3; all[$2]; next}
  {theirs[$2] = $1; all[$2]}
  function word(status) {return status == "" ? "-" : status}
  END {
    for (spec in all) {
      mine = ours[spec]; other = theirs[spec]
      if (focus != "" && mine !~ /passed|failed/ && other !~ /passed|failed/) continue
      reason = mine != "skipped" ? "" : spec ~ /benchmark/ ? " (a benchmark: bench/ has ours)" : why[spec] != "" ? " (" why[spec] ")" : ""
      printf "%-8s %-8s %s%s\n", word(mine), word(other), spec, reason | "sort -k3"
      good += mine == "passed"; skipped += mine == "skipped"; bad += mine != "" && mine != "passed" && mine != "skipped"
      their_good += other == "passed"; their_skipped += other == "skipped"; their_bad += other != "" && other != "passed" && other != "skipped"
      worse += other == "passed" && mine != "passed"
    }
    close("sort -k3")
    printf "ours: %d passed, %d failed, %d skipped\n", good, bad, skipped
    if (only == "") printf "containerd: %d passed, %d failed, %d skipped; passing there and not here: %d\n", their_good, their_bad, their_skipped, worse
    exit only == "ours" ? bad > 0 || good == 0 : only == "" ? worse > 0 || their_good == 0 : 0
  }' "$home/ours.specs" "$home/theirs.specs" || {
  echo "what failed on ours, in critest's words:"
  grep -A12 '\[FAILED\]' "$home/ours.out" | head -n 60
  exit 1
}
