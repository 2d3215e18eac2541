skip systemd 2 "they enable a timer, and have systemd create a folder"
skip network 1 "it copies to another machine"
replace /etc/orgkeys/ "$HOME/etc/" "one folder holds all"
replace /var/lib/orgkeys "$HOME/lib" "one folder holds all"
replace /home/backup/orgkeys "$HOME/arrived" "one folder holds all"
replace 'backup=$(ls' 'lose_the_machine; backup=$(ls' "the first machine fails"
replace key=/path/to/the/copy/of/orgkeys.db.key 'key=$HOME/orgkeys.db.key' "the copy that the page says to keep"
replace /mnt/first-machine "$HOME/lost" "the first machine is found again"

# What stands for root and systemd: this user, and the server with the unit's settings.
sudo() { "$@"; }
systemctl() {
    case $* in
    "enable --now orgkeys") serve --config etc/orgkeys.toml ;;
    *) fail "systemctl $* means nothing here" ;;
    esac
}
arrived() { cp lib/backups/orgkeys-*.backup arrived; }
lose_the_machine() {
    cd "$HOME"
    kill -9 "$SERVER_ID"
    wait "$SERVER_ID" || true
    mv lib lost
    mkdir lib
}

mkdir etc lib arrived
sed "s|/var/lib/orgkeys|$HOME/lib|" "$ROOT/deploy/orgkeys.toml" >etc/orgkeys.toml
block toml | sed "s|/var/lib/orgkeys|$HOME/lib|" >>etc/orgkeys.toml
serve --config etc/orgkeys.toml
curl -sSf "http://$SERVER/organization/$ORGANIZATION/webhooks" -H "Authorization: Bearer $TOKEN" -o webhook.json \
    -H 'Content-Type: application/json' -d '{"url": "https://hooks.example.org/", "disabled": true}'
cp lib/orgkeys.db.key .
eventually arrived
run_commands

expect "^Restored $HOME/lib/orgkeys\\.db from $HOME/arrived/orgkeys-[-0-9T.]+Z\\.backup\\.$" 1
expect 'used signatures are unknown: all signed calls are refused until ' 1
expect 'owner@localhost'
curl -sSf "http://$SERVER/user/profile" -H "Authorization: Bearer $(grep '^okp_' printed | tail -n 1)" -o profile
[ "$(curl -sS -o refused -w '%{http_code}' "http://$SERVER/user/profile" -H "Authorization: Bearer $TOKEN")" = 401 ] ||
    fail "a token from before the restore is valid"
cmp -s lib/orgkeys.db.key orgkeys.db.key || fail "the key file is not in its place"
grep -q '"action":"webhook.create"' lost.jsonl || fail "the lost log was not exported"
