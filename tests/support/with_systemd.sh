#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# with_systemd.sh LAYOUT COMMAND...: runs COMMAND beside a real systemd that is PID 1 of namespaces of its own (pid, mount, cgroup, network, ipc, uts), on a
# cgroup subtree of its own in the layout v1, hybrid or v2. It has no unit but an empty default.target, and ends with COMMAND; nothing is left.
set -euo pipefail
layout=$1
shift
if [ "$(id -u)" -ne 0 ] || [ ! -x /lib/systemd/systemd ]; then
  echo "SKIP: needs root and systemd"
  exit 0
fi
name=keelson-systemd-$$
own=$(awk -F: '$1 == "0" {print $3}' /proc/self/cgroup)
v2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
mapfile -t hierarchies < <(awk '($3 == "cgroup" || $3 == "cgroup2") && !seen[$2]++ {print $2}' /proc/mounts)
if [ "$layout" != v2 ] && [ "${#hierarchies[@]}" -lt 2 ]; then
  echo "SKIP: needs cgroup v1"
  exit 0
fi

clean() {
  # Its parent, and with that systemd itself, and with that all of its namespace.
  if [ -n "${parent:-}" ]; then
    kill -KILL "$parent" 2>/dev/null || true
    wait "$parent" 2>/dev/null || true
  fi
  local hierarchy attempt
  for hierarchy in "${hierarchies[@]}"; do
    for attempt in $(seq 1000); do
      find "$hierarchy/${name:?}" -depth -type d -delete 2>/dev/null || true
      [ -d "$hierarchy/${name:?}" ] || break
      sleep 0.05
    done
    [ ! -d "$hierarchy/${name:?}" ] || echo "left behind: $hierarchy/$name" >&2
  done
}
trap clean EXIT

for hierarchy in "${hierarchies[@]}"; do
  mkdir "$hierarchy/$name"
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$hierarchy/$name/$file" ] || [ -n "$(cat "$hierarchy/$name/$file")" ] || cat "$hierarchy/$file" > "$hierarchy/$name/$file"
  done
done

# In its namespaces, before systemd is.
inside='
set -euo pipefail
layout=$1
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /etc/systemd/system
mount -t tmpfs -o mode=755 tmpfs /lib/systemd/system-generators
printf "[Unit]\nDescription=nothing\nDefaultDependencies=no\n" > /etc/systemd/system/default.target
controllers=$(awk "\$3 == \"cgroup\" {print \$4}" /proc/mounts | tr , "\n" | grep -vxE "rw|ro|relatime|nosuid|nodev|noexec|xattr|none|name=.*|release_agent=.*|clone_children" | sort -u)
mounted=$(awk "\$3 == \"cgroup\" {print \$2, \$4}" /proc/mounts)
umount -R /sys/fs/cgroup
if [ "$layout" = v2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while read -r path options; do
    folder=/sys/fs/cgroup/$(basename "$path")
    mkdir -p "$folder"
    kind=$(tr , "\n" <<< "$options" | grep -xE "name=.*" || true)
    if [ -n "$kind" ]; then
      mount -t cgroup -o "none,$kind" cgroup "$folder"
    else
      mount -t cgroup -o "$(tr , "\n" <<< "$options" | grep -xF "$controllers" | paste -sd,)" cgroup "$folder"
    fi
  done <<< "$mounted"
  if [ "$layout" = hybrid ]; then
    mkdir /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
  fi
  # It would mount the controllers that are not, which are the whole machine'"'"'s.
  mount -o remount,ro /sys/fs/cgroup
fi
command_line=
[ "$layout" = hybrid ] || command_line=systemd.legacy_systemd_cgroup_controller=1
exec env -i container=keelson-test PATH="$PATH" SYSTEMD_UNIT_PATH=/run/systemd/system.control:/run/systemd/transient:/etc/systemd/system SYSTEMD_PROC_CMDLINE="$command_line" \
  /lib/systemd/systemd --system --log-target=console --log-level=warning --show-status=0
'
(
  for hierarchy in "${hierarchies[@]}"; do echo "$BASHPID" > "$hierarchy/$name/cgroup.procs"; done
  exec unshare --cgroup --pid --mount --net --ipc --uts --fork --kill-child=KILL bash -c "$inside" inside "$layout"
) &
parent=$!
for _ in $(seq 1200); do
  first=$(cat "/proc/$parent/task/$parent/children" 2>/dev/null || true)
  first=${first%% *}
  [ -z "$first" ] || [ ! -S "/proc/$first/root/run/systemd/private" ] || break
  kill -0 "$parent" 2>/dev/null || { echo "systemd did not start" >&2; exit 1; }
  sleep 0.05
done
[ -S "/proc/$first/root/run/systemd/private" ] || { echo "systemd does not listen" >&2; exit 1; }
# The namespace's root may hold no process when it hands controllers down.
[ -z "$v2" ] || echo "$parent" > "$v2${own%/}/cgroup.procs"

status=0
KEELSON_CGROUP_LAYOUT=$layout nsenter --target "$first" --pid --mount --net --ipc --uts --cgroup --wdns="$PWD" -- "$@" || status=$?
exit $status
