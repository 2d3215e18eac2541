package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"orgkeys"
)

func main() {
	settings := orgkeys.NewConfiguration()
	settings.Servers = orgkeys.ServerConfigurations{{URL: os.Getenv("URL")}}
	client := orgkeys.NewAPIClient(settings)
	owner := context.WithValue(context.Background(), orgkeys.ContextAccessToken, os.Getenv("TOKEN"))
	profile, _, err := client.PeopleAPI.GetProfile(owner).Execute()
	if err != nil {
		log.Fatal(err)
	}
	nodes, _, err := client.NodesAPI.ListNodes(owner, profile.Data.OrgId).Execute()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("nodes:", nodes.Total)
	for _, node := range nodes.Data {
		fmt.Println(node.Ip, node.Status)
	}
}
