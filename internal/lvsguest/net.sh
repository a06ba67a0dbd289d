#!/bin/sh
# net.sh COMMAND...: runs COMMAND in a network namespace with an IPVS of its own. What comes from the wire comes out of tun0
# (the agent writes it), what goes to real servers ends in dummy0. VIPs are 10.1.0.0/16 and fd00:1::/64, real servers
# 10.2.0.0/24 and fd00:2::/64, clients anything else.
set -e
# busybox would run its own sh, with its own ip, for a plain "sh"
[ "$IN_NETNS" ] || exec env IN_NETNS=1 unshare -n /usr/sbin/dash "$0" "$@"
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
ip tuntap add tun0 mode tun
ip link set tun0 up
ip link add dummy0 type dummy
ip link set dummy0 mtu 65535 up
ip addr add 10.2.0.254/24 dev dummy0
ip -6 addr add fd00:2::fe/64 dev dummy0 nodad
ip route add default dev dummy0
ip -6 route add default dev dummy0
ip route add local 10.1.0.0/16 dev lo
ip -6 route add local fd00:1::/64 dev lo
for i in 1 2 3 4 5 6 7 8; do
  ip neigh add 10.2.0.$i lladdr 02:00:00:00:00:0$i dev dummy0
  ip -6 neigh add fd00:2::$i lladdr 02:00:00:00:00:0$i dev dummy0
done
exec "$@"
