skip systemd 2 "they enable and start a timer"
skip deb 1 "it installs a package that does not exist yet; .ci/run packages upgrades one"
skip network 1 "it copies to another machine"
replace /etc/orgkeys/ "$HOME/etc/" "one folder holds all"
replace /var/lib/orgkeys "$HOME/lib" "one folder holds all"
replace /var/backups/orgkeys "$HOME/backups" "one folder holds all"
replace /mnt/elsewhere "$HOME/elsewhere" "one folder holds all"
replace /usr/local/bin "$HOME/bin" "one folder holds all"
replace target/release/orgkeys "$ROOT/target/release/orgkeys" "the program is built already"
replace 127.0.0.1:3999 "127.0.0.1:$(free_port)" "the second server listens on a free port"
replace 'orgkeys doctor --database "$drill/orgkeys.db"' 'orgkeys doctor --database "$drill/orgkeys.db" || [ $? = 1 ]' \
    "it fails, since the page says that checks need attention"

# What stands for root and systemd: this user, and the server with the unit's settings.
sudo() { "$@"; }
systemctl() {
    case $* in
    "start orgkeys") serve --config etc/orgkeys.toml ;;
    "stop orgkeys") stop ;;
    *) fail "systemctl $* means nothing here" ;;
    esac
}

mkdir etc lib backups elsewhere bin
cp "$ROOT/target/release/orgkeys" bin
PATH=$HOME/bin:$PATH
sed "s|/var/lib/orgkeys|$HOME/lib|" "$ROOT/deploy/orgkeys.toml" >etc/orgkeys.toml
systemctl start orgkeys
curl -sSf "http://$SERVER/organization/$ORGANIZATION/webhooks" -H "Authorization: Bearer $TOKEN" -o webhook.json \
    -H 'Content-Type: application/json' -d '{"url": "https://hooks.example.org/", "disabled": true}'
run_commands

# A backup, a restore drill that leaves the server alone, and a restore, with the key of the webhook.
expect "^$HOME/elsewhere/orgkeys\\.backup holds the database as of " 1
grep -qxF -f lib/orgkeys.db.key printed || fail "the key file was not printed"
expect '^The audit log is intact: [0-9]+ entries in 1 chain$' 1
expect '^Restored /.*/orgkeys\.db from .*/elsewhere/orgkeys\.backup\.$' 2
for check in file clock integrity audit; do expect "^ok    $check  *" 2; done
expect '^2 of [0-9]+ checks need attention$' 1
expect '"message":"Profile retrieved successfully".*"email":"owner@localhost"' 1
expect "^The replaced database is at $HOME/lib/orgkeys\\.db\\.before-[0-9]+\\." 1
expect '^ok    key_file .* decrypts the secrets of 1 webhook$' 1
expect '^All checks passed$' 1
[ ! -e "$drill" ] || fail "the folder of the drill is still there"
curl -sSf "http://$SERVER/user/profile" -H "Authorization: Bearer $(grep '^okp_' printed | tail -n 1)" -o profile
[ "$(curl -sS -o refused -w '%{http_code}' "http://$SERVER/user/profile" -H "Authorization: Bearer $TOKEN")" = 401 ] ||
    fail "a token from before the restore is valid"
