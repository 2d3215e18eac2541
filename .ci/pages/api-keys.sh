# nginx and Caddy have the page's lines. An application is behind each.
nginx=127.0.0.1:$(free_port) caddy=127.0.0.1:$(free_port) application=127.0.0.1:$(free_port)
diff <(block nginx) "$ROOT/deploy/nginx-auth.conf" >&3 || fail "the page's lines for nginx are not those of deploy/nginx-auth.conf"
replace 127.0.0.1:3000 "$SERVER" "the server listens on a free port"
replace 127.0.0.1:8080 "$nginx" "nginx listens on a free port"
replace app.example.org "http://$caddy" "so does Caddy, and without a certificate"
replace 127.0.0.1:9000 "$application" "so does the application"
serve
replace 'organization=org-...' "organization=$ORGANIZATION" "the page says to put the id there"
run_commands

expect '"messages":\["API key created successfully"\].*"name":"billing service"' 1
# Once as the application asks, and once as a proxy does.
expect '"valid":true,"code":"VALID".*"expireDate":"2099-06-30T00:00:00.000Z"' 2
expect '^HTTP/1.1 200 OK' 1
expect "^x-orgkeys-organization: $ORGANIZATION" 1
expect '"messages":\["API key rotated successfully"\]' 1
expect '"messages":\["API key updated successfully"\]' 1
expect '"messages":\["API key deleted successfully"\]' 1

cat >nginx.conf <<END
daemon off; pid nginx.pid; error_log nginx.log;
events {}
http {
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    $(block nginx)
}
END
{ printf '{\n\tadmin off\n\tauto_https off\n\tservers {\n\t\tmax_header_size 64KiB\n\t}\n}\n'; block caddyfile; } >Caddyfile

# What gets past a proxy, and what the application then reads: through PROXY ADDRESS COMMAND ...
through() {
    if ! command -v "$1" >/dev/null; then
        [ -z "$NEEDS_ALL" ] || fail "$1 is not installed, and ORGKEYS_TEST_NEEDS_ALL is set"
        echo "$PAGE: skipped: $1 is not installed" >&3
        return
    fi
    "${@:3}" >"$1.log" 2>&1 &
    eventually curl -sS -o nothing "http://$2/" 2>not-yet
    # The successor was deleted.
    python3 "$ROOT/tests/proxies/check.py" "$2" "$application" "$ORGANIZATION" "$own" "$(field apiKey <rotated.json)" >checks ||
        fail "$1: $(cat checks)"
}
through nginx "$nginx" nginx -e nginx.log -p "$HOME" -c "$HOME/nginx.conf"
through caddy "$caddy" caddy run --config Caddyfile --adapter caddyfile

# The text for secret scanners, and the program that computes the checksum.
grep -qP -- "$(block "" | grep '^\\b')" created.json || fail "the regular expression does not find the key"
{ block python; echo 'import sys; sys.exit(not is_orgkeys_secret(sys.argv[1]) or is_orgkeys_secret(sys.argv[1][:-1] + "-"))'; } >checksum.py
python3 checksum.py "$own" || fail "the program does not recognize the key's checksum"
