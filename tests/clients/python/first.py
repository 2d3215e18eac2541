import os

from orgkeys_client import AuthenticatedClient
from orgkeys_client.api.nodes import list_nodes
from orgkeys_client.api.people import get_profile

client = AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["TOKEN"], raise_on_unexpected_status=True)
org = get_profile.sync(client=client).data.org_id
nodes = list_nodes.sync(org, client=client)
print("nodes:", nodes.total)
for node in nodes.data:
    print(node.ip, node.status)
