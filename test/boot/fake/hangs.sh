#!/bin/busybox sh
# An imitated host that hangs in its phase `policy`.
. /common.sh
say "INFO init RAYOS_INIT_START version=0.0.0 start=1"
say "INFO sequence phase_start phase=cmdline"
say "INFO sequence phase_end phase=cmdline ms=5 result=ok"
say "INFO sequence phase_start phase=policy"
while :; do $busybox sleep 60; done
