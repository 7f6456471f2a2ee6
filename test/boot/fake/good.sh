#!/bin/busybox sh
# An imitated host that does everything a good boot shows.
. /common.sh
say "INFO init RAYOS_INIT_START version=0.0.0 boot=imitated form=none start=1"
say "INFO init before_program kernel_ms=1000 stage0_ms=200 program_ms=300"
for phase in cmdline policy ready; do
  say "INFO sequence phase_start phase=$phase"
  say "INFO sequence phase_end phase=$phase ms=5 result=ok"
done
say "INFO jail RAYOS_VM_CONFINED vm=linux-demo-001 kind=linux pid=7"
say "INFO init RAYOS_READY mode=normal guests=1"
say "INFO vm RAYOS_LINUX_VM_READY vm=linux-demo-001 kind=linux"
echo "type something"
while read -r typed; do echo "typed $typed"; done < /dev/console &
wait_for_power_button
power_off
