replace http://127.0.0.1:3000 "http://$SERVER" "the server listens on a free port"
serve
run_commands

expect '"events":\[\{"id":3,.*"event":"created".*"total":3' 1
expect '^The audit log is intact: [0-9]+ entries in 1 chain$' 4
expect "^\\{\"org\":\"$ORGANIZATION\",\"seq\":[0-9]+,\"hash\":\"[0-9a-f]{64}\"\}" 1

# The program that verifies an export prints the heads.
block python >verify.py
python3 verify.py <log.jsonl | diff - heads || fail "the program does not print the heads"
sed 2d log.jsonl >torn.jsonl
! python3 verify.py <torn.jsonl 2>why || fail "the program does not notice that an entry is missing"
! orgkeys audit verify --file torn.jsonl 2>why || fail "orgkeys does not notice that an entry is missing"
grep -q 'number 2 was expected here: an entry is missing' why || fail "orgkeys does not say which entry is missing"

# The loop that reads the log over HTTP may run again: it appends what is new, and nothing twice.
block sh | sed -n '/^touch audit\.jsonl$/,/^done$/p' >loop
before=$(wc -l <audit.jsonl)
# shellcheck disable=SC1091  # written above
. ./loop
[ "$(wc -l <audit.jsonl)" -gt "$before" ] || fail "the second run of the loop read nothing"
orgkeys audit verify --file audit.jsonl >verified || fail "the second run of the loop broke the file"
