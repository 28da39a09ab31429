# Sourced, as root, by what starts aarch64 programs here. `register_aarch64` has the kernel hand them to qemu's user
# emulation where it does not yet; `unregister_aarch64` takes back what that registered, for a trap.
qemu=/usr/bin/qemu-aarch64-static
registered=

register_aarch64() {
  local table=/proc/sys/fs/binfmt_misc name=seaworthy-aarch64-$$ magic mask
  [ -e "$table/register" ] || mount -t binfmt_misc binfmt_misc "$table"
  if grep -qs "interpreter $qemu" "$table"/*; then
    return
  fi
  # EI_CLASS 64, little-endian, ET_EXEC or ET_DYN, EM_AARCH64 (ELF gABI); P keeps argv[0], F opens the interpreter now.
  magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  printf '%s' ":$name:M::$magic:$mask:$qemu:OCPF" >"$table/register"
  registered=$table/$name
}

unregister_aarch64() {
  [ -z "$registered" ] || echo -1 >"$registered"
}
