#!/bin/sh
# The second guest's job: the same command lines to the real ipvsadm over IPVS and to ours over our plane, and a short form of
# the bench. Its kernel is that of the bench, which has all hooks.
set -e
sh ./modules.sh
echo "@@ real"
sh ./net.sh ./agent transcript beside.txt
echo "@@ ours"
mkdir -p ours/bin
for name in ipvsadm ipvsadm-save ipvsadm-restore; do ln -s /job/lbctl "ours/bin/$name"; done
sh ./net.sh sh ./plane.sh ./agent transcript beside.txt
echo "@@ bench"
# No window of time: in one, a guest whose host is busy may answer nobody.
./bench guest -rounds 1 -connections 8 -requests 64 -duration 0
