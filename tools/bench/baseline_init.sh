#!/bin/busybox sh
# The peer of `tools/rayos bench boot`: what a person would write by hand to bring one guest up, and no
# check at all. It is /init in the very image it is compared with, so kernel, modules and compression
# are the same; the guest's QEMU has the plan's own arguments, without a jail around it.
# /etc/baseline/modules: one module a line. /etc/baseline/qemu: the arguments, quoted for the shell.
# /etc/baseline/before: what else runs first, nothing by default.
bb=/bin/busybox
root=/usr/lib/rayos/root/qemu
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
$bb mkdir -p /run /var/rayos
$bb mount -t tmpfs run /run
while read -r module; do $bb insmod "$module"; done < /etc/baseline/modules
$bb mount -t ext4 /dev/vda /var/rayos
# QEMU and its libraries lie in a root of their own, in which a jail would start.
$bb mkdir -p $root/dev $root/g $root/s
$bb mount --bind /dev $root/dev
for file in disk0:rootfs.ext4 kernel:vmlinuz initrd:initrd.img; do
  : > "$root/g/${file%%:*}"
  $bb mount --bind "/var/rayos/vm/linux/linux-demo-001/${file#*:}" "$root/g/${file%%:*}"
done
agent=none
for port in /sys/class/virtio-ports/*; do
  read -r name < "$port/name"
  if [ "$name" = org.rayos.bench ]; then agent=/dev/${port##*/}; fi
done
. /etc/baseline/before
read -r up rest < /proc/uptime
echo "BASELINE_EXEC $up" > /dev/console
. /etc/baseline/qemu
$bb poweroff -f
