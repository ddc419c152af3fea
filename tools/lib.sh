# What ./quickstart and ./test share. Sourced, with the repository's root as the working directory.

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
[ -t 1 ] || say() { printf '==> %s\n' "$*"; }

# Some tools refuse to work without a home, and a bare root's shell may have none.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
  export HOME="${HOME:-/tmp}"
fi
export LC_ALL=C.UTF-8

# configure BUILD_DIR PRESET [cmake arguments]: once; a build folder that came from elsewhere starts anew.
configure() {
  local folder=$1 preset=$2
  shift 2
  if [ -f "$folder/CMakeCache.txt" ] && ! grep -q "^CMAKE_HOME_DIRECTORY:INTERNAL=$PWD\$" "$folder/CMakeCache.txt"; then
    say "$folder belongs to another place; configuring it anew"
    rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
  fi
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  mkdir -p "$folder"
  cmake --preset "$preset" "${launcher[@]}" "$@" >"$folder/configure.log" 2>&1 || {
    cat "$folder/configure.log" >&2
    return 1
  }
}

cores() { nproc 2>/dev/null || echo 2; }
