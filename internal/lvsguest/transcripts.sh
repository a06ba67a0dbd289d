#!/bin/sh
# transcripts.sh NAME...: runs the transcripts NAME.txt one after the other, each with an IPVS of its own.
for t; do
  sh ./net.sh ./agent transcript "$t.txt" 2>&1
done >"/tmp/$1.out"
