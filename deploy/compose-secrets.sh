#!/bin/sh
# Makes the secrets that compose.yaml needs, once, with fresh random passwords: sh deploy/compose-secrets.sh
# Nothing is overwritten. Readable by you and by the containers' user (65532) alone, where you may give files away.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)/secrets
mkdir -p "$here"
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { [ -e "$here/$1" ] || printf '%s' "$2" > "$here/$1"; }

keep postgres_password "$(password)"
keep migrate_dsn "postgresql://postgres:$(cat "$here/postgres_password")@/gateway?host=/run/postgresql"
for role in api feed admin; do
    keep "${role}_password" "$(password)"
    keep "${role}_dsn" "postgresql://gateway_${role}:$(cat "$here/${role}_password")@/gateway?host=/run/postgresql"
done
chown -R 65532:65532 "$here" 2>/dev/null || echo "run as root, or make $here readable for user 65532" >&2
echo "secrets are in $here"
