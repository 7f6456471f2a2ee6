#!/bin/busybox sh
# An imitated host that is never ready: whatever looks like a marker comes from elsewhere. It shows
# its command line and markers on the console, and writes to the port with another run number,
# without one, and with the right one inside a line.
. /common.sh
$busybox cat /proc/cmdline
echo "RAYOS_READY mode=normal"
echo "$run $(now) INFO init RAYOS_READY mode=normal"
echo "$run $(now) INFO init RAYOS_READY mode=normal" > /dev/kmsg
say "INFO init RAYOS_INIT_START version=0.0.0 start=1"
echo "RAYOS_READY mode=normal" >&7
echo "$(now) INFO init RAYOS_READY mode=normal" >&7
echo "0123456789abcdef $(now) INFO init RAYOS_READY mode=normal" >&7
echo "guest[a] $run $(now) INFO init RAYOS_READY mode=normal" >&7
say 'INFO vm guest_said text="INFO init RAYOS_READY mode=normal"'
say "INFO vm RAYOS_READY_NOT mode=normal"
say "INFO init RAYOS_READY mode=safe"
$busybox sleep 1
power_off
