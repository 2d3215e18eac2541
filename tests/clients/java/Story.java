// The scenario, with the generated client only: a user signs in and creates a key, and a node registers with it.

import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.ApiKeysApi;
import org.openapitools.client.api.NodesApi;
import org.openapitools.client.api.OrganizationKeysApi;
import org.openapitools.client.api.PeopleApi;
import org.openapitools.client.api.SessionsApi;
import org.openapitools.client.api.SystemEventsApi;
import org.openapitools.client.model.Credentials;
import org.openapitools.client.model.Failure;
import org.openapitools.client.model.KeyFormat;
import org.openapitools.client.model.NewApiKeyRequest;
import org.openapitools.client.model.NodeRegistration;
import org.openapitools.client.model.OrganizationKeyRotation;
import org.openapitools.client.model.OrganizationKeyState;
import org.openapitools.client.model.OrganizationUserInput;
import org.openapitools.client.model.SystemEventQuery;
import org.openapitools.client.model.UserApiKey;
import org.openapitools.client.model.VerifyApiKey;
import org.openapitools.client.model.WrappedFailure;

class Story {
    static final String PASSWORD = "five quiet owls";

    /** A client with that access token, or with none. */
    static ApiClient as(String token) {
        var client = new ApiClient();
        client.updateBaseUri(System.getenv("URL"));
        if (token != null) {
            client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        }
        return client;
    }

    interface Call {
        Object make() throws ApiException;
    }

    /** The typed error of a call that must have failed. */
    static <E> E refusal(Class<E> type, Call call) throws Exception {
        try {
            throw new AssertionError("a refusal was expected, not " + call.make());
        } catch (ApiException refused) {
            return ApiClient.createDefaultObjectMapper().readValue(refused.getResponseBody(), type);
        }
    }

    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** The key of a PEM file. It is PKCS#1, and Java reads PKCS#8: a version, the algorithm (RSA), and that key. */
    static PrivateKey read(String pem) throws Exception {
        var hex = HexFormat.of();
        var key = hex.formatHex(Base64.getMimeDecoder().decode(pem.replaceAll("-----.*-----", "")));
        var framed = der("30", "020100" + "300d06092a864886f70d0101010500" + der("04", key));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(hex.parseHex(framed)));
    }

    /** A value of 256 bytes or more, in DER. */
    static String der(String tag, String value) {
        return tag + "82%04x".formatted(value.length() / 2) + value;
    }

    /** What a node sends, signed with a key of its organization. */
    static NodeRegistration registration(String pem, String org) throws Exception {
        var now = Instant.now().getEpochSecond();
        var signer = Signature.getInstance("SHA256withRSA");
        signer.initSign(read(pem));
        signer.update(("203.0.113.7|eu-central-1|" + now).getBytes());
        var signature = Base64.getEncoder().encodeToString(signer.sign());
        return new NodeRegistration().ip("203.0.113.7").region("eu-central-1").timestamp(now).signature(signature)
            .status("active").version("1.0.0").idOrg(org).provider("AWS");
    }

    public static void main(String[] none) throws Exception {
        ApiClient anybody = as(null), owner = as(System.getenv("TOKEN"));

        // A user is added and signs in.
        var org = new PeopleApi(owner).getProfile().getData().getOrgId();
        var person = new OrganizationUserInput().email("ada@example.org").firstName("Ada").lastName("Ärzte");
        var added = new PeopleApi(owner).createUser(person.password(PASSWORD).orgRole(254L)).getData();
        check(added.getLastName().equals("Ärzte"), added);
        var credentials = new Credentials().email("ADA@example.org").password(PASSWORD);
        var ada = as(new SessionsApi(anybody).loginUser(credentials).getAccessToken());

        // The user creates a key, and a node registers with it.
        var orgKeys = new OrganizationKeysApi(ada);
        var minted = orgKeys.createOrganizationKey(org, KeyFormat.JSON).getData();
        var signed = registration(minted.getPrivateKey(), org);
        var node = new NodesApi(anybody).registerNode(signed).getData();
        check(node.getIp().equals("203.0.113.7") && node.getKeyId().equals(minted.getId()), node);
        var nodes = new NodesApi(ada).listNodes(org, null, null, null, null, null, null);
        check(nodes.getTotal() == 1 && nodes.getData().get(0).getId().equals(node.getId()), nodes);
        var keys = orgKeys.listOrganizationKeys(org, null).getData();
        check(keys.get(0).getNodeKeys().get(0).getNodeId().equals("203.0.113.7"), keys);

        // The key is rotated, and ends when the node has moved to the successor.
        var rotation = new OrganizationKeyRotation().overlapSeconds(3600L);
        var rotated = orgKeys.rotateOrganizationKey(org, minted.getId(), KeyFormat.JSON, rotation).getData();
        var signedAnew = registration(rotated.getPrivateKey(), org);
        node = new NodesApi(anybody).registerNode(signedAnew).getData();
        check(node.getKeyId().equals(rotated.getId()), node);
        keys = orgKeys.listOrganizationKeys(org, true).getData();
        check(keys.get(0).getState() == OrganizationKeyState.ACTIVE, keys);
        check(keys.get(1).getState() == OrganizationKeyState.RETIRED, keys);

        // A service gets an API key and has it verified.
        var apiKeys = new ApiKeysApi(ada);
        var terms = new UserApiKey().apiName("東京").hasExpireTime(false);
        var asked = new NewApiKeyRequest().listProjectsId(List.of()).roleId(0L).userApiKey(terms);
        var made = apiKeys.createApiKey(org, asked).getResult();
        check(made.getName().equals("東京"), made);
        var question = new VerifyApiKey().apiKey(made.getApiKey());
        var verdict = apiKeys.verifyApiKey(question).getResult();
        check(verdict.getValid() && verdict.getCode().equals("VALID") && verdict.getExpireDate() == null, verdict);
        check(verdict.getApiKeyId().equals(made.getId()), verdict);

        // The audit log has the events.
        var events = new SystemEventsApi(ada).listSystemEvents(new SystemEventQuery().take(100)).getEvents();
        var seen = events.stream().map(event -> event.getContext() + " " + event.getEvent()).collect(Collectors.toSet());
        check(seen.containsAll(List.of("user created", "orgkey created", "flashbacknode created", "apikey created")), seen);

        // Three refusals, read through their types.
        var replayed = refusal(Failure.class, () -> new NodesApi(anybody).registerNode(signedAnew));
        check(replayed.getErrorCode().equals("SIGNATURE_REPLAYED"), replayed);
        check(replayed.getErrorMessage().toLowerCase().contains("sign"), replayed);
        var wrong = new Credentials().email("ada@example.org").password("not that one at all");
        var refused = refusal(Failure.class, () -> new SessionsApi(anybody).loginUser(wrong));
        check(refused.getErrorCode().equals("INVALID_CREDENTIALS"), refused);
        var missing = refusal(WrappedFailure.class, () -> apiKeys.deleteApiKey(org, "999999"));
        check(missing.getStatusCode() == 404 && missing.getResultInfo().equals("API_KEY_NOT_FOUND"), missing);
        check(missing.getResult() == null, missing);

        // Everything is deleted again.
        apiKeys.deleteApiKey(org, made.getId().toString());
        verdict = apiKeys.verifyApiKey(question).getResult();
        check(!verdict.getValid() && verdict.getCode().equals("NOT_FOUND"), verdict);
        var done = orgKeys.deleteOrganizationKeys(org);
        check(done.getMessage().equals("Successfully deleted 2 organization key(s)"), done);
        System.out.println("java: the scenario passed");
    }
}
