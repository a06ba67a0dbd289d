#!/usr/bin/env bash
# run.sh [-c] [-k] [-t SECONDS] [-f FILE]... SCRIPT
#
# Boots Debian's own kernel (which has real IPVS, netem, ipip …) under QEMU and runs SCRIPT in it as root, with each FILE
# beside it in /job. Prints what SCRIPT prints, and the console too if the guest did not end well; exits with SCRIPT's status.
# One guest at a time: a second one waits. Nothing is installed on this machine's own boot path.
#   -c  counted mode: one vCPU, virtual time = executed instructions (2 ns each). Slow, but repeats to within 2 %,
#       so rates compare as work per request. Without -c: two vCPUs, ten to fifteen times slower than the host, noisy.
#   -k  the kernel of bookworm-backports (6.12 or newer) instead of bookworm's 6.1: tcx needs 6.6
# Needs Debian's qemu-system-x86 busybox-static cpio kmod ipvsadm iproute2 curl ethtool bpftool dash bash.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${LVS_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lvs-guest}
limit=300 smp=2 backports= cpu=max accel='tcg,thread=multi,tb-size=1024' counted=() files=()
while getopts 'ckt:f:' o; do case $o in
  c) smp=1 accel='tcg,thread=single,tb-size=1024' counted=(-icount 'shift=1,sleep=off') ;;
  k) backports=1 cpu=max,-cx16 ;; # its slab allocator falls over QEMU 7.2's cmpxchg16b
  t) limit=$OPTARG ;;
  f) files+=("$OPTARG") ;;
  *) sed -n '2p' "$0" >&2; exit 2 ;;
esac; done
shift $((OPTIND - 1)); script=${1:?a script to run in the guest}

mkdir -p "$cache"
exec 9>"$cache/lock"; flock 9
# Packages of backports are found through lists of our own: this machine's choice of packages stays as it is.
apt() {
  local tool=$1 at=$cache/apt; shift
  if [ -z "$backports" ]; then "$tool" "$@"; return; fi
  mkdir -p "$at"/lists/partial "$at"/cache/archives/partial
  printf '%s\n' 'Types: deb' 'URIs: http://deb.debian.org/debian' 'Suites: bookworm-backports' 'Components: main' \
    'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$at/backports.sources"
  "$tool" -q -o Dir::Etc::sourcelist="$at/backports.sources" -o Dir::Etc::sourceparts=/nonexistent -o Dir::State::Lists="$at/lists" \
    -o Dir::Cache="$at/cache" -o APT::Sandbox::User=root "$@"
}
newest() { apt apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-6/{print $2; exit}' || true; } # apt-cache fails while there are no lists
package=$(newest)
if [ ! -d "$cache/${package:-none}" ]; then
  if [ -n "$backports" ]; then apt apt-get update >&2; package=$(newest); fi
  : "${package:?no package linux-image-cloud-amd64 in apt: run apt-get update}"
  rm -rf "$cache/deb" "$cache/new"; mkdir -p "$cache/deb"
  (cd "$cache/deb" && apt apt-get download -q "$package" >&2)
  dpkg -x "$cache"/deb/"$package"_*.deb "$cache/new"
  find "$cache/new" -name '*.ko.xz' -exec xz -d {} + # once here, rather than by each guest
  mv "$cache/new" "$cache/$package"
fi
kernel=$cache/$package
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"$here/mkinitrd.sh" "$kernel" "$work/initrd.gz" "$script" ${files[@]+"${files[@]}"}
# The first serial port is the kernel's console, the second is what the job prints.
timeout --foreground -k 5 "$limit" qemu-system-x86_64 -accel "$accel" ${counted[@]+"${counted[@]}"} -cpu "$cpu" -smp "$smp" -m 2G \
  -display none -monitor none -no-reboot -nodefaults -serial "file:$work/console" -serial stdio \
  -kernel "$kernel"/boot/vmlinuz-* -initrd "$work/initrd.gz" \
  -append 'console=ttyS0 panic=-1 nokaslr quiet mitigations=off tsc=reliable clocksource=tsc' \
  </dev/null 9>&- | tee "$work/out" | sed -u '/^GUEST-EXIT /d' || true
status=$(sed -n 's/^GUEST-EXIT //p' "$work/out" | tail -1)
[ -n "$status" ] || { echo "run.sh: the guest did not end by itself within $limit s; its console:" >&2; tail -n 40 "$work/console" >&2; exit 1; }
exit "$status"
