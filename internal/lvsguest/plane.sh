#!/bin/sh
# plane.sh COMMAND...: runs COMMAND, in a namespace of net.sh, where ipvsadm is ours and acts on a plane of ours. The real servers are
# behind eth0, a veth, since tun0 and dummy0 are not what a balancer forwards by.
set -e
modprobe veth
ip link del dummy0
ip link add eth0 type veth peer name peer0
ip link set eth0 up
ip link set peer0 up
ip addr add 10.2.0.254/24 dev eth0
ip -6 addr add fd00:2::fe/64 dev eth0 nodad
for i in 1 2 3 4 5 6 7 8; do
  ip neigh add 10.2.0.$i lladdr 02:00:00:00:00:0$i dev eth0
  ip -6 neigh add fd00:2::$i lladdr 02:00:00:00:00:0$i dev eth0
done
cat >/tmp/balancer.yaml <<'Y' # as many flows as IPVS has hash buckets, for the same "size="; the service is there because it wants
# one; the hook is told, since under emulation the verifier takes a minute for each program
interfaces: [eth0]
hook: tcx
max_flows: 4096
services: {first: {vip: 10.1.9.9:80, check: none, backends: [10.2.0.1]}}
Y
./lbctl l4 run --config /tmp/balancer.yaml 2>/tmp/plane.log &
plane=$!
until [ -e /run/lbctl/_l4/balancer/state.json ] || ! kill -0 $plane 2>/dev/null; do sleep 0.5; done
export PATH=/job/ours/bin:$PATH
{ ipvsadm -C && "$@"; } || { cat /tmp/plane.log; exit 1; }
