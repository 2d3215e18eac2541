replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
replace 'curl -N' 'stream -N' "the streams do not end: they run in the background"
replace "'Last-Event-ID: 37'" '"Last-Event-ID: $(first_id)"' "an id that was received"

# Opens a stream, whose messages go to the file stream-1, stream-2, ...
stream() {
    streams=$((${streams-0} + 1))
    : >"stream-$streams"
    curl -sS "$@" >>"stream-$streams" &
    eventually grep -q '^retry: 2000$' "stream-$streams"
}
first_id() { sed -n 's/^id: //p; /^id: /q' stream-1; }
keys() { curl -sSf "http://$SERVER/organization/$ORGANIZATION/key$1" -H "Authorization: Bearer $TOKEN" "${@:2}"; }

serve
keys "" -X POST -o key.pem
keys "" -X DELETE -o deleted
run_commands
keys "" -X POST -o key.pem
keys "" -X DELETE -o deleted

# The first and the third stream have both new events; the second has the old deletion and the new one.
has() { [ "$(sed -n 's/^event: //p' "$1" | xargs)" = "$2" ]; }
eventually has stream-1 'created deleted'
eventually has stream-2 'deleted deleted'
eventually has stream-3 'created deleted'
[ "$(cat stream-[123] | grep -c '^data: .*"context":"orgkey"')" = 6 ] || fail "the events are not about organization keys"
stop
grep -q '^data: {"reason":"stopped","message":"The server is stopping' stream-1 || fail "the stream does not say why it ended"
