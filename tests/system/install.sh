#!/usr/bin/env bash
# Installs what tests/system needs, where it is missing: Slurm, munge, PMIx, ip and tc. Needs root, and Debian or its kin.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "the system tests need root: they install Slurm, and make networks" >&2; exit 1; }

missing=()
for pair in sbatch:slurm-wlm munged:munge ip:iproute2 tc:iproute2; do
    command -v "${pair%:*}" > /dev/null || missing+=("${pair#*:}")
done
pmix=$(dpkg-query --listfiles libpmix2 2>/dev/null | grep '/pmix2/lib/libpmix\.so\.2$' || true)
[ -n "$pmix" ] || missing+=(libpmix2)

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get > /dev/null || { echo "the system tests need ${missing[*]}, and there is no apt-get" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --no-install-recommends "${missing[@]}" > /dev/null
    pmix=$(dpkg-query --listfiles libpmix2 | grep '/pmix2/lib/libpmix\.so\.2$')
fi
# Debian's Slurm opens PMIx by a name that only the package for developers has.
[ -e "${pmix%.2}" ] || ln -s "$(basename "$pmix")" "${pmix%.2}"
