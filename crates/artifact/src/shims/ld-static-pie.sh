# rustc links aarch64 musl programs at a fixed address, as its target description has no static PIE. This linker takes
# rustc's arguments (`-flavor gnu …`) and adds the start files of a static PIE from the same Rust target, $crt.
shift 2
exec rust-lld -flavor gnu "$crt/rcrt1.o" "$crt/crti.o" "$crt/crtbeginS.o" -L "$crt" "$@" \
  -pie --no-dynamic-linker -z text "$crt/crtendS.o" "$crt/crtn.o"
