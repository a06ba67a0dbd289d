#!/bin/sh
# The guest's job: everything that the tests want to know, in one boot.
set -e
sh ./modules.sh
sh ./transcripts.sh
