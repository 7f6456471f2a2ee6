# What the imitated hosts share. Sourced by each /init of this folder; `say` writes a line to the
# harness port, `wait_for_power_button` returns when it was pressed.
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
while read -r module; do $busybox insmod "$module"; done < /modules

run=none
read -r words < /proc/cmdline
for word in $words; do
  case $word in rayos.harness=*) run=${word#rayos.harness=} ;; esac
done
port=
for one in /sys/class/virtio-ports/*; do
  read -r name < "$one/name"
  if [ "$name" = org.rayos.harness ]; then port=/dev/${one##*/}; fi
done
exec 7> "$port"

now() {
  read -r up rest < /proc/uptime
  echo "mono:${up%.*}${up#*.}0"
}

say() {
  echo "$run $(now) $*" >&7
}

# Listens before anything is said, so that no press is missed.
$busybox mkfifo /pressed
for device in /dev/input/event*; do
  { $busybox dd "if=$device" of=/dev/null bs=24 count=1 2>/dev/null; echo > /pressed; } &
done

wait_for_power_button() {
  read -r pressed < /pressed
}

power_off() {
  say "INFO init RAYOS_SHUTDOWN:poweroff:button"
  # The port's buffer is on its way when the write returns; the machine's end would overtake it.
  $busybox sleep 0.2
  $busybox poweroff -f
}
