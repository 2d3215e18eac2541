# nginx has the page's lines, and an application behind it that says what it was told about the key.
proxy=127.0.0.1:$(free_port) application=127.0.0.1:$(free_port)
replace 127.0.0.1:3000 "$SERVER" "the server listens on a free port"
replace 127.0.0.1:8080 "$proxy" "nginx listens on a free port"
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
    server {
        listen $application;
        location / { return 200 "\$http_x_orgkeys_organization \$http_x_orgkeys_key \$http_x_orgkeys_role [\$http_x_orgkeys_projects\$http_x_api_key]\n"; }
    }
}
END
nginx -e nginx.log -p "$HOME" -c "$HOME/nginx.conf" &
ask() { curl -sS -w '%{http_code}' -H "X-Orgkeys-Key: forged" -H "X-Orgkeys-Projects: forged" "$@" "http://$proxy/"; }
eventually curl -sS -o nothing "http://$proxy/" 2>nginx-start
[ "$(ask -H "x-api-key: $own")" = "$ORGANIZATION 1 0 []"$'\n'200 ] || fail "nginx does not let a valid key through: $(ask -H "x-api-key: $own")"
[[ $(ask) == *401 ]] || fail "nginx lets a request without a key through"
# The successor was deleted.
[[ $(ask -H "x-api-key: $(field apiKey <rotated.json)") == *401 ]] || fail "nginx lets a deleted key through"

# The text for secret scanners, and the program that computes the checksum.
grep -qP -- "$(block "" | grep '^\\b')" created.json || fail "the regular expression does not find the key"
{ block python; echo 'import sys; sys.exit(not is_orgkeys_secret(sys.argv[1]) or is_orgkeys_secret(sys.argv[1][:-1] + "-"))'; } >checksum.py
python3 checksum.py "$own" || fail "the program does not recognize the key's checksum"
