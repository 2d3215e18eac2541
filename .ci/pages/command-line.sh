replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
skip terminal 1 "it asks for a password on the terminal"
skip follow 1 "it has no end"
serve
run_commands

expect '^owner@localhost	user-.*	OWNER	org-' 1
expect '^\*	default	http://.*	owner@localhost	session$' 1
expect '^user-.*	WORKSPACES	bob@example.org$' 2
expect '^key-.*		active		.*	0$' 1
expect '^node-.*	203\.0\.113\.7	eu-1	' 2
expect '^true	VALID	1	' 1
expect '^203\.0\.113\.7$' 1
expect '^Authorization: Bearer \*{8}$' 1
expect '"name":"My organization"' 1
expect '^The audit log is intact: ' 1
expect '^orgkeys: Node not found \(NODE_NOT_FOUND, status 404, request ' 1
expect '^exit code 5$' 1
for file in invitation key.pem next-key.pem api-key next-api-key; do
    [ "$(stat -c %a $file)" = 600 ] || fail "others may read $file"
done
[ ! -e other.pem ] || fail "a dry run made a file"
grep -q '^okr_\|^refresh_token = "okr_' .config/orgkeys/profiles.toml || fail "the profile has no session"

# The tail follows, and the session can be ended.
unset XDG_CONFIG_HOME
orgkeys audit tail -f >followed &
eventually grep -q apikey followed
orgkeys project create Shop >made-project
eventually grep -q "$(cut -f 1 made-project)" followed
orgkeys logout
! orgkeys whoami 2>refused || fail "the session was not ended"
stop
