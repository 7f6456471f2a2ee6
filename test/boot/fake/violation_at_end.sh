#!/bin/busybox sh
# An imitated host that is good until the power button, and reports a violation while it ends.
. /common.sh
say "INFO init RAYOS_INIT_START version=0.0.0 start=1"
say "INFO jail RAYOS_VM_CONFINED vm=linux-demo-001 kind=linux"
say "INFO init RAYOS_READY mode=normal guests=1"
say "INFO vm RAYOS_LINUX_VM_READY vm=linux-demo-001 kind=linux"
wait_for_power_button
say 'ERROR policy RAYOS_POLICY_VIOLATION:path.foreign:vm/linux vm=linux-demo-001 found="two words"'
power_off
