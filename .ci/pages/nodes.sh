replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
serve
# An administrator gives the node its organization's id, and the key. The token is for the parts about rotation and
# secrets.
curl -sSf -X POST "http://$SERVER/organization/$ORGANIZATION/key" -H "Authorization: Bearer $TOKEN" -o key.pem
exec <<<"$ORGANIZATION"$'\n'"$TOKEN"$'\n'"$TOKEN"
run_commands

expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.7"' 2
expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.8".*"provider":"GCP".*"nodeServices":5' 1
expect '"message":"Node unregistered successfully"' 1
# Each of the 20 nodes registers with both keys, and only the last one is warned.
expect '"message":"Node registered successfully".*"ip":"203\.0\.113\.1(0[1-9]|1[0-9]|20)"' 41
expect '"warnings":\[\{"code":"KEY_RETIRING"' 1
expect '"ip":"203\.0\.113\.120".*"total":1\}$' 1
expect '"state":"retiring".*"state":"active"|"state":"active".*"state":"retiring"' 1
expect '"state":"active".*"state":"retired"' 1
expect '"message":"Organization key imported successfully".*"name":"ours".*"bits":3072' 1
expect '"ip":"203\.0\.113\.121"' 1
! grep -q errorCode "$HOME/printed" || fail "a call of the page was refused"
expect '^s3 +- +60 ' 1
expect '^s3 +us-east-1 +21 ' 1
expect '^AWS_ACCESS_KEY_ID=AKIAEXAMPLE$' 1
expect '^AWS_SECRET_ACCESS_KEY=example$' 1
nodes=$(curl -sSf "http://$SERVER/organization/$ORGANIZATION/nodes" -H "Authorization: Bearer $TOKEN")
[[ $nodes == *'"ip":"203.0.113.7"'*'"total":22}'* ]] || fail "the nodes are not those that the page registers: $nodes"
