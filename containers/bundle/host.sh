# shellcheck shell=sh
# What a bundle takes from the host: the NVIDIA driver, always, and those libraries
# of CUDA that were left out of it (libexec/host-libraries names them). Their folder
# often holds the host's C library, too, which the bundle's loader must not meet:
# then they are linked into a private folder. Sourced by the launcher; POSIX sh.

host_say() { printf '%s\n' "$*" >&2; }

# host_is FILE: a 64-bit library, by the fifth byte; folders of both kinds are about
host_is() { [ -e "$1" ] && [ "$(od -An -tu1 -j4 -N1 "$1" | tr -d ' ')" = 2 ]; }

# host_packages: pip's packages of NVIDIA's libraries, of DINF_PYTHON or python3: folders, one a line. The programs
# that this one starts need not ask again.
host_packages() {
    if [ -z "${DINF_HOST_PACKAGES+set}" ]; then
        DINF_HOST_PACKAGES=$("${DINF_PYTHON:-python3}" -c 'import glob, os, site, sysconfig
paths = sysconfig.get_paths()
for place in dict.fromkeys([paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()]):
    for folder in sorted(glob.glob(os.path.join(glob.escape(place), "nvidia", "*", "lib"))):
        print(folder)' 2>/dev/null) || DINF_HOST_PACKAGES=
        export DINF_HOST_PACKAGES
    fi
    [ -z "$DINF_HOST_PACKAGES" ] || printf '%s\n' "$DINF_HOST_PACKAGES"
}

# Folders that are searched before ldconfig's cache and after it, one a line. LD_LIBRARY_PATH does not reach the
# programs of a bundle, but modules and containers set it.
host_first() {
    printf '%s\n' "${LD_LIBRARY_PATH-}" | tr : '\n' | grep . || :
    for host_home in "${CUDA_HOME-}" "${CUDA_PATH-}" "${CUDNN_ROOT-}"; do
        [ -z "$host_home" ] || printf '%s\n' "$host_home/lib64" "$host_home/lib"
    done
}
host_last() {
    printf '%s\n' /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib /usr/local/cuda/lib64 \
        /usr/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu/nvidia/current /usr/lib64 /usr/lib64/nvidia \
        /run/opengl-driver/lib
}

# host_in NAME...: prints the first NAME in the first of the folders of standard input that has every NAME
host_in() {
    while read -r folder; do
        for host_each; do
            host_is "$folder/$host_each" || continue 2
        done
        printf '%s\n' "$folder/$1"
        return 0
    done
    return 1
}

# host_cached NAME: the folder that the loader's cache tells; the cache may be older than what it names
host_cached() { printf '%s\n' "$host_cache" | sed -n "s|^$1 \(.*\)/[^/]*$|\1|p" | head -n 1; }

# host_find NAME...: sets host_file to where the first of the host's libraries NAME is, with the others beside it.
host_find() {
    host_file=$(host_first | host_in "$@") && return 0
    host_file=$(host_cached "$1" | host_in "$@") && return 0
    host_file=$(host_last | host_in "$@") && return 0
    case $1 in libcuda.so.1) return 1 ;; esac # the driver's
    host_packages >/dev/null
    host_file=$(host_packages | host_in "$@")
}

# host_links FOLDER: prints a private folder of links to NVIDIA's libraries in FOLDER.
host_links() (
    key=$(printf '%s' "$1" | cksum)
    links=${TMPDIR:-/tmp}/dinf-host-$(id -u)-${key%% *}
    mkdir -m 700 "$links" 2>/dev/null # or it is there
    # under that name somebody else's would be nothing to load libraries from
    if [ ! -d "$links" ] || [ -L "$links" ] || [ ! -O "$links" ]; then
        host_say "warning: $links is not this user's folder: no libraries from $1 (TMPDIR tells where else)"
        return 1
    fi
    # whatever is new since, or was cleaned away; others may do the same just now
    for file in "$1"/libcu*.so* "$1"/libnv*.so*; do
        [ -L "$links/${file##*/}" ] || [ ! -e "$file" ] || ln -s "$file" "$links/" 2>/dev/null
    done
    printf '%s\n' "$links"
)

# host_add NAME...: their folder, or one of links to it, joins host_path.
host_add() {
    host_find "$@" || return 1
    host_folder=${host_file%/*}
    case :$host_seen: in *:"$host_folder":*) return 0 ;; esac
    host_seen=$host_seen:$host_folder
    if [ -e "$host_folder/libc.so.6" ]; then
        host_folder=$(host_links "$host_folder") || return 1
    fi
    host_path=$host_path:$host_folder
}

# host_libraries ROOT: sets host_path, empty or ":FOLDER...".
host_libraries() {
    host_path='' host_seen=''
    host_cache=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null |
        sed -n -e 's/^[[:space:]]*\(libcu[^ ]*\) (libc6,x86-64.*) => /\1 /p' \
            -e 's/^[[:space:]]*\(libnv[^ ]*\) (libc6,x86-64.*) => /\1 /p')
    host_add libcuda.so.1 || :
    [ -e "$1/libexec/host-libraries" ] || return 0
    # cuBLAS's libraries call each other by what only one version of them has, cuSOLVER calls both: of one folder if
    # there is one (pip may have put cuSOLVER into another), which is searched first
    # shellcheck disable=SC2046 # names without blanks
    host_add $(grep -E '^lib(cublas|cusolver)' "$1/libexec/host-libraries") ||
        host_add $(grep '^libcublas' "$1/libexec/host-libraries") ||
        host_say "warning: no folder has both libraries of cuBLAS: they may not fit each other"
    while read -r host_name; do
        ! printf '%s\n' "$host_seen" | tr : '\n' | grep . | host_in "$host_name" >/dev/null || continue
        host_add "$host_name" || : # the device, which is loaded on demand, says what it lacks
    done <"$1/libexec/host-libraries"
}
