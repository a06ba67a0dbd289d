#!/bin/sh
# Runs each transcript (*.txt) that lies beside, with an IPVS of its own, all at once: most of a transcript is waiting and
# starting programs.
for t in *.txt; do
  sh ./net.sh ./agent transcript "$t" >"/tmp/$t.out" 2>&1 &
done
wait
cat /tmp/*.txt.out
