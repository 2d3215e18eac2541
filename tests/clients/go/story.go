// The scenario, with the generated client only: a user signs in and creates a key, and a node registers with it.
package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"orgkeys"
)

const password = "five quiet owls"

// must returns the response of a call that must have succeeded.
func must[T any](answer T, _ *http.Response, err error) T {
	if err != nil {
		panic(err)
	}
	return answer
}

// refusal returns the typed error of a call that must have failed.
func refusal[E any, T any](_ T, _ *http.Response, err error) E {
	var failed *orgkeys.GenericOpenAPIError
	if !errors.As(err, &failed) {
		panic(fmt.Sprintf("expected a refusal, got %v", err))
	}
	return failed.Model().(E)
}

func check(holds bool, what string) {
	if !holds {
		panic(what)
	}
}

// registration is a node's request, signed with a key of its organization.
func registration(privateKey, org string) orgkeys.NodeRegistration {
	block, _ := pem.Decode([]byte(privateKey))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	check(err == nil, "the key can be read")
	now := time.Now().Unix()
	digest := sha256.Sum256([]byte(fmt.Sprintf("203.0.113.7|eu-central-1|%d", now)))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	check(err == nil, "the key can sign")
	encoded := base64.StdEncoding.EncodeToString(signature)
	request := orgkeys.NewNodeRegistration("203.0.113.7", "eu-central-1", now, encoded, "active", "1.0.0")
	request.SetIdOrg(org)
	request.SetProvider("AWS")
	return *request
}

func main() {
	settings := orgkeys.NewConfiguration()
	settings.Servers = orgkeys.ServerConfigurations{{URL: os.Getenv("URL")}}
	server := orgkeys.NewAPIClient(settings)
	as := func(token string) context.Context {
		return context.WithValue(context.Background(), orgkeys.ContextAccessToken, token)
	}
	anybody, owner := context.Background(), as(os.Getenv("TOKEN"))

	// A user is added and signs in.
	profile := must(server.PeopleAPI.GetProfile(owner).Execute())
	org := profile.Data.OrgId
	person := orgkeys.NewOrganizationUserInput("ada@example.org", "Ada", "Ärzte")
	person.SetPassword(password)
	person.SetOrgRole(254)
	added := must(server.PeopleAPI.CreateUser(owner).OrganizationUserInput(*person).Execute()).Data
	check(added.LastName == "Ärzte", added.LastName)
	credentials := *orgkeys.NewCredentials("ADA@example.org", password)
	session := must(server.SessionsAPI.LoginUser(anybody).Credentials(credentials).Execute())
	ada := as(session.AccessToken)

	// The user creates a key, and a node registers with it.
	minted := must(server.OrganizationKeysAPI.CreateOrganizationKey(ada, org).Format(orgkeys.JSON).Execute()).Data
	signed := registration(minted.PrivateKey, org)
	node := must(server.NodesAPI.RegisterNode(anybody).NodeRegistration(signed).Execute()).Data
	check(node.Ip == "203.0.113.7" && *node.KeyId.Get() == minted.Id, "the node stands beside its key")
	nodes := must(server.NodesAPI.ListNodes(ada, org).Execute())
	check(nodes.Total == 1 && nodes.Data[0].Id == node.Id, "the node is listed")
	keys := must(server.OrganizationKeysAPI.ListOrganizationKeys(ada, org).Execute())
	check(keys.Data[0].NodeKeys[0].NodeId == "203.0.113.7", "the key names its node")

	// The key is rotated, and ends when the node has moved to the successor.
	rotation := orgkeys.NewOrganizationKeyRotation()
	rotation.SetOverlapSeconds(3600)
	rotate := server.OrganizationKeysAPI.RotateOrganizationKey(ada, org, minted.Id).Format(orgkeys.JSON)
	rotated := must(rotate.OrganizationKeyRotation(*rotation).Execute()).Data
	signed = registration(rotated.GetPrivateKey(), org)
	node = must(server.NodesAPI.RegisterNode(anybody).NodeRegistration(signed).Execute()).Data
	check(*node.KeyId.Get() == rotated.Id, "the node stands beside the successor")
	keys = must(server.OrganizationKeysAPI.ListOrganizationKeys(ada, org).Retired(true).Execute())
	check(keys.Data[0].State == orgkeys.ACTIVE && keys.Data[1].State == orgkeys.RETIRED, "the old key has ended")

	// A service gets an API key and has it verified.
	asked := orgkeys.NewNewApiKeyRequest([]string{}, 0, *orgkeys.NewUserApiKey("東京", false))
	made := must(server.APIKeysAPI.CreateApiKey(ada, org).NewApiKeyRequest(*asked).Execute()).Result
	check(made.Name == "東京", made.Name)
	question := server.APIKeysAPI.VerifyApiKey(ada).VerifyApiKey(*orgkeys.NewVerifyApiKey(made.ApiKey))
	verdict := must(question.Execute()).Result
	check(verdict.Valid && verdict.Code == "VALID" && verdict.ExpireDate.Get() == nil, "the key is valid")
	check(*verdict.ApiKeyId.Get() == made.Id, "it is that key")

	// The audit log has the events.
	wanted := orgkeys.NewSystemEventQuery()
	wanted.SetTake(100)
	events := must(server.SystemEventsAPI.ListSystemEvents(ada).SystemEventQuery(*wanted).Execute()).Events
	created := map[string]bool{}
	for _, event := range events {
		created[event.Context] = created[event.Context] || event.Event == "created"
	}
	check(created["user"] && created["orgkey"] && created["flashbacknode"] && created["apikey"], "all is in the log")

	// Three refusals, read through their types.
	replayed := refusal[orgkeys.Failure](server.NodesAPI.RegisterNode(anybody).NodeRegistration(signed).Execute())
	check(replayed.ErrorCode == "SIGNATURE_REPLAYED", replayed.Message)
	check(strings.Contains(strings.ToLower(*replayed.ErrorMessage), "sign"), "it says what to do")
	wrong := *orgkeys.NewCredentials("ada@example.org", "not that one at all")
	refused := refusal[orgkeys.Failure](server.SessionsAPI.LoginUser(anybody).Credentials(wrong).Execute())
	check(refused.ErrorCode == "INVALID_CREDENTIALS", refused.Message)
	missing := refusal[orgkeys.WrappedFailure](server.APIKeysAPI.DeleteApiKey(ada, org, "999999").Execute())
	check(missing.StatusCode == 404 && missing.ResultInfo == "API_KEY_NOT_FOUND", missing.ResultInfo)
	check(missing.Result.Get() == nil, "there is no result")

	// Everything is deleted again.
	must(server.APIKeysAPI.DeleteApiKey(ada, org, fmt.Sprint(made.Id)).Execute())
	verdict = must(question.Execute()).Result
	check(!verdict.Valid && verdict.Code == "NOT_FOUND", "a deleted key is refused")
	done := must(server.OrganizationKeysAPI.DeleteOrganizationKeys(ada, org).Execute())
	check(done.Message == "Successfully deleted 2 organization key(s)", done.Message)
	fmt.Println("go: the scenario passed")
}
