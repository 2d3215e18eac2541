# The scenario, with the generated client only: a user signs in and creates a key, and a node registers with it.

require "openssl"
require "orgkeys"

PASSWORD = "five quiet owls"

# A client with that access token, or with none.
def as(token = nil)
  config = Orgkeys::Configuration.new
  config.scheme, config.host = ENV.fetch("URL").split("://")
  config.access_token = token
  Orgkeys::ApiClient.new(config)
end

# The typed error of a call that must have failed.
def refusal(type)
  answer = yield
rescue Orgkeys::ApiError => refused
  type.build_from_hash(JSON.parse(refused.response_body, symbolize_names: true))
else
  raise "a refusal was expected, not #{answer}"
end

def check(holds, what)
  raise what.inspect unless holds
end

# What a node sends, signed with a key of its organization.
def registration(private_key, org)
  now = Time.now.to_i
  signature = OpenSSL::PKey::RSA.new(private_key).sign("SHA256", "203.0.113.7|eu-central-1|#{now}")
  Orgkeys::NodeRegistration.new(
    ip: "203.0.113.7", region: "eu-central-1", timestamp: now, signature: [signature].pack("m0"),
    status: "active", version: "1.0.0", id_org: org, provider: "AWS"
  )
end

anybody, owner = as, as(ENV.fetch("TOKEN"))

# A user is added and signs in.
people = Orgkeys::PeopleApi.new(owner)
org = people.get_profile.data.org_id
person = Orgkeys::OrganizationUserInput.new(
  email: "ada@example.org", first_name: "Ada", last_name: "Ärzte", password: PASSWORD, org_role: 254
)
added = people.create_user(person).data
check(added.last_name == "Ärzte", added)
credentials = Orgkeys::Credentials.new(email: "ADA@example.org", password: PASSWORD)
ada = as(Orgkeys::SessionsApi.new(anybody).login_user(credentials).access_token)

# The user creates a key, and a node registers with it.
org_keys = Orgkeys::OrganizationKeysApi.new(ada)
minted = org_keys.create_organization_key(org, format: Orgkeys::KeyFormat::JSON).data
signed = registration(minted.private_key, org)
node = Orgkeys::NodesApi.new(anybody).register_node(signed).data
check([node.ip, node.key_id] == ["203.0.113.7", minted.id], node)
nodes = Orgkeys::NodesApi.new(ada).list_nodes(org)
check([nodes.total, nodes.data[0].id] == [1, node.id], nodes)
keys = org_keys.list_organization_keys(org).data
check(keys[0].node_keys.map(&:node_id) == ["203.0.113.7"], keys)

# A service gets an API key and has it verified.
api_keys = Orgkeys::APIKeysApi.new(ada)
terms = Orgkeys::UserApiKey.new(api_name: "東京", has_expire_time: false)
asked = Orgkeys::NewApiKeyRequest.new(list_projects_id: [], role_id: 0, user_api_key: terms)
made = api_keys.create_api_key(org, asked).result
check(made.name == "東京", made)
question = Orgkeys::VerifyApiKey.new(api_key: made.api_key)
verdict = api_keys.verify_api_key(question).result
check([verdict.valid, verdict.code, verdict.api_key_id, verdict.expire_date] == [true, "VALID", made.id, nil], verdict)

# The audit log has the events.
events = Orgkeys::SystemEventsApi.new(ada).list_system_events(Orgkeys::SystemEventQuery.new(take: 100)).events
kinds = events.map { |event| "#{event.context} #{event.event}" }
missing = ["user created", "orgkey created", "flashbacknode created", "apikey created"] - kinds
check(missing.empty?, missing)

# Three refusals, read through their types.
replayed = refusal(Orgkeys::Failure) { Orgkeys::NodesApi.new(anybody).register_node(signed) }
check(replayed.error_code == "SIGNATURE_REPLAYED", replayed)
check(replayed.error_message.downcase.include?("sign"), replayed)
wrong = Orgkeys::Credentials.new(email: "ada@example.org", password: "not that one at all")
refused = refusal(Orgkeys::Failure) { Orgkeys::SessionsApi.new(anybody).login_user(wrong) }
check(refused.error_code == "INVALID_CREDENTIALS", refused)
missing = refusal(Orgkeys::WrappedFailure) { api_keys.delete_api_key(org, "999999") }
check([missing.status_code, missing.result_info, missing.result] == [404, "API_KEY_NOT_FOUND", nil], missing)

# Everything is deleted again.
api_keys.delete_api_key(org, made.id.to_s)
verdict = api_keys.verify_api_key(question).result
check([verdict.valid, verdict.code] == [false, "NOT_FOUND"], verdict)
done = org_keys.delete_organization_keys(org)
check(done.message == "Successfully deleted 1 organization key(s)", done)
puts "ruby: the scenario passed"
