#!/usr/bin/env bash
# mkinitrd.sh KERNEL-TREE OUT SCRIPT [FILE]...: an initramfs with busybox, the tools below, the kernel's network modules and the job.
set -euo pipefail
kernel=$1 out=$2 script=$3; shift 3
root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
version=$(ls "$kernel/lib/modules"); modules=$kernel/lib/modules/$version
mkdir -p "$root"/{bin,sbin,usr/sbin,etc,proc,sys,dev,run,tmp,root,job}
cp /bin/busybox "$root/bin/"
for tool in ipvsadm ipvsadm-save ipvsadm-restore ip tc ethtool bpftool kmod dash bash curl; do
  path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$tool" || true)
  [ -n "$path" ] || { echo "mkinitrd: $tool is not installed" >&2; exit 1; }
  cp -L "$path" "$root/usr/sbin/$tool"
  { ldd "$path" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r lib; do
    mkdir -p "$root$(dirname "$lib")"; cp -Ln "$lib" "$root$lib"; done
done
ln -s /usr/sbin/bash "$root/bin/bash" # ipvsadm-save and -restore ask for it there
for link in modprobe insmod lsmod rmmod depmod modinfo; do ln -s kmod "$root/usr/sbin/$link"; done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nwww-data:x:33:33::/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\nwww-data:x:33:\n' >"$root/etc/group"
printf 'hosts: files\nservices: files\nprotocols: files\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
cp /etc/services /etc/protocols "$root/etc/" 2>/dev/null || printf 'domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\nhttp-alt 8080/tcp\n' >"$root/etc/services"
echo '127.0.0.1 localhost' >"$root/etc/hosts"; : >"$root/etc/resolv.conf"
mkdir -p "$root/lib/modules/$version/kernel"
cp "$modules"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$version/" 2>/dev/null || true
for d in net lib crypto arch/x86/crypto drivers/net/veth.ko drivers/net/tun.ko drivers/net/dummy.ko drivers/net/ifb.ko; do
  [ -e "$modules/kernel/$d" ] || continue
  mkdir -p "$root/lib/modules/$version/kernel/$(dirname "$d")"; cp -r "$modules/kernel/$d" "$root/lib/modules/$version/kernel/$(dirname "$d")/"
done
depmod -b "$root" "$version"
cp "$script" "$root/job/run"; for f in "$@"; do cp -L "$f" "$root/job/"; done; chmod +x "$root/job/run"
cat >"$root/init" <<'I'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc; /bin/busybox --install -s /bin >/dev/null 2>&1
# busybox's own applets of these names would shadow the real tools, also inside its shell
for a in ip tc modprobe insmod lsmod rmmod depmod modinfo; do rm -f /bin/$a /sbin/$a; done; ln -sf /usr/sbin/dash /bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/pts /dev/shm; mount -t devpts pts /dev/pts
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp; mount -t bpf bpf /sys/fs/bpf; mount -t tracefs t /sys/kernel/tracing 2>/dev/null
mkdir -p /run/netns; ulimit -n 65536; ip link set lo up; cd /job
stty -F /dev/ttyS1 raw -echo 115200
{ /usr/sbin/dash -c '/job/run'; echo "GUEST-EXIT $?"; } >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 drain 2>/dev/null; sync; poweroff -f
I
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$out"
