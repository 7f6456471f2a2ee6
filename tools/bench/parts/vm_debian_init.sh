#!/bin/busybox sh
# /init of the Debian machine of `tools/rayos bench vm`: the kernel and the modules of the host's own image,
# then Debian's systemd from a disk.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
while read -r module; do $bb insmod "$module"; done < /etc/baseline/modules
$bb mkdir -p /debian
$bb mount -t ext4 /dev/vda /debian
$bb mount -t ext4 /dev/vdb /debian/srv
for name in proc sys dev; do $bb mount --move /$name /debian/$name; done
exec $bb switch_root /debian /sbin/init
