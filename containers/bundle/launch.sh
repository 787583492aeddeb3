#!/bin/sh
# Starts the program of an unpacked bundle that this file is called as (bin/dinf,
# bin/mpirun, ...), with the loader, the C library and all else from the bundle,
# wherever that lies and whatever the host has. containers/bundle.sh copies this.
set -u

self=$0
case $self in */*) ;; *) self=$(command -v -- "$self") ;; esac
while [ -L "$self" ]; do # links to this file may lie anywhere
    target=$(readlink -- "$self")
    case $target in /*) self=$target ;; *) self=${self%/*}/$target ;; esac
done
name=${self##*/}
root=$(CDPATH='' cd -- "${self%/*}/.." && pwd) || exit 127

# Open MPI, PMIx and hwloc look for plugins, texts and settings where they were
# built for; on a host that has them, too, those would be of another version.
export OPAL_PREFIX="$root" OPAL_LIBDIR="$root/lib" OPAL_PKGLIBDIR="$root/lib/openmpi"
export OPAL_PKGDATADIR="$root/share/openmpi" OPAL_SYSCONFDIR="$root/etc/openmpi"
export PMIX_PREFIX="$root" PMIX_LIBDIR="$root/lib" PMIX_PKGLIBDIR="$root/lib/pmix"
export PMIX_PKGDATADIR="$root/share/pmix" PMIX_SYSCONFDIR="$root/etc/pmix"
export HWLOC_PLUGINS_PATH="$root/lib/hwloc"

path=$root/lib/bundle
case $name in
mpirun | mpiexec | orterun)
    program=orterun
    # it would not start where there is neither ssh nor rsh, for one machine either
    case "$* ${OMPI_MCA_plm+rsh_agent}${OMPI_MCA_plm_rsh_agent+rsh_agent}" in
    *rsh_agent*) ;;
    *) command -v ssh >/dev/null || command -v rsh >/dev/null || export OMPI_MCA_plm='^rsh' ;;
    esac
    ;;
orted | ompi_info) program=$name ;;
*)
    program=$name
    # the host's driver, and what of CUDA was left out, for the cuda device
    if [ -e "$root/libexec/host.sh" ]; then
        . "$root/libexec/host.sh"
        host_libraries "$root"
        path=$path$host_path
    fi
    # /proc/self/exe is the loader: a worker starts its children through this file
    export DINF_PROGRAM="$root/bin/dinf"
    ;;
esac
# mpirun takes an absolute name as --prefix: nodes then start bin/orted from here
exec "$root/lib/bundle/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$path" --argv0 "$root/bin/$name" \
    "$root/libexec/$program" "$@"
