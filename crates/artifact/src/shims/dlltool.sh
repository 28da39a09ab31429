# rustc makes import libraries with dlltool, which turns the path of its output (-l) and --temp-prefix into symbol
# and member names: other bytes each time. Here both get names made of package, crate and DLL, in a private folder,
# and the library is moved to its place afterwards. The names stay different for two crates that use one DLL, and for
# two DLLs of one crate: linkers sort the pieces of an import table by these names, and would mix equal ones up.
# rustc's call (archive.rs): -d DEF -D DLL -l LIB -m MACHINE -f ASFLAG --no-leading-underscore --temp-prefix PREFIX
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dll= library= definitions= rest=
while [ $# -gt 0 ]; do
  case $1 in
  -D) dll=$2 && shift ;;
  -l) library=$2 && shift ;;
  -d) definitions=$2 && shift ;;
  --temp-prefix) shift ;;
  -m | -f) rest="$rest $1 $2" && shift ;;
  --no-leading-underscore) rest="$rest $1" ;;
  *) echo "dlltool of seaworthy: unexpected argument $1" >&2 && exit 2 ;;
  esac
  shift
done
name=$(printf %s "${CARGO_PKG_NAME:-}-${CARGO_PKG_VERSION:-}-${CARGO_CRATE_NAME:-}-$dll" | tr -c 'A-Za-z0-9' _)
cp "$definitions" "$folder/$name.def"
(cd "$folder" && real_dlltool -d "$name.def" -D "$dll" -l "$name.lib" --temp-prefix "$name" $rest)
cp "$folder/$name.lib" "$library"
