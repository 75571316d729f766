# Debian and Ubuntu packages: finds out which are missing and installs only those.

BUILD_PACKAGES=(libbenchmark-dev libboost-context-dev libcli11-dev libgmock-dev libgtest-dev
  libfmt-dev libspdlog-dev libunwind-dev nlohmann-json3-dev spin)

# Prints the package that brings a command, unless the command is there already.
package_unless_command() { command -v "$1" >/dev/null 2>&1 || printf '%s\n' "$2"; }

package_installed() {
  [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

# True when the cmake on PATH is 3.25 or later.
cmake_recent() {
  local version
  version=$(cmake --version 2>/dev/null | sed -n '1s/^cmake version //p')
  [ -n "$version" ] && [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" = 3.25 ]
}

missing_build_tools() {
  package_unless_command g++ g++
  package_unless_command make make
  package_unless_command ninja ninja-build
  package_unless_command python3 python3
  cmake_recent || printf 'cmake\n'
}

missing_packages() {
  local package
  for package in "$@"; do
    package_installed "$package" || printf '%s\n' "$package"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  [ -z "${LAMPLIGHT_NO_INSTALL:-}" ] || return 1
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3
    -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold)
  if ! may_install; then
    say "these packages are missing and may not be installed from here (no root, no sudo):"
    die "run as root: apt-get install $*"
  fi
  say "installing packages by apt-get: $*"
  quietly as_root "${apt[@]}" update
  quietly as_root "${apt[@]}" install --no-install-recommends "$@"
}

# ensure_packages PACKAGE…: installs those that are missing.
ensure_packages() {
  local missing
  command -v apt-get >/dev/null 2>&1 || return 0
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# ensure_build_packages [PACKAGE…]: compiler, build tools, libraries, and the named packages.
ensure_build_packages() {
  local missing
  if command -v apt-get >/dev/null 2>&1; then
    mapfile -t missing < <(missing_build_tools && missing_packages "${BUILD_PACKAGES[@]}" "$@")
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
  else
    say "no apt-get here, so nothing is installed; needed are a C++20 compiler, make, ninja," \
      "cmake 3.25, python3 and what these Debian packages hold: ${BUILD_PACKAGES[*]} $*"
  fi
  cmake_recent || die "cmake 3.25 or later is needed, and this is: $(cmake --version | head -n 1)." \
    "Debian 12 and Ubuntu 24.04 bring it; else put a newer cmake first on PATH"
}
