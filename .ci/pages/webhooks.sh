python=$(free_port) javascript=$(free_port)
replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
replace https://hooks.example.org/orgkeys "http://127.0.0.1:$python/" "the Python receiver, on this machine"
replace http://127.0.0.1:8000/ "http://127.0.0.1:$python/" "the Python receiver, on a free port"
replace '"127.0.0.1", 8000' "\"127.0.0.1\", $python" "the Python receiver listens on a free port"
replace 'listen(8000' "listen($javascript" "so does the JavaScript receiver"
replace 'python3 -m venv venv' ':' ".ci/run makes this folder"
replace 'venv/bin/pip install' ':' ".ci/run installs what tests/webhooks/requirements.txt pins"
replace 'delivery=delivery-...' 'delivery=$(tested); eventually delivered "$delivery"' "the id that the command before it printed"
replace 'orgkeys serve --webhook-allow ' 'stop; serve --webhook-allow 127.0.0.1,' "in the background, and for these receivers, too"
new_key='(umask 077; openssl rand -base64 32 > orgkeys.db.key)'
replace "$new_key" "stop; $new_key; serve --webhook-allow 127.0.0.1" "the page says to stop and start the server"
ln -s "$ROOT/target/ci/venv" venv
ln -s "$ROOT/target/ci/node/node_modules" .
block python >receiver.py
block js >receiver.mjs

webhooks() { curl -sSf "$url/organization/$org/webhooks$1" -H "Authorization: Bearer $token" -H "$json" "${@:2}"; }
# The id of the last test delivery, and whether a delivery of the webhook has arrived.
tested() { grep -o '"deliveryId":"[^"]*"' printed | tail -n 1 | field deliveryId; }
delivered() { grep -qF "$1" <<<"$(webhooks "/$hook/deliveries?state=delivered")"; }

serve --webhook-allow 127.0.0.1
run_commands

# The receiver verified the test with the first secret, and took the replay of it for a repetition.
expect '"message":"Webhook created successfully".*"contexts":\[10\],"events":\[2\]' 1
expect "^[0-9]+ webhook\\.test $hook\$" 1
expect '"message":"Webhook secret rotated successfully".*"previousSecretUntil":"2' 1
# With the key file, the overlap is gone.
expect '"message":"Webhook secret rotated successfully".*"previousSecretUntil":null' 1

# The Python receiver gets the secret that is valid now, and the JavaScript receiver a webhook without filters. Both print
# what arrives, and reject what is not signed.
kill '%?receiver.py'
WEBHOOK_SECRET=$(grep -o 'whsec_[^"]*' printed | tail -n 1) venv/bin/python receiver.py >python-events 2>python-log &
webhooks "" -d "{\"url\": \"http://127.0.0.1:$javascript/\"}" >webhook.json
WEBHOOK_SECRET=$(field secret <webhook.json) node receiver.mjs >javascript-events &
for port in "$python" "$javascript"; do
    eventually curl -sS -o answer "http://127.0.0.1:$port/" 2>why
    status=$(curl -sS -w '%{http_code}' "http://127.0.0.1:$port/" -H 'webhook-id: delivery-1' -d '{}' \
        -H "webhook-timestamp: $(date +%s)" -H 'webhook-signature: v1,29PaijWykqjsFVeC1z2/6mfggwu1lB1B9S6t8kvhh/8=')
    [ "$status" = 401 ] || fail "a receiver accepts a wrong signature: $status"
done
webhooks "/$hook/test" -X POST >test.json
curl -sSf -X POST "$url/organization/$org/key" -H "Authorization: Bearer $token" -o key.pem
eventually grep -qE "^[0-9]+ webhook\.test $hook\$" python-events
eventually grep -qE '^[0-9]+ org_key\.create key-' javascript-events
