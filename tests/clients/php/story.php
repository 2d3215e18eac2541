<?php
// The scenario, with the generated client only: a user signs in and creates a key, and a node registers with it.

use Orgkeys\Api\APIKeysApi;
use Orgkeys\Api\NodesApi;
use Orgkeys\Api\OrganizationKeysApi;
use Orgkeys\Api\PeopleApi;
use Orgkeys\Api\SessionsApi;
use Orgkeys\Api\SystemEventsApi;
use Orgkeys\ApiException;
use Orgkeys\Configuration;
use Orgkeys\Model\Credentials;
use Orgkeys\Model\Failure;
use Orgkeys\Model\KeyFormat;
use Orgkeys\Model\NewApiKeyRequest;
use Orgkeys\Model\NodeRegistration;
use Orgkeys\Model\OrganizationUserInput;
use Orgkeys\Model\SystemEventQuery;
use Orgkeys\Model\UserApiKey;
use Orgkeys\Model\VerifyApiKey;
use Orgkeys\Model\WrappedFailure;

require "orgkeys/vendor/autoload.php";

const PASSWORD = "five quiet owls";

// A warning is a failure.
set_error_handler(function (int $level, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $level, $file, $line);
});

/** A client of one group of operations, with that access token or with none. */
function as_caller(string $api, string $token = ""): object
{
    return new $api(config: (new Configuration())->setHost(getenv("URL"))->setAccessToken($token));
}

/** The typed error of a call that must have failed. */
function refusal(string $type, callable $call): object
{
    try {
        $answer = $call();
    } catch (ApiException $refused) {
        assert($refused->getResponseObject() instanceof $type, $refused->getMessage());
        return $refused->getResponseObject();
    }
    throw new Exception("a refusal was expected, not $answer");
}

/** What a node sends, signed with a key of its organization. */
function registration(string $privateKey, string $org): NodeRegistration
{
    $now = time();
    openssl_sign("203.0.113.7|eu-central-1|$now", $signature, $privateKey, OPENSSL_ALGO_SHA256);
    return new NodeRegistration([
        "ip" => "203.0.113.7", "region" => "eu-central-1", "timestamp" => $now, "signature" => base64_encode($signature),
        "status" => "active", "version" => "1.0.0", "id_org" => $org, "provider" => "AWS",
    ]);
}

// A user is added and signs in.
$people = as_caller(PeopleApi::class, getenv("TOKEN"));
$org = $people->getProfile()->getData()->getOrgId();
$person = (new OrganizationUserInput())->setEmail("ada@example.org")->setFirstName("Ada")->setLastName("Ärzte");
$added = $people->createUser($person->setPassword(PASSWORD)->setOrgRole(254))->getData();
assert($added->getLastName() === "Ärzte");
$credentials = (new Credentials())->setEmail("ADA@example.org")->setPassword(PASSWORD);
$ada = as_caller(SessionsApi::class)->loginUser($credentials)->getAccessToken();

// The user creates a key, and a node registers with it.
$orgKeys = as_caller(OrganizationKeysApi::class, $ada);
$minted = $orgKeys->createOrganizationKey($org, KeyFormat::JSON)->getData();
$signed = registration($minted->getPrivateKey(), $org);
$node = as_caller(NodesApi::class)->registerNode($signed)->getData();
assert([$node->getIp(), $node->getKeyId()] === ["203.0.113.7", $minted->getId()]);
$nodes = as_caller(NodesApi::class, $ada)->listNodes($org);
assert([$nodes->getTotal(), $nodes->getData()[0]->getId()] === [1, $node->getId()]);
$keys = $orgKeys->listOrganizationKeys($org)->getData();
assert($keys[0]->getNodeKeys()[0]->getNodeId() === "203.0.113.7");

// A service gets an API key and has it verified.
$apiKeys = as_caller(APIKeysApi::class, $ada);
$terms = (new UserApiKey())->setApiName("東京")->setHasExpireTime(false);
$asked = (new NewApiKeyRequest())->setListProjectsId([])->setRoleId(0)->setUserApiKey($terms);
$made = $apiKeys->createApiKey($org, $asked)->getResult();
assert($made->getName() === "東京");
$question = (new VerifyApiKey())->setApiKey($made->getApiKey());
$verdict = $apiKeys->verifyApiKey($question)->getResult();
assert([$verdict->getValid(), $verdict->getCode(), $verdict->getExpireDate()] === [true, "VALID", null]);
assert($verdict->getApiKeyId() === $made->getId());

// The audit log has the events.
$query = (new SystemEventQuery())->setTake(100);
$events = as_caller(SystemEventsApi::class, $ada)->listSystemEvents($query)->getEvents();
$kinds = array_map(fn($event) => "{$event->getContext()} {$event->getEvent()}", $events);
$wanted = ["user created", "orgkey created", "flashbacknode created", "apikey created"];
assert(array_diff($wanted, $kinds) === []);

// Three refusals, read through their types.
$replayed = refusal(Failure::class, fn() => as_caller(NodesApi::class)->registerNode($signed));
assert($replayed->getErrorCode() === "SIGNATURE_REPLAYED");
assert(str_contains(strtolower($replayed->getErrorMessage()), "sign"));
$wrong = (new Credentials())->setEmail("ada@example.org")->setPassword("not that one at all");
$refused = refusal(Failure::class, fn() => as_caller(SessionsApi::class)->loginUser($wrong));
assert($refused->getErrorCode() === "INVALID_CREDENTIALS");
$missing = refusal(WrappedFailure::class, fn() => $apiKeys->deleteApiKey($org, "999999"));
assert([$missing->getStatusCode(), $missing->getResultInfo(), $missing->getResult()] === [404, "API_KEY_NOT_FOUND", null]);

// Everything is deleted again.
$apiKeys->deleteApiKey($org, (string) $made->getId());
$verdict = $apiKeys->verifyApiKey($question)->getResult();
assert([$verdict->getValid(), $verdict->getCode()] === [false, "NOT_FOUND"]);
$done = $orgKeys->deleteOrganizationKeys($org);
assert($done->getMessage() === "Successfully deleted 1 organization key(s)");
echo "php: the scenario passed\n";
