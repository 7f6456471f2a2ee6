#!/bin/busybox sh
# Beside the host in the benchmark's machine, or beside systemd and libvirt in the other one: does on the
# machine what the benchmark asks for by a word on the serial console, and answers there.
# /etc/bench/qemu: the arguments of the guest that is started by hand, quoted for the shell.
bb=/bin/busybox
# The host's image has QEMU in a root of its own; what is mounted for the guest that is started by hand is
# mounted in a second place of it, since no jail may have it.
root=
if [ -d /usr/lib/rayos/root/qemu ]; then
  root=/run/bare
  $bb mkdir -p $root
  $bb mount --bind /usr/lib/rayos/root/qemu $root
fi

# The port of the outer machine that QEMU speaks through, by its name.
port() {
  for one in /sys/class/virtio-ports/*; do
    read -r name < "$one/name"
    [ "$name" != "$1" ] || echo "/dev/${one##*/}"
  done
}
agent=$(port org.rayos.bench.agent)
monitor=$(port org.rayos.bench.qmp)

echo "inside is here"
prepare() { # $1 = guest
  guests=/var/rayos/vm/linux
  [ -d $guests ] || guests=/srv/vm/linux
  $bb mkdir -p $root/dev $root/g $root/s
  [ -z "$root" ] || [ -c $root/dev/null ] || $bb mount --bind /dev $root/dev
  for file in disk0:rootfs.ext4 kernel:vmlinuz initrd:initrd.img; do
    [ -s "$root/g/${file%%:*}" ] && continue
    : > "$root/g/${file%%:*}"
    $bb mount --bind "$guests/$1/${file#*:}" "$root/g/${file%%:*}"
  done
}

while read -r word first rest; do
  case $word in
    ray) (/usr/bin/ray $first $rest > /run/ray.out 2>&1; echo "inside ray $?") & ;;
    bare)
      prepare "$first"
      (
        echo "inside bare begins"
        . /etc/bench/qemu
        echo "inside bare ended"
      ) &
      ;;
    virsh) (echo "inside virsh begins"; virsh -q $first $rest > /run/virsh.out 2>&1; echo "inside virsh $? $($bb head -n 1 /run/virsh.out)") & ;;
    unit) (systemctl $first $rest; echo "inside unit $?") & ;;
    kill)
      for one in /proc/[0-9]*; do
        case $($bb tr '\0' ' ' 2> /dev/null < "$one/cmdline") in
          /usr/lib/rayos/*" init ") kill -9 "${one#/proc/}" ;;
        esac
      done
      echo "inside killed"
      ;;
    flood)
      ( (echo "flood 1000000"; $bb sleep 86400) | /usr/bin/ray vm console "$first" > /dev/null 2>&1) &
      $bb sleep 10
      echo "inside flood begins"
      ;;
    started)
      read -r process < "/run/rayos/cg/rayos/guests/$first/cgroup.procs"
      set -- $($bb sed 's/.*) //' "/proc/$process/stat")
      echo "inside started ${20} end"
      ;;
    # Guests that have come up say so on their consoles, and those are counted.
    up) echo "inside up $($bb grep -l 'guest up' /run/bench/*.log 2> /dev/null | $bb wc -l) end" ;;
    hold)
      $bb killall -STOP qemu-system-x86_64
      echo "inside held"
      ;;
    memory)
      for one in /proc/[0-9]*; do
        [ "${one#/proc/}" != $$ ] || continue
        name=$($bb cat "$one/comm" 2> /dev/null)
        pss=$($bb awk -v ram="$first" -v name="$name" '
          /^Size:/ { skip = (name ~ /^qemu/ && $2 >= ram) }
          /^Pss:/ { if (!skip) sum += $2 }
          END { print sum + 0 }' "$one/smaps" 2> /dev/null)
        [ "${pss:-0}" -gt 0 ] && echo "inside pss $pss $name"
      done
      echo "inside memory done"
      ;;
  esac
done
