replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
serve
# An administrator gives the node its organization's id, and the key. The token is for the page's part about secrets.
curl -sSf -X POST "http://$SERVER/organization/$ORGANIZATION/key" -H "Authorization: Bearer $TOKEN" -o key.pem
exec <<<"$ORGANIZATION"$'\n'"$TOKEN"
run_commands

expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.7"' 1
expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.8".*"provider":"GCP".*"nodeServices":5' 1
expect '"message":"Node unregistered successfully"' 1
expect '^s3 +- +60 ' 1
expect '^s3 +us-east-1 +21 ' 1
expect '^AWS_ACCESS_KEY_ID=AKIAEXAMPLE$' 1
expect '^AWS_SECRET_ACCESS_KEY=example$' 1
nodes=$(curl -sSf "http://$SERVER/organization/$ORGANIZATION/nodes" -H "Authorization: Bearer $TOKEN")
[[ $nodes == *'"ip":"203.0.113.7"'*'"total":1'* ]] || fail "the nodes are not those that the page registers: $nodes"
