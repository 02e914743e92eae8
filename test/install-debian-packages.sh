#!/usr/bin/env bash
# Installs the mail servers, network tools and browser the full test run needs, without starting any of them.
# Works on Debian 12 and 13, also where nothing but the base system is installed.
set -euo pipefail

packages=(postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-sieve coturn nftables iproute2 miniupnpd-nftables procps iperf3 teeworlds-server chromium systemd postgresql)

fail() {
  echo "install-debian-packages: $1" >&2
  exit 1
}

[ -f /etc/debian_version ] && command -v apt-get >/dev/null ||
  fail "this is not Debian; install yourself: ${packages[*]}"

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  echo "Test packages are installed already: ${packages[*]}"
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "must run as root (or have sudo) to install: ${missing[*]}"
  sudo=(sudo)
fi

echo "Installing for the tests, starting no service: ${missing[*]}"

# Maintainer scripts ask this file whether they may start a service. One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
  "${sudo[@]}" chmod 755 "$policy"
  trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi

# Without an answer Postfix would ask what kind of mail system this is.
echo 'postfix postfix/main_mailer_type select Local only' | "${sudo[@]}" debconf-set-selections

quiet() {
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
}
quiet update || fail "apt-get update failed; is the network up?"
quiet install -y --no-install-recommends "${missing[@]}" || fail "apt-get could not install: ${missing[*]}"
