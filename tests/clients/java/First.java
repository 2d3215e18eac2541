import org.openapitools.client.ApiClient;
import org.openapitools.client.api.NodesApi;
import org.openapitools.client.api.PeopleApi;

class First {
    public static void main(String[] arguments) throws Exception {
        var client = new ApiClient();
        client.updateBaseUri(System.getenv("URL"));
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + System.getenv("TOKEN")));
        var org = new PeopleApi(client).getProfile().getData().getOrgId();
        var nodes = new NodesApi(client).listNodes(org, null, null, null, null, null, null);
        System.out.println("nodes: " + nodes.getTotal());
        nodes.getData().forEach(node -> System.out.println(node.getIp() + " " + node.getStatus()));
    }
}
