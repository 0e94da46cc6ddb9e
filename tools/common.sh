# For the commands of this folder: installing packages and building.
# Usage: top=SOURCE_TREE; . "$top/tools/common.sh"

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Packages of dependencies.txt that serve one of the given purposes.
packages_for() {
    local purposes=" $* " purpose package
    while read -r purpose package; do
        [[ $purpose != "#" && $purposes == *" $purpose "* ]] && echo "$package"
    done < "$top/tools/dependencies.txt"
    return 0
}

missing_packages() {
    local package
    for package in $(packages_for "$@"); do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || echo "$package"
    done
}

# Installed daemons must not start by themselves: Debian asks policy-rc.d.
forbid_service_starts() {
    policy=/usr/sbin/policy-rc.d
    [ ! -e $policy ] || return 0
    trap '$as_root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
}

# install_missing PURPOSE...: by apt, as root or with sudo.
install_missing() {
    local missing
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0

    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            fail "run as root or with sudo, or first: apt-get install $missing"
        as_root=sudo
    fi

    echo "installing: $missing"
    (
        forbid_service_starts
        $as_root apt-get update -qq
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends $missing >/dev/null
    ) || fail "apt-get could not install: $missing"
}

# Keeps the build's output in a log, and says how far it is: on a terminal with
# each step, else once for each quarter.  Says nothing when nothing is built.
show_progress() { # LOG
    local line quarter said=0
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$1"
        [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
        [ "${BASH_REMATCH[2]}" -gt 10 ] || continue
        if [ -t 1 ]; then
            printf '\rbuilding: step %s of %s ' "${BASH_REMATCH[@]:1}"
            said=1
            continue
        fi
        quarter=$((4 * BASH_REMATCH[1] / BASH_REMATCH[2] + 1))
        [ "$quarter" -gt "$said" ] || continue
        said=$quarter
        echo "building: step ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
    done
    [ ! -t 1 ] || [ "$said" = 0 ] || echo
}

# build PRESET [TARGET]: the whole log when it goes wrong.  One build at a time;
# ninja configures again by itself where that is needed.  A user who cannot write
# to the source tree runs what its owner has built.
build() {
    local folder=$top/build/$1 target=${2:+--target $2} log status=0
    mkdir -p "$folder" 2>/dev/null || true
    if ! [ -w "$folder" ]; then
        [ ! -e "$folder/lib/libresolua.so" ] || return 0
        fail "$folder: this user cannot write there, and nothing is built; build as the owner of $top"
    fi
    [ -e "$folder/build.ninja" ] ||
        echo "building for the first time, which takes some minutes: first the configuration"
    log=$(mktemp)
    (
        cd "$top" || exit
        exec 9>"$folder/.lock"
        flock 9
        [ -e "$folder/build.ninja" ] || cmake --preset "$1"
        # shellcheck disable=SC2086
        cmake --build --preset "$1" $target
    ) 2>&1 | show_progress "$log" || status=1
    # With sudo in a user's source tree, the next build is that user's.
    [ "$(id -u)" != 0 ] || [ -O "$top" ] || chown -Rh --reference="$top" "$top/build"
    if [ "$status" != 0 ]; then
        cat "$log" >&2
        rm -f "$log"
        fail "the $1 build fails"
    fi
    rm -f "$log"
}
