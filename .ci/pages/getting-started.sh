skip deb 4 "they install the package; .ci/run packages runs them in a Debian of its own"
replace "read -rsp 'New password: ' password" 'password="a cat on 5 roofs"' "nobody types it"
replace 'cargo install --locked --path .' ':' "the release program is in the PATH; building it again takes minutes"
replace 'orgkeys serve' serve "in the background"
replace 'url=http://127.0.0.1:3000; org=org-...; token=okp_...' 'eval "$(grep "^ url=" ../first-start)"' "the line that was printed"
replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
run_commands

expect '"message":"Profile retrieved successfully".*"orgRoleDescription":"OWNER"' 1
expect '"message":"User updated successfully"' 1
expect '"nodeKeys":\[.*"nodeId":"203\.0\.113\.7"' 1
expect '"nodeKeys":\[.*"nodeId":"203\.0\.113\.8"' 1
expect '"message":"Email verified successfully"' 1
expect '"valid":true,"code":"VALID"' 1
expect '^orgkeys\.backup holds the database' 1
expect '^Restored drill/orgkeys\.db from orgkeys\.backup\.$' 1
expect '^The audit log is intact: ' 2
[ "$(stat -c %a orgkeys-data/key.pem)" = 600 ] || fail "others may read key.pem"

# The lines that the first start prints for pasting, and the documentation page that it names. Pasted twice, they keep
# the key.
grep -E '^( url=|curl -sSf|\[ -e)' first-start >to-paste
[ "$(wc -l <to-paste)" = 4 ] || fail "the first start does not print the variables and three lines to paste"
mkdir pasted
(cd pasted && bash -e ../to-paste >printed && cp key.pem first.pem && sh -e ../to-paste >printed)
cmp pasted/key.pem pasted/first.pem || fail "the printed lines overwrite the key"
openssl rsa -in pasted/key.pem -check -noout >checked 2>&1 || fail "the printed lines leave no private key in key.pem"
! grep -F '"success":false' pasted/printed || fail "a printed line was refused"
grep -q swagger-ui <<<"$(curl -sSf "http://$SERVER/docs")" || fail "the page /docs is not there"

# The server stops cleanly, and the audit log is whole afterwards.
stop
(cd orgkeys-data && orgkeys audit verify >verified)
