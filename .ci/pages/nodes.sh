replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
serve
# An administrator gives the node its organization's id, and the key.
curl -sSf -X POST "http://$SERVER/organization/$ORGANIZATION/key" -H "Authorization: Bearer $TOKEN" -o key.pem
exec <<<"$ORGANIZATION"
run_commands

expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.7"' 1
expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.8".*"provider":"GCP".*"nodeServices":5' 1
expect '"message":"Node unregistered successfully"' 1
nodes=$(curl -sSf "http://$SERVER/organization/$ORGANIZATION/nodes" -H "Authorization: Bearer $TOKEN")
[[ $nodes == *'"ip":"203.0.113.7"'*'"total":1'* ]] || fail "the nodes are not those that the page registers: $nodes"
