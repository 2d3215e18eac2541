"""The scenario, with the generated client only: a user signs in and creates a key, and a node registers with it."""

import base64
import os
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from orgkeys_client import AuthenticatedClient, Client
from orgkeys_client.api.api_keys import create_api_key, delete_api_key, verify_api_key
from orgkeys_client.api.nodes import list_nodes, register_node
from orgkeys_client.api.organization_keys import (
    create_organization_key,
    delete_organization_keys,
    list_organization_keys,
    rotate_organization_key,
)
from orgkeys_client.api.people import create_user, get_profile
from orgkeys_client.api.sessions import login_user
from orgkeys_client.api.system_events import list_system_events
from orgkeys_client.models import (
    ApiKeyAnswer,
    ApiKeyVerificationAnswer,
    Credentials,
    Done,
    Failure,
    KeyFormat,
    LoginAnswer,
    NewApiKeyRequest,
    OrganizationUserInput,
    NewOrganizationUserAnswer,
    NewOrgKeyAnswer,
    NodeAnswer,
    NodeList,
    NodeRegistration,
    OrganizationKeyList,
    OrganizationKeyRotation,
    OrganizationKeyState,
    ProfileAnswer,
    RotatedOrgKeyAnswer,
    SystemEventPage,
    SystemEventQuery,
    UserApiKey,
    VerifyApiKey,
    WrappedFailure,
)

URL = os.environ["URL"]
PASSWORD = "five quiet owls"


def expect(kind, answer):
    assert isinstance(answer, kind), f"{kind.__name__} was expected, not {answer}"
    return answer


anybody = Client(base_url=URL)
owner = AuthenticatedClient(base_url=URL, token=os.environ["TOKEN"])

# A user is added and signs in.
org = expect(ProfileAnswer, get_profile.sync(client=owner)).data.org_id
person = OrganizationUserInput(
    email="ada@example.org", first_name="Ada", last_name="Ärzte", password=PASSWORD, org_role=254
)
added = expect(NewOrganizationUserAnswer, create_user.sync(client=owner, body=person)).data
assert added.last_name == "Ärzte"
credentials = Credentials(email="ADA@example.org", password=PASSWORD)
session = expect(LoginAnswer, login_user.sync(client=anybody, body=credentials))
ada = AuthenticatedClient(base_url=URL, token=session.access_token)

# The user creates a key, and a node registers with it.
minted = expect(NewOrgKeyAnswer, create_organization_key.sync(org, client=ada, format_=KeyFormat.JSON)).data
private_key = serialization.load_pem_private_key(minted.private_key.encode(), password=None)


def registration(key):
    now = int(time.time())
    message = f"203.0.113.7|eu-central-1|{now}".encode()
    signature = base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    return NodeRegistration(
        ip="203.0.113.7", region="eu-central-1", timestamp=now, signature=signature,
        status="active", version="1.0.0", id_org=org, provider="AWS",
    )


signed = registration(private_key)
node = expect(NodeAnswer, register_node.sync(client=anybody, body=signed)).data
assert (node.ip, node.key_id) == ("203.0.113.7", minted.id)
nodes = expect(NodeList, list_nodes.sync(org, client=ada))
assert (nodes.total, nodes.data[0].id) == (1, node.id)
keys = expect(OrganizationKeyList, list_organization_keys.sync(org, client=ada)).data
assert [beside.node_id for beside in keys[0].node_keys] == ["203.0.113.7"]

# The key is rotated, and ends when the node has moved to the successor.
rotation = OrganizationKeyRotation(overlap_seconds=3600)
answer = rotate_organization_key.sync(org, minted.id, client=ada, body=rotation, format_=KeyFormat.JSON)
rotated = expect(RotatedOrgKeyAnswer, answer).data
signed = registration(serialization.load_pem_private_key(rotated.private_key.encode(), password=None))
assert expect(NodeAnswer, register_node.sync(client=anybody, body=signed)).data.key_id == rotated.id
keys = expect(OrganizationKeyList, list_organization_keys.sync(org, client=ada, retired=True)).data
states = {key.id: key.state for key in keys}
assert states == {minted.id: OrganizationKeyState.RETIRED, rotated.id: OrganizationKeyState.ACTIVE}, states

# A service gets an API key and has it verified.
asked = NewApiKeyRequest(
    list_projects_id=[], role_id=0, user_api_key=UserApiKey(api_name="東京", has_expire_time=False)
)
made = expect(ApiKeyAnswer, create_api_key.sync(org, client=ada, body=asked)).result
assert made.name == "東京"
question = VerifyApiKey(api_key=made.api_key)
verdict = expect(ApiKeyVerificationAnswer, verify_api_key.sync(client=ada, body=question)).result
assert (verdict.valid, verdict.code, verdict.api_key_id, verdict.expire_date) == (True, "VALID", made.id, None)

# The audit log has the events.
events = expect(SystemEventPage, list_system_events.sync(client=ada, body=SystemEventQuery(take=100))).events
kinds = {(event.context, event.event) for event in events}
assert {("user", "created"), ("orgkey", "created"), ("flashbacknode", "created"), ("apikey", "created")} <= kinds

# Three refusals, read through their types.
replayed = expect(Failure, register_node.sync(client=anybody, body=signed))
assert replayed.error_code == "SIGNATURE_REPLAYED", replayed
assert "sign" in replayed.error_message.lower()
wrong = Credentials(email="ada@example.org", password="not that one at all")
refused = expect(Failure, login_user.sync(client=anybody, body=wrong))
assert refused.error_code == "INVALID_CREDENTIALS"
missing = expect(WrappedFailure, delete_api_key.sync(org, "999999", client=ada))
assert (missing.status_code, missing.result_info, missing.result) == (404, "API_KEY_NOT_FOUND", None)

# Everything is deleted again.
delete_api_key.sync(org, str(made.id), client=ada)
verdict = expect(ApiKeyVerificationAnswer, verify_api_key.sync(client=ada, body=question)).result
assert (verdict.valid, verdict.code) == (False, "NOT_FOUND")
done = expect(Done, delete_organization_keys.sync(org, client=ada))
assert done.message == "Successfully deleted 2 organization key(s)"
print("python: the scenario passed")
