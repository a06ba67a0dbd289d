#!/bin/sh
# The guest's job: everything that the tests want to know, in one boot. Namespaces share the tables of services and connections,
# and a listing that is read while another namespace changes its table skips or repeats lines. So transcripts run one after the
# other, and those with connections before the schedulers' program, which has made all its services when the others begin.
set -e
sh ./modules.sh
sh ./transcripts.sh connections states
sh ./net.sh ./agent program ./schedulers.program >/tmp/schedulers.out 2>&1 &
until [ -e /tmp/ready ] || ! kill -0 $! 2>/dev/null; do sleep 0.1; done
sh ./transcripts.sh services errors edit timeout help
wait
cat /tmp/*.out
