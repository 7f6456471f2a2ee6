#!/bin/busybox sh
# Beside the program in the benchmark's image: answers on the serial console what only the machine's own
# kernel knows. `started`: when the process that became the guest's QEMU was started, in hundredths of a
# second since the kernel's. `memory`: PSS of all processes in KiB, without this one and without the
# guest's RAM, which is the mapping of at least RAM KiB.
bb=/bin/busybox
while read -r word ram; do
  case $word in
    started)
      for one in $($bb cat /run/rayos/cg/rayos/guests/00/cgroup.procs); do
        set -- $($bb sed 's/.*) //' "/run/rayos/proc/$one/stat")
        echo "inside started ${20}"
      done
      ;;
    memory)
      for one in /proc/[0-9]*; do
        [ "${one#/proc/}" = $$ ] && continue
        name=$($bb cat "$one/comm" 2> /dev/null)
        pss=$($bb awk -v ram="$ram" '
          /^Size:/ { skip = ($2 >= ram) }
          /^Pss:/ { if (!skip) sum += $2 }
          END { print sum + 0 }' "$one/smaps" 2> /dev/null)
        [ "${pss:-0}" -gt 0 ] && echo "inside pss $pss $name"
      done
      echo "inside memory done"
      ;;
  esac
done
