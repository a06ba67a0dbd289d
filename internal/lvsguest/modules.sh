#!/bin/sh
# The guest's modules and names, once.
set -e
modprobe dummy numdummies=0
for m in tun sch_ingress cls_u32 act_skbedit ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_fo ip_vs_ovf ip_vs_lblc ip_vs_lblcr ip_vs_dh ip_vs_sh ip_vs_mh ip_vs_sed ip_vs_nq; do modprobe $m; done
cat >>/etc/hosts <<'H'
10.1.0.1 www.example.test www
10.2.0.1 s1.example.test s1
10.2.0.2 a-rather-long-name-of-a-real-server.example.test
fd00:1::1 www6.example.test www6
fd00:2::1 s1v6.example.test
H
