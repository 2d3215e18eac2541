replace "read -rsp 'New password: ' password" 'password="a cat on 5 roofs"' "nobody types it"
replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
replace token-01a224f7-9df5-7e53-ba58-d108eb51f9e5 \
    "\$(sed -n 's/.*orgkeys token revoke //p' first-start)" "the id of the owner's first token"
replace 'orgkeys serve' 'stop; mkdir new && mv bootstrap-token new && cd new && serve' "an empty folder, and a server in the background"
replace 'orgkeys org create' 'unset ORGKEYS_BOOTSTRAP_TOKEN_FILE; stop; cd ..; serve; orgkeys org create' "beside the first server again"
serve
run_commands

expect '"message":"User created successfully".*"orgRole":2' 1
expect '"message":"Email verified successfully"' 1
expect '"message":"User role updated successfully".*"newRole":254' 1
expect '"email":"bob@example.org".*"deletedAt":null,"invitedUntil":null,"orgRoleDescription":"ADMINISTRATOR".*"total":2' 1
expect '"message":"Signed in successfully"' 1
expect '"message":"User updated successfully"' 1
expect '"name":"Shop".*"members":.*"role":"OWNER"' 1
expect '"messages":\["Project member saved successfully"\].*"role":"EDITOR"' 1
expect '"messages":\["Project member removed successfully"\]' 1
expect '"message":"Organization keys retrieved successfully","data":\[\{"id":"key-' 1
expect '"message":"Statistics retrieved successfully"' 1
expect '"message":"Access token created successfully".*"name":"inventory script"' 1
expect '"name":"inventory script".*"current":false.*"type":"token".*"current":true' 1
expect '"message":"Token revoked successfully"' 1
expect '^token-.* was revoked$' 1
expect '^user-.*  OWNER  *grace@example\.org$' 1
expect '^oki_[0-9A-Za-z]{36}$' 1
openssl rsa -in new-key.pem -check -noout >checked 2>&1 || fail "there is no private key in new-key.pem"
[ "$(stat -c %a new-key.pem new/bootstrap-token)" = $'600\n600' ] || fail "others may read the key or the token"

# The new token is valid, and the lost one is not.
profile() { curl -sS "http://$SERVER/user/profile" -H "Authorization: Bearer $1"; }
[[ $(profile "$(grep '^okp_' printed)") == *'"orgRoleDescription":"OWNER"'* ]] || fail "the new token is not the owner's"
[[ $(profile "$TOKEN") == *'"success":false'* ]] || fail "the lost token is still valid"

# So is the bootstrap token, on the server that was set up with it.
stop
cd new
serve
[[ $(profile "$(cat bootstrap-token)") == *'"email":"ada@example.org"'*'"orgRoleDescription":"OWNER"'* ]] ||
    fail "the bootstrap token is not the owner's"
